/**
 * A coarse clock for time-outs: a thousand connections compare numbers a few times a second instead of each arming a
 * timer a request. Precision is one tick.
 */
export const tickMs = 250;

export const clock = { now: performance.now() };

/** Calls `sweep` every tick with the clock set; does not keep the process alive. Returns what stops it. */
export function startClock(sweep: (now: number) => void, everyMs = tickMs): () => void {
  const timer = setInterval(() => {
    clock.now = performance.now();
    sweep(clock.now);
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
