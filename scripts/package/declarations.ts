import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { entries, readManifest } from './entries.ts';
import { reachable } from './reachable.ts';

const declarationOf = (source: string) => source.replace(/\.ts$/, '.d.ts');

/**
 * Writes the declarations of the package's entries, and of what those reach.
 * @param out the directory for src/index.d.ts and the like
 * @throws Error with what tsc said
 */
export function makeDeclarations(root: string, out: string): void {
  const work = mkdtempSync(join(tmpdir(), 'declarations-'));
  try {
    const sources = Object.values(entries(readManifest(root)));
    emit(root, work, sources);
    const files = reachable(
      sources.map((source) => join('/', declarationOf(source))),
      (path) => readFileSync(join(work, path), 'utf8'),
      (from, module) => resolve(dirname(from), declarationOf(module)),
    );
    for (const [path, text] of files) {
      mkdirSync(dirname(join(out, path)), { recursive: true });
      writeFileSync(join(out, path), text);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function emit(root: string, work: string, sources: readonly string[]): void {
  const config = join(work, 'tsconfig.json');
  const compilerOptions = {
    rootDir: root,
    outDir: work,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    typeRoots: [join(root, 'node_modules/@types')],
  };
  const files = sources.map((source) => join(root, source));
  writeFileSync(config, JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }));
  const { status, stdout, stderr } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`tsc made no declarations:\n${stdout}${stderr}`);
}
