import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HpackDecoder } from '../../src/http2/hpack-decode.ts';
import { FieldRules } from '../../src/http2/rules.ts';
import { Trailers } from '../../src/http2/trailers.ts';
import { BlockReader, limits } from './peers.ts';
import { type Field, hex, integer, string } from './wire.ts';

const hpack = suite('http2 hpack decode');

/** Blocks that follow one another on a connection: what each says, and the table after it. */
interface Step {
  readonly block: string;
  readonly fields: readonly Field[];
  readonly table: readonly string[];
  readonly size: number;
}

const requests: readonly Omit<Step, 'block'>[] = [
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ],
    table: [':authority: www.example.com'],
    size: 57,
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
      ['cache-control', 'no-cache'],
    ],
    table: ['cache-control: no-cache', ':authority: www.example.com'],
    size: 110,
  },
  {
    fields: [
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/index.html'],
      [':authority', 'www.example.com'],
      ['custom-key', 'custom-value'],
    ],
    table: ['custom-key: custom-value', 'cache-control: no-cache', ':authority: www.example.com'],
    size: 164,
  },
];

const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1';
const responses: readonly Omit<Step, 'block'>[] = [
  {
    fields: [
      [':status', '302'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ],
    table: [
      'location: https://www.example.com',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'cache-control: private',
      ':status: 302',
    ],
    size: 222,
  },
  {
    fields: [
      [':status', '307'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ],
    table: [
      ':status: 307',
      'location: https://www.example.com',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'cache-control: private',
    ],
    size: 222,
  },
  {
    fields: [
      [':status', '200'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
      ['location', 'https://www.example.com'],
      ['content-encoding', 'gzip'],
      ['set-cookie', cookie],
    ],
    table: [`set-cookie: ${cookie}`, 'content-encoding: gzip', 'date: Mon, 21 Oct 2013 20:13:22 GMT'],
    size: 215,
  },
];

function run(name: string, tableBytes: number, blocks: readonly string[], steps: readonly Omit<Step, 'block'>[]): void {
  hpack(`appendix ${name}`, () => {
    const reader = new BlockReader(tableBytes);
    blocks.forEach((block, i) => {
      assert.equal(reader.read(hex(block)), steps[i].fields, `block ${i + 1}`);
      assert.equal(reader.table(), { entries: steps[i].table, size: steps[i].size }, `table ${i + 1}`);
    });
  });
}

const one = (name: string, block: string, field: Field, table: string[], size: number) =>
  run(name, 4096, [block], [{ fields: [field], table, size }]);
one(
  'C.2.1',
  '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
  ['custom-key', 'custom-header'],
  ['custom-key: custom-header'],
  55,
);
one('C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path'], [], 0);
one('C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret'], [], 0);
one('C.2.4', '82', [':method', 'GET'], [], 0);
run(
  'C.3',
  4096,
  [
    '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
    '8286 84be 5808 6e6f 2d63 6163 6865',
    '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
  ],
  requests,
);
run(
  'C.4',
  4096,
  [
    '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
    '8286 84be 5886 a8eb 1064 9cbf',
    '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  ],
  requests,
);
run(
  'C.5',
  256,
  [
    `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e
     1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
    '4803 3330 37c1 c0bf',
    `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d
     4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572
     7369 6f6e 3d31`,
  ],
  responses,
);
run(
  'C.6',
  256,
  [
    `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b
     97c8 e9ae 82ae 43d3`,
    '4883 640e ffc1 c0bf',
    `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf
     cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
  ],
  responses,
);

hpack('C.2.3: never indexed is noticed (§7.1.3)', () => {
  const reader = new BlockReader();
  reader.read(hex('8210 0870 6173 7377 6f72 6406 7365 6372 6574'));
  assert.ok(reader.neverIndexed);
  reader.read(hex('8200 0870 6173 7377 6f72 6406 7365 6372 6574'));
  assert.not(reader.neverIndexed);
});

/** Blocks of which the last one is an error; those before it are not. */
const faults: [rule: string, blocks: (string | Buffer)[]][] = [
  ['§2.3.3: index 0 is none', ['80']],
  ['§2.3.3: an index past both tables', ['be']],
  ['§2.3.3: a far one', [integer(5000, 7, 0x80)]],
  ['§2.3.3: a name past both tables', ['7e01 78']],
  ['§2.3.3: the same, not to be indexed', ['0fb0 0178']],
  ['§4.2: a size update after a field', ['8220']],
  ['§4.2: three size updates', ['2020 20']],
  ['§6.3: a size over the limit', ['3fe2 1f']],
  ['§4.4: an entry that was evicted', ['4001 6101 62', '20be']],
  ['§5.1: an integer that is cut off', ['ff']],
  ['§5.1: and cut off later', ['ff80 80']],
  ['§5.1, §7.4: an integer of too many bytes', ['ff80 8080 8000']],
  ['§5.1: a size that is cut off', ['3f']],
  ['§5.2: a name that is cut off', ['0005 6162']],
  ['§5.2: a value that is cut off', ['0001 6105 62']],
  ['§5.2: no value', ['0001 61']],
  ['§5.2: no length', ['00']],
  ['§5.2: a length that is cut off', ['0001 617f']],
  ['§5.2: a length past the block', [Buffer.concat([hex('00 01 61'), integer(70_000, 7)])]],
  ['§5.2: EOS in a name', ['0084 ffff ffff 0162']],
  ['§5.2: EOS in a value', ['0001 6184 ffff ffff']],
  ['§5.2: too much padding', ['0001 6182 1fff']],
  ['§6.2: a name index that is cut off', ['7f']],
];
for (const [rule, blocks] of faults) {
  hpack(`${rule}: refused`, () => {
    const reader = new BlockReader();
    blocks.forEach((block, i) => {
      const result = reader.read(typeof block === 'string' ? hex(block) : block);
      assert.is(result === undefined, i === blocks.length - 1, `block ${i + 1}`);
    });
  });
}

hpack('§5.1: integers of any form in range', () => {
  const reader = new BlockReader();
  const value = 'v'.repeat(300);
  for (const length of [integer(300, 7), Buffer.of(127, 0xad, 0x81, 0x80, 0)])
    assert.equal(reader.read(Buffer.concat([hex('00 01 61'), length, Buffer.from(value)])), [['a', value]]);
});

hpack('§5.1: an index of two bytes', () => {
  const reader = new BlockReader();
  for (let i = 0; i < 100; i++) reader.read(Buffer.concat([hex('40'), string(`n${i}`), string('v')]));
  for (const [index, name] of [
    [62, 'n99'],
    [126, 'n35'],
    [127, 'n34'],
    [161, 'n0'],
  ] as const)
    assert.equal(reader.read(integer(index, 7, 0x80)), [[name, 'v']]);
  assert.is(reader.read(integer(162, 7, 0x80)), undefined);
});

hpack('§5.2: a length past the block is refused, whatever lies behind', () => {
  const decoder = new HpackDecoder(
    FieldRules.ofResponses(() => false),
    4096,
  );
  const buf = Buffer.concat([hex('00 01 61'), integer(250_000, 7), Buffer.alloc(300_000, 0x61)]);
  for (const end of [4, 5, 6, 10, 1_000]) {
    const block = new Trailers(limits);
    block.begin();
    assert.is(decoder.decode(buf, 0, end, block), false);
  }
});

hpack('§4.2, §6.3: size updates at the beginning take effect at once', () => {
  const reader = new BlockReader();
  reader.read(hex('4001 6101 62 4001 6301 64'));
  assert.is(reader.table().size, 68);
  // 40: one entry of 34 stays; 0: none.
  assert.equal(reader.read(hex('3f09 be')), [['c', 'd']]);
  assert.equal(reader.table(), { entries: ['c: d'], size: 34 });
  assert.equal(reader.read(hex('203f e11f 82')), [[':method', 'GET']]);
  assert.equal(reader.table(), { entries: [], size: 0 });
});

hpack('RFC 9113 §4.3.1: after our limit has gone down, the next block begins with an update', () => {
  for (const [block, works] of [
    ['82', false],
    ['', false],
    ['3f45 82', true],
    ['2082', true],
    ['3f46 82', false],
  ] as const) {
    const reader = new BlockReader();
    reader.limitTable(100);
    assert.is(reader.read(hex(block)) !== undefined, works, block);
  }
  const reader = new BlockReader();
  reader.limitTable(4096);
  assert.equal(reader.read(hex('82')), [[':method', 'GET']]);
});

hpack('§4.4: an entry larger than the table empties it, and is no error', () => {
  const reader = new BlockReader(100);
  const large = 'x'.repeat(68);
  reader.read(hex('4001 6101 62'));
  assert.equal(reader.read(Buffer.concat([hex('40 01 61'), string(large)])), [['a', large]]);
  assert.equal(reader.table(), { entries: [], size: 0 });
  const fits = 'x'.repeat(67);
  reader.read(Buffer.concat([hex('40 01 61'), string(fits)]));
  assert.equal(reader.table(), { entries: [`a: ${fits}`], size: 100 });
});

hpack('§4.4: a new entry may take its name from the one that it evicts', () => {
  const reader = new BlockReader(40);
  reader.read(hex('4004 6e61 6d65 0162'));
  assert.equal(reader.read(hex('7e03 786d 6c')), [['name', 'xml']]);
  assert.equal(reader.table(), { entries: ['name: xml'], size: 39 });
});

hpack('§2.3.1: every entry of the static table', () => {
  const reader = new BlockReader();
  const found = Array.from({ length: 61 }, (_, i) => reader.read(Buffer.of(0x80 | (i + 1)))![0]);
  assert.equal(found[0], [':authority', '']);
  assert.equal(found[15], ['accept-encoding', 'gzip, deflate']);
  assert.equal(found[60], ['www-authenticate', '']);
  assert.is(found.filter(([name]) => name === ':status').length, 7);
  assert.equal(
    found.map(([name]) => name).slice(14),
    found
      .map(([name]) => name)
      .slice(14)
      .sort((a, b) =>
        (a === 'accept' ? 'accept-ranges~' : a).localeCompare(b === 'accept' ? 'accept-ranges~' : b, 'en'),
      ),
  );
});

hpack.run();
