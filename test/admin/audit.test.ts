import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAdminApp } from '../../src/admin/app.ts';
import type { AuditEntry } from '../../src/admin/audit.ts';
import { createAuditLog } from '../../src/admin/audit-log.ts';
import { createPublicApp } from '../../src/admin/public.ts';
import { memoryAuditStore } from '../helpers/memory-audit-store.ts';
import { callerOf, registryApps } from '../helpers/registry-server.ts';
import { until } from '../helpers/temporary.ts';

const audits = suite('admin: audit');

const entry = (i: number, more: Partial<AuditEntry> = {}): AuditEntry => ({
  ...{ at: i, actor: `token:tok_${i}`, from: '192.0.2.1', operation: 'saveRoutes', method: 'PUT', path: '/v1/routes' },
  ...{ ids: [`${i}.test`], status: 200, revision: i },
  ...more,
});

async function apps() {
  const made = await registryApps();
  const store = memoryAuditStore();
  const audit = createAuditLog({ store, log: () => {} });
  const options = { ...made, version: '1', audit };
  return { ...made, store, audit, open: createPublicApp(options), admin: createAdminApp(options) };
}

audits('each write is recorded with who, from where, what, and what came of it; never what it sent', async () => {
  const { open, admin, tokens, audit, store, stop } = await apps();
  const { token, id } = await tokens.create({ scopes: ['routes:write', 'instance:write'], slug: '' });
  const from = { 'x-forwarded-for': '10.0.0.1, 192.0.2.7' };
  const call = callerOf(open, token);
  const route = { id: 'a.test', target: 'http://127.0.0.1:1/secret-target' };
  await call('PUT', '/v1/routes', { routes: [route], reason: 'secret-reason' }, from);
  await call('PUT', '/v1/routes?dryRun=true', { routes: [{ ...route, id: 'dry.test' }] }, from);
  await call('PUT', '/v1/routes', { routes: [{ id: 'bad' }] }, from);
  await call('DELETE', '/v1/tokens', { ids: [id] }, from);
  await call('GET', '/v1/routes', undefined, from);
  await call('POST', '/proxy-svc/routes', undefined, from);
  await callerOf(open)('PUT', '/v1/routes', { routes: [route] }, from);
  await callerOf(admin)('DELETE', '/v1/routes', { ids: ['a.test'] }, { 'oo-actor': 'ann' });
  const rows = await audit.list({ limit: 100 });
  const told = rows.map((row) => [
    row.actor,
    row.from,
    row.operation,
    row.method,
    row.path,
    row.ids,
    row.status,
    row.revision,
  ]);
  const who = [`token:${id}`, '192.0.2.7'];
  assert.equal(told.reverse(), [
    [...who, 'saveRoutes', 'PUT', '/v1/routes', ['a.test'], 200, 1],
    [...who, 'saveRoutes', 'PUT', '/v1/routes', [], 400, null],
    [...who, 'removeTokens', 'DELETE', '/v1/tokens', [], 403, null],
    ['ann', 'socket', 'removeRoutes', 'DELETE', '/v1/routes', ['a.test'], 200, 2],
  ]);
  assert.not.match(JSON.stringify(store.rows), /secret|oo_[A-Za-z0-9_-]{43}/);
  await audit.stop();
  await stop();
});

audits('a heartbeat is none; the instance that comes and goes is', async () => {
  const { open, tokens, audit, registry, stop } = await apps();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc' });
  const call = callerOf(open, token);
  for (let i = 0; i < 5; i++) await call('PUT', '/registry-svc/instance', { url: 'http://127.0.0.1:1' });
  const [{ id }] = registry.list();
  await call('DELETE', `/registry-svc/instance/${id}`);
  const rows = await audit.list({ limit: 100 });
  assert.equal(
    rows.map(({ operation, ids, status }) => [operation, ids, status]),
    [
      ['removeInstanceBySeed', [id], 204],
      ['registerInstanceBySeed', [id], 201],
    ],
  );
  await audit.stop();
  await stop();
});

audits('GET /v1/audit: the newest first, in pages, by actor and time', async () => {
  const { open, tokens, audit, stop } = await apps();
  const { token } = await tokens.create({ scopes: ['audit:read'], slug: '' });
  const call = callerOf(open, token);
  for (let i = 1; i <= 5; i++) audit.record(entry(i * 1_000));
  const first = (await call('GET', '/v1/audit?limit=2')).body;
  assert.equal(
    first.entries.map((one: AuditEntry) => one.at),
    ['1970-01-01T00:00:05.000Z', '1970-01-01T00:00:04.000Z'],
  );
  const { next } = first;
  const rest = (await call('GET', `/v1/audit?after=${next}`)).body;
  assert.is(rest.entries.length, 3);
  assert.is(rest.next, undefined);
  assert.is((await call('GET', '/v1/audit?actor=token:tok_3000')).body.entries[0].revision, 3_000);
  assert.is((await call('GET', '/v1/audit?since=1970-01-01T00:00:04Z')).body.entries.length, 2);
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'after=x', 'since=yesterday', 'limt=3']) {
    const { status, body } = await call('GET', `/v1/audit?${query}`);
    assert.equal([status, body.code], [400, 'OO_BAD_REQUEST'], query);
  }
  await audit.stop();
  await stop();
});

