import { asc, desc, eq, gt, sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { ConfigurationState, ResourceKind } from '../src/admin/resources.ts';
import type { Commit, ConfigurationStore, StoredChanges } from '../src/admin/store.ts';
import type { Route } from '../src/core/types.ts';
import type { Definition } from '../src/services/types.ts';
import { type Connection, database } from './connection.ts';
import { isPassing, StoreError, storeError } from './failure.ts';
import { createHistory, infoOf } from './history.ts';
import { currentSchema } from './migrations.ts';
import { type Found, type PageLimits, pageLimits, put, ResourcePages, stateOf } from './resource-pages.ts';
import { again, attempts } from './retry.ts';
import { meta, resourceChanges, resources, revisions } from './schema.ts';
import { watch } from './watch.ts';

/** How much of the change log is kept: whichever is less. A commit that says another number of revisions counts. */
export const logLimits: LogLimits = { revisions: 1_000, changes: 200_000 };

export interface LogLimits {
  readonly revisions: number;
  readonly changes: number;
}

/** What one statement writes, about. */
const writeSlice = { rows: 5_000, characters: 4_000_000 };

export interface ConfigurationStoreOptions {
  readonly now?: () => number;
  readonly limits?: LogLimits;
  readonly pageLimits?: PageLimits;
}

/** A row to be written: JSON, or null to remove it. */
type Row = readonly [kind: ResourceKind, id: string, after: string | null];
type Batch = [BatchItem<'sqlite'>, ...BatchItem<'sqlite'>[]];

/** The configuration over a migrated database. Every method throws StoreError. */
export function createConfigurationStore(
  connection: Connection,
  options: ConfigurationStoreOptions = {},
): ConfigurationStore {
  const { now = Date.now, limits = logLimits } = options;
  const pages = new ResourcePages(connection, options.pageLimits ?? pageLimits);
  const reads = database(connection, 'read');
  const writes = database(connection, 'write');

  async function load(): Promise<ConfigurationState> {
    for (let attempt = 1; ; attempt++) {
      const loaded = await loadPages();
      if (loaded !== undefined) return loaded;
      if (attempt === attempts) {
        const message = `The database ${connection.where} changes faster than it can be read.`;
        throw new StoreError('OO_STORE_BUSY', message, 'Start again when fewer changes are being made.');
      }
    }
  }

  // Pages may be of different revisions: the changes made meanwhile, laid over them, give the last one's state.
  async function loadPages(): Promise<ConfigurationState | undefined> {
    const found: Found = { route: new Map(), service: new Map(), settings: new Map() };
    let first: number | undefined;
    let last = 0;
    await pages.present((rows, { revision }) => {
      first ??= revision;
      last = revision;
      for (const [kind, id, value] of rows) put(found, kind, id, pages.value(kind, id, value));
    });
    if (first === last || first === undefined) return stateOf(last, found, true);
    const meanwhile = await pages.span(first, last);
    if (typeof meanwhile === 'string') return undefined;
    for (const { kind, id, after } of meanwhile)
      put(found, kind, id, after === null ? null : pages.value(kind, id, after));
    return stateOf(last, found, false);
  }

  async function changesSince(since: number): Promise<StoredChanges | 'too old'> {
    const later = reads.select().from(revisions).where(gt(revisions.revision, since));
    const [[{ revision }], rows] = await again(connection, () =>
      reads.batch([
        reads.select({ revision: meta.revision }).from(meta),
        later.orderBy(asc(revisions.revision)).limit(1_000),
      ]),
    );
    const unchanged = { revision, save: [], remove: [], services: { save: [], remove: [] }, made: [] };
    if (revision === since) return unchanged;
    // More than a page: loading all is as quick.
    const span = await pages.span(since, revision, (options.pageLimits ?? pageLimits).rows);
    if (typeof span === 'string' || revision < since) return 'too old';
    const made = rows.filter((row) => row.revision <= revision).map(infoOf);
    const changes = { ...unchanged, services: { save: [], remove: [] }, made } as Mutable;
    for (const { kind, id, after } of span) {
      const lists = kind === 'route' ? changes : changes.services;
      if (kind === 'settings') changes.settings = after === null ? {} : pages.value(kind, id, after);
      else if (after === null) lists.remove.push(id);
      else lists.save.push(pages.value(kind, id, after));
    }
    return changes;
  }

  async function commit(change: Commit) {
    const commitId = crypto.randomUUID();
    const at = now();
    for (let attempt = 1; ; attempt++) {
      try {
        await writes.batch(statementsOf(change, commitId, at));
        return { revision: change.base + 1, at };
      } catch (error) {
        const failure = storeError(error, connection.where);
        // If this fails too, the first error is the one to tell.
        const outcome = await outcomeOf(change.base, commitId).catch(() => undefined);
        if (outcome !== undefined) return outcome;
        if (!isPassing(failure) || attempt === attempts) throw failure;
      }
    }
  }

  // The answer to a commit may be lost although it was stored, and its guard fails alike for a conflict and a newer schema.
  async function outcomeOf(base: number, commitId: string) {
    const mine = reads.select().from(revisions).where(eq(revisions.commitId, commitId));
    const stored = reads.select({ revision: meta.revision }).from(meta);
    const [[current], [made]] = await reads.batch([stored, mine]);
    if (made) return { revision: made.revision, at: made.at };
    return current.revision === base ? undefined : { conflict: current.revision };
  }

  /** All of a commit as one batch. The guard comes first: it fails (NOT NULL) unless schema and revision are as expected. */
  function statementsOf(commit: Commit, commitId: string, at: number): Batch {
    const { base, actor, from: source, reason } = commit;
    const next = base + 1;
    const rows = rowsOf(commit);
    const batch: Batch = [
      writes.update(meta).set({
        revision: sql`CASE WHEN ${meta.revision} = ${base} AND ${meta.schema} = ${currentSchema} THEN ${next} END`,
      }),
      writes.insert(revisions).values({ revision: next, commitId, at, actor, source, reason, changes: rows.length }),
    ];
    // The log is written first, since it says what was there before; the rows are then what it says.
    for (const part of slices(rows)) {
      batch.push(
        writes.run(sql`INSERT INTO ${resourceChanges} (revision, kind, id, before, after)
          SELECT ${next}, row.value->>0, row.value->>1, old.value, row.value->>2 FROM json_each(${JSON.stringify(part)}) AS row
          LEFT JOIN ${resources} AS old ON old.kind = row.value->>0 AND old.id = row.value->>1`),
      );
    }
    batch.push(
      writes.run(sql`INSERT INTO ${resources} (kind, id, value, revision, created_at, updated_at)
        SELECT kind, id, after, revision, ${at}, ${at} FROM ${resourceChanges}
        WHERE revision = ${next} AND after IS NOT NULL
        ON CONFLICT (kind, id) DO UPDATE SET value = excluded.value, revision = excluded.revision,
          updated_at = excluded.updated_at`),
    );
    if (rows.some(([, , after]) => after === null)) {
      batch.push(
        writes.run(sql`DELETE FROM ${resources} WHERE (kind, id) IN
          (SELECT kind, id FROM ${resourceChanges} WHERE revision = ${next} AND after IS NULL)`),
      );
    }
    return [...batch, ...trim(next, commit.historyRevisions ?? limits.revisions)] as Batch;
  }

  /** Forgets the oldest revisions, past either limit. */
  function trim(next: number, revisionsKept: number): BatchItem<'sqlite'>[] {
    const running = reads
      .select({
        revision: revisions.revision,
        total: sql<number>`sum(${revisions.changes}) OVER (ORDER BY ${desc(revisions.revision)})`.as('total'),
      })
      .from(revisions)
      .as('running');
    const past = sql`(SELECT CASE WHEN sum(changes) > ${limits.changes} THEN
      (SELECT coalesce(max(revision), 0) FROM ${running} WHERE total > ${limits.changes}) ELSE 0 END FROM ${revisions})`;
    const last = sql`max(${next - revisionsKept}, ${past})`;
    const oldest = sql`(SELECT coalesce(min(revision), ${next + 1}) FROM ${revisions})`;
    return [
      writes.delete(revisions).where(sql`${revisions.revision} <= ${last}`),
      writes.delete(resourceChanges).where(sql`${resourceChanges.revision} < ${oldest}`),
    ];
  }

  return {
    load,
    commit,
    changesSince,
    history: createHistory(connection, pages, load),
    watch: connection.shared
      ? (known, onRevision, onError) =>
          watch(connection, { number: ({ revision }) => revision, known, onChange: onRevision, onError })
      : undefined,
  };
}

interface Mutable extends StoredChanges {
  readonly save: Route[];
  readonly remove: string[];
  readonly services: { readonly save: Definition[]; readonly remove: string[] };
  settings?: StoredChanges['settings'];
}

function rowsOf({ save, remove, services, settings }: Commit): Row[] {
  const rows: Row[] = [];
  for (const route of save) rows.push(['route', route.id, JSON.stringify(route)]);
  for (const id of remove) rows.push(['route', id, null]);
  for (const service of services?.save ?? []) rows.push(['service', service.id, JSON.stringify(service)]);
  for (const id of services?.remove ?? []) rows.push(['service', id, null]);
  if (settings !== undefined) {
    const text = JSON.stringify(settings);
    rows.push(['settings', 'server', text === '{}' ? null : text]);
  }
  return rows;
}

function* slices(rows: readonly Row[]): Generator<readonly Row[]> {
  let characters = 0;
  let from = 0;
  for (let at = 0; at < rows.length; at++) {
    characters += rows[at][2]?.length ?? 0;
    if (at + 1 - from < writeSlice.rows && characters < writeSlice.characters) continue;
    yield rows.slice(from, at + 1);
    from = at + 1;
    characters = 0;
  }
  if (from < rows.length) yield rows.slice(from);
}
