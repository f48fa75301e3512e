import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as scan from '../../src/http1/scan.ts';
import { get, kept, limits, plan, post, request, verdict } from './scanning.ts';

const requests = suite('http1 request line, target, Host');

const refuse = (name: string, fault: string, ...texts: string[]) =>
  requests(name, () => {
    for (const text of texts) assert.is(verdict(request(text)), fault, JSON.stringify(text));
  });
const accept = (name: string, ...texts: string[]) =>
  requests(name, () => {
    for (const text of texts) assert.is(verdict(request(text)), 'DONE', JSON.stringify(text));
  });
const line = (requestLine: string) => `${requestLine}\r\nHost: a.test\r\n\r\n`;
const host = (value: string) => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`;

requests('the registers of an ordinary GET', () => {
  const r = request(get('Accept:  text/html \t', 'Cookie: a=b').replace('/ ', '/shop/cart?id=5&x=/.. '));
  assert.is(verdict(r), 'DONE');
  assert.is(r.str(r.methodStart, r.methodEnd), 'GET');
  assert.is(r.method, scan.METHOD_GET);
  assert.is(r.idempotent, true);
  assert.is(r.str(r.targetStart, r.targetEnd), '/shop/cart?id=5&x=/..');
  assert.is(r.form, scan.FORM_ORIGIN);
  assert.is(r.str(r.pathStart, r.pathEnd), '/shop/cart');
  assert.is(r.plainPath, true);
  assert.is(r.str(r.authorityStart, r.authorityEnd), 'a.test');
  assert.is(r.str(r.hostLineStart, r.hostLineEnd), 'Host: a.test\r\n');
  assert.is(r.str(r.acceptStart, r.acceptEnd), 'text/html');
  assert.is(r.minor, 1);
  assert.is(r.contentLength, -1);
  assert.is(r.chunked, false);
  assert.is(r.keepAlive, true);
  assert.is(r.expectContinue, false);
  assert.equal([r.upgradeStart, r.upgradeEnd, r.cutCount, r.captureCount], [0, 0, 0, 0]);
  assert.is(r.end, r.buf.length - 5);
});

requests('registers of one scan do not leak into the next', () => {
  const s = new scan.RequestScanner(plan, limits);
  const all = Buffer.from(
    'OPTIONS https://b.test/%20 HTTP/1.0\r\nHost: a.test\r\nAccept: x\r\nExpect: 100-continue\r\nConnection: keep-alive, a\r\n' +
      'A: 1\r\nX-Forwarded-For: 1\r\nContent-Length: 5\r\n\r\n',
  );
  assert.is(s.scan(all, 0, all.length), scan.DONE);
  assert.is(s.absoluteTls, true);
  const chunked = Buffer.from(post('Transfer-Encoding: chunked', 'Connection: close'));
  assert.is(s.scan(chunked, 0, chunked.length), scan.DONE);
  const plainGet = Buffer.from('GET / HTTP/1.0\r\n\r\n');
  assert.is(s.scan(plainGet, 0, plainGet.length), scan.DONE);
  const fresh = new scan.RequestScanner(plan, limits);
  fresh.scan(plainGet, 0, plainGet.length);
  const flat = (o: object) => Object.entries(o).filter(([k, v]) => typeof v !== 'object' && k !== 'lengthLine');
  assert.equal(flat(s), flat(fresh));
});

requests('methods', () => {
  const table: [string, number, boolean][] = [
    ['GET', scan.METHOD_GET, true],
    ['HEAD', scan.METHOD_HEAD, true],
    ['POST', scan.METHOD_POST, false],
    ['PUT', scan.METHOD_PUT, true],
    ['DELETE', scan.METHOD_DELETE, true],
    ['OPTIONS', scan.METHOD_OPTIONS, true],
    ['PATCH', scan.METHOD_PATCH, false],
    ['PROPFIND', scan.METHOD_OTHER, false],
    ['M-SEARCH', scan.METHOD_OTHER, false],
    ['GETX', scan.METHOD_OTHER, false],
    ['A'.repeat(32), scan.METHOD_OTHER, false],
  ];
  for (const [method, code, idempotent] of table) {
    const r = request(line(`${method} / HTTP/1.1`));
    assert.is(verdict(r), 'DONE', method);
    assert.equal([r.method, r.idempotent], [code, idempotent], method);
  }
});
refuse(
  'methods that are none',
  'OO_BAD_REQUEST',
  ...['get', 'Get', 'GE T', 'G\0T', 'GÉT', '', 'G:T', '"GET"'].map((m) => line(`${m} / HTTP/1.1`)),
);
refuse(
  'a method longer than 32 bytes',
  'OO_BAD_REQUEST',
  line(`${'A'.repeat(33)} / HTTP/1.1`),
  'A'.repeat(33),
  'A'.repeat(100_000),
);
refuse(
  '21: CONNECT, TRACE',
  'OO_METHOD_REFUSED',
  line('CONNECT a.test:443 HTTP/1.1'),
  line('TRACE / HTTP/1.1'),
  'TRACE ',
  'CONNECT a',
);

refuse(
  '13: other versions',
  'OO_VERSION_UNSUPPORTED',
  ...['HTTP/9.9', 'HTTP/1.2', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/3.0'].map((v) => line(`GET / ${v}`)),
);
refuse('13: the HTTP/2 preface', 'OO_VERSION_UNSUPPORTED', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
refuse('13: HTTP/0.9', 'OO_VERSION_UNSUPPORTED', 'GET /\r\n', 'GET /index.html\r\n\r\n', line('GET /'));
refuse(
  'request lines that are none',
  'OO_BAD_REQUEST',
  ...[
    'GET / http/1.1',
    'GET / Http/1.1',
    'GET / HTTP/1,1',
    'GET / HTTP/11.1',
    'GET / HTTP/1.10',
    'GET / HTTP/1.1 ',
    'GET / HTTP/1',
    'GET / HTTP/2',
  ].map(line),
  ...[
    'GET / HTTP /1.1',
    'GET /  HTTP/1.1',
    'GET  / HTTP/1.1',
    ' GET / HTTP/1.1',
    'GET\t/ HTTP/1.1',
    'GET  HTTP/1.1',
    'GET / HTTP/1.:',
    'GET / HTTP/:.1',
    'GET / HTTP/1./',
    'OPTIONS a HTTP/1.1',
    'GET /\tHTTP/1.1',
    'GET / ',
    'GET ',
    'GET',
  ].map(line),
  ...[
    'GET / HTTP/1.1\rHost: a\r\n\r\n',
    'GET / HTTP/1.1\nHost: a\n\n',
    'GET / HTTP/1.1 \nHost: a\r\n\r\n',
    'GET / HTTP/1.1\0\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n',
    'GET /\n',
    'GET /\rX',
  ],
  ...[
    '\n',
    '\nGET',
    '\r\r',
    '\r\n\r\n',
    '\r\n\n',
    '\r\nX\r',
    '\0',
    '{',
    '\x16\x03\x01\x02\x00',
    'HTTP/1.1 200 OK\r\n\r\n',
    '\xef\xbb\xbfGET',
  ],
);
requests('one empty line may stand before a request', () => {
  const r = request(`\r\n${get()}`);
  assert.is(verdict(r), 'DONE');
  assert.is(r.methodStart, 7);
  assert.is(kept(r), get());
});
refuse('two may not', 'OO_BAD_REQUEST', `\r\n\r\n${get()}`, `\n${get()}`, `\r${get()}`);

refuse(
  '20: a fragment',
  'OO_BAD_REQUEST',
  line('GET /#a HTTP/1.1'),
  line('GET /a#b HTTP/1.1'),
  line('GET /?a#b HTTP/1.1'),
  line('GET # HTTP/1.1'),
);
refuse(
  '22: a target of other bytes than visible ASCII',
  'OO_BAD_REQUEST',
  ...['/\x7f', '/\0', '/é', '/\xc0\xaf', '/\xe2\x80\xa8', '/a\x01', '/?\xff', 'http://a.test/\x80'].map((t) =>
    line(`GET ${t} HTTP/1.1`),
  ),
);
refuse(
  'targets of no form',
  'OO_BAD_REQUEST',
  ...[
    'a',
    'a.test:80',
    '?x',
    './a',
    '%2f',
    '**',
    '*?',
    'ftp://a.test/',
    'http:/a.test',
    'http;//a.test/',
    'http:x/a.test/',
    'http:/xa.test/',
    'http://',
    'http:a.test',
    'httpx://a',
    'ws://a.test/',
    '\\',
    '\\\\a',
    'file:///etc/passwd',
  ].map((t) => line(`GET ${t} HTTP/1.1`)),
  line('GET * HTTP/1.1'),
  line('OPTIONS ** HTTP/1.1'),
);
refuse(
  'absolute targets without a valid authority',
  'OO_BAD_HOST',
  ...[
    'http:///a',
    'http://?a',
    'http://u@a.test/',
    'http://u:p@a.test/',
    'http://a,b/',
    'http://a:99999/',
    'http://[::1/',
    'https://a..b/',
    'http://a;b/',
    'http://a%2eb/',
  ].map((t) => line(`GET ${t} HTTP/1.1`)),
);
requests('22: a target over the limit, whole or not', () => {
  const small = { ...limits, maxTargetBytes: 10 };
  const of = (text: string) => verdict(request(text, plan, small));
  assert.is(of(line(`GET /${'a'.repeat(9)} HTTP/1.1`)), 'DONE');
  assert.is(of(line(`GET /${'a'.repeat(10)} HTTP/1.1`)), 'OO_TARGET_TOO_LONG');
  assert.is(of(line(`GET /?${'a'.repeat(9)} HTTP/1.1`)), 'OO_TARGET_TOO_LONG');
  assert.is(of(`GET /${'a'.repeat(9)}`), 'MORE');
  assert.is(of(`GET /${'a'.repeat(10)}`), 'OO_TARGET_TOO_LONG');
  assert.is(of(`GET http://a/${'a'.repeat(10)}`), 'OO_TARGET_TOO_LONG');
  assert.is(verdict(request(line(`GET /${'a'.repeat(100_000)} HTTP/1.1`))), 'OO_TARGET_TOO_LONG');
});

