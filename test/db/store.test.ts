import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfigurationStore } from '../../db/configuration.ts';
import { openDatabase } from '../../db/database.ts';
import { openFile } from '../../db/file.ts';
import { migrate } from '../../db/migrations.ts';
import type { ConfigurationStore } from '../../src/admin/store.ts';
import type { Route } from '../../src/core/types.ts';
import { temporary } from '../helpers/temporary.ts';
import { changesIn, outcomeIn, routesIn } from './open-store.ts';

const store = suite('db: the route store');
const by = { actor: 'test' };
const a = { id: 'a.example.com', target: 'http://10.0.0.1' };
const b = {
  id: 'b.example.com/app',
  target: 'https://10.0.0.2/x',
  hostHeader: 'upstream',
  insecureSkipVerify: true,
  connectTimeoutMs: 5,
  maxBodyBytes: 0,
} as const satisfies Route;

async function open() {
  const database = await openDatabase({ url: join(temporary(), 'oo.db') });
  // What src/admin asks of a store is what db gives.
  const routes: ConfigurationStore = database.configuration;
  return { database, routes };
}

store('a new database is at revision 0, without routes', async () => {
  const { database, routes } = await open();
  assert.equal(routesIn(await routes.load()), { revision: 0, routes: [] });
  assert.equal(changesIn(await routes.changesSince(0)), { revision: 0, save: [], remove: [] });
  assert.is(routes.watch, undefined);
  database.close();
});

store('a commit is there, every option too, after the database was opened again', async () => {
  const dir = temporary();
  const first = await openDatabase({ url: join(dir, 'oo.db') });
  assert.equal(outcomeIn(await first.configuration.commit({ base: 0, save: [b, a], remove: [], ...by })), {
    revision: 1,
  });
  first.close();
  const second = await openDatabase({ url: `file:${dir}/oo.db` });
  assert.equal(routesIn(await second.configuration.load()), { revision: 1, routes: [a, b] });
  second.close();
});

store('paths and file: URLs, absolute, relative and with escapes, lead to one file', async () => {
  const dir = join(temporary(), 'a b');
  mkdirSync(dir);
  const path = join(dir, 'oo.db');
  const urls = [
    path,
    `file:${path}`,
    pathToFileURL(path).href,
    pathToFileURL(path).href.replace('///', '/'),
    relative('', path),
  ];
  for (const [base, url] of [...urls, `file:${relative('', path)}`].entries()) {
    const {
      configuration: routes,
      where,
      close,
    } = await openDatabase({
      url: url.startsWith('file:/') ? url.replaceAll(' ', '%20') : url,
    });
    assert.is(where, path);
    assert.equal(outcomeIn(await routes.commit({ base, save: [{ ...a, target: url }], remove: [], ...by })), {
      revision: base + 1,
    });
    close();
  }
});

store('a commit replaces a route whole, and removes', async () => {
  const { database, routes } = await open();
  await routes.commit({ base: 0, save: [a, b], remove: [], ...by });
  const plain = { id: b.id, target: 'http://10.0.0.3' };
  assert.equal(outcomeIn(await routes.commit({ base: 1, save: [plain], remove: [a.id, 'not.there'], ...by })), {
    revision: 2,
  });
  assert.equal(routesIn(await routes.load()), { revision: 2, routes: [plain] });
  database.close();
});

store('a commit on another revision than the stored one stores nothing and says which it is', async () => {
  const { database, routes } = await open();
  await routes.commit({ base: 0, save: [a], remove: [], ...by });
  assert.equal(outcomeIn(await routes.commit({ base: 0, save: [b], remove: [a.id], ...by })), { conflict: 1 });
  assert.equal(outcomeIn(await routes.commit({ base: 7, save: [b], remove: [a.id], ...by })), { conflict: 1 });
  assert.equal(routesIn(await routes.load()), { revision: 1, routes: [a] });
  assert.equal(outcomeIn(await routes.commit({ base: 1, save: [b], remove: [], ...by })), { revision: 2 });
  database.close();
});

store('commits at the same time: one wins each revision, none is lost', async () => {
  const { database, routes } = await open();
  const save = async (n: number): Promise<void> => {
    const { revision } = await routes.load();
    const result = await routes.commit({ base: revision, save: [{ id: `h${n}`, target: 't' }], remove: [], ...by });
    if ('conflict' in result) await save(n);
  };
  await Promise.all(Array.from({ length: 20 }, (_, n) => save(n)));
  const { revision, routes: stored } = await routes.load();
  assert.is(revision, 20);
  assert.is(stored.length, 20);
  database.close();
});

