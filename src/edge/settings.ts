import { availableParallelism } from 'node:os';

/** One bound address. Port 0 takes any free port. Without a host: all addresses, IPv6 and IPv4. */
export interface ListenAddress {
  readonly port: number;
  readonly host?: string;
}

/** Where handlers listen, in processes of their own. */
export interface HandlerSettings {
  /** Their sockets, and the workers', are there; nobody else may look into it. */
  readonly directory: string;
  /** The name, in lower case, of the field by which handlers and workers know each other; no one else can guess it. */
  readonly field: string;
}

/** What one edge needs to know. Times in ms, sizes in bytes; `defaultEdgeSettings` has every default. */
export interface EdgeSettings {
  readonly http: ListenAddress;
  /** Null: no HTTPS; plain HTTP is forwarded, not redirected. */
  readonly https: ListenAddress | null;
  /** The service port: built-in paths, and services by the first segment of the path. Null: none. */
  readonly service: ListenAddress | null;
  /** The unix socket where the main process answers the service port's built-in paths. */
  readonly builtInSocket: string;
  /** Null: no handlers are run; routes that have one answer 502. */
  readonly handlers: HandlerSettings | null;
  readonly workers: number;
  /** CIDRs or addresses of proxies in front whose X-Forwarded-* are believed. */
  readonly trustedProxies: readonly string[];
  readonly drainTimeoutMs: number;
  /** Time to open an upstream connection; a route may say otherwise. */
  readonly connectTimeoutMs: number;
  /** Time for a client to send a whole head, from its first byte or from the connection's start. */
  readonly headTimeoutMs: number;
  /** Time from a request fully sent to its response's head; a route may say otherwise. */
  readonly responseTimeoutMs: number;
  /** Longest silence inside a body, either way; a route may say otherwise. */
  readonly idleTimeoutMs: number;
  /** How long an idle client connection is kept. */
  readonly keepAliveTimeoutMs: number;
  /** How long an idle upstream connection is kept; an upstream's own Keep-Alive hint can only shorten it. */
  readonly upstreamIdleMs: number;
  /** Longest silence in a tunnel (WebSocket and other upgrades). */
  readonly tunnelIdleMs: number;
  /** After half a minute, a request body slower than this, in bytes a second, is cut; 0: never. */
  readonly minBodyRate: number;
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  readonly maxTargetBytes: number;
  /** Open connections to one instance, in one worker; past it requests are answered 503. */
  readonly maxUpstreamConnections: number;
  /** 'off', '-' for standard output, or a file that is appended to. */
  readonly accessLog: string;
}

export const defaultEdgeSettings: EdgeSettings = {
  http: { port: 80 },
  https: null,
  service: null,
  builtInSocket: '',
  handlers: null,
  workers: availableParallelism(),
  trustedProxies: [],
  drainTimeoutMs: 30_000,
  connectTimeoutMs: 5_000,
  headTimeoutMs: 30_000,
  responseTimeoutMs: 60_000,
  idleTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  upstreamIdleMs: 30_000,
  tunnelIdleMs: 3_600_000,
  minBodyRate: 240,
  maxHeadBytes: 32 * 1024,
  maxFields: 128,
  maxTargetBytes: 8 * 1024,
  maxUpstreamConnections: 1024,
  accessLog: 'off',
};

/** Longest head of an upstream's response, and its most fields; past them the answer is a 502. */
export const maxResponseHeadBytes = 64 * 1024;
export const maxResponseFields = 256;
/** Interim (1xx) responses passed on before the final one; more is an upstream gone wrong. */
export const maxInterimResponses = 16;
/** Bytes of pipelined requests held for one client before its socket is no longer read. */
export const maxStashBytes = 64 * 1024;
/** Pipelined requests of one client that are answered without a break for the others. */
export const maxRequestsPerTurn = 32;
/** How long what a client still sends is read and thrown away after a final answer, so that it sees the answer. */
export const lingerMs = 2_000;
/** After a drain begins, how long an idle client connection may still bring a request. */
export const drainGraceMs = 1_000;
