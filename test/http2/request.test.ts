import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { requestPlan } from '../../src/core/headers.ts';
import type { FieldPlan } from '../../src/core/types.ts';
import { isAuthority } from '../../src/http1/host.ts';
import * as http1 from '../../src/http1/scan.ts';
import { isTrailerRefused } from '../../src/http1/trailers.ts';
import { HpackDecoder } from '../../src/http2/hpack-decode.ts';
import { DONE, MALFORMED, MAX_CRUMBS, RequestHead } from '../../src/http2/request.ts';
import { FieldRules } from '../../src/http2/rules.ts';
import { METHODS } from '../../src/http2/target.ts';
import { forwarded, limits, text } from './peers.ts';
import { block, bytes, type Field, get, hex, post } from './wire.ts';

const request = suite('http2 request');

interface Judged {
  readonly head: RequestHead;
  /** The forwarded head, a fault, or why it is malformed. */
  readonly said: string;
}

/** Decodes a block twice on one connection, the second time by indexes: both must be judged alike. */
function judge(fields: readonly Field[], ended = true, plan: FieldPlan = requestPlan(false), l = limits): Judged {
  const head = new RequestHead(l, isAuthority);
  const rules = FieldRules.ofRequests(plan, isTrailerRefused);
  const decoder = new HpackDecoder(rules, 4096);
  const first = sayOf(head, decoder, block(fields, true), ended);
  const kept = Array.from({ length: decoder.table.count }, (_, i) => 62 + decoder.table.count - 1 - i);
  if (kept.length === fields.length && kept.every((i) => i < 190)) {
    const again = sayOf(head, decoder, Buffer.from(kept.map((i) => 0x80 | i)), ended);
    if (kept.every((i) => i < 127)) assert.is(again, first, 'by indexes');
  }
  const said = sayOf(head, new HpackDecoder(rules, 4096), block(fields), ended);
  assert.is(said, first, 'with other bytes in the buffer');
  return { head, said };
}

function sayOf(head: RequestHead, decoder: HpackDecoder, encoded: Uint8Array, ended: boolean): string {
  head.begin();
  if (!decoder.decode(encoded, 0, encoded.length, head)) return 'COMPRESSION_ERROR';
  const result = head.finish(ended);
  return result === DONE ? forwarded(head) : result === MALFORMED ? `malformed: ${head.malformed}` : head.fault;
}

const without = (fields: readonly Field[], name: string): Field[] => fields.filter(([n]) => n !== name);
const changed = (name: string, value: string, fields = get()): Field[] =>
  fields.map(([n, v]) => [n, n === name ? value : v]);
const connect = (...more: Field[]): Field[] => [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':scheme', 'https'],
  [':path', '/chat'],
  [':authority', 'a.test'],
  ...more,
];

// ---- what is malformed: RST_STREAM with PROTOCOL_ERROR (RFC 9113 §8.1.1)

