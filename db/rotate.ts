import { sql } from 'drizzle-orm';
import type { BatchItem } from 'drizzle-orm/batch';
import type { SqliteRemoteDatabase } from 'drizzle-orm/sqlite-proxy';
import { deriveKey, newKeyText, openSealed, type Place, type SealKey } from './cipher.ts';
import { type Connection, database } from './connection.ts';
import { type Encryption, fileKey, keyReplaced, originOf, readEncryption, rowOf } from './encryption.ts';
import { isPassing, StoreError, storeError } from './failure.ts';
import { unreadable } from './guarded.ts';
import { adoptNextKeyFile, keyPath, makeKeyFile, nextKeyPath, readKeyFile, setKeyFileAside } from './key-file.ts';
import { currentSchema } from './migrations.ts';
import { again } from './retry.ts';
import { encryption as encryptionTable, meta } from './schema.ts';

/** What a rotation has done, in order. Killed after any of these, it is undone or finished by the next start. */
export type RotateStep = 'key made' | 'values sealed' | 'stored' | 'old key set aside' | 'done';

export interface RotateOptions {
  /** As the database was opened with. */
  readonly stateDir: string;
  /** The next key, which is to be given as a text from now on; undefined: a new key file is made. */
  readonly to?: string;
  /** As of the certificate store: told of values that can't be opened, which are left as they are. Default: the error is thrown. */
  readonly onDamaged?: (error: StoreError) => void;
  readonly onStep?: (step: RotateStep) => void;
}

export interface Rotated {
  /** How many values were sealed anew. */
  readonly values: number;
  /** The key file that is now in force; undefined: the key is given as a text. */
  readonly path: string | undefined;
}

/** Every column of sealed values, by table and primary key. */
const columns: readonly { table: string; key: string; column: string }[] = [
  { table: 'certificates', key: 'id', column: 'private_key' },
  { table: 'acme_accounts', key: 'directory', column: 'private_key' },
  { table: 'challenges', key: 'key', column: 'private_key' },
  { table: 'ticket_keys', key: 'id', column: 'sealed' },
];

/** Values in one read and in one statement: of RSA keys, some 5 MB. */
const page = 2_000;

/** Enough to tell two sealed values apart: version, key id, and the nonce. */
const headLength = 20 + 16;

/** How often it is begun anew since a value was written meanwhile. */
const attempts = 10;

/**
 * Gives the database another key: every sealed value is sealed anew in one transaction, and the key file is replaced after it. The
 * server that has the database open goes on, with the new key; what it writes meanwhile is written again under that one. Other
 * servers of a shared database must be started again with it. The caller makes sure that it runs once at a time.
 * @throws StoreError; the old key holds then, unless the database did not say so: the next rotation, or start, finds out
 */
export async function rotateKey(
  connection: Connection,
  encryption: Encryption,
  options: RotateOptions,
): Promise<Rotated> {
  const { stateDir, to, onStep = () => {} } = options;
  const { cipher } = encryption;
  const row = await readEncryption(connection);
  if (row === undefined || !cipher.known.has(row.keyId)) throw keyReplaced(connection, row?.origin ?? 'given');
  // An earlier rotation whose end this server has not seen, since the database server was gone just then.
  if (await fileKey(nextKeyPath(stateDir), row)) adoptNextKeyFile(stateDir);
  cipher.current = cipher.known.get(row.keyId) as SealKey;
  const next = await deriveKey(to ?? nextKeyText(stateDir), row.salt);
  if (next.id === row.keyId) {
    const hint = 'Give another one, or none: oo then makes one.';
    throw new StoreError('OO_STORE_KEY', 'The new encryption key is the one that the database has already.', hint);
  }
  const path = to === undefined ? keyPath(stateDir) : undefined;
  onStep('key made');
  cipher.known.set(next.id, next);
  const encryptionRow = rowOf(next, row.salt, originOf(path), Date.now());
  const values = await sealAnew(connection, encryption, next, encryptionRow, options);
  cipher.current = next;
  onStep('stored');
  const aside = () => onStep('old key set aside');
  if (path !== undefined) adoptNextKeyFile(stateDir, aside);
  else if (encryption.path !== undefined) setKeyFileAside(stateDir);
  encryption.path = path;
  onStep('done');
  return { values, path };
}

/**
 * The key in the next key file, which is made if need be. One of an attempt that failed is taken again, never replaced: a database
 * server may yet do what it was asked then.
 */
