import type { Handler, HandlerOptions } from '../core/handler-types.ts';
import { show } from '../core/pool-proof.ts';
import type { ProxyOptions, ProxyRoute } from './types.ts';

/** A route with a handler that runs in this program. */
export interface Embedded {
  readonly handler: Handler;
  /** As the program gave it. */
  readonly route: ProxyRoute;
  /** What stands for the function in the compiled route. */
  readonly stored: string | HandlerOptions;
}

/**
 * Finds the function of a route's handler.
 * @param say is told where there is none
 * @returns null for a route without one, and for one whose handler is no handler at all: compiling the route says that
 */
export function embed(
  route: ProxyRoute,
  handlers: ProxyOptions['handlers'],
  say: (message: string) => void,
): Embedded | null {
  const { handler } = route;
  if (typeof handler === 'function') return { handler, route, stored: handler.name || 'function' };
  const name = typeof handler === 'string' ? handler : nameOf(handler);
  if (name === undefined) return null;
  const where = `route '${route.id}' has`;
  if (name === '') {
    say(`${where} a handler with source alone, which oo serve runs, and nobody else; expected a function, or file`);
    return null;
  }
  const found = handlers !== undefined && Object.hasOwn(handlers, name) ? handlers[name] : undefined;
  if (typeof found === 'function') return { handler: found, route, stored: handler as string | HandlerOptions };
  const known = Object.keys(handlers ?? {});
  const others = known.length === 0 ? 'createProxy has none' : `there are ${known.slice(0, 10).join(', ')}`;
  say(
    found === undefined
      ? `${where} the handler '${name}', which is not in handlers (${others}); expected a function, or a name of one in handlers`
      : `${where} the handler '${name}', which is ${show(found)} in handlers; expected a function`,
  );
  return null;
}

/** @returns '' where there is only source; undefined where there is nothing to go by */
function nameOf(handler: HandlerOptions | undefined): string | undefined {
  if (typeof handler !== 'object' || handler === null) return undefined;
  if (typeof handler.file === 'string' && handler.file !== '') return handler.file;
  return typeof handler.source === 'string' ? '' : undefined;
}