const malformed: [rule: string, fields: Field[], ended?: boolean][] = [
  ['§8.2: an upper-case name', get('/', ['X-Upper', 'a'])],
  ['§8.2: one upper-case letter', get('/', ['acceptX', 'a'])],
  ['§8.2.1: an empty name', get('/', ['', 'a'])],
  ...['\0', '\t', '\n', '\r', ' ', '\x1f', '\x7f', '\x80', '\xff', '(', '/', '[', '"', '=', '@', ',', ';'].map(
    (c): [string, Field[]] => [`§8.2.1: ${JSON.stringify(c)} in a name`, get('/', [`a${c}b`, 'a'])],
  ),
  ['§8.2.1: a colon in a name', get('/', ['a:b', 'a'])],
  ['§8.2.1: a colon at the end of a name', get('/', ['a:', 'a'])],
  ...['\0', '\n', '\r', '\r\nx: y', '\x01', '\x1f', '\x7f'].map((c): [string, Field[]] => [
    `§8.2.1: ${JSON.stringify(c)} in a value`,
    get('/', ['x-a', `a${c}b`]),
  ]),
  ...[' a', '\ta', 'a ', 'a\t', ' ', '\t'].map((v): [string, Field[]] => [
    `§8.2.1: white space around ${JSON.stringify(v)}`,
    get('/', ['x-a', v]),
  ]),
  ...[':method', ':scheme', ':authority', ':path'].flatMap((name): [string, Field[]][] => [
    ...['\0', '\n', '\r', ' ', 'a\r\nb: c'].map((c): [string, Field[]] => [
      `§8.2.1: ${JSON.stringify(c)} in ${name}`,
      changed(name, c === ' ' ? ' GET' : `/${c}a`),
    ]),
  ]),
  ...['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'].map((name): [string, Field[]] => [
    `§8.2.2: ${name}`,
    get('/', [name, name === 'transfer-encoding' ? 'chunked' : 'x']),
  ]),
  ['§8.2.2: TE other than trailers', get('/', ['te', 'gzip'])],
  ['§8.2.2: TE with more than trailers', get('/', ['te', 'trailers, gzip'])],
  ['§8.2.2: an empty TE', get('/', ['te', ''])],
  ['§8.3: an unknown pseudo-header field', [...get(), [':foo', 'a']]],
  ['§8.3: one of responses', [[':status', '200'], ...get()]],
  ['§8.3: one in upper case', [...without(get(), ':path'), [':PATH', '/']]],
  ['§8.3: nothing but a colon', [[':', 'a'], ...get()]],
  ['§8.3: after a regular field', [...get().slice(0, 3), ['x-a', 'b'], [':path', '/']]],
  ...[':method', ':scheme', ':authority', ':path'].map((name): [string, Field[]] => [
    `§8.3: ${name} twice`,
    [[name, get().find(([n]) => n === name)![1]], ...get()],
  ]),
  ...[':method', ':scheme', ':path'].flatMap((name): [string, Field[]][] => [
    [`§8.3.1: no ${name}`, without(get(), name)],
    ...(name === ':scheme' ? [] : [[`§8.3.1: an empty ${name}`, changed(name, '')] as [string, Field[]]]),
  ]),
  ['§8.3.1: no pseudo-header fields', [['x-a', 'b']]],
  ['§8.1: an empty block', []],
  ['§8.3.1: a path without its slash', changed(':path', 'index.html')],
  ['§8.3.1: a path in absolute-form', changed(':path', 'http://b.test/')],
  ['§8.3.1: a path that is a query', changed(':path', '?x')],
  ['§8.3.1: an asterisk for GET', changed(':path', '*')],
  ['§8.3.1: Host is not :authority', get('/', ['host', 'b.test'])],
  ['§8.3.1: Host with another port', get('/', ['host', 'a.test:443'])],
  ['§8.3.1: an empty Host', get('/', ['host', ''])],
  ['§8.3.1: Host twice, the same', get('/', ['host', 'a.test'], ['host', 'a.test'])],
  ['§8.3.1: Host twice, without :authority', [...without(get(), ':authority'), ['host', 'a'], ['host', 'b']]],
  ['§8.1.1: Content-Length, and no body', post('/', ['content-length', '5'])],
  ...['', '-1', '+5', '5,5', '5 5', '0x5', '5a', '1e3', '9999999999999999'].map((v): [string, Field[], boolean] => [
    `§8.1.1: Content-Length ${JSON.stringify(v)}`,
    post('/', ['content-length', v]),
    false,
  ]),
  ['§8.1.1: two Content-Lengths', post('/', ['content-length', '5'], ['content-length', '6']), false],
  ['§8.1.1: two, the same', post('/', ['content-length', '5'], ['content-length', '5']), false],
  [
    '§8.5: CONNECT with :scheme',
    [
      [':method', 'CONNECT'],
      [':scheme', 'https'],
      [':authority', 'a.test:1'],
    ],
    false,
  ],
  [
    '§8.5: CONNECT with :path',
    [
      [':method', 'CONNECT'],
      [':path', '/'],
      [':authority', 'a.test:1'],
    ],
    false,
  ],
  ['§8.5: CONNECT without :authority', [[':method', 'CONNECT']], false],
  ['RFC 8441 §4: :protocol without CONNECT', [...get(), [':protocol', 'websocket']]],
  ['RFC 8441 §4: no :scheme', without(connect(), ':scheme'), false],
  ['RFC 8441 §4: no :path', without(connect(), ':path'), false],
  ['RFC 8441 §4: no :authority', without(connect(), ':authority'), false],
  ['RFC 8441 §4: :protocol twice', [[':protocol', 'a'], ...connect()], false],
  ['RFC 8441 §5: ended at once', connect(), true],
  ['§8.5: with a length', connect(['content-length', '5']), false],
];
for (const [rule, fields, ended = true] of malformed) {
  request(`malformed, ${rule}`, () => assert.match(judge(fields, ended).said, /^malformed: /));
}

