// `./store` for Node, Bun and Deno. For package.json's `exports`, in this order, so that Workers and browsers get no line of native code:
//   "./store": { "types": store.d.ts, "workerd"|"edge-light"|"browser": store-web.js, "node"|"bun"|"deno": store.js, "default": store-web.js }
// Built with `libsql` external (CommonJS, native addon, needed for files only) and with code splitting, or with ./store/file.ts as a file of its own:
// its import below must stay lazy, so that who uses a URL never loads the addon. `@libsql/client/http` is needed by both, `drizzle-orm` may be bundled.
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
