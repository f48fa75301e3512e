import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { entries } from './entries.ts';

/** The module that an import, an export or a type's `import()` names, in what tsc writes. */
const MODULE = /(\bfrom |\bimport\(|^import )(["'])([^"'\n]+)\2/gm;

/**
 * Writes the declarations of the package's entries, and of what those reach: nobody can import the rest.
 * @param out the directory for index.d.ts and the like
 * @throws Error with what tsc said
 */
export function makeDeclarations(root: string, out: string): void {
  const work = mkdtempSync(join(tmpdir(), 'declarations-'));
  try {
    const sources = Object.values(entries(root));
    emit(root, work, sources);
    const seen = new Set<string>();
    for (const source of sources) copy(join(work, relative('src', source).replace(/\.ts$/, '.d.ts')), work, out, seen);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function emit(root: string, work: string, sources: readonly string[]): void {
  const config = join(work, 'tsconfig.json');
  // Under the project's rules; but only what the entries import, and no types that a consumer may not have.
  const compilerOptions = {
    rootDir: join(root, 'src'),
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

/** Copies a declaration file and what it imports; `./x.ts` becomes `./x.js`, which every TypeScript resolves. */
function copy(file: string, from: string, to: string, seen: Set<string>): void {
  if (seen.has(file)) return;
  seen.add(file);
  const text = readFileSync(file, 'utf8').replace(MODULE, (all, before: string, quote: string, module: string) => {
    if (!module.startsWith('.')) return all;
    copy(resolve(dirname(file), module.replace(/\.ts$/, '.d.ts')), from, to, seen);
    return `${before}${quote}${module.replace(/\.ts$/, '.js')}${quote}`;
  });
  const target = join(to, relative(from, file));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}