store('changesSince gives the last state of what changed, each id once', async () => {
  const { database, routes } = await open();
  await routes.commit({ base: 0, save: [a, b], remove: [], ...by });
  await routes.commit({ base: 1, save: [{ ...a, target: 'http://10.0.0.9' }], remove: [b.id], ...by });
  await routes.commit({ base: 2, save: [b], remove: [a.id], ...by });
  assert.equal(changesIn(await routes.changesSince(1)), { revision: 3, save: [b], remove: [a.id] });
  assert.equal(changesIn(await routes.changesSince(3)), { revision: 3, save: [], remove: [] });
  assert.is(await routes.changesSince(4), 'too old', 'ahead of the database: a backup was restored');
  database.close();
});

store('the log keeps what the limits say, by revisions and by rows, and says when it is too old', async () => {
  const connection = openFile(join(temporary(), 'oo.db'));
  await migrate(connection);
  const routes = createConfigurationStore(connection, { limits: { revisions: 5, changes: 6 } });
  const commit = (base: number, count: number) =>
    routes.commit({
      base,
      save: Array.from({ length: count }, (_, i) => ({ id: `h${i}`, target: `t${base}` })),
      remove: [],
      ...by,
    });
  for (let base = 0; base < 8; base++) await commit(base, 1);
  assert.is(await routes.changesSince(2), 'too old');
  assert.equal(changesIn(await routes.changesSince(3)), {
    revision: 8,
    save: [{ id: 'h0', target: 't7' }],
    remove: [],
  });
  await commit(8, 5);
  assert.is(await routes.changesSince(6), 'too old', 'seven rows');
  assert.is(((await routes.changesSince(7)) as { save: readonly unknown[] }).save.length, 5);
  await commit(9, 7);
  assert.is(await routes.changesSince(9), 'too old', 'one revision over the limit');
  const [[[rows]]] = await connection.run([{ sql: 'SELECT count(*) FROM resource_changes', args: [] }], 'read');
  assert.is(rows, 0);
  assert.is((await routes.load()).routes.length, 7);
  connection.close();
});

store('100,000 routes: stored, read and removed in seconds, in one revision each', async () => {
  const { database, routes } = await open();
  const save = Array.from({ length: 100_000 }, (_, i) => ({ id: `h${i}.example.com`, target: `http://10.0.0.1:${i}` }));
  const start = performance.now();
  assert.equal(outcomeIn(await routes.commit({ base: 0, save, remove: [], ...by })), { revision: 1 });
  const loaded = await routes.load();
  assert.is(loaded.routes.length, 100_000);
  assert.is(new Set(loaded.routes.map(({ id }) => id)).size, 100_000);
  assert.is(await routes.changesSince(0), 'too old', 'so many are better loaded anew');
  assert.equal(outcomeIn(await routes.commit({ base: 1, save: [], remove: save.map(({ id }) => id), ...by })), {
    revision: 2,
  });
  assert.equal(routesIn(await routes.load()), { revision: 2, routes: [] });
  // About 2 s on two cores; a statement a row would take a minute.
  assert.ok(performance.now() - start < 20_000, `took ${performance.now() - start} ms`);
  database.close();
});

store('who, when and why is in the log', async () => {
  const connection = openFile(join(temporary(), 'oo.db'));
  await migrate(connection);
  const routes = createConfigurationStore(connection, { now: () => 1_234 });
  await routes.commit({ base: 0, save: [a], remove: [], actor: 'cli:ann', reason: "it's 'time'" });
  const sql = 'SELECT revision, at, actor, reason, changes FROM revisions';
  assert.equal(await connection.run([{ sql, args: [] }], 'read'), [[[1, 1_234, 'cli:ann', "it's 'time'", 1]]]);
  connection.close();
});

store('times: created once, updated with each save', async () => {
  const connection = openFile(join(temporary(), 'oo.db'));
  await migrate(connection);
  let now = 1;
  const routes = createConfigurationStore(connection, { now: () => now });
  await routes.commit({ base: 0, save: [a], remove: [], ...by });
  now = 2;
  await routes.commit({ base: 1, save: [a], remove: [], ...by });
  const sql = 'SELECT created_at, updated_at FROM resources';
  assert.equal(await connection.run([{ sql, args: [] }], 'read'), [[[1, 2]]]);
  connection.close();
});

store.run();
