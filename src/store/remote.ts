import { migrate } from '../../db/migrations.ts';
import { openRemote } from '../../db/remote.ts';
import { telling } from './fault.ts';
import { createStore } from './store.ts';
import type { RouteStore, StoreOptions } from './types.ts';

/** A store behind a URL. To read only, nothing is sent before the first call: on Workers it may be opened outside of a request. */
export function openRemoteStore({ url, authToken, readOnly = false }: StoreOptions): Promise<RouteStore> {
  return telling(url.replace(/[?#].*/s, ''), async () => {
    const connection = await openRemote(url, authToken);
    if (!readOnly) await migrate(connection);
    return createStore({ connection, readOnly, release: () => {} });
  });
}
