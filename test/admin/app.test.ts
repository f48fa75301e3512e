import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createAdminApp } from '../../src/admin/app.ts';
import { maxBodyBytes } from '../../src/admin/body.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { memoryStore } from '../helpers/memory-store.ts';

const app = suite('admin: the HTTP API');
const a = { id: 'a.example.com', target: '127.0.0.1:4200' };
const b = { id: 'b.example.com', target: 'http://10.0.0.2', hostHeader: 'upstream' } as const;

async function start(store = memoryStore([a, b], 7)) {
  const configuration = await createConfiguration({ store, publish: async () => {} });
  const faults: Error[] = [];
  const admin = createAdminApp({
    configuration,
    version: '1.2.3',
    status: () => ({ listeners: ['x'] }),
    onError: (error) => faults.push(error),
  });
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const response = await admin.request(path, { method, body: text, headers });
    const answer = await response.text();
    return {
      status: response.status,
      etag: response.headers.get('etag'),
      headers: response.headers,
      // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
      body: JSON.parse(answer || 'null') as any,
    };
  }
  return { call, configuration, store, faults };
}

app("the seed's PUT: all in one, answered with the routes", async () => {
  const { call, configuration } = await start();
  const { status, etag, body } = await call('PUT', '/proxy-svc/routes', {
    routes: [
      { id: 'C.example.com', target: 't' },
      { id: 'a.example.com', target: 'new' },
    ],
  });
  assert.is(status, 200);
  assert.is(etag, '"8"');
  assert.equal(body, {
    routes: [
      { id: 'c.example.com', target: 't' },
      { id: 'a.example.com', target: 'new' },
    ],
  });
  assert.is(configuration.table.size, 3);
});

app("the seed's POST lists: all, by an empty body or none, or those asked for", async () => {
  const { call } = await start();
  for (const body of [undefined, '', {}, { ids: [] }]) {
    assert.equal((await call('POST', '/proxy-svc/routes', body)).body, { routes: [a, b] });
  }
  const ids = ['B.example.com', 'b.example.com', 'not.there'];
  assert.equal((await call('POST', '/proxy-svc/routes', { ids })).body, { routes: [b] });
});

app("the seed's DELETE: {} and idempotent", async () => {
  const { call, configuration } = await start();
  for (let i = 0; i < 2; i++) {
    const { status, body } = await call('DELETE', '/proxy-svc/routes', { ids: ['a.example.com', 'not.there'] });
    assert.equal([status, body], [200, {}]);
  }
  assert.equal(configuration.list(), [b]);
  assert.is(configuration.table.revision, 8);
});

app('/v1/routes: the same with what was done', async () => {
  const { call } = await start();
  assert.equal((await call('GET', '/v1/routes')).body, { routes: [a, b] });
  assert.equal((await call('GET', '/v1/routes?id=a.example.com&id=zz')).body, { routes: [a] });
  assert.equal((await call('PUT', '/v1/routes', { routes: [a, { id: 'c', target: 't' }], reason: 'why' })).body, {
    revision: 8,
    created: ['c'],
    updated: [],
    unchanged: ['a.example.com'],
  });
  const { body } = await call('DELETE', '/v1/routes', { ids: ['c', 'd'] });
  assert.equal(body, { revision: 9, removed: ['c'], missing: ['d'] });
});

app('who and why are handed to the store', async () => {
  const { call, store } = await start();
  await call('PUT', '/v1/routes', { routes: [{ id: 'c', target: 't' }], reason: 'why' }, { 'oo-actor': 'cli:ann' });
  await call('DELETE', '/proxy-svc/routes', { ids: ['c'] }, { 'oo-actor': 'no good' });
  assert.equal(
    store.commits.map(({ actor, reason }) => [actor, reason]),
    [
      ['cli:ann', 'why'],
      ['api', undefined],
    ],
  );
});

app('status', async () => {
  const { call } = await start();
  const { body, etag } = await call('GET', '/v1/status');
  assert.equal(body, { version: '1.2.3', pid: process.pid, revision: 7, routes: 2, listeners: ['x'] });
  assert.is(etag, '"7"');
});

app('If-Match: 412 and the revision it is; 400 for what is no revision', async () => {
  const { call, store } = await start();
  const routes = [{ id: 'c', target: 't' }];
  const old = await call('PUT', '/proxy-svc/routes', { routes }, { 'if-match': '"6"' });
  assert.equal([old.status, old.etag, old.body.code], [412, '"7"', 'OO_CONFLICT']);
  assert.is((await call('DELETE', '/v1/routes', { ids: ['a'] }, { 'if-match': '"6"' })).status, 412);
  assert.is((await call('PUT', '/v1/routes', { routes }, { 'if-match': '7' })).status, 400);
  assert.equal(store.commits, []);
  assert.is((await call('PUT', '/v1/routes', { routes }, { 'if-match': '"7"' })).status, 200);
  assert.is((await call('DELETE', '/v1/routes', { ids: ['c'] }, { 'if-match': '*' })).status, 200);
});

