import { randomBytes } from 'node:crypto';
import { desc } from 'drizzle-orm';
import { type Connection, database } from './connection.ts';
import { writePlain } from './plain.ts';
import { again } from './retry.ts';
import { stickySecrets } from './schema.ts';

/** Secrets that all servers of a database share. Every method throws StoreError. */
export interface SecretStore {
  /**
   * What signs the cookies that keep a client at its instance: 32 bytes each, base64; the first signs, all are believed. Made at
   * the first call; servers that call together get the same. Stored as they are, and not sealed, so that they are there without
   * an encryption key, too: whoever knows one can choose the instance that answers him, and nothing else.
   */
  stickySecrets(): Promise<string[]>;
}

/** The secrets over a migrated database. */
export function createSecretStore(connection: Connection): SecretStore {
  const newest = database(connection, 'read')
    .select({ secret: stickySecrets.secret })
    .from(stickySecrets)
    .orderBy(desc(stickySecrets.id));
  const read = async () => (await again(connection, () => newest)).map(({ secret }) => secret);

  return {
    async stickySecrets() {
      const stored = await read();
      if (stored.length > 0) return stored;
      const row = { id: 1, secret: randomBytes(32).toString('base64'), createdAt: Date.now() };
      // Another server's, where that was first.
      await writePlain(connection, (writes) => [writes.insert(stickySecrets).values(row).onConflictDoNothing()]);
      return read();
    },
  };
}
