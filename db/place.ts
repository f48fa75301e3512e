import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StoreError, storeError } from './failure.ts';

/** The path that a `file:` URL, or a path, names. @throws StoreError */
export function pathOf(url: string): string {
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

/** One file has one lock, whichever link leads to it. @throws StoreError */
export function realPath(path: string): string {
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
