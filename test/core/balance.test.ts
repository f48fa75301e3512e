import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Pickable, pickInstance } from '../../src/core/balance.ts';

const balance = suite('balance');

const instance = (inFlight: number, available = true): Pickable => ({ inFlight, available });

balance('least busy: [5,3] always picks 3', () => {
  const pool = [instance(5), instance(3)];
  for (const random of [0, 0.5, 0.999])
    assert.is(
      pickInstance(pool, [], () => random),
      pool[1],
    );
});

balance('ties break at random, among the least busy only', () => {
  const pool = [instance(2), instance(1), instance(1), instance(3), instance(1)];
  assert.is(
    pickInstance(pool, [], () => 0),
    pool[1],
  );
  assert.is(
    pickInstance(pool, [], () => 0.5),
    pool[2],
  );
  assert.is(
    pickInstance(pool, [], () => 0.999),
    pool[4],
  );
});

balance('what is not available is not picked', () => {
  const pool = [instance(0, false), instance(9)];
  assert.is(
    pickInstance(pool, [], () => 0),
    pool[1],
  );
  assert.is(
    pickInstance([instance(0, false), instance(0, false)], [], () => 0),
    undefined,
  );
  assert.is(
    pickInstance([], [], () => 0),
    undefined,
  );
});

balance('what was tried is the last resort', () => {
  const pool = [instance(0), instance(7), instance(0, false)];
  assert.is(
    pickInstance(pool, [pool[0]], () => 0),
    pool[1],
  );
  assert.is(
    pickInstance(pool, [pool[0], pool[1]], () => 0),
    pool[0],
  );
});

balance('a single instance is always picked', () => {
  const pool = [instance(3, false)];
  assert.is(
    pickInstance(pool, [], () => 0),
    pool[0],
  );
  assert.is(
    pickInstance(pool, pool, () => 0),
    pool[0],
  );
});

balance('never one that is busier than another that could be had', () => {
  const one = fc.record({ inFlight: fc.nat(3), available: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 2, maxLength: 8 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (pool, random) => {
        const picked = pickInstance(pool, [], () => random);
        const available = pool.filter((each) => each.available);
        assert.is(picked === undefined, available.length === 0);
        if (picked !== undefined)
          assert.ok(picked.available && available.every((each) => each.inFlight >= picked.inFlight));
      },
    ),
  );
});

balance.run();
