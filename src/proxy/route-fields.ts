import { type RouteOptions, routeOptionNames } from '../core/option-types.ts';
import { shorten } from '../core/pool-proof.ts';
import type { Route } from '../core/types.ts';

const plain = {
  ...{ id: 1, target: 1, hostHeader: 1, insecureSkipVerify: 1, maxBodyBytes: 1, owner: 1 },
  ...{ connectTimeoutMs: 1, responseTimeoutMs: 1, idleTimeoutMs: 1, http: 1, hsts: 1, keyType: 1, certificate: 1 },
  ...{ balance: 1, health: 1, outlier: 1, breaker: 1, limits: 1, retry: 1, rollout: 1 },
} satisfies Record<Exclude<keyof Route, keyof RouteOptions>, 1>;
const known = new Set<string>([...Object.keys(plain), ...routeOptionNames]);

/** A misspelt `access` would let everybody in. @returns the first field of a route that no route has; '' for none */
export function unknownField(route: object): string {
  return shorten(Object.keys(route).find((name) => !known.has(name)) ?? '');
}
