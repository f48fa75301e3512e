import type { RestoreCount } from '../src/admin/backup.ts';
import { type BackupTable, backupTables, pagesOf } from './backup-tables.ts';
import type { Connection, SqlValue } from './connection.ts';
import { again } from './retry.ts';

/** A row of the configuration. */
export type ResourceRow = readonly [
  kind: string,
  id: string,
  value: string,
  revision: number,
  createdAt: number,
  updatedAt: number,
];

/** The state of a database, as far as a restore goes by it. */
export interface Before {
  readonly revision: number;
  /** Of the present revision: tells one line of revisions from another. */
  readonly commitId: string | null;
  readonly instances: number;
  readonly resources: readonly ResourceRow[];
  /** What tells one state from another, by id: the serial of a certificate, the hash of a token. */
  readonly certificates: ReadonlyMap<string, string>;
  readonly tokens: ReadonlyMap<string, string>;
}

export function table(name: string): BackupTable {
  return backupTables.find((one) => one.name === name) as BackupTable;
}

export async function allRows(connection: Connection, of: BackupTable): Promise<SqlValue[][]> {
  const rows: SqlValue[][] = [];
  for await (const page of pagesOf(connection, of)) for (const row of page) rows.push(row);
  return rows;
}

export async function readBefore(connection: Connection): Promise<Before> {
  const sql = `SELECT revision, (SELECT commit_id FROM revisions WHERE revision = meta.revision),
    (SELECT count(*) FROM registry WHERE kind = 'instance') FROM meta`;
  const [[[revision, commitId, instances]]] = await again(connection, () =>
    connection.run([{ sql, args: [] }], 'read'),
  );
  const mapOf = async (name: string, columns: string[]) =>
    new Map((await allRows(connection, { name, columns, keys: ['id'] })) as [string, string][]);
  return {
    ...{ revision: revision as number, commitId: commitId as string | null, instances: instances as number },
    resources: (await allRows(connection, table('resources'))) as unknown as ResourceRow[],
    certificates: await mapOf('certificates', ['id', 'serial']),
    tokens: await mapOf('tokens', ['id', 'hash']),
  };
}

/** What leads from one configuration to another: rows to be written, and of those to be removed kind and id. */
export function differenceOf(from: readonly ResourceRow[], to: readonly ResourceRow[]) {
  const keyOf = ([kind, id]: ResourceRow) => JSON.stringify([kind, id]);
  const there = new Map(from.map((row) => [keyOf(row), row]));
  const save: ResourceRow[] = [];
  for (const row of to) {
    const key = keyOf(row);
    if (there.get(key)?.[2] !== row[2]) save.push(row);
    there.delete(key);
  }
  return { save, remove: [...there.values()] };
}

export function countOf(now: ReadonlyMap<string, string>, backup: ReadonlyMap<string, string>): RestoreCount {
  let [added, changed, kept] = [0, 0, 0];
  for (const [id, value] of backup) {
    if (!now.has(id)) added += 1;
    else if (now.get(id) === value) kept += 1;
    else changed += 1;
  }
  const removed = now.size - changed - kept;
  return { now: now.size, backup: backup.size, added, changed, removed };
}

/** Of one kind, by id. */
export function valuesOf(rows: readonly ResourceRow[], of: string): Map<string, string> {
  return new Map(rows.filter(([kind]) => kind === of).map(([, id, value]) => [id, value]));
}