requests('16: an absolute target wins over Host', () => {
  const table: [target: string, authority: string, path: string, tls: boolean][] = [
    ['http://b.test/x/y?z', 'b.test', '/x/y', false],
    ['HTTPS://B.test:8443/x', 'B.test:8443', '/x', true],
    ['http://b.test', 'b.test', '', false],
    ['http://b.test?q=/a', 'b.test', '', false],
    ['http://[::1]:80/', '[::1]:80', '/', false],
  ];
  for (const [target, authority, path, tls] of table) {
    const r = request(line(`GET ${target} HTTP/1.1`));
    assert.is(verdict(r), 'DONE', target);
    assert.is(r.form, scan.FORM_ABSOLUTE);
    assert.is(r.str(r.authorityStart, r.authorityEnd), authority);
    assert.is(r.str(r.pathStart, r.pathEnd), path);
    assert.is(r.absoluteTls, tls);
    assert.is(r.str(r.hostLineStart, r.hostLineEnd), 'Host: a.test\r\n');
    assert.is(r.str(r.targetStart, r.targetEnd), target);
  }
});
refuse(
  '16: Host must be valid beside an absolute target',
  'OO_BAD_HOST',
  'GET http://b.test/ HTTP/1.1\r\n\r\n',
  'GET http://b.test/ HTTP/1.1\r\nHost: a@b\r\n\r\n',
  'GET http://b.test/ HTTP/1.1\r\nHost: a\r\nHost: b.test\r\n\r\n',
);
requests('21: OPTIONS *', () => {
  const r = request(line('OPTIONS * HTTP/1.1'));
  assert.is(verdict(r), 'DONE');
  assert.is(r.form, scan.FORM_ASTERISK);
  assert.is(r.pathStart, r.pathEnd);
  assert.is(r.str(r.authorityStart, r.authorityEnd), 'a.test');
});

