import { min, type SQL, sql } from 'drizzle-orm';
import type { ConfigurationState, ResourceKind, ResourceValue, StoredSettings } from '../src/admin/resources.ts';
import type { Route } from '../src/core/types.ts';
import type { Definition } from '../src/services/types.ts';
import { type Connection, database } from './connection.ts';
import { damaged, parsed } from './damaged.ts';
import { again } from './retry.ts';
import { meta, resourceChanges, resources, revisions } from './schema.ts';

/** What one read returns at most, and the last row that is over it: Hrana servers refuse answers above some 10 MB. */
export interface PageLimits {
  readonly rows: number;
  readonly characters: number;
}

export const pageLimits: PageLimits = { rows: 20_000, characters: 4_000_000 };

const kinds: readonly string[] = ['route', 'service', 'settings'] satisfies readonly ResourceKind[];

type Key = readonly [kind: string, id: string];
type ResourceRow = readonly [kind: ResourceKind, id: string, value: string, total: number];
type SpanRow = readonly [kind: ResourceKind, id: string, before: string | null, after: string | null, total: number];

/** What became of a thing over some revisions, both as JSON. */
export interface SpanChange {
  readonly kind: ResourceKind;
  readonly id: string;
  readonly before: string | null;
  readonly after: string | null;
}

/** What a read saw of the database: the revision, and the oldest one that the log has (null: none). */
export interface Seen {
  readonly revision: number;
  readonly oldest: number | null;
}

/** Whether the log has all that was changed after a revision. */
export function reaches({ revision, oldest }: Seen, after: number): boolean {
  if (after === revision) return true;
  // A revision ahead of the database: a backup was restored.
  return after < revision && after >= 0 && oldest !== null && oldest <= after + 1;
}

/** Reads the tables of the configuration page by page, each a transaction of its own. */
export class ResourcePages {
  readonly #connection: Connection;
  readonly #limits: PageLimits;

  constructor(connection: Connection, limits: PageLimits) {
    this.#connection = connection;
    this.#limits = limits;
  }

  /** What is there now: by kind, then id. @param onPage told of each page's rows and revision */
  async present(onPage: (rows: readonly ResourceRow[], seen: Seen) => void): Promise<void> {
    await this.#pages<ResourceRow>(
      ([
        kind,
        id,
      ]) => sql`SELECT kind, id, value, sum(length(value)) OVER (ORDER BY kind, id ROWS UNBOUNDED PRECEDING) AS total
        FROM (SELECT kind, id, value FROM ${resources} WHERE (kind, id) > (${kind}, ${id})
          ORDER BY kind, id LIMIT ${this.#limits.rows})`,
      'length(value)',
      (rows, seen) => {
        onPage(rows, seen);
        return true;
      },
    );
  }

  /**
   * What became of each thing that revisions after `from`, `to` included, have changed: by kind, then id.
   * @param most gives up when there is more than this
   * @returns 'too old' where the log does not reach back to `from` (any more), 'too much' for more than `most`
   */
  async span(
    from: number,
    to: number,
    most = Number.POSITIVE_INFINITY,
  ): Promise<SpanChange[] | 'too old' | 'too much'> {
    const found: SpanChange[] = [];
    let end: 'too old' | 'too much' | undefined;
    await this.#pages<SpanRow>(
      ([kind, id]) => sql`SELECT span.kind, span.id, early.before, late.after,
          sum(length(coalesce(early.before, '')) + length(coalesce(late.after, ''))) OVER (ORDER BY span.kind, span.id ROWS UNBOUNDED PRECEDING) AS total
        FROM (SELECT kind, id, min(revision) AS early, max(revision) AS late FROM ${resourceChanges}
            WHERE revision > ${from} AND revision <= ${to} AND (kind, id) > (${kind}, ${id})
            GROUP BY kind, id ORDER BY kind, id LIMIT ${this.#limits.rows}) AS span
          CROSS JOIN ${resourceChanges} AS early
            ON early.revision = span.early AND early.kind = span.kind AND early.id = span.id
          CROSS JOIN ${resourceChanges} AS late
            ON late.revision = span.late AND late.kind = span.kind AND late.id = span.id`,
      "length(coalesce(before, '')) + length(coalesce(after, ''))",
      (rows, seen) => {
        if (!reaches(seen, from)) end = 'too old';
        else if (found.length + rows.length > most) end = 'too much';
        else for (const [kind, id, before, after] of rows) found.push({ kind, id, before, after });
        return end === undefined;
      },
    );
    return end ?? found;
  }

  /** The JSON of a row. @throws StoreError for what is none */
  value<T extends ResourceValue = ResourceValue>(kind: string, id: string, json: string): T {
    const value = parsed(json);
    const isKnown = kinds.includes(kind) && typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isKnown) throw damaged(this.#connection, `the ${kind} ${id}`);
    return value as T;
  }

  async #pages<R extends readonly [ResourceKind, string, ...unknown[]]>(
    pageAfter: (after: Key) => SQL,
    length: string,
    onPage: (rows: readonly R[], seen: Seen) => boolean,
  ): Promise<void> {
    const reads = database(this.#connection, 'read');
    const { rows: mostRows, characters } = this.#limits;
    const stored = reads.select({ revision: meta.revision }).from(meta);
    const oldest = reads.select({ revision: min(revisions.revision) }).from(revisions);
    for (let after: Key = ['', '']; ; ) {
      const page = reads.all<R>(sql`SELECT * FROM (${pageAfter(after)})
        WHERE total - (${sql.raw(length)}) <= ${characters} ORDER BY kind, id`);
      const [[{ revision }], [log], list] = await again(this.#connection, () => reads.batch([stored, oldest, page]));
      if (!onPage(list, { revision, oldest: log.revision })) return;
      const last = list.at(-1);
      if (last === undefined || (list.length < mostRows && (last.at(-1) as number) <= characters)) return;
      after = [last[0], last[1]];
    }
  }
}

/** Things by kind, then id: what a state is made of. */
export type Found = Readonly<Record<ResourceKind, Map<string, ResourceValue>>>;

/** Takes a thing as it is; null: it is not there. */
export function put(found: Found, kind: ResourceKind, id: string, value: ResourceValue | null): void {
  if (value === null) found[kind].delete(id);
  else found[kind].set(id, value);
}

/** @param isSorted whether each kind is by id already */
export function stateOf(revision: number, found: Found, isSorted: boolean): ConfigurationState {
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  const listOf = <T extends { id: string }>(kind: ResourceKind) => {
    const list = [...found[kind].values()] as unknown as T[];
    return isSorted ? list : list.sort(byId);
  };
  const settings = (found.settings.get('server') ?? {}) as StoredSettings;
  return { revision, routes: listOf<Route>('route'), services: listOf<Definition>('service'), settings };
}
