import { type OpenDatabase, openDatabase } from '../db/database.ts';
import { acquireLock } from '../db/lock.ts';
import { type Conflict, createConfiguration, type Refused } from '../src/admin/configuration.ts';
import type { Route } from '../src/core/types.ts';
import { CliError } from './failure.ts';
import type { RoutesApi } from './routes-api.ts';
import { databasePath, lockPath, makeStateDir } from './state.ts';

export interface OfflineOptions {
  readonly stateDir: string;
  /** A database URL; default: the file in the state directory. */
  readonly db?: string;
  readonly dbToken?: string;
  readonly actor: string;
  /** Told of stored routes that are left out. */
  readonly warn: (message: string) => void;
}

/** How an opened database is used; `close` closes what that has opened, the database and the locks not among it. */
type Use<D, A> = (database: D) => Promise<A & { close?(): Promise<void> }>;

/**
 * Opens the database itself, with the locks that a server would hold, for `use`; what that returns closes all of it.
 * @throws CliError if a server runs; StoreError
 */
export async function openLocked<D extends OpenDatabase, A extends object>(
  { stateDir, db = databasePath(stateDir), dbToken }: OfflineOptions,
  open: (where: { url: string; authToken?: string }) => Promise<D>,
  use: Use<D, A>,
): Promise<A & { close(): Promise<void> }> {
  makeStateDir(stateDir);
  const opened: { close(): void }[] = [];
  const closeAll = () => {
    for (const one of opened.splice(0).reverse()) one.close();
  };
  try {
    const lock = acquireLock(lockPath(stateDir), `The state directory ${stateDir}`);
    opened.push({ close: lock.release });
    const database = await open({ url: db, authToken: dbToken });
    opened.push(database);
    const used = await use(database);
    const close = async () => {
      await used.close?.();
      closeAll();
    };
    return { ...used, close };
  } catch (error) {
    closeAll();
    if ((error as { code?: string }).code !== 'OO_STORE_LOCKED') throw error;
    const hint = 'Leave --offline out: the running server takes the change, and it works at once.';
    throw new CliError((error as Error).message, { hint, cause: error });
  }
}

/**
 * The routes in the database itself, by the same code that the server runs.
 * @throws CliError if a server runs; StoreError
 */
export function openOffline(options: OfflineOptions): Promise<RoutesApi> {
  const { actor, warn } = options;
  return openLocked(options, openDatabase, async (database) => {
    const configuration = await createConfiguration({
      store: database.configuration,
      publish: async () => {},
      onError: (error) => warn(error.message),
    });
    return {
      list: async (ids: readonly string[] = []) =>
        ids.length === 0 ? configuration.list() : ids.flatMap((id) => configuration.get(id) ?? []),
      save: async (routes: readonly Route[], reason?: string) =>
        granted(await configuration.save(routes, { actor, reason })),
      remove: async (ids: readonly string[], reason?: string) =>
        granted(await configuration.remove(ids, { actor, reason })),
      close: () => configuration.close(),
    };
  });
}

function granted<T extends object>(result: T): Exclude<T, Refused | Conflict> {
  if ('faults' in result) {
    const { faults } = result as T & Refused;
    throw new CliError(faults.map(({ message }) => message).join('; '));
  }
  if ('conflict' in result) {
    throw new CliError('Other servers change the database all the time.', { hint: 'Try again.' });
  }
  return result as Exclude<T, Refused | Conflict>;
}
