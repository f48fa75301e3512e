import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Connection } from './connection.ts';
import { StoreError, storeError } from './failure.ts';
import { openFile } from './file.ts';
import { acquireLock } from './lock.ts';
import { migrate } from './migrations.ts';
import { openRemote } from './remote.ts';
import { createRouteStore, type RouteStore } from './routes.ts';

export interface DatabaseOptions {
  /** `file:/path/oo.db`, a path, `libsql://…`, `https://…` or `http://…`. */
  readonly url: string;
  /** For a database server. */
  readonly authToken?: string;
  /** How long a write to a file waits for another process's lock. Default 5,000 ms. */
  readonly busyTimeoutMs?: number;
}

export interface OpenDatabase {
  /** How to name it to a person: the path, or the URL without its token. */
  readonly where: string;
  /** True for a URL: other servers may use the same database. */
  readonly shared: boolean;
  readonly routes: RouteStore;
  /** Closes it and gives its lock up. */
  close(): void;
}

/**
 * Opens a database and brings its schema up to date. A file is made when it is missing and is held, by a lock file beside
 * it (`oo.db.lock`), until `close` or the end of the process: one server at a time. A URL is shared by any number.
 * @throws StoreError
 */
export async function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  if (/^(libsql|https?):/i.test(options.url)) return opened(await openRemote(options.url, options.authToken), () => {});
  const path = realPath(pathOf(options.url));
  const lock = acquireLock(`${path}.lock`, `The database ${path}`);
  try {
    return await opened(openFile(path, options.busyTimeoutMs), () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function opened(connection: Connection, release: () => void): Promise<OpenDatabase> {
  try {
    await migrate(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
  const routes = createRouteStore(connection);
  return {
    where: connection.where,
    shared: connection.shared,
    routes,
    close() {
      connection.close();
      release();
    },
  };
}

function pathOf(url: string): string {
  const hint = 'Give a path, file:/path/oo.db, libsql://… or https://….';
  if (url.includes(':memory:')) {
    throw new StoreError('OO_STORE_UNOPENABLE', 'A database in memory would forget its routes.', hint);
  }
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1].toLowerCase();
  if (scheme === undefined) return url;
  try {
    if (scheme === 'file') return /^file:\//i.test(url) ? fileURLToPath(url) : url.slice('file:'.length);
  } catch (error) {
    throw new StoreError('OO_STORE_UNOPENABLE', `The database URL ${url} names no file.`, hint, error);
  }
  throw new StoreError('OO_STORE_UNOPENABLE', `The database URL begins with ${scheme}:, which oo does not know.`, hint);
}

/** One file has one lock, whichever link leads to it. */
function realPath(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    // Not there yet: its directory decides.
  }
  try {
    return join(realpathSync(dirname(full)), basename(full));
  } catch (error) {
    throw storeError(error, full);
  }
}
