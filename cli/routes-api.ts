import type { Route } from '../src/core/types.ts';

export interface SaveOutcome {
  readonly revision: number;
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly unchanged: readonly string[];
}

export interface RemoveOutcome {
  readonly revision: number;
  readonly removed: readonly string[];
  readonly missing: readonly string[];
}

/** The routes, by way of a running server (client.ts) or of the database itself (offline.ts). Rejects with errors for people. */
export interface RoutesApi {
  /** All routes, by id, or those with the ids. @param at as they were at this revision; only of a running server */
  list(ids?: readonly string[], at?: number): Promise<readonly Route[]>;
  save(routes: readonly Route[], reason?: string): Promise<SaveOutcome>;
  remove(ids: readonly string[], reason?: string): Promise<RemoveOutcome>;
  close(): Promise<void>;
}

/** Who asks, for the change log: `cli:name`. */
export function actorOf(env: Readonly<Record<string, string | undefined>>): string {
  const name = (env.SUDO_USER || env.USER || env.LOGNAME || '').replace(/[^\x21-\x7e]/g, '').slice(0, 80);
  return name ? `cli:${name}` : 'cli';
}