app('bad routes: 400, with each fault, its place and field', async () => {
  const { call, store } = await start();
  const { status, body } = await call('PUT', '/proxy-svc/routes', {
    routes: [
      { id: 'ok', target: 't' },
      { id: 'x', target: 't', extra: 1 },
      { id: 'http://x', target: '' },
    ],
  });
  assert.is(status, 400);
  assert.is(body.code, 'OO_BAD_ROUTES');
  assert.match(body.error, /^routes\[1\]: unknown field 'extra'; oo schema and docs\/options.md .* \(and 2 more\)$/);
  assert.match(body.hint, /Nothing was stored/);
  const places = body.faults.map(({ index, id, field }: Record<string, unknown>) => [index, id, field]);
  assert.equal(places, [
    [1, 'x', 'extra'],
    [2, 'http://x', 'id'],
    [2, 'http://x', 'target'],
  ]);
  const pointers = body.faults.map(({ pointer }: { pointer: string }) => pointer);
  assert.equal(pointers, ['/routes/1/extra', '/routes/2/id', '/routes/2/target']);
  assert.equal(store.commits, []);
});

app('bodies that are no JSON, or another thing: 400 with a code', async () => {
  const { call } = await start();
  for (const [body, code] of [
    ['', 'OO_BAD_JSON'],
    ['{"routes":[', 'OO_BAD_JSON'],
    ['[]', 'OO_BAD_REQUEST'],
    ['{"routes":{}}', 'OO_BAD_REQUEST'],
    ['{"routes":[],"more":1}', 'OO_BAD_REQUEST'],
  ]) {
    const answer = await call('PUT', '/proxy-svc/routes', body);
    assert.equal([answer.status, answer.body.code], [400, code], body);
    assert.ok(answer.body.error && answer.body.hint);
  }
});

app('a body over the limit: 413', async () => {
  const { call, store } = await start();
  const { status, body } = await call('PUT', '/proxy-svc/routes', ' '.repeat(maxBodyBytes + 1));
  assert.equal([status, body.code, store.commits], [413, 'OO_BODY_TOO_LARGE', []]);
});

app('over a socket, bodies that say no length are read, too', async () => {
  const configuration = await createConfiguration({ store: memoryStore([a], 7), publish: async () => {} });
  const admin = createAdminApp({ configuration, version: '1' });
  const server = createAdaptorServer({ fetch: admin.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const send = (method: string, path: string, head: string, body = '') =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () =>
        socket.end(`${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}\r\n${body}`),
      );
      let text = '';
      socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')));
      socket.on('data', (chunk) => (text += chunk)).on('end', () => resolve(text));
      socket.on('error', reject);
    });
  // As `curl -X POST` has it, and a chunked one.
  assert.match(await send('POST', '/proxy-svc/routes', ''), /^HTTP\/1\.1 200 .*a\.example\.com/s);
  const chunked = await send(
    'DELETE',
    '/proxy-svc/routes',
    'transfer-encoding: chunked\r\n',
    '18\r\n{"ids":["a.example.com"]\r\n1\r\n}\r\n0\r\n\r\n',
  );
  assert.match(chunked, /^HTTP\/1\.1 200 /);
  assert.is(configuration.table.size, 0);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

app('other methods: 405 with Allow; other paths: 404', async () => {
  const { call } = await start();
  const refused = await call('PATCH', '/proxy-svc/routes');
  assert.equal(
    [refused.status, refused.headers.get('allow'), refused.body.code],
    [405, 'PUT, POST, DELETE', 'OO_METHOD_REFUSED'],
  );
  const unknown = await call('GET', '/proxy-svc/nothing');
  assert.equal([unknown.status, unknown.body.code], [404, 'OO_NOT_FOUND']);
});

app('a store that fails: 503, with its hint and what goes on; reading still answers', async () => {
  const { call, store, faults } = await start();
  store.failure = Object.assign(new Error('The disk is full.'), { code: 'OO_STORE_FULL', hint: 'Free some space.' });
  const { headers, body } = await call('PUT', '/proxy-svc/routes', { routes: [{ id: 'c', target: 't' }] });
  assert.is(headers.get('content-type'), 'application/problem+json');
  assert.equal(body, {
    type: '/docs/errors#OO_STORE_FULL',
    title: 'The disk is full',
    status: 503,
    detail: 'The disk is full.',
    error: 'The disk is full.',
    code: 'OO_STORE_FULL',
    hint: 'Free some space. Traffic goes on with revision 7.',
  });
  assert.equal((await call('GET', '/v1/routes')).body, { routes: [a, b] });
  assert.equal(faults, []);
});

app('a fault of the program: 500 that gives nothing away, and the log has it', async () => {
  const { call, store, faults } = await start();
  store.failure = new TypeError('secret');
  const { status, body } = await call('PUT', '/proxy-svc/routes', { routes: [{ id: 'c', target: 't' }] });
  assert.equal([status, body.code], [500, 'OO_INTERNAL']);
  assert.not.match(JSON.stringify(body), 'secret');
  assert.equal(faults, [store.failure]);
});

app('100,000 routes in and out, in seconds', async () => {
  const { call } = await start(memoryStore());
  const routes = Array.from({ length: 100_000 }, (_, i) => ({
    id: `h${i}.example.com`,
    target: `10.0.0.1:${(i % 60_000) + 1}`,
  }));
  const begun = performance.now();
  const saved = await call('PUT', '/v1/routes', { routes });
  assert.is(saved.body.created.length, 100_000);
  assert.is((await call('POST', '/proxy-svc/routes')).body.routes.length, 100_000);
  assert.ok(performance.now() - begun < 15_000, `took ${performance.now() - begun} ms`);
});

app.run();
