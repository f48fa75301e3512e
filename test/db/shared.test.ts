import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import type { RouteChange } from '../../src/core/types.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { outcomeIn, routesIn } from './open-store.ts';

const shared = suite('db: one database behind a URL, many servers');
const by = { actor: 'test' };
const token = 'a-secret-token';

async function start() {
  const server = await startHrana(join(temporary(), 'shared.db'), token);
  const open = () => openDatabase({ url: server.url, authToken: token });
  return { server, open };
}

/** A server as far as this test goes: a store, its configuration, and what its workers would get. */
async function startOo(open: () => ReturnType<typeof openDatabase>) {
  const database = await open();
  const published: RouteChange[] = [];
  const errors: Error[] = [];
  const configuration = await createConfiguration({
    store: database.configuration,
    publish: async (change) => void published.push(change),
    onError: (error) => errors.push(error),
  });
  const stop = async () => {
    await configuration.close();
    database.close();
  };
  return { database, configuration, published, errors, stop };
}

shared('servers that start together make the schema once', async () => {
  const { server, open } = await start();
  const all = await Promise.all([open(), open(), open()]);
  for (const { configuration: store, shared: isShared, where } of all) {
    assert.equal(routesIn(await store.load()), { revision: 0, routes: [] });
    assert.is(isShared, true);
    assert.is(where, server.url);
  }
  for (const { close } of all) close();
  await server.close();
});

shared(
  'a change by one server is at the other, and published there, within 2 s; each takes the other side too',
  async () => {
    const { server, open } = await start();
    const [one, two] = await Promise.all([startOo(open), startOo(open)]);
    await one.configuration.save([{ id: 'a', target: 't' }], by);
    await until(() => two.configuration.get('a') !== undefined, 2_000);
    assert.equal(two.published, [{ revision: 1, base: 0, save: [{ id: 'a', target: 't' }], remove: [] }]);
    await two.configuration.save([{ id: 'b', target: 't', hostHeader: 'upstream' }], by);
    await two.configuration.remove(['a'], by);
    await until(() => one.configuration.table.revision === 3, 2_000);
    assert.equal(one.configuration.list(), [{ id: 'b', target: 't', hostHeader: 'upstream' }]);
    assert.equal(one.published.at(-1)?.revision, 3);
    assert.equal([one.errors, two.errors], [[], []]);
    await Promise.all([one.stop(), two.stop()]);
    await server.close();
  },
);

