import type { Route, RouteChange } from '../core/types.ts';

/** Who makes a change, and why. */
export interface By {
  readonly actor: string;
  /** Where from: an address, or `socket`. Default: not known. */
  readonly from?: string;
  readonly reason?: string;
}

/**
 * Where the routes are kept (db/ has it). Methods reject with an Error that has `code`, `message` and `hint`:
 * see `asStoreFailure`.
 */
export interface RouteStore {
  load(): Promise<{ revision: number; routes: readonly Route[] }>;
  /** Stores all of it as revision `base + 1`, or nothing if the stored revision is another than `base`. */
  commit(change: Omit<RouteChange, 'revision'> & By): Promise<{ revision: number } | { conflict: number }>;
  changesSince(revision: number): Promise<Omit<RouteChange, 'base'> | 'too old'>;
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
