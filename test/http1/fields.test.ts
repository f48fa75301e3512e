import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MORE, RequestScanner } from '../../src/http1/scan.ts';
import { answer, bytes, get, kept, limits, plan, post, request, response, verdict } from './scanning.ts';

const fields = suite('http1 fields, framing, connection');

const refuse = (name: string, fault: string, ...texts: string[]) =>
  fields(name, () => {
    for (const text of texts) assert.is(verdict(request(text)), fault, JSON.stringify(text));
  });

refuse(
  '7: field lines that are none',
  'OO_BAD_HEADER',
  ...[
    'A',
    'A b',
    'A : b',
    'A\t: b',
    ': b',
    ' A: b',
    '\tA: b',
    'A: b\r\n c',
    'A: b\r\n\tc',
    'A: b\rc',
    'A: b\nC: d',
    'A: b\0\nC: d',
    'A: b\x7f\n',
    'A: \0',
    'A: b\x0bc',
    'A: b\x0c',
    'A: b\x7f',
    'A\0: b',
    'A\r: b',
    'Content\rLength: 5',
  ].map((l) => get(l)),
  ...[
    'Ä: b',
    'A\x80: b',
    'A\xad: b',
    '(A): b',
    'A/B: c',
    'A[]: b',
    '"A": b',
    'A@: b',
    'A,B: c',
    '{}: b',
    'A=B',
    '\x1bA: b',
    'A;: b',
  ].map((l) => get(l)),
  'GET / HTTP/1.1\r\n Host: a.test\r\n\r\n',
  'GET / HTTP/1.1\r\n\nHost: a.test\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.test\n\r\n',
  'GET / HTTP/1.1\r\nHost: a.test\r\n\n',
);
refuse(
  '6: a head ended with CR LF CR X',
  'OO_BAD_HEADER',
  'GET / HTTP/1.1\r\nHost: a.test\r\n\rX',
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\r\n',
);
fields('values may hold tabs, obs-text and nothing', () => {
  const head = get('A:', 'B: ', 'C:\t', 'D: \x80\xff\t"x"', 'E:e', '__proto__-: 1', 'F::', "!#$%&'*+-.^`|~: x");
  assert.is(verdict(request(head)), 'DONE');
});

fields('8, 9: too many fields, whole or not', () => {
  const tiny = (n: number) => Array.from({ length: n }, (_, i) => `a${i}:`);
  assert.is(verdict(request(get(...tiny(63)))), 'DONE');
  assert.is(verdict(request(get(...tiny(64)))), 'OO_HEAD_TOO_LARGE');
  for (const n of [1_100, 2_000, 5_000]) {
    assert.is(verdict(request(post(...tiny(n), 'Content-Length: 5'))), 'OO_HEAD_TOO_LARGE');
    assert.is(verdict(request(get(...tiny(n), 'Connection: upgrade', 'Upgrade: websocket'))), 'OO_HEAD_TOO_LARGE');
  }
  const open = get(...tiny(63)).slice(0, -2);
  assert.is(verdict(request(open)), 'MORE');
  assert.is(verdict(request(`${open}x`)), 'OO_HEAD_TOO_LARGE');
  assert.is(verdict(request(get('__proto__: 1', 'constructor: 2'))), 'DONE');
});
fields('a head over its bytes, whole or not', () => {
  const of = (text: string, most: number) => verdict(request(text, plan, { ...limits, maxHeadBytes: most }));
  const head = get('A: b');
  assert.is(of(head, head.length), 'DONE');
  assert.is(of(`${head}body`, head.length), 'DONE');
  assert.is(of(head, head.length - 1), 'OO_HEAD_TOO_LARGE');
  for (let cut = 1; cut < head.length; cut++) {
    assert.is(of(head.slice(0, cut), cut + 1), 'MORE', `${cut}`);
    assert.is(of(head.slice(0, cut), cut), 'OO_HEAD_TOO_LARGE', `${cut}`);
  }
  assert.is(verdict(response(answer('A: b'), plan, { ...limits, maxHeadBytes: 20 })), 'OO_BAD_RESPONSE');
});

