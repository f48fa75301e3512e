import type { CheckProver } from './health-options.ts';
import { formatRouteId, parseRouteId } from './host.ts';
import type { OptionProver } from './option-compile.ts';
import { compilePoolSpecBy } from './pool-compile.ts';
import { shorten } from './pool-proof.ts';
import type { TlsProver } from './tls-options.ts';
import type { CompiledRoute, Route, RouteFault, Target } from './types.ts';

// Timers take 32 signed bits; a longer time would mean "at once".
const maxTimeMs = 2 ** 31 - 1;
const times = ['connectTimeoutMs', 'responseTimeoutMs', 'idleTimeoutMs'] as const;

/** What routes may have: `compile` in routes.ts knows all of it, the embedded proxy less. */
export interface RouteProvers {
  readonly options: OptionProver;
  /** Null where nothing is probed: what is said of health is not looked at. */
  readonly check: CheckProver | null;
  /** Null where TLS is somebody else's: what is said of it is not looked at. */
  readonly tls: TlsProver | null;
}

/**
 * Proves one route and takes it apart.
 * @param prove what it has beside its target
 * @param index the route's place in the list it comes from; faults carry it
 * @param targets parsed targets by text, so that routes to one target share it; is added to
 * @returns the frozen compiled route, or every fault that was found
 */
export function compileRouteBy(
  prove: RouteProvers,
  route: Route,
  index: number,
  targets: Map<string, Target>,
): CompiledRoute | RouteFault[] {
  const faults: RouteFault[] = [];
  const fault = (field: keyof Route, message: string) => faults.push({ index, id: String(route.id), field, message });
  const id = parseRouteId(route.id);
  if (typeof id === 'string') fault('id', `id '${shorten(route.id)}' ${id}`);
  const normal = typeof id === 'string' ? '' : formatRouteId(id);
  // Without a target there is nothing to pick from, and nobody does: the route answers by itself.
  if (route.target === undefined && !answersItself(route))
    fault('target', 'target is missing; expected an address such as http://10.0.0.2:3000');
  const pool = compilePoolSpecBy(prove.check, `route ${normal}`, 'route', route.target, route, fault, targets);
  const options = prove.options(route, typeof id === 'string' ? '' : id.prefix, fault);
  checkOptions(route, fault);
  const line = prove.tls === null ? '' : prove.tls(route, fault);
  if (faults.length > 0 || typeof id === 'string') return faults;
  return freezeRoute({
    id: normal,
    route: Object.freeze({ ...route }),
    ...id,
    pool,
    hstsLine: line,
    options,
  });
}

/** Whether a route needs no target. */
export function answersItself({ redirect, respond, handler }: Route): boolean {
  return redirect !== undefined || respond !== undefined || handler !== undefined;
}

function freezeRoute(parts: Omit<CompiledRoute, 'forward'>): CompiledRoute {
  const { id, route, host, port, prefix, pool, hstsLine, options } = parts;
  const forward = { kind: 'forward' as const, route: undefined as unknown as CompiledRoute };
  const compiled: CompiledRoute = Object.freeze({
    ...{ id, route, host, port, prefix, pool, hstsLine, options },
    forward,
  });
  forward.route = compiled;
  Object.freeze(forward);
  return compiled;
}

function checkOptions(route: Route, fault: (field: keyof Route, message: string) => void): void {
  const { hostHeader, insecureSkipVerify, maxBodyBytes, owner } = route;
  if (owner !== undefined && !isOwner(owner))
    fault('owner', `owner is '${shorten(owner)}'; expected a label of letters, digits and ._-, up to 63`);
  if (hostHeader !== undefined && hostHeader !== 'client' && hostHeader !== 'upstream')
    fault('hostHeader', `hostHeader is '${shorten(hostHeader)}'; expected client or upstream`);
  if (insecureSkipVerify !== undefined && typeof insecureSkipVerify !== 'boolean')
    fault('insecureSkipVerify', `insecureSkipVerify is '${shorten(insecureSkipVerify)}'; expected true or false`);
  for (const field of times) {
    if (route[field] !== undefined && !isWhole(route[field], 1, maxTimeMs))
      fault(field, `${field} is '${shorten(route[field])}'; expected whole milliseconds from 1 to ${maxTimeMs}`);
  }
  if (maxBodyBytes !== undefined && !isWhole(maxBodyBytes, 0, Number.MAX_SAFE_INTEGER))
    fault('maxBodyBytes', `maxBodyBytes is '${shorten(maxBodyBytes)}'; expected a whole number of bytes, 0 or more`);
}

/** Whether a text can be the owner's label of routes and services. */
export function isOwner(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62})$/.test(value);
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}
