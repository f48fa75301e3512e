import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { callerOf, registryApps, selfUrl } from '../helpers/registry-server.ts';

const api = suite('admin: the registry over HTTP, on the unix socket');

async function started(...settings: Parameters<typeof registryApps>) {
  const apps = await registryApps(...settings);
  return { ...apps, call: callerOf(apps.admin) };
}

api("the seed's instance calls: 201 and {}, a list with all its fields, 204 even if it is unknown", async () => {
  const { call, published, stop } = await started();
  const put = await call('PUT', '/registry-svc/instance?slug=user-svc', {
    url: 'http://10.0.0.2:3000/base',
    deploymentId: 'd1',
    tags: ['blue'],
  });
  assert.equal([put.status, put.body], [201, {}]);
  assert.is(published.length, 1, 'workers have it before it is answered');
  const { status, body } = await call('GET', '/registry-svc/instances');
  assert.is(status, 200);
  const [{ lastHeartbeat, statusSince, createdAt, id, ...rest }] = body.instances;
  for (const time of [lastHeartbeat, statusSince, createdAt]) assert.match(time, /^2\d{3}-\d\d-\d\dT[\d:.]{12}Z$/);
  assert.match(id, /^inst_[0-9a-f]{20}$/);
  assert.equal(rest, {
    url: 'http://10.0.0.2:3000/base',
    deploymentId: 'd1',
    nodeUrl: selfUrl,
    path: '/base',
    scheme: 'http',
    host: '10.0.0.2',
    ip: '10.0.0.2',
    port: 3_000,
    status: 'Unknown',
    details: '',
    slug: 'user-svc',
    tags: ['blue'],
    ttlSeconds: 90,
    weight: 1,
    priority: 0,
  });
  for (let i = 0; i < 2; i++) {
    const gone = await call('DELETE', `/registry-svc/instance/${id}`);
    assert.equal([gone.status, gone.body], [204, null]);
  }
  assert.equal((await call('GET', '/registry-svc/instances')).body, { instances: [] });
  assert.is(published.length, 2);
  await stop();
});

api('parts in the place of a url; each filter', async () => {
  const { call, stop } = await started();
  const put = (slug: string, body: object) => call('PUT', `/registry-svc/instance?slug=${slug}`, body);
  assert.is((await put('a', { scheme: 'https', host: 'A.test', ip: '10.1.1.1', port: 8443, path: '/x' })).status, 201);
  assert.is((await put('a', { ip: '10.1.1.2', deploymentId: 'd' })).status, 201);
  assert.is((await put('b', { url: '127.0.0.1:3000' })).status, 201);
  const urls = async (query: string) =>
    (await call('GET', `/registry-svc/instances?${query}`)).body.instances
      .map((one: { url: string }) => one.url)
      .sort();
  const [first, second, third] = ['https://a.test:8443/x', 'http://10.1.1.2:80', 'http://127.0.0.1:3000'];
  assert.equal(await urls('slug=a'), [second, first]);
  assert.equal(await urls('host=a.TEST'), [first]);
  assert.equal(await urls('ip=10.1.1.1'), [first]);
  assert.equal(await urls('deploymentId=d'), [second]);
  assert.equal(await urls('path=/x'), [first]);
  assert.equal(await urls('slug=b&host=127.0.0.1'), [third]);
  assert.equal(await urls('slug=none'), []);
  await stop();
});

api('registering again is the heartbeat; what it says otherwise than before is a change', async () => {
  const { call, registry, stop } = await started();
  const put = (body: object) => call('PUT', '/v1/instances', { slug: 'a', url: 'http://127.0.0.1:1', ...body });
  const first = await put({ ttlSeconds: 30 });
  assert.equal([first.status, first.body.isNew, first.body.instance.ttlSeconds], [201, true, 30]);
  const again = await put({ ttlSeconds: 30 });
  assert.equal([again.status, again.body.isNew, again.body.instance.id], [201, false, first.body.instance.id]);
  await put({ ttlSeconds: 60, weight: 5, priority: 1 });
  const [{ ttlMs, weight, priority }] = registry.list();
  assert.equal([ttlMs, weight, priority], [60_000, 5, 1]);
  await stop();
});