fields('2: lengths', () => {
  for (const [value, length] of [
    ['0', 0],
    ['5', 5],
    ['  5 ', 5],
    ['007', 7],
    ['999999999999999', 999999999999999],
  ] as const) {
    const r = request(post(`Content-Length:${value}`));
    assert.is(verdict(r), 'DONE', value);
    assert.is(r.contentLength, length);
  }
});
const notLengths = [
  '',
  ' ',
  '+5',
  '-1',
  '0x5',
  '5,5',
  '5, 5',
  '5,10',
  '5 5',
  '5.0',
  '5e1',
  '5;',
  '1_000',
  '"5"',
  '1000000000000000',
  '18446744073709551621',
  '\xb2',
  'chunked',
  '5\x80',
];
refuse('2: lengths that are none', 'OO_BAD_FRAMING', ...notLengths.map((v) => post(`Content-Length: ${v}`)));
refuse(
  '2: two lengths, equal or not',
  'OO_BAD_FRAMING',
  post('Content-Length: 5', 'Content-Length: 5'),
  post('Content-Length: 5', 'CONTENT-LENGTH: 10'),
  post('content-length: 0', 'A: b', 'Content-Length: 0'),
);
refuse(
  '1: Content-Length with Transfer-Encoding',
  'OO_BAD_FRAMING',
  post('Content-Length: 5', 'Transfer-Encoding: chunked'),
  post('Transfer-Encoding: chunked', 'Content-Length: 5'),
  post('TRANSFER-encoding: ChunKed', 'A: b', 'content-LENGTH: 0'),
  post('Content-Length: 5', 'Transfer-Encoding: gzip, chunked'),
  post('Content-Length: 5', 'Transfer-Encoding: identity'),
);
fields('3: chunked, and nothing else', () => {
  for (const value of ['chunked', 'Chunked', 'CHUNKED', '  chunked']) {
    const r = request(post(`Transfer-Encoding:${value}`));
    assert.is(verdict(r), 'DONE', value);
    assert.is(r.chunked, true);
    assert.is(r.str(r.codingLineStart, r.codingLineEnd), `Transfer-Encoding:${value}\r\n`);
  }
});
refuse(
  '3: codings that are garbage',
  'OO_BAD_FRAMING',
  ...[
    '',
    ' ',
    'xchunked',
    'chunkedx',
    'chunke',
    ',chunked',
    'chunked,',
    ', chunked',
    'chunked, identity',
    'chunked, chunked',
    'chunked,gzip',
    'chunked;q=1',
    'chunked; a',
    '"chunked"',
    'chunked chunked',
    'gzip',
    'identity',
    'gzip,,chunked',
    'gzip;q=1, chunked',
    'chunked\x80',
    'gzip, chunked, chunked',
    'ch\xfcnked',
  ].map((v) => post(`Transfer-Encoding: ${v}`)),
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
  post('Transfer-Encoding: chunked').replace('1.1', '1.0'),
  post('Transfer-Encoding: gzip, chunked').replace('1.1', '1.0'),
);
refuse(
  '3: control bytes around chunked',
  'OO_BAD_HEADER',
  ...['\x0bchunked', 'chunked\x0c', 'chunked\0', '\0chunked', 'chunked\x7f', '\rchunked', '\nchunked'].map((v) =>
    post(`Transfer-Encoding: ${v}`),
  ),
  post('Transfer-Encoding : chunked'),
  post('Transfer-Encoding\t: chunked'),
);
refuse(
  '2, 3: white space that readers differ over',
  'OO_BAD_FRAMING',
  ...['\tchunked', 'chunked\t', 'chunked ', ' \t chunked', 'chunked \t', '\tgzip, chunked'].map((v) =>
    post(`Transfer-Encoding:${v}`),
  ),
  ...['\t5', '5\t', ' \t 5', '5 \t '].map((v) => post(`Content-Length:${v}`)),
);
refuse(
  '3: other codings before chunked',
  'OO_CODING_UNSUPPORTED',
  ...['gzip, chunked', 'gzip,chunked', 'x , y ,\tchunked', 'identity, chunked', 'chunke, chunked'].map((v) =>
    post(`Transfer-Encoding: ${v}`),
  ),
);
refuse(
  '3: a second coding line after one that is unknown',
  'OO_CODING_UNSUPPORTED',
  post('Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: chunked'),
);
fields('12: GET, HEAD, OPTIONS with a length are framed', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'DELETE']) {
    const r = request(get('Content-Length: 43').replace('GET', method));
    assert.is(verdict(r), 'DONE');
    assert.is(r.contentLength, 43);
  }
});

