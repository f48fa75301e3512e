import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { RunAs, TrustHost } from './trust-host.ts';

/** What was done to one store. */
export interface TrustResult {
  readonly did: 'added' | 'there' | 'removed' | 'absent' | 'failed';
  /** Which store, for a person. */
  readonly where: string;
  /** Why it failed, or what else happened; may be ''. */
  readonly why: string;
  /** What to do about it. */
  readonly hint: string;
  /** Whether root's rights are what is missing. */
  readonly needsRoot: boolean;
}

/** The name of the file in the system's store: by it untrust finds what trust has added. */
const fileName = 'oo-local-ca.crt';
/** The name in browsers' databases. */
const nickname = 'oo local CA';
const macKeychain = '/Library/Keychains/System.keychain';

/** A system whose store is a directory of files and a command that gathers them. */
interface FileStore {
  readonly name: string;
  readonly dir: string;
  readonly command: string;
  readonly args?: readonly string[];
  /**
   * Where the command links the files. It leaves the links of a file that is gone, unless told to make all of them anew,
   * which would leave other programs without any for a moment.
   */
  readonly links?: string;
}

const fileStores: readonly FileStore[] = [
  // Fedora, RHEL, and before Debian: some have both commands.
  { name: 'Fedora', dir: '/etc/pki/ca-trust/source/anchors', command: 'update-ca-trust', args: ['extract'] },
  // `trust anchor` would write a file of another name: a file of our own is exactly what untrust takes away.
  {
    name: 'Arch',
    dir: '/etc/ca-certificates/trust-source/anchors',
    command: 'trust',
    args: ['extract-compat'],
  },
  { name: 'openSUSE', dir: '/usr/share/pki/trust/anchors', command: 'update-ca-certificates' },
  // Debian, Ubuntu, Alpine.
  {
    name: 'Debian',
    dir: '/usr/local/share/ca-certificates',
    command: 'update-ca-certificates',
    links: '/etc/ssl/certs',
  },
];

/** Debian's way to Java's store: it reads `+FILE` and `-FILE`. */
const javaHook = '/etc/ca-certificates/update.d/jks-keystore';

/** Adds a root to the system's store and to the user's browsers'. @param pem the root */
export async function trust(host: TrustHost, pem: string): Promise<TrustResult[]> {
  const system = host.platform === 'darwin' ? await trustMac(host, pem) : await trustFiles(host, pem);
  return [system, ...(await forBrowsers(host, (database) => addToBrowser(host, database, pem)))];
}

/** Takes away what `trust` has added, and nothing else. */
export async function untrust(host: TrustHost): Promise<TrustResult[]> {
  const system = host.platform === 'darwin' ? await untrustMac(host) : await untrustFiles(host);
  return [system, ...(await forBrowsers(host, (database) => removeFromBrowser(host, database)))];
}

function fileStoreOf(host: TrustHost): FileStore | undefined {
  return fileStores.find(
    ({ dir, command }) =>
      host.has(command) &&
      (existsSync(host.root + dir) || (dir.startsWith('/usr/local') && existsSync(`${host.root}/usr`))),
  );
}

function noStore(): TrustResult {
  const hint =
    "On Debian and Alpine install the package ca-certificates; else add it by this system's own means: oo trust --print";
  return result('failed', "the system's store", 'it is of a kind that oo does not know', hint);
}

async function trustFiles(host: TrustHost, pem: string): Promise<TrustResult> {
  const store = fileStoreOf(host);
  if (!store) return noStore();
  const path = join(store.dir, fileName);
  const where = `the system's store (${path})`;
  const before = contentOf(host.root + path);
  if (before !== undefined && sameCertificate(before, pem)) return result('there', where);
  try {
    mkdirSync(dirname(host.root + path), { recursive: true, mode: 0o755 });
    writeFileSync(`${host.root + path}.tmp`, pem, { mode: 0o644 });
    renameSync(`${host.root + path}.tmp`, host.root + path);
  } catch (error) {
    return notWritten(where, error as NodeJS.ErrnoException);
  }
  const ran = await host.run(store.command, store.args ?? []);
  const why = before === undefined ? '' : "in the place of another oo's root";
  return ran.code === 0 ? result('added', where, why) : commandFailed(where, store.command, ran.err);
}

