import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import Database from 'libsql';
import { StoreError, storeError } from './failure.ts';

/** How long to wait for another command that is about to end, ms. */
const waitMs = 250;

/** Held locks: a collected database object would give its lock up. */
const held = new Set<Database.Database>();

export interface Lock {
  release(): void;
}

/**
 * Takes the lock that keeps a second server away, or says who holds it. The lock is SQLite's own write lock on an empty
 * file: the kernel gives it up when its process ends, however it ends. `<path>.pid` is only for the message.
 * @param path the lock file; made when missing, and left where it is
 * @param what what it guards, as the message names it: `The state directory /x`
 * @throws StoreError OO_STORE_LOCKED
 */
export function acquireLock(path: string, what: string): Lock {
  let db: Database.Database;
  try {
    db = new Database(path, { timeout: waitMs });
    db.exec('BEGIN IMMEDIATE');
  } catch (error) {
    const failure = storeError(error, path);
    if (failure.code !== 'OO_STORE_BUSY') throw failure;
    throw new StoreError(
      'OO_STORE_LOCKED',
      `${what} is held by ${holderOf(path)}.`,
      'Stop that one first, or use another.',
      error,
    );
  }
  held.add(db);
  const note = `${path}.pid`;
  writeFileSync(note, `${process.pid}\n`, { mode: 0o600 });
  return {
    release() {
      if (!held.delete(db)) return;
      rmSync(note, { force: true });
      db.exec('ROLLBACK');
      db.close();
    },
  };
}

function holderOf(path: string): string {
  try {
    return `a running oo, pid ${readFileSync(`${path}.pid`, 'utf8').trim()}`;
  } catch {
    return 'another oo';
  }
}
