import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore, type Route, type RouteStore } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { failureOf, places } from './places.ts';

const follow = suite('store: who follows the routes');
const a = { id: 'a.test', target: 'http://127.0.0.1:1' };
const b = { id: 'b.test', target: 'http://127.0.0.1:2' };
const everyMs = 100;
const token = 'a-token';

/** What a follower was told, and how. */
function listener() {
  const told: (readonly [number, readonly string[]])[] = [];
  const errors: (Error & { code?: string; hint?: string })[] = [];
  const onRoutes = (routes: readonly Route[], revision: number) =>
    void told.push([revision, routes.map(({ id }) => id)]);
  return { told, errors, onRoutes, onError: (error: Error) => void errors.push(error) };
}

for (const [name, start] of places) {
  follow(`${name}: what another one saves and removes is told, once each, and nothing after the stop`, async () => {
    const place = await start();
    const writer = await place.open();
    await writer.save([a]);
    const reader = await place.open({ readOnly: true });
    await reader.routes();
    const { told, errors, onRoutes, onError } = listener();
    const stop = reader.watch(onRoutes, { everyMs, onError });
    await writer.save([b]);
    await until(() => told.length === 1);
    await writer.remove(['a.test']);
    await until(() => told.length === 2);
    assert.equal(told, [
      [2, ['a.test', 'b.test']],
      [3, ['b.test']],
    ]);
    stop();
    await writer.save([a]);
    await looks(reader, 3);
    assert.is(told.length, 2);
    assert.equal(errors, []);
    reader.close();
    writer.close();
    await place.end();
  });

  follow(`${name}: who has read nothing yet is told what there is; an own save is told at once`, async () => {
    const place = await start();
    const own = await place.open();
    const { told, onRoutes } = listener();
    own.watch(onRoutes, { everyMs: 60_000 });
    await until(() => told.length === 1);
    await own.save([a]);
    await until(() => told.length === 2);
    assert.equal(told, [
      [0, []],
      [1, ['a.test']],
    ]);
    own.close();
    await place.end();
  });
}

