import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Attempt, decideRetry, defaultRetryPolicy } from '../../src/core/retry.ts';
import { defaultRetryBudget, RetryBudget } from '../../src/core/retry-budget.ts';

const budgets = suite('retry budget');

function spendAll(budget: RetryBudget, now: number): number {
  let spent = 0;
  while (budget.spend(now)) spent++;
  return spent;
}

budgets('a fifth of the requests, and the floor', () => {
  const budget = new RetryBudget();
  assert.is(spendAll(budget, 0), 20);
  for (let i = 0; i < 1_000; i++) budget.note(0);
  assert.is(spendAll(budget, 0), 200);
  assert.is(spendAll(budget, 1_999), 0);
  assert.is(spendAll(budget, 2_000), 20);
});

budgets('without a floor nothing but the part', () => {
  const budget = new RetryBudget({ ...defaultRetryBudget, floorPerSecond: 0 });
  for (let i = 0; i < 9; i++) budget.note(0);
  assert.is(spendAll(budget, 0), 1);
});

budgets('the floor is divided among the workers, but each may retry once in a window', () => {
  assert.is(spendAll(new RetryBudget(defaultRetryBudget, 4), 0), 5);
  assert.is(spendAll(new RetryBudget(defaultRetryBudget, 1_000), 0), 1);
});

budgets('property: at most a fifth and the floor, in any course of requests and failures', () => {
  const course = fc.array(
    fc.record({
      wait: fc.integer({ min: 0, max: 3_000 }),
      requests: fc.integer({ min: 0, max: 200 }),
      wanted: fc.integer({ min: 0, max: 400 }),
    }),
    { maxLength: 60, size: 'max' },
  );
  const { ratio, floorPerSecond, windowMs } = defaultRetryBudget;
  fc.assert(
    fc.property(course, (steps) => {
      const budget = new RetryBudget();
      let now = 0;
      let requests = 0;
      let retries = 0;
      for (const { wait, requests: more, wanted } of steps) {
        now += wait;
        for (let i = 0; i < more; i++) budget.note(now);
        requests += more;
        for (let i = 0; i < wanted; i++) if (budget.spend(now)) retries++;
        assert.ok(retries <= ratio * requests + (floorPerSecond * (now + windowMs)) / 1_000);
      }
    }),
    { numRuns: 200 },
  );
});

interface Collapse {
  readonly requests: number;
  readonly retries: number;
  /** The most attempts that arrived in one second. */
  readonly peak: number;
}

/**
 * 300 requests a second; from second 20 to 60 all instances are slow, and every attempt times out after a second. The workers get
 * the requests by turns; an attempt that failed asks for another instance.
 */
function collapse(workers: number): Collapse {
  const own = Array.from({ length: workers }, () => new RetryBudget(defaultRetryBudget, workers));
  const failed: Attempt = {
    attempt: 1,
    sentBytes: true,
    reused: false,
    idempotent: true,
    replayable: true,
    responseStarted: false,
  };
  const ends = new Map<number, { worker: number; attempt: number; startedAt: number }[]>();
  const perSecond: number[] = [];
  let requests = 0;
  let retries = 0;
  const start = (now: number, worker: number, attempt: number, startedAt: number) => {
    const second = Math.floor(now / 1_000);
    perSecond[second] = (perSecond[second] ?? 0) + 1;
    if (second < 20 || second >= 60) return;
    const at = now + 1_000;
    if (!ends.has(at)) ends.set(at, []);
    ends.get(at)?.push({ worker, attempt, startedAt });
  };
  for (let now = 0; now < 80_000; now += 10) {
    for (const { worker, attempt, startedAt } of ends.get(now) ?? []) {
      const last = { ...failed, attempt };
      if (decideRetry(defaultRetryPolicy, last, true, false, startedAt, now, own[worker]) !== 'retry') continue;
      retries++;
      start(now, worker, attempt + 1, startedAt);
    }
    ends.delete(now);
    for (let i = 0; i < 3; i++) {
      const worker = requests++ % workers;
      own[worker].note(now);
      start(now, worker, 1, now);
    }
  }
  return { requests, retries, peak: Math.max(...perSecond) };
}

for (const workers of [1, 4]) {
  budgets(
    `a collapse, ${workers} workers: retries stay within the budget, where three tries each would triple the load`,
    () => {
      const { requests, retries, peak } = collapse(workers);
      assert.is(requests, 24_000);
      const failing = 300 * 40;
      const { ratio, floorPerSecond } = defaultRetryBudget;
      assert.ok(retries > 0.15 * failing, `${retries} retries: the budget is used`);
      // What was saved up before, over one window, is the rest.
      assert.ok(retries <= ratio * (failing + 600) + floorPerSecond * (40 + 2), `${retries} retries`);
      // 900 without a budget.
      assert.ok(peak < 500, `${peak} in a second`);
    },
  );
}

budgets.run();