request('RFC 8441 §3: :protocol is unknown where it is not offered', () => {
  const rules = FieldRules.ofRequests(requestPlan(false), isTrailerRefused, false);
  const said = sayOf(new RequestHead(limits, isAuthority), new HpackDecoder(rules, 4096), block(connect()), false);
  assert.match(said, /^malformed/);
});

request('§8.2.1: a bad value is one in fields that oo looks at, captures or drops, too', () => {
  for (const name of [
    'accept',
    'cookie',
    'expect',
    'host',
    'te',
    'content-length',
    'x-forwarded-for',
    'proxy-x',
    'sec-websocket-key',
    'x_y',
  ])
    for (const trusted of [false, true])
      for (const value of ['a\nb', 'a\0', ' a'])
        assert.match(judge(get('/', [name, value]), true, requestPlan(trusted)).said, /^malformed: a character/, name);
});

request('a malformed head stays so, whatever else is wrong with it', () => {
  assert.match(judge(get('/', ['X', 'a'], ['x-a', 'b'.repeat(33_000)])).said, /^malformed/);
  assert.match(judge(get('/', ['X', 'a'], ['expect', 'x'])).said, /^malformed/);
});

// ---- what is refused: an answer of ours

const refused: [what: string, fault: string, fields: Field[], ended?: boolean][] = [
  ['CONNECT', 'OO_METHOD_REFUSED', [[':method', 'CONNECT'], [':authority', 'a.test:1']], false], // biome-ignore format: one line
  ['TRACE', 'OO_METHOD_REFUSED', changed(':method', 'TRACE')],
  ['extended CONNECT to something else', 'OO_METHOD_REFUSED', changed(':protocol', 'connect-udp', connect()), false],
  ['a method in lower case', 'OO_BAD_REQUEST', changed(':method', 'get')],
  ['a method with a space', 'OO_BAD_REQUEST', changed(':method', 'GET /x')],
  ['a method of 33 letters', 'OO_BAD_REQUEST', changed(':method', 'A'.repeat(33))],
  ['another scheme', 'OO_BAD_REQUEST', changed(':scheme', 'ftp')],
  ['an empty scheme', 'OO_BAD_REQUEST', changed(':scheme', '')],
  ['a fragment', 'OO_BAD_REQUEST', changed(':path', '/a#b')],
  ['a space in the path', 'OO_BAD_REQUEST', changed(':path', '/a b')],
  ['a space in the query', 'OO_BAD_REQUEST', changed(':path', '/a?b c')],
  ['a path that is not ASCII', 'OO_BAD_REQUEST', changed(':path', '/\xe9')],
  ['no host', 'OO_BAD_HOST', without(get(), ':authority')],
  ['an empty :authority', 'OO_BAD_HOST', changed(':authority', '')],
  ['§8.3.1: userinfo', 'OO_BAD_HOST', changed(':authority', 'u:p@a.test')],
  ['a bad Host', 'OO_BAD_HOST', [...without(get(), ':authority'), ['host', 'a/b']]],
  ['a host of 300 letters', 'OO_BAD_HOST', changed(':authority', 'a'.repeat(300))],
  ['a host of 7000 letters', 'OO_BAD_HOST', changed(':authority', 'a'.repeat(7000))],
  ['a path of 8193 bytes', 'OO_TARGET_TOO_LONG', changed(':path', `/${'a'.repeat(8192)}`)],
  ['a path of 20000 bytes', 'OO_TARGET_TOO_LONG', changed(':path', `/${'a'.repeat(19999)}`)],
  ['another expectation', 'OO_EXPECTATION_REFUSED', post('/', ['expect', '200-ok']), false],
  ['two expectations', 'OO_EXPECTATION_REFUSED', post('/', ['expect', '100-continue'], ['expect', '100-continue']), false], // biome-ignore format: one line
  ['129 fields', 'OO_HEAD_TOO_LARGE', get('/', ...Array.from({ length: 129 }, (): Field => ['x-a', 'b']))],
  ['more crumbs than allowed', 'OO_HEAD_TOO_LARGE', get('/', ...Array.from({ length: MAX_CRUMBS + 1 }, (): Field => ['cookie', 'b']))], // biome-ignore format: one line
  ['32 KiB in one field', 'OO_HEAD_TOO_LARGE', get('/', ['x-a', 'b'.repeat(32 * 1024)])],
  ['32 KiB of crumbs', 'OO_HEAD_TOO_LARGE', get('/', ...Array.from({ length: 40 }, (): Field => ['cookie', 'b'.repeat(800)]))], // biome-ignore format: one line
  ['a name of 32 KiB', 'OO_HEAD_TOO_LARGE', get('/', ['x'.repeat(32 * 1024), ''])],
  [
    'pseudo-header fields past all limits together',
    'OO_HEAD_TOO_LARGE',
    changed(':authority', 'a'.repeat(5000), get(`/${'a'.repeat(5000)}`)),
  ],
  ['a path past all limits', 'OO_HEAD_TOO_LARGE', changed(':path', `/${'a'.repeat(33_000)}`)],
];
for (const [what, fault, fields, ended = true] of refused) {
  request(`refused, ${what}`, () => assert.is(judge(fields, ended).said, fault));
}

