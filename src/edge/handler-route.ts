import type { CompiledRoute } from '../core/types.ts';
import { handlerScheme } from './instance.ts';
import { compileSocketRoute } from './socket-route.ts';

/**
 * The route to a route's handler: its only target is the handler's socket.
 * @param key as `handlerKey` makes it
 */
export function compileHandlerRoute(id: string, key: string, socketPath: string): CompiledRoute {
  const href = `${handlerScheme}${id}`;
  return compileSocketRoute({ id, name: `handler ${id}`, socketPath, href, tag: { handler: key } });
}
