import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificateStorage, StorageEntry } from './certificate-types.ts';

/** Of a name within a file name; file systems take 255 bytes. */
const mostChars = 200;
/** What a process that was killed had begun to write is removed after this, ms. */
const leftOverMs = 60_000;
const temporaryPrefix = '.writing-';

/** The directory can't be used. */
export class CertificateStorageError extends Error {
  /** The system's: EACCES, ENOSPC … */
  readonly code: string;

  constructor(path: string, cause: NodeJS.ErrnoException) {
    super(`certificates can't be kept in ${path}: ${cause.message}; name a directory that this user may write`, {
      cause,
    });
    this.name = 'CertificateStorageError';
    this.code = cause.code ?? 'EUNKNOWN';
  }
}

/**
 * Keeps records as files, one each, that their owner alone may read; made when first needed. Private keys in them are not encrypted. A write
 * is whole or not done, also where the machine stops. Processes may share the directory. Methods reject with a CertificateStorageError.
 */
export function certificateDirectory(path: string): CertificateStorage {
  let ready: Promise<void> | undefined;

  /** Runs `work`; where `absent` is given, a file that is not there is no error. */
  async function run<T>(work: () => Promise<T>, absent?: { readonly value: T; readonly code: string }): Promise<T> {
    try {
      ready ??= prepare(path);
      await ready;
      return await work();
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      if (absent !== undefined && cause.code === absent.code) return absent.value;
      ready = undefined;
      throw new CertificateStorageError(path, cause);
    }
  }

  const fileOf = (name: string) => join(path, fileNameOf(name));

  async function written(text: string): Promise<string> {
    const file = join(path, temporaryPrefix + randomUUID());
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return file;
  }

  return {
    list: (prefix) => run(() => list(path, prefix)),
    read: (name) => run<string | undefined>(() => readFile(fileOf(name), 'utf8'), { value: undefined, code: 'ENOENT' }),
    write: (name, text) => run(async () => rename(await written(text), fileOf(name))),
    create: (name, text) =>
      run(
        async () => {
          const file = await written(text);
          await link(file, fileOf(name)).finally(() => rm(file, { force: true }));
          return true;
        },
        { value: false, code: 'EEXIST' },
      ),
    remove: (name) => run(() => rm(fileOf(name)).then(() => true), { value: false, code: 'ENOENT' }),
  };
}

async function prepare(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const before = Date.now() - leftOverMs;
  for (const file of await readdir(path)) {
    if (!file.startsWith(temporaryPrefix)) continue;
    const { mtimeMs } = await stat(join(path, file)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (mtimeMs < before) await rm(join(path, file), { force: true });
  }
}

async function list(path: string, prefix: string): Promise<StorageEntry[]> {
  const start = encoded(prefix);
  const files = (await readdir(path)).filter((file) => file.startsWith(start));
  const entries = await Promise.all(
    files.map(async (file) => {
      // It may be replaced or removed meanwhile; a directory is none of ours.
      const found = await stat(join(path, file)).catch(() => undefined);
      // A write makes another file of the same name.
      const name = decoded(file);
      return found?.isFile() && name && { name, mark: `${found.ino} ${found.mtimeMs} ${found.size}` };
    }),
  );
  return entries.flatMap((entry) => entry || []);
}

/** A name that is long keeps its kind, and is told by its hash: it stands for itself in `list`, and `read` finds it by either. */
function fileNameOf(name: string): string {
  const file = encoded(name);
  if (file.length <= mostChars) return file;
  const kind = file.slice(0, file.indexOf('%2F') + 3);
  return `${kind}${createHash('sha256').update(name).digest('hex')}`;
}

/** Undefined for a file that is none of ours. */
function decoded(file: string): string | undefined {
  try {
    return decodeURIComponent(file);
  } catch {
    return undefined;
  }
}

/** Letters, digits, `-`, `_` and `.` stay. */
function encoded(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*~]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