fields('keep-alive', () => {
  const table: [minor: string, connection: string[], keep: boolean][] = [
    ['1.1', [], true],
    ['1.1', ['close'], false],
    ['1.1', ['Close, x'], false],
    ['1.1', ['keep-alive'], true],
    ['1.1', ['keep-alive, close'], false],
    ['1.1', ['keep-alive', 'CLOSE'], false],
    ['1.1', ['closed'], true],
    ['1.0', [], false],
    ['1.0', ['Keep-Alive'], true],
    ['1.0', [',keep-alive ,, '], true],
    ['1.0', ['keep-alive', 'close'], false],
    ['1.0', ['keep-alivex'], false],
    ['1.0', ['keep-alivf'], false],
    ['1.0', ['a\t,\tkeep-alive\t'], true],
  ];
  for (const [minor, connection, keep] of table) {
    const lines = connection.map((value) => `Connection: ${value}`);
    assert.is(request(get(...lines).replace('1.1', minor)).keepAlive, keep, `${minor} ${connection}`);
    assert.is(response(answer(...lines).replace('1.1', minor)).keepAlive, keep, `response ${minor} ${connection}`);
  }
});
refuse(
  'Connection that is no list of tokens',
  'OO_BAD_HEADER',
  ...['close;q=1', 'a b', '"close"', 'close/1', 'a, b=c', '\x80'].map((v) => get(`Connection: ${v}`)),
);
refuse(
  'Connection with an endless list',
  'OO_BAD_HEADER',
  get(`Connection: ${Array.from({ length: 33 }, (_, i) => `a${i}`)}`),
);

const keeps = (name: string, sent: string[], forwarded: string[], p = plan) =>
  fields(name, () => {
    const r = request(get(...sent), p);
    assert.is(verdict(r), 'DONE');
    assert.is(kept(r), get(...forwarded));
    for (let i = 0; i < r.cutCount; i += 2) {
      assert.ok(r.cuts[i] < r.cuts[i + 1] && (i === 0 || r.cuts[i - 1] < r.cuts[i]), 'cuts ascend, apart');
      assert.ok(r.buf[r.cuts[i] - 1] === 10 && r.buf[r.cuts[i + 1] - 1] === 10, 'cuts are whole lines');
    }
  });
