import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { pointerOf, pointerTo } from '../../src/admin/pointer.ts';
import { apiApps } from '../helpers/api-apps.ts';
import { callerOf } from '../helpers/registry-server.ts';

const resources = suite('admin: each thing by its id, pages, revisions');

const [a, b, c] = ['a.test', 'b.test', 'b.test/api'].map((id) => ({ id, target: 'http://127.0.0.1:1' }));

async function started() {
  const { admin, configuration, registry, faults, stop } = await apiApps();
  const call = callerOf(admin);
  assert.is((await call('PUT', '/v1/routes', { routes: [a, b, c] })).status, 200);
  return { call, configuration, registry, faults, stop };
}

resources('a route by its id: read, saved, removed; 404 names the nearest', async () => {
  const { call, configuration, stop } = await started();
  const read = await call('GET', '/v1/routes/b.test%2Fapi');
  assert.equal([read.status, read.headers.get('etag'), read.body], [200, '"1"', c]);
  const tried = await call('PUT', '/v1/routes/n.test?dryRun=true', { target: 'x' });
  assert.equal([tried.status, tried.body.outcome, tried.body.revision], [200, 'created', 1]);
  assert.equal(tried.body.changes, [
    { kind: 'route', id: 'n.test', before: null, after: { id: 'n.test', target: 'x' } },
  ]);
  assert.is(configuration.get('n.test'), undefined);
  const made = await call('PUT', '/v1/routes/N.test?reason=new', { id: 'n.test.', target: 'x' }, { 'if-match': '"1"' });
  assert.equal([made.status, made.headers.get('etag'), made.body.outcome], [201, '"2"', 'created']);
  assert.is((await call('PUT', '/v1/routes/n.test', { target: 'x' })).body.outcome, 'unchanged');
  assert.is((await call('PUT', '/v1/routes/n.test', { id: 'other.test', target: 'x' })).status, 400);
  assert.is((await call('DELETE', '/v1/routes/n.test', undefined, { 'if-match': '"1"' })).status, 412);
  assert.equal((await call('DELETE', '/v1/routes/n.test')).body, { revision: 3, removed: 'n.test' });
  for (const method of ['GET', 'DELETE']) {
    const { status, body } = await call(method, '/v1/routes/a.tets');
    assert.equal([status, body.code, body.hint], [404, 'OO_NOT_FOUND', 'Did you mean a.test?']);
  }
  await stop();
});

resources('a fault of one route has a pointer into the body that was sent, down into mappings', async () => {
  const { call, stop } = await started();
  const bad = await call('PUT', '/v1/routes/a.test', {
    target: [{ url: 'x', weight: -1 }],
    balance: { polcy: 'hash' },
  });
  assert.equal([bad.status, bad.headers.get('content-type')], [400, 'application/problem+json']);
  const pointers = bad.body.faults.map(({ pointer }: { pointer: string }) => pointer).sort();
  assert.equal(pointers, ['/balance/polcy', '/target/0/weight']);
  const apply = await call('POST', '/v1/apply', {
    routes: [a, { id: 'x y', target: 't' }],
    services: [{ id: 's', limits: { maxWaiting: -1 } }],
    settings: { historyRevisions: 0 },
  });
  assert.equal(
    apply.body.faults.map(({ pointer }: { pointer: string }) => pointer),
    ['/routes/1/id', '/services/0/limits/maxWaiting', '/settings/historyRevisions'],
  );
  await stop();
});

resources('pointers: names with dots, slashes, tildes', () => {
  const item = { responseHeaders: { set: { 'X.Y': '' } }, basicAuth: { users: {} } };
  const fault = (field: string, message: string) => pointerOf({ index: 3, field, message }, '/routes', item);
  assert.is(
    fault('responseHeaders', 'responseHeaders.set.X.Y is empty; expected a value'),
    '/routes/3/responseHeaders/set/X.Y',
  );
  assert.is(fault('access', 'access.allow[2]: x is not an address'), '/routes/3/access/allow/2');
  assert.is(fault('basicAuth', "basicAuth.users['ann'] is no hash"), '/routes/3/basicAuth/users');
  assert.is(fault('health', 'health is empty; expected false'), '/routes/3/health');
  assert.is(fault('owner', 'somebody else has it'), '/routes/3/owner');
  assert.is(pointerTo(['a/b', 0, 'c~d']), '/a~1b/0/c~0d');
});

