import { hostname } from 'node:os';
import { sql } from 'drizzle-orm';
import { type Cipher, cipherOf, deriveKey, newKeyText, newSalt, type SealKey } from './cipher.ts';
import { type Connection, database } from './connection.ts';
import { StoreError } from './failure.ts';
import {
  adoptNextKeyFile,
  keyPath,
  makeKeyFile,
  nextKeyPath,
  pastKeyPath,
  readKeyFile,
  removeKeyFile,
} from './key-file.ts';
import { again } from './retry.ts';
import { encryption } from './schema.ts';

export interface EncryptionOptions {
  /** What OO_ENCRYPTION_KEY or --encryption-key says; '' or undefined: the key file counts, and is made if need be. */
  readonly key?: string;
  /** Where the key file is: `encryption.key`. Held by a lock: nobody else changes it meanwhile. */
  readonly stateDir: string;
}

/** The key that a database was opened with. */
export interface Encryption {
  readonly cipher: Cipher;
  /** The key file that the key came from; undefined: it was given as a text. A rotation changes it. */
  path: string | undefined;
  /** True where the key file was made just now: the one time to name it. */
  readonly made: boolean;
}

/** What `openEncryption` reads and writes of the database. */
export type EncryptionRow = typeof encryption.$inferSelect;

const checkText = 'oo: this key fits';

/** The values of the encryption row for a key. */
export function rowOf(key: SealKey, salt: string, origin: string, since: number): EncryptionRow {
  return { id: 1, keyId: key.id, salt, checkValue: key.seal('encryption.check_value', '1', checkText), origin, since };
}

/** As `origin` in the encryption row. @param path the key file, or undefined for a key that was given */
export function originOf(path: string | undefined): string {
  return path === undefined ? 'given' : `${hostname()}:${path}`;
}

/** The encryption row; undefined before the first start with a key. */
export async function readEncryption(connection: Connection): Promise<EncryptionRow | undefined> {
  const [row] = await again(connection, () => database(connection, 'read').select().from(encryption));
  return row;
}

/**
 * Finds the key of a database, or, for one without any yet, settles it; makes a key file where nothing else gives one. Mends
 * what a rotation left that was cut short: of two key files, the one that fits stays.
 * @throws StoreError OO_STORE_KEY if the key is another than the one that the data were written with; nothing is changed then
 */
export async function openEncryption(connection: Connection, options: EncryptionOptions): Promise<Encryption> {
  const row = await readEncryption(connection);
  return row ? find(connection, row, options) : settle(connection, options);
}

/** The first key. Of servers that start together on one database, one settles it; the others must then have the same. */
async function settle(connection: Connection, options: EncryptionOptions): Promise<Encryption> {
  const salt = newSalt();
  const source = firstSource(options);
  const key = await keyFrom(source, salt);
  const row = rowOf(key, salt, originOf(source.path), Date.now());
  const writes = database(connection, 'write');
  await again(connection, () => writes.insert(encryption).values(row).onConflictDoNothing());
  const stored = (await readEncryption(connection)) as EncryptionRow;
  if (stored.keyId === key.id && stored.salt === salt)
    return { cipher: cipherOf(key), path: source.path, made: source.made };
  if (source.made) removeKeyFile(source.path as string);
  return find(connection, stored, options);
}

interface Source {
  readonly text: string;
  readonly path: string | undefined;
  readonly made: boolean;
}

function firstSource({ key, stateDir }: EncryptionOptions): Source {
  if (key) return { text: key, path: undefined, made: false };
  const path = keyPath(stateDir);
  const found = readKeyFile(path);
  if (found !== undefined) return { text: found, path, made: false };
  const text = newKeyText();
  if (makeKeyFile(path, text)) return { text, path, made: true };
  return { text: readKeyFile(path) ?? '', path, made: false };
}

async function keyFrom({ text, path }: Pick<Source, 'text' | 'path'>, salt: string): Promise<SealKey> {
  try {
    return await deriveKey(text, salt);
  } catch (error) {
    if (path === undefined || !(error instanceof StoreError)) throw error;
    const hint = 'Put the key back from a backup, or, if no database needs it, remove the file: a new one is made.';
    throw new StoreError('OO_STORE_KEY', `The key file ${path} holds no key: it was damaged.`, hint, error);
  }
}