const sent: [path: string, body: unknown, status: number, error: string][] = [
  ['?slug=a', { url: 'http://127.0.0.1:1', slug: 'a' }, 400, "unknown field 'slug'"],
  ['?slug=a', { url: 'http://127.0.0.1:1', ttl: 5 }, 400, "unknown field 'ttl'"],
  ['?slug=a', {}, 400, 'url is missing; expected an address such as http://10.0.0.2:3000'],
  [
    '?slug=a',
    { url: 'ftp://x' },
    400,
    "url 'ftp://x' has the unknown scheme 'ftp'; expected http://, https:// or h2c://.",
  ],
  [
    '?slug=a',
    { url: 'http://127.0.0.1:1', weight: 0 },
    400,
    "weight '0' is out of range; expected a whole number from 1 to 1000.",
  ],
  [
    '?slug=a',
    { url: 'http://127.0.0.1:1', ttlSeconds: 1 },
    400,
    "ttlSeconds '1' is out of range; expected 5 to 86400 seconds.",
  ],
  ['?slug=a', { url: 'http://127.0.0.1:1', port: '1' }, 400, "port is '1'; expected number"],
  [
    '?slug=A',
    { url: 'http://127.0.0.1:1' },
    400,
    "slug 'A' is not a service name; expected 1 to 63 lower case letters, digits and inner hyphens.",
  ],
  ['?slug=v1', { url: 'http://127.0.0.1:1' }, 400, "'v1' is oo's own; expected another name."],
  ['', { url: 'http://127.0.0.1:1' }, 400, 'Nothing says which service this is an instance of.'],
  ['?slug=a', 'null', 400, 'the body is empty; expected a JSON object'],
  ['?slug=a', '{', 400, ''],
  ['?slug=a', '', 400, 'The body is empty.'],
];
for (const [query, body, status, error] of sent) {
  api(`refused: ${JSON.stringify(body)} ${query}`, async () => {
    const { call, registry, stop } = await started();
    const answer = await call('PUT', `/registry-svc/instance${query}`, body);
    assert.is(answer.status, status);
    if (error !== '') assert.is(answer.body.error, error);
    assert.match(answer.body.code, /^OO_/);
    assert.ok(answer.body.hint);
    assert.equal(registry.list(), []);
    await stop();
  });
}

api('a body that is too large for one instance: 413, with a length and without', async () => {
  const { call, admin, registry, stop } = await started();
  const body = JSON.stringify({ url: 'http://127.0.0.1:1', deploymentId: 'x'.repeat(70_000) });
  const sized = await call('PUT', '/registry-svc/instance?slug=a', body);
  assert.equal([sized.status, sized.body.code], [413, 'OO_BODY_TOO_LARGE']);
  const headers = { 'content-length': String(body.length) };
  assert.is((await call('PUT', '/v1/instances?slug=a', body, headers)).status, 413);
  assert.is((await admin.request('/v1/tokens', { method: 'POST', body })).status, 413);
  assert.equal(registry.list(), []);
  await stop();
});

api("another service's id: 409; too many: 429 with Retry-After", async () => {
  const { call, stop } = await started({ maxInstancesPerService: 2 });
  const put = (slug: string, body: object) => call('PUT', '/v1/instances', { slug, ...body });
  await put('a', { url: 'http://127.0.0.1:1', id: 'mine' });
  const taken = await put('b', { url: 'http://127.0.0.1:2', id: 'mine' });
  assert.equal([taken.status, taken.body.code], [409, 'OO_TAKEN']);
  assert.is(taken.body.error, 'mine is an instance of another service.');
  await put('a', { url: 'http://127.0.0.1:2' });
  const full = await put('a', { url: 'http://127.0.0.1:3' });
  assert.equal([full.status, full.body.code, full.body.error], [429, 'OO_REGISTRY_FULL', 'a has 2 instances.']);
  assert.match(full.headers.get('retry-after') ?? '', /^\d+$/);
  assert.is((await put('a', { url: 'http://127.0.0.1:2' })).status, 201, 'a heartbeat of one that is there');
  await stop();
});

api('/v1/instances: removing says what was there', async () => {
  const { call, stop } = await started();
  const { id } = (await call('PUT', '/v1/instances', { slug: 'a', url: 'http://127.0.0.1:1' })).body.instance;
  assert.equal((await call('DELETE', '/v1/instances', { ids: [id, 'none', id] })).body, {
    removed: [id],
    missing: ['none'],
  });
  await stop();
});

