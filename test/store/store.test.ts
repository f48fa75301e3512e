import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { openFile } from '../../db/file.ts';
import { currentSchema, makeSchema } from '../../db/migrations.ts';
import { createProxy, type RouteFault } from '../../src/index.ts';
import { telling } from '../../src/store/fault.ts';
import { openStore, type Route, type RouteStore, StoreError } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';
import { failureOf, places } from './places.ts';

const store = suite('store: routes for who embeds the proxy');
const a = { id: 'a.test', target: 'http://127.0.0.1:1' };
const b = { id: 'b.test/x', target: 'http://127.0.0.1:2', owner: 'shop' };

for (const [name, start] of places) {
  async function using(work: (store: RouteStore) => Promise<void>): Promise<void> {
    const place = await start();
    const opened = await place.open();
    await work(opened);
    opened.close();
    await place.end();
  }

  store(`${name}: what is saved is read, in normal form and by id, and again after a new start`, async () => {
    const place = await start();
    const first = await place.open();
    assert.equal(await first.routes(), []);
    assert.is(await first.revision(), 0);
    const saved = await first.save([b, { ...a, id: 'A.Test' }], { reason: 'first', actor: 'deploy' });
    assert.equal(saved, { revision: 1, created: ['b.test/x', 'a.test'], updated: [], unchanged: [] });
    assert.equal(await first.routes(), [a, b]);
    assert.is(await first.routes(), await first.routes(), 'the same list while nothing changes');
    first.close();
    const second = await place.open();
    assert.equal(await second.routes(), [a, b]);
    assert.is(await second.revision(), 1);
    createProxy({ routes: await second.routes() });
    const [{ at, ...info }] = await second.history();
    assert.equal(info, { revision: 1, actor: 'deploy', from: '', reason: 'first', changes: 2 });
    assert.ok(Math.abs(at - Date.now()) < 60_000);
    second.close();
    await place.end();
  });

  store(`${name}: what is as it was makes no revision; an owner is kept`, () =>
    using(async (routes) => {
      await routes.save([a, b]);
      assert.equal(await routes.save([a]), { revision: 1, created: [], updated: [], unchanged: ['a.test'] });
      const { owner, ...mine } = b;
      await routes.save([{ ...mine, target: 'http://127.0.0.1:3' }]);
      assert.equal((await routes.routes())[1], { ...b, target: 'http://127.0.0.1:3' });
      assert.equal((await routes.history({ limit: 1 })).length, 1);
      assert.equal(
        (await routes.history({ before: 2 })).map(({ revision }) => revision),
        [1],
      );
    }),
  );

  store(`${name}: removed routes are gone; what is not there is told`, () =>
    using(async (routes) => {
      await routes.save([a, b]);
      assert.equal(await routes.remove(['A.test', 'c.test']), {
        revision: 2,
        removed: ['a.test'],
        missing: ['c.test'],
      });
      assert.equal(await routes.routes(), [b]);
      assert.equal(await routes.remove(['a.test']), { revision: 2, removed: [], missing: ['a.test'] });
    }),
  );

  store(`${name}: routes that are refused are told as createProxy does, and nothing is stored`, () =>
    using(async (routes) => {
      const wrong = [a, { id: 'b.test', target: 'ftp://x' }, { id: '', target: 'x' }, { ...b, colour: 1 }];
      const failure = await failureOf(routes.save(wrong as Route[]));
      assert.instance(failure, TypeError);
      const faults = failure.cause as RouteFault[];
      assert.equal(
        faults.map(({ index, field }) => [index, field]),
        [
          [1, 'target'],
          [2, 'id'],
          [3, 'colour'],
        ],
      );
      assert.is(failure.message, faults.map(({ message }) => message).join('; '));
      assert.is(await routes.revision(), 0);
      const handler = (() => new Response()) as never;
      assert.match((await failureOf(routes.save([{ ...a, handler }]))).message, /handler/);
      assert.match((await failureOf(routes.save([a, { ...a, id: 'A.test' }]))).message, /a\.test/);
      assert.instance(await failureOf(routes.save('a.test' as never)), TypeError);
      assert.instance(await failureOf(routes.remove('a.test' as never)), TypeError);
      assert.match((await failureOf(routes.save([a], { revision: -1 }))).message, /revision is '-1'/);
      assert.match((await failureOf(routes.save([a], { reason: 'x'.repeat(1_001) }))).message, /reason/);
      assert.is(await routes.revision(), 0);
    }),
  );

  store(`${name}: a change from a revision that is past is a conflict, and stores nothing`, () =>
    using(async (routes) => {
      await routes.save([a], { revision: 0 });
      assert.equal(await routes.save([b], { revision: 0 }), { conflict: 1 });
      assert.equal(await routes.remove(['a.test'], { revision: 7 }), { conflict: 1 });
      assert.equal(await routes.routes(), [a]);
      assert.is(((await routes.save([b], { revision: 1 })) as { revision: number }).revision, 2);
    }),
  );

  store(`${name}: saves at the same time are all stored`, () =>
    using(async (routes) => {
      const ids = ['1', '2', '3', '4', '5', '6'].map((n) => `${n}.test`);
      await Promise.all(ids.map((id) => routes.save([{ ...a, id }])));
      assert.equal(
        (await routes.routes()).map(({ id }) => id),
        ids,
      );
      assert.is(await routes.revision(), 6);
    }),
  );

  store(`${name}: a handler is passed on as data`, () =>
    using(async (routes) => {
      const handler = { file: './auth.mjs', source: 'export default (request, next) => next();', timeoutMs: 50 };
      await routes.save([{ ...a, handler }]);
      assert.equal(await routes.routes(), [{ ...a, handler }]);
    }),
  );

  store(`${name}: what is read is nobody's to change`, () =>
    using(async (routes) => {
      const mine = { ...a, target: ['http://127.0.0.1:1', 'http://127.0.0.1:2'] };
      await routes.save([mine]);
      mine.target.pop();
      const read = await routes.routes();
      assert.equal(read[0].target, ['http://127.0.0.1:1', 'http://127.0.0.1:2']);
      assert.throws(() => (read as Route[]).pop(), TypeError);
      assert.throws(() => Object.assign(read[0], { target: 'x' }), TypeError);
    }),
  );

  store(`${name}: opened to read, it changes nothing, and an empty database is told`, async () => {
    const place = await start();
    const early = place.open({ readOnly: true }).then((reader) => reader.routes());
    const failure = await failureOf(early);
    assert.is(failure.code, name === 'a file' ? 'OO_STORE_UNOPENABLE' : 'OO_STORE_READONLY', failure.message);
    const writer = await place.open();
    await writer.save([a]);
    const reader = await place.open({ readOnly: true });
    assert.is(reader.readOnly, true);
    assert.equal(await reader.routes(), [a]);
    assert.is((await failureOf(reader.save([b]))).code, 'OO_STORE_READONLY');
    await writer.save([b]);
    assert.equal(await reader.routes(), [a, b]);
    reader.close();
    assert.equal(await writer.routes(), [a, b]);
    writer.close();
    await place.end();
  });

  store(`${name}: a closed store says so`, async () => {
    const place = await start();
    const opened = await place.open();
    opened.close();
    opened.close();
    const calls = [opened.routes(), opened.revision(), opened.save([a]), opened.history()];
    for (const { message } of await Promise.all(calls.map(failureOf))) assert.match(message, /is closed/);
    assert.throws(() => opened.watch(() => {}), /is closed/);
    await place.end();
  });
}