/** Whether a key is the one of an encryption row. */
export function fits(key: SealKey, row: EncryptionRow): boolean {
  return key.id === row.keyId && key.open('encryption.check_value', '1', row.checkValue) === checkText;
}

async function find(connection: Connection, row: EncryptionRow, options: EncryptionOptions): Promise<Encryption> {
  const { key: given, stateDir } = options;
  const path = keyPath(stateDir);
  if (given) {
    const key = await deriveKey(given, row.salt);
    if (!fits(key, row)) throw await wrongKey(connection, row, options);
    forgetNext(connection, stateDir);
    return { cipher: cipherOf(key), path: undefined, made: false };
  }
  const next = await fileKey(nextKeyPath(stateDir), row);
  if (next) {
    adoptNextKeyFile(stateDir);
    return { cipher: cipherOf(next), path, made: false };
  }
  const text = readKeyFile(path);
  const key = text === undefined ? undefined : await keyFrom({ text, path }, row.salt);
  if (!key || !fits(key, row)) throw await wrongKey(connection, row, options);
  forgetNext(connection, stateDir);
  return { cipher: cipherOf(key), path, made: false };
}

/** The file of a rotation that was not done. A database server may still be about to do what a killed process asked of it. */
function forgetNext({ shared }: Connection, stateDir: string): void {
  if (!shared) removeKeyFile(nextKeyPath(stateDir));
}

/** The key in a key file, if it fits. A file that holds none, or can't be read, is no reason to stop here. */
export async function fileKey(path: string, row: EncryptionRow): Promise<SealKey | undefined> {
  try {
    const text = readKeyFile(path);
    const key = text === undefined ? undefined : await deriveKey(text, row.salt);
    return key && fits(key, row) ? key : undefined;
  } catch {
    return undefined;
  }
}

async function wrongKey(
  { where }: Connection,
  row: EncryptionRow,
  { key: given, stateDir }: EncryptionOptions,
): Promise<StoreError> {
  const path = keyPath(stateDir);
  const past = pastKeyPath(stateDir);
  const wasGiven = row.origin === 'given';
  const lost =
    'If it is lost, name another database with --db and save the routes there: certificates are then issued anew.';
  if (given) {
    const message = `The encryption key that was given is not the one that the database ${where} was written with.`;
    const inFile = (await fileKey(path, row)) ?? (await fileKey(nextKeyPath(stateDir), row));
    if (inFile)
      return new StoreError('OO_STORE_KEY', message, `The key file ${path} fits: leave OO_ENCRYPTION_KEY out.`);
    const hint = wasGiven
      ? `Set OO_ENCRYPTION_KEY (--encryption-key) to that one. ${lost}`
      : `That one is in the key file ${row.origin}: leave OO_ENCRYPTION_KEY out, and copy that file to ${path}. ${lost}`;
    return new StoreError('OO_STORE_KEY', message, hint);
  }
  const isPast = (await fileKey(past, row)) !== undefined;
  const message =
    readKeyFile(path) === undefined
      ? `There is no encryption key for the database ${where}, which was written with one.`
      : `The key file ${path} is not the one that the database ${where} was written with.`;
  if (isPast) {
    const hint = `It is older than the last rotation of the key, and ${past} fits: move that file to ${path}.`;
    return new StoreError('OO_STORE_KEY', message, hint);
  }
  if (wasGiven) {
    const hint = `Set OO_ENCRYPTION_KEY (--encryption-key) to the key that was given then. ${lost}`;
    return new StoreError('OO_STORE_KEY', message, hint);
  }
  const how = row.origin === originOf(path) ? `Put the one back that was at ${path}` : `Copy ${row.origin} to ${path}`;
  const hint = `${how}, or give its line as OO_ENCRYPTION_KEY. ${lost}`;
  return new StoreError('OO_STORE_KEY', message, hint);
}

/** For a server whose key another server has replaced meanwhile. */
export function keyReplaced({ where }: Connection, origin: string): StoreError {
  const from = origin === 'given' ? 'the OO_ENCRYPTION_KEY that it was given' : `the key file ${origin}`;
  const message = `The database ${where} has another encryption key now: another server has replaced it.`;
  return new StoreError('OO_STORE_KEY', message, `Start this server again with the new key: ${from}.`);
}

/** The stored id of the key, inside of a statement. */
export const storedKeyId = sql`(SELECT ${encryption.keyId} FROM ${encryption})`;
