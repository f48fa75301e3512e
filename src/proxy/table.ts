import type { CompiledOptions } from '../core/option-compile.ts';
import { compile } from '../core/routes.ts';
import { type RouteTable, routesOf } from '../core/table.ts';
import type { CompiledRoute, Route } from '../core/types.ts';
import { hasEncoder } from './compress.ts';

/**
 * Compiles routes, and proves that this runtime can do what they say.
 * @param hasPasswords whether there is something to compare passwords by
 * @throws TypeError for a route that is refused; `cause` has the route faults
 */
export function compileAll(routes: Iterable<Route>, revision: number, hasPasswords: boolean): RouteTable {
  const result = compile(routes, revision);
  if ('faults' in result)
    throw new TypeError(result.faults.map((fault) => fault.message).join('; '), { cause: result.faults });
  for (const route of routesOf(result.table)) {
    proveTargets(route);
    if (route.options !== null) proveOptions(route.id, route.options, hasPasswords);
  }
  return result.table;
}

function proveTargets({ id, pool }: CompiledRoute): void {
  for (const { service, targets } of pool.canary === null ? [pool] : [pool, pool.canary]) {
    const why = service === '' ? "fetch can't speak h2c" : 'nothing registers here';
    const unreachable =
      service === '' ? targets.find(({ target }) => target.http2)?.target.href : `service://${service}`;
    if (unreachable !== undefined)
      throw new TypeError(`route '${id}' has the target '${unreachable}': ${why}, use the edge (oo serve)`);
  }
}

const noScrypt =
  'this runtime has no scrypt; give createProxy verifyPassword, or run it where there is node:crypto: Node 22 or later, Bun, Deno, Workers with nodejs_compat';
const noGzip = 'CompressionStream makes gzip only; put gzip into compress.codings, or use the edge (oo serve)';
const noEncoder = 'this runtime has no CompressionStream; leave compress out, or use the edge (oo serve)';

/** What can't be done must not be left undone: whoever asks for a password relies on it. */
function proveOptions(id: string, { basicAuth, compress }: CompiledOptions, hasPasswords: boolean): void {
  if (basicAuth !== null && !hasPasswords) throw new TypeError(`route '${id}' has basicAuth: ${noScrypt}`);
  if (compress === null) return;
  if (!hasEncoder()) throw new TypeError(`route '${id}' has compress: ${noEncoder}`);
  if (!compress.codings.includes('gzip')) throw new TypeError(`route '${id}' has compress without gzip: ${noGzip}`);
}
