import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decide } from '../../src/core/decide.ts';
import { ambiguity, otherReadings } from '../../src/core/path.ts';
import { compile } from '../../src/core/routes.ts';
import type { RouteTable } from '../../src/core/table.ts';

const path = suite('path policy');

const plain = [
  '',
  '/',
  '/a',
  '/a/',
  '/a.b/c..d',
  '/...',
  '/.well-known/x',
  '/..a',
  '/a../b',
  "/~!$&'()*+,=:@-_",
  '/a|b"<>^`{}',
];
for (const text of plain) path(`${text || 'the empty path'} has one reading`, () => assert.is(ambiguity(text), 'none'));

const refused = [
  // dot segments, in every spelling
  ...[
    '/.',
    '/..',
    '/./a',
    '/../a',
    '/a/..',
    '/a/.',
    '/a/../admin',
    '/%2e',
    '/%2e%2e/a',
    '/a/%2E%2e/b',
    '/.%2e/a',
    '/a/%2e./b',
  ],
  ...['/..;/a', '/..;x=1/a', '/a/.;/b', '/%2e%2e;/a', '/..%3b/a', '/..%3Bx/a', '/..%3fx', '/..%23'],
  ...[
    '/a/..%2fb',
    '/a%2f..%2fb',
    '/a%2F../b',
    '/..%5ca',
    '/a%5C..%5Cb',
    '/a%5c%2e%2e%5cb',
    '/a/..%5c',
    '/%2f..',
    '/x;%2f../a',
  ],
  // what no client needs
  ...[
    '/a%00',
    '/%00',
    '/a%00.html',
    '/a\\b',
    '\\a',
    '/a\\..\\b',
    '/%',
    '/a%',
    '/a%2',
    '/a%zz',
    '/a%2g',
    '/a%u002e',
    '/%%32e',
  ],
  ...[
    '/%c0%ae%c0%ae/a',
    '/%c0%af',
    '/%C1%9C',
    '/%e0%80%af',
    '/%e0%9f%bf',
    '/%f0%80%80%af',
    '/%f0%8f%bf%bf',
    '/%f8%80%80%80%af',
    '/%c0%2f',
  ],
  ...[
    '/\u00e9',
    '/\u2025',
    '/a b',
    '/a\tb',
    '/a\r\nX: y',
    '/a\u0000',
    '/a\u007f',
    '/a?b',
    '/a#b',
    'a',
    'a/b',
    '*',
    ' /a',
    'http://a/b',
  ],
];
for (const text of refused) {
  path(`${JSON.stringify(text)} is refused, whatever the routes`, () => assert.is(ambiguity(text), 'refused'));
}

const several: [text: string, readings: string[]][] = [
  ['/a%2Fb', ['/a/b']],
  ['/a%5Cb', ['/a/b']],
  ['//a', ['/a']],
  ['/a///b//', ['/a/b/']],
  ['/%61dmin', ['/admin']],
  ['/a%20b', ['/a b']],
  ['/a;x=1/b', ['/a/b']],
  ['/;x/a', ['/a']],
  ['/a%3bx/b', ['/a/b']],
  ['/a%3fx/b', ['/a/b']],
  ['/a%23x/b', ['/a/b']],
  ['/caf%C3%A9', ['/caf\u00c3\u00a9']],
  ['/caf%e9', ['/caf\u00e9']],
  ['/%252e%252e/a', ['/%2e%2e/a']],
  ['/p/x;%2fadmin/y', ['/p/x/admin/y', '/p/x/y']],
  ['/p/x%3b%5cadmin/y', ['/p/x/admin/y', '/p/x/y']],
  ['/%e2%82%ac', ['/\u00e2\u0082\u00ac']],
  ['/%f0%9f%98%80', ['/\u00f0\u009f\u0098\u0080']],
];
for (const [text, readings] of several) {
  path(`${text} can also be read as ${readings.join(' or ')}`, () => {
    assert.is(ambiguity(text), 'several');
    assert.equal(otherReadings(text), readings);
  });
}

