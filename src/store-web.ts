// `./store` where there are no files: Workers, browsers, and whatever is not known. See src/store.ts for the conditions.
import { StoreError } from '../db/failure.ts';
import { isRemote } from '../db/remote.ts';
import { proveOptions } from './store/fault.ts';
import { openRemoteStore } from './store/remote.ts';
import type { RouteStore, StoreOptions } from './store/types.ts';

export { type StoreCode, StoreError } from '../db/failure.ts';
export type { Route } from './core/types.ts';
export type * from './store/types.ts';

/** Opens the database of routes that `oo serve` uses, too, behind a URL. With `readOnly`, nothing is sent before the first call. @throws StoreError */
export async function openStore(options: StoreOptions): Promise<RouteStore> {
  proveOptions(options);
  if (isRemote(options.url)) return openRemoteStore(options);
  throw new StoreError(
    'OO_STORE_UNOPENABLE',
    `The database ${options.url.replace(/[?#].*/s, '')} is a file, which this runtime has none of.`,
    'Give a URL, libsql://… or https://…; files are for Node, Bun and Deno.',
  );
}
