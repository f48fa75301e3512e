import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Breaker } from '../../src/core/breaker.ts';
import { judgeEjection, Outlier } from '../../src/core/outlier.ts';
import { type Attempt, decideRetry, defaultRetryPolicy } from '../../src/core/retry.ts';
import { RetryBudget } from '../../src/core/retry-budget.ts';

// How the defaults work together, over simulated time: two workers, 300 requests a second, refused connections fail at once.
const simulation = suite('health simulation');
const workers = 2;

interface Course {
  /** Requests that were answered with a failure, by the second in which they came. */
  readonly failed: readonly number[];
  /** Attempts that met a dead instance, by second. */
  readonly wasted: readonly number[];
  readonly mostEjected: number;
}

function simulate(
  size: number,
  seconds: number,
  withBreaker: boolean,
  isDead: (i: number, now: number) => boolean,
): Course {
  const members = Array.from({ length: size }, () => ({ outlier: new Outlier(), usable: true }));
  const local = Array.from({ length: workers }, () => ({
    outliers: members.map(() => new Outlier()),
    breakers: members.map(() => new Breaker()),
    budget: new RetryBudget(undefined, workers),
    turn: 0,
  }));
  const failed = new Array<number>(seconds).fill(0);
  const wasted = new Array<number>(seconds).fill(0);
  let mostEjected = 0;
  let came = 0;

  /** The next by turns that may be used; with none, the panic rule: all but those whose breaker is open. */
  const pick = (worker: number, now: number, tried: readonly number[]): number => {
    const { outliers, breakers } = local[worker];
    const open = members.map((_, i) => i).filter((i) => !withBreaker || breakers[i].allows(now));
    const good = open.filter((i) => !outliers[i].isEjected(now));
    const fresh = good.filter((i) => !tried.includes(i));
    const from = fresh.length > 0 ? fresh : good.length > 0 ? good : open;
    return from.length === 0 ? -1 : from[local[worker].turn++ % from.length];
  };

  const attempt = (worker: number, now: number, i: number): boolean => {
    const { outliers, breakers } = local[worker];
    const outcome = isDead(i, now) ? 'unreachable' : 'ok';
    if (withBreaker && breakers[i].enter(now)) breakers[i].observe(outcome, now, now);
    const cause = outliers[i].observe(outcome, now, now);
    const ejection = cause && judgeEjection(members[i].outlier, cause, [members], now, 0.5);
    if (ejection !== undefined) for (const each of local) each.outliers[i].apply(ejection, now);
    if (outcome !== 'ok') wasted[Math.floor(now / 1_000)]++;
    return outcome === 'ok';
  };

  const serve = (worker: number, now: number): boolean => {
    const tried: number[] = [];
    const { budget } = local[worker];
    budget.note(now);
    for (;;) {
      const i = pick(worker, now, tried);
      if (i < 0) return false;
      if (attempt(worker, now, i)) return true;
      tried.push(i);
      const last: Attempt = {
        attempt: tried.length,
        sentBytes: false,
        reused: false,
        idempotent: true,
        replayable: true,
        responseStarted: false,
      };
      if (decideRetry(defaultRetryPolicy, last, true, false, now, now, budget) !== 'retry') return false;
    }
  };

  for (let now = 0; now < seconds * 1_000; now += 10) {
    for (let i = 0; i < 3; i++) if (!serve(came++ % workers, now)) failed[Math.floor(now / 1_000)]++;
    mostEjected = Math.max(mostEjected, members.filter(({ outlier }) => outlier.isEjected(now)).length);
  }
  return { failed, wasted, mostEjected };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

simulation(
  'half of ten are killed for good: nothing fails after the first second, and they are hardly tried again',
  () => {
    const { failed, wasted, mostEjected } = simulate(10, 60, false, (i, now) => i < 5 && now >= 5_000);
    assert.is(sum(failed.slice(6)), 0);
    assert.is(mostEjected, 5);
    // Each comes back after 10, 20 … s, and is out again at its first failure in a worker.
    assert.ok(sum(wasted.slice(6)) <= 5 * 3 * workers, `${sum(wasted.slice(6))} attempts`);
  },
);

simulation('all are killed and come back: all is served again at once', () => {
  const { failed, mostEjected } = simulate(10, 60, false, (_, now) => now >= 5_000 && now < 20_000);
  assert.is(sum(failed.slice(0, 5)), 0);
  assert.is(sum(failed.slice(20)), 0);
  assert.is(mostEjected, 5);
});

simulation('with breakers they are left in peace while they are dead, and found again within the longest pause', () => {
  const dead = (_: number, now: number) => now >= 5_000 && now < 20_000;
  const without = simulate(10, 60, false, dead);
  const { failed, wasted } = simulate(10, 60, true, dead);
  assert.ok(sum(wasted.slice(10, 20)) < sum(without.wasted.slice(10, 20)) / 20);
  assert.is(sum(failed.slice(37)), 0);
});

simulation('a single instance that was dead is used at once', () => {
  const { failed, mostEjected } = simulate(1, 20, false, (_, now) => now >= 5_000 && now < 10_000);
  assert.equal([sum(failed.slice(0, 5)), sum(failed.slice(10)), mostEjected], [0, 0, 0]);
  assert.is(sum(failed.slice(5, 10)), 1_500);
});

simulation.run();
