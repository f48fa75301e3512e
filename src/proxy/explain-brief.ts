import { decide } from '../core/decide.ts';
import { gateStateAt } from '../core/gate-order.ts';
import type { RouteTable } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type ProxyClient, schemeOf } from './client.ts';
import type { ProxyPool } from './pool.ts';
import { failureOf } from './reply.ts';
import { statsOf } from './stats.ts';
import type { ProxyExplanation } from './types.ts';

/**
 * Says which route a request would get, and the state of its targets. All that there is to say (explain.ts) takes a sixth of a small program.
 * @param now epoch ms
 */
export function explainBriefly(
  table: RouteTable,
  client: ProxyClient,
  poolOf: (route: CompiledRoute) => ProxyPool,
  now: number,
): ProxyExplanation {
  const { url, path, method } = client;
  const decision = decide(table, schemeOf(url), url.host, path);
  const empty = { match: null, pool: null, url: '' };
  if (decision.kind === 'reply') {
    const { status, detail } = failureOf(decision.code, null);
    return {
      ...empty,
      route: '',
      code: decision.code,
      lines: [`it is answered ${status} ${decision.code}: ${detail}`],
    };
  }
  const { route } = decision;
  const pool = poolOf(route);
  const { targets } = statsOf(pool, now);
  const gate = gateStateAt(pool.gate, now);
  const only = targets.length === 1 && gate === 'open' && route.options === null ? pool.everyone[0].target : undefined;
  const base = only === undefined ? '' : `${only.tls ? 'https' : 'http'}://${only.authority}${only.basePath}`;
  const lines = [
    `${method} ${url.href} goes to route ${route.id}`,
    ...(route.options === null ? [] : ['its handler answers, or forwards']),
    ...(gate === 'open' ? [] : [`it is ${gate}: it answers 503`]),
    ...targets.map(({ target, weight, state }) => `${target}: ${state}, weight ${weight}`),
  ];
  return { ...empty, route: route.id, code: '', url: base === '' ? '' : base + path + url.search, lines };
}
