import type { AuditStore } from '../src/admin/audit.ts';
import type { Backups } from '../src/admin/backup.ts';
import type { ConfigurationStore } from '../src/admin/store.ts';
import type { CertificateStore } from '../src/certs/types.ts';
import type { HealthStore, RegistryStore } from '../src/services/types.ts';
import { createAuditStore } from './audit.ts';
import { createCertificateStore } from './certificates.ts';
import { createConfigurationStore } from './configuration.ts';
import type { Connection } from './connection.ts';
import { type Encryption, type EncryptionOptions, openEncryption } from './encryption.ts';
import type { StoreError } from './failure.ts';
import { openFile } from './file.ts';
import { createHealthStore } from './health.ts';
import { acquireLock } from './lock.ts';
import { migrate } from './migrations.ts';
import { pathOf, realPath } from './place.ts';
import { createRegistryStore } from './registry.ts';
import { isRemote, openRemote } from './remote.ts';
import type { RestoreTarget } from './restore.ts';
import type { Rotated, RotateStep } from './rotate.ts';
import { createSecretStore, type SecretStore } from './secrets.ts';
import { createTokenStore, type DatabaseTokens } from './tokens.ts';

export interface DatabaseOptions {
  /** `file:/path/oo.db`, a path, `libsql://…`, `https://…` or `http://…`. */
  readonly url: string;
  /** For a database server. */
  readonly authToken?: string;
  /** How long a write to a file waits for another process's lock. Default 5,000 ms. */
  readonly busyTimeoutMs?: number;
  /** Told of rows of the registry that make no sense, which are left out. Default: that of `encryption`; without it nothing is said. */
  readonly onDamaged?: (error: StoreError) => void;
}

/** What is needed for certificates beside routes. */
export interface CertificateOptions extends EncryptionOptions {
  /** See `CertificateStoreOptions`. */
  readonly onDamaged?: (error: StoreError) => void;
}

export interface OpenDatabase {
  /** How to name it to a person: the path, or the URL without its token. */
  readonly where: string;
  /** True for a URL: other servers may use the same database. */
  readonly shared: boolean;
  readonly configuration: ConfigurationStore;
  readonly registry: RegistryStore;
  readonly health: HealthStore;
  readonly tokens: DatabaseTokens;
  readonly audit: AuditStore;
  readonly secrets: SecretStore;
  /**
   * All of it, to a file and back: see backup.ts and restore.ts. What of it a server holds in memory is for its watchers to notice, or its caller.
   * @param oo this program's version
   * @param stateDir where a backup is unpacked, and key files are looked for
   */
  backups(oo: string, stateDir: string): Backups;
  /** Closes it and gives its lock up. */
  close(): void;
}

/** A database whose key is known. */
export interface OpenCertificateDatabase extends OpenDatabase {
  readonly certificates: CertificateStore;
  readonly encryption: Encryption;
  /** Gives it another key, while it is open: see rotate.ts. @param to a key to be given as a text; undefined: a new key file */
  rotateKey(to?: string, onStep?: (step: RotateStep) => void): Promise<Rotated>;
}

/**
 * Opens a database and brings its schema up to date. A file is made when it is missing and is held, by a lock file beside
 * it (`oo.db.lock`), until `close` or the end of the process: one server at a time. A URL is shared by any number.
 * Without `encryption` it is without certificates, and no key is needed or made.
 * @throws StoreError; OO_STORE_KEY for a wrong key: nothing but the schema is touched then
 */
export function openDatabase(
  options: DatabaseOptions & { readonly encryption: CertificateOptions },
): Promise<OpenCertificateDatabase>;
export function openDatabase(options: DatabaseOptions): Promise<OpenDatabase>;
export async function openDatabase(
  options: DatabaseOptions & { readonly encryption?: CertificateOptions },
): Promise<OpenDatabase> {
  const { url, authToken, busyTimeoutMs } = options;
  if (isRemote(url)) return opened(await openRemote(url, authToken), () => {}, options);
  const path = realPath(pathOf(url));
  const lock = acquireLock(`${path}.lock`, `The database ${path}`);
  try {
    return await opened(openFile(path, busyTimeoutMs), () => lock.release(), options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function opened(
  connection: Connection,
  release: () => void,
  {
    encryption: options,
    onDamaged = options?.onDamaged,
  }: DatabaseOptions & { readonly encryption?: CertificateOptions },
): Promise<OpenDatabase | OpenCertificateDatabase> {
  try {
    await migrate(connection);
    const backups = (target: Omit<RestoreTarget, 'connection' | 'stateDir'>) => (oo: string, stateDir: string) =>
      createBackups({ ...target, connection, stateDir }, oo);
    const open = {
      backups: backups({ key: options?.key }),
      where: connection.where,
      shared: connection.shared,
      configuration: createConfigurationStore(connection),
      registry: createRegistryStore(connection, { onDamaged }),
      health: createHealthStore(connection),
      tokens: createTokenStore(connection),
      audit: createAuditStore(connection),
      secrets: createSecretStore(connection),
      close() {
        connection.close();
        release();
      },
    };
    if (options === undefined) return open;
    const encryption = await openEncryption(connection, options);
    const certificates = createCertificateStore(connection, encryption.cipher, options);
    // One at a time: two would take the next key file from each other.
    let last: Promise<unknown> = Promise.resolve();
    const rotate = (to?: string, onStep?: (step: RotateStep) => void): Promise<Rotated> => {
      // Imported here: it is rarely needed.
      const turn = last.then(() => import('./rotate.ts'));
      const rotated = turn.then(({ rotateKey }) => rotateKey(connection, encryption, { ...options, to, onStep }));
      last = rotated.catch(() => {});
      return rotated;
    };
    return {
      ...open,
      backups: backups({ key: options.key, encryption }),
      certificates,
      encryption,
      rotateKey: rotate,
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}

function createBackups(target: RestoreTarget, oo: string): Backups {
  // One at a time: they are unpacked in one place.
  let last: Promise<unknown> = Promise.resolve();
  return {
    // Both are imported where they are used: that is rare.
    async *backup() {
      const { createBackup } = await import('./backup.ts');
      yield* createBackup(target.connection, { oo });
    },
    restore(file, options) {
      const turn = last.then(() => import('./restore.ts'));
      const restored = turn.then(({ restoreBackup }) => restoreBackup(target, file, options));
      last = restored.catch(() => {});
      return restored;
    },
  };
}
