import type { Clock } from '../../src/clock.ts';

export interface FakeClock extends Clock {
  /** Lets time pass: each timer in its turn, and what follows from it before the next. */
  advance(ms: number): Promise<void>;
  /** Lets what is under way without timers go on. */
  flush(): Promise<void>;
  /** Ms that have passed, as a steady clock shows them: `jump` is nothing to it. */
  steady(): number;
  /** Moves the time and no timer, as a clock that is put right does, or a machine that slept. */
  jump(ms: number): void;
}

/** A clock that only tests move. */
export function fakeClock(start = Date.UTC(2026, 10, 23)): FakeClock {
  // As with a real one, timers count what has passed, not what the clock shows.
  let passed = 0;
  let shown = start;
  let count = 0;
  const timers = new Map<number, { at: number; run: () => void }>();
  const flush = async () => {
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = (ms: number) => {
    passed += ms;
    shown += ms;
  };
  return {
    now: () => shown,
    steady: () => passed,
    after(ms, run) {
      count += 1;
      const id = count;
      timers.set(id, { at: passed + Math.max(0, ms), run });
      return () => timers.delete(id);
    },
    flush,
    jump(ms) {
      shown += ms;
    },
    async advance(ms) {
      const end = passed + ms;
      await flush();
      for (;;) {
        const next = [...timers].sort(([i, a], [j, b]) => a.at - b.at || i - j)[0];
        if (next === undefined || next[1].at > end) break;
        timers.delete(next[0]);
        pass(next[1].at - passed);
        next[1].run();
        await flush();
      }
      pass(end - passed);
    },
  };
}
