import { sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';
import type { Cipher, SealKey } from './cipher.ts';
import { type Connection, database } from './connection.ts';
import { damaged } from './damaged.ts';
import { keyReplaced, storedKeyId } from './encryption.ts';
import { isPassing, type StoreError, storeError } from './failure.ts';
import { currentSchema, newer } from './migrations.ts';
import { again, attempts } from './retry.ts';
import { encryption, meta } from './schema.ts';

type Items = readonly BatchItem<'sqlite'>[];

/**
 * Writes in one transaction, and only if the schema and the encryption key still are this server's: another may have migrated
 * the database or replaced the key. What fails for a passing reason is written again, so the statements must bear that.
 * @param make the statements, with values sealed by `key`; called anew for each attempt
 * @returns the result of each statement
 * @throws StoreError
 */
export async function writeGuarded<T>(
  connection: Connection,
  cipher: Cipher,
  make: (writes: SqliteRemoteDatabase, key: SealKey) => Items,
): Promise<T[]> {
  const writes = database(connection, 'write');
  for (let attempt = 1; ; ) {
    const key = cipher.current;
    try {
      const [, ...results] = await writes.batch([guard(writes, key.id), ...make(writes, key)]);
      return results as T[];
    } catch (error) {
      const failure = storeError(error, connection.where);
      if (await keyMoved(connection, cipher, key)) continue;
      if (!isPassing(failure) || attempt === attempts) throw failure;
      attempt += 1;
    }
  }
}

/** Fails (NOT NULL) unless schema and key are as expected. */
function guard(writes: SqliteRemoteDatabase, keyId: string): BatchItem<'sqlite'> {
  const holds = sql`${meta.schema} = ${currentSchema} AND ${storedKeyId} = ${keyId}`;
  return writes.update(meta).set({ schema: sql`CASE WHEN ${holds} THEN ${meta.schema} END` });
}

/**
 * Whether a write failed since this server's own rotation was done meanwhile: then it is to be repeated with the new key.
 * @throws StoreError where another server has replaced the key, or migrated
 */
async function keyMoved(connection: Connection, cipher: Cipher, key: SealKey): Promise<boolean> {
  // If this fails too, the first error is the one to tell.
  const stored = await storedKey(connection).catch(() => undefined);
  if (stored === undefined || (stored.keyId === key.id && stored.schema === currentSchema)) return false;
  if (stored.schema > currentSchema) throw newer(connection, stored.schema);
  const known = cipher.known.get(stored.keyId ?? '');
  if (known === undefined) throw keyReplaced(connection, stored.origin ?? 'given');
  cipher.current = known;
  return true;
}

async function storedKey(connection: Connection) {
  const [stored] = await database(connection, 'read')
    .select({ schema: meta.schema, keyId: encryption.keyId, origin: encryption.origin })
    .from(meta)
    .leftJoin(encryption, sql`true`);
  return stored;
}

/** Why a stored value can't be opened: another server has replaced the key, or the row was changed by somebody else. */
export async function unreadable(connection: Connection, cipher: Cipher, what: string): Promise<StoreError> {
  const { keyId, origin } = await again(connection, () => storedKey(connection));
  if (!cipher.known.has(keyId ?? '')) return keyReplaced(connection, origin ?? 'given');
  return damaged(connection, what);
}
