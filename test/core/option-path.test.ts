import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileOptions } from '../../src/core/option-compile.ts';
import { compilePath, describePath, type PathRewrite, rewriteTarget } from '../../src/core/option-path.ts';
import { ambiguity, otherReadings } from '../../src/core/path.ts';
import { random } from '../helpers/random.ts';

const path = suite('option path');

function compiled(strip: unknown, add: unknown, prefix = '/app'): { rewrite: PathRewrite | null; faults: string[] } {
  const faults: string[] = [];
  const rewrite = compilePath(strip, add, prefix, (field, message) => faults.push(`${field}: ${message}`));
  return { rewrite, faults };
}

const good: [strip: unknown, add: unknown, expected: PathRewrite | null][] = [
  [undefined, undefined, null],
  [false, undefined, null],
  [true, undefined, { strip: '/app', add: '' }],
  ['/api', undefined, { strip: '/api', add: '' }],
  ['/api/v1/', '/v2/', { strip: '/api/v1', add: '/v2' }],
  [undefined, '/a%20b', { strip: '', add: '/a%20b' }],
];
for (const [strip, add, expected] of good) {
  path(`strip ${strip}, add ${add}`, () => {
    const { rewrite, faults } = compiled(strip, add);
    assert.equal(faults, []);
    assert.equal(rewrite, expected);
  });
}

const bad: unknown[] = [
  '',
  '/',
  'api',
  '//',
  '/a//b',
  '/a/../b',
  '/a/.',
  '/a?b',
  '/a#b',
  '/a b',
  '/a\r\nb',
  '/é',
  '/a\\b',
  '/a%2fb',
  '/a%zz',
];
for (const value of [...bad, 7, null, [], {}, ['/a']]) {
  path(`refuses ${JSON.stringify(value)}`, () => {
    for (const { faults } of [compiled(value, undefined), compiled(undefined, value)]) assert.is(faults.length, 1);
  });
}

path('refuses what is said twice over: a strip with escapes, true without a path', () => {
  assert.match(
    compiled('/a%20b', undefined).faults[0],
    /^stripPrefix: stripPrefix is '\/a%20b'; expected true, or a plain path/,
  );
  assert.match(compiled(true, undefined, '').faults[0], /the route's id has no path; name one/);
});

path('tells people what it does', () => {
  assert.is(describePath({ strip: '/a', add: '/b' }), '/a is taken off the path, then /b is put before it');
  assert.is(describePath({ strip: '', add: '/b' }), '/b is put before it');
});

const pieces = [
  '/',
  '/',
  '/app',
  '/app',
  '/api',
  '/v1',
  '//',
  '/%2F',
  '/%5c',
  '/..',
  '/.',
  '/%2e',
  '/;p',
  '/a;b=c',
  '/%61pp',
  '/%C3%A9',
  'x',
  '.',
  '%20',
  '/a%2fb',
  '%',
];
const prefixes = ['/app', '/app/v1', '/api', ''];

path(
  'whatever comes: the result is a path that starts once, nobody reads more in it than in what came, and only the prefix is gone',
  () => {
    const next = random(5);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)];
    let rewritten = 0;
    for (let i = 0; i < 60_000; i++) {
      const sent = `/${Array.from({ length: Math.floor(next() * 5) }, () => pick(pieces)).join('')}`.replace(
        /^\/\//,
        '/',
      );
      // What the path policy refuses never comes here.
      if (ambiguity(sent) === 'refused') continue;
      const query = next() < 0.3 ? '?a=//b/../c' : '';
      const strip = pick(prefixes);
      const add = pick(['', '', '/v2']);
      if (strip + add === '') continue;
      const result = rewriteTarget({ strip, add }, sent + query);
      if (result === undefined) continue;
      rewritten++;
      const { target, stripped } = result;
      const what = `${sent} - ${strip} + ${add} = ${target}`;
      const left = target.slice(0, target.length - query.length);
      assert.ok(target.endsWith(query), what);
      assert.ok(left.startsWith('/'), what);
      assert.ok(stripped === '' || stripped === strip, what);
      assert.is.not(ambiguity(left), 'refused', what);
      if (stripped !== '') {
        assert.not.match(left, /^\/(?:\/|\\|%2f|%5c)/i, what);
        assert.ok(left === '/' || left === add + sent.slice(strip.length), what);
        // However it is read, what came was under the prefix.
        for (const reading of ambiguity(sent) === 'several' ? otherReadings(sent) : [sent])
          assert.ok(reading === strip || reading.startsWith(`${strip}/`), what);
      } else assert.is(left, add + sent, what);
    }
    assert.ok(rewritten > 10_000, `${rewritten}`);
  },
);

path('never throws, whatever shape the options have', () => {
  const odd = [
    null,
    0,
    Number.NaN,
    '',
    '/',
    true,
    [],
    {},
    [[]],
    { set: 1 },
    { remove: [null] },
    Symbol.iterator.toString(),
    new Date(0),
  ];
  for (const value of odd) {
    const names = ['stripPrefix', 'addPrefix', 'requestHeaders', 'responseHeaders', 'mirror'];
    for (const name of names) compileOptions({ [name]: value } as never, '/app', () => {});
  }
});

path.run();
