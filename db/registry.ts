import { sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';
import type { RegistryChanges, RegistryRow, RegistryStore, RegistryWrite } from '../src/services/types.ts';
import { type Connection, database } from './connection.ts';
import { damaged } from './damaged.ts';
import { StoreError } from './failure.ts';
import { writePlain } from './plain.ts';
import { rowOf, type StoredRow, storedOf } from './registry-row.ts';
import { again, attempts } from './retry.ts';
import { meta, registry, registryRemovals } from './schema.ts';
import { watch } from './watch.ts';

/** How many removed rows are remembered; who has not read since before them reads all. */
export const removalsKept = 10_000;

/** What one read returns at most, and the last row that is over it: Hrana servers refuse answers above some 10 MB. */
const pageLimits = { rows: 2_000, characters: 2_000_000 };

/** Pages of one reading. Past it, rows change faster than they can be read. */
const mostPages = 2_000;

export interface RegistryStoreOptions {
  /** Told of a row that makes no sense (OO_STORE_CORRUPT); it is left out, and the next write of it replaces it. Default: nothing is said. */
  readonly onDamaged?: (error: StoreError) => void;
  readonly removalsKept?: number;
  readonly pageLimits?: { readonly rows: number; readonly characters: number };
}

type Key = readonly [version: number, kind: string, id: string];
type Page = readonly (readonly [version: number, total: number, ...StoredRow])[];

/** The registry over a migrated database. Every method throws StoreError. */
export function createRegistryStore(connection: Connection, options: RegistryStoreOptions = {}): RegistryStore {
  const { onDamaged = () => {}, removalsKept: kept = removalsKept, pageLimits: limits = pageLimits } = options;
  const reads = database(connection, 'read');
  const state = reads.select({ version: meta.registryVersion, forgotten: meta.registryForgotten }).from(meta);

  async function read(since: number): Promise<RegistryChanges> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const changes = await readPages(since);
      if (changes !== undefined) return changes;
    }
    const message = `The registry in the database ${connection.where} changes faster than it can be read.`;
    throw new StoreError('OO_STORE_BUSY', message, 'Try again when fewer changes are being made.');
  }

  /**
   * Rows in the order of their last writes: one that is written while this goes on is read again, further on. So all that there is
   * and what has changed since are read alike.
   * @returns undefined if removed rows that it needs were forgotten meanwhile
   */
  async function readPages(since: number): Promise<RegistryChanges | undefined> {
    const found = new Map<string, StoredRow>();
    let after: Key = [since + 1, '', ''];
    const whole = since === 0;
    // Of removed rows, those that this reading may have seen.
    let removedAfter = whole ? Number.MAX_SAFE_INTEGER : since;
    for (let pages = 0; pages < mostPages; pages++) {
      const [[{ version, forgotten }], page, gone] = await again(connection, () =>
        reads.batch([state, rowsAfter(after), removedSince(removedAfter)]),
      );
      // A version ahead of the database: a backup was restored.
      if (pages === 0 && (whole || since < forgotten || since > version)) {
        if (!whole) return readPages(0);
        removedAfter = version;
      } else if (removedAfter < forgotten) return undefined;
      for (const [, , ...row] of page) found.set(`${row[0]} ${row[1]}`, row);
      const last = page.at(-1);
      if (last !== undefined && (page.length === limits.rows || last[1] > limits.characters)) {
        after = [last[0], last[2], last[3]];
        continue;
      }
      for (const { kind, id } of gone) found.delete(`${kind} ${id}`);
      const removed = whole ? [] : (gone as RegistryChanges['removed']);
      return { version, whole, rows: sound(found.values()), removed };
    }
    return undefined;
  }

  function rowsAfter([version, kind, id]: Key) {
    return reads.all<
      Page[number]
    >(sql`SELECT version, total, kind, id, value, last_heartbeat, status, details, status_since
      FROM (SELECT *, sum(length(value)) OVER (ORDER BY version, kind, id) AS total
        FROM (SELECT * FROM ${registry} WHERE (version, kind, id) > (${version}, ${kind}, ${id})
          ORDER BY version, kind, id LIMIT ${limits.rows}))
      WHERE total - length(value) <= ${limits.characters} ORDER BY version, kind, id`);
  }

  function removedSince(version: number) {
    return reads
      .select({ kind: registryRemovals.kind, id: registryRemovals.id })
      .from(registryRemovals)
      .where(sql`${registryRemovals.version} > ${version}`);
  }

  function sound(rows: Iterable<StoredRow>): RegistryRow[] {
    const list: RegistryRow[] = [];
    for (const stored of rows) {
      const row = rowOf(stored);
      if (row !== undefined) list.push(row);
      else onDamaged(damaged(connection, `the ${stored[0]} ${stored[1]} of the registry`));
    }
    return list;
  }

  async function write(list: readonly RegistryWrite[]): Promise<void> {
    if (list.length === 0) return;
    await writePlain(connection, (writes) => [
      writes.update(meta).set({ registryVersion: sql`${meta.registryVersion} + 1` }),
      ...rounds(list).flatMap((round) => statementsOf(writes, round)),
      ...(list.some((write) => write.do === 'remove') ? forget(writes, kept) : []),
    ]);
  }

  return {
    read,
    write,
    watch: connection.shared
      ? (known, onVersion, onError, onSame) =>
          watch(connection, {
            number: ({ registryVersion }) => registryVersion,
            ...{ known, onChange: onVersion, onError, onSame },
          })
      : undefined,
  };
}

