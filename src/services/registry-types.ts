import type {
  Clock,
  Definition,
  InstanceFilter,
  InstanceStatus,
  InstanceView,
  Node,
  PoolChanges,
  Refusal,
  Registration,
  RegistryStore,
  ServicePool,
} from './types.ts';

export interface RegistrySettings {
  /** This machine, as `oo node ls` shows it. @property id default: made of the url */
  readonly self: { readonly url: string; readonly id?: string; readonly az?: string };
  /** Other servers work on the same database: heartbeats are written for them, and `poll` must be called. Default false. */
  readonly shared?: boolean;
  /** Slugs that nobody may register: those of built-in paths. Default none. */
  readonly reserved?: readonly string[];
  /** Ports that this server listens on: who registers one of them on this machine is refused, its requests would go in a circle. */
  readonly ownPorts?: () => readonly number[];
  /** Default 20,000. */
  readonly maxInstances?: number;
  /** Default 1,000. */
  readonly maxInstancesPerService?: number;
}

export interface RegistryOptions {
  readonly store: RegistryStore;
  /** Takes changed pools to the workers. Resolves when all have them. */
  readonly publish: (changes: PoolChanges) => Promise<void>;
  readonly settings: RegistrySettings;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

export interface RegisterOutcome {
  readonly instance: InstanceView;
  /** False: it was there, and this was its heartbeat. */
  readonly isNew: boolean;
}

/**
 * Which instances there are of which service. Kept in memory; the database is written behind (write-behind.ts):
 * - what registers, changes or leaves within 0.2 s, states that have changed within a second;
 * - a heartbeat only where servers share the database, and only when the one that it has is older than half of the TTL: with a heartbeat
 *   each third of the TTL, every second one. Alone, never: after a start each instance has its whole TTL to be heard.
 *
 * Times to live count what could be heard (listening.ts), on this server's own clock. Where servers share a database, it takes
 * 5 s more for each.
 */
export interface Registry {
  /** Loads what is stored, with its last known states, and publishes it. @throws StoreFailure: nothing is running then */
  start(): Promise<void>;
  /** Registers an instance or, for the same slug and url, takes it as its heartbeat; what it says otherwise than before is a change. */
  register(slug: string, request: Registration): RegisterOutcome | Refusal;
  /** @param slug whose token asks; left out: whoever may touch all. @returns false: there is none, it must register */
  heartbeat(id: string, slug?: string): boolean;
  /** @param slug as above @returns whether it was there; `taken` if it is another's */
  deregister(id: string, slug?: string): boolean | Refusal;
  get(id: string): InstanceView | undefined;
  /** By slug, then id. */
  list(filter?: InstanceFilter): InstanceView[];
  /** What probes have found. Unknown ids are none of its business: an instance may have left. Workers and watchers are not told. */
  setStatus(id: string, status: InstanceStatus, details: string): void;
  /**
   * What services are defined from now on: all of them, those that have changed as other objects. They are the configuration's, nothing of them is stored
   * here. May be called before `start`. Resolves when all workers have what has changed, or it has failed once.
   */
  setDefinitions(list: readonly Definition[]): Promise<void>;
  /** The very object that was set. */
  definition(id: string): Definition | undefined;
  /** By id. */
  definitions(): Definition[];
  /** This machine, alive now. */
  self(): Node;
  /** All machines of this database, by id, this one among them. */
  nodes(): Node[];
  /** Undefined: no such service is known. */
  pool(slug: string): ServicePool | undefined;
  pools(): ServicePool[];
  /** Told of changes in this process, before workers are. @returns ends it */
  watch(listener: (changes: PoolChanges) => void): () => void;
  /** The store's version that it has. */
  readonly version: number;
  /** To be called where the store was looked at and has nothing new: its silence then counts. */
  heard(): void;
  /** Takes over what other servers have changed. Never rejects: it says so once in the log, and nothing expires until it works again. */
  poll(): Promise<void>;
  /** Resolves when all so far is stored and published, or has failed once. */
  settled(): Promise<void>;
  /** Writes what is left. Nothing is published after it has resolved. */
  stop(): Promise<void>;
}
