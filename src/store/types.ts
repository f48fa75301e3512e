import type { RevisionInfo } from '../admin/resources.ts';
import type { Route } from '../core/types.ts';

export type { RevisionInfo };

/** Where the routes are. */
export interface StoreOptions {
  /** `libsql://…`, `https://…`, `http://…`; on Node, Bun and Deno also `file:/path/oo.db`, or a path. */
  readonly url: string;
  /** For a database server. To read, one that may only read is enough. */
  readonly authToken?: string;
  /**
   * Only reads: makes, migrates and changes nothing. Of a file, beside the process that writes it. Default false: a file is then held
   * by this process alone, and an older schema is brought up to date, as `oo serve` does.
   */
  readonly readOnly?: boolean;
}

/** Who saves, and why. */
export interface SaveOptions {
  /** For the history. At most 1,000 characters. */
  readonly reason?: string;
  /** For the history. Default `app`. */
  readonly actor?: string;
  /** Only if this still is the stored revision. Default: whatever it is. */
  readonly revision?: number;
}

/** Nothing was stored: the revision is this one, not that of `SaveOptions`. */
export interface StoreConflict {
  readonly conflict: number;
}

/** Ids in normal form. */
export interface SavedRoutes {
  /** The one that it made; without any change, the present one. */
  readonly revision: number;
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly unchanged: readonly string[];
}

export interface RemovedRoutes {
  readonly revision: number;
  readonly removed: readonly string[];
  /** As they were given. */
  readonly missing: readonly string[];
}

/** Told of routes as they are stored now. If it throws or rejects, it is called again, ever more slowly. */
export type OnRoutes = (routes: readonly Route[], revision: number) => unknown;

export interface FollowOptions {
  /** How often the stored revision is asked for, ms, 100 or more. Default 1,000 for a watch, 5,000 for a pull. */
  readonly everyMs?: number;
  /** Told of the first of a row of failures: the database is away, or `onRoutes` threw. What was told last stays. Default: a line on the console. */
  readonly onError?: (error: Error) => void;
}

/** What a Worker's request brings with it. */
export interface RequestContext {
  waitUntil(promise: Promise<unknown>): void;
}

/**
 * Routes in libSQL, in the database of `oo serve`. Where nothing else is said, methods reject with a StoreError.
 * Routes are plain data, by id, and frozen; a `handler` is its file and source.
 */
export interface RouteStore {
  /** How to name it to a person: the path, or the URL without its token. */
  readonly where: string;
  readonly readOnly: boolean;
  /** As they are stored now. The same list as before if nothing has changed. */
  routes(): Promise<readonly Route[]>;
  /** As it is stored now; 0 before the first change. */
  revision(): Promise<number>;
  /**
   * Adds or replaces routes, all or none, as one revision. An owner or a rollout that a route has and the list does not say is kept.
   * @throws TypeError for routes that are refused; `cause` has the faults
   */
  save(routes: readonly Route[], options?: SaveOptions): Promise<SavedRoutes | StoreConflict>;
  /** Removes routes, as one revision. */
  remove(ids: readonly string[], options?: SaveOptions): Promise<RemovedRoutes | StoreConflict>;
  /** The newest first. @param query `limit` 1 to 1,000, default 100; only older ones than `before` */
  history(query?: { readonly limit?: number; readonly before?: number }): Promise<readonly RevisionInfo[]>;
  /**
   * Calls back with routes that are newer than what `routes()` gave last; at once after an own save. Its timer keeps no process alive.
   * @returns the function that stops it
   * @throws TypeError on Workers, where no timer runs between requests: use `pull`
   */
  watch(onRoutes: OnRoutes, options?: FollowOptions): () => void;
  /**
   * For runtimes that work only within a request. The function that it returns is to be called with each: the first call loads, and rejects where that
   * fails; later ones look again when `everyMs` has passed, after the response where a context is given, and never reject.
   */
  pull(onRoutes: OnRoutes, options?: FollowOptions): (context?: RequestContext) => Promise<void>;
  /** Stops all watches, and gives a file up. */
  close(): void;
}
