import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ProbeSchedule } from '../../src/core/health-schedule.ts';

const schedules = suite('health schedule');

schedules('the first probe is somewhere in the first interval; 0 is at once', () => {
  const schedule = new ProbeSchedule<string>();
  schedule.save('a', 'a', 1_000, 500, 0.25);
  assert.is(schedule.nextDueAt(), 750);
  assert.equal(schedule.takeDue(749, 9), []);
  assert.equal(schedule.takeDue(750, 9), [{ key: 'a', item: 'a' }]);
  schedule.save('now', 'now', 1_000, 800, 0);
  assert.is(schedule.takeDue(800, 9).length, 1);
  assert.is(schedule.nextDueAt(), Number.POSITIVE_INFINITY);
});

schedules('one at a time, and the next an interval after the start, or at the end if that is later', () => {
  const schedule = new ProbeSchedule<string>();
  schedule.save('a', 'a', 1_000, 0, 0);
  const [first] = schedule.takeDue(0, 9);
  assert.equal(schedule.takeDue(5_000, 9), []);
  assert.is(schedule.finish(first, 100, 0), true);
  assert.is(schedule.nextDueAt(), 1_000);
  const [second] = schedule.takeDue(1_000, 9);
  schedule.finish(second, 4_000, 0.5);
  assert.is(schedule.nextDueAt(), 4_000);
  assert.is(schedule.finish(second, 4_000, 0), false);
});

schedules('what is removed and comes back is not probed faster than stated, however often', () => {
  const schedule = new ProbeSchedule<string>();
  schedule.save('a', 'a', 1_000, 0, 0);
  const [first] = schedule.takeDue(0, 9);
  schedule.finish(first, 10, 0);
  for (let now = 20; now < 900; now += 20) {
    assert.is(schedule.remove('a'), true);
    schedule.save('a', 'a', 1_000, now, 0);
    assert.equal(schedule.takeDue(now, 9), []);
  }
  assert.is(schedule.nextDueAt(), 1_000);
  assert.is(schedule.takeDue(1_000, 9).length, 1);
});

schedules('a removed or replaced item’s result does not count', () => {
  const schedule = new ProbeSchedule<string>();
  schedule.save('a', 'old', 1_000, 0, 0);
  const [turn] = schedule.takeDue(0, 9);
  schedule.save('a', 'new', 1_000, 10, 0);
  assert.is(schedule.finish(turn, 20, 0), false);
  const [again] = schedule.takeDue(1_000, 9);
  assert.is(again.item, 'new');
  assert.is(schedule.remove('a'), true);
  assert.is(schedule.remove('a'), false);
  // Removed and added while its probe was under way: that one is a stranger now.
  schedule.save('a', 'new', 1_000, 1_001, 0);
  assert.is(schedule.finish(again, 1_002, 0), false);
  assert.is(schedule.takeDue(2_000, 9).length, 1);
  assert.is(schedule.finish(again, 2_001, 0), false);
  assert.is(schedule.takeDue(9_999, 9).length, 0);
});

schedules('a shorter interval holds at once, and is kept', () => {
  const schedule = new ProbeSchedule<string>();
  schedule.save('a', 'a', 60_000, 0, 0);
  schedule.finish(schedule.takeDue(0, 1)[0], 0, 0);
  schedule.save('a', 'a', 1_000, 500, 0.5);
  assert.is(schedule.nextDueAt(), 1_500);
});

schedules('at most as many at once as asked for', () => {
  const schedule = new ProbeSchedule<number>();
  for (let i = 0; i < 100; i++) schedule.save(`${i}`, i, 1_000, 0, 0.5);
  assert.is(schedule.takeDue(99_999, 30).length, 30);
  assert.is(schedule.takeDue(99_999, 100).length, 70);
});

schedules('property: never faster than stated, in order of time, nothing forgotten, and not all together', () => {
  const numbers = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
  const items = fc.array(fc.integer({ min: 100, max: 2_000 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(items, numbers, (intervals, random) => {
      const next = () => random.next().value as number;
      const schedule = new ProbeSchedule<number>();
      const started = intervals.map((): number[] => []);
      intervals.forEach((interval, item) => {
        schedule.save(`${item}`, item, interval, 0, next());
      });
      for (let now = 0; now <= 10_000; now += 50) {
        for (const turn of schedule.takeDue(now, 100)) {
          started[turn.item].push(now);
          schedule.finish(turn, now, next());
        }
        assert.ok(schedule.nextDueAt() > now);
      }
      started.forEach((times, item) => {
        const interval = intervals[item];
        for (let i = 1; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= interval);
        // A tenth of jitter and a step of this simulation a turn.
        assert.ok(times.length >= Math.floor((10_000 - interval) / (interval * 1.1 + 50)), `${interval}`);
      });
    }),
    { numRuns: 50 },
  );
});

schedules('a removal whose gap is filled from an earlier branch', () => {
  const schedule = new ProbeSchedule<number>();
  for (const at of [0, 10, 1, 11, 12, 20, 2, 13, 14, 15, 16, 21, 22, 3, 4]) schedule.save(`${at}`, at, 1_000, at, 0);
  schedule.remove('11');
  assert.equal(
    schedule.takeDue(1_000, 99).map(({ item }) => item),
    [0, 1, 2, 3, 4, 10, 12, 13, 14, 15, 16, 20, 21, 22],
  );
});

schedules('property: removals in any order leave a heap', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1_000 }), fc.boolean()), {
    maxLength: 100,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, (all) => {
      const schedule = new ProbeSchedule<number>();
      const due = new Map<string, number>();
      for (const [key, at, isRemoval] of all) {
        if (isRemoval) assert.is(schedule.remove(`${key}`), due.delete(`${key}`));
        else if (!due.has(`${key}`)) {
          schedule.save(`${key}`, key, 1_000, at, 0);
          due.set(`${key}`, at);
        }
        assert.is(schedule.nextDueAt(), Math.min(...due.values()));
      }
      const taken = schedule.takeDue(1_000, 100).map(({ key }) => due.get(key));
      assert.equal(
        taken,
        [...due.values()].sort((a, b) => a - b),
      );
    }),
    { numRuns: 100 },
  );
});

schedules.run();
