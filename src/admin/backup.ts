/** Who restores, and how. */
export interface RestoreOptions {
  readonly actor: string;
  /** An address, or `socket`. */
  readonly from?: string;
  readonly reason?: string;
  /** Reads, proves and compares; stores nothing. */
  readonly dryRun?: boolean;
  /** Leaves certificates, their keys and accounts with CAs as they are here: then no key is needed. */
  readonly withoutCertificates?: boolean;
  /** The encryption key of the server that made the backup, where it is another than this one's. */
  readonly key?: string;
}

/** What a restore does, or would do, to things of one kind. */
export interface RestoreCount {
  readonly now: number;
  readonly backup: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** What a backup holds, and what came of it. */
export interface RestoreReport {
  /** When it was made, RFC 3339. */
  readonly madeAt: string;
  /** By which version of oo. */
  readonly oo: string;
  readonly backupRevision: number;
  /** The one that the restore has made; with `dryRun` the present one. */
  readonly revision: number;
  /** Whose history it is now: the backup's, or this database's, with the restore as one more revision, which can be rolled back. */
  readonly history: 'backup' | 'kept';
  /** False: certificates are left as they are. */
  readonly withCertificates: boolean;
  readonly routes: RestoreCount;
  readonly services: RestoreCount;
  readonly settings: RestoreCount;
  readonly certificates: RestoreCount;
  readonly tokens: RestoreCount;
  readonly warnings: readonly string[];
}

/** All that is in a database, to a file and back (db/ has it). Rejects as `asStoreFailure` and `asBackupRefusal` know it. */
export interface Backups {
  /** The file, gzip, as it is at one moment. Fails in its midst where the database does. */
  backup(): AsyncIterable<Uint8Array>;
  /** Proves the whole file, then replaces all in one transaction. One at a time. */
  restore(file: AsyncIterable<Uint8Array>, options: RestoreOptions): Promise<RestoreReport>;
}

/** A backup that can't be restored. OO_BACKUP_DAMAGED, OO_BACKUP_NEWER, OO_BACKUP_KEY. */
export interface BackupRefusal extends Error {
  readonly code: string;
  readonly hint: string;
}

/** Tells a refused backup from a fault of the program. */
export function asBackupRefusal(error: unknown): BackupRefusal | undefined {
  const { code, hint } = error as Partial<BackupRefusal>;
  return error instanceof Error && code?.startsWith('OO_BACKUP_') && hint ? (error as BackupRefusal) : undefined;
}