/** The number of the write, inside of a statement. */
const storedVersion = sql<number>`(SELECT ${meta.registryVersion} FROM ${meta})`;

/** Writes of different rows bear any order: each round has a row once, and the n-th write of a row is in the n-th round. */
function rounds(list: readonly RegistryWrite[]): RegistryWrite[][] {
  const counts = new Map<string, number>();
  const found: RegistryWrite[][] = [];
  for (const write of list) {
    const [kind, id] =
      write.do === 'put' ? [write.row.kind, write.row.id] : [write.do === 'beat' ? 'instance' : write.kind, write.id];
    const key = `${kind} ${id}`;
    const round = counts.get(key) ?? 0;
    counts.set(key, round + 1);
    if (round === found.length) found.push([]);
    found[round].push(write);
  }
  return found;
}

/** At most five, however many rows: each takes its rows as one JSON text. */
function statementsOf(writes: SqliteRemoteDatabase, round: readonly RegistryWrite[]): BatchItem<'sqlite'>[] {
  const puts: StoredRow[] = [];
  const beats: (string | number)[][] = [];
  const removals: unknown[][] = [];
  for (const write of round) {
    if (write.do === 'put') puts.push(storedOf(write.row));
    else if (write.do === 'remove') removals.push([write.kind, write.id, write.unlessBeatenSince]);
    else beats.push([write.id, write.lastHeartbeat, write.status, write.details, write.statusSince]);
  }
  return [
    ...(puts.length > 0 ? putStatements(writes, JSON.stringify(puts)) : []),
    ...(beats.length > 0 ? [beatStatement(writes, JSON.stringify(beats))] : []),
    ...(removals.length > 0 ? removeStatements(writes, JSON.stringify(removals)) : []),
  ];
}

function putStatements(writes: SqliteRemoteDatabase, rows: string): BatchItem<'sqlite'>[] {
  return [
    writes.run(sql`INSERT INTO ${registry} (kind, id, value, last_heartbeat, status, details, status_since, version)
      SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, ${storedVersion}
      FROM json_each(${rows}) WHERE true
      ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value, last_heartbeat = excluded.last_heartbeat,
        status = excluded.status, details = excluded.details, status_since = excluded.status_since,
        version = excluded.version`),
    writes.run(sql`DELETE FROM ${registryRemovals}
      WHERE (kind, id) IN (SELECT value->>0, value->>1 FROM json_each(${rows}))`),
  ];
}

/**
 * Of heartbeats the last word counts, not the latest time: a machine whose clock is ahead must not silence the others. The CROSS JOIN
 * has each beat look for its row; an UPDATE FROM would have each row of the table look through all beats.
 */
function beatStatement(writes: SqliteRemoteDatabase, rows: string): BatchItem<'sqlite'> {
  return writes.run(sql`INSERT INTO ${registry} (kind, id, value, last_heartbeat, status, details, status_since, version)
    SELECT row.kind, row.id, '', beat.value->>1, beat.value->>2, beat.value->>3, beat.value->>4, ${storedVersion}
    FROM json_each(${rows}) AS beat CROSS JOIN ${registry} AS row ON row.kind = 'instance' AND row.id = beat.value->>0
    WHERE true
    ON CONFLICT (kind, id) DO UPDATE SET last_heartbeat = excluded.last_heartbeat, status = excluded.status,
      details = excluded.details, status_since = excluded.status_since, version = excluded.version`);
}

/** What is not there leaves no trace: done again, since an answer was lost, it does nothing. */
function removeStatements(writes: SqliteRemoteDatabase, rows: string): BatchItem<'sqlite'>[] {
  return [
    writes.run(sql`INSERT INTO ${registryRemovals} (kind, id, version)
      SELECT row.kind, row.id, ${storedVersion} FROM json_each(${rows}) AS gone
        CROSS JOIN ${registry} AS row ON row.kind = gone.value->>0 AND row.id = gone.value->>1
      WHERE gone.value->>2 IS NULL OR row.last_heartbeat IS NULL OR row.last_heartbeat <= gone.value->>2
      ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version`),
    writes.run(sql`DELETE FROM ${registry}
      WHERE (kind, id) IN (SELECT kind, id FROM ${registryRemovals} WHERE version = ${storedVersion})`),
  ];
}

/** Keeps the newest of the removed rows. */
function forget(writes: SqliteRemoteDatabase, kept: number): BatchItem<'sqlite'>[] {
  const past = sql`(SELECT version FROM ${registryRemovals} ORDER BY version DESC LIMIT 1 OFFSET ${kept})`;
  return [
    writes.update(meta).set({ registryForgotten: sql`max(${meta.registryForgotten}, coalesce(${past}, 0))` }),
    writes.run(sql`DELETE FROM ${registryRemovals} WHERE version <= (SELECT ${meta.registryForgotten} FROM ${meta})`),
  ];
}