shared('saves on both servers at the same time: all are stored, each revision once', async () => {
  const { server, open } = await start();
  const servers = await Promise.all([startOo(open), startOo(open)]);
  const saves = Array.from({ length: 20 }, (_, n) =>
    servers[n % 2].configuration.save([{ id: `h${n}`, target: 't' }], by),
  );
  const revisions = (await Promise.all(saves)).map((saved) => (saved as { revision: number }).revision);
  assert.equal(
    [...revisions].sort((x, y) => x - y),
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  for (const { configuration, published, stop } of servers) {
    await until(() => configuration.table.revision === 20, 2_000);
    assert.is(configuration.table.size, 20);
    // What the workers get is one chain without gaps.
    assert.equal(published.map(({ base }) => base).slice(1), published.map(({ revision }) => revision).slice(0, -1));
    await stop();
  }
  await server.close();
});

shared('If-Match of a revision that only the other server has seen counts; a stale one does not', async () => {
  const { server, open } = await start();
  const [one, two] = await Promise.all([startOo(open), startOo(open)]);
  await one.configuration.save([{ id: 'a', target: 't' }], by);
  assert.equal(await two.configuration.save([{ id: 'b', target: 't' }], { ...by, ifMatch: 0 }), { conflict: 1 });
  const saved = await one.configuration.save([{ id: 'b', target: 't' }], { ...by, ifMatch: 1 });
  assert.is((saved as { revision: number }).revision, 2);
  const second = await two.configuration.save([{ id: 'c', target: 't' }], { ...by, ifMatch: 2 });
  assert.is((second as { revision: number }).revision, 3);
  await Promise.all([one.stop(), two.stop()]);
  await server.close();
});

shared('a commit whose answer was lost is stored once, and acknowledged', async () => {
  const { server, open } = await start();
  const { configuration: store, close } = await open();
  server.mood('lose', 1);
  assert.equal(outcomeIn(await store.commit({ base: 0, save: [{ id: 'a', target: 't' }], remove: [], ...by })), {
    revision: 1,
  });
  assert.equal(routesIn(await store.load()), { revision: 1, routes: [{ id: 'a', target: 't' }] });
  close();
  await server.close();
});

shared('a short outage is passed over; a long one is one clear error, and watching goes on after it', async () => {
  const { server, open } = await start();
  const oo = await startOo(open);
  server.mood('refuse', 1);
  await oo.configuration.save([{ id: 'a', target: 't' }], by);
  server.mood('refuse');
  try {
    await oo.configuration.save([{ id: 'b', target: 't' }], by);
    assert.unreachable();
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint: string };
    assert.is(code, 'OO_STORE_UNREACHABLE');
    assert.is(message, `The database ${server.url}: the database server does not answer.`);
    assert.match(hint, /Check the URL/);
  }
  assert.ok(oo.configuration.get('a'), 'the last known routes stay');
  await until(() => oo.errors.length === 1, 3_000);
  server.mood('answer');
  const other = await startOo(open);
  await other.configuration.save([{ id: 'c', target: 't' }], by);
  await until(() => oo.configuration.get('c') !== undefined, 6_000);
  assert.is(oo.errors.length, 1, 'one line for one outage');
  await Promise.all([oo.stop(), other.stop()]);
  await server.close();
});

shared('a wrong token, or none, is refused with a hint; no message holds it', async () => {
  const { server } = await start();
  for (const [url, authToken] of [
    [server.url, undefined],
    [server.url, 'another'],
    [`${server.url}/?authToken=another`, undefined],
  ] as const) {
    try {
      await openDatabase({ url, authToken });
      assert.unreachable();
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      assert.is(code, 'OO_STORE_REFUSED');
      assert.match(hint, /OO_DB_TOKEN/);
      assert.not.match(message, 'another');
    }
  }
  await server.close();
});

shared('a server that is not there, and a URL that is none', async () => {
  const { server } = await start();
  await server.close();
  const codes: string[] = [];
  for (const url of [server.url, 'libsql://', 'http://x:y:z']) {
    await openDatabase({ url }).catch((error) => codes.push(error.code));
  }
  assert.equal(codes, ['OO_STORE_UNREACHABLE', 'OO_STORE_UNOPENABLE', 'OO_STORE_UNOPENABLE']);
});

shared('100,000 routes go over the wire in seconds, whole, while another server changes some', async () => {
  const { server, open } = await start();
  const { configuration: store, close } = await open();
  const save = Array.from({ length: 100_000 }, (_, i) => ({ id: `h${i}.example.com`, target: `http://10.0.0.1:${i}` }));
  const begun = performance.now();
  assert.equal(outcomeIn(await store.commit({ base: 0, save, remove: [], ...by })), { revision: 1 });
  const other = await open();
  const before = server.pipelines;
  const loading = store.load();
  await until(() => server.pipelines > before + 1, 10_000);
  const changed = { id: 'h0.example.com', target: 'changed' };
  await other.configuration.commit({ base: 1, save: [changed], remove: ['h99999.example.com'], ...by });
  const loaded = await loading;
  assert.is(loaded.revision, 2, 'pages of two revisions come out as the later one');
  assert.is(loaded.routes.length, 99_999);
  assert.equal(loaded.routes[0], changed);
  assert.ok(performance.now() - begun < 30_000, `took ${performance.now() - begun} ms`);
  other.close();
  close();
  await server.close();
});

shared.run();
