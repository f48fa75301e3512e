import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ImpactExample, impactOf, type RequestHead, type Routing } from '../../src/core/impact.ts';
import { compile } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';
import { anyAuthority, anyPath, anyRoutes, lastOfEach, naiveMatch } from './naive.ts';

const impact = suite('impact');

function routing(routes: readonly Route[], services: Routing['serviceTarget'] = undefined): Routing {
  const made = compile(routes, 1);
  if ('faults' in made) throw new Error(made.faults.map(({ message }) => message).join('; '));
  return { table: made.table, ...(services && { serviceTarget: services }) };
}

function heads(...urls: string[]): RequestHead[] {
  return urls.map((url) => {
    const [, scheme, host, path] = /^(https?):\/\/([^/]*)(.*)$/.exec(url) ?? [];
    return { scheme: scheme as 'http' | 'https', method: 'GET', host, path };
  });
}

const app: Route = { id: 'app.test', target: 'http://10.0.0.1:3000' };
const api: Route = { id: 'app.test/api', target: 'http://10.0.0.2:3000' };
const seen = heads(...['/', '/', '/x', '/api', '/api/users', '/api/users'].map((path) => `https://app.test${path}`));

function change(before: readonly Route[], after: readonly Route[], requests = seen) {
  return impactOf(routing(before), routing(after), requests);
}

impact('nothing changes', () => {
  assert.equal(change([app, api], [{ ...api }, { ...app, owner: 'shop', certificate: 'app.test' }]), {
    ...{ requests: 6, retargeted: 0, altered: 0, examples: [] },
  });
});

impact('who goes elsewhere is counted, with examples, the most frequent first', () => {
  const moved = change([app], [app, api]);
  assert.equal([moved.requests, moved.retargeted, moved.altered], [6, 3, 0]);
  const example = { method: 'GET', from: 'app.test → http://10.0.0.1:3000', to: 'app.test/api → http://10.0.0.2:3000' };
  assert.equal(moved.examples, [
    { ...example, url: 'https://app.test/api/users', requests: 2 },
    { ...example, url: 'https://app.test/api', requests: 1 },
  ]);
});

const words: [name: string, before: Route[], after: Route[], counts: [number, number], to: string | undefined][] = [
  ['a route that is gone', [app], [], [6, 0], '404 OO_NO_ROUTE'],
  [
    'a redirect',
    [app],
    [{ id: 'app.test', redirect: 'https://www.test' }],
    [6, 0],
    'app.test → redirect to https://www.test',
  ],
  ['a static answer', [app], [{ id: 'app.test', respond: { status: 410 } }], [6, 0], 'app.test → answer 410'],
  ['maintenance', [app], [{ ...app, maintenance: true }], [6, 0], 'app.test → maintenance'],
  ['no maintenance, said', [app], [{ ...app, maintenance: false }], [0, 6], 'app.test → http://10.0.0.1:3000'],
  ['stopped', [app], [{ ...app, rollout: { gate: { state: 'stopped' } } }], [6, 0], 'app.test → stopped'],
  [
    'a weight',
    [app],
    [{ ...app, target: [{ url: 'http://10.0.0.1:3000', weight: 2 }] }],
    [6, 0],
    'app.test → http://10.0.0.1:3000',
  ],
  ['other options', [app], [{ ...app, compress: true }], [0, 6], 'app.test → http://10.0.0.1:3000'],
  ['another route to the same', [app], [{ ...app, id: '*' }], [0, 6], '* → http://10.0.0.1:3000'],
  ['another path', [app], [{ ...app, addPrefix: '/v2' }], [6, 0], 'app.test → http://10.0.0.1:3000'],
];
for (const [name, before, after, counts, to] of words) {
  impact(`${name}: ${counts}`, () => {
    const { retargeted, altered, examples } = change(before, after);
    assert.equal([retargeted, altered], counts);
    assert.is(examples[0]?.to, to);
  });
}

impact('the definition of a service counts', () => {
  const routes: Route[] = [{ id: '*', target: 'service://users' }];
  const target = (text?: string) => routing(routes, (slug) => (slug === 'users' ? text : undefined));
  assert.is(impactOf(target(), target(), seen).retargeted, 0);
  const { retargeted, examples } = impactOf(target('10.0.0.1'), target('10.0.0.2'), seen);
  assert.is(retargeted, 6);
  assert.is(examples[0].from, '* → service://users (10.0.0.1)');
  assert.is(examples[0].to, '* → service://users (10.0.0.2)');
});

impact('ten examples at most, and hosts and paths that are refused', () => {
  const many = Array.from({ length: 30 }, (_, i) => `https://app.test/p${i}`);
  const { retargeted, examples } = change([app], [], heads(...many, 'https://app.test/../x', 'https://a@b/'));
  assert.is(retargeted, 30, 'what was refused before is refused still');
  assert.is(examples.length, 10);
});

impact('it says what the tables say: for any two of them', () => {
  const request = fc.tuple(fc.constantFrom('http' as const, 'https' as const), anyAuthority, anyPath);
  fc.assert(
    fc.property(anyRoutes, anyRoutes, fc.array(request, { maxLength: 12 }), (one, two, requests) => {
      const [before, after] = [lastOfEach(one), lastOfEach(two)];
      const list = requests.map(([scheme, host, path]) => ({ scheme, method: 'GET', host, path }));
      const told = change(before, after, list);
      const targetIn = (routes: readonly Route[], { scheme, host, path }: RequestHead) => {
        const id = naiveMatch(routes, scheme, host, path);
        return routes.find((route) => route.id === id)?.target;
      };
      // Paths with empty segments may be refused: they are the property of decide.
      const plain = list.filter(({ path }) => !path.includes('//'));
      const expected = plain.filter((head) => targetIn(before, head) !== targetIn(after, head)).length;
      const counted = change(before, after, plain);
      assert.is(counted.retargeted, expected);
      assert.is(told.requests, list.length);
      assert.ok(told.retargeted + told.altered <= told.requests);
      const sum = (examples: readonly ImpactExample[]) => examples.reduce((total, { requests }) => total + requests, 0);
      if (told.retargeted > 0 && told.examples.length < 10) assert.is(sum(told.examples), told.retargeted);
    }),
    { numRuns: 1_000 },
  );
});

impact('handlers: another version alters, one in the place of a target leads elsewhere, its file says nothing', () => {
  const handled = (file: string, source: string, more: object = {}): Route => ({
    ...app,
    handler: { file, source },
    ...more,
  });
  const one = handled('./a.mjs', 'one');
  assert.equal(change([one], [handled('/elsewhere/a.mjs', 'one')]).altered, 0);
  const other = change([one], [handled('./a.mjs', 'two')]);
  assert.equal([other.retargeted, other.altered], [0, 6]);
  assert.match(other.examples[0].from, /^app\.test → handler a\.mjs @ [0-9a-f]{8} → http:\/\/10\.0\.0\.1:3000$/);
  assert.is.not(other.examples[0].from, other.examples[0].to);
  const moved = change([one], [handled('./a.mjs', 'one', { target: 'http://10.0.0.9' })]);
  assert.is(moved.retargeted, 6);
  const alone = change([app], [{ id: app.id, handler: { source: 'one' } }]);
  assert.is(alone.retargeted, 6);
  assert.match(alone.examples[0].to, /^app\.test → handler handler @ [0-9a-f]{8}$/);
});

impact.run();
