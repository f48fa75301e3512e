import { BackupError } from './backup-format.ts';
import { deriveKey, type Place, type SealKey } from './cipher.ts';
import type { SqlValue } from './connection.ts';
import { type Encryption, type EncryptionRow, fits } from './encryption.ts';

/** Tables with sealed values: the column, and that of the row's name. */
export const sealedTables: readonly { table: string; key: string; column: string }[] = [
  { table: 'certificates', key: 'id', column: 'private_key' },
  { table: 'acme_accounts', key: 'directory', column: 'private_key' },
  { table: 'ticket_keys', key: 'id', column: 'sealed' },
];

/**
 * The key that opens a backup.
 * @param texts those that there are: given with the restore, this server's own
 * @throws BackupError OO_BACKUP_KEY, whose hint says which to bring
 */
export async function backupKey(
  row: EncryptionRow,
  encryption: Encryption | undefined,
  texts: readonly (string | undefined)[],
): Promise<SealKey> {
  const known = encryption?.cipher.known.get(row.keyId);
  if (known !== undefined && fits(known, row)) return known;
  for (const text of new Set(texts)) {
    if (!text) continue;
    // One that is none, or too short, does not fit.
    const key = await deriveKey(text, row.salt).catch(() => undefined);
    if (key !== undefined && fits(key, row)) return key;
  }
  const bring =
    row.origin === 'given'
      ? 'the OO_ENCRYPTION_KEY that it was given then, as a file'
      : `a copy of its key file, ${row.origin}`;
  throw new BackupError(
    'OO_BACKUP_KEY',
    'The private keys in the backup are encrypted with a key that is not here.',
    `Bring ${bring}: --backup-key-file FILE. Or --without-certificates restores all but certificates. Nothing was changed.`,
  );
}

/**
 * Seals a column's values with another key. What does not open was damaged before the backup: it is left as it is.
 * @returns how many those are
 */
export function sealAgain(
  { table, key, column }: (typeof sealedTables)[number],
  columns: readonly string[],
  rows: SqlValue[][],
  from: SealKey,
  to: SealKey,
): number {
  const place = `${table}.${column}` as Place;
  const [nameAt, valueAt] = [columns.indexOf(key), columns.indexOf(column)];
  let damaged = 0;
  for (const row of rows) {
    const plain = from.open(place, String(row[nameAt]), String(row[valueAt]));
    if (plain === undefined) damaged += 1;
    else if (from !== to) row[valueAt] = to.seal(place, String(row[nameAt]), plain);
  }
  return damaged;
}
