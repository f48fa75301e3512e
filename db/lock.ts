import { accessSync, constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: waitMs });
    // Of a file that can't be written, SQLite would take a reader's lock here, and say nothing.
    accessSync(path, constants.W_OK);
    db.exec('BEGIN IMMEDIATE');
    writeFileSync(noteOf(path), `${process.pid}\n`, { mode: 0o600 });
  } catch (error) {
    if (db?.inTransaction) db.exec('ROLLBACK');
    db?.close();
    const failure = storeError(error, path, 'lock file');
    if (failure.code !== 'OO_STORE_BUSY') throw failure;
    const message = `${what} is held by ${holderOf(path)}.`;
    throw new StoreError('OO_STORE_LOCKED', message, 'Stop that one first, or use another.', error);
  }
  const taken = db;
  held.add(taken);
  return {
    release() {
      if (!held.delete(taken)) return;
      rmSync(noteOf(path), { force: true });
      taken.exec('ROLLBACK');
      taken.close();
    },
  };
}

function noteOf(path: string): string {
  return `${path}.pid`;
}

function holderOf(path: string): string {
  try {
    return `a running oo, pid ${readFileSync(noteOf(path), 'utf8').trim()}`;
  } catch {
    return 'another oo';
  }
}
