import { posix } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { builtInSegments, firstSegment, readServicePath } from '../../src/core/service-path.ts';

const servicePath = suite('service path');

/** What a path is read as: `slug user-svc`, `built-in`, or a code. */
function read(path: string, plain = false): string {
  const result = readServicePath(path, plain);
  if (result.kind === 'slug') return `slug ${result.slug}`;
  return result.kind === 'built-in' ? 'built-in' : result.code;
}

servicePath('the first segment names the service, whatever follows', () => {
  for (const path of [
    '/user-svc',
    '/user-svc/',
    '/user-svc/a/b',
    '/user-svc//a',
    '/user-svc/%2F%3F',
    '/user-svc/a;b=c',
  ]) {
    assert.is(read(path), 'slug user-svc', path);
    assert.is(firstSegment(path), 'user-svc', path);
  }
  for (const path of ['/a', '/v', '/v10/x', '/v1x', '/proxy-svcs', '/.well-known/x', '/openapi', '/USER-SVC/x'])
    assert.is(read(path), `slug ${firstSegment(path)}`, path);
  assert.is(read('/user-svc/x', true), 'slug user-svc');
});

servicePath("the port's own paths", () => {
  for (const path of [
    '/',
    '',
    '/healthz',
    '/docs',
    '/docs/errors',
    '/openapi.json',
    '/proxy-svc/routes',
    '/registry-svc/instance/x',
    '/v1',
    '/v1/a%2Fb',
  ])
    assert.is(read(path), 'built-in', path);
  for (const segment of builtInSegments) assert.is(read(`/${segment}`, true), 'built-in', segment);
  assert.is(read('/', true), 'built-in');
  assert.is(read('/V1/routes'), 'slug V1');
});

servicePath('a path of which another reading has another first segment is refused', () => {
  const paths = [
    '//user-svc',
    '//',
    '///v1/routes',
    '/%2Fuser-svc',
    '/%2f',
    '/%5cuser-svc',
    '/;x',
    '/;/user-svc',
    '/%3Bx/user-svc',
  ];
  paths.push(
    '/user-svc%2Fx',
    '/user-svc%2fx/y',
    '/user-svc%5Cx',
    '/%75ser-svc',
    '/user%2Dsvc/x',
    '/user-svc;x=1/y',
    '/user-svc%3bx',
  );
  paths.push(
    '/v1%2Froutes',
    '/v1;x/routes',
    '/%76%31/routes',
    '/%761',
    '/user-svc%3Fx',
    '/user-svc%23x',
    '/a%20b/x',
    '/%C3%BC/x',
  );
  for (const path of paths) assert.is(read(path), 'OO_BAD_PATH', path);
});

servicePath('dot segments, escapes that are none and characters that no path has are refused', () => {
  const paths = [
    '/user-svc/../other',
    '/./user-svc',
    '/..',
    '/.',
    '/user-svc/..',
    '/user-svc/%2e%2e/v1',
    '/user-svc/..;/v1',
  ];
  paths.push(
    '/user-svc/%2e%2e%2fv1',
    '/user-svc/..%5cv1',
    '/user-svc\\x',
    '/user-svc/%00',
    '/user-svc/%zz',
    '/%',
    '/user-svc/%c0%ae',
    'user-svc',
  );
  for (const path of paths) assert.is(read(path), 'OO_BAD_PATH', path);
});

const pieces = [
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%2F',
  '%5c',
  '\\',
  ';',
  ';x=1',
  '%3b',
  '%3F',
  '%23',
  '%25',
  '%252e',
  '%00',
  '%',
  '%c0%af',
];
pieces.push('a', 'user-svc', 'v1', 'healthz', '%75ser-svc', '%761', 'V1', '~', '%20', ':', '@');

/** What an upstream may make of a path: each decodes, merges and normalises in its own way. */
const readers: ((path: string) => string)[] = [
  (path) => path,
  (path) => path.replace(/\/+/g, '/'),
  (path) => new URL(`http://a.test${path}`).pathname,
  (path) => posix.normalize(path),
  (path) => posix.normalize(decodeURIComponent(path)),
  (path) => posix.normalize(decodeURIComponent(path).replace(/\\/g, '/')),
  (path) => posix.normalize(decodeURIComponent(path.replace(/;[^/]*/g, ''))),
  (path) => posix.normalize(decodeURIComponent(path).replace(/;[^/]*/g, '')),
  (path) => new URL(`http://a.test${decodeURIComponent(path).replace(/[?#]/g, '_')}`).pathname,
];

servicePath('whatever is let through is the same service in every reading', () => {
  let through = 0;
  const path = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => `/${parts.join('')}`);
  fc.assert(
    fc.property(path, (sent) => {
      const result = readServicePath(sent, false);
      if (result.kind === 'reply') return;
      through++;
      for (const reader of readers) assert.is(firstSegment(reader(sent)), firstSegment(sent), sent);
    }),
    { numRuns: 5_000, seed: 11_337 },
  );
  assert.ok(through > 500, `${through} let through`);
});

servicePath.run();
