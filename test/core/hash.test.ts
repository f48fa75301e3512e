import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hashBytes, hashText, rendezvousDraw, rendezvousScore, slotCount, slotOf } from '../../src/core/hash.ts';

const hash = suite('hash');

hash('bytes and their latin1 text hash alike, also inside a larger buffer', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(5), (bytes, before) => {
      const text = String.fromCharCode(...bytes);
      const larger = new Uint8Array(before + bytes.length + 3).fill(7);
      larger.set(bytes, before);
      assert.is(hashBytes(bytes), hashText(text));
      assert.is(hashBytes(larger, before, before + bytes.length), hashText(text));
    }),
  );
});

hash('known values: servers of one pool must agree, whatever their version', () => {
  // FNV-1a says 0x811c9dc5 and 0xbf9cf968 (its own test vectors); MurmurHash3's fmix32 of these, worked out in Python:
  assert.is(hashText(''), 0xab3e7c0b);
  assert.is(hashText('foobar'), 0xc0da6dc);
});

hash('keys that differ in one place spread over all slots', () => {
  const slots = new Set<number>();
  for (let i = 0; i < 10_000; i++) {
    const slot = slotOf(hashText(`10.0.${i >> 8}.${i & 255}`));
    assert.ok(slot >= 0 && slot < slotCount);
    slots.add(slot);
  }
  // 10,000 balls into 65,536 bins fill 9,274 of them.
  assert.ok(slots.size > 9_150, `${slots.size}`);
});

hash('each of ten addresses wins a tenth of the slots, and a third as much weight wins a third as many', () => {
  const seeds = Array.from({ length: 10 }, (_, i) => hashText(`http://10.0.0.${i}:3000`));
  const even = seeds.map(() => 0);
  const uneven = [0, 0];
  for (let slot = 0; slot < slotCount; slot++) {
    const draws = seeds.map((seed) => rendezvousDraw(slot, seed));
    even[draws.indexOf(Math.max(...draws))]++;
    uneven[rendezvousScore(slot, seeds[0], 3) > rendezvousScore(slot, seeds[1], 1) ? 0 : 1]++;
  }
  for (const won of even) assert.ok(Math.abs(won / slotCount - 0.1) < 0.005, `${even}`);
  assert.ok(Math.abs(uneven[1] / slotCount - 0.25) < 0.01, `${uneven}`);
});

hash('scores are finite and above 0, and with equal weights draws say the same', () => {
  fc.assert(
    fc.property(fc.nat(slotCount - 1), fc.nat(), fc.nat(), (slot, a, b) => {
      const [scoreA, scoreB] = [rendezvousScore(slot, a, 2), rendezvousScore(slot, b, 2)];
      assert.ok(Number.isFinite(scoreA) && scoreA > 0);
      assert.is(Math.sign(scoreA - scoreB), Math.sign(rendezvousDraw(slot, a) - rendezvousDraw(slot, b)));
    }),
  );
});

hash.run();
