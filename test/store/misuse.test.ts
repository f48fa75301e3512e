import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore, type Route, type StoreOptions } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { failureOf, places } from './places.ts';

const misuse = suite('store: what goes wrong around it');
const a = { id: 'a.test', target: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] };
const b = { id: 'b.test', target: 'http://127.0.0.1:2' };
const everyMs = 100;

const openFile = (more: object = {}) => openStore({ url: join(temporary(), 'routes.db'), ...more });

for (const [name, start] of places)
  misuse(`${name}: many savers at once all come through`, async () => {
    const place = await start();
    const stores = await Promise.all(name === 'a file' ? [place.open()] : [place.open(), place.open()]);
    const saved = await Promise.all(
      Array.from({ length: 30 }, (_, i) => stores[i % stores.length].save([{ ...b, id: `${i}.test` }])),
    );
    assert.equal(
      saved.map((made) => ('revision' in made ? made.revision : -1)).sort((x, y) => x - y),
      Array.from({ length: 30 }, (_, i) => i + 1),
    );
    assert.is((await stores[0].routes()).length, 30);
    for (const store of stores) store.close();
    await place.end();
  });

misuse('a watch tells what was saved since routes() was called', async () => {
  const store = await openFile();
  const had = await store.routes();
  await store.save([a]);
  const told: (readonly Route[])[] = [];
  store.watch((routes) => void told.push(routes), { everyMs });
  assert.is(had.length, 0);
  await until(() => told.length === 1);
  assert.is(told[0].length, 1);
  store.close();
});

misuse('nobody changes what all share', async () => {
  const store = await openFile();
  await store.save([a]);
  const [route] = await store.routes();
  assert.throws(() => (route.target as string[]).push('http://127.0.0.1:3'), /extensible/);
  assert.equal((await store.routes())[0].target, a.target);
  store.close();
});

for (const [kind, fails] of [
  ['throws', (error: Error) => raise(error)],
  ['rejects', async (error: Error) => raise(error)],
] as const)
  misuse(`an onError that ${kind} ends neither watch nor pull, nor the process`, async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    const lines: unknown[] = [];
    const { error: tell } = console;
    console.error = (line) => lines.push(line);
    process.on('unhandledRejection', note);
    const store = await openFile();
    let told = 0;
    const onRoutes = (routes: readonly Route[]) => {
      told++;
      if (routes.length === 1) throw new Error('of onRoutes');
    };
    const fresh = store.pull(onRoutes, { everyMs, onError: fails });
    await fresh();
    await store.save([a]);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    await fresh();
    assert.is(told, 2);
    store.watch(onRoutes, { everyMs, onError: fails });
    await until(() => lines.length === 2);
    await store.save([b]);
    await until(() => told >= 4);
    await new Promise((resolve) => setTimeout(resolve, 20));
    store.close();
    console.error = tell;
    process.off('unhandledRejection', note);
    assert.equal(unhandled, []);
    assert.match(String(lines[0]), 'of onRoutes');
  });

function raise(error: Error): never {
  throw new Error(`of onError: ${error.message}`);
}

misuse('a pull looks again after the clock was put back', async () => {
  const store = await openFile();
  const { now } = Date;
  let told = 0;
  const fresh = store.pull(() => void told++, { everyMs: 60_000 });
  await fresh();
  await store.save([a]);
  await fresh();
  assert.is(told, 1);
  try {
    Date.now = () => now() - 3_600_000;
    await fresh();
  } finally {
    Date.now = now;
  }
  assert.is(told, 2);
  store.close();
});

misuse('a request goes on only when routes are taken, though another was cut short as it took them', async () => {
  const store = await openFile();
  await store.save([a]);
  let calls = 0;
  let taken = 0;
  const fresh = store.pull(async () => {
    // The first never ends.
    if (calls++ === 0) await new Promise(() => {});
    taken++;
  });
  void fresh();
  await until(() => calls === 1);
  await fresh();
  assert.is(taken, 1);
  store.close();
});

