import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type { Fault } from './schema.ts';

/** What the configuration is made of. A service is its definition. Settings are one thing, with the id `server`. */
export type ResourceKind = 'route' | 'service' | 'settings';

/** What is set for all servers of a database, in force at once. Each left out: its default. */
export interface StoredSettings {
  /** How many revisions of the history are kept: whole, 1 to 100,000. Default 1,000. */
  readonly historyRevisions?: number;
  /** How many of the requests last seen a worker keeps, for `oo apply --dry-run`: whole, 0 (none) to 100,000. Default 2,000. */
  readonly recentRequests?: number;
  /** Requests that the API takes from one address in a minute: whole, 1 or more. Default 6,000. */
  readonly apiRequestsPerMinute?: number;
  /** How many writes the audit log keeps, the newest: whole, 100 to 1,000,000. Default 10,000. */
  readonly auditEntries?: number;
}

export type ResourceValue = Route | Definition | StoredSettings;

/** What a revision did to one thing. */
export interface ResourceChange {
  readonly kind: ResourceKind;
  readonly id: string;
  /** Null: it was not there. */
  readonly before: ResourceValue | null;
  /** Null: it is gone. */
  readonly after: ResourceValue | null;
}

/** A certificate of one's own, as `apply` takes it: both in PEM. */
export interface OwnCertificate {
  /** Default: the first name of the certificate. */
  readonly id?: string;
  /** The leaf first. */
  readonly cert: string;
  readonly key: string;
}

/** The whole, or a part, of a configuration as it is wanted. What is left out stays as it is, unless `prune` takes it away. */
export interface ApplyRequest {
  readonly routes?: readonly unknown[];
  readonly services?: readonly unknown[];
  readonly settings?: unknown;
  readonly certificates?: readonly OwnCertificate[];
  /** The label that what is made gets, and that `prune` goes by. */
  readonly owner?: string;
  /** Removes routes and services of the same owner that the request does not have. Needs `owner`. */
  readonly prune?: boolean;
}

/** What an apply did, or would do. */
export interface Applied {
  /** The one that it made; without any change, or with `dryRun`, the present one. */
  readonly revision: number;
  readonly changes: readonly ResourceChange[];
  /** How many things are as they are wanted already. */
  readonly unchanged: number;
  /** Ids of own certificates that were stored, or would be. */
  readonly certificates: readonly string[];
}

/** A revision, as the history lists it. */
export interface RevisionInfo {
  readonly revision: number;
  /** Epoch ms. */
  readonly at: number;
  readonly actor: string;
  /** An address, `socket`, or '' where it is not known. */
  readonly from: string;
  /** '' for none. */
  readonly reason: string;
  /** How many things it changed. */
  readonly changes: number;
}

/** The whole configuration of one revision. */
export interface ConfigurationState {
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly services: readonly Definition[];
  readonly settings: StoredSettings;
}

/** Revisions that there were, as far back as they are kept. All reject with a StoreFailure. */
export interface History {
  /** The newest first. @param before only older ones than this @param limit 1 to 1,000 */
  list(limit: number, before?: number): Promise<readonly RevisionInfo[]>;
  /** What a revision changed, by kind and id; undefined: it is not kept, or there is none yet. */
  revision(revision: number): Promise<(RevisionInfo & { readonly resources: readonly ResourceChange[] }) | undefined>;
  /** All as it was then; undefined likewise. */
  at(revision: number): Promise<ConfigurationState | undefined>;
  /** What leads from one revision to another, forwards or back; undefined likewise, of either. */
  between(from: number, to: number): Promise<readonly ResourceChange[] | undefined>;
}

/** Which thing of an `ApplyRequest` a fault is of; `request`: of none, but of the request's own `field`. */
export interface ApplyFault extends Fault {
  readonly kind: ResourceKind | 'certificate' | 'request';
}

/** Nothing was stored. */
export interface ApplyRefused {
  readonly faults: readonly ApplyFault[];
}

/** Where own certificates are kept: not in the configuration's store, so `apply` is given this. */
export interface OwnCertificates {
  /** Proves all of them. @returns their ids, in the list's order, or what is wrong */
  check(list: readonly OwnCertificate[]): Promise<{ readonly ids: readonly string[] } | ApplyRefused>;
  /** Stores all of them, or rejects and stores none. Resolves when they are served. */
  store(list: readonly OwnCertificate[]): Promise<unknown>;
}