api("nodes: the seed's two calls, and ours", async () => {
  const { call, stop } = await started();
  const { node } = (await call('GET', '/registry-svc/node/self')).body;
  assert.match(node.lastHeartbeat, /Z$/);
  assert.equal([node.id, node.url, node.az], ['node-1', selfUrl, '']);
  for (const body of [undefined, {}, { anything: 1 }]) {
    const { nodes } = (await call('POST', '/registry-svc/nodes', body)).body;
    assert.equal(
      nodes.map((one: { id: string }) => one.id),
      ['node-1'],
    );
  }
  assert.is((await call('GET', '/v1/nodes')).body.self, 'node-1');
  await stop();
});

api("the seed's definition calls: 201, 204, and fields that are not ours are kept", async () => {
  const { call, stop } = await started();
  const definition = { id: 'user-svc', image: { name: 'x', port: 1 }, balance: 'least-requests', health: '/up' };
  assert.equal((await call('PUT', '/registry-svc/definition', definition)).status, 201);
  assert.equal((await call('PUT', '/registry-svc/definition', { definition: { id: 'other' } })).status, 201);
  assert.equal((await call('GET', '/registry-svc/definitions')).body, { definitions: [{ id: 'other' }, definition] });
  for (let i = 0; i < 2; i++) assert.is((await call('DELETE', '/registry-svc/definition/other')).status, 204);
  assert.equal((await call('GET', '/v1/definitions')).body, { definitions: [definition] });
  await stop();
});

api('definitions are proven together: one fault anywhere, and none is saved; each fault is listed', async () => {
  const { call, registry, stop } = await started();
  const { status, body } = await call('PUT', '/v1/definitions', {
    definitions: [
      { id: 'good' },
      { id: 'bad', balance: 'fastest', health: { kind: 'smtp' } },
      { balance: 'random' },
      'text',
      { id: 'good' },
    ],
  });
  assert.equal([status, body.code], [400, 'OO_BAD_DEFINITIONS']);
  const places = body.faults.map(({ index, field }: { index: number; field?: string }) => [index, field]);
  assert.equal(places, [
    [1, 'balance'],
    [1, 'health'],
    [2, 'id'],
    [3, undefined],
    [4, 'id'],
  ]);
  assert.match(body.faults[0].message, /balance is 'fastest'; expected .*power-of-two/);
  assert.match(body.error, /^definitions\[1\]: balance .*\(and 4 more\)$/);
  assert.equal(registry.definitions(), []);
  const bad = await call('PUT', '/registry-svc/definition', { id: 'bad', balance: 'fastest' });
  assert.is(bad.status, 400);
  for (const id of ['A', 'v1', 'a_b']) {
    const refused = await call('PUT', '/registry-svc/definition', { id });
    assert.equal([refused.status, registry.definitions().length], [400, 0], id);
  }
  await stop();
});

api('saving a definition says what it did, and leaves a rollout as it is', async () => {
  const { call, registry, stop } = await started();
  const save = (...definitions: object[]) => call('PUT', '/v1/definitions', { definitions });
  const rollout = { gate: { state: 'stopped', message: 'Back soon' } };
  assert.equal((await save({ id: 'a', rollout }, { id: 'b' })).body, {
    revision: 1,
    created: ['a', 'b'],
    updated: [],
    unchanged: [],
  });
  assert.equal((await save({ id: 'a', balance: 'random' }, { id: 'b' })).body, {
    revision: 2,
    created: [],
    updated: ['a'],
    unchanged: ['b'],
  });
  assert.equal(registry.definitions()[0], { id: 'a', balance: 'random', rollout });
  assert.equal((await save({ id: 'a', balance: 'random' })).body.unchanged, ['a']);
  await save({ id: 'a', rollout: {} });
  assert.equal(registry.definitions()[0], { id: 'a' });
  assert.equal((await call('DELETE', '/v1/definitions', { ids: ['a', 'none'] })).body, {
    revision: 4,
    removed: ['a'],
    missing: ['none'],
  });
  await stop();
});

