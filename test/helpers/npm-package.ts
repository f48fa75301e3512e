import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makePackage } from '../../scripts/package/make.ts';
import { npmEnvironment } from '../../scripts/test/install.ts';

export const root = resolve(import.meta.dirname, '../..');

/** The package as `npm pack` makes it. */
export interface Packed {
  /** The .tgz. */
  readonly tarball: string;
  /** Paths within the package. */
  readonly files: readonly string[];
}

/** Packs this work tree's package, made anew if need be. @param directory where the .tgz goes */
export async function packPackage(directory: string): Promise<Packed> {
  await makePackage(root);
  // Without its scripts: it is made, and npm's own Node can't make it.
  const [{ filename, files }] = JSON.parse(
    runChecked('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], root),
  );
  return { tarball: join(directory, filename), files: files.map(({ path }: { path: string }) => path) };
}

/**
 * A program's output.
 * @throws Error with all that it said if it fails, or takes longer than a minute
 */
export function runChecked(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? status}\n${stdout}${stderr}`);
  return stdout;
}

/** As a shell in that directory would: with the machine's own Node and npm in PATH. */
export function run(command: string, args: readonly string[], cwd: string) {
  return spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 60_000, env: npmEnvironment() });
}

/** An empty project that has installed packages, with nothing of this one's in reach. @param specs as for `npm install` */
export function project(directory: string, specs: readonly string[]): void {
  write(directory, { 'package.json': JSON.stringify({ name: 'consumer', private: true, type: 'module' }) });
  runChecked('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...specs], directory);
}

export function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}
