import type { Pickable } from '../core/balance.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import { UpstreamConnection } from './upstream.ts';

const forgetMs = 600_000;

/**
 * One upstream address with its live state: the open connections of this worker. Keyed by address, so that it outlives
 * the routes that name it: a change of configuration reuses its connections.
 */
export class Instance implements Pickable {
  readonly edge: Edge;
  readonly key: string;
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
  /** Connections that wait for a request; the one used last is on top, so that the rest can grow old. */
  readonly idle: UpstreamConnection[] = [];
  open = 0;
  private lastUsed = clock.now;

  constructor(edge: Edge, key: string, target: Target, insecureSkipVerify: boolean) {
    this.edge = edge;
    this.key = key;
    this.target = target;
    this.insecureSkipVerify = insecureSkipVerify;
  }

  /**
   * An idle connection, or a new one that is being opened; undefined when the limit is reached.
   * @param fresh never one that was used before: after a reused one has died, and for a request that can't be repeated
   *   when the idle ones have waited so long that the upstream may be closing them just now
   */
  acquire(route: CompiledRoute, fresh: boolean): UpstreamConnection | undefined {
    this.lastUsed = clock.now;
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

  get inFlight(): number {
    return this.open - this.idle.length;
  }

  /** It has, or may open, a connection for another request. */
  get available(): boolean {
    return this.idle.length > 0 || this.open < this.edge.settings.maxUpstreamConnections;
  }

  /** Whether its most recently used connection has rested for less than `ms`. */
  restedLessThan(ms: number, now: number): boolean {
    const top = this.idle.at(-1);
    return top !== undefined && now - top.idleSince < ms;
  }

  /** No connection, and no request for so long that no route seems to name it any more. */
  isForgotten(now: number): boolean {
    return this.open === 0 && now - this.lastUsed > forgetMs;
  }

  /** Takes a dead connection out of the idle ones. */
  forget(connection: UpstreamConnection): void {
    this.open--;
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
  }
}

/** Routes whose targets are the same address, reached the same way, share one instance. */
export function instanceKey(route: CompiledRoute): string {
  const { tls, authority } = route.target;
  if (!tls) return `http://${authority}`;
  return route.route.insecureSkipVerify ? `https+insecure://${authority}` : `https://${authority}`;
}
