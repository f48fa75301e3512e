import type { Connection } from '../../db/connection.ts';
import { defaultBusyTimeoutMs, openFile } from '../../db/file.ts';
import { acquireLock } from '../../db/lock.ts';
import { migrate, requireSchema } from '../../db/migrations.ts';
import { pathOf, realPath } from '../../db/place.ts';
import { telling } from './fault.ts';
import { createStore } from './store.ts';
import type { RouteStore, StoreOptions } from './types.ts';

/** A store in a file. To write, it holds the file's lock: one process writes. */
export function openFileStore({ url, readOnly = false }: StoreOptions): Promise<RouteStore> {
  return telling(url, async () => {
    const path = realPath(pathOf(url));
    const lock = readOnly ? undefined : acquireLock(`${path}.lock`, `The database ${path}`);
    const release = () => lock?.release();
    let connection: Connection | undefined;
    try {
      connection = openFile(path, defaultBusyTimeoutMs, readOnly ? 'read' : 'write');
      await (readOnly ? requireSchema : migrate)(connection);
      return createStore({ connection, readOnly, release });
    } catch (error) {
      connection?.close();
      release();
      throw error;
    }
  });
}
