import { noKey } from '../core/balance-pick.ts';
import { explainPool, type MemberFacts } from '../core/explain-pool.ts';
import { type AskedRequest, fieldOf } from '../core/explain-request.ts';
import { hashText } from '../core/hash.ts';
import { instanceKey } from '../core/pool-compile.ts';
import type { Members, PoolSettings } from '../core/pool-types.ts';
import { cookieValue } from '../core/sticky.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { PoolSideView, RouteView } from './explain-types.ts';
import { withoutAddress } from './rollout-drain.ts';
import { specText } from './rollout-plan.ts';
import type { LiveInstance } from './status.ts';

/** ECMA-262 §21.4.1.1: the last time that a Date can be. */
const lastDate = 8.64e15;

export interface PoolFacts {
  /** The service's own route, with its registered instances; undefined: it is not known. */
  readonly serviceRoute: (slug: string) => CompiledRoute | undefined;
  readonly instances: readonly LiveInstance[];
  /** What a sticky cookie of a pool says for an instance; the newest secret's first. */
  readonly stickyTokens: (pool: string, address: string) => readonly string[];
  /** Epoch ms. */
  readonly now: number;
}

/** Where a request can go that a route has taken. @param client its address */
export function explainRoutePool(
  route: CompiledRoute,
  request: AskedRequest,
  client: string,
  facts: PoolFacts,
): RouteView {
  const own = route.pool.service === '' ? route : facts.serviceRoute(route.pool.service);
  const settings = (own ?? route).pool.settings;
  const isService = own?.pool.name.startsWith('service ') === true;
  const { key, token, lines } = choiceOf(settings, request, client);
  const sideOf = (members: Members, of: CompiledRoute, strict: boolean): PoolSideView => {
    const list = factsOf(members, of, facts);
    const { name } = of.pool;
    const isNamed = ({ address }: MemberFacts) => facts.stickyTokens(name, address).includes(token ?? '');
    const sticky = token === undefined ? undefined : list.find(isNamed)?.address;
    return { name, ...explainPool(list, of.pool.settings, { key, sticky }, strict) };
  };
  const main = own === undefined ? sideOf({ service: '', targets: [] }, route, true) : sideOf(own.pool, own, isService);
  // As the edge has it: the route's own, else the service's.
  const canaried = route.pool.canary !== null ? route : own;
  const target = route.route.target;
  return {
    id: route.id,
    target: target === undefined ? '' : specText(target),
    service: route.pool.service || (isService ? route.pool.name.slice('service '.length) : ''),
    gate: gateOf(route, own, facts.now),
    main,
    canary: canaried === undefined ? null : canaryOf(canaried, request, facts, sideOf),
    choice: [...lines, ...(token === undefined ? [] : [stickyLine(settings, main)])],
  };
}

function stickyLine({ sticky }: PoolSettings, { members, chosen, why: _ }: PoolSideView): string {
  const known = members.some(({ why }) => why === 'the sticky cookie names it');
  if (known) return `the cookie ${sticky} names ${chosen}`;
  return `the cookie ${sticky} names no instance that can serve: the policy picks, and the answer sets it anew`;
}

/** What of a request its pool asks for: as src/edge/choice.ts reads it. */
function choiceOf({ balancing, hashBy, sticky }: PoolSettings, request: AskedRequest, client: string) {
  const lines: string[] = [];
  let key = noKey;
  const cookies = fieldOf(request, 'cookie');
  if (balancing.policy === 'hash') {
    const { value, of } = keyOf(hashBy, request, cookies) ?? { value: client, of: `the client's address ${client}` };
    key = hashText(value);
    lines.push(`it is hashed by ${of}`);
  }
  const token = sticky === '' ? undefined : cookieValue(cookies, sticky);
  if (sticky !== '' && token === undefined) lines.push(`it has no cookie ${sticky}: the answer sets it`);
  return { key, token, lines };
}