misuse('a pull asks a database that is away ever more slowly', async () => {
  const server = await startHrana(join(temporary(), 'routes.db'), 'a-token');
  const store = await openStore({ url: server.url, authToken: 'a-token' });
  const { now } = Date;
  let at = now();
  try {
    Date.now = () => at;
    const fresh = store.pull(() => {}, { everyMs: 1_000, onError: () => {} });
    await fresh();
    await server.close();
    const looked: number[] = [];
    const { fetch } = globalThis;
    globalThis.fetch = (...args) => {
      looked.push(at);
      return fetch(...args);
    };
    const begun = at;
    for (let second = 1; second <= 20; second++) {
      at = begun + second * 1_000;
      await fresh();
    }
    globalThis.fetch = fetch;
    // After 1 s, then 2, 4 and 8 more.
    assert.equal([...new Set(looked.map((ms) => (ms - begun) / 1_000))], [1, 3, 7, 15]);
  } finally {
    Date.now = now;
    store.close();
  }
});

misuse('misspelled options are refused: none of them would be in force', async () => {
  const url = join(temporary(), 'routes.db');
  const opening = await failureOf(openStore({ url, readonly: true } as StoreOptions));
  assert.match(opening.message, "no option 'readonly'");
  assert.throws(() => readFileSync(url), /ENOENT/);
  assert.match((await failureOf(openStore({ url, readOnly: 'no' } as never))).message, 'readOnly is a string');
  const store = await openStore({ url });
  const wrong: [Promise<unknown>, string][] = [
    [store.save([a], { revison: 0 } as never), "save has no option 'revison'"],
    [store.save([a], null as never), 'options of save are missing'],
    [store.remove(['a.test'], { why: 'x' } as never), "remove has no option 'why'"],
    [store.history({ limit: 'x' } as never), "limit is 'x'"],
    [store.history({ limit: 0 }), "limit is '0'"],
    [store.history({ before: 'x' } as never), "before is 'x'"],
  ];
  for (const [promise, named] of wrong) {
    const refusal = await failureOf(promise);
    assert.instance(refusal, TypeError);
    assert.ok(refusal.message.includes(named), refusal.message);
  }
  assert.throws(() => store.watch(() => {}, { onError: 'x' } as never), /onError is no function/);
  assert.is(await store.revision(), 0);
  store.close();
});

misuse('no error says a password or a token', async () => {
  const told = async (options: StoreOptions) => {
    const store = await openStore(options).catch((error) => error);
    const error: Awaited<ReturnType<typeof failureOf>> =
      store instanceof Error ? store : await failureOf(store.routes());
    return JSON.stringify([error.message, error.hint, error.code]);
  };
  const withPassword = await told({ url: 'libsql://user:secret@127.0.0.1:1/x', readOnly: true });
  assert.not.match(withPassword, 'secret');
  assert.match(withPassword, 'OO_STORE_UNOPENABLE');
  const withLineBreak = await told({ url: 'http://127.0.0.1:1', authToken: 'secret\n', readOnly: true });
  assert.not.match(withLineBreak, 'secret');
  assert.match(withLineBreak, 'OO_STORE_REFUSED');
  const inside = await told({ url: 'http://127.0.0.1:1', authToken: 'secret\nmore', readOnly: true });
  assert.not.match(inside, 'secret');
});

misuse('a stored thing of a kind or a form that this oo does not know is told as damaged', async () => {
  const path = join(temporary(), 'routes.db');
  const store = await openStore({ url: path });
  await store.save([b]);
  store.close();
  for (const [kind, value] of [
    ['spaceship', '{"id":"x"}'],
    ['route', '[]'],
    ['route', '{"id":'],
  ]) {
    const file = new Database(path);
    file.prepare("DELETE FROM resources WHERE id = 'x'").run();
    file.prepare("INSERT INTO resources VALUES (?, 'x', ?, 1, 0, 0)").run(kind, value);
    file.close();
    const reader = await openStore({ url: path, readOnly: true });
    const refusal = await failureOf(reader.routes());
    assert.is(refusal.code, 'OO_STORE_CORRUPT');
    assert.match(refusal.message, `the ${kind} x`);
    reader.close();
  }
});

misuse('a page that something else answers with is no answer of the database', async () => {
  for (const page of ['<html>', '']) {
    const server = createServer((_request, response) => response.end(page)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const store = await openStore({ url: `http://127.0.0.1:${port}`, readOnly: true });
    assert.is((await failureOf(store.routes())).code, 'OO_STORE_UNREACHABLE');
    server.close();
    server.closeAllConnections();
  }
});

misuse.run();
