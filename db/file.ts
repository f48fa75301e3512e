import { closeSync, openSync } from 'node:fs';
import Database from 'libsql';
import type { Connection, Rows, Snapshot, Statement } from './connection.ts';
import { storeError } from './failure.ts';

/** How long a write waits for another process's lock, ms. SQLite waits inside the call: nothing else runs meanwhile. */
export const defaultBusyTimeoutMs = 5_000;

/** Statements kept prepared; the store has about a dozen. */
const maxPrepared = 64;

/**
 * Opens, or makes (mode 0600), a database file through libsql's synchronous API.
 * WAL, so that whoever reads the file (a backup, sqlite3) never holds up a commit; synchronous=FULL, so that an
 * acknowledged commit outlives a power cut; secure_delete, so that what was sealed with a past key isn't left in the file's
 * free pages. Not through `@libsql/client`: its pool opens connections without these settings.
 * @param mode `read`: beside the process that writes it; makes nothing, and changes nothing
 * @throws StoreError
 */
export function openFile(
  path: string,
  busyTimeoutMs = defaultBusyTimeoutMs,
  mode: 'read' | 'write' = 'write',
): Connection {
  let db: Database.Database | undefined;
  let prepared = new Map<string, Database.Statement>();

  function open(): Database.Database {
    db = new Database(path, { timeout: busyTimeoutMs });
    db.exec(
      mode === 'write'
        ? 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON'
        : 'PRAGMA query_only = ON',
    );
    return db;
  }

  // After a failed statement libsql may leave it unreset, and later writes would then sit in a transaction
  // that nobody commits (libsql-js #237): whatever failed, this connection is not used again.
  function drop(): void {
    const old = db;
    db = undefined;
    prepared = new Map();
    if (!old) return;
    try {
      // A closed connection lives on until its statements are collected, with its locks: give those up first.
      if (old.inTransaction) old.exec('ROLLBACK');
    } finally {
      old.close();
    }
  }

  /** The write-ahead log goes into the file: after a clean end the file alone is the whole database. */
  function close(): void {
    try {
      if (mode === 'write') db?.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // The next one to open it does that.
    }
    drop();
  }

  function query(on: Database.Database, { sql, args }: Statement): Rows {
    let statement = prepared.get(sql);
    if (!statement) {
      if (prepared.size >= maxPrepared) prepared.clear();
      statement = on.prepare(sql);
      prepared.set(sql, statement);
    }
    if (statement.reader) return statement.raw().all(...args) as Rows;
    statement.run(...args);
    return [];
  }

  function transaction(statements: readonly Statement[], mode: 'read' | 'write'): Rows[] {
    try {
      const on = db ?? open();
      on.exec(mode === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN');
      const results = statements.map((statement) => query(on, statement));
      on.exec('COMMIT');
      return results;
    } catch (error) {
      try {
        drop();
      } catch {
        // The first error is the one to tell.
      }
      throw storeError(error, path);
    }
  }

  /** Over a connection of its own: the other one goes on writing. */
  function snapshot(): Snapshot {
    let reader: Database.Database | undefined;
    try {
      reader = new Database(path, { timeout: busyTimeoutMs });
      // The first read sets the moment.
      reader.exec('PRAGMA query_only = ON; BEGIN; SELECT count(*) FROM sqlite_master');
    } catch (error) {
      reader?.close();
      throw storeError(error, path);
    }
    const from = reader;
    return {
      *rows(sql) {
        try {
          yield* from.prepare(sql).raw().iterate() as Iterable<unknown[]>;
        } catch (error) {
          throw storeError(error, path);
        }
      },
      close() {
        if (from.inTransaction) from.exec('ROLLBACK');
        from.close();
      },
    };
  }

  try {
    closeSync(openSync(path, mode === 'write' ? 'a+' : 'r', 0o600));
    open();
  } catch (error) {
    throw storeError(error, path);
  }
  return {
    where: path,
    shared: false,
    run: async (statements, mode) => transaction(statements, mode),
    snapshot,
    close,
  };
}
