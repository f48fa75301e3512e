import type { Challenge, ServedCertificate } from '../certs/types.ts';
import type { WorkerFigures } from '../core/figures.ts';
import type { RequestHead } from '../core/impact.ts';
import type { Ejection, OutlierCause } from '../core/outlier.ts';
import type { ServiceState } from '../core/pool-types.ts';
import type { Route } from '../core/types.ts';
import type { EdgeSettings } from './settings.ts';

export type { InstanceFigures, PoolFigures, WorkerFigures } from '../core/figures.ts';

/** What a worker can't know by itself, and asks before it refuses a handshake or a request. */
export type Question =
  /** A host under a wildcard route that has no certificate: may one be had now? */
  | { readonly what: 'certificate'; readonly name: string }
  /** Challenges that another server on the same database may have put there. */
  | { readonly what: 'http-01'; readonly token: string }
  | { readonly what: 'tls-alpn-01'; readonly name: string };

/** A change of what TLS works with. Keys of sessions are replaced as a whole, unless null. */
export interface TlsChange {
  readonly save: readonly ServedCertificate[];
  /** Ids of certificates. */
  readonly remove: readonly string[];
  readonly challenges: readonly Challenge[];
  /** Keys as `challengeKey` makes them. */
  readonly endedChallenges: readonly string[];
  readonly ticketKeys: readonly string[] | null;
}

/** A change of what is known of services and instances. */
export interface PoolsChange {
  /** Added or replaced. */
  readonly services: readonly ServiceState[];
  /** Slugs that are unknown from now on. */
  readonly gone: readonly string[];
  /** Keys (`instanceKey`) of instances that probes have found down. */
  readonly down: readonly string[];
  /** Those that are up again. All that were never named are up. */
  readonly up: readonly string[];
  /** By key: out from now on, for as long as it says. */
  readonly ejected: readonly (readonly [key: string, ejection: Ejection])[];
  /** Keys of those that are back before their time. */
  readonly lifted: readonly string[];
}

/** A worker holds an instance for an outlier; the main process judges. */
export interface Suspicion {
  readonly key: string;
  readonly cause: OutlierCause;
  /** The keys in each pool that the instance is in, as this worker has them: its own among them. */
  readonly pools: readonly (readonly string[])[];
}

/** What one instance has met in one worker since that began, `[requests, failures]`. */
export type OutcomeCounts = readonly [key: string, total: number, failed: number];

/** Which of how many workers this is. */
export interface WorkerPlace {
  readonly index: number;
  readonly count: number;
}

/** From the main process to a worker. */
export type ToWorker =
  | {
      readonly type: 'start';
      readonly settings: EdgeSettings;
      readonly place: WorkerPlace;
      /** Signs sticky cookies, the newest first; base64. */
      readonly secrets: readonly string[];
    }
  /** Takes effect at once. `whole`: it replaces all that was. */
  | { readonly type: 'pools'; readonly number: number; readonly whole: boolean; readonly change: PoolsChange }
  | { readonly type: 'figures'; readonly id: number }
  /** Asks for the heads of the last requests. */
  | { readonly type: 'recent'; readonly id: number }
  /** How many of them are kept from now on. */
  | { readonly type: 'keep-recent'; readonly size: number }
  /** One part of a change; `last` makes it take effect. `whole`: it replaces all that was. */
  | {
      readonly type: 'routes';
      readonly whole: boolean;
      readonly save: readonly Route[];
      readonly remove: readonly string[];
      readonly revision: number;
      readonly last: boolean;
    }
  /** Takes effect at once; parts of one change have one number. */
  | { readonly type: 'tls'; readonly number: number; readonly change: TlsChange }
  /** To a question: whether to look again. */
  | { readonly type: 'answer'; readonly id: number; readonly yes: boolean }
  /** The handler of that key (`handlerKey`) does not react, and is ended now: requests that wait for it get 504. */
  | { readonly type: 'handler-hung'; readonly key: string }
  | { readonly type: 'drain'; readonly timeoutMs: number };

/** Listeners, as the settings name them. */
export type Listener = 'http' | 'https' | 'service';

/** From a worker to the main process. */
export type FromWorker =
  | { readonly type: 'listening'; readonly port: number; readonly httpsPort: number }
  | { readonly type: 'applied'; readonly revision: number }
  | { readonly type: 'tls-applied'; readonly number: number }
  | { readonly type: 'pools-applied'; readonly number: number }
  | { readonly type: 'ask'; readonly id: number; readonly question: Question }
  | { readonly type: 'suspect'; readonly suspicion: Suspicion }
  /** Once a second, where there is any news: what has been counted since the last time. */
  | { readonly type: 'outcomes'; readonly counts: readonly OutcomeCounts[] }
  | { readonly type: 'figures'; readonly id: number; readonly figures: WorkerFigures }
  | { readonly type: 'recent'; readonly id: number; readonly heads: readonly RequestHead[] }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly listener: Listener };

/** Names the role of a child process. */
export const workerVariable = 'OO_WORKER';
