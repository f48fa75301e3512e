import type { StoredHealth } from '../core/health.ts';

export type { Clock } from '../clock.ts';

/** What `oo instance ls` says of an instance: the seed's words. Unknown: not probed yet. */
export type InstanceStatus = 'Healthy' | 'Degraded' | 'Unreachable' | 'Unknown';

/** One running copy of a service, as it registered. Frozen: a change makes a new one. */
export interface Instance {
  readonly id: string;
  /** Whose it is: the service's name, from the token. */
  readonly slug: string;
  /** Normal form, `http://host:port/path`; `http`, `https` or `h2c`. One slug has it once. */
  readonly url: string;
  readonly scheme: string;
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  /** '' where the host is a name and no address was given. */
  readonly ip: string;
  readonly port: number;
  /** Put before the request's path: '' or '/base'. */
  readonly path: string;
  /** '' for none. */
  readonly deploymentId: string;
  /** The server where it registered. */
  readonly nodeUrl: string;
  readonly tags: readonly string[];
  /** How long it lives after a heartbeat, ms. */
  readonly ttlMs: number;
  /** Its share of the requests, next to others' of its service: 1 to 1000. */
  readonly weight: number;
  /** 0 is asked first; the next number only when those before are down. */
  readonly priority: number;
  /** Epoch ms. */
  readonly createdAt: number;
}

/** An instance with what changes all the time. */
export interface InstanceView extends Instance {
  /** Epoch ms. */
  readonly lastHeartbeat: number;
  readonly status: InstanceStatus;
  /** Why it has this status, one line; '' for nothing to say. */
  readonly details: string;
  /** Since when, epoch ms. */
  readonly statusSince: number;
}

/** What an instance sends to register, and again as its heartbeat: `url`, or `host` or `ip` with the rest. */
export interface Registration {
  readonly url?: string;
  /** Default: made of slug and url, so that registering again is the same instance. */
  readonly id?: string;
  readonly deploymentId?: string;
  /** Default http. */
  readonly scheme?: string;
  readonly host?: string;
  readonly ip?: string;
  /** Default: the scheme's. */
  readonly port?: number;
  readonly path?: string;
  readonly tags?: readonly string[];
  /** Seconds. Default 90: three heartbeats of 30 s. */
  readonly ttlSeconds?: number;
  readonly weight?: number;
  readonly priority?: number;
}

/** Why a request was not done. */
export interface Refusal {
  /** invalid: 400; taken: 409, another service has this id; full: 429, over a limit; unknown: 404. */
  readonly code: 'invalid' | 'taken' | 'full' | 'unknown';
  /** The request's field, '' for all of it. */
  readonly field: string;
  /** What is wrong, and what was expected. */
  readonly fault: string;
  /** What to do next. */
  readonly hint: string;
}

export interface InstanceFilter {
  readonly slug?: string;
  readonly host?: string;
  readonly ip?: string;
  readonly deploymentId?: string;
  readonly path?: string;
}

/** A machine that runs oo. */
export interface Node {
  readonly id: string;
  readonly url: string;
  /** Availability zone; '' for none. */
  readonly az: string;
  /** Epoch ms. */
  readonly lastHeartbeat: number;
}

/** What a person says of a service, whether instances of it run or not. Its id is the slug. Other fields are kept as they came. */
export interface Definition {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** An instance as a worker needs it. */
export interface PoolMember {
  readonly id: string;
  readonly url: string;
  readonly weight: number;
  readonly priority: number;
  readonly status: InstanceStatus;
  /** Why, as of its last change of status; '' for nothing to say. */
  readonly details: string;
  readonly statusSince: number;
  /** When it first registered, epoch ms: for slow start. */
  readonly createdAt: number;
}

/** A service's instances. Without members it is known and has none: 503, while an unknown slug is 404. */
export interface ServicePool {
  readonly slug: string;
  /** In the order of their ids, so that all workers number them alike. */
  readonly members: readonly PoolMember[];
}

/** What has changed since the last time: whole pools, and slugs that are unknown from now on. */
export interface PoolChanges {
  readonly pools: readonly ServicePool[];
  readonly gone: readonly string[];
}

/** A row of the registry in the database. */
export type RegistryRow =
  | { readonly kind: 'instance'; readonly id: string; readonly value: InstanceView }
  | { readonly kind: 'node'; readonly id: string; readonly value: Node };

export type RegistryWrite =
  | { readonly do: 'put'; readonly row: RegistryRow }
  /** What changes all the time, of an instance's row that is there; of one that is not, nothing: it has left. */
  | ({ readonly do: 'beat'; readonly id: string } & Pick<
      InstanceView,
      'lastHeartbeat' | 'status' | 'details' | 'statusSince'
    >)
  /** @property unlessBeatenSince only if its heartbeat is not later than this: another server may have heard of it */
  | {
      readonly do: 'remove';
      readonly kind: RegistryRow['kind'];
      readonly id: string;
      readonly unlessBeatenSince?: number;
    };

export interface RegistryChanges {
  /** For the next `read`: grows with every write. */
  readonly version: number;
  /** These rows are all that there are: what is not among them is gone. */
  readonly whole: boolean;
  readonly rows: readonly RegistryRow[];
  /** Empty where `whole`. A row that was removed and put again is only in `rows`. */
  readonly removed: readonly { readonly kind: RegistryRow['kind']; readonly id: string }[];
}

/** Where the registry outlives a restart, and where servers that share a database meet. */
export interface RegistryStore {
  /** What has changed after this version; all rows for 0, or where removed rows of that time are forgotten. @throws StoreFailure */
  read(since: number): Promise<RegistryChanges>;
  /** All or nothing, in this order. @throws StoreFailure */
  write(writes: readonly RegistryWrite[]): Promise<void>;
  /**
   * Only where other servers may write too: looks twice a second, and calls back when the stored version is another than `known()`,
   * this server's own writes included. A failed `onVersion` is called again, ever more slowly.
   * @param onError told at the first of a row of failures @param onSame told of each look that found nothing new
   * @returns ends it
   */
  watch?(
    known: () => number,
    onVersion: (version: number) => Promise<void>,
    onError: (error: Error) => void,
    onSame?: () => void,
  ): () => void;
}

/** The last known states of what is probed for routes, by the key that the probing room gives it. */
export interface HealthStore {
  /** What was not written for 30 days is forgotten. @throws StoreFailure */
  load(): Promise<ReadonlyMap<string, StoredHealth>>;
  /** All or nothing; null removes. Of a key that is there twice, the last counts. @throws StoreFailure */
  save(changes: readonly (readonly [key: string, health: StoredHealth | null])[]): Promise<void>;
}
