import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BackupError, type BackupHeader, damagedBackup, unpacked } from './backup-format.ts';
import { listed, quoted } from './backup-tables.ts';
import type { Connection, SqlValue, Statement } from './connection.ts';
import { StoreError } from './failure.ts';
import { openFile } from './file.ts';
import { currentSchema, makeSchema, migrate } from './migrations.ts';

/** What one statement writes, about. */
const slice = { rows: 2_000, characters: 4_000_000 };
const prefix = 'oo-restore-';

/** A backup as a database of this program's schema, which nobody else sees. */
export interface ReadBackup {
  readonly header: BackupHeader;
  readonly connection: Connection;
  /** Takes it off the disk. */
  close(): void;
}

/**
 * Reads all of a backup into a temporary database, whose tables prove each row, and brings that up to date.
 * @param folder where it is made; what killed restores left there is taken away
 * @throws BackupError; StoreError where the disk fails
 */
export async function readBackup(file: AsyncIterable<Uint8Array>, folder: string): Promise<ReadBackup> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder))
    if (name.startsWith(prefix)) rmSync(join(folder, name), { recursive: true, force: true });
  const own = mkdtempSync(join(folder, prefix));
  let connection: Connection | undefined;
  const close = () => {
    connection?.close();
    rmSync(own, { recursive: true, force: true });
  };
  try {
    connection = openFile(join(own, 'backup.db'));
    const header = await fill(connection, file);
    await migrate(connection);
    await proveJson(connection);
    return { header, connection, close };
  } catch (error) {
    close();
    throw error;
  }
}

async function fill(connection: Connection, file: AsyncIterable<Uint8Array>): Promise<BackupHeader> {
  let header: BackupHeader | undefined;
  let table: { name: string; columns: readonly string[] } | undefined;
  const seen = new Set<string>();
  let rows: (readonly SqlValue[])[] = [];
  let characters = 0;
  const flush = async () => {
    if (table !== undefined && rows.length > 0) await insert(connection, table, rows);
    rows = [];
    characters = 0;
    // Others have their turn: SQLite works inside of the call.
    await new Promise((resolve) => setImmediate(resolve));
  };
  for await (const part of unpacked(file)) {
    if (header === undefined) {
      header = part as BackupHeader;
      if (header.schema > currentSchema) throw newerBackup(header);
      await makeSchema(connection, header.schema);
      await connection.run([{ sql: 'DELETE FROM meta', args: [] }], 'write');
    } else if ('table' in part) {
      await flush();
      const { table: name, columns } = part;
      if (seen.has(name)) throw damagedBackup(`it has the table ${name} twice`);
      seen.add(name);
      await sameColumns(connection, name, columns);
      table = { name, columns };
    } else {
      const row = part as readonly SqlValue[];
      if (table === undefined || row.length !== table.columns.length || !row.every(isValue))
        throw damagedBackup(`a row of ${table?.name ?? 'no table'} is not as it must be`);
      rows.push(row);
      for (const value of row) if (typeof value === 'string') characters += value.length;
      if (rows.length >= slice.rows || characters >= slice.characters) await flush();
    }
  }
  await flush();
  const whole = header as BackupHeader;
  await proveMeta(connection, whole.schema);
  return whole;
}

function newerBackup({ oo, schema }: BackupHeader): BackupError {
  const message = `The backup was made by a later oo (${String(oo)}, schema ${schema}; this one knows ${currentSchema}).`;
  return new BackupError('OO_BACKUP_NEWER', message, 'Restore it with that oo, or update this one.');
}

function isValue(value: unknown): value is SqlValue {
  return value === null || typeof value === 'string' || Number.isSafeInteger(value);
}

/** The names come from the file: only those that the schema has get into a statement. */
async function sameColumns(connection: Connection, name: string, columns: readonly string[]): Promise<void> {
  const sql = 'SELECT name FROM pragma_table_info(?)';
  const [found] = await connection.run([{ sql, args: [String(name)] }], 'read');
  const own = found.map(([column]) => String(column));
  if (own.length === 0) throw damagedBackup(`it has a table ${JSON.stringify(name)}, which oo does not know`);
  if (JSON.stringify([...own].sort()) !== JSON.stringify([...columns].sort()))
    throw damagedBackup(`the columns of its table ${name} are not those of schema ${currentSchema} or before`);
}

async function insert(
  connection: Connection,
  { name, columns }: { name: string; columns: readonly string[] },
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  try {
    await connection.run([insertion(name, columns, rows)], 'write');
  } catch (error) {
    if (error instanceof StoreError && error.code === 'OO_STORE_FAILED')
      throw damagedBackup(
        `a row of ${name} can't be stored: ${(error.cause as Error)?.message ?? error.message}`,
        error,
      );
    throw error;
  }
}

/** Rows as one statement. @param conflict what is done with a row that is there: `ON CONFLICT …` */
export function insertion(
  name: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  conflict = '',
): Statement {
  const values = columns.map((_, i) => `value->>${i}`).join(', ');
  const sql = `INSERT INTO ${quoted(name)} (${listed(columns)}) SELECT ${values} FROM json_each(?) WHERE true ${conflict}`;
  return { sql, args: [JSON.stringify(rows)] };
}

/** Many rows, as several. */
export function insertions(
  name: string,
  columns: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  conflict = '',
): Statement[] {
  const list: Statement[] = [];
  let from = 0;
  let characters = 0;
  for (const [i, row] of rows.entries()) {
    for (const value of row) if (typeof value === 'string') characters += value.length;
    if (i + 1 - from < slice.rows && characters < slice.characters && i + 1 < rows.length) continue;
    list.push(insertion(name, columns, rows.slice(from, i + 1), conflict));
    from = i + 1;
    characters = 0;
  }
  return list;
}

/** What the tables themselves do not prove, and a server could not start with. */
async function proveMeta(connection: Connection, schema: number): Promise<void> {
  const [metas] = await connection.run([{ sql: 'SELECT schema FROM meta', args: [] }], 'read');
  if (metas.length !== 1 || metas[0][0] !== schema) throw damagedBackup('its table meta is not as it must be');
}

async function proveJson(connection: Connection): Promise<void> {
  const sql = 'SELECT count(*) FROM resources WHERE NOT json_valid(value)';
  const [[[broken]]] = await connection.run([{ sql, args: [] }], 'read');
  if (broken !== 0) throw damagedBackup(`${broken} of its routes, services and settings are not JSON`);
}
