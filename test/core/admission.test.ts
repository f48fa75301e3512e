import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Admission, shareOf } from '../../src/core/admission.ts';
import { Waiter } from '../../src/core/admission-queue.ts';

const admissions = suite('admission');
const limits = { maxConnections: 2, maxWaiting: 2, maxWaitMs: 1_000 };

function busy(): { admission: Admission; waiters: Waiter[] } {
  const admission = new Admission(limits);
  const waiters = Array.from({ length: 6 }, () => new Waiter());
  assert.equal([admission.enter(waiters[0], 0), admission.enter(waiters[1], 0)], ['go', 'go']);
  return { admission, waiters };
}

admissions('places, then the line, then no more', () => {
  const { admission, waiters } = busy();
  assert.is(admission.isFull, true);
  assert.equal(
    waiters.slice(2, 5).map((waiter) => admission.enter(waiter, 0)),
    ['wait', 'wait', 'full'],
  );
  assert.equal([admission.taken, admission.waiting], [2, 2]);
});

admissions('without a line it is full at once', () => {
  const admission = new Admission({ ...limits, maxConnections: 0, maxWaiting: 0 });
  assert.is(admission.enter(new Waiter(), 0), 'full');
});

admissions('who waited longest gets the place that is given back', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  admission.enter(waiters[3], 0);
  assert.is(admission.leave(), waiters[2]);
  assert.is(admission.taken, 2);
  assert.is(admission.leave(), waiters[3]);
  assert.is(admission.leave(), null);
  assert.is(admission.taken, 1);
});

admissions('nobody passes those who wait, also where there is room again', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  admission.change({ ...limits, maxConnections: 3 });
  assert.is(admission.isFull, true);
  assert.is(admission.enter(waiters[3], 0), 'wait');
  assert.is(admission.call(), waiters[2]);
  assert.is(admission.call(), null);
});

admissions('a wait that is too long ends, the oldest first', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  admission.enter(waiters[3], 500);
  assert.is(admission.expire(999), null);
  assert.is(admission.expire(1_000), waiters[2]);
  assert.is(admission.expire(1_000), null);
  assert.is(admission.expire(1_500), waiters[3]);
  assert.equal([admission.taken, admission.waiting], [2, 0]);
});

admissions('a client that leaves makes room in the line', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  admission.enter(waiters[3], 0);
  assert.equal(
    [admission.cancel(waiters[2]), admission.cancel(waiters[2]), admission.cancel(waiters[0])],
    [true, false, false],
  );
  assert.is(admission.enter(waiters[4], 0), 'wait');
  assert.is(admission.leave(), waiters[3]);
});

admissions('nobody is thrown out by lower limits', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  admission.change({ maxConnections: 1, maxWaiting: 0, maxWaitMs: 1_000 });
  assert.is(admission.enter(waiters[3], 0), 'full');
  assert.is(admission.leave(), null);
  assert.is(admission.leave(), waiters[2]);
});

admissions('a waiter is in one line at a time', () => {
  const { admission, waiters } = busy();
  admission.enter(waiters[2], 0);
  assert.throws(() => admission.enter(waiters[2], 0), /in a queue already/);
});

admissions('parts of a limit add up to it, differ by one at most, and are 1 at least', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 64 }), (limit, workers) => {
      const parts = Array.from({ length: workers }, (_, index) => shareOf(limit, workers, index));
      assert.is(
        parts.reduce((sum, part) => sum + part, 0),
        Math.max(limit, workers),
      );
      assert.ok(Math.max(...parts) - Math.min(...parts) <= 1);
    }),
  );
});

admissions('property: as a plain list does it; bounded, in order, nobody lost', () => {
  const step = fc.tuple(fc.constantFrom('enter', 'leave', 'cancel', 'expire'), fc.integer({ min: 0, max: 400 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
      const admission = new Admission({ ...limits, maxWaiting: 5 });
      let line: Waiter[] = [];
      let taken = 0;
      let now = 0;
      for (const [what, number] of steps) {
        now += number;
        if (what === 'enter') {
          const waiter = new Waiter();
          const expected = taken < 2 && line.length === 0 ? 'go' : line.length < 5 ? 'wait' : 'full';
          assert.is(admission.enter(waiter, now), expected);
          if (expected === 'go') taken++;
          if (expected === 'wait') line.push(waiter);
        } else if (what === 'leave' && taken > 0) {
          const next = line.shift() ?? null;
          assert.is(admission.leave(), next);
          if (next === null) taken--;
        } else if (what === 'cancel' && line.length > 0) {
          const [waiter] = line.splice(number % line.length, 1);
          assert.is(admission.cancel(waiter), true);
        } else if (what === 'expire') {
          const late = line.filter(({ since }) => now - since >= limits.maxWaitMs);
          line = line.filter((waiter) => !late.includes(waiter));
          for (const waiter of late) assert.is(admission.expire(now), waiter);
          assert.is(admission.expire(now), null);
        }
        assert.equal([admission.taken, admission.waiting], [taken, line.length]);
      }
    }),
    { numRuns: 200 },
  );
});

admissions.run();
