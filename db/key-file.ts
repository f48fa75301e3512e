import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from './failure.ts';

/** The key file of a state directory. */
export function keyPath(stateDir: string): string {
  return join(stateDir, 'encryption.key');
}

/** Where the next key lies while the database is being moved to it. */
export function nextKeyPath(stateDir: string): string {
  return `${keyPath(stateDir)}.new`;
}

/** The key before the last rotation: backups of the database that are older need it. Nothing reads it. */
export function pastKeyPath(stateDir: string): string {
  return `${keyPath(stateDir)}.old`;
}

/** The text of a key file; undefined where there is none. @throws StoreError OO_STORE_KEY if it can't be read */
export function readKeyFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw keyFileError(path, 'read', error);
  }
}

/**
 * Makes a key file (0600) that is there whole, on the disk, or not at all.
 * @returns false if there is one already: it stays
 * @throws StoreError OO_STORE_KEY
 */
export function makeKeyFile(path: string, text: string): boolean {
  const unfinished = `${path}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    rmSync(unfinished, { force: true });
    const file = openSync(unfinished, 'wx', 0o600);
    try {
      writeSync(file, `${text}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    putInPlace(unfinished, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw keyFileError(path, 'written', error);
  } finally {
    rmSync(unfinished, { force: true });
    syncDirectory(dirname(path));
  }
}

/** Never over a file that is there: that may be the only key to a database. */
function putInPlace(unfinished: string, path: string): void {
  try {
    linkSync(unfinished, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code) || existsSync(path)) throw error;
    // A file system without links. The state directory is locked, so nobody else makes one now.
    renameSync(unfinished, path);
  }
}

/**
 * Puts the next key file in the place of the present one, which is kept as the past one. Killed between the two steps, it
 * leaves the next one, which `openEncryption` then finds.
 * @throws StoreError OO_STORE_KEY
 */
export function adoptNextKeyFile(stateDir: string, between?: () => void): void {
  setKeyFileAside(stateDir);
  between?.();
  move(nextKeyPath(stateDir), keyPath(stateDir));
}

/** The present key file, if there is one, becomes the past one. @throws StoreError OO_STORE_KEY */
export function setKeyFileAside(stateDir: string): void {
  if (existsSync(keyPath(stateDir))) move(keyPath(stateDir), pastKeyPath(stateDir));
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    throw keyFileError(from, 'renamed', error);
  }
  syncDirectory(dirname(to));
}

/** Takes a key file away that no database needs. @throws StoreError OO_STORE_KEY */
export function removeKeyFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw keyFileError(path, 'removed', error);
  }
  syncDirectory(dirname(path));
}

/** Names in a directory outlive a power cut only once the directory itself is on the disk. */
function syncDirectory(dir: string): void {
  let file: number | undefined;
  try {
    file = openSync(dir, 'r');
    fsyncSync(file);
  } catch {
    // Some file systems can't; and if the directory is gone, there is another error to tell.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function keyFileError(path: string, what: string, error: unknown): StoreError {
  const { code, message } = error as NodeJS.ErrnoException;
  const hint = `Mend its owner or mode (it is one line, mode 0600, in a directory that oo may write), or give the key as OO_ENCRYPTION_KEY.`;
  return new StoreError('OO_STORE_KEY', `The key file ${path} can't be ${what}: ${code ?? message}.`, hint, error);
}
