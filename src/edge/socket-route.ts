import { defaultPoolSettings } from '../core/pool-compile.ts';
import { compileRoute } from '../core/routes.ts';
import type { CompiledRoute, Target } from '../core/types.ts';

/** A route of the edge's own, which leads to a unix socket. */
export interface SocketRoute {
  /** Of the route, for logs. */
  readonly id: string;
  /** Of its pool, for figures. */
  readonly name: string;
  readonly socketPath: string;
  /** The instance, as it is known and told. */
  readonly href: string;
  /** Keeps its connections apart from those of others. */
  readonly tag: Readonly<Record<string, unknown>>;
  /** Default: the edge's. */
  readonly responseTimeoutMs?: number;
}

/** Compiles it. Nobody probes its instance, nobody judges it. */
export function compileSocketRoute({ id, name, socketPath, href, tag, responseTimeoutMs }: SocketRoute): CompiledRoute {
  const route = compileRoute({ id: '*', target: 'http://localhost', responseTimeoutMs });
  if (Array.isArray(route)) throw new TypeError(route.map(({ message }) => message).join('; '));
  // The name is for HTTP/1.0, which may name no host; the socket decides where it goes.
  const target: Target = Object.freeze({
    tls: false,
    http2: false,
    hostname: '127.0.0.1',
    port: 80,
    authority: 'localhost',
    basePath: '',
    href,
    socketPath,
  });
  const ownTag = JSON.stringify({ outlier: false, ...tag });
  const instance = Object.freeze({ ...defaultPoolSettings.instance, outlier: null, tag: ownTag });
  const settings = Object.freeze({ ...defaultPoolSettings, instance });
  const targets = Object.freeze([Object.freeze({ target, weight: 1, priority: 0 })]);
  const pool = Object.freeze({ name, service: '', targets, settings, canary: null, gate: null });
  const forward = { kind: 'forward' as const, route: undefined as unknown as CompiledRoute };
  const compiled = Object.freeze({ ...route, id, pool, forward });
  forward.route = compiled;
  Object.freeze(forward);
  return compiled;
}
