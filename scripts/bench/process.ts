import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { sleep } from './stats.ts';

/** Core of the proxy with all its processes, and core of everything else: upstream, load, this program. */
export const PROXY_CORE = '0';
export const LOAD_CORE = '1';

/** A program that this run started. */
export interface Started {
  readonly pid: number;
  /** All it wrote so far, stdout and stderr. */
  readonly output: () => string;
  readonly hasEnded: () => boolean;
  /** SIGTERM, again after a second, SIGKILL to the whole tree after five. */
  readonly stop: () => Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) if (child.pid) for (const pid of tree(child.pid)) kill(pid, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/**
 * Starts a program on the given cores (a `taskset -c` list).
 * taskset replaces itself by the program, so the pid is the program's own.
 */
export function start(command: readonly string[], cores: string, env: Record<string, string> = {}): Started {
  const child = spawn('taskset', ['-c', cores, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  let output = '';
  let ended = false;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  child.on('error', (error) => (output += `${error.message}\n`));
  const end = new Promise<void>((resolve) => child.on('close', () => resolve())).then(() => {
    ended = true;
    running.delete(child);
  });
  const pid = child.pid ?? 0;
  const within = (ms: number) => Promise.race([end, sleep(ms)]);
  const stop = async () => {
    // A reverse proxy drains on the first signal; a second one asks oo to end at once.
    for (const waitMs of [1000, 4000]) {
      if (!ended) kill(pid, 'SIGTERM');
      await within(waitMs);
    }
    if (!ended) for (const each of tree(pid)) kill(each, 'SIGKILL');
    await end;
  };
  return { pid, output: () => output, hasEnded: () => ended, stop };
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself: what was wanted.
  }
}

/**
 * Runs a program to its end and returns what it wrote; throws with its output when it fails or takes too long.
 * @param timeout ms, a minute by default
 */
export async function run(
  command: readonly string[],
  env: Record<string, string> = {},
  cores = LOAD_CORE,
  timeout = 60_000,
): Promise<string> {
  const child = spawn('taskset', ['-c', cores, ...command], { env: { ...process.env, ...env }, timeout });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output}`);
  return output;
}

/** First line of what a program says of its version (stdout or stderr), or undefined where it is not installed. */
export function versionOf(command: readonly string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(command[0], command.slice(1), { encoding: 'utf8' });
  return error ? undefined : `${stdout}${stderr}`.trim().split('\n')[0];
}

/** A process and all that descend from it. */
export function tree(pid: number): number[] {
  const found = [pid];
  for (const parent of found) {
    for (const task of list(`/proc/${parent}/task`)) {
      found.push(...read(`/proc/${parent}/task/${task}/children`).split(' ').filter(Boolean).map(Number));
    }
  }
  return found;
}

/** CPU time so far of each thread of a process tree: thread id → ns. */
export function cpuOf(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const each of tree(pid)) {
    for (const task of list(`/proc/${each}/task`)) {
      threads.set(task, Number(read(`/proc/${each}/task/${task}/schedstat`).split(' ')[0]));
    }
  }
  return threads;
}

/**
 * CPU time spent between two readings, ns, over all threads.
 * Throws where a thread or process ended in between: its time is lost, and a proxy that loses one is not fit to measure.
 */
export function cpuBetween(before: Map<string, number>, after: Map<string, number>): number {
  let total = 0;
  for (const [task, ns] of after) total += ns - (before.get(task) ?? 0);
  for (const task of before.keys()) {
    if (!after.has(task)) throw new Error(`thread ${task} of the proxy ended while it was measured`);
  }
  return total;
}

/** CPU time so far of one process, ns in steps of 10 ms: with that of threads that have ended, which runtimes with a pool of threads have. */
export function processCpu(pid: number): number {
  // After the name, which may have anything in it: state is the first field, utime and stime are the 12th and 13th.
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 1e7;
}

/** Time that the proxy's core has spent on any work since boot, ns (in steps of 10 ms). */
export function coreBusy(): number {
  const line = new RegExp(`^cpu${PROXY_CORE} +(.*)$`, 'm').exec(read('/proc/stat'))?.[1] ?? '';
  const [user, nice, system, , , irq, softirq] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq) * 1e7;
}

/** Memory of a process tree, bytes, pages that several processes share counted once in all (PSS). */
export function memoryOf(pid: number): number {
  let kib = 0;
  for (const each of tree(pid)) kib += Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${each}/smaps_rollup`))?.[1] ?? 0);
  return kib * 1024;
}

// A thread may end between being listed and being read.
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

let nextPort = 21_000;

/** A free loopback port below the range that outgoing connections take theirs from. */
export async function freePort(): Promise<number> {
  for (; nextPort < 32_000; nextPort++) {
    const server = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.on('error', () => resolve(false)).listen(nextPort, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (free) return nextPort++;
  }
  throw new Error('no free port from 21000 to 32000');
}

/** Waits until a started program accepts connections; throws with its output when it ends or 10 s pass. */
export async function listens(program: Started, port: number): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
    if (program.hasEnded()) break;
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (open) return;
  }
  throw new Error(`nothing listens on port ${port}; the program said:\n${program.output()}`);
}
