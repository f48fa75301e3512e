import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
/** Bun, Deno and workerd together are 100 MB to be fetched. */
const limitMs = 300_000;

interface Locked {
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Installs a package of the tests, one with its own lock file, as that says, where it is not there yet.
 * @param directory of its package.json
 * @throws Error with what npm said
 */
export function ensureInstalled(directory: string): void {
  if (isInstalled(directory)) return;
  const { status, stdout, stderr, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: directory,
    encoding: 'utf8',
    timeout: limitMs,
    env: npmEnvironment(),
  });
  if (status !== 0) throw new Error(`npm ci in ${directory} failed: ${error?.message ?? ''}${stdout}${stderr}`);
  // npm leaves out in silence what is optional and made for another platform.
  if (!isInstalled(directory))
    throw new Error(`npm ci in ${directory} left something out: it needs linux-x64 with glibc, not another platform`);
}

/** The environment for npm: without node_modules/.bin in PATH, so that it runs on the Node that it came with. */
export function npmEnvironment(): NodeJS.ProcessEnv {
  const bin = join(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => resolve(part) !== bin);
  return { ...process.env, PATH: path.join(delimiter) };
}

/** npm writes its record last. What the package names itself must be there, though it be optional; of the rest only what is not. */
function isInstalled(directory: string): boolean {
  const record = join(directory, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const have = packagesOf(record);
  const wanted = packagesOf(join(directory, 'package-lock.json'));
  const named = new Set(Object.keys(wanted['']?.optionalDependencies ?? {}).map((name) => `node_modules/${name}`));
  return Object.entries(wanted).every(
    ([name, { integrity, optional }]) =>
      name === '' || (optional && !named.has(name)) || have[name]?.integrity === integrity,
  );
}

function packagesOf(lock: string): Record<string, Locked> {
  return JSON.parse(readFileSync(lock, 'utf8')).packages;
}