keeps(
  '26: hop-by-hop fields are cut',
  [
    'Connection: keep-alive',
    'A: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: x',
    'TE: trailers',
    'PROXY-AUTHORIZATION: x',
    'Upgrade: h2c',
    'HTTP2-Settings: AAA',
    'Trailer: X-T',
  ],
  ['A: 1', 'Trailer: X-T'],
);
keeps(
  '23, 26: what Connection names is cut, before it and after it, in any case',
  [
    'X-Before: 1',
    'x-OTHER: 1',
    'Connection: x-before, X-Other ,x-after',
    'X-Between: 1',
    'Connection: Via, X-Betweenx, X-Betwee',
    'x-After: 1',
    'x-after: 2',
    'VIA: x',
    'X-After-All: 1',
  ],
  ['X-Between: 1', 'X-After-All: 1'],
);
keeps(
  '23: Host, lengths and Expect can not be named away',
  [
    'Connection: host, content-length, transfer-encoding, expect, close, x-real-ip, authorization',
    'Content-Length: 5',
    'Expect: 100-continue',
    'Authorization: x',
  ],
  ['Content-Length: 5', 'Expect: 100-continue'],
);
keeps(
  '23: nor can chunked',
  ['Connection: Transfer-Encoding, X-A', 'Transfer-Encoding: chunked', 'X-A: 1'],
  ['Transfer-Encoding: chunked'],
);
keeps(
  '24: the plan is followed',
  [
    'X-Real-IP: 1',
    'x-real-ipx: 1',
    'Forwarded: x',
    'X-Forwarded-Anything: 1',
    'x-OO-a: 1',
    'X-Forwarded: 1',
    'X-Forwarded-: 1',
  ],
  ['x-real-ipx: 1', 'X-Forwarded: 1'],
);
keeps(
  '25: names with an underscore are cut',
  ['X_Forwarded_Proto: https', 'X_Auth_User: root', '_: 1', 'A: 1', 'Content_Length: 5', 'Transfer_Encoding: chunked'],
  ['A: 1'],
);
keeps(
  '25: or kept, but for those that another reader takes for ours',
  [
    'X_Forwarded_Proto: https',
    'X_Auth_User: root',
    '_: 1',
    'A: 1',
    'Content_Length: 5',
    'transfer-Encoding_: chunked',
    'Transfer_encoding: chunked',
    'x_oo-a: 1',
    'HTTP2_Settings: x',
    'ho_st: 1',
    'x_real-iq: 1',
  ],
  ['X_Auth_User: root', '_: 1', 'A: 1', 'transfer-Encoding_: chunked', 'ho_st: 1', 'x_real-iq: 1'],
  { ...plan, keepUnderscores: true },
);
keeps(
  '29: h2c',
  ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA', 'A: 1'],
  ['A: 1'],
);
fields('what the plan names too keeps its meaning', () => {
  const p = { ...plan, drop: ['connection', 'expect', 'keep-alive', 'a'], capture: ['accept', 'a', 'upgrade', 'a'] };
  const r = request(get('Connection: close', 'Accept: x', 'A: 1', 'B: 1'), p);
  assert.is(r.keepAlive, false);
  assert.is(r.str(r.acceptStart, r.acceptEnd), 'x');
  assert.is(kept(r), get('B: 1'));
  const indexes = [...r.captures.subarray(0, r.captureCount)].filter((_, i) => i % 3 === 0);
  assert.equal(indexes, [0, 1]);
  const offer = request(get('Connection: upgrade', 'Upgrade: websocket'), p);
  assert.is(offer.str(offer.upgradeStart, offer.upgradeEnd), 'websocket');
});
fields('the plan can not touch the framing', () => {
  for (const name of ['host', 'content-length', 'transfer-encoding', 'Upper', '', 'a b']) {
    assert.throws(() => new RequestScanner({ ...plan, drop: [name] }, limits), /field plan, drop/);
    assert.throws(() => new RequestScanner({ ...plan, capture: [name] }, limits), /field plan, capture/);
  }
});
fields('captures: index, value without white space; in the order of the lines', () => {
  const r = request(
    get(
      'X-Forwarded-Proto: https',
      'x-forwarded-FOR: \t1.1.1.1, 2.2.2.2 \t',
      'X-Forwarded-For:',
      'X-Forwarded-Forx: 1',
    ),
  );
  const got = [];
  for (let i = 0; i < r.captureCount; i += 3) got.push([r.captures[i], r.str(r.captures[i + 1], r.captures[i + 2])]);
  assert.equal(got, [
    [1, 'https'],
    [0, '1.1.1.1, 2.2.2.2'],
    [0, ''],
  ]);
  assert.is(kept(r), get());
});
fields('every field cut or captured, up to the limit', () => {
  const r = request(get(...Array.from({ length: 63 }, (_, i) => (i % 2 ? 'X-Forwarded-For: 1' : 'A: 1'))));
  assert.is(verdict(r), 'DONE');
  assert.is(r.captureCount, 31 * 3);
  assert.is(r.cutCount, 31 * 2);
});
fields('cutAlso puts a line in its place', () => {
  for (const lines of [['A: 1', 'TE: x', 'B: 1', 'X-Real-IP: 1'], ['TE: x'], [], ['TE: x', 'A: 1']]) {
    const before = request(get(...lines));
    before.cutAlso(before.hostLineStart, before.hostLineEnd);
    const after = request(`GET / HTTP/1.1\r\n${lines.map((l) => `${l}\r\n`).join('')}Host: a.test\r\n\r\n`);
    after.cutAlso(after.hostLineStart, after.hostLineEnd);
    const left = `GET / HTTP/1.1\r\n${lines
      .filter((l) => /^[AB]:/.test(l))
      .map((l) => `${l}\r\n`)
      .join('')}\r\n`;
    assert.is(kept(before), left);
    assert.is(kept(after), left);
  }
});

