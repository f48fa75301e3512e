import { compileAccess } from './option-access.ts';
import { compileBasicAuth } from './option-basic-auth.ts';
import { type CompiledCompress, compileCompress } from './option-compress.ts';
import { compileCors } from './option-cors.ts';
import { compileForwardAuth } from './option-forward-auth.ts';
import { type GuardName, type GuardParts, guardOrder } from './option-guard.ts';
import { type CompiledHandler, compileHandler } from './option-handler.ts';
import { compileMaintenance } from './option-maintenance.ts';
import { compileRateLimit } from './option-rate-limit.ts';
import { compileRedirect } from './option-redirect.ts';
import { compileRespond } from './option-respond.ts';
import { compileRewrite, type RewriteParts } from './option-rewrite.ts';
import { type RouteOptions, routeOptionNames } from './option-types.ts';

/** Tells of a fault: which option, and one sentence with what it is and what was expected. */
export type OptionFault = (field: keyof RouteOptions, message: string) => void;

/**
 * What a route does beside forwarding, proven and taken apart once. Frozen. Each part belongs to the file of its option and is null where the
 * route does not have it.
 */
export interface CompiledOptions extends GuardParts, RewriteParts {
  /** As they were written. */
  readonly source: RouteOptions;
  readonly compress: CompiledCompress | null;
  readonly handler: CompiledHandler | null;
  /** Which of its parts a request has to pass before it is forwarded, in their order; empty for none. */
  readonly guards: readonly GuardName[];
}

/** What `compileOptions` is, or something that knows less of them. */
export type OptionProver = (source: RouteOptions, prefix: string, fault: OptionFault) => CompiledOptions | null;

/**
 * Proves a route's options. Whatever shape the values have, this never throws.
 * @param prefix the route's own, '' for the whole host
 * @param fault is told of each fault; what is returned is of use only if it never was
 * @returns null if it has none
 */
export function compileOptions(source: RouteOptions, prefix: string, fault: OptionFault): CompiledOptions | null {
  if (!routeOptionNames.some((name) => source[name] !== undefined)) return null;
  const part = <T>(name: keyof RouteOptions, compile: (value: unknown, say: (message: string) => void) => T | null) =>
    source[name] === undefined ? null : compile(source[name], (message) => fault(name, message));
  const guardParts: GuardParts = {
    maintenance: part('maintenance', compileMaintenance),
    access: part('access', compileAccess),
    rateLimit: part('rateLimit', compileRateLimit),
    cors: part('cors', compileCors),
    basicAuth: part('basicAuth', compileBasicAuth),
    forwardAuth: part('forwardAuth', compileForwardAuth),
    redirect: part('redirect', (value, say) => compileRedirect(value, prefix, say)),
    respond: part('respond', compileRespond),
  };
  if (source.redirect !== undefined && source.respond !== undefined)
    fault('respond', 'respond is given, and redirect as well; expected one of them');
  for (const name of ['redirect', 'respond'] as const)
    if (source.handler !== undefined && source[name] !== undefined)
      fault('handler', `handler is given, and ${name} as well; expected one of them`);
  const guards = Object.freeze(guardOrder.filter((name) => guardParts[name] !== null));
  return Object.freeze({
    source,
    ...guardParts,
    ...compileRewrite(source, prefix, fault),
    compress: part('compress', compileCompress),
    handler: part('handler', compileHandler),
    guards,
  });
}
