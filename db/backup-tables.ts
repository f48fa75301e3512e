import { getTableConfig, type SQLiteTable } from 'drizzle-orm/sqlite-core';
import type { Connection, SqlValue } from './connection.ts';
import { again } from './retry.ts';
import * as schema from './schema.ts';

/** A table as a backup reads it. */
export interface BackupTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** Its primary key. */
  readonly keys: readonly string[];
}

function tableOf(table: SQLiteTable): BackupTable {
  const { name, columns, primaryKeys } = getTableConfig(table);
  const keys = primaryKeys[0]?.columns ?? columns.filter(({ primary }) => primary);
  return { name, columns: columns.map((column) => column.name), keys: keys.map((column) => column.name) };
}

/** In the order of the file. */
export const backupTables: readonly BackupTable[] = [
  ...[schema.meta, schema.resources, schema.revisions, schema.resourceChanges, schema.encryption],
  ...[schema.certificates, schema.certificateStates, schema.acmeAccounts, schema.ticketKeys, schema.registry],
  ...[schema.health, schema.tokens, schema.stickySecrets, schema.audit],
].map(tableOf);

/** What is of the moment, and of the servers that run: in no backup, and left alone by a restore. */
export const passingTables: readonly string[] = [
  ...[schema.certificateChanges, schema.registryRemovals, schema.challenges, schema.leases, schema.onDemand],
].map((table) => tableOf(table).name);

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const listed = (names: readonly string[]): string => names.map(quoted).join(', ');

/** Rows of one read: Hrana servers refuse answers above some 10 MB. */
const mostRows = 2_000;

/** All rows by their key, page by page, each a transaction of its own. Pages that are too much for a server are read in halves. */
export async function* pagesOf(
  connection: Connection,
  { name, columns, keys }: BackupTable,
): AsyncGenerator<SqlValue[][]> {
  const places = keys.map((key) => columns.indexOf(key));
  let limit = mostRows;
  let after: SqlValue[] | undefined;
  for (;;) {
    const where = after === undefined ? '' : ` WHERE (${listed(keys)}) > (${keys.map(() => '?').join(', ')})`;
    const sql = `SELECT ${listed(columns)} FROM ${quoted(name)}${where} ORDER BY ${listed(keys)} LIMIT ${limit}`;
    let rows: SqlValue[][];
    try {
      [rows] = (await again(connection, () => connection.run([{ sql, args: after ?? [] }], 'read'))) as SqlValue[][][];
    } catch (error) {
      if (limit === 1 || !connection.shared) throw error;
      limit = Math.max(1, Math.floor(limit / 8));
      continue;
    }
    if (rows.length > 0) yield rows;
    if (rows.length < limit) return;
    after = places.map((place) => (rows.at(-1) as SqlValue[])[place]);
  }
}
