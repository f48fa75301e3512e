import type { FailureCode } from '../core/failure.ts';
import { normalizeAuthority } from '../core/host.ts';
import { defaultPoolSettings } from '../core/pool-compile.ts';
import type { PoolSpec } from '../core/pool-types.ts';
import { compileRoute } from '../core/routes.ts';
import { readServicePath } from '../core/service-path.ts';
import type { HostMatch } from '../core/table.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { Edge } from './edge.ts';

/*
 * The service port: the first segment of a path names a service, or the path is the port's own; those go to the main process, which
 * alone has what they are about. Hosts have no say here, as long as they are hosts.
 */

/** The pool that leads to the main process, and its route. */
export const builtInName = 'built-in';

/** What any host resolves to. */
const anyHost: HostMatch = Object.freeze({ levels: [], single: undefined });

/** A deploy is answered when the old instances have drained. */
const builtInResponseMs = 900_000;

/** As `findHosts`: undefined for what is no valid authority; '' is one, as HTTP/1.0 allows. */
export function serviceHosts(authority: string): HostMatch | undefined {
  return authority === '' || normalizeAuthority(authority) !== undefined ? anyHost : undefined;
}

/** Where a request goes that came over the service port, or why nowhere. @param plain as in `decidePath` */
export function decideService(edge: Edge, path: string, plain: boolean): CompiledRoute | FailureCode {
  const read = readServicePath(path, plain);
  if (read.kind === 'slug') return edge.serviceRoute(read.slug) ?? 'OO_NO_SERVICE';
  return read.kind === 'built-in' ? (edge.builtIn ?? 'OO_NO_INSTANCE') : read.code;
}

/**
 * The route that leads to the main process.
 * @param socketPath a unix socket; '' for none
 */
export function compileBuiltIn(socketPath: string): CompiledRoute | null {
  if (socketPath === '') return null;
  const route = compileRoute({ id: '*', target: 'http://localhost', responseTimeoutMs: builtInResponseMs });
  if (Array.isArray(route)) throw new TypeError(route.map(({ message }) => message).join('; '));
  const forward = { kind: 'forward' as const, route: undefined as unknown as CompiledRoute };
  const compiled = Object.freeze({ ...route, id: builtInName, pool: builtInPool(socketPath), forward });
  forward.route = compiled;
  Object.freeze(forward);
  return compiled;
}

function builtInPool(socketPath: string): PoolSpec {
  // The name is for HTTP/1.0, which may name no host; the socket decides where it goes.
  const target: Target = Object.freeze({
    tls: false,
    http2: false,
    hostname: '127.0.0.1',
    port: 80,
    authority: 'localhost',
    basePath: '',
    href: `unix:${socketPath}`,
    socketPath,
  });
  // Nobody probes it, nobody judges it; the tag says so, and keeps it apart from what else is called localhost.
  const tag = JSON.stringify({ outlier: false, socket: true });
  const instance = Object.freeze({ ...defaultPoolSettings.instance, outlier: null, tag });
  const settings = Object.freeze({ ...defaultPoolSettings, instance });
  const targets = [Object.freeze({ target, weight: 1, priority: 0 })];
  return Object.freeze({ name: builtInName, service: '', targets, settings, canary: null, gate: null });
}
