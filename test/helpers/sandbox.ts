import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/**
 * Says whether this is root, and fails the test if not: namespaces, mounts, file capabilities and other users need it.
 */
export function needRoot(): void {
  if (process.getuid!() !== 0) throw new Error('this test needs root (namespaces, setcap, nobody): sudo npm test');
}

/**
 * Builds a program the way dist/oo is built.
 * @param entry relative to the repository
 * @param out absolute path of the executable
 * @returns what the build printed
 */
export function buildExecutable(entry: string, out: string): string {
  const build = spawnSync(process.execPath, [join(root, 'scripts/build.ts'), entry, out], { encoding: 'utf8' });
  if (build.status !== 0) throw new Error(`the build failed\n${build.stdout}${build.stderr}`);
  return build.stdout;
}
