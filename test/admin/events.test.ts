import { type ClientRequest, request } from 'node:http';
import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEventRing } from '../../src/admin/event-ring.ts';
import { changeEvent } from '../../src/admin/event-types.ts';
import { createEventHub } from '../../src/admin/events.ts';
import { addEventCalls } from '../../src/admin/events-api.ts';
import { createApi } from '../../src/admin/operation.ts';
import { createPublicApp } from '../../src/admin/public.ts';
import { callerOf, registryApps, serveApp } from '../helpers/registry-server.ts';
import { until } from '../helpers/temporary.ts';

const events = suite('admin: events');

const at = Date.UTC(2026, 10, 23);
const health = (i: number) => ({
  address: `http://10.0.0.${i}:80`,
  state: 'Healthy',
  before: 'Unknown',
  reason: '',
  owners: [],
});
const change = changeEvent({
  ...{ revision: 7, at, actor: 'ann', from: 'socket', reason: 'why' },
  changes: [
    { kind: 'route', id: 'a.test', before: null, after: { id: 'a.test' } },
    { kind: 'service', id: 'user-svc', before: { id: 'user-svc' }, after: null },
  ],
});

interface Followed {
  readonly status: number;
  readonly type: string;
  text(): string;
  /** Data of the events so far. */
  all(): { id: string; kind: string; data: Record<string, unknown> }[];
  readonly closed: () => boolean;
  readonly outgoing: ClientRequest;
}

/** A real server with its hub. */
async function served(options: { maxClients?: number; maxQueueBytes?: number } = {}) {
  const hub = createEventHub(() => at);
  const ring = createEventRing(hub, '5', 10);
  const apps = await registryApps();
  const app = new Hono();
  // The limits are the call's own, which the whole app does not hand on.
  addEventCalls(createApi(app), { ring, ...options });
  const plain = await serveApp(app, { port: 0 });
  const open = await serveApp(createPublicApp({ ...apps, version: '1', events: ring }), { port: 0 });
  async function follow(query = '', headers: Record<string, string> = {}, port = plain.port): Promise<Followed> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ host: '127.0.0.1', port, path: `/v1/events${query}`, headers, agent: false });
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        let text = '';
        let closed = false;
        response.setEncoding('utf8');
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', () => {});
        response.on('close', () => {
          closed = true;
        });
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          text: () => text,
          all: () => [...text.matchAll(/^(?:data: )?(\{.*\})$/gm)].map(([, json]) => JSON.parse(json)),
          closed: () => closed,
          outgoing,
        });
      });
      outgoing.end();
    });
  }
  return {
    ...{ hub, ring, apps, follow, open },
    async stop() {
      ring.stop();
      await plain.stop();
      await open.stop();
      await apps.stop();
    },
  };
}

events('come as they happen, as server-sent events or as lines of JSON, of the kinds that are asked for', async () => {
  const { hub, follow, stop } = await served();
  const all = await follow();
  const lines = await follow('?format=ndjson&kind=health&kind=certificate');
  assert.equal([all.status, all.type], [200, 'text/event-stream']);
  assert.equal([lines.status, lines.type], [200, 'application/x-ndjson']);
  hub.emit('change', change);
  hub.emit('health', health(1));
  await until(() => all.all().length === 2 && lines.all().length === 1, 5_000);
  const [, first, second] = all.text().split('\n\n');
  assert.match(first, /^id: 5-1\nevent: change\ndata: \{.*\}$/);
  assert.match(second, /^id: 5-2\nevent: health\ndata: \{.*\}$/);
  assert.equal(lines.all()[0], { id: '5-2', kind: 'health', at: '2026-11-23T00:00:00.000Z', data: health(1) });
  assert.equal(all.all()[0].data.resources, [
    { kind: 'route', id: 'a.test', change: 'created' },
    { kind: 'service', id: 'user-svc', change: 'removed' },
  ]);
  await stop();
});

events('what was missed is told first, as far as it is kept; after a restart all that there is', async () => {
  const { hub, follow, stop } = await served();
  for (let i = 1; i <= 12; i++) hub.emit('health', health(i));
  const ids = async (headers: Record<string, string>, query = '') => {
    const one = await follow(query, headers);
    hub.emit('certificate', { id: 'end', change: 'removed' });
    await until(() => one.all().some(({ kind }) => kind === 'certificate'), 5_000);
    one.outgoing.destroy();
    return one
      .all()
      .filter(({ kind }) => kind === 'health')
      .map(({ id }) => id);
  };
  assert.equal(await ids({ 'last-event-id': '5-10' }), ['5-11', '5-12']);
  assert.equal(await ids({}, '?after=5-11'), ['5-12']);
  assert.equal(await ids({}), []);
  assert.equal((await ids({ 'last-event-id': '4-999' }))[0], '5-6', 'ten are kept, of which three are no health');
  assert.is((await ids({ 'last-event-id': 'nonsense' })).length, 6);
  await stop();
});

