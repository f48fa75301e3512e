import { type Connection, database } from './connection.ts';
import { storeError } from './failure.ts';
import { currentSchema, newer } from './migrations.ts';
import { meta } from './schema.ts';

/** How often the stored numbers are asked for, ms; after errors ever more slowly. */
const periodMs = 500;
const longestPeriodMs = 4_000;

/** What changes when another server writes. */
export interface StoredNumbers {
  readonly schema: number;
  readonly revision: number;
  readonly certificateVersion: number;
  readonly registryVersion: number;
  readonly tokenVersion: number;
}

export interface Watcher {
  /** Which of the numbers it is about. */
  number(stored: StoredNumbers): number;
  /** The one that this server has. */
  known(): number;
  /** Called when they differ, and not again before it is done. */
  onChange(stored: number): Promise<void>;
  /** Called after a look that found nothing new: what this server has is what is stored. */
  onSame?(): void;
  /** Called at the first of a row of failures; this server goes on with what it has. */
  onError(error: Error): void;
}

/** A watcher's own pace: one that fails, or takes long, holds nobody else up. */
interface Watching extends Watcher {
  busy: boolean;
  failed: boolean;
  delayMs: number;
  /** As `performance.now()`. */
  notBefore: number;
}

interface Poll {
  readonly watching: Set<Watching>;
  timer: NodeJS.Timeout | undefined;
}

/** One for each connection, so that all watchers share one query. */
const polls = new WeakMap<Connection, Poll>();

/** Watches a shared database for what other servers change. Returns the function that stops it. */
export function watch(connection: Connection, watcher: Watcher): () => void {
  const poll = polls.get(connection) ?? { watching: new Set(), timer: undefined };
  polls.set(connection, poll);
  const own = { ...watcher, busy: false, failed: false, delayMs: periodMs, notBefore: 0 };
  poll.watching.add(own);
  if (poll.timer === undefined) schedule(connection, poll, periodMs);
  return () => {
    poll.watching.delete(own);
    if (poll.watching.size > 0) return;
    clearTimeout(poll.timer);
    poll.timer = undefined;
  };
}

function schedule(connection: Connection, poll: Poll, delayMs: number): void {
  const timer = setTimeout(async () => {
    const read = await look(connection, poll);
    // Unless it was stopped, and perhaps started anew, meanwhile.
    if (poll.timer === timer) schedule(connection, poll, read ? periodMs : Math.min(delayMs * 2, longestPeriodMs));
  }, delayMs);
  // A watch alone keeps no process alive.
  timer.unref();
  poll.timer = timer;
}

async function look(connection: Connection, poll: Poll): Promise<boolean> {
  let stored: StoredNumbers;
  try {
    stored = await storedNumbers(connection);
  } catch (error) {
    for (const one of poll.watching) failed(poll, one, error);
    return false;
  }
  for (const one of poll.watching) void tell(poll, one, stored);
  return true;
}

async function tell(poll: Poll, one: Watching, stored: StoredNumbers): Promise<void> {
  if (one.busy || performance.now() < one.notBefore) return;
  one.busy = true;
  try {
    const number = one.number(stored);
    if (number !== one.known()) await one.onChange(number);
    else one.onSame?.();
    one.failed = false;
    one.delayMs = periodMs;
  } catch (error) {
    failed(poll, one, error);
    one.delayMs = Math.min(one.delayMs * 2, longestPeriodMs);
    one.notBefore = performance.now() + one.delayMs;
  } finally {
    one.busy = false;
  }
}

function failed(poll: Poll, one: Watching, error: unknown): void {
  if (!one.failed && poll.watching.has(one)) one.onError(storeError(error, 'watched'));
  one.failed = true;
}

/**
 * The numbers as they are stored now.
 * @throws StoreError OO_STORE_NEWER where a later oo has migrated the database meanwhile
 */
export async function storedNumbers(connection: Connection): Promise<StoredNumbers> {
  const { schema, revision, certificateVersion, registryVersion, tokenVersion } = meta;
  const [stored] = await database(connection, 'read')
    .select({ schema, revision, certificateVersion, registryVersion, tokenVersion })
    .from(meta);
  if (stored.schema > currentSchema) throw newer(connection, stored.schema);
  return stored;
}