store('a file that oo serve has open is refused, and read beside it', async () => {
  const path = join(temporary(), 'oo.db');
  const server = await openDatabase({ url: path });
  const failure = await failureOf(openStore({ url: path }));
  assert.instance(failure, StoreError);
  assert.is(failure.code, 'OO_STORE_LOCKED');
  assert.match(failure.message, new RegExp(`held by a running oo, pid ${process.pid}`));
  assert.match(String(failure.hint), /readOnly: true/);
  const reader = await openStore({ url: `file:${path}`, readOnly: true });
  await server.configuration.commit({ base: 0, actor: 'serve', save: [a], remove: [] });
  assert.equal(await reader.routes(), [a]);
  reader.close();
  server.close();
  const own = await openStore({ url: path });
  assert.is((await failureOf(openDatabase({ url: path }))).code, 'OO_STORE_LOCKED', 'and the other way round');
  own.close();
});

store('what the store saves, oo serve has', async () => {
  const path = join(temporary(), 'oo.db');
  const own = await openStore({ url: path });
  await own.save([a, b], { reason: 'why' });
  own.close();
  const server = await openDatabase({ url: path });
  const { revision, routes } = await server.configuration.load();
  assert.equal({ revision, routes }, { revision: 1, routes: [a, b] });
  server.close();
});

