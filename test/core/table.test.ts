import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compile, draft } from '../../src/core/routes.ts';
import { emptyTable, findHosts, getRoute, matchPath, type RouteTable, routesOf } from '../../src/core/table.ts';
import type { Route, Scheme } from '../../src/core/types.ts';
import { anyAuthority, anyPath, anyRoutes, lastOfEach, naiveMatch } from './naive.ts';

const target = 'http://10.0.0.1:3000';

function tableOf(...ids: string[]): RouteTable {
  const result = compile(
    ids.map((id) => ({ id, target })),
    1,
  );
  if ('faults' in result) throw new Error(result.faults.map((fault) => fault.message).join('; '));
  return result.table;
}

function match(table: RouteTable, authority: string, path = '/', scheme: Scheme = 'http'): string | undefined {
  const hosts = findHosts(table, scheme, authority);
  return hosts && matchPath(hosts, path)?.id;
}

/** Everything that a table says, in an order that does not depend on how it was made. */
function contents(table: RouteTable) {
  const routes = [...routesOf(table)].map((compiled) => JSON.stringify([compiled.id, compiled.route]));
  return { size: table.size, ported: table.ported, routes: routes.sort() };
}

const table = suite('table');

const cases: [name: string, ids: string[], requests: [authority: string, path: string, id: string | undefined][]][] = [
  [
    'the exact host, in any case, with a trailing dot or a port',
    ['app.test'],
    [
      ['app.test', '/', 'app.test'],
      ['APP.test.', '/x', 'app.test'],
      ['app.test:443', '/', 'app.test'],
      ['app.test:8080', '/', 'app.test'],
      ['evilapp.test', '/', undefined],
      ['app.test.evil', '/', undefined],
      ['x.app.test', '/', undefined],
      ['test', '/', undefined],
    ],
  ],
  [
    'a port that the id names',
    ['app.test:8080', 'app.test'],
    [
      ['app.test:8080', '/', 'app.test:8080'],
      ['app.test', '/', 'app.test'],
      ['app.test:80', '/', 'app.test'],
    ],
  ],
  [
    "the scheme's port, where Host names none",
    ['app.test:80', 'b.test:443'],
    [
      ['app.test', '/', 'app.test:80'],
      ['app.test:', '/', 'app.test:80'],
      ['app.test:81', '/', undefined],
      ['b.test', '/', undefined],
      ['b.test:443', '/', 'b.test:443'],
    ],
  ],
  [
    'a wildcard covers exactly one label',
    ['*.example.com'],
    [
      ['a.example.com', '/', '*.example.com'],
      ['A.Example.com.:81', '/', '*.example.com'],
      ['a.b.example.com', '/', undefined],
      ['example.com', '/', undefined],
      ['a.example.com.evil', '/', undefined],
      ['aexample.com', '/', undefined],
    ],
  ],
  [
    'exact before wildcard before any',
    ['a.example.com', '*.example.com', '*'],
    [
      ['a.example.com', '/', 'a.example.com'],
      ['b.example.com', '/', '*.example.com'],
      ['example.com', '/', '*'],
      ['localhost', '/', '*'],
      ['127.0.0.1', '/', '*'],
      ['[::1]:99', '/', '*'],
    ],
  ],
  [
    'with a port before without, at each level, but a host before its wildcard with a port',
    ['*.a.test:80', '*.a.test', '*:80', '*', 'x.a.test'],
    [
      ['x.a.test', '/', 'x.a.test'],
      ['y.a.test', '/', '*.a.test:80'],
      ['y.a.test:81', '/', '*.a.test'],
      ['z.test', '/', '*:80'],
      ['z.test:81', '/', '*'],
    ],
  ],
  [
    'the longest prefix, on a segment edge, with its case',
    ['x.test', 'x.test/app', 'x.test/app/admin'],
    [
      ['x.test', '/app/admin/settings', 'x.test/app/admin'],
      ['x.test', '/app/admin', 'x.test/app/admin'],
      ['x.test', '/app/admin/', 'x.test/app/admin'],
      ['x.test', '/app/administrator', 'x.test/app'],
      ['x.test', '/app/page', 'x.test/app'],
      ['x.test', '/app', 'x.test/app'],
      ['x.test', '/application', 'x.test'],
      ['x.test', '/APP', 'x.test'],
      ['x.test', '/', 'x.test'],
      ['x.test', '', 'x.test'],
      ['x.test', '/x/app', 'x.test'],
      ['x.test', 'xapp', 'x.test'],
    ],
  ],
  [
    'a prefix without routes above it',
    ['x.test/a/b/c'],
    [
      ['x.test', '/a/b/c/d', 'x.test/a/b/c'],
      ['x.test', '/a/b', undefined],
      ['x.test', '/', undefined],
    ],
  ],
  [
    'the next host level, where no prefix of the better one fits',
    ['a.test/app', '*.test/web', '*', '*:80/app/x'],
    [
      ['a.test', '/app/x', 'a.test/app'],
      ['a.test', '/web', '*.test/web'],
      ['a.test', '/other', '*'],
      ['b.test', '/app/x', '*:80/app/x'],
      ['b.test:81', '/app/x', '*'],
    ],
  ],
  [
    'addresses',
    ['127.0.0.1', '::1', '[2001:db8::1]:8080/x'],
    [
      ['127.0.0.1:8080', '/', '127.0.0.1'],
      ['127.0.0.2', '/', undefined],
      ['[::1]:99', '/', '[::1]'],
      ['[0:0:0:0:0:0:0:1]', '/', '[::1]'],
      ['[2001:0DB8::1]:8080', '/x/y', '[2001:db8::1]:8080/x'],
      ['[2001:db8::1]', '/x/y', undefined],
    ],
  ],
  [
    'no Host at all: only routes for any',
    ['a.test', '*', '*:80/x'],
    [
      ['', '/', '*'],
      ['', '/x', '*:80/x'],
    ],
  ],
  [
    "the seed's example",
    ['127.0.0.1', 'localhost'],
    [
      ['127.0.0.1:80', '/', '127.0.0.1'],
      ['localhost', '/a?', 'localhost'],
    ],
  ],
];

