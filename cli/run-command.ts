import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { constants } from 'node:os';
import { CliError } from './failure.ts';

/** Time to end after SIGTERM where we end it, ms. */
const graceMs = 10_000;
const tryEveryMs = 100;

/** A program that runs beside us, with our standard streams. */
export interface Running {
  /** Its exit code; of one that a signal ended, 128 and its number, as shells say it. Rejects with CliError where it can't be started. */
  readonly ended: Promise<number>;
  readonly hasEnded: boolean;
  /** To it and what it has started. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL where that does not help in time. */
  stop(): Promise<void>;
}

/**
 * Starts a program in a process group of its own: a Ctrl-C at the terminal reaches us alone, so that we can deregister it before we pass the signal on.
 */
export function runCommand([command, ...args]: readonly string[]): Running {
  const child = spawn(command, args, { stdio: 'inherit', detached: true });
  let hasEnded = false;
  const signal = (name: NodeJS.Signals) => {
    if (hasEnded || child.pid === undefined) return;
    try {
      process.kill(-child.pid, name);
    } catch {
      // It has just ended.
    }
  };
  // Should we fail, nobody is left that would end it.
  const onExit = () => signal('SIGTERM');
  process.on('exit', onExit);
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => {
      const why =
        { ENOENT: 'there is no such program', EACCES: 'it may not be run' }[cause.code ?? ''] ?? cause.message;
      reject(new CliError(`${command} can't be started: ${why}.`, { hint: 'Give the command after --.', cause }));
    });
    child.on('exit', (code, by) => resolve(by === null ? (code ?? 1) : 128 + constants.signals[by]));
  }).finally(() => {
    hasEnded = true;
    process.off('exit', onExit);
  });
  ended.catch(() => {});
  return {
    ended,
    get hasEnded() {
      return hasEnded;
    },
    signal,
    async stop() {
      signal('SIGTERM');
      const timer = setTimeout(() => signal('SIGKILL'), graceMs);
      await ended.catch(() => {});
      clearTimeout(timer);
    },
  };
}

/**
 * Waits until something accepts connections there.
 * @returns whether it does; false when the time is over, or `isOver` says so
 */
export async function accepts(host: string, port: number, withinMs: number, isOver: () => boolean): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!isOver()) {
    const left = end - performance.now();
    if (left <= 0) return false;
    if (await connects(host, port, Math.min(left, 2_000))) return !isOver();
    await new Promise((resolve) => setTimeout(resolve, tryEveryMs));
  }
  return false;
}

function connects(host: string, port: number, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (outcome: boolean) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(withinMs, () => done(false));
    socket.on('connect', () => done(true));
    socket.on('error', () => done(false));
  });
}