events('each sees what its scopes allow; what it asks for by name and may not see is refused', async () => {
  const { hub, follow, open, apps, stop } = await served();
  const holder = async (...scopes: string[]) => {
    const { token } = await apps.tokens.create({ scopes: scopes as never, slug: '' });
    return { authorization: `Bearer ${token}` };
  };
  const some = await holder('events:read', 'routes:read');
  const none = await holder('events:read');
  const other = await holder('routes:read');
  const everything = await holder('admin');
  const seen = await follow('', some, open.port);
  const admin = await follow('', everything, open.port);
  hub.emit('health', health(1));
  hub.emit('change', change);
  hub.emit('certificate', { id: 'a.test', change: 'removed' });
  await until(() => admin.all().length === 3, 5_000);
  await until(() => seen.all().length === 1, 5_000);
  assert.equal(seen.all()[0].data.resources, [{ kind: 'route', id: 'a.test', change: 'created' }]);
  for (const [headers, query, status] of [
    [none, '', 403],
    [other, '', 403],
    [some, '?kind=health', 403],
    [some, '?kind=change&kind=certificate', 403],
    [{}, '', 401],
    [some, '?kind=weather', 400],
    [some, '?format=xml', 400],
  ] as const)
    assert.is((await follow(query, headers as Record<string, string>, open.port)).status, status, query);
  await stop();
});

events('who leaves makes room; there are so many at one time', async () => {
  const { hub, follow, stop } = await served({ maxClients: 3 });
  const three = await Promise.all([follow(), follow(), follow()]);
  const refused = await follow();
  assert.is(refused.status, 429);
  three[0].outgoing.destroy();
  let again = await follow();
  const end = Date.now() + 5_000;
  while (again.status !== 200 && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    again = await follow();
  }
  assert.is(again.status, 200);
  hub.emit('health', health(1));
  await until(() => again.all().length === 1 && three[1].all().length === 1, 5_000);
  await stop();
});

events('a reader who is too slow is cut off, the others go on', async () => {
  const { hub, follow, stop } = await served({ maxQueueBytes: 64 * 1024 });
  const { error } = console;
  const said: string[] = [];
  console.error = (one: Error) => void said.push(one.message);
  const slow = await follow();
  const good = await follow();
  slow.outgoing.socket?.pause();
  const big = { ...health(1), reason: 'x'.repeat(60_000) };
  for (let i = 0; i < 400 && !slow.closed(); i++) {
    hub.emit('health', big);
    // By its length: parsing all of it for each poll would take the test's whole time.
    await until(() => good.text().length > (i + 1) * 60_000, 5_000);
  }
  slow.outgoing.socket?.resume();
  await until(() => slow.closed(), 5_000);
  assert.ok(slow.text().length < good.text().length);
  assert.not.ok(good.closed());
  console.error = error;
  assert.equal(said, ['events: a reader who was too slow was cut off'], 'one line in the log');
  await stop();
});

events('a token that expires ends what it follows; so does the end of the server', async () => {
  const { hub, follow, open, apps, stop } = await served();
  const { token } = await apps.tokens.create({ scopes: ['admin'], slug: '', expiresAt: Date.now() + 300 });
  const expiring = await follow('', { authorization: `Bearer ${token}` }, open.port);
  const other = await follow();
  await new Promise((resolve) => setTimeout(resolve, 350));
  hub.emit('health', health(1));
  await until(() => expiring.closed(), 5_000);
  assert.equal(expiring.all(), []);
  assert.not.ok(other.closed());
  assert.is((await callerOf(createPublicApp({ ...apps, version: '1' }), token)('GET', '/v1/routes')).status, 401);
  const stopping = stop();
  await until(() => other.closed(), 5_000);
  await stopping;
});

events('a change of many things names the first hundred', () => {
  const many = changeEvent({
    ...{ revision: 1, at, actor: 'a', from: '', reason: '' },
    changes: Array.from({ length: 250 }, (_, i) => ({
      kind: 'route' as const,
      id: `${i}`,
      before: null,
      after: { id: '' },
    })),
  });
  assert.equal([many.resources.length, many.more], [100, 150]);
});

events('a token that is removed ends what it follows, at once; so does one that a restore has taken', async () => {
  const { hub, follow, open, apps, stop } = await served();
  const holder = async () => apps.tokens.create({ scopes: ['admin'], slug: '' });
  const [gone, kept, replaced] = [await holder(), await holder(), await holder()];
  const by = ({ token }: { token: string }) => follow('', { authorization: `Bearer ${token}` }, open.port);
  const [one, other, third] = [await by(gone), await by(kept), await by(replaced)];
  await apps.tokens.remove(gone.id);
  await until(() => one.closed(), 5_000);
  hub.emit('health', health(1));
  await until(() => other.all().length === 1 && third.all().length === 1, 5_000);
  assert.equal(one.all(), []);
  await apps.tokenStore.remove(replaced.id);
  apps.tokens.forget();
  await until(() => third.closed(), 5_000);
  hub.emit('health', health(2));
  await until(() => other.all().length === 2, 5_000);
  await stop();
});

events.run();
