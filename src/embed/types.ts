import type { Handler, HandlerOptions } from '../core/handler-types.ts';
import type { ServiceOptions } from '../core/pool-types.ts';
import type { Route } from '../core/types.ts';
import type { InstanceFigures, PoolFigures } from '../edge/messages.ts';
import type { EdgeSettings, ListenAddress } from '../edge/settings.ts';
import type { AddressFlip } from '../services/pool-health.ts';
import type { InstanceState } from '../services/services.ts';
import type { CertificateInfo, CertificateNews, CertificateOptions, OwnCertificate } from './certificate-types.ts';

/** Times in ms, sizes in bytes; `defaultEdgeSettings` says what each is for and has the defaults. */
export type EdgeLimits = Partial<
  Pick<
    EdgeSettings,
    | ('connectTimeoutMs' | 'headTimeoutMs' | 'responseTimeoutMs' | 'idleTimeoutMs' | 'keepAliveTimeoutMs')
    | ('upstreamIdleMs' | 'tunnelIdleMs' | 'minBodyRate')
    | ('maxHeadBytes' | 'maxFields' | 'maxTargetBytes' | 'maxUpstreamConnections')
  >
>;

/** A route, whose `handler` may be a function of this program. */
export interface EdgeRoute extends Omit<Route, 'handler'> {
  /** A text, or `file`, is looked up in `EdgeOptions.handlers`; `source` is not run here. It shares this process: one that never ends its turn stops all. */
  readonly handler?: Handler | string | HandlerOptions;
}

/** Services by their slugs, for targets such as `service://user-svc`: each with `target`, its instances, and how they are used. */
export type EdgeServices = Readonly<Record<string, ServiceOptions>>;

/** What happens, for logs and metrics. A hook that throws is left alone; none is waited for. */
export interface EdgeHooks {
  /** Probes have found an instance in another state. */
  readonly onHealth?: (flip: AddressFlip) => void;
  /** A certificate is there, is gone, or could not be had. */
  readonly onCertificate?: (news: CertificateNews) => void;
}

export interface EdgeOptions extends EdgeLimits {
  /** The first routes; `update` replaces them. */
  readonly routes: Iterable<EdgeRoute>;
  /** What a route's `handler: ./auth.mjs` stands for. */
  readonly handlers?: Readonly<Record<string, Handler>>;
  /** Default none; `setServices` replaces them. */
  readonly services?: EdgeServices;
  /** Default port 80 of all addresses; null: no plain HTTP. Port 0 takes any free one. */
  readonly http?: ListenAddress | null;
  /** Default null: no HTTPS, and plain HTTP is forwarded. With it plain HTTP leads to HTTPS, but for routes with `http: 'allow'`. */
  readonly https?: ListenAddress | null;
  /** Where HTTPS has its certificates from. Default: local names get theirs from a CA of this edge's own. */
  readonly certificates?: CertificateOptions;
  /** Addresses or CIDRs of proxies whose X-Forwarded-* are believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /**
   * Sign sticky cookies, the newest first; each at least 16 characters. Edges with the same ones send a client to the same instance.
   * Default: one at random.
   */
  readonly stickySecrets?: readonly string[];
  /** Takes one line of JSON a request, without its end. Default: there is no access log. */
  readonly accessLog?: (line: string) => void;
  /** Takes one line for a person, without time and end: 5xx answers, health, certificates. Default: standard error. */
  readonly log?: (line: string) => void;
  readonly hooks?: EdgeHooks;
}

/** Where an edge listens. 0: it does not. */
export interface EdgePorts {
  readonly httpPort: number;
  readonly httpsPort: number;
}

/** Of this edge, since it listens. */
export interface EdgeStats {
  /** Open connections of clients. */
  readonly clients: number;
  /** Connections whose TLS handshake is not done. */
  readonly handshakes: number;
  /** Open connections to upstreams. */
  readonly upstreams: number;
  /** Of routes and services that have had requests. */
  readonly pools: readonly PoolFigures[];
  readonly instances: readonly InstanceFigures[];
  /** Of all instances that are probed or ejected. */
  readonly health: readonly InstanceState[];
}

export interface EmbeddedEdge {
  /**
   * Opens the listeners; resolves when both take connections and all stored certificates are there. May be called again after it has rejected.
   * @throws EdgeListenError, and what the storage of certificates throws; nothing is left open then
   */
  listen(): Promise<EdgePorts>;
  /**
   * Takes other routes from here on; requests under way keep theirs, connections and what is known of instances stay. Where there is a handler that was
   * not there before, all of it is in force a moment later.
   * @throws TypeError for routes that are refused, with the faults as its `cause`; nothing has changed then
   */
  update(routes: Iterable<EdgeRoute>): void;
  /** Takes other services; resolves when requests go by them. @throws TypeError as `update`, as a rejection */
  setServices(services: EdgeServices): Promise<void>;
  /** Takes other certificates of one's own in place of those so far. Resolves when they are served. @throws TypeError as a rejection */
  setCertificates(own: readonly OwnCertificate[]): Promise<void>;
  /** All that are there or wanted, and names that get none. Empty without HTTPS. */
  certificates(): readonly CertificateInfo[];
  /** PEM of the local CA's root, for who is to trust it; made if there is none yet. @throws Error without HTTPS, or before `listen` */
  localRoot(): Promise<string>;
  stats(): EdgeStats;
  /**
   * Takes no new connections, lets requests under way end, then closes everything; no timer and no socket is left. A second call may shorten the time.
   * @param options.timeoutMs what is still under way then is cut; default `defaultEdgeSettings.drainTimeoutMs`
   */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
}
