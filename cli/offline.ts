import { openDatabase } from '../db/database.ts';
import { acquireLock } from '../db/lock.ts';
import { type Conflict, createConfiguration, type Refused } from '../src/admin/configuration.ts';
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

/**
 * The routes in the database itself, by the same code that the server runs. Holds the locks that a server would hold.
 * @throws CliError if a server runs; StoreError
 */
export async function openOffline(options: OfflineOptions): Promise<RoutesApi> {
  const { stateDir, db = databasePath(stateDir), dbToken, actor, warn } = options;
  makeStateDir(stateDir);
  const open: { close(): void }[] = [];
  const closeAll = () => {
    for (const one of open.splice(0).reverse()) one.close();
  };
  try {
    const lock = acquireLock(lockPath(stateDir), `The state directory ${stateDir}`);
    open.push({ close: lock.release });
    const database = await openDatabase({ url: db, authToken: dbToken });
    open.push(database);
    const configuration = await createConfiguration({
      store: database.routes,
      publish: async () => {},
      onError: (error) => warn(error.message),
    });
    return {
      list: async (ids = []) =>
        ids.length === 0 ? configuration.list() : ids.flatMap((id) => configuration.get(id) ?? []),
      save: async (routes, reason) => granted(await configuration.save(routes, { actor, reason })),
      remove: async (ids, reason) => granted(await configuration.remove(ids, { actor, reason })),
      async close() {
        await configuration.close();
        closeAll();
      },
    };
  } catch (error) {
    closeAll();
    if ((error as { code?: string }).code !== 'OO_STORE_LOCKED') throw error;
    const hint = 'Leave --offline out: the running server takes the change, and it works at once.';
    throw new CliError((error as Error).message, { hint, cause: error });
  }
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