api('/v1/services: each with its definition and members', async () => {
  const { call, registry, stop } = await started();
  await call('PUT', '/v1/definitions', { definitions: [{ id: 'defined', balance: 'random' }] });
  await call('PUT', '/v1/instances', { slug: 'a', url: 'http://127.0.0.1:1', weight: 3 });
  registry.setStatus(registry.list()[0].id, 'Unreachable', 'connection refused');
  const { services } = (await call('GET', '/v1/services')).body;
  assert.equal(
    services.map((one: { slug: string }) => one.slug),
    ['a', 'defined'],
  );
  assert.equal(services[1], { slug: 'defined', definition: { id: 'defined', balance: 'random' }, members: [] });
  const [{ url, weight, status, details, statusSince }] = services[0].members;
  assert.equal([url, weight, status, details], ['http://127.0.0.1:1', 3, 'Unreachable', 'connection refused']);
  assert.match(statusSince, /Z$/);
  assert.is(services[0].definition, null);
  assert.equal((await call('GET', '/v1/services?slug=none')).body, { services: [] });
  assert.is((await call('GET', '/v1/services?slug=a')).body.services.length, 1);
  await stop();
});

api('a database that is away: registering is not refused, and not held up for long', async () => {
  const { call, store, registry, stop } = await started();
  store.down = 'gone';
  assert.is((await call('PUT', '/v1/instances', { slug: 'a', url: 'http://127.0.0.1:1' })).status, 201);
  store.write = () => new Promise(() => {});
  const begun = performance.now();
  assert.is((await call('PUT', '/v1/instances', { slug: 'a', url: 'http://127.0.0.1:2' })).status, 201);
  assert.ok(performance.now() - begun < 10_000);
  assert.is(registry.list().length, 2);
  store.down = '';
  void stop();
});

api('/v1/tokens: made once with its text, listed without, removed', async () => {
  const { call, stop } = await started();
  const made = await call('POST', '/v1/tokens', { role: 'service', slug: 'a', note: 'ci', expiresInSeconds: 3_600 });
  assert.is(made.status, 201);
  assert.is(made.headers.get('cache-control'), 'no-store');
  const { token, ...info } = made.body;
  assert.match(token, /^oo_/);
  // Each by its own look at the clock.
  assert.ok(Math.abs(Date.parse(info.expiresAt) - Date.parse(info.createdAt) - 3_600_000) < 1_000);
  assert.equal((await call('GET', '/v1/tokens')).body, { tokens: [info] });
  assert.is((await call('POST', '/v1/tokens', { role: 'admin' })).body.expiresAt, null);
  assert.equal((await call('DELETE', '/v1/tokens', { ids: [info.id, 'none'] })).body, {
    removed: [info.id],
    missing: ['none'],
  });
  for (const body of [
    {},
    { role: 'king' },
    { role: 'service' },
    { role: 'service', slug: 'A' },
    { role: 'admin', slug: 'a' },
    { role: 'admin', note: 'a\nb' },
    { role: 'admin', expiresInSeconds: 0 },
    { role: 'admin', expiresInSeconds: 1e12 },
    { role: 'admin', more: 1 },
  ]) {
    const { status, body: answer } = await call('POST', '/v1/tokens', body);
    assert.equal([status, answer.code], [400, 'OO_BAD_REQUEST'], JSON.stringify(body));
  }
  assert.is((await call('GET', '/v1/tokens')).body.tokens.length, 1);
  await stop();
});

api('wrong methods: 405 with those that there are', async () => {
  const { call, stop } = await started();
  for (const [method, path, allow] of [
    ['POST', '/registry-svc/instance', 'PUT'],
    ['PUT', '/registry-svc/instances', 'GET, HEAD'],
    ['GET', '/registry-svc/instance/x', 'DELETE'],
    ['GET', '/registry-svc/nodes', 'POST'],
    ['POST', '/v1/instances', 'GET, HEAD, PUT, DELETE'],
    ['PUT', '/v1/tokens', 'GET, HEAD, POST, DELETE'],
  ]) {
    const answer = await call(method, path);
    assert.equal([answer.status, answer.headers.get('allow')], [405, allow], `${method} ${path}`);
  }
  assert.is((await call('GET', '/registry-svc/none')).status, 404);
  await stop();
});

api.run();