requests('18: a path is plain only where it has one reading', () => {
  const plain = ['/', '/a', '/a/b/', '/a.b/c..d', '/a...', '/a?//', '/?%2e', '/a~b_c-d!$&()*+,=:@', '/x?;'];
  const odd = [
    '/admin%2Fx',
    '//admin',
    '/a//b',
    '/a/../admin',
    '/./a',
    '/.',
    '/..',
    '/a/..',
    '/%2e%2e',
    '/a%5cb',
    '/a\\b',
    '/a;b',
    '/a/;',
    '/%00',
    '/a/.well-known',
    '//?',
    '/a//?x',
  ];
  for (const path of plain) assert.is(request(line(`GET ${path} HTTP/1.1`)).plainPath, true, path);
  for (const path of odd) {
    assert.is(request(line(`GET ${path} HTTP/1.1`)).plainPath, false, path);
    assert.is(request(line(`GET http://b.test${path} HTTP/1.1`)).plainPath, false, `absolute ${path}`);
  }
  assert.is(request(line('GET http://b.test/a HTTP/1.1')).plainPath, true);
});

refuse(
  '15: no Host, or two',
  'OO_BAD_HOST',
  'GET / HTTP/1.1\r\n\r\n',
  get('Host: a.test'),
  get('hOST: b.test'),
  'GET / HTTP/1.1\r\nX-Host: a\r\n\r\n',
  'GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n',
);
refuse(
  '15: a Host that names no host',
  'OO_BAD_HOST',
  ...[
    '',
    ' ',
    'a@b',
    'a/b',
    'a,b',
    'a b',
    'a\tb',
    '\ta.test',
    'a.test\t',
    'a.test \t ',
    'a?b',
    'a#b',
    'a\\b',
    'a"b',
    'a%2eb',
    'a..b',
    '.a',
    '.',
    '..',
    'a:b',
    'a:80:80',
    ':80',
    'a:-1',
    'a:+1',
    'a:65536',
    'a:000080',
    'a: 80',
    'http://a',
    'é',
    'a\x80',
    "a'b",
    'a!b',
    'a$b',
    'a*b',
    '*',
    'a(b',
    '~',
  ].map(host),
  ...[
    '[',
    ']',
    '[]',
    '[::1',
    '::1',
    '[::1]x',
    '[::1]:x',
    '[:::1]',
    '[1::2::3]',
    '[1:2:3:4:5:6:7]',
    '[1:2:3:4:5:6:7:8:9]',
    '[::12345]',
    '[::1%25eth0]',
    '[v1.a]',
    '[::g]',
    '[1:]',
    '[1:2:3:4:5:6:7:]',
    '[1::2:]',
    '[:1]',
    '[::1.2.3]',
    '[::1.2.3.256]',
    '[::01.2.3.4]',
    '[::1.2.3.4.5]',
    '[1.2.3.4]',
    '[1:2:3:4:5:6:7:1.2.3.4]',
    '[::1.2.3.4:5]',
    '[::1 ]',
    '[1:2:3:4:5:6:7::8]',
  ].map(host),
  host('a'.repeat(256)),
);
refuse('15: control bytes in Host', 'OO_BAD_HEADER', host('a\0b'), host('a\x7f'), host('a\x0bb'));
accept(
  '15: hosts',
  ...[
    'a',
    'a.test',
    'APP.test.',
    'a-b_c.d',
    '127.0.0.1',
    '127.0.0.1:8080',
    'a.test:443',
    'a:',
    'a:0',
    'a:65535',
    'xn--bcher-kva.example',
    ' a.test ',
    'a'.repeat(255),
  ].map(host),
  ...[
    '[::]',
    '[::1]',
    '[::1]:80',
    '[1:2:3:4:5:6:7:8]',
    '[1::8]',
    '[2001:DB8::ff]',
    '[::ffff:127.0.0.1]',
    '[1:2:3:4:5:6:1.2.3.4]',
    '[1::]',
    '[1:2:3:4:5:6:7::]',
    '[::2:3:4:5:6:7:8]',
  ].map(host),
);
requests('HTTP/1.0 may lack Host', () => {
  const r = request('GET / HTTP/1.0\r\n\r\n');
  assert.is(verdict(r), 'DONE');
  assert.equal(
    [r.minor, r.authorityStart, r.authorityEnd, r.hostLineStart, r.hostLineEnd, r.keepAlive],
    [0, 0, 0, 0, 0, false],
  );
});

requests.run();
