import type { AdmissionLimits } from './admission.ts';
import type { Balancing, Policy } from './balance-pool.ts';
import type { BreakerSettings } from './breaker.ts';
import type { GateOrder } from './gate-order.ts';
import type { HealthCheck } from './health-check.ts';
import type { OutlierSettings } from './outlier.ts';
import type { FailureStatuses } from './outlier-outcome.ts';
import type { RetryPolicy } from './retry.ts';
import type { Route, Target } from './types.ts';

/** One of several targets. */
export interface WeightedTarget {
  readonly url: string;
  /** Its share of the requests next to the others': whole, 0 (drained) to 1000. Default 1. */
  readonly weight?: number;
  /** 0 (default) is asked first; the next number only when too few of those before are healthy. Whole, to 100. */
  readonly priority?: number;
}

/** Where requests go: an address, several, or `service://slug`: the registered instances of a service. */
export type TargetSpec = string | readonly (string | WeightedTarget)[];

/** How requests are shared out among several targets, as it is written in a file; a policy's name is short for `{ policy }`. */
export interface BalanceOptions {
  /** Default power-of-two. */
  readonly policy?: Policy;
  /** With `hash`: whose value decides: `ip` (default), `header:NAME`, `cookie:NAME`. */
  readonly by?: string;
  /** A cookie keeps a client with its instance: true for the name `oo_sticky`, or a name. Default false. */
  readonly sticky?: boolean | string;
  readonly slowStartMs?: number;
  readonly minAvailable?: number;
  readonly panicThreshold?: number;
  readonly boundedLoad?: number;
}

/** How instances are probed, as it is written in a file; a path is short for `{ path }`. Defaults: `defaultHealthCheck`. */
export interface HealthOptions {
  /** Default http. */
  readonly kind?: HealthCheck['kind'];
  readonly path?: string;
  readonly method?: HealthCheck['method'];
  readonly host?: string;
  readonly port?: number;
  /** Such as `200-299,304`. */
  readonly statuses?: string;
  readonly bodyContains?: string;
  readonly grpcService?: string;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly rise?: number;
  readonly fall?: number;
  readonly degradedMs?: number;
}

/** When instances are ejected by what real requests meet. Defaults: `defaultOutlierSettings`. */
export interface OutlierOptions extends Partial<OutlierSettings> {
  /** Which of an instance's own statuses are failures. Default gateway: 502 to 504. */
  readonly statuses?: FailureStatuses;
}

/** How often and how long a request is tried. Defaults: `defaultRetryPolicy`. */
export interface RetryOptions extends Partial<RetryPolicy> {
  /** Retries as a part of the requests, 0 to 1. Default 0.2. */
  readonly budget?: number;
}

/** A part of the requests goes to another target first. */
export interface Canary {
  readonly target: TargetSpec;
  /** Of all requests, 0 to 100. Default 0. */
  readonly percent?: number;
  /** Requests with this header go there: `name=value`, or `name` for any value. */
  readonly header?: string;
}

/** What `oo deploy`, `pause` and `stop` have done. Saving a route or a definition without it leaves it as it is. */
export interface Rollout {
  /** Left out: it is open. */
  readonly gate?: Partial<GateOrder> & Pick<GateOrder, 'state'>;
  readonly canary?: Canary;
  /** Where `oo rollback` leads. */
  readonly previous?: TargetSpec;
}

/** What routes and services can say of their pool. Everything has a default. */
export interface PoolOptions {
  readonly balance?: Policy | BalanceOptions;
  /** Default: routes' targets are not probed; services' instances by a TCP connection. false: not at all. */
  readonly health?: false | string | HealthOptions;
  /** false: no instance is ejected. */
  readonly outlier?: boolean | OutlierOptions;
  /** Default: no breaker. */
  readonly breaker?: boolean | Partial<BreakerSettings>;
  readonly limits?: Partial<AdmissionLimits>;
  /** false: each request is tried once. */
  readonly retry?: boolean | RetryOptions;
  readonly rollout?: Rollout;
}

/** How an instance is watched and what it is given. Two routes with other settings have separate instances of one address. Frozen. */
export interface InstanceSettings {
  /** Null: it is not probed. */
  readonly check: HealthCheck | null;
  /** Null: it is never ejected. */
  readonly outlier: OutlierSettings | null;
  readonly failureStatuses: FailureStatuses;
  /** Null: none. */
  readonly breaker: BreakerSettings | null;
  /** Null: the server's. */
  readonly limits: AdmissionLimits | null;
  /** What is not by default, as text; '' for nothing. Part of the instance's key. */
  readonly tag: string;
}

/** Whose value decides, with `hash`. */
export type HashBy = { readonly kind: 'ip' } | { readonly kind: 'header' | 'cookie'; readonly name: string };

/** A pool's settings, proven, with all defaults. Frozen; pools without options share one object. */
export interface PoolSettings {
  readonly balancing: Balancing;
  readonly hashBy: HashBy;
  /** The cookie's name; '' for none. */
  readonly sticky: string;
  readonly instance: InstanceSettings;
  readonly retry: RetryPolicy;
  readonly retryBudget: number;
}

/** A target of a pool, parsed. */
export interface PoolTarget {
  readonly target: Target;
  readonly weight: number;
  readonly priority: number;
}

/** Either a service's slug, or targets of its own. */
export interface Members {
  /** '' where there are targets. */
  readonly service: string;
  /** Empty where `service` is set. */
  readonly targets: readonly PoolTarget[];
}

export interface CompiledCanary extends Members {
  readonly percent: number;
  /** Lower case; '' for none. */
  readonly headerName: string;
  /** '' for any value. */
  readonly headerValue: string;
}

/** The compiled form of what a route or a service says of its pool. Frozen. */
export interface PoolSpec extends Members {
  /** `route app.example.com` or `service user-svc`: in messages, logs and figures. */
  readonly name: string;
  readonly settings: PoolSettings;
  readonly canary: CompiledCanary | null;
  /** Null: open. */
  readonly gate: GateOrder | null;
}

/** What a definition says of a service's pool and of how it is forwarded to. */
export interface ServiceOptions
  extends PoolOptions,
    Pick<
      Route,
      | ('hostHeader' | 'insecureSkipVerify' | 'maxBodyBytes')
      | ('connectTimeoutMs' | 'responseTimeoutMs' | 'idleTimeoutMs')
    > {
  /** Instances that need not register; those that register are not used then. */
  readonly target?: TargetSpec;
}

/** A registered instance, as picking needs it. */
export interface ServiceMember {
  /** Normal form. */
  readonly url: string;
  readonly weight: number;
  readonly priority: number;
}

/** A service as workers know it. One that is known and has no members is answered 503, an unknown one 404. */
export interface ServiceState {
  readonly slug: string;
  readonly options: ServiceOptions;
  readonly members: readonly ServiceMember[];
}
