import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BAD_BODY, ChunkedBody, MORE_BODY } from '../../src/http1/chunked.ts';
import { bytes, feed } from './scanning.ts';

const chunked = suite('http1 chunked');

const hello = '5\r\nhello\r\n0\r\n\r\n';
const refuse = (name: string, ...texts: string[]) =>
  chunked(name, () => {
    for (const text of texts) {
      for (const decode of [false, true]) {
        for (const pieces of [[text], [...text]]) {
          const { result, forwarded } = feed(pieces, decode);
          assert.is(result, 'BAD', JSON.stringify(text.slice(0, 100)));
          assert.not.match(forwarded, /0\r\n\r\n$/, 'a broken body must not look whole');
        }
      }
    }
  });
/** What goes on as framing, and as payload. */
const accept = (name: string, text: string, framed: string, payload: string) =>
  chunked(name, () => {
    for (const pieces of [[text], [...text]]) {
      const passed = feed(pieces);
      assert.is(passed.forwarded, framed);
      assert.is(passed.result, text.length);
      assert.is(passed.payload, payload.length);
      const stripped = feed(pieces, true);
      assert.is(stripped.forwarded, payload);
      assert.is(stripped.result, text.length);
      assert.is(stripped.tail, passed.tail);
      if (passed.tail !== null) assert.ok(framed.endsWith(`0\r\n${passed.tail}`));
    }
  });

