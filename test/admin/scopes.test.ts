import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { allows, type Scope, scopes } from '../../src/admin/access.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createAuditLog } from '../../src/admin/audit-log.ts';
import { createEventRing } from '../../src/admin/event-ring.ts';
import { createEventHub } from '../../src/admin/events.ts';
import { createPublicApp } from '../../src/admin/public.ts';
import { memoryAuditStore } from '../helpers/memory-audit-store.ts';
import { callerOf, registryApps } from '../helpers/registry-server.ts';

const access = suite('admin: scopes');

async function served() {
  const apps = await registryApps();
  const audit = createAuditLog({ store: memoryAuditStore(), log: () => {} });
  const events = createEventRing(createEventHub(Date.now), '1');
  // Only whether they are reached matters here.
  const anything = new Proxy({}, { get: () => async () => ({}) });
  const certificates = anything as never;
  const options = { ...apps, version: '1', audit, events, certificates, rollouts: anything as never };
  return {
    ...apps,
    open: createPublicApp(options),
    /** Every call that the admin app has, by its router: nothing that a list of operations may have forgotten. */
    calls: [
      ...new Map(
        createAdminApp(options)
          .routes.filter(({ method }) => method !== 'ALL')
          .map(({ method, path }) => [`${method} ${path}`, [method, path.replace(/:(\w+)/g, 'x')] as const]),
      ).values(),
    ],
    async stop() {
      events.stop();
      await audit.stop();
      await apps.stop();
    },
  };
}

/** What everybody may read. */
const openPaths = ['/openapi.json', '/docs', '/docs/errors'];
/** What whoever has a token may call; what more it needs says the body. */
const anyToken = [
  '/v1/whoami',
  '/v1/apply',
  '/v1/export',
  '/v1/deploy',
  '/v1/rollback',
  '/v1/pause',
  '/v1/resume',
  '/v1/stop',
];

access('no call is reached without a token, but those that are open', async () => {
  const { open, calls, stop } = await served();
  assert.ok(calls.length > 40, `${calls.length} calls`);
  for (const [method, path] of calls) {
    const { status, body } = await callerOf(open)(method, path).catch(() => ({ status: 200, body: {} }));
    if (openPaths.includes(path)) assert.is(status, 200, path);
    else assert.equal([status, body.code], [401, 'OO_NO_TOKEN'], `${method} ${path}`);
  }
  await stop();
});

access('each call asks for one scope: with all others it is refused, and says which one is lacking', async () => {
  const { open, calls, tokens, stop } = await served();
  const holders = new Map<Scope, string>();
  for (const scope of scopes.filter((one) => one !== 'admin'))
    holders.set(scope, (await tokens.create({ scopes: [scope], slug: '' })).token);
  for (const [method, path] of calls) {
    if (openPaths.includes(path) || anyToken.includes(path)) continue;
    const lacking = new Set<string>();
    for (const [scope, token] of holders) {
      // Its answer has no end.
      if (path === '/v1/events' && scope === 'events:read') continue;
      const { status, body } = await callerOf(open, token)(method, path);
      if (status === 403) lacking.add(/lacks (\S+)\.$/.exec(body.error)?.[1] ?? body.error);
      else assert.ok(lacking.size <= 1, `${method} ${path} is open to ${scope}: ${status}`);
    }
    const [needed, ...more] = [...lacking] as Scope[];
    assert.equal([scopes.includes(needed), more], [true, []], `${method} ${path}: ${[...lacking]}`);
    for (const [scope, token] of holders) {
      if (path === '/v1/events' && scope === 'events:read') continue;
      const { status } = await callerOf(open, token)(method, path);
      assert.is(status !== 403, allows({ scopes: [scope] }, needed), `${method} ${path} with ${scope}: ${status}`);
    }
  }
  await stop();
});

access('a token of all scopes but admin makes no token', async () => {
  const { open, tokens, tokenStore, stop } = await served();
  const { token } = await tokens.create({ scopes: scopes.filter((one) => one !== 'admin'), slug: '' });
  const asked = await callerOf(open, token)('POST', '/v1/tokens', { scopes: ['routes:read'] });
  assert.equal([asked.status, asked.body.code], [403, 'OO_FORBIDDEN']);
  assert.is(tokenStore.rows.size, 1);
  await stop();
});

access('to write is to read; the scope for one slug is for no other', async () => {
  const { open, tokens, registry, stop } = await served();
  const { token } = await tokens.create({ scopes: ['routes:write', 'instance:write'], slug: 'mine' });
  const call = callerOf(open, token);
  assert.is((await call('GET', '/v1/routes')).status, 200);
  assert.is(
    (await call('PUT', '/v1/routes', { routes: [{ id: 'a.test', target: 'http://127.0.0.1:1' }] })).status,
    200,
  );
  assert.is((await call('GET', '/v1/services')).status, 403);
  assert.is((await call('PUT', '/v1/instances', { url: 'http://127.0.0.1:1', slug: 'theirs' })).status, 403);
  assert.is((await call('PUT', '/v1/instances', { url: 'http://127.0.0.1:1' })).status, 201);
  assert.is(registry.list()[0].slug, 'mine');
  await stop();
});

