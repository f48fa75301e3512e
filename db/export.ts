import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { ServedCertificate } from '../src/certs/types.ts';

/** The longest name of a folder, bytes; file systems take 255. */
const maxNameLength = 200;

/** Those of a certificate, by file name. */
type Files = Readonly<Record<'cert.pem' | 'chain.pem' | 'fullchain.pem' | 'privkey.pem', string>>;

export interface CertificateExport {
  /** Writes all of these, and takes away what was written here for others. What is there already is left alone. */
  sync(certificates: readonly ServedCertificate[]): Promise<void>;
  save(certificate: ServedCertificate): Promise<void>;
  remove(id: string): Promise<void>;
}

/**
 * Keeps certificates as files for other programs: `certs/live/NAME/{cert,privkey,chain,fullchain}.pem` under a folder, NAME being
 * the certificate's id: its common name; an RSA one beside it has `+rsa`.
 *
 * `live/NAME` is a link to `../archive/NAME/VERSION`, replaced in one step when all four files of the new version are on the disk:
 * whoever opens the folder finds files that belong together, and never a part of one. (Files replaced one by one in a plain folder
 * would show a new certificate with an old key for a moment. The price: a copy must follow links, `cp -rL`, and a container
 * must be given `certs`, not `live/NAME`.) The version before is kept for who is reading it. Keys have mode 0600; if somebody gave
 * the key before to a group (`chgrp`, `chmod 640`), that group may read the new one, too.
 * A folder of another program at `live/NAME` is moved to `certs/replaced`.
 *
 * Calls are carried out one after the other, and reject with Node's own errors, which name the path.
 */
export function createExport(folder: string): CertificateExport {
  const certs = join(folder, 'certs');
  const [live, archive] = [join(certs, 'live'), join(certs, 'archive')];
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  async function save(certificate: ServedCertificate): Promise<void> {
    const name = folderName(certificate.id);
    const [link, versions] = [join(live, name), join(archive, name)];
    const files = filesOf(certificate);
    const before = await versionOf(link);
    if (before !== undefined && (await isThere(link, files))) return;
    await mkdir(live, { recursive: true });
    await mkdir(versions, { recursive: true });
    const version = await makeVersion(versions);
    const group = before === undefined ? undefined : await groupOf(join(link, 'privkey.pem'));
    for (const [file, text] of Object.entries(files)) {
      await writeWhole(join(versions, version, file), text, file === 'privkey.pem' ? group : 'all');
    }
    await syncDirectory(join(versions, version));
    await syncDirectory(versions);
    if (before === undefined) await setAside(link, join(certs, 'replaced'), name);
    await rm(join(versions, 'next'), { force: true });
    await symlink(posix.join('../archive', name, version), join(versions, 'next'));
    await rename(join(versions, 'next'), link);
    await syncDirectory(live);
    for (const old of await readdir(versions)) {
      if (old !== version && old !== before) await rm(join(versions, old), { recursive: true, force: true });
    }
  }

  async function removeFolder(name: string): Promise<void> {
    if ((await versionOf(join(live, name))) === undefined) return;
    await rm(join(live, name), { force: true });
    await rm(join(archive, name), { recursive: true, force: true });
    await syncDirectory(live);
  }

  async function sync(certificates: readonly ServedCertificate[]): Promise<void> {
    for (const certificate of certificates) await save(certificate);
    const wanted = new Set(certificates.map(({ id }) => folderName(id)));
    for (const name of await readdir(live).catch(ifMissing([]))) if (!wanted.has(name)) await removeFolder(name);
  }

  return {
    sync: (certificates) => inTurn(() => sync(certificates)),
    save: (certificate) => inTurn(() => save(certificate)),
    remove: (id) => inTurn(() => removeFolder(folderName(id))),
  };
}

/**
 * The id as the name of one folder, `*.example.com` too; what could lead elsewhere, be hidden or be misread is written as `%XX`.
 * Different ids have different names.
 */
export function folderName(id: string): string {
  const bytes = [...Buffer.from(id)].map((byte, i) => {
    const char = String.fromCharCode(byte);
    const isPlain = /[\w.*+:@-]/.test(char) && !(i === 0 && /[.-]/.test(char));
    return isPlain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  const name = bytes.join('') || '%';
  if (name.length <= maxNameLength) return name;
  return `${name.slice(0, maxNameLength - 45)}%${createHash('sha256').update(id).digest('base64url')}`;
}

function filesOf({ chain, key }: ServedCertificate): Files {
  const all = chain.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [];
  const text = (parts: readonly string[]) => parts.map((part) => `${part}\n`).join('');
  return {
    'cert.pem': text(all.slice(0, 1)),
    'chain.pem': text(all.slice(1)),
    'fullchain.pem': text(all),
    'privkey.pem': `${key.trim()}\n`,
  };
}

/** The version that `live/NAME` leads to; undefined if there is nothing, or nothing of ours. */
async function versionOf(link: string): Promise<string | undefined> {
  const to = await readlink(link).catch(() => '');
  return to.startsWith('../archive/') ? posix.basename(to) : undefined;
}

async function isThere(dir: string, files: Files): Promise<boolean> {
  for (const [file, text] of Object.entries(files)) {
    if ((await readFile(join(dir, file), 'utf8').catch(ifMissing(undefined))) !== text) return false;
  }
  return true;
}

/** A new folder, numbered after the last. */
async function makeVersion(versions: string): Promise<string> {
  const numbers = (await readdir(versions)).map(Number).filter(Number.isInteger);
  for (let next = Math.max(0, ...numbers) + 1; ; next++) {
    try {
      await mkdir(join(versions, String(next)));
      return String(next);
    } catch (error) {
      // Another server that keeps its files here.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** The group that may read a key; undefined: its owner only. */
async function groupOf(path: string): Promise<number | undefined> {
  const found = await lstat(path).catch(ifMissing(undefined));
  return found && (found.mode & 0o040) !== 0 ? found.gid : undefined;
}

async function writeWhole(path: string, text: string, readers: 'all' | number | undefined): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL, readers === 'all' ? 0o644 : 0o600);
  try {
    await file.writeFile(text);
    if (typeof readers === 'number') await giveTo(file, readers);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function giveTo(file: FileHandle, group: number): Promise<void> {
  try {
    await file.chown(process.getuid?.() ?? -1, group);
    await file.chmod(0o640);
  } catch {
    // This user may not: the key stays its owner's, which is the safe way round.
  }
}

/** Moves what is in the way. */
async function setAside(path: string, to: string, name: string): Promise<void> {
  if ((await lstat(path).catch(ifMissing(undefined))) === undefined) return;
  await mkdir(to, { recursive: true });
  await rename(path, join(to, `${name}-${Date.now()}`));
}

async function syncDirectory(path: string): Promise<void> {
  const dir = await open(path, 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}

function ifMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}
