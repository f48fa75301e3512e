import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { copyKept, copyRange, leaveOut } from '../../src/http1/lines.ts';

const lines = suite('http1 lines');

/** Segments of bytes, every other one cut. */
const segments = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 12 });

lines('what is cut is gone, the rest is in order, what surrounds it is untouched', () => {
  fc.assert(
    fc.property(segments, fc.integer({ min: 0, max: 5 }), (lengths, before) => {
      const total = lengths.reduce((a, b) => a + b, 0);
      const buf = Uint8Array.from({ length: before + total + 10 }, (_, i) => i % 251);
      const cuts = new Int32Array(lengths.length + 2);
      const left: number[] = [];
      let cutCount = 0;
      let at = before;
      lengths.forEach((length, i) => {
        if (i % 2 === 1) {
          cuts[cutCount++] = at;
          cuts[cutCount++] = at + length;
        } else left.push(...buf.subarray(at, at + length));
        at += length;
      });
      const out = new Uint8Array(left.length + 8).fill(255);
      const to = copyKept(out, 4, buf, before, at, cuts, cutCount);
      assert.equal([...out], [255, 255, 255, 255, ...left, 255, 255, 255, 255]);
      assert.is(to, 4 + left.length);
      const moved = buf.slice();
      const from = leaveOut(moved, before, at, cuts, cutCount);
      assert.equal([...moved.subarray(from, at)], left);
      assert.equal(moved.subarray(at), buf.subarray(at));
      assert.equal(moved.subarray(0, before), buf.subarray(0, before));
    }),
  );
});
lines('no cuts: nothing moves', () => {
  const buf = Uint8Array.of(1, 2, 3, 4);
  assert.is(leaveOut(buf, 1, 3, new Int32Array(0), 0), 1);
  assert.equal([...buf], [1, 2, 3, 4]);
});
lines('copyRange copies short and long ranges', () => {
  const buf = Uint8Array.from({ length: 300 }, (_, i) => i % 256);
  for (const length of [0, 1, 47, 48, 49, 299]) {
    const out = new Uint8Array(302);
    assert.is(copyRange(out, 2, buf, 1, 1 + length), 2 + length);
    assert.equal(out.subarray(2, 2 + length), buf.subarray(1, 1 + length));
    assert.is(out[2 + length], 0);
  }
});

lines.run();
