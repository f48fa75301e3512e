import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decide } from '../../src/core/decide.ts';
import { explainMatch } from '../../src/core/explain.ts';
import type { Loss } from '../../src/core/explain-types.ts';
import { parseRouteId } from '../../src/core/host.ts';
import { compile, draft } from '../../src/core/routes.ts';
import { getRoute, type RouteTable } from '../../src/core/table.ts';
import type { Route, Scheme } from '../../src/core/types.ts';
import { anyAuthority, anyPath, anyRoutes, lastOfEach, naiveMatch } from './naive.ts';

const explaining = suite('explain');

function tableOf(...ids: string[]): RouteTable {
  const made = compile(
    ids.map((id) => ({ id, target: '10.0.0.1' })),
    1,
  );
  if ('faults' in made) throw new Error(made.faults[0].message);
  return made.table;
}

/** Paths with escapes, dots, params and empty segments among plain ones. */
const oddPath = fc
  .array(
    fc.constantFrom(
      'app',
      'admin',
      'a',
      'APP',
      'app2',
      '',
      '.',
      '..',
      '%2e%2E',
      'app%2Fadmin',
      'a;x',
      '%61',
      '%',
      '%00',
    ),
    { maxLength: 5 },
  )
  .map((parts) => `/${parts.join('/')}`);
const path = fc.oneof({ weight: 2, arbitrary: anyPath }, { weight: 3, arbitrary: oddPath }, fc.constant(''));
const authority = fc.oneof({ weight: 9, arbitrary: anyAuthority }, fc.constantFrom('', 'a@b', 'a,b', 'a:0', 'A.b.'));
const scheme = fc.constantFrom<Scheme>('http', 'https');

explaining("it is the data path's decision, and each runner-up matches less well: for any table and request", () => {
  fc.assert(
    fc.property(anyRoutes, scheme, authority, path, (list, scheme, authority, path) => {
      const routes = lastOfEach(list);
      const made = compile(routes, 1);
      if ('faults' in made) throw new Error(made.faults[0].message);
      const { table } = made;
      const told = explainMatch(table, scheme, authority, path);
      assert.is(told.decision, decide(table, scheme, authority, path));
      const winner = told.decision.kind === 'forward' ? told.decision.route.id : undefined;
      if (winner !== undefined) {
        const rest = routes.map(({ id }) => ({ id: getRoute(table, id)!.id }) as Route);
        // A second opinion: the rules as a loop over all routes.
        if (authority !== '') assert.is(naiveMatch(rest, scheme, authority, path), winner);
        const ids = told.runnersUp.map(({ id }) => id);
        assert.not(ids.includes(winner), 'the winner is no runner-up');
        assert.is(new Set(ids).size, ids.length, 'each is there once');
        for (const { id, loss } of told.runnersUp) checkLoss(table, winner, id, loss, scheme, authority, path, rest);
        const takers = rest.filter(({ id }) => naiveMatch([{ id }] as Route[], scheme, authority, path) !== undefined);
        const listed = told.runnersUp.filter(({ loss }) => loss === 'shorter' || loss === 'host');
        if (authority !== '')
          assert.is(Math.min(12, takers.length - 1), listed.length, 'those that match come before all others');
        assert.is(told.misses.length, 0);
      } else if (told.decision.kind === 'reply' && told.decision.code === 'OO_NO_ROUTE') {
        assert.ok(told.runnersUp.every(({ loss }) => loss !== 'shorter' && loss !== 'host'));
      }
      assert.ok(told.why.length > 0);
    }),
    { numRuns: 3_000 },
  );
});

