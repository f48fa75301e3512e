import type { FailureCode } from '../core/failure.ts';
import { normalizeAuthority } from '../core/host.ts';
import { readServicePath } from '../core/service-path.ts';
import type { HostMatch } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { Edge } from './edge.ts';
import { compileSocketRoute } from './socket-route.ts';

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
  const own = { id: builtInName, name: builtInName, responseTimeoutMs: builtInResponseMs, tag: { socket: true } };
  return compileSocketRoute({ ...own, socketPath, href: `unix:${socketPath}` });
}
