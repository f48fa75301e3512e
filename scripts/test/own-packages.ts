import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** The environment for npm: without node_modules/.bin in PATH, so that it runs on the Node that it came with. */
export function npmEnvironment(): NodeJS.ProcessEnv {
  const bin = join(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => resolve(part) !== bin);
  return { ...process.env, PATH: path.join(delimiter) };
}

/**
 * Installs a directory's own package.json, as its lock file says, where it is not there yet: what only some tests need.
 * @throws Error with what npm said
 */
export function ensureOwnPackages(directory: string): void {
  if (isInstalled(directory)) return;
  const { status, stdout, stderr, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 100_000,
    env: npmEnvironment(),
  });
  if (status !== 0) throw new Error(`npm ci in ${directory} failed: ${error?.message ?? ''}${stdout}${stderr}`);
}

/** npm writes its record last. */
function isInstalled(directory: string): boolean {
  const record = join(directory, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const have = packagesOf(record);
  return Object.entries(packagesOf(join(directory, 'package-lock.json'))).every(
    ([name, { integrity, optional }]) => name === '' || optional || have[name]?.integrity === integrity,
  );
}

function packagesOf(lock: string): Record<string, { readonly integrity?: string; readonly optional?: boolean }> {
  return JSON.parse(readFileSync(lock, 'utf8')).packages;
}
