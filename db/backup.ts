import { type BackupHeader, type BackupPart, packed } from './backup-format.ts';
import { type BackupTable, backupTables, listed, pagesOf, quoted } from './backup-tables.ts';
import type { Connection, SqlValue } from './connection.ts';
import { StoreError } from './failure.ts';
import { again } from './retry.ts';

/** How often the pages of a shared database are read anew since something changed meanwhile. */
const attempts = 5;

export interface BackupOptions {
  /** This program's version. */
  readonly oo: string;
  readonly now?: () => number;
}

/**
 * All that is in a migrated database, as a file's bytes (see `packed`), consistent while servers write to it: a file is read as it was at one
 * moment, and a shared database, whose server answers page by page, anew until its numbers are the same before and after. Values are as they
 * are stored: private keys sealed, tokens hashed.
 */
export async function* createBackup(connection: Connection, options: BackupOptions): AsyncGenerator<Uint8Array> {
  if (connection.snapshot !== undefined) yield* ofFile(connection.snapshot(), options);
  else yield* ofShared(connection, options);
}

async function* ofFile(
  snapshot: ReturnType<NonNullable<Connection['snapshot']>>,
  options: BackupOptions,
): AsyncGenerator<Uint8Array> {
  try {
    const [head] = [...snapshot.rows(headSql)];
    function* parts(): Generator<BackupPart> {
      for (const table of backupTables) {
        yield partOf(table);
        const sql = `SELECT ${listed(table.columns)} FROM ${quoted(table.name)} ORDER BY ${listed(table.keys)}`;
        yield* snapshot.rows(sql) as Iterable<SqlValue[]>;
      }
    }
    yield* packed(headerOf(head, options), parts());
  } finally {
    snapshot.close();
  }
}

async function* ofShared(connection: Connection, options: BackupOptions): AsyncGenerator<Uint8Array> {
  const numbers = async () =>
    (await again(connection, () => connection.run([{ sql: headSql, args: [] }], 'read')))[0][0];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const before = await numbers();
    async function* parts(): AsyncGenerator<BackupPart> {
      for (const table of backupTables) {
        yield partOf(table);
        for await (const rows of pagesOf(connection, table)) yield* rows;
      }
    }
    // Held back until it is known to be of one state; compressed it is small.
    const chunks: Uint8Array[] = [];
    for await (const chunk of packed(headerOf(before, options), parts())) chunks.push(chunk);
    if (JSON.stringify(await numbers()) !== JSON.stringify(before)) continue;
    yield* chunks;
    return;
  }
  const message = `The database ${connection.where} changes faster than it can be read.`;
  throw new StoreError('OO_STORE_BUSY', message, 'Take the backup again when fewer changes are being made.');
}

const partOf = ({ name, columns }: BackupTable): BackupPart => ({ table: name, columns });

/** Not the number of the registry: heartbeats raise it all the time, and each of its rows stands for itself. */
const headSql = `SELECT schema, revision, certificate_version, token_version,
  (SELECT key_id FROM encryption) FROM meta WHERE id = 1`;

function headerOf(
  row: readonly unknown[],
  { oo, now = Date.now }: BackupOptions,
): Omit<BackupHeader, 'kind' | 'format'> {
  const [schema, revision, , , keyId] = row as [number, number, number, number, string | null];
  return { schema, at: new Date(now()).toISOString(), revision, keyId, oo };
}
