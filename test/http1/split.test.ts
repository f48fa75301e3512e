import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BAD, DONE, MORE, RequestScanner, ResponseScanner } from '../../src/http1/scan.ts';
import { mutate, requestSeeds, responseSeeds } from './mutations.ts';
import { bytes, feed, limits, plan, random } from './scanning.ts';

const split = suite('http1 any split gives the same');

/** All that a scan says, but for what it says before DONE. */
function registers(scanner: RequestScanner | ResponseScanner): unknown {
  const numbers = Object.entries(scanner).filter(([, value]) => typeof value !== 'object');
  return [
    Object.fromEntries(numbers.filter(([key]) => key !== 'full' && key !== 'lengthLine' && key !== 'fault')),
    [...scanner.cuts.subarray(0, scanner.cutCount)],
    [...scanner.captures.subarray(0, scanner.captureCount)],
  ];
}

/** Scans every prefix: MORE until the head is whole or wrong, and the same from then on. */
function everyPrefix(make: () => RequestScanner | ResponseScanner, text: string): void {
  const buf = bytes(text);
  const whole = make();
  const result = whole.scan(buf, 0, buf.length);
  const scanner = make();
  let settled = false;
  for (let n = 0; n <= buf.length; n++) {
    const got = scanner.scan(buf, 0, n);
    if (got === MORE) assert.not(settled, `MORE after ${n} bytes of ${JSON.stringify(text)}, settled before`);
    else {
      settled = true;
      assert.is(got, result, `after ${n} bytes of ${JSON.stringify(text)}`);
      if (got === BAD) assert.is(scanner.fault, whole.fault, `after ${n} bytes of ${JSON.stringify(text)}`);
      else assert.equal(registers(scanner), registers(whole), `after ${n} bytes of ${JSON.stringify(text)}`);
      if (got === DONE && n < whole.end) assert.unreachable('DONE before the end');
    }
  }
  if (result === MORE) assert.not(settled);
}

const small = { maxHeadBytes: 200, maxFields: 5, maxTargetBytes: 30 };

for (const [name, seeds, make] of [
  ['request', requestSeeds, (l = limits) => new RequestScanner(plan, l)],
  ['response', responseSeeds, (l = limits) => new ResponseScanner(plan, l)],
] as const) {
  split(`${name}s: valid ones`, () => {
    for (const seed of seeds) everyPrefix(make, seed);
  });
  split(`${name}s: mutated ones, wide and narrow limits`, () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        const text = mutate(random(n), seeds);
        everyPrefix(make, text);
        everyPrefix(() => make(small), text);
      }),
      { numRuns: 400 },
    );
  });
}

/** Cuts a text at the given places. */
function pieces(text: string, places: readonly number[]): string[] {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length));
}

const token = fc.stringMatching(/^[a-zA-Z0-9!#-]{1,6}$/);
const extension = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  token.map((name) => `;${name}`),
  fc.tuple(token, token).map(([name, value]) => `;${name}=${value}`),
  token.map((name) => `;${name}="a b;\\"\\\\"`),
);
const chunk = fc.tuple(fc.string({ minLength: 1, maxLength: 90, unit: 'binary-ascii' }), extension, fc.nat(3));
const trailer = fc.tuple(fc.constantFrom('X-T', 'Host', 'content-length', 'Digest', 'X_Y', 'cookie'), token);
const body = fc.record({
  chunks: fc.array(chunk, { maxLength: 8 }),
  last: extension,
  trailers: fc.array(trailer, { maxLength: 4 }),
});

split('chunked bodies: what goes on is what was sent, less extensions and refused trailers', () => {
  fc.assert(
    fc.property(body, fc.array(fc.nat(), { maxLength: 12 }), fc.boolean(), (parts, places, decode) => {
      const sizes = parts.chunks.map(([data, , zeros]) => '0'.repeat(zeros) + data.length.toString(16));
      const payload = parts.chunks.map(([data]) => data).join('');
      const write = (extensions: boolean, trailers: typeof parts.trailers) =>
        parts.chunks.map(([data, ext], i) => `${sizes[i]}${extensions ? ext : ''}\r\n${data}\r\n`).join('') +
        `0${extensions ? parts.last : ''}\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
      const sent = write(true, parts.trailers);
      const harmless = write(
        false,
        parts.trailers.filter(([name]) => name === 'X-T' || name === 'Digest'),
      );
      const got = feed(pieces(`${sent}NEXT`, places), decode);
      assert.is(got.forwarded, decode ? payload : harmless);
      assert.is(got.result, sent.length);
      assert.is(got.payload, payload.length);
      assert.is(got.tail, parts.trailers.length > 0 ? harmless.slice(write(false, []).length - 2) : null);
    }),
    { numRuns: 500 },
  );
});

const bodySeeds = [
  '5\r\nhello\r\n0\r\n\r\n',
  'a;x=y\r\n0123456789\r\n1\r\nz\r\n0;q="w"\r\nX-T: 1\r\nHost: b\r\n\r\n',
  '001\r\n\n\r\n00\r\nDigest: abc\r\nA: b\r\n\r\n',
];
split('chunked bodies: mutated ones', () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), (n, places, decode) => {
      const text = mutate(random(n), bodySeeds);
      const whole = feed([text], decode);
      for (const cut of [pieces(text, places), [...text]]) {
        const got = feed(cut, decode);
        assert.is(got.result, whole.result);
        if (whole.result !== 'BAD') assert.equal(got, whole);
        // A broken body may go on as far as it was right, but never looks whole.
        else if (!decode) assert.is(feed([got.forwarded]).result, 'MORE');
      }
    }),
    { numRuns: 3_000 },
  );
});

split.run();
