import { openDatabase } from '../db/database.ts';
import type { Backups } from '../src/admin/backup.ts';
import { type OfflineOptions, openLocked } from './offline.ts';
import { version } from './version.ts';

/**
 * The backups of the database itself. Holds the locks that a server would hold.
 * @param keyed whether certificates are restored: that needs the encryption key, and makes one for a new database
 * @throws CliError if a server runs; StoreError
 */
export function openOfflineBackups(
  options: OfflineOptions & { readonly encryptionKey?: string },
  keyed: boolean,
): Promise<{ readonly backups: Backups; close(): Promise<void> }> {
  const { stateDir, encryptionKey: key, warn } = options;
  const encryption = { key, stateDir, onDamaged: (error: Error) => warn(error.message) };
  const open = (where: { url: string; authToken?: string }) =>
    keyed ? openDatabase({ ...where, encryption }) : openDatabase(where);
  return openLocked(options, open, async (database) => ({ backups: database.backups(version(), stateDir) }));
}