/** That it lost for the reason that is said: by what the two do alone, and against one another. */
function checkLoss(
  table: RouteTable,
  winner: string,
  id: string,
  loss: Loss,
  scheme: Scheme,
  authority: string,
  path: string,
  routes: readonly Route[],
): void {
  const alone = compile([getRoute(table, id)!.route], 1);
  if ('faults' in alone) throw new Error('it was good before');
  const decision = decide(alone.table, scheme, authority, path);
  if (loss === 'shorter' || loss === 'host') {
    // The policy on ambiguous paths may refuse it alone; never does it go elsewhere.
    if (decision.kind === 'forward') assert.is(decision.route.id, id);
    const one = parseRouteId(id);
    const other = parseRouteId(winner);
    if (typeof one === 'string' || typeof other === 'string') throw new Error('ids are in normal form');
    if (loss === 'shorter') {
      assert.is(one.host, other.host);
      assert.is(one.port, other.port);
      assert.ok(one.prefix.length < other.prefix.length);
    } else assert.ok(one.host !== other.host || one.port !== other.port);
    // Without the winner it, or another of those that match, takes it.
    const rest = routes.filter((route) => route.id !== winner);
    if (authority !== '') assert.ok(naiveMatch(rest, scheme, authority, path) !== undefined);
  } else assert.is(decision.kind, 'reply', `${id} alone takes nothing of it (${loss})`);
}

function losses(table: RouteTable, authority: string, path: string, scheme: Scheme = 'http'): string[] {
  return explainMatch(table, scheme, authority, path).runnersUp.map(({ id, loss }) => `${loss} ${id}`);
}

const world = tableOf(
  ...[
    'app.test',
    'app.test/api',
    'app.test/api/v1',
    'app.test/app',
    'app.test:8080/api',
    '*.test/api',
    '*',
    '*.app.test',
  ],
);

explaining('each way to lose has its word', () => {
  assert.equal(losses(world, 'app.test', '/api/v1/x'), [
    ...['shorter app.test/api', 'shorter app.test', 'host *.test/api', 'host *'],
    ...['port app.test:8080/api', 'label *.app.test', 'path app.test/app'],
  ]);
  assert.equal(losses(world, 'app.test', '/application').slice(0, 3), [
    'host *',
    'edge app.test/app',
    'label *.app.test',
  ]);
  assert.ok(losses(world, 'app.test', '/API').includes('case app.test/api'));
  assert.ok(losses(world, 'app.test:8080', '/api').includes('shorter app.test/api') === false);
  assert.ok(losses(world, 'app.test:8080', '/api').includes('host app.test/api'));
  assert.ok(losses(tableOf('*.test', '*'), 'a.b.test', '/').includes('label *.test'));
});

explaining('reasons say what is meant', () => {
  const { why, runnersUp } = explainMatch(world, 'http', 'app.test', '/api/v1/x');
  assert.is(why, 'app.test is the host itself; /api/v1 is the longest prefix of /api/v1/x that it has');
  assert.is(runnersUp[0].why, 'it takes /api, but /api/v1 is longer');
  assert.is(runnersUp[2].why, 'its host *.test is less exact than app.test');
  assert.is(runnersUp[4].why, 'its id names the port 8080; the request is for 80');
  const edge = explainMatch(world, 'http', 'app.test', '/application').runnersUp.find(({ loss }) => loss === 'edge');
  assert.is(edge?.why, '/app ends inside a segment of /application: a prefix is whole segments');
});

explaining('a path that can be read in two ways: what else it is, and whose', () => {
  const { decision, why, readings } = explainMatch(world, 'http', 'app.test', '/x/..%2fapi');
  assert.equal(decision, { kind: 'reply', code: 'OO_BAD_PATH' });
  assert.match(why, /segment \. or \.\./);
  assert.equal(readings, []);
  const split = explainMatch(world, 'http', 'app.test', '/api%2Fv1');
  assert.equal(split.decision, { kind: 'reply', code: 'OO_BAD_PATH' });
  assert.is(split.why, '/api%2Fv1 can be read as /api/v1 as well, and that is for app.test/api/v1, not for app.test');
  assert.equal(split.readings, [{ path: '/api/v1', route: 'app.test/api/v1' }]);
  const same = explainMatch(world, 'http', 'app.test', '/api/v1/a%2Fb');
  assert.is(same.decision.kind, 'forward');
  assert.equal(same.readings, [{ path: '/api/v1/a/b', route: 'app.test/api/v1' }]);
});