audits(
  'it is written together, a little later; what a failing store does not take waits, and is said once',
  async () => {
    const store = memoryAuditStore();
    const lines: string[] = [];
    const audit = createAuditLog({ store, log: (line) => lines.push(line) });
    for (let i = 0; i < 50; i++) audit.record(entry(i));
    assert.is(store.writes, 0);
    await until(() => store.rows.length === 50, 5_000);
    assert.is(store.writes, 1);
    store.down = 'The database is away.';
    audit.record(entry(50));
    await until(() => lines.length > 0, 5_000);
    audit.record(entry(51));
    const error = await audit.list({ limit: 1 }).catch((one) => one);
    assert.is(error.code, 'OO_STORE_UNREACHABLE');
    store.down = '';
    audit.record(entry(52));
    const rows = await audit.list({ limit: 3 });
    assert.equal(
      rows.map(({ at }) => at),
      [52, 51, 50],
    );
    assert.is(lines.length, 2);
    assert.match(lines[0], /no entries.*The database is away/);
    assert.match(lines[1], /again/);
    await audit.stop();
  },
);

audits('what waits is bounded, and so is what is kept; the end writes what is left', async () => {
  const store = memoryAuditStore();
  store.down = 'gone';
  const lines: string[] = [];
  const audit = createAuditLog({ store, log: (line) => lines.push(line), keep: () => 20 });
  for (let i = 0; i < 10_500; i++) audit.record(entry(i));
  store.down = '';
  await audit.stop();
  assert.equal([store.rows.length, store.rows[0].at, store.rows[19].at], [20, 10_480, 10_499]);
  audit.record(entry(1));
  await audit.stop();
  assert.is(store.rows.length, 20, 'nothing after the end');
});

audits('the same refusal again and again does not push out all else', async () => {
  const store = memoryAuditStore();
  const audit = createAuditLog({ store, log: () => {} });
  for (let i = 0; i < 100; i++) audit.record(entry(1_000 + i, { actor: 'a', status: 403, revision: null }));
  audit.record(entry(1_100, { actor: 'b', status: 403, revision: null }));
  audit.record(entry(1_200, { actor: 'a', status: 400, revision: null }));
  audit.record(entry(61_000, { actor: 'a', status: 403, revision: null }));
  await audit.stop();
  assert.equal(
    store.rows.map(({ at }) => at),
    [1_000, 1_100, 1_200, 61_000],
  );
});

audits('a write is told whatever it calls itself: only what can be tried is passed over when it is', async () => {
  const { open, tokens, audit, registry, stop } = await apps();
  const call = callerOf(open, (await tokens.create({ scopes: ['admin'], slug: '' })).token);
  const put = await call('PUT', '/registry-svc/instance?slug=a&dryRun=true', { url: 'http://127.0.0.1:1' });
  assert.equal([put.status, put.body.code], [400, 'OO_BAD_REQUEST']);
  assert.match(put.body.error, "has no parameter 'dryRun'");
  assert.equal(registry.list(), []);
  assert.is((await call('PUT', '/registry-svc/instance?slug=a&other=1', { url: 'http://127.0.0.1:1' })).status, 201);
  await call('DELETE', `/registry-svc/instance/${registry.list()[0].id}?dryRun=true`);
  assert.is(registry.list().length, 1);
  const rows = await audit.list({ limit: 100 });
  assert.equal(
    rows.map(({ operation, status }) => [operation, status]),
    [
      ['removeInstanceBySeed', 400],
      ['registerInstanceBySeed', 201],
      ['registerInstanceBySeed', 400],
    ],
  );
  await audit.stop();
  await stop();
});

audits('an apply, settings and a way back tell what they changed, and the revision', async () => {
  const { open, tokens, audit, stop } = await apps();
  const call = callerOf(open, (await tokens.create({ scopes: ['admin'], slug: '' })).token);
  const routes = [{ id: 'a.test', target: 'http://127.0.0.1:1' }];
  await call('POST', '/v1/apply', { routes });
  await call('POST', '/v1/apply', { routes });
  await call('PUT', '/v1/settings', { auditEntries: 500 });
  const rows = await audit.list({ limit: 100 });
  assert.equal(
    rows.map(({ operation, ids, revision }) => [operation, ids, revision]),
    [
      ['saveSettings', ['server'], 2],
      ['apply', [], null],
      ['apply', ['a.test'], 1],
    ],
  );
  await audit.stop();
  await stop();
});

audits.run();
