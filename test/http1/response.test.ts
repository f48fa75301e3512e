import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { answer, kept, limits, plan, response, verdict } from './scanning.ts';

const responses = suite('http1 response');

const refuse = (name: string, ...texts: string[]) =>
  responses(name, () => {
    for (const text of texts) assert.is(verdict(response(text)), 'OO_BAD_RESPONSE', JSON.stringify(text));
  });
const line = (statusLine: string) => `${statusLine}\r\n\r\n`;
const status = (code: number, ...lines: string[]) => answer(...lines).replace('200', String(code));

responses('the registers', () => {
  const r = response(
    answer('Content-Length: 12', 'Keep-Alive: max=100, timeout=5', 'Connection: keep-alive', 'Set-Cookie: a'),
  );
  assert.is(verdict(r), 'DONE');
  assert.equal(
    [r.minor, r.status, r.contentLength, r.chunked, r.keepAlive, r.keepAliveTimeout],
    [1, 200, 12, false, true, 5],
  );
  assert.equal([r.upgradeStart, r.upgradeEnd, r.codingLineStart, r.codingLineEnd], [0, 0, 0, 0]);
  assert.is(r.end, r.buf.length - 5);
  assert.is(kept(r), answer('Content-Length: 12', 'Set-Cookie: a'));
});
responses('status lines', () => {
  for (const [text, code] of [
    ['HTTP/1.1 200 OK', 200],
    ['HTTP/1.1 200 ', 200],
    ['HTTP/1.1 200', 200],
    ['HTTP/1.0 404 Not  Found\there', 404],
    ['HTTP/1.1 599 \xc3\xa9\xff', 599],
    ['HTTP/1.1 100 Continue', 100],
    ['HTTP/1.1 299 200 300', 299],
  ] as const) {
    const r = response(line(text));
    assert.is(verdict(r), 'DONE', text);
    assert.is(r.status, code);
  }
});
refuse(
  '47: status lines that are none',
  ...[
    'HTTP/1.1 99',
    'HTTP/1.1 099 a',
    'HTTP/1.1 000',
    'HTTP/1.1 1000 a',
    'HTTP/1.1 600 a',
    'HTTP/1.1 999',
    'HTTP/1.1 2x0 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 +20 OK',
    'HTTP/1.1 -20',
    'HTTP/1.1 20a',
    'HTTP/1.1 2a0',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1 200\tOK',
    'HTTP/1.1 200OK',
    'HTTP/1.1 ',
  ].map(line),
  ...[
    'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/2 200 OK',
    'HTTP/0.9 200 OK',
    'http/1.1 200 OK',
    'ICY 200 OK',
    'HTTP/1.1200 OK',
    'HTTP 200 OK',
    ' HTTP/1.1 200 OK',
    '\r\nHTTP/1.1 200 OK',
    '\nHTTP/1.1 200 OK',
    'garbage',
    '<html>',
    'GET / HTTP/1.1',
    '\0',
  ].map(line),
  ...['HTTP/1.1 200 O\0K', 'HTTP/1.1 200 O\rK', 'HTTP/1.1 200 OK\r', 'HTTP/1.1 200 \x7f', 'HTTP/1.1 200 \x1b[2J'].map(
    line,
  ),
  'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
  'HTTP/1.1 200 OK\n\n',
  'HTTP/1.1 200\n\n',
  'HTTP/1.1 200 OK\r\n\n',
);
refuse(
  '47: field lines that are none',
  ...['A', 'A : b', ': b', ' A: b', 'A: b\r\n c', 'A: b\nC: d', 'A: b\rc', 'A: \0', 'Ä: b', 'A b: c', 'A: b\x0b'].map(
    (l) => answer(l),
  ),
);
responses('47: 5,000 fields, a field of 1 MB: bounded', () => {
  const many = answer(...Array.from({ length: 5_000 }, (_, i) => `a${i}: 1`));
  assert.is(verdict(response(many)), 'OO_BAD_RESPONSE');
  const wide = { ...limits, maxHeadBytes: 1e6 };
  assert.is(verdict(response(many, plan, wide)), 'OO_BAD_RESPONSE');
  assert.is(verdict(response(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(1e6)}`)), 'OO_BAD_RESPONSE');
  assert.is(verdict(response(`HTTP/1.1 200 ${'x'.repeat(1e6)}`)), 'OO_BAD_RESPONSE');
});
refuse(
  '48: lengths and codings that are not clear',
  answer('Content-Length: 5', 'Content-Length: 5'),
  answer('Content-Length: 5', 'content-length: 6'),
  answer('CONTENT-LENGTH: 5', 'Transfer-Encoding: chunked'),
  answer('Transfer-Encoding: chunked', 'Content-Length: 5'),
  answer('Transfer-Encoding: chunked', 'transfer-encoding: chunked'),
  answer('Transfer-Encoding: chunked').replace('1.1', '1.0'),
  ...['5,5', '5, 6', '+5', '-1', '', '0x5', '5 5', '1e3', '9999999999999999'].map((v) =>
    answer(`Content-Length: ${v}`),
  ),
  ...['gzip', 'gzip, chunked', 'identity', 'chunked, gzip', '', 'xchunked', ',chunked', 'chunked;a=b'].map((v) =>
    answer(`Transfer-Encoding: ${v}`),
  ),
);
responses('chunked, and its line', () => {
  const r = response(answer('A: 1', 'transfer-encoding: Chunked', 'B: 1'));
  assert.is(verdict(r), 'DONE');
  assert.is(r.chunked, true);
  assert.is(r.str(r.codingLineStart, r.codingLineEnd), 'transfer-encoding: Chunked\r\n');
  r.cutAlso(r.codingLineStart, r.codingLineEnd);
  assert.is(kept(r), answer('A: 1', 'B: 1'));
});
for (const code of [100, 101, 103, 199, 204]) {
  refuse(
    `a length or chunked on ${code}`,
    status(code, 'Content-Length: 5'),
    status(code, 'Transfer-Encoding: chunked'),
  );
  responses(`Content-Length: 0 on ${code} is cut`, () => {
    const r = response(status(code, 'A: 1', 'Content-Length: 0', 'Keep-Alive: x', 'B: 2'));
    assert.is(verdict(r), 'DONE');
    assert.is(r.contentLength, -1);
    assert.is(kept(r), status(code, 'A: 1', 'B: 2'));
  });
}
responses('304 and 205 may say a length', () => {
  assert.is(response(status(304, 'Content-Length: 512')).contentLength, 512);
  assert.is(response(status(304, 'Transfer-Encoding: chunked')).chunked, true);
  assert.is(response(status(205, 'Content-Length: 0')).contentLength, 0);
});
responses('26: hop-by-hop fields are cut', () => {
  const r = response(
    answer(
      'Proxy-Authenticate: Basic',
      'A: 1',
      'Proxy-Connection: x',
      'TE: x',
      'Upgrade: h2,h2c',
      'Connection: Upgrade, x-hop',
      'X-Hop: 1',
      'Keep-Alive: x',
      'Trailer: X-T',
      'proxy-authentication-info: x',
      'X_y: 1',
    ),
  );
  assert.is(kept(r), answer('A: 1', 'Trailer: X-T'));
  assert.is(r.upgradeEnd, 0);
});
responses('30: 101 with its Upgrade', () => {
  const upgrade = (code: number, ...lines: string[]) => {
    const r = response(status(code, ...lines));
    assert.is(verdict(r), 'DONE');
    return r.str(r.upgradeStart, r.upgradeEnd);
  };
  assert.is(upgrade(101, 'Connection: upgrade', 'Upgrade: WebSocket'), 'WebSocket');
  assert.is(upgrade(101, 'Upgrade: a/1', 'Connection: x, Upgrade'), 'a/1');
  assert.is(upgrade(101, 'Upgrade: websocket'), '');
  assert.is(upgrade(101, 'Connection: upgrade'), '');
  assert.is(upgrade(101, 'Connection: upgrade', 'Upgrade: h2c'), '');
  assert.is(upgrade(200, 'Connection: upgrade', 'Upgrade: websocket'), '');
  assert.is(upgrade(426, 'Connection: upgrade', 'Upgrade: websocket'), '');
});
responses('Keep-Alive: timeout', () => {
  for (const [value, seconds] of [
    ['timeout=5', 5],
    ['timeout=5, max=1000', 5],
    ['max=3,timeout=72', 72],
    ['Timeout=1', 1],
    ['timeout=0', 0],
    ['timeout=99999999999999999999', 86_400],
    ['timeout=', -1],
    ['timeout', -1],
    ['timeout=-5', -1],
    ['timeout=x', -1],
    ['xtimeout=5', -1],
    ['max=5', -1],
    ['', -1],
  ] as const) {
    assert.is(response(answer(`Keep-Alive: ${value}`)).keepAliveTimeout, seconds, value);
  }
  assert.is(response(answer()).keepAliveTimeout, -1);
});
responses('the fault is always the same', () => {
  const r = response(answer('Content-Length: x'));
  assert.is(r.fault, 'OO_BAD_RESPONSE');
});

responses.run();