for (const [name, ids, requests] of cases) {
  table(name, () => {
    const made = tableOf(...ids);
    for (const [authority, path, id] of requests) assert.is(match(made, authority, path), id, `${authority} ${path}`);
  });
}

table('https means port 443', () => {
  const made = tableOf('b.test:443');
  assert.is(match(made, 'b.test', '/', 'https'), 'b.test:443');
  assert.is(match(made, 'b.test', '/', 'http'), undefined);
});

table('an invalid authority is told from an unknown host', () => {
  const made = tableOf('app.test');
  assert.is(findHosts(made, 'http', 'a@b'), undefined);
  assert.equal(findHosts(made, 'http', 'other.test'), { levels: [], single: undefined });
});

table('single is set exactly where the path does not matter', () => {
  const single = (...ids: string[]) => findHosts(tableOf(...ids), 'http', 'a.test')?.single?.id;
  assert.is(single('a.test'), 'a.test');
  assert.is(single('a.test', '*', '*.test/x'), 'a.test');
  assert.is(single('*.test', '*/x'), '*.test');
  assert.is(single('*'), '*');
  assert.is(single('a.test', 'a.test/x'), undefined);
  assert.is(single('a.test/x', '*'), undefined);
  assert.is(single('a.test/x'), undefined);
  assert.is(single('a.test', 'a.test:80/x'), undefined);
  assert.is(single('b.test'), undefined);
});

table('the compiled route is frozen, and knows its decision', () => {
  const given: Route = { id: 'App.test:8080/x/', target: '10.0.0.1', connectTimeoutMs: 5 };
  const result = compile([given], 7);
  const route = 'table' in result ? getRoute(result.table, 'app.test:8080/x') : undefined;
  if (route === undefined) throw new Error('not there');
  assert.is(route.id, 'app.test:8080/x');
  assert.equal([route.host, route.port, route.prefix], ['app.test', 8080, '/x']);
  assert.equal(route.route, given);
  assert.not(Object.isFrozen(given), 'what the caller gave is the caller’s');
  assert.is(route.forward.route, route);
  assert.ok(Object.isFrozen(route) && Object.isFrozen(route.route) && Object.isFrozen(route.forward));
});

table('matches as a loop over all routes does', () => {
  fc.assert(
    fc.property(
      anyRoutes,
      anyAuthority,
      anyPath,
      fc.constantFrom<Scheme>('http', 'https'),
      (list, authority, path, scheme) => {
        const routes = lastOfEach(list);
        const made = tableOf(...routes.map((route) => route.id));
        const expected = naiveMatch(routes, scheme, authority, path);
        assert.is(match(made, authority, path, scheme), expected && getRoute(made, expected)?.id);
      },
    ),
    { numRuns: 3000 },
  );
});

table.run();

const faults = suite('compile: faults');

function faultsOf(...routes: unknown[]) {
  const result = compile(routes as Route[], 1);
  return 'faults' in result ? result.faults : [];
}

