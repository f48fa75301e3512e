import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Breaker, defaultBreakerSettings } from '../../src/core/breaker.ts';
import type { Outcome } from '../../src/core/outlier-outcome.ts';

const breakers = suite('breaker');
const settings = { ...defaultBreakerSettings, failures: 3 };

function opened(now = 0): Breaker {
  const breaker = new Breaker(settings);
  for (let i = 0; i < settings.failures; i++) breaker.observe('failed', now, now);
  return breaker;
}

breakers('opens after failures in a row, and says so once', () => {
  const breaker = new Breaker(settings);
  assert.is(breaker.observe('failed', 0, 0), false);
  assert.is(breaker.observe('unreachable', 0, 0), false);
  assert.is(breaker.enter(0), true);
  assert.is(breaker.observe('failed', 0, 0), true);
  assert.equal([breaker.stateAt(0), breaker.allows(0), breaker.enter(0)], ['open', false, false]);
  assert.is(breaker.waitMs(400), 600);
  assert.is(breaker.observe('failed', 0, 1), false);
});

breakers('a good one in between starts the count anew; a client’s cancel is neither', () => {
  const breaker = new Breaker(settings);
  for (const outcome of ['failed', 'failed', 'ok', 'failed', 'ignored', 'failed'] as const)
    breaker.observe(outcome, 0, 0);
  assert.is(breaker.stateAt(0), 'closed');
  breaker.observe('failed', 0, 0);
  assert.is(breaker.stateAt(0), 'open');
});

breakers('opens at a rate of failures, too, of enough requests', () => {
  const breaker = new Breaker(settings);
  for (let i = 0; i < 19; i++) breaker.observe(i % 2 === 0 ? 'ok' : 'failed', 0, 0);
  assert.is(breaker.stateAt(0), 'closed');
  breaker.observe('failed', 0, 0);
  assert.is(breaker.stateAt(0), 'open');
});

breakers('half-open lets one probe through at a time', () => {
  const breaker = opened();
  assert.equal([breaker.stateAt(999), breaker.stateAt(1_000)], ['open', 'half-open']);
  assert.equal([breaker.enter(1_000), breaker.allows(1_000), breaker.enter(1_000)], [true, false, false]);
  breaker.observe('ok', 1_000, 1_010);
  assert.is(breaker.enter(1_010), true);
});

breakers('good probes close it', () => {
  const breaker = opened();
  const flips = [1, 2, 3].map((i) => breaker.enter(1_000 + i) && breaker.observe('ok', 1_000 + i, 1_000 + i));
  assert.equal(flips, [false, false, true]);
  assert.equal([breaker.stateAt(1_003), breaker.waitMs(1_003)], ['closed', 0]);
  // It begins anew: the failures from before are forgotten.
  assert.is(breaker.observe('failed', 1_004, 1_004), false);
});

breakers('a failed probe opens it for twice as long, up to the longest; closing starts anew', () => {
  const breaker = opened();
  const waits: number[] = [];
  let now = 0;
  for (let i = 0; i < 7; i++) {
    waits.push(breaker.waitMs(now) / 1_000);
    now += breaker.waitMs(now);
    breaker.enter(now);
    assert.is(breaker.observe('failed', now, now), true);
  }
  assert.equal(waits, [1, 2, 4, 8, 16, 30, 30]);
  now += 30_000;
  for (let i = 0; i < 3; i++) {
    breaker.enter(now);
    breaker.observe('ok', now, now);
  }
  for (let i = 0; i < 3; i++) breaker.observe('failed', now, now);
  assert.is(breaker.waitMs(now), 1_000);
});

breakers('a probe whose client left gives its place back and decides nothing', () => {
  const breaker = opened();
  breaker.enter(1_000);
  assert.is(breaker.observe('ignored', 1_000, 1_001), false);
  assert.equal([breaker.stateAt(1_001), breaker.enter(1_001)], ['half-open', true]);
});

breakers('requests from before it opened neither close it nor open it again', () => {
  const breaker = opened();
  breaker.enter(1_000);
  assert.is(breaker.observe('failed', 0, 1_001), false);
  assert.is(breaker.observe('ok', 0, 1_001), false);
  assert.equal([breaker.stateAt(1_001), breaker.allows(1_001)], ['half-open', false]);
});

breakers(
  'closed again, the failures from before are forgotten, and those that come late of requests from before',
  () => {
    const breaker = new Breaker({ ...settings, failures: 100, probes: 9 });
    for (let i = 0; i < 20; i++) breaker.observe('failed', 0, 0);
    for (let i = 0; i < 4; i++) breaker.enter(1_000);
    for (let i = 0; i < 3; i++) breaker.observe('ok', 1_000, 1_100);
    assert.is(breaker.stateAt(1_100), 'closed');
    for (let i = 0; i < 50; i++) breaker.observe('failed', 1_000, 1_101);
    for (let i = 0; i < 19; i++) breaker.observe('failed', 1_101, 1_101);
    assert.is(breaker.stateAt(1_101), 'closed');
    assert.is(breaker.observe('failed', 1_101, 1_101), true);
  },
);

breakers('property: half-open never has more probes out than allowed, and their places come back', () => {
  const step = fc.record({
    wait: fc.integer({ min: 0, max: 700 }),
    ends: fc.boolean(),
    outcome: fc.constantFrom<Outcome>('ok', 'failed', 'unreachable', 'ignored'),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 300, size: 'max' }), (probes, steps) => {
      const breaker = new Breaker({ ...settings, probes });
      const out: { startedAt: number; halfOpen: boolean }[] = [];
      let now = 0;
      for (const { wait, ends, outcome } of steps) {
        now += wait;
        if (ends && out.length > 0) {
          const before = breaker.stateAt(now);
          breaker.observe(outcome, out.shift()!.startedAt, now);
          // Of those from before an opening, and of a closed time, none counts any more.
          if (breaker.stateAt(now) !== before) for (const each of out) each.halfOpen = false;
        } else {
          const halfOpen = breaker.stateAt(now) === 'half-open';
          if (breaker.enter(now)) out.push({ startedAt: now, halfOpen });
        }
        assert.ok(out.filter((each) => each.halfOpen).length <= probes);
      }
      for (const { startedAt } of out) breaker.observe('ignored', startedAt, now);
      now += settings.longestOpenMs;
      assert.is(breaker.enter(now), true);
    }),
    { numRuns: 200 },
  );
});

breakers.run();
