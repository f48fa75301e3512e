import { compilePoolSpec } from './pool-compile.ts';
import type { PoolSpec, PoolTarget, ServiceOptions, ServiceState } from './pool-types.ts';
import { compileRoute } from './routes.ts';
import { parseTarget } from './target.ts';
import type { CompiledRoute, RouteFault } from './types.ts';

/**
 * Proves a definition's options.
 * @returns every fault that was found; empty if it can be used
 */
export function serviceFaults(slug: string, options: ServiceOptions): RouteFault[] {
  const compiled = compileParts(slug, options);
  return Array.isArray(compiled) ? compiled : [];
}

/**
 * The route that leads to a service: `/slug` on any host of the service port, the path kept. Its pool has the service's name.
 * @throws TypeError for options that `serviceFaults` refuses
 */
export function compileService({ slug, options, members }: ServiceState): CompiledRoute {
  const parts = compileParts(slug, options);
  if (Array.isArray(parts)) throw new TypeError(parts.map(({ message }) => message).join('; '));
  const { route, pool } = parts;
  const targets = pool.service === '' ? pool.targets : members.flatMap(targetOf);
  const forward = { kind: 'forward' as const, route: undefined as unknown as CompiledRoute };
  const compiled: CompiledRoute = Object.freeze({
    ...route,
    id: `service ${slug}`,
    pool: Object.freeze({ ...pool, service: '', targets: Object.freeze(targets) }),
    forward,
  });
  forward.route = compiled;
  Object.freeze(forward);
  return compiled;
}

function compileParts(slug: string, options: ServiceOptions): { route: CompiledRoute; pool: PoolSpec } | RouteFault[] {
  const { hostHeader, insecureSkipVerify, maxBodyBytes, connectTimeoutMs, responseTimeoutMs, idleTimeoutMs } = options;
  const faults: RouteFault[] = [];
  const pool = compilePoolSpec(`service ${slug}`, 'service', options.target, options, (field, message) =>
    faults.push({ index: 0, id: slug, field, message }),
  );
  const route = compileRoute({
    id: `*/${slug}`,
    target: `service://${slug}`,
    ...{ hostHeader, insecureSkipVerify, maxBodyBytes, connectTimeoutMs, responseTimeoutMs, idleTimeoutMs },
  });
  if (Array.isArray(route)) return [...route.map((fault) => ({ ...fault, id: slug })), ...faults];
  return faults.length > 0 ? faults : { route, pool };
}

/** The registry keeps urls in normal form only. */
function targetOf({ url, weight, priority }: ServiceState['members'][number]): PoolTarget[] {
  const target = parseTarget(url);
  return typeof target === 'string' ? [] : [Object.freeze({ target, weight, priority })];
}
