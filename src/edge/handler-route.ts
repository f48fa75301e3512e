import { defaultPoolSettings } from '../core/pool-compile.ts';
import { compileRoute } from '../core/routes.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import { handlerScheme } from './instance.ts';

/**
 * The route to a route's handler: its only target is the handler's socket.
 * @param key as `handlerKey` makes it
 */
export function compileHandlerRoute(id: string, key: string, socketPath: string): CompiledRoute {
  const route = compileRoute({ id: '*', target: 'http://localhost' });
  if (Array.isArray(route)) throw new TypeError(route.map(({ message }) => message).join('; '));
  const target: Target = Object.freeze({
    tls: false,
    http2: false,
    hostname: '127.0.0.1',
    port: 80,
    authority: 'localhost',
    basePath: '',
    href: `${handlerScheme}${id}`,
    socketPath,
  });
  // Nobody probes it, nobody judges it; the tag says so, and keeps it apart from other versions.
  const tag = JSON.stringify({ outlier: false, handler: key });
  const instance = Object.freeze({ ...defaultPoolSettings.instance, outlier: null, tag });
  const settings = Object.freeze({ ...defaultPoolSettings, instance });
  const targets = Object.freeze([Object.freeze({ target, weight: 1, priority: 0 })]);
  const pool = Object.freeze({ name: `handler ${id}`, service: '', targets, settings, canary: null, gate: null });
  const forward = { kind: 'forward' as const, route: undefined as unknown as CompiledRoute };
  const compiled = Object.freeze({ ...route, id, pool, forward });
  forward.route = compiled;
  Object.freeze(forward);
  return compiled;
}