function nextKeyText(stateDir: string): string {
  const path = nextKeyPath(stateDir);
  const text = newKeyText();
  return makeKeyFile(path, text) ? text : (readKeyFile(path) ?? '');
}

async function sealAnew(
  connection: Connection,
  { cipher }: Encryption,
  next: SealKey,
  row: typeof encryptionTable.$inferSelect,
  { onDamaged = throwIt, onStep = () => {} }: RotateOptions,
): Promise<number> {
  const writes = database(connection, 'write');
  const old = cipher.current;
  for (let attempt = 1; ; attempt++) {
    const updates: BatchItem<'sqlite'>[] = [];
    const untouched: { table: string; column: string; count: number }[] = [];
    let values = 0;
    for (const { table, key, column } of columns) {
      const place = `${table}.${column}` as Place;
      let damaged = 0;
      for await (const rows of pages(connection, table, key, column)) {
        const sealed: [string, string, string][] = [];
        for (const [id, value] of rows) {
          const plain = openSealed(cipher, place, id, value);
          if (plain !== undefined) {
            sealed.push([id, value.slice(0, headLength), next.seal(place, id, plain)]);
            continue;
          }
          const error = await unreadable(connection, cipher, `${place} of ${id}`);
          if (error.code === 'OO_STORE_KEY') throw error;
          if (attempt === 1) onDamaged(error);
          damaged += 1;
        }
        values += sealed.length;
        updates.push(update(writes, table, key, column, sealed));
      }
      untouched.push({ table, column, count: damaged });
    }
    onStep('values sealed');
    try {
      await writes.batch([...updates, ending(writes, row, old, untouched)] as never);
      return values;
    } catch (error) {
      const failure = storeError(error, connection.where);
      const stored = await readEncryption(connection);
      if (stored?.keyId === next.id) return values;
      if (stored?.keyId !== old.id) throw keyReplaced(connection, stored?.origin ?? 'given');
      const overtaken =
        failure.code === 'OO_STORE_FAILED' && /NOT NULL/.test(String((failure.cause as Error)?.message));
      if ((!overtaken && !isPassing(failure)) || attempt === attempts) throw failure;
    }
  }
}

function throwIt(error: StoreError): never {
  throw error;
}

/** All sealed values of a column, with their primary keys, which come as text. */
async function* pages(connection: Connection, table: string, key: string, column: string) {
  const reads = database(connection, 'read');
  for (let after = '', count = page; count === page; ) {
    const rows = await again(connection, () =>
      reads.all<[string, string]>(sql`SELECT CAST(${sql.identifier(key)} AS TEXT) AS k, ${sql.identifier(column)}
        FROM ${sql.identifier(table)} WHERE ${sql.identifier(column)} IS NOT NULL AND k > ${after} ORDER BY k LIMIT ${page}`),
    );
    count = rows.length;
    after = rows.at(-1)?.[0] ?? '';
    if (count > 0) yield rows;
  }
}

/** A value that was written since it was read is left, and `ending` then fails. */
function update(
  writes: SqliteRemoteDatabase,
  table: string,
  key: string,
  column: string,
  sealed: readonly (readonly string[])[],
): BatchItem<'sqlite'> {
  const [rows, id, value] = [sql.identifier(table), sql.identifier(key), sql.identifier(column)];
  return writes.run(sql`UPDATE ${rows} SET ${value} = new.value->>2 FROM json_each(${JSON.stringify(sealed)}) AS new
    WHERE ${rows}.${id} = new.value->>0 AND substr(${rows}.${value}, 1, ${headLength}) = new.value->>1`);
}

/** The key is the next one from here on, if every value is under it; else it fails (NOT NULL), and nothing is stored. */
function ending(
  writes: SqliteRemoteDatabase,
  { id: _, keyId, ...row }: typeof encryptionTable.$inferSelect,
  old: SealKey,
  untouched: readonly { table: string; column: string; count: number }[],
): BatchItem<'sqlite'> {
  const prefix = `v1.${keyId}.`;
  const all = untouched.map(
    ({ table, column, count }) => sql`AND (SELECT count(*) FROM ${sql.identifier(table)}
      WHERE substr(${sql.identifier(column)}, 1, ${prefix.length}) <> ${prefix}) = ${count}`,
  );
  const expected = sql`${encryptionTable.keyId} = ${old.id} AND (SELECT ${meta.schema} FROM ${meta}) = ${currentSchema}`;
  const holds = sql`${expected} ${sql.join(all, sql` `)}`;
  return writes.update(encryptionTable).set({ ...row, keyId: sql`CASE WHEN ${holds} THEN ${keyId} END` });
}
