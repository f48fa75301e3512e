import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { DynamicTable } from '../../src/http2/dynamic-table.ts';
import { text } from './peers.ts';
import { bytes } from './wire.ts';

const table = suite('http2 dynamic table');

/** RFC 7541 §4 as an array. */
class Naive {
  entries: [name: string, value: string, kind: number][] = [];
  capacity: number;
  constructor(capacity: number) {
    this.capacity = capacity;
  }
  get size(): number {
    return this.entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  }
  shrink(): void {
    while (this.size > this.capacity) this.entries.pop();
  }
  add(name: string, value: string, kind: number): void {
    this.entries.unshift([name, value, kind]);
    this.shrink();
  }
  resize(capacity: number): void {
    this.capacity = capacity;
    this.shrink();
  }
}

const name = fc.stringMatching(/^[a-z]{1,12}$/);
const value = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 30, unit: 'binary-ascii' }) },
  fc.integer({ min: 0, max: 5000 }).map((n) => 'v'.repeat(n)),
);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(fc.constant('add' as const), name, value, fc.nat(1000)) },
  fc.tuple(fc.constant('resize' as const), fc.integer({ min: 0, max: 4096 })),
);

table('any additions and sizes: as RFC 7541 §4 says', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const real = new DynamicTable(4096);
      const naive = new Naive(4096);
      for (const [what, ...rest] of steps) {
        if (what === 'resize') {
          real.resize(rest[0] as number);
          naive.resize(rest[0] as number);
        } else {
          const [n, v, kind] = rest as [string, string, number];
          const line = bytes(`??${n}: ${v}\r\n??`);
          real.add(line, 2, line.length - 2, n.length, kind);
          naive.add(n, v, kind);
        }
        assert.is(real.size, naive.size);
        assert.is(real.count, naive.entries.length);
      }
      naive.entries.forEach(([n, v, kind], i) => {
        const at = real.place(i);
        assert.is(text(real.bytes, at, at + real.lineLength(i)), `${n}: ${v}\r\n`);
        assert.is(real.nameLength(i), n.length);
        assert.is(real.kind(i), kind);
      });
      assert.ok(real.bytes.length <= 8192);
    }),
    { numRuns: 150 },
  );
});

table('an empty table keeps no memory, and a full one stays small', () => {
  const real = new DynamicTable(4096);
  assert.is(real.bytes.length, 0);
  const line = bytes(`a: b\r\n`);
  for (let i = 0; i < 100_000; i++) real.add(line, 0, line.length, 1, 0);
  assert.is(real.count, Math.floor(4096 / 34));
  assert.ok(real.bytes.length <= 2048, `${real.bytes.length} bytes for ${real.count * 6}`);
});

table.run();