access('a token is made with scopes, or with a role as before; nonsense is refused with its reason', async () => {
  const { open, tokens, stop } = await served();
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  const make = (body: object) => callerOf(open, token)('POST', '/v1/tokens', body);
  const both = ['instances:read', 'instance:write'];
  assert.equal((await make({ scopes: ['certs:read', 'routes:write'] })).body.scopes, ['routes:write', 'certs:read']);
  assert.equal((await make({ role: 'service', slug: 'a' })).body.scopes, both);
  assert.equal((await make({ scopes: both, slug: 'a' })).body.slug, 'a');
  for (const [body, why] of [
    [{}, /scopes, or a role/],
    [{ role: 'admin', scopes: ['admin'] }, /one of them/],
    [{ scopes: [] }, /is empty/],
    [{ scopes: ['routes:all'] }, /'routes:all'/],
    [{ scopes: ['admin'], slug: 'a' }, /for all services/],
    [{ scopes: ['routes:read'], slug: 'a' }, /instance:write/],
    [{ role: 'service' }, /slug ''/],
    [{ scopes: both, slug: 'A B' }, /slug 'A B'/],
  ] as const) {
    const { status, body: answer } = await make(body);
    assert.is(status, 400, JSON.stringify(body));
    assert.match(answer.error, why);
  }
  await stop();
});

access("a way back does only what was asked: settings that an admin changes meanwhile stay the admin's", async () => {
  const { configuration, tokens, stop } = await registryApps();
  const open = createPublicApp({ configuration, tokens, version: '1' });
  const by = { actor: 'test' };
  const route = (port: number) => ({ id: 'a.test', target: `http://127.0.0.1:${port}` });
  await configuration.save([route(1)], by);
  await configuration.save([route(2)], by);
  const rollback = configuration.rollback.bind(configuration);
  let meanwhile = 0;
  configuration.rollback = async (revision, options) => {
    const result = await rollback(revision, options);
    if (options.dryRun && meanwhile++ === 0) await configuration.apply({ settings: { auditEntries: 500 } }, by);
    return result;
  };
  const { token } = await tokens.create({ scopes: ['routes:write', 'services:write'], slug: '' });
  const refused = await callerOf(open, token)('POST', '/v1/rollback', { revision: 1 });
  assert.equal([refused.status, refused.body.code], [403, 'OO_FORBIDDEN']);
  assert.equal(configuration.settings(), { auditEntries: 500 });
  const admin = await tokens.create({ scopes: ['admin'], slug: '' });
  assert.is((await callerOf(open, admin.token)('POST', '/v1/rollback', { revision: 1 })).status, 200);
  assert.equal([configuration.list(), configuration.settings()], [[route(1)], {}]);
  await stop();
});

access("a deploy's rollback that is only to be tried is refused, not done", async () => {
  const { configuration, tokens, stop } = await registryApps();
  let done = 0;
  const rollback = async () => {
    done += 1;
    throw new Error('done');
  };
  const open = createPublicApp({ configuration, tokens, version: '1', rollouts: { rollback } as never });
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  const call = callerOf(open, token);
  const { status, body } = await call('POST', '/v1/rollback?dryRun=true', { name: 'a.test' });
  assert.equal([status, body.code, done], [400, 'OO_BAD_REQUEST', 0]);
  assert.is((await call('POST', '/v1/rollback?dryRun=false', { name: 'a.test' })).status, 500);
  assert.is(done, 1);
  await stop();
});

access(
  'who may save routes may not have programs run: new and changed handlers need a scope of their own',
  async () => {
    const { configuration, tokens, stop } = await registryApps();
    const by = { actor: 'test' };
    const target = 'http://127.0.0.1:1';
    const route = (source: string, more: object = {}) => ({ id: 'a.test', target, handler: { source }, ...more });
    await configuration.save([{ id: 'a.test', target }], by);
    await configuration.save([route('one')], by);
    await configuration.save([route('two')], by);
    const open = createPublicApp({ configuration, tokens, version: '1' });
    const tokenOf = async (...scopes: Scope[]) => callerOf(open, (await tokens.create({ scopes, slug: '' })).token);
    const writer = await tokenOf('routes:write', 'services:write');
    const saves: [method: string, path: string, body: object][] = [
      ['PUT', '/v1/routes', { routes: [route('three')] }],
      ['PUT', '/v1/routes?dryRun=true', { routes: [route('three')] }],
      ['PUT', '/proxy-svc/routes', { routes: [route('three')] }],
      ['PUT', '/v1/routes/a.test', { target, handler: { source: 'three' } }],
      ['PUT', '/v1/routes/b.test', { target, handler: { source: 'two' } }],
      ['POST', '/v1/apply', { routes: [route('three')] }],
      ['POST', '/v1/rollback', { revision: 2 }],
    ];
    for (const [method, path, body] of saves) {
      const refused = await writer(method, path, body);
      assert.equal([refused.status, refused.body.code], [403, 'OO_FORBIDDEN'], path);
      assert.match(String(refused.body.error), /lacks handlers:write/);
    }
    // The one that it has is nobody's new program, and to take it away is to save a route.
    const kept = { routes: [route('two', { target: 'http://127.0.0.1:2', handler: { source: 'two', timeoutMs: 9 } })] };
    for (const [method, path] of saves.slice(0, 3)) assert.is((await writer(method, path, kept)).status, 200, path);
    assert.is((await writer('POST', '/v1/apply', kept)).status, 200);
    assert.is((await writer('POST', '/v1/rollback', { revision: 1 })).status, 200);
    const full = await tokenOf('routes:write', 'services:write', 'handlers:write');
    for (const [method, path, body] of saves) assert.ok((await full(method, path, body)).status < 300, path);
    await stop();
  },
);

access.run();
