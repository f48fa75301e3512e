import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const directory = join(root, 'test/admin/fixtures/client');

/**
 * Installs what makes a typed client of the OpenAPI document, as its own lock file says, where it is not there yet: a package of its own, because it needs
 * the API of TypeScript 5.
 * @returns its directory
 * @throws Error with what npm said
 */
export function ensureClientPackage(): string {
  if (isInstalled()) return directory;
  // Without node_modules/.bin in PATH: npm shall run on the Node that it came with.
  const bin = join(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => resolve(part) !== bin);
  const { status, stdout, stderr, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 100_000,
    env: { ...process.env, PATH: path.join(delimiter) },
  });
  if (status === 0) return directory;
  throw new Error(`npm ci in ${directory} failed: ${error?.message ?? ''}${stdout}${stderr}`);
}

/** npm writes its record last. */
function isInstalled(): boolean {
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
