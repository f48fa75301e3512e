import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRamping, rampedWeight } from '../../src/core/slow-start.ts';

const slowStart = suite('slow start');

const cases: [age: number, expected: number][] = [
  [0, 1],
  [500, 1],
  [1_000, 1],
  [2_500, 2.5],
  [9_999, 9.999],
  [10_000, 10],
  [1e12, 10],
];
for (const [age, expected] of cases) {
  slowStart(`weight 10 after ${age} of 10,000 ms is ${expected}`, () => {
    const upSince = 1_700_000_000_000;
    assert.is(rampedWeight(10, upSince, 10_000, upSince + age), expected);
    assert.is(isRamping(upSince, 10_000, upSince + age), age < 10_000);
  });
}

slowStart('none without a time, for what was up before, for drained ones, or when the clock goes back', () => {
  assert.is(rampedWeight(10, 1_000, 0, 1_000), 10);
  assert.is(rampedWeight(10, 0, 10_000, 1_700_000_000_000), 10);
  assert.is(rampedWeight(0, 1_000, 10_000, 1_500), 0);
  assert.is(rampedWeight(10, 1_000_000, 10_000, 500), 10);
});

slowStart.run();
