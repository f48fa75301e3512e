import { randomUUID } from 'node:crypto';
import { asc, desc, eq, gt, min, sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { TargetSpec } from '../src/core/pool-types.ts';
import type { Route } from '../src/core/types.ts';
import { type Connection, database } from './connection.ts';
import { isPassing, StoreError, storeError } from './failure.ts';
import { currentSchema } from './migrations.ts';
import { again, attempts } from './retry.ts';
import { meta, revisions, routeChanges, routes } from './schema.ts';
import { watch } from './watch.ts';

/** How much of the change log is kept: whichever is less. */
export const logLimits: LogLimits = { revisions: 1_000, changes: 200_000 };

export interface LogLimits {
  readonly revisions: number;
  readonly changes: number;
}

/** Rows that one statement writes, and that one read returns: Hrana servers refuse answers above some 10 MB. */
const slice = 20_000;
const writeSlice = 5_000;

export interface Commit {
  /** The revision it was made from. */
  readonly base: number;
  /** Routes, their ids in normal form and each id once, to be added or replaced. */
  readonly save: readonly Route[];
  /** Ids, in normal form, to be removed. */
  readonly remove: readonly string[];
  /** Who asked for it: `cli`, `api`. */
  readonly actor: string;
  readonly reason?: string;
}

export interface Changes {
  readonly revision: number;
  readonly save: Route[];
  readonly remove: string[];
}

/**
 * The routes in a database. Every method throws StoreError.
 * It satisfies src/admin's `RouteStore`.
 */
export interface RouteStore {
  /** All routes, by id, and their revision. */
  load(): Promise<{ revision: number; routes: Route[] }>;
  /** Stores a change whole if the revision still is `base`, else says what it is now. What it acknowledged is on the disk. */
  commit(commit: Commit): Promise<{ revision: number } | { conflict: number }>;
  /** What changed after a revision, or that the log does not reach so far: then `load`. */
  changesSince(revision: number): Promise<Changes | 'too old'>;
  /** Only where others may write too: calls back when the stored revision is another than `known()`. Returns the stop. */
  watch?(
    known: () => number,
    onRevision: (revision: number) => Promise<void>,
    onError: (error: Error) => void,
  ): () => void;
  close(): void;
}

type Batch = [BatchItem<'sqlite'>, ...BatchItem<'sqlite'>[]];

/** The route store over a migrated database. */
export function createRouteStore(
  connection: Connection,
  { now = Date.now, limits = logLimits }: { now?: () => number; limits?: LogLimits } = {},
): RouteStore {
  const reads = database(connection, 'read');
  const writes = database(connection, 'write');
  const stored = reads.select({ revision: meta.revision }).from(meta);

  async function load() {
    for (let attempt = 1; ; attempt++) {
      const loaded = await loadPages();
      if (loaded !== 'too old') return loaded;
      if (attempt === attempts) {
        const message = `The database ${connection.where} changes faster than it can be read.`;
        throw new StoreError('OO_STORE_BUSY', message, 'Start again when fewer changes are being made.');
      }
    }
  }

  // Pages may be of different revisions: the changes made meanwhile, laid over them, give the last one's state.
  async function loadPages() {
    const found = new Map<string, Route>();
    let first: number | undefined;
    let last = 0;
    for (let after = '', rows = slice; rows === slice; ) {
      const page = reads
        .select({ id: routes.id, target: routes.target, options: routes.options })
        .from(routes)
        .where(gt(routes.id, after))
        .orderBy(asc(routes.id))
        .limit(slice);
      const [[{ revision }], list] = await again(connection, () => reads.batch([stored, page]));
      first ??= revision;
      last = revision;
      rows = list.length;
      for (const { id, target, options } of list) {
        found.set(id, { id, target: targetOf(target), ...(options === null ? undefined : JSON.parse(options)) });
        after = id;
      }
    }
    if (last === first) return { revision: last, routes: [...found.values()] };
    const changes = await changesSince(first as number);
    if (changes === 'too old') return changes;
    for (const route of changes.save) found.set(route.id, route);
    for (const id of changes.remove) found.delete(id);
    return { revision: changes.revision, routes: [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) };
  }

  async function changesSince(revision: number): Promise<Changes | 'too old'> {
    const oldest = reads.select({ revision: min(revisions.revision) }).from(revisions);
    const rows = reads
      .select({ id: routeChanges.routeId, value: routeChanges.value })
      .from(routeChanges)
      .where(gt(routeChanges.revision, revision))
      .orderBy(asc(routeChanges.revision))
      .limit(slice + 1);
    const [[current], [log], changes] = await again(connection, () => reads.batch([stored, oldest, rows]));
    if (current.revision === revision) return { revision, save: [], remove: [] };
    // A revision ahead of the database: a backup was restored. More than a slice: loading all is as quick.
    const reached = current.revision > revision && log.revision !== null && log.revision <= revision + 1;
    if (!reached || changes.length > slice) return 'too old';
    const values = new Map(changes.map(({ id, value }) => [id, value]));
    const save: Route[] = [];
    const remove: string[] = [];
    for (const [id, value] of values) value === null ? remove.push(id) : save.push(JSON.parse(value));
    return { revision: current.revision, save, remove };
  }

  async function commit(change: Commit): Promise<{ revision: number } | { conflict: number }> {
    const commitId = randomUUID();
    for (let attempt = 1; ; attempt++) {
      try {
        await writes.batch(statementsOf(change, commitId, now()));
        return { revision: change.base + 1 };
      } catch (error) {
        const failure = storeError(error, connection.where);
        const after = await afterFailure(change.base, commitId).catch(() => undefined);
        if (after) return after;
        if (!isPassing(failure) || attempt === attempts) throw failure;
      }
    }
  }

  // The answer to a commit may be lost although it was stored, and its guard fails alike for a conflict and a newer schema.
  async function afterFailure(base: number, commitId: string) {
    const mine = reads.select({ revision: revisions.revision }).from(revisions).where(eq(revisions.commitId, commitId));
    const [[current], [made]] = await reads.batch([stored, mine]);
    if (made) return { revision: made.revision };
    if (current.revision !== base) return { conflict: current.revision };
    return undefined;
  }

  /** All of a commit as one batch. The guard comes first: it fails (NOT NULL) unless schema and revision are as expected. */
  function statementsOf({ base, save, remove, actor, reason }: Commit, commitId: string, at: number): Batch {
    const next = base + 1;
    const batch: Batch = [
      writes.update(meta).set({
        revision: sql`CASE WHEN ${meta.revision} = ${base} AND ${meta.schema} = ${currentSchema} THEN ${next} END`,
      }),
      writes
        .insert(revisions)
        .values({ revision: next, commitId, at, actor, reason, changes: save.length + remove.length }),
    ];
    for (const part of slices(save)) {
      const rows = JSON.stringify(
        part.map(({ id, target, ...options }) => [id, textOfTarget(target), textOf(options)]),
      );
      batch.push(
        writes.run(sql`INSERT INTO ${routes} (id, target, options, revision, created_at, updated_at)
          SELECT value->>0, value->>1, value->>2, ${next}, ${at}, ${at} FROM json_each(${rows}) WHERE true
          ON CONFLICT (id) DO UPDATE SET target = excluded.target, options = excluded.options,
            revision = excluded.revision, updated_at = excluded.updated_at`),
      );
    }
    batch.push(
      writes.run(sql`INSERT INTO ${routeChanges} (revision, route_id, value)
        SELECT ${next}, id, json_set(coalesce(options, '{}'), '$.id', id, '$.target',
          CASE WHEN target GLOB '[[]["{]*' THEN json(target) ELSE target END)
        FROM ${routes} WHERE ${routes.revision} = ${next}`),
    );
    for (const part of slices(remove)) {
      const ids = JSON.stringify(part);
      batch.push(
        writes.run(sql`INSERT INTO ${routeChanges} (revision, route_id) SELECT ${next}, value FROM json_each(${ids})`),
        writes.run(sql`DELETE FROM ${routes} WHERE id IN (SELECT value FROM json_each(${ids}))`),
      );
    }
    return [...batch, ...trim(next)] as Batch;
  }

  /** Forgets the oldest revisions, past either limit. */
  function trim(next: number): BatchItem<'sqlite'>[] {
    const running = reads
      .select({
        revision: revisions.revision,
        total: sql<number>`sum(${revisions.changes}) OVER (ORDER BY ${desc(revisions.revision)})`.as('total'),
      })
      .from(revisions)
      .as('running');
    const past = sql`(SELECT coalesce(max(revision), 0) FROM ${running} WHERE total > ${limits.changes})`;
    const last = sql`max(${next - limits.revisions}, ${past})`;
    const oldest = sql`(SELECT coalesce(min(revision), ${next + 1}) FROM ${revisions})`;
    return [
      writes.delete(revisions).where(sql`${revisions.revision} <= ${last}`),
      writes.delete(routeChanges).where(sql`${routeChanges.revision} < ${oldest}`),
    ];
  }

  return {
    load,
    commit,
    changesSince,
    watch: connection.shared
      ? (known, onRevision, onError) =>
          watch(connection, { number: ({ revision }) => revision, known, onChange: onRevision, onError })
      : undefined,
    close: () => connection.close(),
  };
}

/** The other fields of a route as JSON, or null for none. */
function textOf(options: object): string | null {
  const text = JSON.stringify(options);
  return text === '{}' ? null : text;
}

// A target is stored as its text, a list of them as JSON. An address may begin with a bracket, too (`[::1]:3000`), but never with these two.
const listForm = /^\[["{]/;

function textOfTarget(target: TargetSpec | undefined): string {
  if (target === undefined) return '';
  return typeof target === 'string' ? target : JSON.stringify(target);
}

function targetOf(text: string): TargetSpec | undefined {
  if (text === '') return undefined;
  return listForm.test(text) ? JSON.parse(text) : text;
}

function* slices<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += writeSlice) yield list.slice(at, at + writeSlice);
}
