import type { FailureCode } from './failure.ts';
import type { CompiledOptions } from './option-compile.ts';
import type { RouteOptions } from './option-types.ts';
import type { PoolOptions, PoolSpec, TargetSpec } from './pool-types.ts';

/**
 * A route as it is saved, sent over the API and written in a file.
 * `id` is `host` or `host/path`; only `id` and `target` are required, and of a route that answers by itself (`redirect`, `respond`, `handler`) only `id`.
 */
export interface Route extends PoolOptions, RouteOptions {
  /** `app.example.com`, `app.example.com:8080`, `*.example.com`, `*`, each with or without `/path`. */
  readonly id: string;
  /**
   * `http://10.0.0.2:3000`, `https://…`, `h2c://…`, with or without a path; without a scheme it means `http://`. Or a list of them, with weights
   * and priorities; or `service://slug`. Left out only where `redirect`, `respond` or `handler` answers.
   */
  readonly target?: TargetSpec;
  /** Which Host the upstream sees: the client's (default) or the target's own. */
  readonly hostHeader?: 'client' | 'upstream';
  /** Accept any certificate of an `https://` target. Default false. */
  readonly insecureSkipVerify?: boolean;
  /** Time to open an upstream connection, ms. */
  readonly connectTimeoutMs?: number;
  /** Time from the whole request sent to the response's head, ms. */
  readonly responseTimeoutMs?: number;
  /** Longest silence inside a body, ms. */
  readonly idleTimeoutMs?: number;
  /** Longest request body, bytes; longer ones are answered 413. Default: no limit. */
  readonly maxBodyBytes?: number;
  /** What plain HTTP does where HTTPS is served: lead there (default), or be forwarded as well. */
  readonly http?: 'redirect' | 'allow';
  /** Strict-Transport-Security on HTTPS answers: true for a year, or the field's value. Default: not sent. */
  readonly hsts?: boolean | string;
  /** The kind of key of its automatic certificate. Default: what the server is told, ecdsa. */
  readonly keyType?: 'ecdsa' | 'rsa';
  /** Routes that name the same certificate get one for all their hosts. Default: one a host. */
  readonly certificate?: string;
  /** Whose it is: the label that `oo apply` gives what it makes, so that `--prune` takes away nobody else's. Kept by a save that does not say it. */
  readonly owner?: string;
}

/** A target, parsed once. */
export interface Target {
  readonly tls: boolean;
  /** HTTP/2 without TLS and without asking first: `h2c://`. */
  readonly http2: boolean;
  /** Name or address to connect to, IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** What a Host header for it says: default ports left out, IPv6 in brackets. */
  readonly authority: string;
  /** The target's own path, put before the request's: '' or '/base', never with a trailing slash. */
  readonly basePath: string;
  /** Normal form, `http://host:port/base`; equal targets have equal hrefs. */
  readonly href: string;
  /** A unix socket to connect to in place of name and port. */
  readonly socketPath?: string;
}

/** A route, proven and parsed: what the data path works with. Frozen. */
export interface CompiledRoute {
  readonly id: string;
  readonly route: Route;
  /** Host in normal form: lower case, no trailing dot, IPv6 in brackets; `*.example.com`; `*`. */
  readonly host: string;
  /** The port that the id names, or 0. */
  readonly port: number;
  /** '' for the whole host, else '/app', never with a trailing slash. */
  readonly prefix: string;
  /** Where its requests go, and how. */
  readonly pool: PoolSpec;
  /** The line that HTTPS answers get, with its CRLF; '' for none. */
  readonly hstsLine: string;
  /** Null where it only forwards, as most do. */
  readonly options: CompiledOptions | null;
  /** The decision "forward to this route", made once so that a request allocates nothing. */
  readonly forward: ForwardDecision;
}

export type Scheme = 'http' | 'https';

export interface ForwardDecision {
  readonly kind: 'forward';
  readonly route: CompiledRoute;
}

export interface ReplyDecision {
  readonly kind: 'reply';
  readonly code: FailureCode;
}

/** What the core says of one request. */
export type Decision = ForwardDecision | ReplyDecision;

/** Why a route was refused: which field, and what was expected. */
export interface RouteFault {
  /** The route's place in the list that was given, from 0. */
  readonly index: number;
  readonly id: string;
  readonly field: keyof Route;
  readonly message: string;
}

/** Which fields of a message are not sent on as they came. Names are in lower case and compared so. */
export interface FieldPlan {
  /** Fields that end here. */
  readonly drop: readonly string[];
  /** Fields whose names start so end here as well. */
  readonly dropPrefixes: readonly string[];
  /** Fields that end here, and whose values are given to the caller. */
  readonly capture: readonly string[];
  /** Whether fields with `_` in their name are sent on: upstreams that map `-` to `_` take one for the other. */
  readonly keepUnderscores: boolean;
}

/** A change of the configuration, as it is stored, sent to workers, and read back from other servers. */
export interface RouteChange {
  readonly revision: number;
  /** The revision that it changes: whoever has another one loads everything. */
  readonly base: number;
  /** Added or replaced. */
  readonly save: readonly Route[];
  /** Ids in normal form. */
  readonly remove: readonly string[];
}