async function untrustFiles(host: TrustHost): Promise<TrustResult> {
  const paths = fileStores.map(({ dir }) => join(dir, fileName)).filter((path) => existsSync(host.root + path));
  const [path] = paths;
  if (!path) return result('absent', "the system's store");
  const where = `the system's store (${path})`;
  const store = fileStores.find(({ dir }) => dir === dirname(path)) as FileStore;
  let links: string[];
  try {
    rmSync(host.root + path);
    links = store.links === undefined ? [] : removeLinks(host, store.links, path);
  } catch (error) {
    return notWritten(where, error as NodeJS.ErrnoException);
  }
  const ran = await host.run(store.command, store.args ?? []);
  if (ran.code !== 0) return commandFailed(where, store.command, ran.err);
  if (existsSync(host.root + javaHook))
    await host.run(javaHook, [], undefined, links.map((link) => `-${link}\n`).join(''));
  return result('removed', where);
}

/** Takes away the links to a file, and the links to those (OpenSSL's, by hash). Returns the former. */
function removeLinks(host: TrustHost, dir: string, path: string): string[] {
  const linksTo = (targets: readonly string[]) =>
    namesIn(host.root + dir)
      .map((name) => join(dir, name))
      .filter((link) => targets.includes(targetOf(host.root + link)));
  const first = linksTo([path]);
  const second = linksTo(first.flatMap((link) => [link, basename(link)]));
  for (const link of [...second, ...first]) rmSync(host.root + link);
  return first;
}

function targetOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function sameCertificate(a: string, b: string): boolean {
  try {
    return new X509Certificate(a).fingerprint256 === new X509Certificate(b).fingerprint256;
  } catch {
    return false;
  }
}

function notWritten(where: string, { code, message }: NodeJS.ErrnoException): TrustResult {
  const denied = code === 'EACCES' || code === 'EPERM';
  if (denied) return { ...result('failed', where, 'this user may not write there', ''), needsRoot: true };
  const why = code === 'EROFS' ? 'the file system is read-only' : message;
  return result('failed', where, why, 'Mend that, then run the command again.');
}

function commandFailed(where: string, command: string, said: string): TrustResult {
  const [line = ''] = said.trim().split('\n').slice(-1);
  return result('failed', where, `${command} failed${line ? `: ${line}` : ''}`, `Run ${command} yourself, as root.`);
}

async function trustMac(host: TrustHost, pem: string): Promise<TrustResult> {
  const where = `the system's keychain (${macKeychain})`;
  const there = await inKeychain(host);
  if (there.some((one) => sameCertificate(one, pem))) return result('there', where);
  return withFile(pem, async (file) => {
    const ran = await host.run('security', ['add-trusted-cert', '-d', '-r', 'trustRoot', '-k', macKeychain, file]);
    return ran.code === 0 ? result('added', where) : { ...commandFailed(where, 'security', ran.err), needsRoot: true };
  });
}

async function untrustMac(host: TrustHost): Promise<TrustResult> {
  const where = `the system's keychain (${macKeychain})`;
  const there = await inKeychain(host);
  for (const pem of there) {
    const sha1 = new X509Certificate(pem).fingerprint.replaceAll(':', '');
    const untrusted = await withFile(pem, (file) => host.run('security', ['remove-trusted-cert', '-d', file]));
    const deleted = await host.run('security', ['delete-certificate', '-Z', sha1, macKeychain]);
    const failed = [untrusted, deleted].find(({ code }) => code !== 0);
    if (failed) return { ...commandFailed(where, 'security', failed.err), needsRoot: true };
  }
  return result(there.length > 0 ? 'removed' : 'absent', where);
}

