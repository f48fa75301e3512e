import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FailureCode, failureBody, failures } from '../../src/core/failure.ts';

const failure = suite('failure');

const chrome = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8';
const kinds: [accept: string, kind: string][] = [
  ['', 'text/plain'],
  ['*/*', 'text/plain'],
  [chrome, 'text/html'],
  ['text/html', 'text/html'],
  ['TEXT/HTML', 'text/html'],
  ['text/html;q=0.5, application/json', 'application/json'],
  ['application/json', 'application/json'],
  ['application/json, text/plain, */*', 'application/json'],
  ['application/json;q=0.5, text/plain', 'text/plain'],
  ['application/vnd.api+json', 'application/json'],
  ['application/problem+json;q=0.9, text/html;q=0.8', 'application/json'],
  ['application/json;q=0', 'text/plain'],
  ['text/html;q=0, */*', 'text/plain'],
  ['application/json;q=nonsense', 'text/plain'],
  ['image/png', 'text/plain'],
  [';;;,,,===', 'text/plain'],
  [`${'x/y,'.repeat(5000)}text/html`, 'text/plain'],
];
for (const [accept, kind] of kinds) {
  failure(`${accept.slice(0, 60) || 'no Accept'} gets ${kind}`, () => {
    assert.is(failureBody('OO_NO_INSTANCE', { accept, requestId: 'r1' }).contentType.split(';')[0], kind);
  });
}

const context = { requestId: 'r1', host: 'app.test', path: '/x' };

failure('text is one line with status, code, request id', () => {
  const { body } = failureBody('OO_CONNECT_FAILED', { ...context, accept: '' });
  assert.is(body, '502 Bad gateway: The upstream could not be reached. (OO_CONNECT_FAILED, request r1)\n');
});

failure('JSON says the same', () => {
  const { body } = failureBody('OO_NO_ROUTE', { ...context, accept: 'application/json' });
  assert.equal(JSON.parse(body), {
    error: 'No route matches app.test/x.',
    code: 'OO_NO_ROUTE',
    status: 404,
    requestId: 'r1',
  });
});

failure('the page says the same', () => {
  const { body } = failureBody('OO_NO_ROUTE', { ...context, accept: chrome });
  for (const part of [
    '<!doctype html>',
    '404',
    'Not found',
    'No route matches app.test/x.',
    'OO_NO_ROUTE',
    'request r1',
    'color-scheme: light dark',
  ])
    assert.ok(body.includes(part), part);
  assert.not.match(body, /<script|src=|href=/);
});

failure('only a 404 names host and path', () => {
  for (const code of Object.keys(failures) as FailureCode[]) {
    for (const accept of ['', chrome, 'application/json']) {
      const { body } = failureBody(code, { accept, requestId: 'r1', host: 'shown.test', path: '/shown' });
      assert.is(body.includes('shown.test'), code === 'OO_NO_ROUTE', code);
      assert.is(body.includes('/shown'), code === 'OO_NO_ROUTE', code);
      assert.ok(body.includes(code) && body.includes(String(failures[code].status)) && body.includes('r1'));
    }
  }
});

failure('an unknown service is named by the first segment alone', () => {
  const body = (path: string, accept = '') =>
    failureBody('OO_NO_SERVICE', { accept, requestId: 'r1', host: 'a.test', path }).body;
  assert.is(
    body('/user-svc/login'),
    "404 Not found: No service 'user-svc' is registered. (OO_NO_SERVICE, request r1)\n",
  );
  assert.is(JSON.parse(body('/user-svc', 'application/json')).error, "No service 'user-svc' is registered.");
  assert.match(body('/<b>&x/y', 'text/html'), 'No service &#39;&#60;b&#62;&#38;x&#39; is registered.');
});

failure('a 404 without a host still says what happened', () => {
  assert.match(failureBody('OO_NO_ROUTE', { accept: '', requestId: 'r' }).body, /No route matches this host and path/);
});

failure('what the client sent never becomes markup, a line or a flood (attack 27)', () => {
  const evil = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '<script>alert(1)</script>',
      '"><img src=x onerror=1>',
      'a\r\nSet-Cookie: x',
      '\u2028',
      '\u202egnp',
    ),
  );
  fc.assert(
    fc.property(evil, evil, evil, (host, path, requestId) => {
      const page = failureBody('OO_NO_ROUTE', { accept: chrome, requestId, host, path }).body;
      assert.not.match(
        page.replace(/<\/?(?:html|head|meta|title|style|body|h1|span|p|small)\b[^<>]*>|<!doctype html>/g, ''),
        /[<>]/,
      );
      const text = failureBody('OO_NO_ROUTE', { accept: '', requestId, host, path }).body;
      assert.not.match(text.slice(0, -1), /[\p{C}\u2028\u2029]/u);
      const json = failureBody('OO_NO_ROUTE', { accept: 'application/json', requestId, host, path }).body;
      assert.is(JSON.parse(json).code, 'OO_NO_ROUTE');
    }),
    { numRuns: 1000 },
  );
  const long = failureBody('OO_NO_ROUTE', {
    accept: chrome,
    requestId: 'r',
    host: 'a',
    path: `/${'<'.repeat(100_000)}`,
  }).body;
  assert.ok(long.length < 4000, `${long.length} characters`);
});

failure.run();
