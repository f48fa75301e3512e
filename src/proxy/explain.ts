import { explainMatch } from '../core/explain.ts';
import { explainPool, type MemberFacts, type PoolView } from '../core/explain-pool.ts';
import type { MatchExplanation } from '../core/explain-types.ts';
import { failures } from '../core/failure.ts';
import { gateStateAt } from '../core/gate-order.ts';
import { describeHandler } from '../core/option-handler.ts';
import type { RouteTable } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type ProxyClient, schemeOf } from './client.ts';
import type { ProxyPool } from './pool.ts';
import type { OptionsRunner } from './route-options.ts';
import type { ProxyExplanation } from './types.ts';

/**
 * Says which route and target a request would get, and why: all of it. Large, so it comes with `routeOptions` only.
 * @param now epoch ms
 */
export function explainRequest(
  table: RouteTable,
  client: ProxyClient,
  poolOf: (route: CompiledRoute) => ProxyPool,
  runner: OptionsRunner,
  now: number,
): ProxyExplanation {
  const found = explainMatch(table, schemeOf(client.url), client.url.host, client.path);
  // The decision has the compiled route, which no JSON can hold.
  const { decision, ...match } = found;
  if (decision.kind === 'reply')
    return { match, route: '', code: decision.code, pool: null, url: '', lines: linesOfMiss(found) };
  const pool = poolOf(decision.route);
  const { id, options } = pool.route;
  const lines = [`${client.method} ${client.url.href} goes to route ${id}: ${match.why}`];
  const answers =
    options === null ? undefined : options.guards.find((name) => name === 'redirect' || name === 'respond');
  if (options !== null && options.guards.length > 0) lines.push(`first it has to pass: ${options.guards.join(', ')}`);
  if (options?.handler) lines.push(describeHandler(options.handler));
  if (answers !== undefined || pool.main.members.length === 0) {
    lines.push(`nothing is forwarded: ${answers ?? 'its handler'} answers`);
    return { match, route: id, code: '', pool: null, url: '', lines };
  }
  pool.look(now);
  const { view, who } = viewOf(pool, client, now);
  const gate = gateStateAt(pool.gate, now);
  lines.push(`${who}: ${view.policy}; ${view.why}`);
  for (const { address, picked, why } of view.members) lines.push(`${address}: ${picked}; ${why}`);
  const url = gate === 'open' ? urlOf(pool, view, client, runner) : '';
  if (gate !== 'open') lines.push(`it is ${gate}: it answers 503`);
  else lines.push(url === '' ? 'where exactly it is sent is decided when it comes' : `it is sent to ${url}`);
  return { match, route: id, code: '', pool: view, url, lines };
}

function linesOfMiss({ decision, why, runnersUp, misses }: MatchExplanation): string[] {
  const code = decision.kind === 'reply' ? decision.code : 'OO_NO_ROUTE';
  return [
    `it is answered ${failures[code].status} ${code}: ${why}`,
    ...runnersUp.map((runner) => `${runner.id}: ${runner.why}`),
    ...misses,
  ];
}

/** The part of the pool that it goes to; where chance has a word in that, the one that most go to. */
function viewOf(pool: ProxyPool, client: ProxyClient, now: number): { view: PoolView; who: string } {
  const { canary, settings } = pool.route.pool;
  const byField = pool.isCanaryByField(client.request.headers);
  const percent = canary?.percent ?? 0;
  const isCanary = pool.canary !== null && (byField || percent > 50);
  const members = (isCanary ? pool.canary! : pool.main).members;
  const facts = members.map(({ instance, weight, priority }): MemberFacts => {
    const { address, inFlight, outlier, breaker } = instance;
    const ejected = outlier?.isEjected(now) ? { cause: outlier.cause, leftMs: outlier.ejectedUntil - now } : null;
    return {
      ...{ address, weight, priority, inFlight, ejected },
      ...{ health: 'Unknown', down: false, reason: '', breaker: breaker?.stateAt(now) ?? '' },
    };
  });
  const key = pool.keyOf({ headers: client.request.headers, clientIp: client.peer });
  const view = explainPool(facts, settings, { key, sticky: undefined }, false);
  const drawn = pool.canary === null || byField ? '' : `, drawn: the canary gets ${percent} %`;
  return { view, who: `${isCanary ? 'the canary' : 'its targets'}${drawn}` };
}

/** @returns '' where chance, or a handler, has a word in it */
function urlOf(pool: ProxyPool, view: PoolView, client: ProxyClient, runner: OptionsRunner): string {
  const { options, pool: spec } = pool.route;
  if (view.chosen === '' || (options !== null && options.handler !== null)) return '';
  if (spec.canary !== null && spec.canary.percent > 0 && spec.canary.percent < 100) {
    if (!pool.isCanaryByField(client.request.headers)) return '';
  }
  const plain = client.path + client.query;
  const target = options === null ? plain : runner.targetOf(options, client)?.target;
  const member = pool.everyone.find(({ address }) => address === view.chosen);
  if (member === undefined || target === undefined) return '';
  const { tls, authority, basePath } = member.target;
  return `${tls ? 'https' : 'http'}://${authority}${basePath}${target}`;
}
