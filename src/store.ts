// `./store` for Node, Bun and Deno; src/store-web.ts is that of Workers, browsers and all others, by the conditions in package.json's `exports`.
// The import of ./store/file.ts must stay lazy in what is built: it is all that needs the native libsql, and who uses a URL has none.
import { isRemote } from '../db/remote.ts';
import { proveOptions, telling } from './store/fault.ts';
import { openRemoteStore } from './store/remote.ts';
import type { RouteStore, StoreOptions } from './store/types.ts';

export { type StoreCode, StoreError } from '../db/failure.ts';
export type { Route } from './core/types.ts';
export type * from './store/types.ts';

/**
 * Opens the database of routes that `oo serve` uses, too: behind a URL, or in a file.
 *
 * ```js
 * const store = await openStore({ url: 'libsql://routes.example.com', authToken, readOnly: true });
 * const proxy = createProxy({ routes: await store.routes() });
 * store.watch((routes) => proxy.update(routes));
 * ```
 *
 * @throws StoreError OO_STORE_LOCKED for a file that another process (`oo serve`) writes, unless `readOnly`; OO_STORE_NEWER for one of a later oo
 */
export async function openStore(options: StoreOptions): Promise<RouteStore> {
  proveOptions(options);
  if (isRemote(options.url)) return openRemoteStore(options);
  const { openFileStore } = await telling(options.url, () => import('./store/file.ts'));
  return openFileStore(options);
}