accept('an empty body', '0\r\n\r\n', '0\r\n\r\n', '');
accept('one chunk', hello, hello, 'hello');
accept(
  'chunks, sizes in either case and with zeros',
  'A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n',
  'A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n',
  '01234567890123456789a',
);
accept(
  'payload that looks like framing',
  '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n',
  '7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n',
  '0\r\n\r\n\r\n',
);
accept(
  '5: extensions are dropped',
  '5;a\r\nhello\r\n1;b=c;d="e\\"f;"\r\n' + 'x\r\n0;z=1\r\n\r\n',
  '5\r\nhello\r\n1\r\nx\r\n0\r\n\r\n',
  'hellox',
);
accept(
  '10: trailers that are refused are dropped, the others go on',
  '0\r\nContent-Length: 5\r\nX-T: 1\r\nHost: b\r\nAuthorization: x\r\nX-Forwarded-For: x\r\nserver-timing: a\r\n\r\n',
  '0\r\nX-T: 1\r\nserver-timing: a\r\n\r\n',
  '',
);
accept('10: trailers that are all refused', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', hello, 'hello');
accept(
  'trailers after a chunk',
  '1\r\nx\r\n0\r\ngrpc-status: 0\r\ngrpc-message:\r\nX: \x80\t\r\n\r\n',
  '1\r\nx\r\n0\r\ngrpc-status: 0\r\ngrpc-message:\r\nX: \x80\t\r\n\r\n',
  'x',
);

chunked('the bytes after the body are not touched, nor counted', () => {
  const next = 'GET / HTTP/1.1\r\n\r\n';
  for (const body of [hello, '1;a\r\nx\r\n0\r\n\r\n', '0\r\nA: b\r\n\r\n']) {
    assert.is(feed([body + next]).result, body.length);
    assert.is(feed([body + next], true).result, body.length);
  }
});
chunked('nothing is moved and nothing held back without extensions and trailers', () => {
  const body = new ChunkedBody(false);
  const buf = bytes(`xx${hello}yy`);
  assert.is(body.feed(buf, 2, buf.length - 2), buf.length - 2);
  assert.equal([body.from, body.to, body.tail], [2, buf.length - 2, null]);
  assert.is(buf.toString('latin1'), `xx${hello}yy`);
});
chunked('the first bytes that are kept are not moved', () => {
  const body = new ChunkedBody(true);
  const buf = bytes('5\r\nhello\r\n');
  assert.is(body.feed(buf, 0, buf.length), MORE_BODY);
  assert.equal([body.from, body.to], [3, 8]);
});
chunked('10: names that no trailer may have', () => {
  const names = [
    'Host',
    'CONTENT-LENGTH',
    'transfer-encoding',
    'Connection',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Upgrade',
    'Proxy-Anything',
    'Authorization',
    'Cookie',
    'Set-Cookie',
    'Via',
    'Forwarded',
    'X-Forwarded-Whatever',
    'X-Real-IP',
    'Expect',
    'Range',
    'If-Match',
    'Content-Type',
    'Content-Encoding',
    'Cache-Control',
    'Location',
    'X_Auth',
    '_',
    'Content_Length',
    'Sec-WebSocket-Key',
    'Access-Control-Allow-Origin',
    'X-HTTP-Method-Override',
    'X-Original-URL',
  ];
  for (const name of names) assert.is(feed([`0\r\n${name}: x\r\n\r\n`]).forwarded, '0\r\n\r\n', name);
  for (const name of [
    'X-T',
    'Server-Timing',
    'grpc-status',
    'Digest',
    'Content-Digest',
    'ETag',
    'x-amz-checksum-crc32',
    'Hosts',
    'X-Forward',
  ]) {
    assert.is(feed([`0\r\n${name}: x\r\n\r\n`]).forwarded, `0\r\n${name}: x\r\n\r\n`, name);
  }
});
chunked('the caller may have its own filter', () => {
  const body = new ChunkedBody(false, (buf, start, end) => end - start === 1 && buf[start] === 65);
  assert.is(feed(['0\r\nA: 1\r\nB: 1\r\nCookie: 1\r\n\r\n'], false, body).forwarded, '0\r\nB: 1\r\nCookie: 1\r\n\r\n');
});
chunked('reset makes it as new, after a body, trailers or a fault', () => {
  const body = new ChunkedBody(false);
  for (const before of [
    '0\r\nA: 1\r\nHost: 1\r\n\r\n',
    '5;a=b\r\nhe',
    '0\r\nA: ',
    '0\r\n\r',
    'x',
    '5\r\nhelloX',
    '0\r\nHost: ',
  ]) {
    feed([before], false, body);
    body.reset(true);
    assert.is(feed([hello], true, body).forwarded, 'hello', before);
    body.reset(false);
    assert.equal(feed(['0\r\nB: 1\r\n\r\n'], false, body), {
      result: 11,
      forwarded: '0\r\nB: 1\r\n\r\n',
      payload: 0,
      tail: 'B: 1\r\n\r\n',
    });
    body.reset(false);
  }
});
chunked('after its end or a fault a body takes no more bytes', () => {
  for (const first of [hello, 'x']) {
    const body = new ChunkedBody(false);
    feed([first], false, body);
    assert.is(body.feed(bytes(hello), 0, hello.length), BAD_BODY);
  }
});
chunked('an empty piece changes nothing', () => {
  const body = new ChunkedBody(false);
  assert.is(body.feed(bytes('abc'), 1, 1), MORE_BODY);
  assert.equal([body.from, body.to], [1, 1]);
  assert.is(feed(['', '5', '', '\r\nhel', '', 'lo\r\n0\r\n', '', '\r\n'], false, body).forwarded, hello);
});

refuse(
  '4: sizes that are none',
  ...[
    '',
    ' 5',
    '5 ',
    '\t5',
    '5\t',
    '+5',
    '-5',
    '0x5',
    '0X5',
    '5_0',
    '5h',
    'g',
    'x',
    '5.',
    '5,5',
    '"5"',
    '\xb2',
    '5\0',
    '\x005',
    '5\x0b',
    '5\x80',
    '\ufeff5',
  ].map((size) => `${size}\r\nhello\r\n0\r\n\r\n`),
);
refuse(
  '4: sizes over 13 digits',
  '00000000000005\r\nhello',
  'fffffffffffffffff\r\n',
  '10000000000000005\r\nhello',
  '0'.repeat(14),
);
refuse(
  '4: line ends that are none',
  ...[
    '5\nhello\r\n',
    '5\rhello\r\n',
    '5\r\rhello\r\n',
    '\n5\r\nhello',
    '\r\n5\r\nhello',
    '5\r\n\nhello\r\n',
    '5\r\nhello\n0\r\n\r\n',
    '5\r\nhello\r0\r\n\r\n',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhelloX',
    '5\r\nhello!\r\n',
    '5\r\nhell\r\n0\r\n\r\n',
    '5\r\nhello\r\n\r\n',
    '0\r\n\n',
    '0\n\r\n',
    '0\r\r\n',
    '0\r\n\rX',
    '0\r\n\r\r\n',
    '5\r\nhello\r\n0\r\n\x00',
  ],
);
refuse(
  '5: extensions that are none',
  ...[
    '5;',
    '5;;a',
    '5;a;',
    '5; a',
    '5 ;a',
    '5;a =b',
    '5;a= b',
    '5;a=',
    '5;=b',
    '5;a=b c',
    '5;a="b',
    '5;a="b"c',
    '5;a="b" ',
    '5;a\0',
    '5;a\x07',
    '5;a="\0"',
    '5;a="\x7f"',
    '5;a="\\\x01"',
    '5;\r',
    '5;\r\r',
    '5;a\r\r',
    '5;a\n',
    '5;é',
    '5;a=\x80',
    '5;a="\n"',
    '5;a,b',
  ].map((size) => `${size}\r\nhello\r\n`),
);
refuse(
  '5: endless extensions',
  `5;${'a'.repeat(256)}\r\nhello`,
  `5;a="${'b;'.repeat(32_768)}`,
  `5;${'a'.repeat(65_536)}`,
  `1;${'a'.repeat(250)}\r\nx\r\n`.repeat(70),
  '1;a\r\nx\r\n'.repeat(8_193),
);
chunked('a fault is told at its byte', () => {
  for (const text of [
    'g',
    '5 ',
    '5\rX',
    '5; ',
    '5;a="\0',
    '5\r\nhelloX',
    '5\r\nhello\rX',
    '0\r\n\rX',
    '0\r\n:',
    '0\r\nA ',
    '0\r\nA: b\rX',
  ]) {
    assert.is(feed([text]).result, 'BAD', text);
    assert.is(feed([text.slice(0, -1)]).result, 'MORE', text);
  }
});
chunked('5: extensions up to the bound', () => {
  assert.is(feed([`5;${'a'.repeat(255)}\r\nhello\r\n0\r\n\r\n`]).forwarded, hello);
  assert.is(feed(['1;a\r\nx\r\n'.repeat(8_192)]).forwarded, '1\r\nx\r\n'.repeat(8_192));
});
refuse(
  '7: trailer lines that are none',
  ...[
    'A',
    'A b: c',
    'A : b',
    ': b',
    ' A: b',
    '\tA: b',
    'A: b\r\n c',
    'A: b\rC: d',
    'A: b\rXC: d',
    'A: b\nC: d',
    'A: \0',
    'Ä: b',
    'A: \x7f',
    '(A): b',
    'A: b\r\n\rX',
    '0',
  ].map((lines) => `0\r\n${lines}\r\n\r\n`),
);
refuse(
  'trailers without bounds',
  `0\r\n${Array.from({ length: 65 }, (_, i) => `a${i}: b\r\n`).join('')}\r\n`,
  `0\r\nA: ${'b'.repeat(8_192)}`,
  `0\r\n${`Host: ${'b'.repeat(1_000)}\r\n`.repeat(9)}`,
  `0\r\n${'a'.repeat(8_193)}`,
);
chunked('trailers up to the bounds', () => {
  const many = Array.from({ length: 64 }, (_, i) => `a${i}: b\r\n`).join('');
  assert.is(feed([`0\r\n${many}\r\n`]).forwarded, `0\r\n${many}\r\n`);
  const wide = `A: ${'b'.repeat(8_192 - 5)}\r\n`;
  assert.is(feed([`0\r\n${wide}\r\n`]).forwarded, `0\r\n${wide}\r\n`);
});
chunked('46: a truncated body is never whole', () => {
  const whole = '5\r\nhello\r\n0\r\nA: b\r\n\r\n';
  for (let i = 0; i < whole.length; i++) assert.is(feed([whole.slice(0, i)]).result, 'MORE');
});
chunked('big sizes are exact', () => {
  const body = new ChunkedBody(true);
  const head = bytes('fffffffffffff\r\n');
  assert.is(body.feed(head, 0, head.length), MORE_BODY);
  const piece = new Uint8Array(65_536);
  for (let i = 0; i < 100; i++) assert.is(body.feed(piece, 0, piece.length), MORE_BODY);
  assert.is(body.payload, 6_553_600);
});
chunked('linear in time: 8 MB of 1-byte chunks', () => {
  const one = '1;a\r\nx\r\n';
  const some = bytes('1\r\nx\r\n'.repeat(10_000));
  const odd = bytes(`${one}${'1\r\nx\r\n'.repeat(10_000)}`);
  for (const [decode, source] of [
    [true, some],
    [false, odd],
  ] as const) {
    const body = new ChunkedBody(decode);
    const buf = Buffer.alloc(source.length);
    const from = performance.now();
    for (let i = 0; i < 128; i++) {
      source.copy(buf);
      assert.is(body.feed(buf, 0, buf.length), MORE_BODY);
    }
    // About 60 ms here; moving the rest of a buffer for every chunk takes over a minute.
    assert.ok(performance.now() - from < 5_000, `${performance.now() - from} ms`);
  }
});

chunked.run();
