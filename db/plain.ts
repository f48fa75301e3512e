import { sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';
import { type Connection, database } from './connection.ts';
import { isPassing, storeError } from './failure.ts';
import { currentSchema, newer } from './migrations.ts';
import { attempts } from './retry.ts';
import { meta } from './schema.ts';

/**
 * Writes what needs no key in one transaction, and only if the schema still is this server's: another may have migrated the database.
 * What fails for a passing reason is written again, perhaps after it was stored and the answer lost: the statements must bear that.
 * @returns the result of each statement
 * @throws StoreError
 */
export async function writePlain<T>(
  connection: Connection,
  make: (writes: SqliteRemoteDatabase) => readonly BatchItem<'sqlite'>[],
): Promise<T[]> {
  const writes = database(connection, 'write');
  for (let attempt = 1; ; attempt++) {
    try {
      const [, ...results] = await writes.batch([guard(writes), ...make(writes)]);
      return results as T[];
    } catch (error) {
      const failure = storeError(error, connection.where);
      // If this fails too, the first error is the one to tell.
      const schema = await storedSchema(connection).catch(() => currentSchema);
      if (schema > currentSchema) throw newer(connection, schema);
      if (!isPassing(failure) || attempt === attempts) throw failure;
    }
  }
}

/** Fails (NOT NULL) unless the schema is as expected. */
function guard(writes: SqliteRemoteDatabase): BatchItem<'sqlite'> {
  return writes.update(meta).set({ schema: sql`CASE WHEN ${meta.schema} = ${currentSchema} THEN ${meta.schema} END` });
}

async function storedSchema(connection: Connection): Promise<number> {
  const [{ schema }] = await database(connection, 'read').select({ schema: meta.schema }).from(meta);
  return schema;
}
