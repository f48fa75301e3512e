/** The clock and the timers, so that tests can turn them. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls `run` once after `ms`. Keeps no process alive. @returns takes the call back */
  after(ms: number, run: () => void): () => void;
}

const longestTimer = 2 ** 31 - 1;

/** The system's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), longestTimer));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
