import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import type { SqlValue } from './connection.ts';

/** The format that this program writes and reads. */
export const backupFormat = 1;
const kind = 'oo backup';
/** Text that is compressed at once, characters. */
const partLength = 64 * 1024;
/** The longest line, bytes: a row. */
const longestLine = 64 * 1024 * 1024;

/** The first line. */
export interface BackupHeader {
  readonly kind: string;
  readonly format: number;
  /** Of the database. */
  readonly schema: number;
  /** RFC 3339. */
  readonly at: string;
  readonly revision: number;
  /** Which key the private keys in it are sealed with; null: none. */
  readonly keyId: string | null;
  /** The version that made it. */
  readonly oo: string;
}

/** A table's line, or a row of the last table. */
export type BackupPart = { readonly table: string; readonly columns: readonly string[] } | readonly SqlValue[];

/** Why a backup is not restored. The code is API. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: 'OO_BACKUP_DAMAGED' | 'OO_BACKUP_NEWER' | 'OO_BACKUP_KEY';
  readonly hint: string;

  constructor(code: BackupError['code'], message: string, hint: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.hint = hint;
  }
}

export function damagedBackup(why: string, cause?: unknown): BackupError {
  const hint = 'Nothing was changed. Take another backup, or copy this one again.';
  return new BackupError('OO_BACKUP_DAMAGED', `The backup can't be restored: ${why}.`, hint, cause);
}

/**
 * A backup: gzip of lines of JSON. The header, then for each table a line with its name and its columns and a line for each row; the last has the
 * number of rows and the SHA-256 of all lines before it.
 */
export function packed(
  header: Omit<BackupHeader, 'kind' | 'format'>,
  parts: AsyncIterable<BackupPart> | Iterable<BackupPart>,
): AsyncIterable<Uint8Array> {
  async function* texts(): AsyncGenerator<string> {
    const hash = createHash('sha256');
    let rows = 0;
    let text = `${JSON.stringify({ kind, format: backupFormat, ...header })}\n`;
    for await (const part of parts) {
      if (Array.isArray(part)) rows += 1;
      text += `${JSON.stringify(part)}\n`;
      if (text.length < partLength) continue;
      hash.update(text);
      yield text;
      text = '';
    }
    hash.update(text);
    yield `${text}${JSON.stringify({ end: true, rows, sha256: hash.digest('hex') })}\n`;
  }
  // Its errors are the reader's, who reads the last stream.
  return pipeline(Readable.from(texts()), createGzip(), () => {});
}

/**
 * Reads a backup: its header, then its parts, and fails at the end unless it is whole.
 * @throws BackupError; the system's errors of the file
 */
export async function* unpacked(file: AsyncIterable<Uint8Array>): AsyncGenerator<BackupHeader | BackupPart> {
  const hash = createHash('sha256');
  let header: BackupHeader | undefined;
  let rows = 0;
  let end: { rows: number; sha256: string } | undefined;
  for await (const line of lines(file)) {
    if (end !== undefined) throw damagedBackup('there is more after its last line');
    const value = parsedLine(line);
    if (header === undefined) {
      header = headerOf(value);
      hash.update(line);
      yield header;
    } else if (isObject(value) && value.end === true) {
      end = value as unknown as typeof end;
    } else {
      hash.update(line);
      if (Array.isArray(value)) rows += 1;
      else if (!isObject(value) || typeof value.table !== 'string' || !Array.isArray(value.columns))
        throw damagedBackup('a line of it is neither a table nor a row');
      yield value as BackupPart;
    }
  }
  if (header === undefined) throw damagedBackup('it is empty');
  if (end === undefined) throw damagedBackup('it was cut short: its last line is missing');
  if (end.rows !== rows || end.sha256 !== hash.digest('hex'))
    throw damagedBackup('it was changed: its checksum is wrong');
}

/** Each with its line feed. */
async function* lines(file: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let length = 0;
  const text = pipeline(Readable.from(file, { objectMode: false }), createGunzip(), () => {});
  try {
    for await (const chunk of text as AsyncIterable<Buffer>) {
      let from = 0;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
        const piece = chunk.subarray(from, at + 1);
        yield rest.length === 0 ? piece : Buffer.concat([...rest, piece]);
        rest = [];
        length = 0;
        from = at + 1;
      }
      if (from === chunk.length) continue;
      rest.push(chunk.subarray(from));
      length += chunk.length - from;
      if (length > longestLine) throw damagedBackup('a line of it is too long');
    }
  } catch (error) {
    const { code = '' } = error as { code?: string };
    if (code === 'Z_BUF_ERROR') throw damagedBackup('it was cut short', error);
    if (code.startsWith('Z_')) throw damagedBackup('it is no gzip file, or was changed', error);
    throw error;
  }
  if (rest.length > 0) throw damagedBackup('it was cut short: its last line is not whole');
}

function parsedLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch (error) {
    throw damagedBackup('a line of it is not JSON', error);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function headerOf(value: unknown): BackupHeader {
  if (!isObject(value) || value.kind !== kind) throw damagedBackup('the file is no backup of oo');
  const header = value as unknown as BackupHeader;
  const hint = 'Restore it with that oo, or update this one.';
  if (Number(header.format) > backupFormat)
    throw new BackupError('OO_BACKUP_NEWER', 'The backup was made by a later oo, in a form unknown to this one.', hint);
  if (header.format !== backupFormat || !Number.isSafeInteger(header.schema) || header.schema < 1)
    throw damagedBackup('its first line is not as it must be');
  return header;
}