path('any path at all gets an answer, and a reading never has a dot segment', () => {
  const bit = fc.constantFrom(
    '/',
    '.',
    '..',
    'a',
    '%2e',
    '%2F',
    '%5c',
    '\\',
    ';',
    '%3b',
    '%',
    '%25',
    '%00',
    '%c0',
    '%af',
    'x=1',
    '?',
    'é',
  );
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 12 }), (bits) => {
      const text = `/${bits.join('')}`;
      if (ambiguity(text) === 'refused') return;
      for (const reading of [text, ...otherReadings(text)]) assert.not.match(reading, /(?:^|[/\\])\.\.?(?:$|[/\\;?#])/);
    }),
    { numRuns: 5000 },
  );
});

path('what the URL parser would shorten is refused', () => {
  const bit = fc.constantFrom('/', '.', '%2e', '%2E', 'a', '\\', 'b/');
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 10 }), (bits) => {
      const text = `/a${bits.join('')}`;
      if (ambiguity(text) !== 'refused') assert.is(new URL(`http://h${text}`).pathname, text);
    }),
    { numRuns: 3000 },
  );
});

path('a long hostile path takes linear time: nothing here blows up', () => {
  for (const bit of ['/', ';', '%2f', '%', '/;', '\\', '%3b', ';%2f', '/%2e', '.', '/..;']) {
    const text = `/${bit.repeat(100_000 / bit.length)}`;
    if (ambiguity(text) === 'several') otherReadings(text);
  }
});

path.run();

const policy = suite('path policy with routes');

function tableOf(...ids: string[]): RouteTable {
  const result = compile(
    ids.map((id) => ({ id, target: '10.0.0.1' })),
    1,
  );
  if ('faults' in result) throw new Error(result.faults[0].message);
  return result.table;
}

function outcome(made: RouteTable, text: string): string {
  const decision = decide(made, 'http', 'x.test', text);
  return decision.kind === 'forward' ? decision.route.id : decision.code;
}

// Attack 18: with /admin a route of its own, nothing that an upstream might read as /admin gets in by another route.
const disguises = [
  ...[
    '/admin%2Fx',
    '//admin',
    '///admin/x',
    '/%61dmin',
    '/adm%69n/x',
    '/admin;x/y',
    '/admin;',
    '/;x/admin',
    '/%2fadmin',
    '/%5cadmin',
    '/admin%5cx',
  ],
  ...['/admin%3bx', '/admin%3fx', '/admin%23', '/admin%3Fx/y', '/%2F%2Fadmin', '/;%2fadmin', '/x;%2f..%2fadmin'],
];
for (const text of disguises) {
  policy(`${text} does not reach the route beside /admin`, () => {
    assert.is(outcome(tableOf('x.test', 'x.test/admin'), text), 'OO_BAD_PATH');
    assert.is(outcome(tableOf('*', 'x.test/admin'), text), 'OO_BAD_PATH', 'nor that of another host level');
    assert.is(outcome(tableOf('x.test/admin'), text), 'OO_BAD_PATH', 'and is not a 404 that tells the routes apart');
  });
}

for (const text of [
  '/a/../admin',
  '/%2e%2e/admin',
  '/a/%2E%2E%2fadmin',
  '/a\\admin',
  '/admin%00',
  '/..;/admin',
  '/%c0%afadmin',
]) {
  policy(`${JSON.stringify(text)} reaches nothing`, () => {
    assert.is(outcome(tableOf('x.test'), text), 'OO_BAD_PATH');
    assert.is(outcome(tableOf('x.test', 'x.test/admin'), text), 'OO_BAD_PATH');
    assert.is(outcome(tableOf('*/admin'), text), 'OO_BAD_PATH');
  });
}

