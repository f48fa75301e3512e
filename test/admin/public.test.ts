import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPublicApp } from '../../src/admin/public.ts';
import { callerOf, registryApps } from '../helpers/registry-server.ts';

const pub = suite('admin: the service port');
const app = createPublicApp({ version: '1.2.3' });
const get = (path: string, init: RequestInit = {}) => app.request(`http://127.0.0.1:11337${path}`, init);

/** Every call that there is: method, path. */
const calls = [
  ...['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS'].flatMap((method) =>
    [
      ...['/proxy-svc/routes', '/proxy-svc/certs', '/v1/routes', '/v1/status', '/v1/certs', '/v1/tokens'],
      ...['/v1/certs/a.test/raw?withKey=true', '/v1/keys/rotate', '/v1/trust/root', '/v1/services', '/v1/definitions'],
      ...['/registry-svc/instance', '/registry-svc/instances', '/registry-svc/instance/x', '/registry-svc/node/self'],
      ...['/registry-svc/nodes', '/registry-svc/definition', '/registry-svc/definitions', '/registry-svc/definition/x'],
      ...['/v1/instances', '/v1/nodes'],
    ].map((path) => [method, path] as const),
  ),
];

pub('says what it is, and that it lives', async () => {
  const root = await get('/');
  assert.is(root.status, 200);
  const body = (await root.json()) as Record<string, string>;
  assert.equal([body.name, body.version], ['oo', '1.2.3']);
  assert.match(body.docs, /oo --help/);
  assert.is((await get('/healthz')).status, 200);
});

pub('without tokens every call answers 401, whatever the method and the token, with the way that works', async () => {
  for (const [method, path] of calls) {
    const response = await get(path, { method, headers: { authorization: 'Bearer guess' } });
    assert.is(response.status, 401, `${method} ${path}`);
    const body = (await response.json()) as Record<string, string>;
    assert.is(body.code, 'OO_BAD_TOKEN');
    assert.match(body.hint, /unix socket/);
    assert.is(response.headers.get('access-control-allow-origin'), null);
  }
});

pub('no token: 401 with WWW-Authenticate and how to get one; so with a wrong, an expired, a removed one', async () => {
  const { open, tokens, tokenStore, registry, stop } = await registryApps();
  for (const [method, path] of calls) {
    const { status, headers, body } = await callerOf(open)(method, path);
    assert.equal([status, body.code], [401, 'OO_NO_TOKEN'], `${method} ${path}`);
    assert.is(headers.get('www-authenticate'), 'Bearer realm="oo"');
    assert.match(body.hint, 'oo token create --service user-svc');
  }
  const expired = await tokens.create({ scopes: ['admin'], slug: '', expiresAt: 1 });
  const removed = await tokens.create({ scopes: ['admin'], slug: '' });
  await tokens.remove(removed.id);
  const strange = await tokens.create({ scopes: ['auditor' as 'admin'], slug: 'a' });
  for (const { token } of [expired, removed, strange, { token: 'oo_x' }]) {
    const { status, headers, body } = await callerOf(open, token)('PUT', '/registry-svc/instance?slug=a', {
      url: 'http://x',
    });
    assert.equal([status, body.code], [401, 'OO_BAD_TOKEN']);
    assert.match(headers.get('www-authenticate') ?? '', /error="invalid_token"/);
  }
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  for (const authorization of [token, `Basic ${btoa(`x:${token}`)}`, `Bearer ${token} x`, 'Bearer', `Token ${token}`]) {
    const { status } = await callerOf(open)('GET', '/v1/routes', undefined, { authorization });
    assert.is(status, 401, authorization);
  }
  assert.is((await callerOf(open)('GET', '/v1/routes', undefined, { authorization: `bearer ${token}` })).status, 200);
  assert.equal(registry.list(), []);
  assert.is(tokenStore.rows.size, 3);
  await stop();
});

