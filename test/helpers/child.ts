import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

export interface Child {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** Whole lines of standard output, so far. */
  lines(): string[];
  /** Resolves when a line of standard output is this; rejects when the process ends first, or after 20 s. */
  says(line: string): Promise<void>;
  /** Sends the signal and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves at the end, with the exit code. */
  ended: Promise<number | null>;
}

const running = new Set<Child>();
process.on('exit', () => {
  for (const child of running) child.process.kill('SIGKILL');
});

/** Starts a TypeScript file of ours in a process of its own. */
export function startChild(file: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Child {
  const started = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  let out = '';
  let err = '';
  const waiting = new Set<() => void>();
  started.stdout.on('data', (chunk) => {
    out += chunk;
    for (const look of waiting) look();
  });
  started.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const ended = new Promise<number | null>((resolve) => started.on('close', resolve));
  const child: Child = {
    process: started,
    lines: () => out.split('\n').slice(0, -1),
    says: (line) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no "${line}" within 20 s: ${out}${err}`)), 20_000);
        const look = () => {
          if (!child.lines().includes(line)) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
        void ended.then((code) => {
          clearTimeout(timer);
          reject(new Error(`ended (${code}) before "${line}": ${out}${err}`));
        });
      }),
    async kill(signal = 'SIGKILL') {
      started.kill(signal);
      await ended;
    },
    ended,
  };
  running.add(child);
  void ended.then(() => running.delete(child));
  return child;
}