resources('pages: limit and after, until there is no next; other limits are refused', async () => {
  const { call, stop } = await started();
  const seen: string[] = [];
  for (let next: string | undefined = ''; next !== undefined; ) {
    const { body } = await call('GET', `/v1/routes?limit=2&after=${encodeURIComponent(next)}`);
    assert.ok(body.routes.length > 0 && body.routes.length <= 2);
    seen.push(...body.routes.map(({ id }: { id: string }) => id));
    next = body.next;
  }
  assert.equal(seen, ['a.test', 'b.test', 'b.test/api']);
  assert.equal((await call('GET', '/v1/routes?limit=3')).body.next, undefined);
  for (const limit of ['0', '1001', '-1', '1.5', 'x', ''])
    assert.is((await call('GET', `/v1/routes?limit=${limit}`)).status, 400, limit);
  const misspelt = await call('PUT', '/v1/routes?dryrun=true', { routes: [] });
  assert.equal([misspelt.status, misspelt.body.hint], [400, 'Did you mean dryRun?']);
  await stop();
});

resources('services by their slug', async () => {
  const { call, registry, stop } = await started();
  const made = await call('PUT', '/v1/services/web', { balance: 'random' });
  assert.equal([made.status, made.body.outcome, made.body.service], [201, 'created', { id: 'web', balance: 'random' }]);
  await call('PUT', '/v1/instances', { slug: 'web', url: 'http://127.0.0.1:1' });
  await registry.settled();
  const { body } = await call('GET', '/v1/services/web');
  assert.equal([body.slug, body.definition.balance, body.members.length], ['web', 'random', 1]);
  assert.is((await call('PUT', '/v1/services/web', { balance: 'no' })).body.faults[0].pointer, '/balance');
  assert.is((await call('GET', '/v1/services/wep')).body.hint, 'Did you mean web?');
  assert.equal((await call('DELETE', '/v1/services/web')).body.removed, 'web');
  assert.is((await call('GET', '/v1/services/web')).body.definition, null);
  await stop();
});

resources('revisions: the list, one, what differs, as it was, back to it', async () => {
  const { call, configuration, stop } = await started();
  await call('DELETE', '/v1/routes', { ids: ['a.test'], reason: 'gone' }, { 'oo-actor': 'cli:ann' });
  await call('PUT', '/v1/settings?reason=small', { historyRevisions: 500 });
  const list = (await call('GET', '/v1/history?limit=2')).body;
  assert.equal(
    list.revisions.map(({ revision, reason }: Record<string, unknown>) => [revision, reason]),
    [
      [3, 'small'],
      [2, 'gone'],
    ],
  );
  assert.is((await call('GET', `/v1/history?limit=2&before=${list.next}`)).body.revisions[0].revision, 1);
  const one = (await call('GET', '/v1/history/2')).body;
  assert.equal(
    [one.actor, one.from, one.resources],
    ['cli:ann', 'socket', [{ kind: 'route', id: 'a.test', before: a, after: null }]],
  );
  assert.equal((await call('GET', '/v1/diff?from=2&to=1')).body.resources[0].after, a);
  assert.equal((await call('GET', '/v1/routes?at=@1')).body.routes, [a, b, c]);
  assert.equal((await call('GET', '/v1/export?at=2')).body.settings, {});
  assert.equal((await call('GET', '/v1/settings')).body, { historyRevisions: 500 });
  for (const path of ['/v1/history/99', '/v1/routes?at=99', '/v1/export?at=99', '/v1/diff?from=99'])
    assert.equal(
      [(await call('GET', path)).status, (await call('GET', path)).body.code],
      [404, 'OO_NO_REVISION'],
      path,
    );
  const tried = await call('POST', '/v1/rollback?dryRun=true', { revision: 1 });
  assert.equal([tried.body.revision, tried.body.changes.length], [3, 2]);
  const back = await call('POST', '/v1/rollback', { revision: 1, reason: 'oops' });
  assert.equal([back.status, back.body.revision], [200, 4]);
  assert.equal([configuration.list(), configuration.settings()], [[a, b, c], {}]);
  const state = (await call('GET', '/v1/export')).body;
  const again = await call('POST', '/v1/apply', { routes: state.routes, services: state.services, settings: {} });
  assert.equal([again.body.revision, again.body.changes], [4, []]);
  await stop();
});

resources.run();
