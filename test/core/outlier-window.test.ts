import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { CountWindow } from '../../src/core/outlier-window.ts';

const windows = suite('outlier window');

windows('counts, and forgets by tenths', () => {
  const counts = new CountWindow(1_000);
  counts.add(1, 1, 0);
  counts.add(1, 0, 550);
  assert.equal([counts.total, counts.marked], [2, 1]);
  counts.expire(999);
  assert.is(counts.total, 2);
  counts.expire(1_000);
  assert.equal([counts.total, counts.marked], [1, 0]);
  counts.expire(1_500);
  assert.is(counts.total, 0);
});

windows('a long silence empties it', () => {
  const counts = new CountWindow(1_000);
  counts.add(5, 5, 10);
  counts.expire(1e12);
  assert.equal([counts.total, counts.marked], [0, 0]);
});

windows('says once what another process has not heard yet', () => {
  const counts = new CountWindow(1_000);
  counts.add(3, 1, 0);
  assert.equal(counts.takeUnsent(), [3, 1]);
  counts.count(5_000);
  counts.mark(5_000);
  assert.equal(counts.takeUnsent(), [1, 1]);
  assert.equal(counts.takeUnsent(), [0, 0]);
});

windows('property: as counting all of them again, whatever the clock starts with or does', () => {
  const events = fc.array(fc.tuple(fc.integer({ min: -300, max: 3_000 }), fc.boolean()), {
    maxLength: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.integer({ min: -5_000, max: 5_000 }), events, (start, all) => {
      const counts = new CountWindow(1_000);
      let now = start;
      let newest = Number.NEGATIVE_INFINITY;
      const kept: { bucket: number; isMarked: boolean }[] = [];
      for (const [step, isMarked] of all) {
        now += step;
        newest = Math.max(newest, Math.floor(now / 100));
        kept.push({ bucket: newest, isMarked });
        counts.add(1, isMarked ? 1 : 0, now);
        const live = kept.filter(({ bucket }) => bucket > newest - 10);
        assert.is(counts.total, live.length);
        assert.is(counts.marked, live.filter((each) => each.isMarked).length);
      }
    }),
    { numRuns: 200 },
  );
});

windows.run();