// ---- what is sent on

const tail = 'host: a.test\r\n';
const sent: [what: string, head: string, fields: Field[], ended?: boolean][] = [
  ['a GET', `GET / HTTP/1.1\r\n${tail}\r\n`, get()],
  ['a query', `GET /a/b?c=/../d HTTP/1.1\r\n${tail}\r\n`, get('/a/b?c=/../d')],
  ['fields in their order', `GET / HTTP/1.1\r\n${tail}b: 1\r\na: 2\r\nb: 3\r\n\r\n`, get('/', ['b', '1'], ['a', '2'], ['b', '3'])],
  ['pseudo-header fields in any order', `GET /x HTTP/1.1\r\n${tail}a: b\r\n\r\n`, [...get('/x').reverse(), ['a', 'b']]],
  ['an empty value', `GET / HTTP/1.1\r\n${tail}a: \r\n\r\n`, get('/', ['a', ''])],
  ['a value beyond ASCII', `GET / HTTP/1.1\r\n${tail}a: \xe9\t\xff\r\n\r\n`, get('/', ['a', '\xe9\t\xff'])],
  ['Host without :authority', 'GET / HTTP/1.1\r\na: b\r\nhost: a.test\r\n\r\n', [...without(get('/', ['a', 'b']), ':authority'), ['host', 'a.test']]],
  ['Host that says the same', `GET / HTTP/1.1\r\n${tail}a: b\r\n\r\n`, get('/', ['host', 'A.test'], ['a', 'b'])],
  ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${tail}\r\n`, changed(':path', '*', changed(':method', 'OPTIONS'))],
  ['§8.2.3: crumbs as one field', `GET / HTTP/1.1\r\n${tail}a: b\r\nc: d\r\ncookie: a=b; c=d; e=f\r\n\r\n`,
    get('/', ['cookie', 'a=b'], ['a', 'b'], ['cookie', 'c=d'], ['c', 'd'], ['cookie', 'e=f'])],
  ['TE: trailers ends here', `GET / HTTP/1.1\r\n${tail}\r\n`, get('/', ['te', 'Trailers'])],
  ['a body with its length', `POST / HTTP/1.1\r\n${tail}content-length: 5\r\n\r\n`, post('/', ['content-length', '5']), false],
  ['a body without', `POST / HTTP/1.1\r\n${tail}transfer-encoding: chunked\r\n\r\n`, post(), false],
  ['a GET with a body', `GET / HTTP/1.1\r\n${tail}transfer-encoding: chunked\r\n\r\n`, get(), false],
  ['no body where there may be one', `POST / HTTP/1.1\r\n${tail}content-length: 0\r\n\r\n`, post()],
  ['no body, said twice', `POST / HTTP/1.1\r\n${tail}content-length: 0\r\n\r\n`, post('/', ['content-length', '0'])],
  ['a method that oo does not know', `PURGE / HTTP/1.1\r\n${tail}\r\n`, changed(':method', 'PURGE')],
  ['Expect with a body', `POST / HTTP/1.1\r\n${tail}expect: 100-continue\r\ncontent-length: 5\r\n\r\n`,
    post('/', ['expect', '100-continue'], ['content-length', '5']), false],
  ['Expect without', `POST / HTTP/1.1\r\n${tail}a: b\r\ncontent-length: 0\r\n\r\n`, post('/', ['expect', '100-continue'], ['a', 'b'])],
  ['an upgrade for an extended CONNECT', `GET /chat HTTP/1.1\r\n${tail}sec-websocket-version: 13\r\n\r\n`,
    connect(['sec-websocket-version', '13'], ['sec-websocket-key', 'x']), false],
  ['Sec-WebSocket-Key elsewhere', `GET / HTTP/1.1\r\n${tail}sec-websocket-key: x\r\n\r\n`, get('/', ['sec-websocket-key', 'x'])],
  ['attacks 24, 25: what the plan drops', `GET / HTTP/1.1\r\n${tail}a: b\r\n\r\n`,
    get('/', ['x-forwarded-for', '1'], ['forwarded', 'for=1'], ['x-real-ip', '1'], ['proxy-authorization', 'x'], ['a', 'b'],
      ['proxy', 'x'], ['x_y', '1'], ['x_forwarded_proto', 'http'], ['http2-settings', 'x'], ['x-forwarded-anything', '1'])],
  ['128 fields', `GET / HTTP/1.1\r\n${tail}${'x-a: b\r\n'.repeat(128)}\r\n`, get('/', ...Array.from({ length: 128 }, (): Field => ['x-a', 'b']))],
  ['a path of 8192 bytes', `GET /${'a'.repeat(8191)} HTTP/1.1\r\n${tail}\r\n`, get(`/${'a'.repeat(8191)}`)],
]; // biome-ignore format: one case a line
for (const [what, head, fields, ended = true] of sent) {
  request(`sent on, ${what}`, () => assert.is(judge(fields, ended).said, head));
}

// ---- registers

request('registers are those of http1', () => {
  const { head } = judge(get('/a%2Fb?c', ['accept', 'text/html'], ['x-a', 'b']));
  const str = (start: number, end: number) => text(head.bytes, start, end);
  assert.is(str(head.methodStart, head.methodEnd), 'GET');
  assert.is(str(head.targetStart, head.targetEnd), '/a%2Fb?c');
  assert.is(str(head.pathStart, head.pathEnd), '/a%2Fb');
  assert.is(str(head.authorityStart, head.authorityEnd), 'a.test');
  assert.is(str(head.hostLineStart, head.hostLineEnd), 'host: a.test\r\n');
  assert.is(str(head.acceptStart, head.acceptEnd), 'text/html');
  assert.is(head.plainPath, false);
  assert.is(head.absoluteTls, true);
  assert.is(head.form, http1.FORM_ORIGIN);
  assert.is(head.method, http1.METHOD_GET);
  assert.is(head.idempotent, true);
});

request('registers without :authority', () => {
  const { head } = judge([...without(get(), ':authority'), ['host', 'b.test:8']]);
  assert.is(text(head.bytes, head.authorityStart, head.authorityEnd), 'b.test:8');
  assert.is(text(head.bytes, head.hostLineStart, head.hostLineEnd), 'host: b.test:8\r\n');
  assert.is(judge(get('/', ['host', 'a.test'])).head.hostLineEnd - judge(get()).head.hostLineStart, 14);
});

request('registers of an asterisk', () => {
  const { head } = judge(changed(':path', '*', changed(':method', 'OPTIONS')));
  assert.is(head.form, http1.FORM_ASTERISK);
  assert.is(head.pathStart, head.pathEnd);
});

request('registers of a body', () => {
  const chunked = judge(post(), false).head;
  assert.is(chunked.chunked, true);
  assert.is(text(chunked.bytes, chunked.codingLineStart, chunked.codingLineEnd), 'transfer-encoding: chunked\r\n');
  const sized = judge(post('/', ['content-length', '7'], ['expect', '100-continue']), false).head;
  assert.equal([sized.chunked, sized.contentLength, sized.expectContinue], [false, 7, true]);
  assert.equal([judge(get()).head.chunked, judge(get()).head.contentLength], [false, -1]);
});

request('registers of an upgrade', () => {
  const { head } = judge(connect(), false);
  assert.is(text(head.bytes, head.upgradeStart, head.upgradeEnd), 'websocket');
  assert.equal([head.method, head.chunked, head.contentLength], [http1.METHOD_GET, false, -1]);
  assert.is(text(head.bytes, head.methodStart, head.methodEnd), 'GET');
  assert.is(judge(get()).head.upgradeEnd, 0);
});

request('what a trusted proxy says is captured, and cut', () => {
  const plan = requestPlan(true);
  const { head, said } = judge(
    get('/', ['x-forwarded-for', '1.1.1.1'], ['a', 'b'], ['x-forwarded-for', '2.2.2.2']),
    true,
    plan,
  );
  assert.is(said, 'GET / HTTP/1.1\r\nhost: a.test\r\na: b\r\n\r\n');
  const captured: string[] = [];
  for (let i = 0; i < head.captureCount; i += 3)
    captured.push(`${plan.capture[head.captures[i]]}=${text(head.bytes, head.captures[i + 1], head.captures[i + 2])}`);
  assert.equal(captured, ['x-forwarded-for=1.1.1.1', 'x-forwarded-for=2.2.2.2']);
});

request('te: trailers is noticed, and forgotten', () => {
  assert.is(judge(get('/', ['te', 'trailers'])).head.trailersWelcome, true);
  assert.is(judge(get()).head.trailersWelcome, false);
});

request('methods have the numbers that http1 gives them', () => {
  for (const [name, number] of Object.entries(http1)) {
    if (!name.startsWith('METHOD_') || name === 'METHOD_OTHER') continue;
    const word = bytes(name.slice(7));
    assert.is(METHODS.find(word, 0, word.length), number, name);
  }
  assert.is(METHODS.find(bytes('PURGE'), 0, 5), http1.METHOD_OTHER);
});

request('RFC 9113 §4.3: over a limit the table is kept all the same', () => {
  const head = new RequestHead(limits, isAuthority);
  const decoder = new HpackDecoder(FieldRules.ofRequests(requestPlan(false), isTrailerRefused), 4096);
  const large = block(get('/', ...Array.from({ length: 20 }, (): Field => ['x-a', 'b'.repeat(2000)])));
  const late = block([['x-late', 'c']], true);
  assert.is(sayOf(head, decoder, Buffer.concat([large, late]), true), 'OO_HEAD_TOO_LARGE');
  assert.is(
    sayOf(head, decoder, Buffer.concat([block(get()), hex('be')]), true),
    `GET / HTTP/1.1\r\n${tail}x-late: c\r\n\r\n`,
  );
});

request('a head says nothing of the one before', () => {
  const head = new RequestHead(limits, isAuthority);
  const decoder = new HpackDecoder(FieldRules.ofRequests(requestPlan(true), isTrailerRefused), 4096);
  const everything = post(
    '/a;b',
    ['accept', 'x'],
    ['cookie', 'a'],
    ['expect', '100-continue'],
    ['te', 'trailers'],
    ['x-real-ip', '1'],
    ['host', 'a.test'],
  );
  const plain = sayOf(head, decoder, block(get()), true);
  for (const [fields, ended] of [
    [everything, false],
    [connect(), false],
    [[], true],
    [get('/', ['X', '']), true],
  ] as const) {
    sayOf(head, decoder, block(fields), ended);
    assert.is(sayOf(head, decoder, block(get()), true), plain);
    assert.equal(
      [head.acceptEnd, head.captureCount, head.cutCount, head.upgradeEnd, head.codingLineEnd, head.contentLength],
      [0, 0, 0, 0, 0, -1],
    );
    assert.equal(
      [head.chunked, head.expectContinue, head.trailersWelcome, head.over, head.malformed],
      [false, false, false, false, ''],
    );
  }
});

request.run();
