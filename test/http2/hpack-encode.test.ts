import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HpackEncoder } from '../../src/http2/hpack-encode.ts';
import {
  encodeRequestLine,
  encodeStatus,
  encodeTrailersWelcome,
  NEVER_INDEXED,
  UNINDEXED,
} from '../../src/http2/hpack-write.ts';
import { BlockReader } from './peers.ts';
import { bytes, type Field, hex } from './wire.ts';

const encode = suite('http2 hpack encode');

function lines(
  text: string,
  cuts: readonly number[] = [],
  literal: number = UNINDEXED,
  encoder = new HpackEncoder(false),
): Buffer {
  const buf = bytes(`!!${text}!!`);
  const out = Buffer.alloc(HpackEncoder.bound(text.length) + 1);
  const shifted = Int32Array.from(cuts, (cut) => cut + 2);
  const end = encoder.lines(out, encoder.begin(out, 1), buf, 2, buf.length - 2, shifted, cuts.length, literal);
  return out.subarray(1, end);
}
const read = (block: Uint8Array): Field[] | undefined => new BlockReader().read(block);

encode('names of the static table go as their index, others in lower case', () => {
  assert.equal(lines('Server: x\r\n'), hex('0f27 01 78'));
  assert.equal(lines('Accept-Charset: x\r\n'), hex('0f00 01 78'));
  assert.equal(lines('X-Ab: x\r\n'), hex('0004 782d 6162 01 78'));
  assert.equal(lines('X-Ab: x\r\n', [], NEVER_INDEXED), hex('1004 782d 6162 01 78'));
  assert.equal(lines('Server: x\r\n', [], NEVER_INDEXED), hex('1f27 01 78'));
});

encode('RFC 9113 §8.2.1: no white space around a value', () => {
  assert.equal(read(lines('a: \t b c\t \r\nd:e\r\nf:\r\ng:   \r\n')), [
    ['a', 'b c'],
    ['d', 'e'],
    ['f', ''],
    ['g', ''],
  ]);
});

encode('RFC 9113 §8.2.2: fields of one connection are never written, nor Host', () => {
  const head =
    'Connection: x\r\nkeep-alive: x\r\nProxy-Connection: x\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nHOST: a\r\nVia: 1\r\n';
  assert.equal(read(lines(head)), [['via', '1']]);
});

encode('cuts are left out', () => {
  const text = 'a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n';
  const of = (...cuts: number[]) => read(lines(text, cuts))!.map(([name]) => name);
  assert.equal(of(), ['a', 'b', 'c', 'd']);
  assert.equal(of(0, 6), ['b', 'c', 'd']);
  assert.equal(of(6, 12, 18, 24), ['a', 'c']);
  assert.equal(of(0, 12, 12, 24), []);
  assert.equal(of(-2, -1, 6, 12), ['a', 'c', 'd']);
});

encode('lengths of one byte and of several', () => {
  for (const n of [0, 1, 47, 48, 126, 127, 128, 254, 255, 256, 16_510, 16_511, 20_000]) {
    const value = 'v'.repeat(n);
    assert.ok(read(lines(`a: ${value}\r\n`))?.[0][1] === value, `value of ${n}`);
    if (n > 0) assert.ok(read(lines(`${value}: x\r\n`))?.[0][0] === value, `name of ${n}`);
  }
});

encode('any lines come back', () => {
  const name = fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,30}$/);
  const value = fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,150}[!-~\x80-\xff])?)?$/);
  const dropped = /^(?:connection|proxy-connection|keep-alive|transfer-encoding|upgrade|host)$/i;
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 20 }), (fields) => {
      const text = fields.map(([n, v]) => `${n}: ${v}\r\n`).join('');
      const expected = fields.filter(([n]) => !dropped.test(n)).map(([n, v]) => [n.toLowerCase(), v]);
      assert.equal(read(lines(text)), expected);
    }),
    { numRuns: 200 },
  );
});

encode('a status', () => {
  const out = Buffer.alloc(8);
  assert.equal(out.subarray(0, encodeStatus(out, 0, 200)), hex('88'));
  assert.equal(out.subarray(0, encodeStatus(out, 0, 500)), hex('8e'));
  for (let status = 100; status < 600; status++)
    assert.equal(read(out.subarray(0, encodeStatus(out, 0, status))), [[':status', String(status)]]);
});

encode('a request line', () => {
  const of = (head: string, tls = true) => {
    const buf = bytes(`!!${head}\r\n\r\n`);
    const out = Buffer.alloc(HpackEncoder.bound(buf.length));
    return read(out.subarray(0, encodeRequestLine(out, 0, buf, 2, buf.length, tls)))!.map(([n, v]) => `${n} ${v}`);
  };
  assert.equal(of('GET / HTTP/1.1\r\nHost: a.test'), [':method GET', ':scheme https', ':path /', ':authority a.test']);
  assert.equal(of('POST /x?y HTTP/1.1\r\nX: y\r\nhost:  a:8 ', false), [
    ':method POST',
    ':scheme http',
    ':path /x?y',
    ':authority a:8 ',
  ]);
  assert.equal(of('COPY /index.html HTTP/1.1\r\nX-Host: b\r\nHost: a').slice(0, 3), [
    ':method COPY',
    ':scheme https',
    ':path /index.html',
  ]);
  assert.equal(of('GEX / HTTP/1.1\r\nHostx: a'), [':method GEX', ':scheme https', ':path /']);
});

encode('a request line of the static table alone is a byte a field', () => {
  const out = Buffer.alloc(64);
  const of = (head: string, tls: boolean) => {
    const buf = bytes(`${head}\r\n\r\n`);
    return out.subarray(0, encodeRequestLine(out, 0, buf, 0, buf.length, tls)).toString('hex');
  };
  assert.is(of('GET / HTTP/1.1', true), '828784');
  assert.is(of('POST / HTTP/1.1', false), '838684');
});

