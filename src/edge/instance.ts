import { createLoad, type Load } from '../core/balance-load.ts';
import type { InstanceSettings } from '../core/pool-types.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import { clock } from './clock.ts';
import type { Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import { UpstreamConnection } from './upstream.ts';
import { Http2Pool } from './upstream-pool.ts';

const forgetMs = 600_000;

/**
 * One upstream address with its live state: the open connections of this worker. Keyed by address, so that it outlives
 * the routes that name it: a change of configuration reuses its connections.
 */
export class Instance {
  readonly edge: Edge;
  readonly key: string;
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
  readonly settings: InstanceSettings;
  readonly load: Load = createLoad(true, 0);
  /** Connections that wait for a request; the one used last is on top, so that the rest can grow old. */
  readonly idle: UpstreamConnection[] = [];
  open = 0;
  /** Its TLS server has refused HTTP/1.1: everything goes over HTTP/2. */
  onlyHttp2 = false;
  /** Null until a request has needed it. */
  private http2: Http2Pool | null = null;
  private lastUsed = clock.now;

  constructor(edge: Edge, key: string, target: Target, insecureSkipVerify: boolean, settings: InstanceSettings) {
    this.edge = edge;
    this.key = key;
    this.target = target;
    this.insecureSkipVerify = insecureSkipVerify;
    this.settings = settings;
  }

  /**
   * An idle connection, or a new one that is being opened; undefined when the limit is reached.
   * @param fresh never one that was used before: after a reused one has died, and for a request that can't be repeated
   *   when the idle ones have waited so long that the upstream may be closing them just now
   * @param needsHttp2 as gRPC does. To an `https://` target other requests go over HTTP/1.1: it can be upgraded, keeps clients apart, and
   *   needs no guess at what the server speaks. A server that has none gets everything over HTTP/2
   */
  acquire(route: CompiledRoute, fresh: boolean, needsHttp2 = false): Upstream | undefined {
    this.lastUsed = clock.now;
    if (this.speaksHttp2(needsHttp2)) {
      this.http2 ??= new Http2Pool(this);
      return this.http2.acquire(route, fresh);
    }
    if (!fresh) {
      const idle = this.idle.pop();
      if (idle !== undefined) return idle;
    }
    if (this.open >= this.edge.settings.maxUpstreamConnections) {
      // Idle ones that this request may not have make room for it.
      const eldest = this.idle[0];
      if (eldest === undefined) return undefined;
      eldest.destroy();
    }
    return new UpstreamConnection(this, route.route.connectTimeoutMs ?? this.edge.settings.connectTimeoutMs);
  }

  private speaksHttp2(needed: boolean): boolean {
    const { target } = this;
    return target.http2 || (target.tls && (needed || this.onlyHttp2));
  }

  get inFlight(): number {
    return this.open - this.idle.length + (this.http2?.streams ?? 0);
  }

  /** It has no connection for another request, and may not open one. */
  get full(): boolean {
    if (this.speaksHttp2(false)) return !(this.http2?.available ?? true);
    return this.idle.length === 0 && this.open >= this.edge.settings.maxUpstreamConnections;
  }

  /**
   * Whether its most recently used connection has rested for less than `ms`. Over HTTP/2 it does not matter: a server that closes says
   * which requests it has not looked at.
   */
  restedLessThan(ms: number, now: number): boolean {
    if (this.speaksHttp2(false)) return true;
    const top = this.idle.at(-1);
    return top !== undefined && now - top.idleSince < ms;
  }

  /** No connection, and no request for so long that no route seems to name it any more. */
  isForgotten(now: number): boolean {
    return this.open === 0 && !this.http2?.connections.length && now - this.lastUsed > forgetMs;
  }

  /** Takes a dead connection out of the idle ones. */
  forget(connection: UpstreamConnection): void {
    this.open--;
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
  }
}
