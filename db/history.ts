import { desc, eq, lt, sql } from 'drizzle-orm';
import type { ConfigurationState, History, ResourceChange, RevisionInfo } from '../src/admin/resources.ts';
import { type Connection, database } from './connection.ts';
import { type Found, put, type ResourcePages, reaches, type Seen, type SpanChange, stateOf } from './resource-pages.ts';
import { again } from './retry.ts';
import { meta, revisions } from './schema.ts';

/**
 * Reads the change log. A state of before is the present one with what came later undone, so the log only needs what comes after it.
 * @param load all that is there now
 */
export function createHistory(
  connection: Connection,
  pages: ResourcePages,
  load: () => Promise<ConfigurationState>,
): History {
  const reads = database(connection, 'read');

  async function seen(): Promise<Seen> {
    const oldest = sql<number | null>`(SELECT min(revision) FROM ${revisions})`;
    const [row] = await again(connection, () => reads.select({ revision: meta.revision, oldest }).from(meta));
    return row;
  }

  async function list(limit: number, before?: number): Promise<RevisionInfo[]> {
    const rows = await again(connection, () =>
      reads
        .select()
        .from(revisions)
        .where(before === undefined ? undefined : lt(revisions.revision, before))
        .orderBy(desc(revisions.revision))
        .limit(Math.min(Math.max(limit, 1), 1_000)),
    );
    return rows.map(infoOf);
  }

  async function revision(number: number) {
    const [row] = await again(connection, () => reads.select().from(revisions).where(eq(revisions.revision, number)));
    if (row === undefined) return undefined;
    const span = await pages.span(number - 1, number);
    return typeof span === 'string' ? undefined : { ...infoOf(row), resources: span.map(changeOf) };
  }

  async function at(number: number): Promise<ConfigurationState | undefined> {
    if (!reaches(await seen(), number)) return undefined;
    const present = await load();
    if (present.revision === number) return present;
    const later = await pages.span(number, present.revision);
    if (typeof later === 'string') return undefined;
    const found: Found = {
      route: new Map(present.routes.map((route) => [route.id, route])),
      service: new Map(present.services.map((service) => [service.id, service])),
      settings: new Map([['server', present.settings]]),
    };
    for (const { kind, id, before } of later)
      put(found, kind, id, before === null ? null : pages.value(kind, id, before));
    return stateOf(number, found, false);
  }

  async function between(from: number, to: number): Promise<ResourceChange[] | undefined> {
    const now = await seen();
    if (!reaches(now, from) || !reaches(now, to)) return undefined;
    const span = from === to ? [] : await pages.span(Math.min(from, to), Math.max(from, to));
    if (typeof span === 'string') return undefined;
    const changed = span.filter(({ before, after }) => before !== after).map(changeOf);
    return from <= to ? changed : changed.map((change) => ({ ...change, before: change.after, after: change.before }));
  }

  function changeOf({ kind, id, before, after }: SpanChange): ResourceChange {
    const read = (json: string | null) => (json === null ? null : pages.value(kind, id, json));
    return { kind, id, before: read(before), after: read(after) };
  }

  return { list, revision, at, between };
}

/** A row as the history lists it. */
export function infoOf(row: typeof revisions.$inferSelect): RevisionInfo {
  const { revision, at, actor, source, reason, changes } = row;
  return { revision, at, actor, from: source, reason: reason ?? '', changes };
}