/** Lets a watch that still ran look some times. */
async function looks(store: RouteStore, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    await store.revision();
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

async function startShared() {
  const server = await startHrana(join(temporary(), 'routes.db'), token);
  const open = (more = {}) => openStore({ url: server.url, authToken: token, ...more });
  const writer = await open();
  return { server, open, writer };
}

follow(
  'a database that is away is told once, with what to do; what was there stays, and what is new comes after',
  async () => {
    const { server, open, writer } = await startShared();
    await writer.save([a]);
    const reader = await open({ readOnly: true });
    const { told, errors, onRoutes, onError } = listener();
    reader.watch(onRoutes, { everyMs, onError });
    await until(() => told.length === 1);
    server.mood('refuse');
    await until(() => errors.length === 1);
    assert.is(errors[0].code, 'OO_STORE_UNREACHABLE');
    assert.match(errors[0].message, new RegExp(`The database ${server.url}: the database server does not answer`));
    assert.match(String(errors[0].hint), /Check the URL/);
    const failure = await failureOf(reader.routes());
    assert.is(failure.code, 'OO_STORE_UNREACHABLE');
    assert.is((await failureOf(writer.save([b]))).code, 'OO_STORE_UNREACHABLE');
    server.mood('answer');
    await writer.save([b]);
    await until(() => told.length === 2);
    assert.equal(told[1], [2, ['a.test', 'b.test']]);
    assert.is(errors.length, 1);
    reader.close();
    writer.close();
    await server.close();
  },
);

follow('routes that a proxy refuses are told as an error, and tried again; the next ones reach it', async () => {
  const { server, writer } = await startShared();
  const { errors, onError } = listener();
  const taken: string[] = [];
  let calls = 0;
  writer.watch(
    (routes) => {
      calls += 1;
      if (routes.some(({ target }) => target === 'service://shop')) throw new TypeError('use the edge');
      taken.push(routes.map(({ id }) => id).join());
    },
    { everyMs, onError },
  );
  await until(() => taken.length === 1);
  await writer.save([{ ...a, target: 'service://shop' }]);
  await until(() => calls >= 3);
  assert.equal(
    errors.map(({ message }) => message),
    ['use the edge'],
  );
  await writer.save([a]);
  await until(() => taken.length === 2);
  assert.equal(taken, ['', 'a.test']);
  writer.close();
  await server.close();
});

follow('a lost answer: what was stored is told as stored, once', async () => {
  const { server, writer } = await startShared();
  await writer.routes();
  // The look, then the commit.
  server.moods('answer', 'lose');
  const saved = await writer.save([a]);
  assert.is((saved as { revision: number }).revision, 1);
  assert.is((await writer.history()).length, 1);
  writer.close();
  await server.close();
});

follow('two that save at the same time: one revision each, and each sees both', async () => {
  const { server, open, writer } = await startShared();
  const other = await open();
  await Promise.all([writer.save([a]), other.save([b])]);
  assert.equal(await writer.routes(), [a, b]);
  assert.equal(await other.routes(), [a, b]);
  assert.is(await writer.revision(), 2);
  for (const one of [writer, other]) one.close();
  await server.close();
});

follow('a wrong token is told by the first call, and by openStore where that would migrate', async () => {
  const { server, writer } = await startShared();
  writer.close();
  const wrong = { url: server.url, authToken: 'wrong' };
  const failure = await failureOf(openStore(wrong));
  assert.is(failure.code, 'OO_STORE_REFUSED');
  assert.match(String(failure.hint), /Give openStore an authToken/);
  const reader = await openStore({ ...wrong, readOnly: true });
  assert.is((await failureOf(reader.routes())).code, 'OO_STORE_REFUSED');
  assert.is(failure.message.includes('wrong'), false, 'no token in messages');
  await server.close();
});

follow('a server that is gone is told, and is found when it is back', async () => {
  const { server, open, writer } = await startShared();
  await writer.save([a]);
  const reader = await open({ readOnly: true });
  server.mood('refuse');
  assert.is((await failureOf(reader.routes())).code, 'OO_STORE_UNREACHABLE');
  assert.is((await failureOf(open())).code, 'OO_STORE_UNREACHABLE');
  server.mood('answer');
  assert.equal(await reader.routes(), [a]);
  await server.close();
  assert.is((await failureOf(reader.routes())).code, 'OO_STORE_UNREACHABLE');
});

follow(
  'a pull loads with the first request, and looks again when its time has passed, after the response',
  async () => {
    const { server, open, writer } = await startShared();
    await writer.save([a]);
    const reader = await open({ readOnly: true });
    const before = server.pipelines;
    const { told, errors, onRoutes, onError } = listener();
    const fresh = reader.pull(onRoutes, { everyMs, onError });
    assert.is(server.pipelines, before, 'nothing is sent before a request');
    server.mood('refuse');
    assert.is((await failureOf(fresh())).code, 'OO_STORE_UNREACHABLE');
    assert.equal(errors, [], 'the first one is told by its rejection');
    server.mood('answer');
    await fresh();
    assert.equal(told, [[1, ['a.test']]]);
    await writer.save([b]);
    const asked = server.pipelines;
    await fresh();
    assert.is(server.pipelines, asked, 'not before its time');
    await new Promise((resolve) => setTimeout(resolve, everyMs + 20));
    const later: Promise<unknown>[] = [];
    await fresh({ waitUntil: (promise) => void later.push(promise) });
    assert.is(told.length, 1, 'the request did not wait');
    await Promise.all(later);
    assert.equal(told[1], [2, ['a.test', 'b.test']]);
    server.mood('refuse');
    await new Promise((resolve) => setTimeout(resolve, everyMs + 20));
    await fresh();
    assert.is(errors[0].code, 'OO_STORE_UNREACHABLE');
    assert.is(told.length, 2);
    for (const one of [reader, writer]) one.close();
    await server.close();
  },
);

follow('a request that never ends holds no other up', async () => {
  const { server, open, writer } = await startShared();
  await writer.save([a]);
  const reader = await open({ readOnly: true });
  const own = globalThis.fetch;
  let stuck = 0;
  // As on Workers, where what a request waits for is gone with it.
  globalThis.fetch = () => {
    stuck += 1;
    return new Promise(() => {});
  };
  for (let n = 0; n < 25; n++) void reader.pull(() => {})();
  await until(() => stuck >= 25);
  globalThis.fetch = own;
  assert.equal(await reader.routes(), [a]);
  for (const one of [reader, writer]) one.close();
  await server.close();
});

follow('what is no time, or no function, is told', async () => {
  const { server, writer } = await startShared();
  for (const ms of [0, 99, Number.NaN, 2 ** 31, '5' as never]) {
    assert.throws(() => writer.watch(() => {}, { everyMs: ms }), /everyMs is/);
    assert.throws(() => writer.pull(() => {}, { everyMs: ms }), /everyMs is/);
  }
  assert.throws(() => writer.watch(undefined as never), /onRoutes is no function/);
  writer.close();
  await server.close();
});

follow.run();
