import fc from 'fast-check';
import { normalizeAuthority, parseRouteId } from '../../src/core/host.ts';
import type { Route, Scheme } from '../../src/core/types.ts';

/**
 * The matching rules, written down once more as a loop over all routes: what the table is compared with.
 * @param routes with ids in any valid spelling, no two of them the same
 * @returns the id, as written, of the route that takes the request
 */
export function naiveMatch(
  routes: readonly Route[],
  scheme: Scheme,
  authority: string,
  path: string,
): string | undefined {
  const at = normalizeAuthority(authority);
  if (at === undefined) return undefined;
  const port = at.port || (scheme === 'https' ? 443 : 80);
  let best: { id: string; rank: number; length: number } | undefined;
  for (const { id } of routes) {
    const parsed = parseRouteId(id);
    if (typeof parsed === 'string') throw new Error(parsed);
    if (parsed.port !== 0 && parsed.port !== port) continue;
    const hostRank = rankOf(parsed.host, at.host);
    if (hostRank === 0 || !covers(parsed.prefix, path)) continue;
    const rank = hostRank + (parsed.port === 0 ? 0 : 1);
    const { length } = parsed.prefix;
    if (best === undefined || rank > best.rank || (rank === best.rank && length > best.length))
      best = { id, rank, length };
  }
  return best?.id;
}

function rankOf(pattern: string, host: string): number {
  if (pattern === host) return 6;
  if (pattern === '*') return 2;
  if (!pattern.startsWith('*.') || !host.endsWith(pattern.slice(1))) return 0;
  return host.slice(0, -pattern.length + 1).includes('.') ? 0 : 4;
}

function covers(prefix: string, path: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`);
}

const labels = fc.constantFrom('a', 'b', 'App', 'x-y');
const hosts = fc.oneof(
  { weight: 6, arbitrary: fc.array(labels, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('.')) },
  { weight: 1, arbitrary: fc.constantFrom('127.0.0.1', '[::1]', '[0:0:0:0:0:0:0:1]', 'a.b.') },
);
const patterns = fc.oneof(
  { weight: 4, arbitrary: hosts },
  { weight: 2, arbitrary: fc.array(labels, { minLength: 1, maxLength: 2 }).map((parts) => `*.${parts.join('.')}`) },
  { weight: 1, arbitrary: fc.constant('*') },
);
const ports = fc.constantFrom('', '', '', ':80', ':443', ':8080');
const segments = fc.constantFrom('app', 'App', 'admin', 'a', 'app2', '');

/** Routes that are likely to meet in hosts and prefixes; ids in odd spellings, some of them twice. */
export const anyRoutes: fc.Arbitrary<Route[]> = fc.array(
  fc
    .tuple(patterns, ports, fc.array(segments.filter(Boolean), { maxLength: 3 }), fc.constantFrom('', '/'), fc.nat(9))
    .map(([host, port, path, end, n]) => ({
      id: host + port + path.map((segment) => `/${segment}`).join('') + end,
      target: `http://10.0.0.${n}:3000`,
    })),
  { maxLength: 25 },
);

export const anyAuthority: fc.Arbitrary<string> = fc.tuple(hosts, ports).map((parts) => parts.join(''));

/** Paths of plain segments, with empty ones among them. */
export const anyPath: fc.Arbitrary<string> = fc.array(segments, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`);

/** Of routes with one normal id, the last: what saving them in this order comes to. */
export function lastOfEach(routes: readonly Route[]): Route[] {
  const byId = new Map(routes.map((route) => [JSON.stringify(parseRouteId(route.id)), route]));
  return [...byId.values()];
}