function keyOf(hashBy: PoolSettings['hashBy'], request: AskedRequest, cookies: string) {
  if (hashBy.kind === 'header') {
    // Of several lines the first counts.
    const value = request.fields.find(([name]) => name === hashBy.name)?.[1];
    return value === undefined ? undefined : { value, of: `its header ${hashBy.name}` };
  }
  const value = hashBy.kind === 'cookie' ? cookieValue(cookies, hashBy.name) : undefined;
  return value === undefined || hashBy.kind !== 'cookie' ? undefined : { value, of: `its cookie ${hashBy.name}` };
}

function factsOf({ service, targets }: Members, of: CompiledRoute, facts: PoolFacts): MemberFacts[] {
  if (service !== '' && of.pool.name !== `service ${service}`) {
    const other = facts.serviceRoute(service);
    return other === undefined ? [] : factsOf(other.pool, other, facts);
  }
  return targets.flatMap(({ target, weight, priority }) => {
    const key = instanceKey(target, of.route.insecureSkipVerify === true, of.pool.settings.instance);
    const live = facts.instances.filter((one) => withoutAddress(one.key) === key);
    // A name with several addresses is as many instances; one that nobody has met is itself.
    const resolved = live.filter((one) => one.key !== key);
    const list = resolved.length > 0 ? resolved : live.slice(0, 1);
    if (list.length === 0) return [memberOf(target.href, weight, priority, undefined)];
    return list.map((one) => {
      const at = /@([^ ]+)/.exec(one.address)?.[1];
      const address = at === undefined ? target.href : `${target.href}@${at}`;
      return memberOf(address, weight / list.length, priority, one);
    });
  });
}

function memberOf(address: string, weight: number, priority: number, live: LiveInstance | undefined): MemberFacts {
  return {
    ...{ address, weight, priority },
    health: live?.state ?? 'Unknown',
    down: live?.state === 'Unreachable',
    reason: live?.reason ?? '',
    ejected: live?.ejected ?? null,
    breaker: live?.breaker ?? '',
    inFlight: live?.inFlight ?? 0,
  };
}

function gateOf(route: CompiledRoute, own: CompiledRoute | undefined, now: number): RouteView['gate'] {
  for (const { pool } of [route, ...(own === undefined || own === route ? [] : [own])]) {
    const { gate } = pool;
    if (gate === null || (gate.until > 0 && gate.until <= now)) continue;
    // An order that a program has made may end in a year that no calendar has.
    const until = gate.until > 0 && gate.until < lastDate ? ` until ${new Date(gate.until).toISOString()}` : '';
    const text =
      gate.state === 'stopped'
        ? `${pool.name} is stopped${until}: requests are answered 503${gate.message === '' ? '' : ` with '${gate.message}'`}`
        : `${pool.name} is paused${until}: requests wait, up to ${gate.maxWaiting} of them for up to ${gate.maxWaitMs} ms`;
    return { state: gate.state, of: pool.name, text };
  }
  return { state: 'open', of: '', text: '' };
}

function canaryOf(
  of: CompiledRoute,
  request: AskedRequest,
  facts: PoolFacts,
  sideOf: (members: Members, of: CompiledRoute, strict: boolean) => PoolSideView,
): RouteView['canary'] {
  const { canary } = of.pool;
  if (canary === null) return null;
  const owner = canary.service === '' ? of : (facts.serviceRoute(canary.service) ?? of);
  const side = sideOf(canary.service === '' ? canary : owner.pool, owner, false);
  const { percent, headerName, headerValue } = canary;
  const asks = request.fields.some(
    ([name, value]) => headerName !== '' && name === headerName && (headerValue === '' || value === headerValue),
  );
  const stuck = side.members.some(({ why }) => why === 'the sticky cookie names it');
  const text = asks
    ? `its header ${headerName} asks for the canary`
    : stuck
      ? "its sticky cookie is the canary's"
      : `${percent} % of the requests go to the canary, at random`;
  return { ...side, percent, text, certain: asks || stuck };
}
