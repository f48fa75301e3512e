import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { requestPlan } from '../../src/core/headers.ts';
import { isAuthority } from '../../src/http1/host.ts';
import { copyKept } from '../../src/http1/lines.ts';
import * as http1 from '../../src/http1/scan.ts';
import { isTrailerRefused } from '../../src/http1/trailers.ts';
import { HpackDecoder } from '../../src/http2/hpack-decode.ts';
import { DONE, RequestHead } from '../../src/http2/request.ts';
import { FieldRules } from '../../src/http2/rules.ts';
import { forwarded, limits, text } from './peers.ts';
import { block, bytes, type Field } from './wire.ts';

/** What HTTP/2 says of a request, http1's scanner must say of the HTTP/1.1 request that says the same. */
const oracle = suite('http2 request: http1 agrees');

const names = [
  ...['accept', 'user-agent', 'x-a', 'a', 'via', 'trailer', 'range', 'if-match', 'origin', 'content-type', 'priority'],
  ...['x-forwarded-for', 'x-forwarded-', 'x-forwarded-host', 'x-real-ip', 'forwarded', 'proxy', 'proxy-connection-x'],
  ...[
    'proxy-authorization',
    'http2-settings',
    'x_a',
    'x_forwarded_for',
    'content_length',
    'host_',
    '_',
    'sec-websocket-key',
  ],
  ...['expect', 'content-length', 'cookie', 'x-forwarded-proto', 'accepts', 'hosts', 'te-', 'proxy_x', 'forwarded_'],
];
const values = [
  ...['', 'a', '1', '100-continue', '100-Continue', 'a, b', 'a\tb', '"q"', '5', '0', '007', '5,5', 'x:y', '\xe9', ':'],
  ...['text/html', '1.2.3.4', 'a b', 'a  b', '%00', 'trailers', 'h2c', '{}', '\\', 'a;b=c', '~', '1'.repeat(16)],
];
const field = fc.tuple(
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...names) }, fc.stringMatching(/^[a-z0-9_!#$%&'*+.^`|~-]{1,12}$/)),
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...values) },
    fc.stringMatching(/^(?:[!-~](?:[ -~]{0,20}[!-~])?)?$/),
  ),
);
const request = fc.record({
  method: fc.constantFrom(
    'GET',
    'POST',
    'HEAD',
    'PUT',
    'DELETE',
    'PATCH',
    'OPTIONS',
    'TRACE',
    'PURGE',
    'get',
    'M-SEARCH',
  ),
  path: fc.oneof(
    fc.constantFrom(
      '/',
      '/a/b',
      '/a//b',
      '/a/../b',
      '/a%2fb',
      '/a;b',
      '/?',
      '/a?b/../c',
      '/\\',
      '/.',
      '/#',
      '/ ',
      '/a\x7f',
      '*',
      '/"<>',
    ),
    fc.stringMatching(/^\/[!-~]{0,20}$/),
  ),
  host: fc.constantFrom(
    'a.test',
    'A.test:8',
    'a',
    '[::1]',
    '[::1]:80',
    '1.2.3.4',
    'a..b',
    'u@a',
    'a/b',
    '',
    'a:99999',
    '[::z]',
    'a b',
  ),
  fields: fc.array(field, { maxLength: 8 }),
  ended: fc.boolean(),
});

function scanner1(trusted: boolean): http1.RequestScanner {
  return new http1.RequestScanner(requestPlan(trusted), { maxHeadBytes: 32_768, maxFields: 128, maxTargetBytes: 8192 });
}

for (const trusted of [false, true]) {
  const scanner = scanner1(trusted);
  const head = new RequestHead(limits, isAuthority);
  const rules = FieldRules.ofRequests(requestPlan(trusted), isTrailerRefused);

  oracle(`any request, from ${trusted ? 'a trusted proxy' : 'anyone'}`, () => {
    let done = 0;
    fc.assert(
      fc.property(request, ({ method, path, host, fields, ended }) => {
        // Crumbs become one line at the end, which is HTTP/2's alone: here there is one, at the end already.
        const cookies = fields.filter(([name]) => name === 'cookie').slice(0, 1);
        const list: Field[] = [...fields.filter(([name]) => name !== 'cookie'), ...cookies];
        const pseudo: Field[] = [
          [':method', method],
          [':scheme', 'https'],
          [':authority', host],
          [':path', path],
        ];
        const encoded = block([...pseudo, ...list]);
        head.begin();
        assert.ok(new HpackDecoder(rules, 4096).decode(encoded, 0, encoded.length, head));
        const result = head.finish(ended);

        const sized = list.some(([name]) => name === 'content-length');
        const framing = sized
          ? ''
          : ended
            ? head.contentLength === 0
              ? 'content-length: 0\r\n'
              : ''
            : 'transfer-encoding: chunked\r\n';
        const lines = list.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        const buf = bytes(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines}${framing}\r\n`);
        const judged = scanner.scan(buf, 0, buf.length);
        if (result !== DONE) {
          // HTTP/2 alone refuses a length without a body.
          const length = list.find(([name]) => name === 'content-length')?.[1] ?? '';
          if (judged === http1.DONE) assert.ok(ended && Number(length) > 0, `only http2 refuses: ${buf}`);
          return;
        }
        done++;
        assert.is(judged, http1.DONE, `only http1 refuses, ${scanner.fault}: ${buf}`);
        const out = new Uint8Array(buf.length);
        const end = copyKept(out, 0, buf, scanner.methodStart, scanner.end, scanner.cuts, scanner.cutCount);
        assert.is(forwarded(head), text(out, 0, end));
        assert.equal(registers(head, head.bytes), registers(scanner, buf));
      }),
      { numRuns: 4_000 },
    );
    assert.ok(done > 400, `${done} of them are good`);
  });
}

function registers(of: RequestHead | http1.RequestScanner, buf: Uint8Array): unknown {
  const str = (start: number, end: number) => text(buf, start, end);
  const captures: unknown[] = [];
  for (let i = 0; i < of.captureCount; i += 3)
    captures.push(of.captures[i], str(of.captures[i + 1], of.captures[i + 2]));
  return {
    captures,
    numbers: [of.method, of.idempotent, of.form, of.plainPath, of.minor, of.contentLength, of.chunked, of.keepAlive],
    more: [of.expectContinue, of.absoluteTls || of.form !== http1.FORM_ABSOLUTE],
    ranges: [
      str(of.methodStart, of.methodEnd),
      str(of.targetStart, of.targetEnd),
      str(of.pathStart, of.pathEnd),
      str(of.authorityStart, of.authorityEnd),
      str(of.hostLineStart, of.hostLineEnd),
      str(of.acceptStart, of.acceptEnd),
      str(of.upgradeStart, of.upgradeEnd),
      str(of.codingLineStart, of.codingLineEnd),
    ],
  };
}

oracle.run();