fields('11: Expect', () => {
  const table: [text: string, expecting: boolean, cut: boolean][] = [
    [post('Expect: 100-continue', 'Content-Length: 5'), true, false],
    [post('Transfer-Encoding: chunked', 'expect:100-Continue '), true, false],
    [post('Expect: 100-continue', 'Content-Length: 0'), false, true],
    [get('A: 1', 'Expect: 100-continue', 'TE: x'), false, true],
    [post('Expect: 100-continue', 'Content-Length: 5').replace('1.1', '1.0'), false, true],
  ];
  for (const [text, expecting, cut] of table) {
    const r = request(text);
    assert.is(verdict(r), 'DONE', text);
    assert.is(r.expectContinue, expecting, text);
    assert.is(/expect/i.test(kept(r)), !cut, text);
    assert.is(/TE:/.test(kept(r)), false, text);
  }
});
refuse(
  '11: other expectations',
  'OO_EXPECTATION_REFUSED',
  ...[
    '',
    '100-continued',
    '100-continu',
    '100-continuf',
    '100',
    '200-ok',
    '100-continue, 100-continue',
    '100-continue;a',
    ' x100-continue',
    '\t100-continue',
    '100-continue\t',
    '"100-continue"',
  ].map((v) => post(`Expect: ${v}`, 'Content-Length: 5')),
  post('Expect: 100-continue', 'Expect: 100-continue', 'Content-Length: 5'),
  post('Expect: x', 'Content-Length: 5').replace('1.1', '1.0'),
);

fields('29: an upgrade', () => {
  const offer = (...lines: string[]) => {
    const r = request(get(...lines));
    assert.is(verdict(r), 'DONE');
    assert.not.match(kept(r), /upgrade/i);
    return r.upgradeEnd === 0 && r.upgradeStart === 0 ? '' : r.str(r.upgradeStart, r.upgradeEnd);
  };
  assert.is(offer('Connection: Upgrade', 'Upgrade: websocket'), 'websocket');
  assert.is(offer('Upgrade: \twebsocket ', 'Connection: keep-alive', 'Connection: x, uPGRADE'), 'websocket');
  assert.is(offer('Connection: Upgrade', 'Upgrade: foo/2.0, bar , baz/1'), 'foo/2.0, bar , baz/1');
  assert.is(offer('Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 0'), 'websocket');
  for (const lines of [
    ['Upgrade: websocket'],
    ['Connection: Upgrade'],
    ['Connection: keep-alive', 'Upgrade: websocket'],
    ['Connection: Upgradex', 'Upgrade: websocket'],
    ['Connection: Upgradf', 'Upgrade: websocket'],
    ['Connection: Upgrade', 'Upgrade: h2c'],
    ['Connection: Upgrade', 'Upgrade: H2C'],
    ['Connection: Upgrade', 'Upgrade: websocket, h2c'],
    ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: websocket'],
    ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c', 'Upgrade: websocket'],
    ['Connection: Upgrade', 'Upgrade:'],
    ['Connection: Upgrade', 'Upgrade: ,websocket'],
    ['Connection: Upgrade', 'Upgrade: web socket'],
    ['Connection: Upgrade', 'Upgrade: websocket/'],
    ['Connection: Upgrade', 'Upgrade: websocket;a=b'],
    ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 5'],
    ['Connection: Upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked'],
  ]) {
    assert.is(offer(...lines), '', `${lines}`);
  }
  const old = request(get('Connection: Upgrade', 'Upgrade: websocket').replace('1.1', '1.0'));
  assert.is(old.upgradeEnd, 0);
});

fields('an empty or opened head is MORE', () => {
  const s = new RequestScanner(plan, limits);
  for (const text of ['', '\r', '\r\n', 'G', 'GET', 'GET ', 'GET /', 'GET / ', 'GET / H', get().slice(0, -1)]) {
    const buf = bytes(text);
    assert.is(s.scan(buf, 0, buf.length), MORE, text);
  }
});

fields.run();