encode('te: trailers', () => {
  const out = Buffer.alloc(32);
  assert.equal(read(out.subarray(0, encodeTrailersWelcome(out, 0))), [['te', 'trailers']]);
});

// ---- the dynamic table

/** An encoder that learns, and a decoder that must follow. */
class Pair {
  readonly encoder = new HpackEncoder(true);
  readonly reader = new BlockReader();
  /** @returns the block, after it was read back */
  send(fields: readonly Field[], literal: number = UNINDEXED): Buffer {
    const text = fields.map(([n, v]) => `${n}: ${v}\r\n`).join('');
    const block = lines(text, [], literal, this.encoder);
    assert.equal(
      this.reader.read(block),
      fields.map(([n, v]) => [n.toLowerCase(), v]),
    );
    return Buffer.from(block);
  }
}

encode('a line goes as a literal, then into the table, then by its index', () => {
  const pair = new Pair();
  const fields: Field[] = [
    ['Server', 'x'],
    ['X-A', 'y'],
  ];
  assert.equal(pair.send(fields), hex('0f27 01 78 00 03 782d61 01 79'));
  assert.equal(pair.send(fields), hex('76 01 78 40 03 782d61 01 79'));
  assert.equal(pair.send(fields), hex('bf be'));
  assert.equal(pair.send([...fields].reverse()), hex('be bf'));
  assert.equal(pair.send([['server', 'y'], ...fields]), hex('0f27 01 79 bf be'));
  assert.equal(pair.reader.table(), { entries: ['x-a: y', 'server: x'], size: 75 });
});

encode('RFC 7541 §7.1: secrets are never learned, nor what is never to be indexed', () => {
  const pair = new Pair();
  const secrets: Field[] = [
    ['Set-Cookie', 'a'],
    ['Authorization', 'b'],
    ['cookie', 'c'],
    ['Proxy-Authorization', 'd'],
  ];
  for (let i = 0; i < 4; i++) pair.send([...secrets, ['content-length', '5']]);
  for (let i = 0; i < 4; i++) pair.send([['x-a', 'b']], NEVER_INDEXED);
  assert.is(pair.reader.table().size, 0);
});

encode('values that differ each time are not learned', () => {
  const pair = new Pair();
  for (let i = 0; i < 2_000; i++)
    pair.send([
      ['server', 'x'],
      ['x-request-id', `${i}-0123456789-0123456789-0123456789-${i % 7}`],
      ['etag', `"${i}"`],
      ['x-same', 'y'.repeat(100)],
    ]);
  assert.equal(pair.reader.table().entries, [`x-same: ${'y'.repeat(100)}`, 'server: x']);
});

encode('an encoder that does not learn', () => {
  const encoder = new HpackEncoder(false);
  const first = lines('server: x\r\n', [], UNINDEXED, encoder);
  for (let i = 0; i < 4; i++) assert.equal(lines('server: x\r\n', [], UNINDEXED, encoder), first);
});

encode('any heads, and any table sizes between them: the decoder follows', () => {
  const value = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.constantFrom('', 'a', 'b', 'text/html', 'x'.repeat(200), 'y'.repeat(900), 'z'.repeat(1_100)),
    },
    fc.stringMatching(/^[a-c]{1,3}$/),
  );
  const field = fc.tuple(
    fc.constantFrom('Server', 'server', 'X-A', 'x-b', 'Vary', 'set-cookie', 'etag', 'x-long-name-of-a-field'),
    value,
  );
  const head = fc.array(field, { maxLength: 10 });
  const step = fc.oneof({ weight: 8, arbitrary: head }, fc.constantFrom(0, 32, 100, 1_000, 4_096, 65_536));
  let indexed = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair();
      for (const next of steps) {
        if (typeof next === 'number') pair.encoder.limitTable(next);
        else if (pair.send(next).some((byte) => byte >= 0xbe)) indexed++;
      }
      assert.ok(pair.reader.table().size <= 4_096);
    }),
    { numRuns: 200 },
  );
  assert.ok(indexed > 100, `${indexed}`);
});

encode('heads that are long, or many, or of one shape with other values', () => {
  const pair = new Pair();
  for (let i = 0; i < 300; i++) {
    const kind = i % 3;
    pair.send(Array.from({ length: 40 }, (_, k): Field => [`x-${k}`, `${k * kind}`.repeat(1 + (k % 5))]));
  }
  assert.ok(pair.reader.table().entries.length > 50);
});

encode('lines that hash alike, and of which one is the beginning of another', () => {
  const pair = new Pair();
  for (let round = 0; round < 2; round++)
    for (let n = 0; n < 400; n++)
      for (let i = 0; i < 3; i++) pair.send([[`x-${'a'.repeat(n % 3)}`, 'v'.repeat(n % 200)]]);
});

encode('RFC 7541 §4.2: a change of the size is said at the next block, the smallest in between first', () => {
  const out = Buffer.alloc(8);
  const encoder = new HpackEncoder(true);
  const begins = (): string => out.subarray(0, encoder.begin(out, 0)).toString('hex');
  assert.is(begins(), '');
  encoder.limitTable(65_536);
  assert.is(begins(), '');
  encoder.limitTable(100);
  assert.is(begins(), '3f45');
  assert.is(begins(), '');
  encoder.limitTable(10);
  encoder.limitTable(65_536);
  assert.is(begins(), '2a3fe11f');
  assert.is(begins(), '');
  encoder.limitTable(0);
  encoder.limitTable(0);
  assert.is(begins(), '20');
  encoder.limitTable(4_096);
  assert.is(begins(), '3fe11f');
});

encode.run();
