import type { Context } from 'hono';
import type { HandlerOptions } from '../core/handler-types.ts';
import type { Configuration } from './configuration.ts';
import { isMapping } from './fault.ts';
import { demand } from './operation.ts';
import type { ResourceChange } from './resources.ts';

/**
 * The 403 for who may save routes, but not have programs run on the server: a handler is one.
 * @param routes as they were sent; a handler that its route has already is nobody's new program
 */
export function demandHandlers(
  c: Context,
  configuration: Pick<Configuration, 'get'>,
  routes: readonly unknown[] = [],
): Response | undefined {
  const brings = routes.some((route) => {
    const source = textOf(route);
    if (source === undefined) return false;
    const { id } = route as { id?: unknown };
    return typeof id !== 'string' || textOf(configuration.get(id)) !== source;
  });
  return brings ? demand(c, 'handlers:write') : undefined;
}

/** Likewise for changes that are planned. */
export function demandChangedHandlers(c: Context, changes: readonly ResourceChange[]): Response | undefined {
  const brings = changes.some(({ kind, before, after }) => {
    const source = kind === 'route' ? textOf(after) : undefined;
    return source !== undefined && source !== textOf(before);
  });
  return brings ? demand(c, 'handlers:write') : undefined;
}

/** Not its version, which somebody could have two texts share. */
function textOf(route: unknown): string | undefined {
  const handler = isMapping(route) ? (route.handler as HandlerOptions | undefined) : undefined;
  return isMapping(handler) && typeof handler.source === 'string' ? handler.source : undefined;
}
