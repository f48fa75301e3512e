/**
 * `npm test`: packages, other runtimes, types, lint and format, the build, then every test file.
 * `npm test -- WORD …`: the build, then the test files whose path contains one of the words.
 * The last line is `N passed, N failed`; a step or a file that goes wrong is at least one failed.
 */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { type FileResult, runFile, wishesOf } from './test/file.ts';
import { ensureInstalled } from './test/install.ts';
import { ensurePackages } from './test/packages.ts';

const root = resolve(import.meta.dirname, '..');
process.chdir(root);
const words = process.argv.slice(2);
/** Files of these are no tests of ours. */
const exclude = ['**/fixtures/**', '**/node_modules/**'];
let passed = 0;
let failed = 0;

// On exit file.ts ends what the running files started.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
if (prepare()) await runFiles();
if (passed + failed === 0) fail('no tests ran');
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** @returns whether the tests can be run: without this commit's dist/oo they would judge another one. */
function prepare(): boolean {
  if (words.length === 0) {
    const missing = ensurePackages();
    if (missing) {
      fail(missing);
      return false;
    }
    step('types', 'node_modules/.bin/tsc', '-p', '.');
    step('lint and format', 'node_modules/.bin/biome', 'check', '--error-on-warnings');
  }
  try {
    ensureInstalled(join(root, 'test/runtimes'));
  } catch (error) {
    fail((error as Error).message);
  }
  return step('build', process.execPath, 'scripts/build.ts');
}

function step(name: string, command: string, ...args: string[]): boolean {
  const started = performance.now();
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) fail(`${name}: ${[command, ...args].join(' ')} failed`);
  else console.log(`${name}: ok, ${seconds(performance.now() - started)}`);
  return status === 0;
}

async function runFiles(): Promise<void> {
  for (const path of globSync('test/**/*.ts', { exclude })) {
    if (path.endsWith('.test.ts') || !/^import \{.*\} from 'uvu';$/m.test(readFileSync(path, 'utf8'))) continue;
    fail(`${path} has uvu tests, but is not run: its name must end in .test.ts`);
  }
  const all = globSync('test/**/*.test.ts', { exclude }).sort();
  const chosen = all.filter((path) => words.length === 0 || words.some((word) => path.includes(word)));
  const files = chosen.map((path) => ({ path, wishes: wishesOf(readFileSync(path, 'utf8')) }));
  const shared = files.filter(({ wishes }) => !wishes.exclusive);
  const take = async () => {
    for (let next = shared.shift(); next; next = shared.shift())
      report(next.path, await runFile(next.path, next.wishes));
  };
  // They wait half of the time: for a TTL, a drain, a CA.
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, take));
  for (const { path, wishes } of files) if (wishes.exclusive) report(path, await runFile(path, wishes));
}

function report(path: string, result: FileResult): void {
  passed += result.passed;
  failed += result.failed;
  const good = result.failed === 0;
  if (!good) console.log(`\n${result.output.trimEnd()}\n`);
  console.log(
    `${good ? 'ok    ' : 'FAILED'} ${path}: ${result.passed} passed, ${result.failed} failed, ${seconds(result.ms)}`,
  );
  for (const problem of result.problems) console.log(`       ${path} ${problem}`);
}

function fail(what: string): void {
  failed++;
  console.log(`FAILED ${what}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
