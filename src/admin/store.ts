import type { Route } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type { ConfigurationState, History, RevisionInfo, StoredSettings } from './resources.ts';

/** Who makes a change, and why. */
export interface By {
  readonly actor: string;
  /** Where from: an address, or `socket`. Default: not known. */
  readonly from?: string;
  readonly reason?: string;
}

/** What is to be stored as one revision. Each id once. */
export interface Commit extends By {
  /** The revision it was made from. */
  readonly base: number;
  /** Routes, their ids in normal form, to be added or replaced. */
  readonly save: readonly Route[];
  /** Ids of routes, in normal form, to be removed. */
  readonly remove: readonly string[];
  /** Likewise of services. Default: none. */
  readonly services?: { readonly save: readonly Definition[]; readonly remove: readonly string[] };
  /** All of them; {} for none. Default: as they are. */
  readonly settings?: StoredSettings;
  /** How many revisions the history keeps from now on. Default 1,000. */
  readonly historyRevisions?: number;
}

/** What has changed since a revision. */
export interface StoredChanges {
  readonly revision: number;
  /** Routes. */
  readonly save: readonly Route[];
  readonly remove: readonly string[];
  readonly services: { readonly save: readonly Definition[]; readonly remove: readonly string[] };
  /** Undefined: as they were. */
  readonly settings?: StoredSettings;
  /** The revisions that led to it, the oldest first. */
  readonly made: readonly RevisionInfo[];
}

/**
 * Where the configuration is kept (db/ has it). Methods reject with an Error that has `code`, `message` and `hint`:
 * see `asStoreFailure`.
 */
export interface ConfigurationStore {
  /** All that is stored, each kind by id. */
  load(): Promise<ConfigurationState>;
  /** Stores all of it as revision `base + 1`, or nothing if the stored revision is another than `base`. What it acknowledged is on the disk. */
  commit(change: Commit): Promise<{ readonly revision: number; readonly at: number } | { readonly conflict: number }>;
  /** What changed after a revision, or that the log does not reach so far: then `load`. */
  changesSince(revision: number): Promise<StoredChanges | 'too old'>;
  readonly history: History;
  /** Present where other servers may write: calls back when the stored revision is not `known()`. Returns the stop. */
  watch?(
    known: () => number,
    onRevision: (revision: number) => Promise<void>,
    onError: (error: Error) => void,
  ): () => void;
}

/** What a failed store says of itself. */
export interface StoreFailure extends Error {
  readonly code: string;
  readonly hint: string;
}

/** Tells a store's failure from a fault of the program. */
export function asStoreFailure(error: unknown): StoreFailure | undefined {
  const { code, hint } = error as Partial<StoreFailure>;
  return error instanceof Error && code?.startsWith('OO_STORE_') && hint ? (error as StoreFailure) : undefined;
}