faults('names every fault of every route: place, id, field, what was expected', () => {
  const found = faultsOf(
    { id: 'a.test', target },
    { id: 'a..b', target: 'ftp://x' },
    { id: 'b.test', target: 'http://x:0' },
  );
  assert.equal(
    found.map(({ index, id, field }) => [index, id, field]),
    [
      [1, 'a..b', 'id'],
      [1, 'a..b', 'target'],
      [2, 'b.test', 'target'],
    ],
  );
  assert.match(found[0].message, /^id 'a\.\.b' has no valid host; expected a name/);
  assert.match(found[1].message, /^target 'ftp:\/\/x' has the unknown scheme 'ftp'; expected http/);
});

faults('duplicates by normal form', () => {
  for (const [first, second] of [
    ['a.test', 'A.test.'],
    ['a.test', 'a.test/'],
    ['::1', '[0:0:0:0:0:0:0:1]'],
    ['bücher.test', 'xn--bcher-kva.test'],
    ['a.test:80/x', 'a.test:080/x/'],
  ]) {
    const found = faultsOf({ id: first, target }, { id: 'z.test', target }, { id: second, target });
    assert.is(found.length, 1, `${first} ${second}`);
    assert.is(found[0].index, 2);
    assert.match(found[0].message, /same as that of route 1 of this list/);
  }
  assert.equal(faultsOf({ id: 'a.test', target }, { id: 'a.test:80', target }, { id: 'a.test/x', target }), []);
});

const badOptions: [option: object, field: string][] = [
  [{ hostHeader: 'server' }, 'hostHeader'],
  [{ insecureSkipVerify: 'no' }, 'insecureSkipVerify'],
  [{ connectTimeoutMs: 0 }, 'connectTimeoutMs'],
  [{ responseTimeoutMs: 2 ** 31 }, 'responseTimeoutMs'],
  [{ idleTimeoutMs: 1.5 }, 'idleTimeoutMs'],
  [{ idleTimeoutMs: '5' }, 'idleTimeoutMs'],
  [{ maxBodyBytes: -1 }, 'maxBodyBytes'],
  [{ maxBodyBytes: Number.NaN }, 'maxBodyBytes'],
];
for (const [option, field] of badOptions) {
  faults(`refuses ${JSON.stringify(option)}`, () => {
    const found = faultsOf({ id: 'a.test', target, ...option });
    assert.equal(
      found.map((fault) => fault.field),
      [field],
    );
    assert.match(found[0].message, /expected/);
  });
}

faults('takes the least and the most of each option', () => {
  const most = { connectTimeoutMs: 2 ** 31 - 1, responseTimeoutMs: 1, idleTimeoutMs: 1, maxBodyBytes: 0 };
  assert.equal(faultsOf({ id: 'a.test', target, ...most, hostHeader: 'upstream', insecureSkipVerify: true }), []);
});

faults('quotes in one short line', () => {
  const [fault] = faultsOf({ id: `a\r\nb${'x'.repeat(5000)}`, target });
  assert.not.match(fault.message, /[\r\n]/);
  assert.ok(fault.message.length < 300);
});

faults.run();

const drafts = suite('draft');

type Step = { save: Route } | { remove: string };

const steps: fc.Arbitrary<Step[]> = anyRoutes.chain((routes) =>
  fc
    .array(
      fc
        .integer({ min: 0, max: Math.max(0, routes.length - 1) })
        .chain((i) => fc.boolean().map((save) => ({ i, save }))),
      {
        maxLength: routes.length * 2,
      },
    )
    .map((order) => order.map(({ i, save }) => (save ? { save: routes[i] } : { remove: routes[i].id }))),
);

function take(next: { save(route: Route): void; remove(id: string): void }, step: Step): void {
  if ('save' in step) next.save(step.save);
  else next.remove(step.remove);
}

drafts('what a draft comes to is what compile makes of the same routes; the table it came from stays as it was', () => {
  fc.assert(
    fc.property(anyRoutes, steps, fc.nat(10), anyAuthority, anyPath, (list, changes, cut, authority, path) => {
      const before = compile(lastOfEach(list), 1);
      if ('faults' in before) throw new Error('faults');
      const was = contents(before.table);
      const next = draft(before.table);
      for (const step of changes.slice(0, cut)) take(next, step);
      const between = next.finish(2);
      const wasBetween = contents(between);
      for (const step of changes.slice(cut)) take(next, step);
      const after = next.finish(3);

      const expected = new Map(list.map((route) => [normal(route.id), route]));
      for (const step of changes) {
        if ('save' in step) expected.set(normal(step.save.id), step.save);
        else expected.delete(normal(step.remove));
      }
      const fresh = compile(expected.values(), 3);
      if ('faults' in fresh) throw new Error('faults');
      assert.equal(contents(after), contents(fresh.table));
      assert.is(match(after, authority, path), match(fresh.table, authority, path));
      assert.equal(contents(before.table), was);
      assert.equal(contents(between), wasBetween);
      assert.equal([before.table.revision, between.revision, after.revision], [1, 2, 3]);
    }),
    { numRuns: 1000 },
  );
});

