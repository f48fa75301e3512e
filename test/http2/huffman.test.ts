import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodedBound, decodeHuffman } from '../../src/http2/huffman.ts';
import { encodeHuffman, huffmanLength } from './huffman-encode.ts';
import { bytes, hex } from './wire.ts';

const huffman = suite('http2 huffman');

function encode(text: Uint8Array): Buffer {
  const out = Buffer.alloc(text.length * 4 + 8, 0xaa);
  const end = encodeHuffman(out, 3, text, 0, text.length);
  assert.is(end - 3, huffmanLength(text, 0, text.length));
  return out.subarray(3, end);
}

function decode(code: Uint8Array): Buffer | undefined {
  const out = Buffer.alloc(decodedBound(code.length) + 3);
  const end = decodeHuffman(out, 3, code, 0, code.length);
  return end < 0 ? undefined : out.subarray(3, end);
}

// RFC 7541, appendix C.4 and C.6.
const known: [text: string, code: string][] = [
  ['www.example.com', 'f1e3 c2e5 f23a 6ba0 ab90 f4ff'],
  ['no-cache', 'a8eb 1064 9cbf'],
  ['custom-key', '25a8 49e9 5ba9 7d7f'],
  ['custom-value', '25a8 49e9 5bb8 e8b4 bf'],
  ['302', '6402'],
  ['private', 'aec3 771a 4b'],
  ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff'],
  ['https://www.example.com', '9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3'],
  ['307', '640e ff'],
  ['gzip', '9bd9 ab'],
  [
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    '94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
  ],
  ['', ''],
  // Appendix B: the longest codes, 30 bits, and the first of 28, 19 and 10.
  ['\n', 'ffff fff3'],
  ['\r', 'ffff fff7'],
  ['\x16', 'ffff fffb'],
  ['\x02', 'ffff fe2f'],
  ['\\', 'fffe 1f'],
  ['!', 'fe3f'],
  ['\xff', 'ffff fbbf'],
];
for (const [text, code] of known) {
  huffman(`appendix C: ${JSON.stringify(text)}`, () => {
    assert.equal(encode(bytes(text)), hex(code));
    assert.equal(decode(hex(code)), bytes(text));
  });
}

huffman('every byte, alone and after every other', () => {
  for (let a = 0; a < 256; a++) {
    assert.equal(decode(encode(Buffer.of(a))), Buffer.of(a));
    for (let b = 0; b < 256; b++) assert.equal(decode(encode(Buffer.of(a, b))), Buffer.of(a, b));
  }
});

huffman('any bytes: decode is the inverse of encode', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (text) => {
      const code = encode(text);
      assert.equal(decode(code), Buffer.from(text));
      assert.ok(text.length <= decodedBound(code.length));
    }),
    { numRuns: 300 },
  );
});

huffman('any code is refused, or is what its text becomes', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (code) => {
      const text = decode(code);
      if (text === undefined) refused++;
      else assert.equal(encode(text), Buffer.from(code));
    }),
    { numRuns: 2_000 },
  );
  assert.ok(refused > 100);
});

// RFC 7541 §5.2.
const bad: [why: string, code: string][] = [
  ['EOS', 'ffff ffff'],
  ['EOS after a letter', '1fff ffff ffff'],
  ['padding of eight bits', '1fff'],
  ['a letter, and padding of a whole byte', 'f1e3 c2e5 f23a 6ba0 ab90 f4ff ff'],
  ['nothing but padding', 'ff'],
  ['padding of zeros', '18'],
  ['padding that is not the most significant bits of EOS', '1e'],
  ['a code that is cut off', 'fffe'],
];
for (const [why, code] of bad) huffman(`§5.2: refuses ${why}`, () => assert.is(decode(hex(code)), undefined));

huffman('§5.2: padding of one to seven bits', () => {
  // 'a' is 00011, ':' 1011100, '&' 11111000.
  assert.equal(decode(hex('1f')), bytes('a'));
  assert.equal(decode(hex('b9')), bytes(':'));
  assert.equal(decode(hex('f8')), bytes('&'));
});

huffman.run();