const refused: [path: string, word: RegExp][] = [
  ['/a/../b', /segment \. or \.\./],
  ['/a/%2e%2E/b', /segment \. or \.\./],
  ['/a\\b', /backslash/],
  ['/a%0', /'%0', which is no escape/],
  ['/a%zzb', /'%zz', which is no escape/],
  ['/a%00b', /%00/],
  ['/%c0%af', /overlong/],
  ['x', /does not begin with a slash/],
  ['/é', /no path has raw/],
];
for (const [path, word] of refused) {
  explaining(`${path} is refused, and why`, () => {
    const { decision, why } = explainMatch(world, 'http', 'app.test', path);
    assert.equal(decision, { kind: 'reply', code: 'OO_BAD_PATH' });
    assert.match(why, word);
  });
}

const misses: [ids: string[], authority: string, path: string, lines: string[]][] = [
  [
    ['app.test/api', 'app.test/web'],
    'app.test',
    '/ap',
    ['app.test has routes, but only under /api, /web; did you mean /api?'],
  ],
  [
    ['app.test/api/users'],
    'app.test',
    '/api/usres/7',
    ['app.test has routes, but only under /api/users; did you mean /api/users?'],
  ],
  [['app.example.com'], 'app.exmaple.com', '/', ['did you mean app.example.com?']],
  [
    ['app.example.com', 'web.example.com'],
    'shop.example.com',
    '/',
    ['other hosts of example.com: app.example.com, web.example.com'],
  ],
  [['example.com'], 'www.example.com', '/', ['example.com exists, and www.example.com does not']],
  [
    ['*.example.com'],
    'example.com',
    '/',
    ['*.example.com exists: it covers hosts under example.com, not example.com itself'],
  ],
  [
    ['*.example.com'],
    'a.b.example.com',
    '/',
    ['*.example.com exists: it covers one label, and a.b.example.com has more'],
  ],
  [['app.test:8080'], 'app.test', '/', ['app.test has routes, but only for port 8080']],
  [[], 'app.test', '/', ['there is no route at all yet']],
  [['app.test'], '', '/', ['a request that names no host is taken by routes for any host (*) only']],
];
for (const [ids, authority, path, lines] of misses) {
  explaining(`near misses of '${authority}' ${path}: ${lines}`, () => {
    const told = explainMatch(tableOf(...ids), 'http', authority, path);
    assert.equal(told.decision, { kind: 'reply', code: 'OO_NO_ROUTE' });
    assert.equal(told.misses, lines);
  });
}

explaining('a host of many prefixes: the nearest are listed, the rest is counted', () => {
  const ids = Array.from({ length: 500 }, (_, i) => `app.test/p${i}`);
  const told = explainMatch(tableOf('app.test', ...ids), 'http', 'app.test', '/p49/x');
  assert.is(told.decision.kind === 'forward' && told.decision.route.id, 'app.test/p49');
  assert.is(told.runnersUp.length, 12);
  assert.is(told.more, 488);
  assert.is(told.runnersUp[0].id, 'app.test');
});

explaining('a bad host is said to be one', () => {
  const { decision, why } = explainMatch(world, 'http', 'a@b', '/');
  assert.equal(decision, { kind: 'reply', code: 'OO_BAD_HOST' });
  assert.is(why, "'a@b' is not one valid host, with or without a port");
});

explaining('among 100,000 hosts', () => {
  const next = draft(tableOf('app.example.com'));
  for (let i = 0; i < 100_000; i++) next.save({ id: `host${i}.customers.test`, target: '10.0.0.1' });
  const told = explainMatch(next.finish(2), 'http', 'host4711.custmoers.test', '/');
  assert.match(told.misses[0], /did you mean host\d+\.customers\.test\?/);
});

explaining.run();