const harmless: [text: string, ids: string[], id: string][] = [
  ['/files/a%2Fb', ['x.test'], 'x.test'],
  ['/files/a%2Fb', ['x.test', 'x.test/files', 'x.test/other'], 'x.test/files'],
  ['/files/a%2Fb', ['x.test', 'x.test/files/b'], 'x.test'],
  ['/admin%2Fx', ['x.test'], 'x.test'],
  ['/admin%2Fx', ['x.test', 'x.test/adm'], 'x.test'],
  ['//admin', ['x.test'], 'x.test'],
  ['/app/a%20b;v=1//c', ['x.test', 'x.test/app', 'x.test/app/admin'], 'x.test/app'],
  ['/app/caf%C3%A9', ['x.test', 'x.test/app'], 'x.test/app'],
  ['/100%25', ['x.test', 'x.test/app'], 'x.test'],
  ['/admin/a%2Fb', ['x.test', 'x.test/admin'], 'x.test/admin'],
];
for (const [text, ids, id] of harmless) {
  policy(`${text} is ${id} among ${ids.join(', ')}`, () => assert.is(outcome(tableOf(...ids), text), id));
}

policy('params with an escaped separator count in both readings', () => {
  const made = (...more: string[]) => tableOf('x.test', 'x.test/p', ...more);
  assert.is(outcome(made(), '/p/x;%2fadmin/y'), 'x.test/p');
  assert.is(outcome(made('x.test/p/x/admin'), '/p/x;%2fadmin/y'), 'OO_BAD_PATH');
  assert.is(outcome(made('x.test/p/x/y'), '/p/x;%2fadmin/y'), 'OO_BAD_PATH');
});

/** What upstreams of many kinds may make of a path: every mix of steps, in every order that someone takes them. */
function upstreamReadings(text: string): string[] {
  const decode = (from: string) =>
    from.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const turn = (from: string) => from.replaceAll('\\', '/');
  const merge = (from: string) => from.replace(/\/+/g, '/');
  const strip = (from: string) =>
    from
      .split('/')
      .map((segment) => segment.split(';')[0])
      .join('/');
  const segmentwise = (from: string) =>
    from
      .split('/')
      .map((segment) => strip(decode(segment).split(';')[0]))
      .join('/');
  const reparse = (from: string) => from.split(/[?#]/)[0];
  const steps = [decode, turn, merge, strip, segmentwise, reparse];
  const seen = new Set([text]);
  // Each step at most once: nobody sane decodes twice, and what does is not our upstream's problem but its own.
  const walk = (from: string, left: typeof steps) => {
    seen.add(from);
    for (const step of left) {
      const used = step === decode || step === segmentwise ? [decode, segmentwise] : [step];
      walk(
        step(from),
        left.filter((other) => !used.includes(other)),
      );
    }
  };
  walk(text, steps);
  return [...seen];
}

policy('whatever an upstream makes of a path that is forwarded, it is a path of the same route', () => {
  const ids = ['x.test', 'x.test/a', 'x.test/a/b', 'x.test/b', 'x.test/a/a', 'x.test/b/a/b'];
  const bit = fc.constantFrom(
    '/',
    '/',
    '/',
    'a',
    'b',
    'a/b',
    '%61',
    '%62',
    '%2f',
    '%5c',
    ';',
    '%3b',
    '%3f',
    '%23',
    'c',
    '//',
  );
  let forwarded = 0;
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 8 }), fc.subarray(ids, { minLength: 1 }), (bits, some) => {
      const text = `/${bits.join('')}`;
      const made = tableOf(...some);
      const got = outcome(made, text);
      if (got === 'OO_BAD_PATH') return;
      forwarded++;
      for (const reading of upstreamReadings(text)) {
        const plainReading = outcomeAsIs(some, reading);
        assert.is(plainReading, got, `${text} read as ${reading}`);
      }
    }),
    { numRuns: 3000 },
  );
  assert.ok(forwarded > 300, `only ${forwarded} were forwarded: the test looks at nothing`);
});

/** The longest prefix of the reading, taken literally. */
function outcomeAsIs(ids: readonly string[], reading: string): string {
  const fits = ids.filter((id) => id === 'x.test' || `${reading}/`.startsWith(`${id.slice(6)}/`));
  return fits.sort((a, b) => b.length - a.length)[0] ?? 'OO_NO_ROUTE';
}

policy.run();