pub("a service's token: its own instances, and the lists", async () => {
  const { open, tokens, registry, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc' });
  const call = callerOf(open, token);
  const put = await call('PUT', '/registry-svc/instance', { url: 'http://127.0.0.1:1' });
  assert.equal([put.status, put.body], [201, {}]);
  const [mine] = registry.list();
  assert.is(mine.slug, 'user-svc');
  assert.is((await call('PUT', '/v1/instances?slug=user-svc', { url: 'http://127.0.0.1:1' })).body.isNew, false);
  registry.register('other', { url: 'http://127.0.0.1:2', id: 'theirs' });
  assert.is((await call('GET', '/registry-svc/instances')).body.instances.length, 2);
  assert.is((await call('GET', '/v1/instances?slug=other')).body.instances.length, 1);
  assert.is((await call('GET', '/registry-svc/node/self')).status, 200);
  assert.is((await call('POST', '/registry-svc/nodes')).status, 200);

  const outcomes = [
    await call('PUT', '/registry-svc/instance?slug=other', { url: 'http://127.0.0.1:3' }),
    await call('PUT', '/v1/instances', { url: 'http://127.0.0.1:3', slug: 'other' }),
    await call('DELETE', '/registry-svc/instance/theirs'),
    await call('DELETE', '/v1/instances', { ids: [mine.id, 'theirs'] }),
  ];
  for (const { status, body } of outcomes) assert.equal([status, body.code], [403, 'OO_FORBIDDEN']);
  assert.is((await call('PUT', '/registry-svc/instance', { url: 'http://127.0.0.1:3', id: 'theirs' })).status, 409);
  assert.is((await call('PUT', '/registry-svc/instance', { url: 'http://127.0.0.1:3', slug: 'user-svc' })).status, 400);
  assert.equal(
    registry
      .list()
      .map(({ id }) => id)
      .sort(),
    [mine.id, 'theirs'].sort(),
  );

  assert.is((await call('DELETE', '/registry-svc/instance/none')).status, 204);
  assert.is((await call('DELETE', `/registry-svc/instance/${mine.id}`)).status, 204);
  assert.equal(
    registry.list().map(({ id }) => id),
    ['theirs'],
  );
  await stop();
});

pub("a service's token is for nothing else: 403", async () => {
  const { open, tokens, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc' });
  const allowed = new Set([
    ...['PUT /registry-svc/instance', 'GET /registry-svc/instances', 'DELETE /registry-svc/instance/x'],
    ...['GET /registry-svc/node/self', 'POST /registry-svc/nodes'],
    ...['GET /v1/instances', 'PUT /v1/instances', 'DELETE /v1/instances', 'GET /v1/nodes'],
  ]);
  for (const [method, path] of calls) {
    const { status, body } = await callerOf(open, token)(method, path);
    if (allowed.has(`${method} ${path}`)) assert.ok(status < 403 && status !== 401, `${method} ${path}: ${status}`);
    // What is no call at all is nobody's secret.
    else if (status !== 404 && status !== 405)
      assert.equal([status, body.code], [403, 'OO_FORBIDDEN'], `${method} ${path}`);
  }
  await stop();
});

pub("an admin's token: everything, by the same calls; the change log has its id", async () => {
  const { open, tokens, configuration, registry, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  const call = callerOf(open, token);
  assert.is((await call('PUT', '/proxy-svc/routes', { routes: [{ id: 'a.test', target: 't' }] })).status, 200);
  assert.is(configuration.table.size, 1);
  assert.is((await call('PUT', '/registry-svc/instance?slug=any', { url: 'http://127.0.0.1:1' })).status, 201);
  assert.is((await call('PUT', '/registry-svc/instance', { url: 'http://127.0.0.1:1' })).status, 400);
  assert.is(registry.list()[0].slug, 'any');
  assert.is((await call('PUT', '/registry-svc/definition', { id: 'any', balance: 'random' })).status, 201);
  assert.is((await call('POST', '/v1/tokens', { role: 'service', slug: 'any' })).status, 201);
  assert.is((await call('GET', '/v1/status')).status, 200);
  assert.is((await call('GET', '/v1/none')).status, 404);
  await stop();
});

pub('many wrong tokens of one address: 429; the address is what our own edge has added', async () => {
  const { open, stop } = await registryApps();
  const status = async (i: number, from: string) => {
    const authorization = `Bearer oo_${String(i).padStart(43, 'x')}`;
    return callerOf(open)('GET', '/v1/routes', undefined, { authorization, 'x-forwarded-for': from });
  };
  for (let i = 0; i < 20; i++) assert.is((await status(i, `10.0.0.${i}, 192.0.2.1`)).status, 401);
  const often = await status(99, '10.9.9.9, 192.0.2.1');
  assert.equal([often.status, often.body.code], [429, 'OO_TOO_MANY_TRIES']);
  assert.ok(Number(often.headers.get('retry-after')) >= 1);
  assert.is((await status(100, '192.0.2.2')).status, 401);
  await stop();
});

pub('a database of tokens that is away: 503, not 401', async () => {
  const { open, tokenStore, stop } = await registryApps();
  tokenStore.down = 'The database is away.';
  const { status, body } = await callerOf(open, `oo_${'x'.repeat(43)}`)('GET', '/v1/routes');
  assert.equal([status, body.code, body.error], [503, 'OO_STORE_UNREACHABLE', 'The database is away.']);
  await stop();
});

pub("another site's page in a browser: 403, with a token too; this server's own, or a program: not that", async () => {
  const { open, tokens, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  for (const path of ['/v1/routes', '/registry-svc/instances', '/proxy-svc/routes']) {
    const status = async (headers: Record<string, string>, holder?: string) =>
      (await callerOf(open, holder)(path.startsWith('/proxy') ? 'POST' : 'GET', path, undefined, headers)).status;
    for (const holder of [undefined, token]) {
      assert.is(await status({ origin: 'https://evil.example' }, holder), 403);
      assert.is(await status({ origin: 'null' }, holder), 403);
      assert.is(await status({ origin: 'http://127.0.0.1:80' }, holder), 403);
      assert.is(await status({ 'sec-fetch-site': 'cross-site' }, holder), 403);
      assert.is(await status({ 'sec-fetch-site': 'same-site' }, holder), 403);
    }
    const own = { origin: 'http://127.0.0.1:11337', 'sec-fetch-site': 'same-origin' };
    assert.equal([await status(own), await status({})], [401, 401]);
    assert.equal([await status(own, token), await status({}, token)], [200, 200]);
  }
  await stop();
});

pub('anything else: 404', async () => {
  const response = await get('/user-svc/login');
  assert.is(response.status, 404);
  assert.is(((await response.json()) as { code: string }).code, 'OO_NOT_FOUND');
});

pub("behind a trusted proxy, such as a route of one's own edge, it is the address before it that counts", async () => {
  const { tokens, configuration, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  const isTrusted = (address: string) => address === '127.0.0.1';
  const behind = createPublicApp({ version: '1', tokens, configuration, isTrusted });
  const alone = createPublicApp({ version: '1', tokens, configuration });
  const from = async (app: typeof behind, chain: string) =>
    (await callerOf(app, token)('GET', '/v1/whoami', undefined, { 'x-forwarded-for': chain })).body.from;
  assert.is(await from(behind, '6.6.6.6, 192.0.2.1, 127.0.0.1'), '192.0.2.1');
  assert.is(await from(behind, '127.0.0.1'), '127.0.0.1');
  assert.is(await from(behind, '127.0.0.1, 192.0.2.1'), '192.0.2.1');
  assert.is(await from(alone, '192.0.2.1, 127.0.0.1'), '127.0.0.1');
  await stop();
});

pub('a body that nests without end, or is compressed, is refused', async () => {
  const { open, tokens, registry, stop } = await registryApps();
  const call = callerOf(open, (await tokens.create({ scopes: ['admin'], slug: '' })).token);
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const body = (levels: number) => `{"services":[{"id":"deep","note":${deep(levels)}}]}`;
  for (const levels of [62, 100, 200_000]) {
    const { status, body: answer } = await call('PUT', '/v1/services', body(levels));
    assert.equal([status, answer.code], [400, 'OO_BAD_REQUEST'], String(levels));
  }
  assert.is((await call('PUT', '/v1/services', body(61))).status, 200);
  const { status, body: answer } = await call('PUT', '/v1/services', body(1), { 'content-encoding': 'gzip' });
  assert.equal([status, answer.code], [415, 'OO_BODY_COMPRESSED']);
  assert.equal(registry.list(), []);
  await stop();
});

pub.run();
