import type { Hono } from 'hono';
import type { PoolView } from '../core/explain-pool.ts';
import type { MatchExplanation } from '../core/explain-types.ts';
import type { FailureCode } from '../core/failure.ts';
import type { Handler, HandlerOptions } from '../core/handler-types.ts';
import type { Route } from '../core/types.ts';

/**
 * Compares a password with what `oo hash` has made of one.
 * @param hash `$scrypt$ln=15,r=8,p=3$…`; the costs are bounded
 * @returns false where they do not belong together; rejects if it can't be found out
 */
export type VerifyPassword = (password: string, hash: string) => Promise<boolean>;

/** A route, whose `handler` may be a function of this program. */
export interface ProxyRoute extends Omit<Route, 'handler'> {
  /** A text, or `file`, is looked up in `ProxyOptions.handlers`; `source` is not run here. */
  readonly handler?: Handler | string | HandlerOptions;
}

/** What happens, for logs and metrics. A hook that throws or rejects is left alone; none is waited for. */
export interface ProxyHooks {
  /** A response's head is on its way to the client. */
  readonly onResponse?: (exchange: ProxyExchange) => void;
  /** Told of every failure that is not the client's own, with its cause. */
  readonly onFailure?: (failure: ProxyFailure) => void;
  /** A target was ejected by what requests met there, or is back. */
  readonly onHealth?: (change: HealthChange) => void;
}

export interface ProxyExchange {
  readonly request: Request;
  readonly requestId: string;
  /** The route's id; '' where none matched. */
  readonly route: string;
  /** Where the response came from; '' for an answer of the proxy's own. */
  readonly target: string;
  readonly attempts: number;
  readonly status: number;
  /** From the request's arrival, ms. */
  readonly durationMs: number;
}

/** A failure with status 500 or more. */
export interface ProxyFailure {
  readonly code: FailureCode;
  readonly requestId: string;
  readonly route: ProxyRoute | undefined;
  readonly cause: unknown;
}

export interface HealthChange {
  readonly route: string;
  readonly target: string;
  readonly state: 'ejected' | 'back';
  /** `failures`, `unreachable`, `rate`, `probation`; '' for back. */
  readonly cause: string;
  /** For how long, ms; 0 for back. */
  readonly ejectedMs: number;
}

export interface ProxyOptions {
  /** The first routes; `update` replaces them. */
  readonly routes: Iterable<ProxyRoute>;
  /**
   * What routes may do beside forwarding, and what `explain` says of it: `routeOptions` for all of it. Default: a route with such an option is refused, `explain` is
   * brief, and the program is smaller.
   */
  readonly options?: RouteOptionsSupport;
  /** What a route's `handler: ./auth.mjs` stands for. */
  readonly handlers?: Readonly<Record<string, Handler>>;
  /** Default: the runtime's own. */
  readonly fetch?: typeof fetch;
  /** Addresses or CIDRs of proxies whose X-Forwarded-* are believed. Default: none. */
  readonly trustedProxies?: readonly string[];
  /**
   * The peer's address. Default: what @hono/node-server, Deno and Bun put into `env`. Elsewhere, and on Workers
   * (`(request) => request.headers.get('cf-connecting-ip') ?? undefined`), it must be given, or X-Forwarded-For stays out.
   */
  readonly clientIp?: (request: Request, env: unknown) => string | undefined;
  /**
   * Compares a password with a hash of `oo hash`, for routes with `basicAuth`. Default: by node:crypto, where the runtime has it; elsewhere such
   * routes are refused. A rejection lets nobody in.
   */
  readonly verifyPassword?: VerifyPassword;
  readonly hooks?: ProxyHooks;
  /** Epoch ms; for request ids and balancing. Default: the runtime's clock. */
  readonly now?: () => number;
  /** From 0 up to, not including, 1; for request ids and balancing. Default: the runtime's. */
  readonly random?: () => number;
}

/** Made by `routeOptions` alone. Opaque: it is there so that a bundler leaves out what is not imported. */
export interface RouteOptionsSupport {
  readonly kind: 'route options';
}

export interface ProxyApp {
  /** To be mounted in another Hono app (`app.route('/', proxy.app)`), or served by @hono/node-server. */
  readonly app: Hono;
  /** A handler as Deno, Bun, Workers and service workers take it. Never rejects. */
  fetch(request: Request, env?: unknown, context?: unknown): Promise<Response>;
  /** Takes other routes from here on; requests under way keep theirs. Throws a TypeError, and changes nothing, if one is refused. */
  update(routes: Iterable<ProxyRoute>): void;
  /** Which route and target a request would get, and why; nothing is sent. */
  explain(request: Request, env?: unknown): ProxyExplanation;
  /** What has happened since the start. */
  stats(): ProxyStats;
}

/** What `explain` says of a request. */
export interface ProxyExplanation {
  /** The route's id; '' for none. */
  readonly route: string;
  /** With which code it is answered where no route takes it; '' for none. */
  readonly code: FailureCode | '';
  /** With `options: routeOptions`: why this route, which others came near, and what was nearly meant. Else null. */
  readonly match: Omit<MatchExplanation, 'decision'> | null;
  /** With `options: routeOptions`: who would be picked, and why. Null where nothing is forwarded. */
  readonly pool: PoolView | null;
  /** Where it would be sent, with path and query, if that is certain; '' else. */
  readonly url: string;
  /** All of it for people, one line each. */
  readonly lines: readonly string[];
}

export interface ProxyStats {
  readonly requests: number;
  /** Responses that have not begun. */
  readonly inFlight: number;
  /** Answers of the proxy's own, by code. */
  readonly failures: Readonly<Partial<Record<FailureCode, number>>>;
  /** By route id, of routes that have had requests. */
  readonly routes: Readonly<Record<string, RouteStats>>;
}

export interface RouteStats {
  readonly requests: number;
  readonly retries: number;
  readonly targets: readonly TargetStats[];
}

export interface TargetStats {
  readonly target: string;
  readonly weight: number;
  readonly requests: number;
  readonly failures: number;
  readonly inFlight: number;
  /** Smoothed time to the response's head, ms; 0 before the first. */
  readonly latencyMs: number;
  readonly state: 'in use' | 'ejected' | 'drained';
}
