import type { OptionStep } from '../core/explain-options.ts';
import type { PoolView } from '../core/explain-pool.ts';
import type { FieldsView } from '../core/explain-request.ts';
import type { Reading, RunnerUp } from '../core/explain-types.ts';

/** What is asked about: a request as a client would send it. */
export interface ExplainRequest {
  /** `https://app.example.com/api`; without a scheme it is https where that is served. */
  readonly url: string;
  /** Default GET. */
  readonly method?: string;
  /** By name, in any case; Host takes the place of the URL's. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The client's address. Default 127.0.0.1. */
  readonly from?: string;
  /** A revision: routes and definitions as they were then. Default: as they are. */
  readonly at?: number;
}

/** What becomes of it. */
export interface OutcomeView {
  /** `none`: nobody takes it; `refused`: somebody does, and answers with a failure. */
  readonly kind: 'forwarded' | 'waits' | 'redirected' | 'answered' | 'refused' | 'none';
  /** It is forwarded, or answered as its route wants. */
  readonly ok: boolean;
  /** Of the answer that oo gives; 0 where the upstream answers. */
  readonly status: number;
  /** The failure's code; '' for none. */
  readonly code: string;
  /** One line. */
  readonly text: string;
}

/** Who takes the connection. */
export interface ListenerView {
  readonly name: 'http' | 'https' | 'service' | 'none';
  /** Ours; 0 for none. */
  readonly port: number;
  readonly text: string;
  /** Where plain HTTP leads to; '' for nowhere. */
  readonly leadsTo: string;
}

/** What is shown to a TLS client that names this host. */
export interface CertificateView {
  /** '' for none. */
  readonly id: string;
  /** `served`; `expired`: it is served, and no client takes it; `waiting`: there is none yet; `none`: none is wanted, or can be had. */
  readonly state: 'served' | 'expired' | 'waiting' | 'none';
  readonly names: readonly string[];
  /** ISO 8601; '' for none. */
  readonly notAfter: string;
  readonly issuer: string;
  readonly text: string;
}

export interface MatchView {
  /** Its id; '' for none. */
  readonly route: string;
  readonly why: string;
  readonly runnersUp: readonly RunnerUp[];
  readonly more: number;
  readonly readings: readonly Reading[];
  readonly misses: readonly string[];
}

/** What the upstream gets. */
export interface UpstreamView extends FieldsView {
  readonly method: string;
  /** Path and query, where the target has no path of its own. */
  readonly target: string;
  /** '' where it is the chosen target's. */
  readonly host: string;
  /** Names that the route's rules take out, in lower case. */
  readonly removed: readonly string[];
  /** Fields that the route's rules put in. */
  readonly put: readonly { readonly name: string; readonly value: string }[];
}

/** The instances that it may go to. */
export interface PoolSideView extends PoolView {
  /** `route app.example.com`, `service user-svc`. */
  readonly name: string;
}

export interface RouteView {
  readonly id: string;
  /** In words: `http://10.0.0.2:3000`, `service://user-svc`; '' where it answers by itself. */
  readonly target: string;
  /** The service that it leads to; '' for none. */
  readonly service: string;
  /** `open`, `paused`, `stopped`, with whose it is. */
  readonly gate: { readonly state: 'open' | 'paused' | 'stopped'; readonly of: string; readonly text: string };
  readonly main: PoolSideView;
  /** Null: there is none. */
  readonly canary:
    | (PoolSideView & { readonly percent: number; readonly text: string; readonly certain: boolean })
    | null;
  /** What of the request leads to its instance: sticky cookie, hash key. One line each. */
  readonly choice: readonly string[];
}

/** One limit, and who says so. */
export interface LimitView {
  /** `connectTimeoutMs`, `retry.tries` … */
  readonly name: string;
  readonly value: number;
  /** `route`, `service`, `server`: its default. */
  readonly from: 'route' | 'service' | 'server';
}

/** Everything that decides about one request, in the order in which it is met. */
export interface Explanation {
  readonly revision: number;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly host: string;
    readonly path: string;
    /** The client, behind a trusted proxy what that says. */
    readonly client: string;
    /** Who says so is believed. */
    readonly trusted: boolean;
  };
  readonly outcome: OutcomeView;
  readonly listener: ListenerView;
  /** Null: it is not HTTPS. */
  readonly certificate: CertificateView | null;
  readonly match: MatchView;
  readonly options: readonly OptionStep[];
  /** Null: it is not forwarded. */
  readonly upstream: UpstreamView | null;
  readonly pool: RouteView | null;
  readonly limits: readonly LimitView[];
  /** One line: when a failed attempt is repeated; '' where it is not forwarded. */
  readonly retries: string;
}

/** What of the server decides, beside its configuration. */
export interface ServerFacts {
  /** Ports; 0 for none. */
  readonly http: number;
  readonly https: number;
  readonly service: number;
  /** The client's address is that of a proxy whose word counts. */
  readonly trustedProxies: readonly string[];
  readonly connectTimeoutMs: number;
  readonly responseTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly tunnelIdleMs: number;
}

/** What cannot be explained, and why: the caller's doing. */
export interface Unexplained {
  readonly error: string;
  readonly hint: string;
  /** 404: that revision is not there. */
  readonly status: 400 | 404;
}
