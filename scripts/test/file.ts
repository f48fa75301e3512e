import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { killAll, type Leftover, processesOf } from './processes.ts';

const DEFAULT_TIME_LIMIT_MS = 120_000;
/** How long processes that a file has told to end may take. */
const LEFTOVER_GRACE_MS = 1_000;
const MAX_OUTPUT_CHARS = 1_000_000;

/** How to end what belongs to the files that run now. */
const running = new Set<() => void>();
process.on('exit', () => {
  for (const end of running) end();
});

/** What a test file says of itself in the comment lines at its top. */
export interface Wishes {
  /** `// time limit: 300 s`; default 120 s. */
  readonly timeLimitMs: number;
  /** `// exclusive`: run while no other file runs (fixed ports, or a quiet CPU). */
  readonly exclusive: boolean;
}

export interface FileResult {
  readonly passed: number;
  /** At least 1 when there are problems. */
  readonly failed: number;
  /** What went wrong with the file itself, beyond tests that failed. */
  readonly problems: readonly string[];
  /** Its stdout and stderr. */
  readonly output: string;
  readonly ms: number;
}

/** @param source the file's text */
export function wishesOf(source: string): Wishes {
  const top = /^(?:\/\/.*\n|\s*\n)*/.exec(source)![0];
  const limit = /^\/\/ time limit: (\d+) s$/m.exec(top);
  return {
    timeLimitMs: limit ? Number(limit[1]) * 1000 : DEFAULT_TIME_LIMIT_MS,
    exclusive: /^\/\/ exclusive$/m.test(top),
  };
}

/**
 * Runs one test file as its own process, with a temporary directory of its own, and ends all that it started.
 * Anything but a clean end with a uvu summary in which every test passed counts as failed.
 * @param path the file, absolute or relative to the working directory
 */
export async function runFile(path: string, wishes = wishesOf(readFileSync(path, 'utf8'))): Promise<FileResult> {
  const started = performance.now();
  const id = randomUUID();
  const directory = mkdtempSync(join(tmpdir(), 'oo-test-'));
  // Programs that a test runs as another user must get through it.
  chmodSync(directory, 0o711);
  const child = spawn(process.execPath, ['--import', join(import.meta.dirname, 'guard.ts'), path], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnvironment(), TMPDIR: directory, TEST_FILE_ID: id },
  });
  const family = () => processesOf(child.pid!, `TEST_FILE_ID=${id}`);
  const end = () => killAll(family());
  running.add(end);
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-MAX_OUTPUT_CHARS);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const closed = once(child, 'close');

  const problems: string[] = [];
  const timer = setTimeout(() => {
    problems.push(`did not end within ${wishes.timeLimitMs / 1000} s`);
    end();
  }, wishes.timeLimitMs);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(timer);
  if (problems.length === 0) problems.push(...(await leftovers(family)));
  end();
  running.delete(end);
  // Bounded: a process that escaped may hold the pipes open.
  await Promise.race([closed, sleep(LEFTOVER_GRACE_MS, undefined, { ref: false })]);
  rmSync(directory, { recursive: true, force: true });

  const { passed, failed, problem } = judge(output, code, signal);
  if (problem && problems.length === 0) problems.push(problem);
  const atLeast = problems.length > 0 ? 1 : 0;
  return { passed, failed: Math.max(failed, atLeast), problems, output, ms: performance.now() - started };
}

/** Waits a little for processes that were told to end. @returns a problem for each that did not */
async function leftovers(family: () => Leftover[]): Promise<string[]> {
  for (let waited = 0; waited < LEFTOVER_GRACE_MS; waited += 50) {
    if (family().length === 0) return [];
    await sleep(50);
  }
  return family().map(({ pid, command }) => `left a process running: ${pid} ${command}`);
}

/** Reads uvu's summary. A `before` hook that throws leaves exit code 0 and "Passed: 0": the numbers show it. */
function judge(output: string, code: number | null, signal: string | null) {
  const text = stripVTControlCharacters(output);
  const sum = (word: string) =>
    [...text.matchAll(new RegExp(`^ {2}${word}: +(\\d+)$`, 'gm'))].reduce((all, [, count]) => all + Number(count), 0);
  const total = sum('Total');
  const passed = sum('Passed');
  const skipped = sum('Skipped');
  const failed = total - passed + skipped;
  const ended = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
  let problem: string | undefined;
  if (!/^ {2}Total: /m.test(text)) problem = `${ended} without a uvu summary`;
  else if (total === 0) problem = 'has no tests';
  else if (skipped > 0) problem = `has ${skipped} skipped tests`;
  else if ((code !== 0 || signal) && failed === 0) problem = `${ended}, though its tests passed`;
  return { passed, failed, problem };
}

/** Without what a developer's shell may say to oo or to Node: the tests must run alike everywhere. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(OO_|OB_|XDG_|NODE_|FORCE_COLOR|npm_)/.test(name));
  return Object.fromEntries(kept);
}