function normal(id: string): string {
  return getRoute(tableOf(id), id)!.id;
}

drafts('a large table: many hosts, and many prefixes on one host', () => {
  const ids = Array.from({ length: 3000 }, (_, i) => (i % 2 === 0 ? `h${i}.test` : `one.test/p${i}`));
  const before = tableOf(...ids);
  assert.is(before.size, 3000);
  for (const id of ids) assert.is(getRoute(before, id)?.id, id);
  const next = draft(before);
  for (const id of ids.slice(0, 2000)) next.remove(id);
  next.save({ id: 'one.test/p1', target: 'http://10.0.0.2' });
  const after = next.finish(2);
  assert.is(after.size, 1001);
  assert.is([...routesOf(after)].length, 1001);
  assert.is(getRoute(after, 'h0.test'), undefined);
  assert.is(getRoute(after, 'one.test/p1')?.pool.targets[0].target.href, 'http://10.0.0.2:80');
  assert.is(getRoute(before, 'one.test/p1')?.pool.targets[0].target.href, 'http://10.0.0.1:3000');
  assert.is([...routesOf(before)].length, 3000);
});

drafts('a change shares all that it does not touch', () => {
  const ids = Array.from({ length: 5000 }, (_, i) => `h${i}.test`);
  const before = tableOf(...ids);
  const next = draft(before);
  next.save({ id: 'h7.test/x', target });
  const after = next.finish(2);
  const kept = ids.filter((id) => before.hosts.get(id) === after.hosts.get(id));
  assert.is(kept.length, 4999);
  assert.is(getRoute(after, 'h7.test'), getRoute(before, 'h7.test'), 'the compiled route itself is kept');
});

drafts('removing what is not there is nothing', () => {
  const before = tableOf('a.test/x/y');
  const next = draft(before);
  for (const id of ['b.test', 'a.test', 'a.test/x', 'a.test/x/y/z', 'a.test:80/x/y', 'not an id', '']) next.remove(id);
  assert.equal(contents(next.finish(2)), contents(before));
  next.remove('A.test/x/y/');
  const after = next.finish(3);
  assert.is(after.size, 0);
  assert.is(after.hosts.size, 0, 'nothing is left of the tree');
});

drafts('throws for a route that compile refuses, and stays as it was', () => {
  const next = draft(emptyTable());
  assert.throws(() => next.save({ id: 'a..b', target }), /has no valid host/);
  assert.is(next.finish(1).size, 0);
});

drafts.run();

const cost = suite('matching cost');

/** Lookups that matching one path makes. Spoils the table. */
function lookups(made: RouteTable, authority: string, path: string): number {
  const hosts = findHosts(made, 'http', authority)!;
  let count = 0;
  const counting = new Set<object>();
  const watch = (node: { children: unknown }) => {
    const { children } = node as { children: { get(key: string): unknown } | undefined };
    if (children === undefined || counting.has(children)) return;
    counting.add(children);
    const get = children.get.bind(children);
    Object.defineProperty(children, 'get', {
      value: (key: string) => {
        count++;
        const child = get(key);
        if (child !== undefined) watch(child as { children: unknown });
        return child;
      },
    });
  };
  for (const level of hosts.levels) watch(level);
  matchPath(hosts, path);
  return count;
}

cost('does not grow with the number of routes', () => {
  const few = tableOf('a.test', 'a.test/p1');
  const many = tableOf(
    'a.test',
    ...Array.from({ length: 2000 }, (_, i) => `a.test/p${i}`),
    ...Array.from({ length: 2000 }, (_, i) => `h${i}.test`),
  );
  assert.is(lookups(few, 'a.test', '/p1/x/y'), lookups(many, 'a.test', '/p1/x/y'));
});

cost('a hostile path is left at its first unknown segment', () => {
  const ids = ['a.test', 'a.test/x', 'a.test/x/y', '*/x', '*.test/x'];
  assert.is(lookups(tableOf(...ids), 'a.test', '/'.repeat(8192)), 1);
  assert.is(lookups(tableOf(...ids), 'a.test', '/x'.repeat(4096)), 2);
  assert.is(lookups(tableOf('a.test/x', '*.test/x', '*/x'), 'a.test', '/y'.repeat(4096)), 3);
});

cost.run();
