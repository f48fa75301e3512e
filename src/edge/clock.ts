import { performance } from 'node:perf_hooks';

/**
 * A coarse clock for time-outs: a thousand connections compare numbers a few times a second instead of each arming a
 * timer a request. Precision is one tick.
 */
export const tickMs = 250;

/**
 * What time it is, ms of performance.now(): for what a tick is too coarse for. The name `performance` is taken from its module, since the
 * global one is a getter, which costs a request 0.1 µs: as much as the clock.
 */
export function nowMs(): number {
  return performance.now();
}

export const clock = { now: nowMs() };

/** Calls `sweep` every tick with the clock set; does not keep the process alive. Returns what stops it. */
export function startClock(sweep: (now: number) => void, everyMs = tickMs): () => void {
  // In a program that has loaded this long ago, or has closed its last edge, it stands still: what begins now would be late at the first tick.
  clock.now = nowMs();
  const timer = setInterval(() => {
    clock.now = nowMs();
    sweep(clock.now);
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