/** The roots of oo in the keychain. */
async function inKeychain(host: TrustHost): Promise<string[]> {
  const { code, out } = await host.run('security', ['find-certificate', '-a', '-c', nickname, '-p', macKeychain]);
  return code === 0 ? (out.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []) : [];
}

/** Each database of the user's browsers; where there are some and no certutil, one failure says so. */
async function forBrowsers(host: TrustHost, work: (database: string) => Promise<TrustResult>): Promise<TrustResult[]> {
  const databases = browserDatabases(host);
  if (databases.length === 0) return [];
  if (!host.has('certutil')) {
    const hint =
      'Install it (Debian: apt install libnss3-tools; Fedora: nss-tools; Arch: nss), then run the command again.';
    return [result('failed', `browsers (${databases.join(', ')})`, 'certutil is not there', hint)];
  }
  const results: TrustResult[] = [];
  for (const database of databases) results.push(await work(database));
  return results;
}

/** Chromium's and Firefox's certificate databases in the user's home. */
export function browserDatabases({ home, root }: Pick<TrustHost, 'home' | 'root'>): string[] {
  const fixed = ['.pki/nssdb', 'snap/chromium/current/.pki/nssdb'];
  const profiles = [
    '.mozilla/firefox',
    'snap/firefox/common/.mozilla/firefox',
    '.var/app/org.mozilla.firefox/.mozilla/firefox',
    'Library/Application Support/Firefox/Profiles',
  ].flatMap((dir) => namesIn(root + join(home, dir)).map((name) => join(dir, name)));
  return [...fixed, ...profiles]
    .map((dir) => join(home, dir))
    .filter((dir) => existsSync(join(root + dir, 'cert9.db')));
}

/** What a directory has in it; nothing where there is none. */
function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

async function addToBrowser(host: TrustHost, database: string, pem: string): Promise<TrustResult> {
  const where = `a browser (${database})`;
  const sql = `sql:${host.root}${database}`;
  const there = await host.run('certutil', ['-L', '-d', sql, '-n', nickname, '-a'], host.user);
  if (there.code === 0 && sameCertificate(there.out, pem)) return result('there', where);
  // A root that was made anew: the old one of this name goes.
  if (there.code === 0) await removeFromBrowser(host, database);
  return withFile(
    pem,
    async (file) => {
      const ran = await host.run('certutil', ['-A', '-d', sql, '-n', nickname, '-t', 'C,,', '-i', file], host.user);
      return ran.code === 0 ? result('added', where) : browserFailed(where, ran.err);
    },
    host.user,
  );
}

async function removeFromBrowser(host: TrustHost, database: string): Promise<TrustResult> {
  const where = `a browser (${database})`;
  const sql = `sql:${host.root}${database}`;
  const find = () => host.run('certutil', ['-L', '-d', sql, '-n', nickname], host.user);
  if ((await find()).code !== 0) return result('absent', where);
  // One name may stand for several.
  for (let i = 0; i < 10; i++) {
    const ran = await host.run('certutil', ['-D', '-d', sql, '-n', nickname], host.user);
    if (ran.code !== 0) return browserFailed(where, ran.err);
    if ((await find()).code !== 0) return result('removed', where);
  }
  return browserFailed(where, 'it comes back');
}

function browserFailed(where: string, said: string): TrustResult {
  const [line = 'certutil failed'] = said.trim().split('\n');
  return result('failed', where, line, 'Close the browser, then run the command again as the user whose it is.');
}

/** The root as a file that `user` may read, as long as `work` takes. */
async function withFile<T>(pem: string, work: (path: string) => Promise<T>, user?: RunAs): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'oo-trust-'));
  try {
    // It is a public certificate, and certutil may run as another user.
    if (user) chmodSync(dir, 0o755);
    const path = join(dir, fileName);
    writeFileSync(path, pem, { mode: 0o644 });
    return await work(path);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function result(did: TrustResult['did'], where: string, why = '', hint = ''): TrustResult {
  return { did, where, why, hint, needsRoot: false };
}
