import { shareOf } from '../core/admission.ts';
import { createLoad, type Load } from '../core/balance-load.ts';
import { Breaker } from '../core/breaker.ts';
import type { InstanceFigures } from '../core/figures.ts';
import { Outlier } from '../core/outlier.ts';
import type { Outcome } from '../core/outlier-outcome.ts';
import type { InstanceSettings } from '../core/pool-types.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import { clock, nowMs } from './clock.ts';
import type { Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import type { EdgePool } from './pool.ts';
import { UpstreamConnection } from './upstream.ts';
import { Http2Pool } from './upstream-pool.ts';

const forgetMs = 600_000;
/** What the href of a handler begins with; no target of a route does. */
export const handlerScheme = 'handler:';

/**
 * One upstream address with its live state: the open connections of this worker, and what it knows of how it does. Keyed by address, so
 * that it outlives the routes that name it: a change of configuration reuses its connections.
 */
export class Instance {
  readonly edge: Edge;
  readonly key: string;
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
  readonly settings: InstanceSettings;
  /** One of those that the target's name has; '' for whichever, and where it is an address itself. */
  readonly address: string;
  /** It is a handler: whoever runs it says when it takes too long. */
  readonly isHandler: boolean;
  readonly load: Load = createLoad(true, Number.NEGATIVE_INFINITY);
  /** The pools of this worker that it is in. */
  readonly pools = new Set<EdgePool>();
  /** Probes don't reach it. */
  down = false;
  /** Null where nothing is judged by what requests meet: it is alone, or that was asked for. */
  outlier: Outlier | null = null;
  readonly breaker: Breaker | null;
  /** Attempts that have come to something, and of those the ones that failed. */
  requests = 0;
  failures = 0;
  /** Connections that wait for a request; the one used last is on top, so that the rest can grow old. */
  readonly idle: UpstreamConnection[] = [];
  open = 0;
  /** Its TLS server has refused HTTP/1.1: everything goes over HTTP/2. */
  onlyHttp2 = false;
  /** Null until a request has needed it. */
  private http2: Http2Pool | null = null;
  private lastUsed = clock.now;
  /** This worker's part of the limit on requests at one time. */
  private readonly maxInFlight: number;
  private readonly maxOpen: number;

  constructor(
    edge: Edge,
    key: string,
    target: Target,
    insecureSkipVerify: boolean,
    settings: InstanceSettings,
    address = '',
  ) {
    const { count, index } = edge.place;
    this.edge = edge;
    this.key = key;
    this.target = target;
    this.insecureSkipVerify = insecureSkipVerify;
    this.settings = settings;
    this.address = address;
    this.isHandler = target.href.startsWith(handlerScheme);
    this.breaker = settings.breaker === null ? null : new Breaker(settings.breaker);
    this.maxInFlight =
      settings.limits === null ? Number.POSITIVE_INFINITY : shareOf(settings.limits.maxConnections, count, index);
    this.maxOpen = Math.min(this.maxInFlight, edge.settings.maxUpstreamConnections);
  }

  /** What logs call it: without its settings. */
  get label(): string {
    const { key, settings, target } = this;
    if (target.socketPath !== undefined) return target.href;
    return settings.tag === '' ? key : key.slice(0, key.length - settings.tag.length - 1);
  }

  /**
   * An idle connection, or a new one that is being opened; undefined when the limit is reached.
   * @param fresh never one that was used before: after a reused one has died, and for a request that can't be repeated
   *   when the idle ones have waited so long that the upstream may be closing them just now
   * @param needsHttp2 as gRPC does. To an `https://` target other requests go over HTTP/1.1: it can be upgraded, keeps clients apart, and
   *   needs no guess at what the server speaks. A server that has none gets everything over HTTP/2
   * @returns undefined also while its breaker is open; each other one must be followed by exactly one `observe`
   */
  acquire(route: CompiledRoute, fresh: boolean, needsHttp2 = false): Upstream | undefined {
    const { breaker } = this;
    this.lastUsed = clock.now;
    if (breaker === null) return this.connect(route, fresh, needsHttp2);
    const now = nowMs();
    const up = breaker.allows(now) ? this.connect(route, fresh, needsHttp2) : undefined;
    if (up !== undefined) breaker.enter(now);
    return up;
  }

  private connect(route: CompiledRoute, fresh: boolean, needsHttp2: boolean): Upstream | undefined {
    if (this.speaksHttp2(needsHttp2)) {
      if (this.inFlight >= this.maxInFlight) return undefined;
      this.http2 ??= new Http2Pool(this);
      return this.http2.acquire(route, fresh);
    }
    if (!fresh) {
      const idle = this.idle.pop();
      if (idle !== undefined) return idle;
    }
    if (this.open >= this.maxOpen) {
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

  /** No further request can be sent to it now. */
  get full(): boolean {
    return this.busy || this.shut;
  }

  /** Its breaker is open: nobody waits for that. */
  get shut(): boolean {
    return this.breaker !== null && !this.breaker.allows(nowMs());
  }

  /** It has no connection for another request, and may not open one. */
  get busy(): boolean {
    if (this.speaksHttp2(false)) return this.inFlight >= this.maxInFlight || !(this.http2?.available ?? true);
    return this.idle.length === 0 && this.open >= this.maxOpen;
  }

  // ---- how it does

  /** A pool has it among its members. @param shared beside others */
  join(pool: EdgePool, shared: boolean): void {
    this.pools.add(pool);
    if (!shared || this.outlier !== null || this.settings.outlier === null) return;
    this.outlier = new Outlier(this.settings.outlier);
    this.edge.pools.judge(this);
  }

  /** Takes in what one attempt came to. @param startedAt when that began, ms of the clock of `now` */
  observe(outcome: Outcome, startedAt: number, now: number): void {
    this.breaker?.observe(outcome, startedAt, now);
    if (outcome === 'ignored') return;
    this.requests++;
    if (outcome !== 'ok') this.failures++;
    const cause = this.outlier?.observe(outcome, startedAt, now);
    if (cause !== undefined) this.edge.pools.suspect(this, cause);
  }

  figures(now: number): InstanceFigures {
    const { key, requests, failures, inFlight, open, breaker, load } = this;
    const state = breaker === null ? '' : breaker.stateAt(now);
    return {
      key,
      requests,
      failures,
      inFlight,
      open,
      breaker: state,
      latencyMs: load.latencyMs < 0 ? load.lastMs : load.latencyMs,
    };
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

  /** It is in no pool, has no connection, and for long had no request. */
  isForgotten(now: number): boolean {
    return (
      this.pools.size === 0 && this.open === 0 && !this.http2?.connections.length && now - this.lastUsed > forgetMs
    );
  }

  /** Takes a dead connection out of the idle ones. */
  forget(connection: UpstreamConnection): void {
    this.open--;
    const at = this.idle.indexOf(connection);
    if (at >= 0) this.idle.splice(at, 1);
    this.edge.pools.free(this);
  }
}