store('a database of a later oo is refused, also when it becomes one meanwhile', async () => {
  const path = join(temporary(), 'oo.db');
  const server = await startHrana(path);
  const writer = await openStore({ url: server.url });
  await writer.save([a]);
  const reader = await openStore({ url: path, readOnly: true });
  assert.equal(await reader.routes(), [a]);
  const db = new Database(path, { timeout: 5_000 });
  db.exec('UPDATE meta SET schema = 99');
  db.close();
  const told = new Promise<Error>((resolve) => writer.watch(() => {}, { everyMs: 100, onError: resolve }));
  const tries = [
    reader.routes(),
    writer.save([b]),
    openStore({ url: server.url }),
    told.then((error) => Promise.reject(error)),
  ];
  for (const { code, message, hint } of await Promise.all(tries.map(failureOf))) {
    assert.is(code, 'OO_STORE_NEWER');
    assert.match(message, /written by a later oo \(schema 99/);
    assert.match(String(hint), /@oo\/proxy/);
  }
  for (const one of [reader, writer]) one.close();
  await server.close();
});

store(
  'a database of an earlier oo is left as it is by who only reads, and brought up to date by who writes',
  async () => {
    const path = join(temporary(), 'oo.db');
    const connection = openFile(path);
    await makeSchema(connection, currentSchema - 1);
    connection.close();
    const server = await startHrana(path);
    const remote = await openStore({ url: server.url, readOnly: true });
    for (const failure of [
      await failureOf(openStore({ url: path, readOnly: true })),
      await failureOf(remote.routes()),
    ]) {
      assert.is(failure.code, 'OO_STORE_READONLY');
      assert.match(failure.message, /written by an earlier oo \(schema \d+; this one needs \d+\)/);
    }
    await server.close();
    const writer = await openStore({ url: path });
    await writer.save([a]);
    assert.equal(await writer.routes(), [a]);
    writer.close();
  },
);

store("another program's database is refused", async () => {
  const path = join(temporary(), 'other.db');
  const db = new Database(path, { timeout: 5_000 });
  db.exec('CREATE TABLE meta (title TEXT); CREATE TABLE resources (x TEXT)');
  db.close();
  for (const readOnly of [true, false]) {
    const failure = await failureOf(openStore({ url: path, readOnly }));
    assert.is(failure.code, 'OO_STORE_FOREIGN');
    assert.match(String(failure.hint), /openStore/);
  }
});

store('a file that is missing is made to write, and not to read', async () => {
  const path = join(temporary(), 'oo.db');
  assert.is((await failureOf(openStore({ url: path, readOnly: true }))).code, 'OO_STORE_UNOPENABLE');
  assert.is(existsSync(path), false);
  (await openStore({ url: path })).close();
  assert.is(existsSync(path), true);
});

store('a history as long as the settings say', async () => {
  const path = join(temporary(), 'oo.db');
  const server = await openDatabase({ url: path });
  const settings = { historyRevisions: 2 };
  await server.configuration.commit({ base: 0, actor: 'serve', save: [], remove: [], settings, historyRevisions: 2 });
  server.close();
  const own = await openStore({ url: path });
  for (const n of [1, 2, 3]) await own.save([{ ...a, target: `http://127.0.0.1:${n}` }]);
  assert.equal(
    (await own.history()).map(({ revision }) => revision),
    [4, 3],
  );
  own.close();
});

store('what is not installed is told on Deno as well, which has a TypeError for it', async () => {
  const deno = Object.assign(new TypeError("Could not find package 'libsql' from referrer 'file:///a.js'."), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  const failure = await telling('oo.db', () => Promise.reject(deno)).catch((error) => error as StoreError);
  assert.is(failure.code, 'OO_STORE_UNOPENABLE');
  assert.match(failure.hint, /^npm install @libsql\/client/);
});

store('what is not installed is told, with what to install', async () => {
  const dir = temporary();
  await build({
    ...{ entryPoints: [join(import.meta.dirname, '../../src/store.ts')], outdir: dir, bundle: true, format: 'esm' },
    ...{ platform: 'node', splitting: true, external: ['libsql', '@libsql/client'], logLevel: 'error' },
    outExtension: { '.js': '.mjs' },
  });
  const { openStore: opening } = await import(join(dir, 'store.mjs'));
  for (const url of [join(dir, 'oo.db'), 'https://db.test']) {
    const failure = await failureOf(opening({ url }));
    assert.is(failure.code, 'OO_STORE_UNOPENABLE');
    assert.match(failure.message, /is not installed: Cannot find package/);
    assert.match(String(failure.hint), /npm install @libsql\/client/);
  }
});

store('what is no database, or no address, is told', async () => {
  const codeOf = async (url: string) => (await failureOf(openStore({ url }))).code;
  assert.is(await codeOf(':memory:'), 'OO_STORE_UNOPENABLE');
  assert.is(await codeOf('redis://x'), 'OO_STORE_UNOPENABLE');
  assert.is(await codeOf('/nowhere/at/all/oo.db'), 'OO_STORE_UNOPENABLE');
  assert.is(await codeOf('https://'), 'OO_STORE_UNOPENABLE');
  for (const options of [undefined, {}, { url: '' }, { url: 7 }, { url: 'https://x', authToken: 7 }])
    assert.instance(await failureOf(openStore(options as never)), TypeError);
});

store.run();
