import { join } from 'node:path';
import { openDatabase } from '../../db/database.ts';
import type { ConfigurationState } from '../../src/admin/resources.ts';
import type { StoredChanges } from '../../src/admin/store.ts';
import type { Certificate } from '../../src/certs/types.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';

/** A certificate as the store sees it: what its texts hold is not looked at. */
export function certificateOf(id: string, more: Partial<Certificate> = {}): Certificate {
  return {
    id,
    names: [id],
    chain: `chain of ${id}`,
    key: `key of ${id}`,
    source: 'acme',
    keyType: 'ecdsa',
    issuer: 'E6',
    serial: '34394815',
    notBefore: 1_000,
    notAfter: 2_000,
    directory: 'https://ca.test/directory',
    createdAt: 1,
    updatedAt: 1,
    ...more,
  };
}

/** A key that needs no scrypt. */
export const rawKey = 'ab'.repeat(32);

/** Where a suite's stores are: a file, which one server opens, or behind a URL. */
export interface Place {
  readonly name: string;
  /** The database's file, under either. */
  readonly path: string;
  readonly server?: HranaDouble;
  open(key?: string): ReturnType<typeof openWith>;
  end(): Promise<void>;
}

function openWith(url: string, key: string) {
  return openDatabase({ url, encryption: { key, stateDir: temporary() } });
}

/** Both kinds of database, for tests that must hold for each. */
export const places: readonly [string, () => Promise<Place>][] = [
  [
    'a file',
    async () => {
      const path = join(temporary(), 'oo.db');
      return { name: 'file', path, open: (key = rawKey) => openWith(path, key), end: async () => {} };
    },
  ],
  [
    'a URL',
    async () => {
      const path = join(temporary(), 'shared.db');
      const server = await startHrana(path);
      return { name: 'url', path, server, open: (key = rawKey) => openWith(server.url, key), end: server.close };
    },
  ],
];

/** What is stored, without what tests of routes are not about. */
export function routesIn({ revision, routes }: ConfigurationState) {
  return { revision, routes };
}

/** Likewise of changes. */
export function changesIn(changes: StoredChanges | 'too old') {
  if (changes === 'too old') return changes;
  const { revision, save, remove } = changes;
  return { revision, save, remove };
}

/** What a commit came to, without its time. */
export function outcomeIn(outcome: { revision: number } | { conflict: number }) {
  return 'revision' in outcome ? { revision: outcome.revision } : outcome;
}
