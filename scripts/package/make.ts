import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCode } from './code.ts';
import { makeDeclarations } from './declarations.ts';
import { OUT } from './entries.ts';
import { noticesOf } from './notices.ts';

/** What the package is made from, from the project's root. */
const INPUTS = ['{src,db}/**/*.ts', 'scripts/package/*', 'package.json', 'package-lock.json', 'tsconfig.json'];
const STAMP = 'dist/.package.stamp';

/**
 * Makes dist/package, the code and the types of what `npm pack` packs, unless it is there as these sources make it.
 * Two at once do no harm: each works in its own directory, and a finished one takes the old one's place.
 * @param root the project's directory
 * @returns whether it had to be made
 * @throws Error with what esbuild or tsc said; dist/package is as it was then
 */
export async function makePackage(root: string): Promise<boolean> {
  const stamp = stampOf(root);
  if (existsSync(join(root, OUT)) && readIfThere(join(root, STAMP)) === stamp) return false;
  mkdirSync(join(root, 'dist'), { recursive: true });
  const work = mkdtempSync(join(root, 'dist/.package-'));
  try {
    const made = join(work, 'new');
    const notices = noticesOf(root, await makeCode(root, made));
    if (notices !== undefined) writeFileSync(join(made, 'NOTICES.txt'), notices);
    makeDeclarations(root, join(made, 'types'));
    if (existsSync(join(root, OUT))) renameSync(join(root, OUT), join(work, 'old'));
    renameSync(made, join(root, OUT));
    writeFileSync(join(root, STAMP), stamp);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return true;
}

function stampOf(root: string): string {
  const hash = createHash('sha256');
  for (const path of globSync(INPUTS, { cwd: root }).sort()) {
    hash
      .update(path)
      .update('\0')
      .update(readFileSync(join(root, path)))
      .update('\0');
  }
  return `${hash.digest('hex')}\n`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
