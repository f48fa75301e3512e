import { join } from 'node:path';
import { openStore, type RouteStore, type StoreOptions } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';

/** What opens a place's database. */
type Open = (more?: Partial<StoreOptions>) => Promise<RouteStore>;

/** Both kinds of database, each new, for tests that must hold for each. */
export const places: readonly [name: string, () => Promise<{ open: Open; end: () => Promise<void> }>][] = [
  [
    'a file',
    async () => {
      const url = `file:${join(temporary(), 'routes.db')}`;
      return { open: (more) => openStore({ url, ...more }), end: async () => {} };
    },
  ],
  [
    'a URL',
    async () => {
      const server = await startHrana(join(temporary(), 'routes.db'), 'a-token');
      return { open: (more) => openStore({ url: server.url, authToken: 'a-token', ...more }), end: server.close };
    },
  ],
];

/** What a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string; hint?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not reject');
}
