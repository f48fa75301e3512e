import { readFileSync, statSync } from 'node:fs';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openFile } from '../../db/file.ts';
import { createRegistryStore } from '../../db/registry.ts';
import type { InstanceView, RegistryRow, RegistryWrite } from '../../src/services/types.ts';
import { instanceOf } from './instance-of.ts';
import { type Place, places } from './open-store.ts';

const put = (id: string, more: Partial<InstanceView> = {}): RegistryWrite => {
  return { do: 'put', row: { kind: 'instance', id, value: instanceOf(id, more) } };
};
const beat = (id: string, lastHeartbeat: number): RegistryWrite => {
  return { do: 'beat', id, lastHeartbeat, status: 'Degraded', details: 'slow "é"', statusSince: 9 };
};
const remove = (id: string, unlessBeatenSince?: number): RegistryWrite => {
  return { do: 'remove', kind: 'instance', id, unlessBeatenSince };
};
const ids = (rows: readonly RegistryRow[]) => rows.map(({ id }) => id).sort();

for (const [name, start] of places) {
  const registry = suite(`db: the registry in ${name}`);

  async function opened(): Promise<Awaited<ReturnType<Place['open']>> & { place: Place; end(): Promise<void> }> {
    const place = await start();
    const database = await place.open();
    const end = async () => {
      database.close();
      await place.end();
    };
    return { ...database, place, end };
  }

  registry('every kind of row comes back as it was; a beat changes what it says and nothing else', async () => {
    const { registry: store, end } = await opened();
    assert.equal(await store.read(0), { version: 0, whole: true, rows: [], removed: [] });
    const rows: RegistryRow[] = [
      { kind: 'instance', id: 'a', value: instanceOf('a', { tags: [], details: "it's" }) },
      { kind: 'node', id: 'a', value: { id: 'a', url: 'http://a', az: '', lastHeartbeat: 3 } },
    ];
    await store.write(rows.map((row) => ({ do: 'put', row })));
    const all = await store.read(0);
    assert.is(all.version, 1);
    assert.is(all.whole, true);
    assert.equal(all.rows, rows);
    await store.write([beat('a', 20), beat('nobody', 20)]);
    const value = instanceOf('a', {
      ...{ tags: [], lastHeartbeat: 20, status: 'Degraded', details: 'slow "é"', statusSince: 9 },
    });
    const changes = { version: 2, whole: false, rows: [{ kind: 'instance', id: 'a', value }], removed: [] };
    assert.equal(await store.read(1), changes);
    assert.equal(await store.read(2), { version: 2, whole: false, rows: [], removed: [] });
    assert.equal(ids((await store.read(0)).rows), ['a', 'a'], 'a beat of a row that is not there makes none');
    await end();
  });

  registry('writes of one row count in their order, and all of them are one version', async () => {
    const { registry: store, end } = await opened();
    await store.write([
      ...[put('a'), put('b'), put('c'), put('d')],
      ...[remove('a'), remove('b'), put('a', { weight: 3 }), beat('a', 99), remove('d'), put('d'), remove('d')],
    ]);
    const { version, rows } = await store.read(0);
    assert.is(version, 1);
    assert.equal(ids(rows), ['a', 'c']);
    const [a] = rows.filter(({ id }) => id === 'a') as { value: InstanceView }[];
    assert.equal([a.value.weight, a.value.lastHeartbeat], [3, 99]);
    await store.write([]);
    assert.is((await store.read(0)).version, 1, 'nothing is no write');
    await end();
  });

  registry('what is removed is told to who had it; put again it is a row and no more', async () => {
    const { registry: store, end } = await opened();
    await store.write([put('a'), put('b')]);
    await store.write([remove('a'), remove('never there')]);
    const gone = { version: 2, whole: false, rows: [], removed: [{ kind: 'instance', id: 'a' }] };
    assert.equal(await store.read(1), gone);
    assert.equal((await store.read(0)).removed, []);
    await store.write([put('a')]);
    const again = await store.read(1);
    assert.equal([ids(again.rows), again.removed], [['a'], []]);
    await end();
  });

  registry('one that was heard meanwhile is not removed, and is told again', async () => {
    const { registry: store, end } = await opened();
    await store.write([put('old'), put('heard')]);
    await store.write([beat('heard', 30)]);
    await store.write([remove('old', 10), remove('heard', 10)]);
    assert.equal(ids((await store.read(0)).rows), ['heard']);
    assert.equal((await store.read(2)).removed, [{ kind: 'instance', id: 'old' }]);
    await store.write([remove('heard', 30)]);
    assert.equal((await store.read(0)).rows, []);
    await end();
  });

  registry('a write whose answer was lost is there once, though it is written again', async () => {
    const { registry: store, place, end } = await opened();
    await store.write([put('a'), put('b')]);
    place.server?.moods('lose', 'lose');
    await store.write([remove('a'), beat('b', 50), put('c')]);
    const { whole, rows, removed } = await store.read(1);
    assert.equal([whole, ids(rows), removed], [false, ['b', 'c'], [{ kind: 'instance', id: 'a' }]]);
    await end();
  });

  registry('a version ahead of the database: a backup was restored, so all is read', async () => {
    const { registry: store, end } = await opened();
    await store.write([put('a')]);
    const { whole, version, rows } = await store.read(9);
    assert.equal([whole, version, ids(rows)], [true, 1, ['a']]);
    await end();
  });

  registry('10,000 instances are written and read whole', async () => {
    const { registry: store, end } = await opened();
    for (let from = 0; from < 10_000; from += 1_000)
      await store.write(Array.from({ length: 1_000 }, (_, i) => put(`i${from + i}`)));
    const { version, whole, rows } = await store.read(0);
    assert.equal([version, whole, rows.length], [10, true, 10_000]);
    assert.is(new Set(ids(rows)).size, 10_000);
    await store.write(Array.from({ length: 1_000 }, (_, i) => remove(`i${i}`)));
    const changes = await store.read(10);
    assert.equal([changes.rows.length, changes.removed.length], [0, 1_000]);
    await end();
  });

  registry.run();
}

const file = suite('db: the registry in a file');

async function limited(options: Parameters<typeof createRegistryStore>[1]) {
  const place = await places[0][1]();
  (await place.open()).close();
  const connection = openFile(place.path);
  return { path: place.path, connection, store: createRegistryStore(connection, options) };
}

file('past what is remembered of removed rows, all is read; before it, only what has changed', async () => {
  const { path, connection, store } = await limited({ removalsKept: 3 });
  await store.write(Array.from({ length: 8 }, (_, i) => put(`i${i}`)));
  for (let i = 0; i < 6; i++) await store.write([remove(`i${i}`)]);
  // Versions 2 to 7 removed one each; those of 5, 6 and 7 are known.
  const near = await store.read(4);
  assert.equal([near.whole, near.removed.map(({ id }) => id).sort()], [false, ['i3', 'i4', 'i5']]);
  const far = await store.read(3);
  assert.equal([far.whole, far.version, ids(far.rows), far.removed], [true, 7, ['i6', 'i7'], []]);
  connection.close();
  const db = new Database(path);
  assert.equal(db.prepare('SELECT count(*) FROM registry_removals').raw().get(), [3]);
  db.close();
});

file('in pages: each row once, whatever is written, removed or put again between two of them', async () => {
  for (const pageLimits of [
    { rows: 4, characters: 1_000_000 },
    { rows: 1_000, characters: 700 },
    { rows: 1_000, characters: 1 },
  ]) {
    const { connection, store: writer } = await limited({});
    let reads = 0;
    const between = { ...connection };
    const store = createRegistryStore(between, { pageLimits });
    await writer.write(Array.from({ length: 9 }, (_, i) => put(`i${i}`)));
    between.run = async (statements, mode) => {
      reads += 1;
      // After the first page.
      if (reads === 2) await writer.write([put('i0', { weight: 2 }), remove('i1'), remove('i8'), put('new')]);
      if (reads === 3) await writer.write([put('i1', { weight: 5 }), remove('i2')]);
      return connection.run(statements, mode);
    };
    const { version, whole, rows } = await store.read(0);
    assert.ok(reads >= 3, `${reads} pages`);
    assert.equal([version, whole, ids(rows)], [3, true, ['i0', 'i1', 'i3', 'i4', 'i5', 'i6', 'i7', 'new']]);
    const weights = new Map(rows.map(({ id, value }) => [id, (value as InstanceView).weight]));
    assert.equal([weights.get('i0'), weights.get('i1'), weights.get('i3')], [2, 5, 1]);
    connection.close();
  }
});

file('removed rows that are forgotten while pages are read: it is read again', async () => {
  const { connection, store: writer } = await limited({ removalsKept: 1 });
  await writer.write(Array.from({ length: 9 }, (_, i) => put(`i${i}`)));
  let reads = 0;
  const between = { ...connection };
  between.run = async (statements, mode) => {
    reads += 1;
    if (reads === 2) for (const id of ['i0', 'i1', 'i2']) await writer.write([remove(id)]);
    return connection.run(statements, mode);
  };
  const store = createRegistryStore(between, { pageLimits: { rows: 4, characters: 1_000_000 } });
  assert.equal(ids((await store.read(0)).rows), ['i3', 'i4', 'i5', 'i6', 'i7', 'i8']);
  connection.close();
});

file('heartbeats do not make it grow', async () => {
  const { path, connection, store } = await limited({});
  const all = Array.from({ length: 1_000 }, (_, i) => `i${i}`);
  await store.write(all.map((id) => put(id)));
  const size = () => statSync(path).size + statSync(`${path}-wal`).size;
  const rounds = async (count: number) => {
    for (let i = 0; i < count; i++) await store.write(all.map((id) => beat(id, 1_700_000_000_000 + i)));
  };
  await rounds(30);
  const before = size();
  await rounds(30);
  assert.ok(size() <= before * 1.1, `${before} bytes, then ${size()}`);
  connection.close();
  assert.ok(readFileSync(path).length < 1_500_000, `${readFileSync(path).length} bytes`);
});

file('a row that makes no sense is left out and told of; the next write of it mends it', async () => {
  const told: string[] = [];
  const { path, connection, store } = await limited({ onDamaged: ({ code, message }) => told.push(code, message) });
  await store.write([put('a'), put('b'), put('c'), put('d'), put('e'), put('f'), put('g')]);
  const db = new Database(path);
  db.exec(`UPDATE registry SET value = json_set(value, '$.createdAt', 1e300) WHERE id = 'e';
    UPDATE registry SET value = json_set(value, '$.weight', -1) WHERE id = 'f';
    UPDATE registry SET status_since = 9000000000000000000 WHERE id = 'g';
    UPDATE registry SET value = '{' WHERE id = 'a'; UPDATE registry SET status = 'Fine' WHERE id = 'b';
    UPDATE registry SET last_heartbeat = NULL WHERE id = 'c'`);
  db.close();
  assert.equal(ids((await store.read(0)).rows), ['d']);
  assert.is(told.filter((text) => text === 'OO_STORE_CORRUPT').length, 6);
  assert.match(told[1], /the instance a of the registry was changed by something other than oo/);
  await store.write([put('a')]);
  assert.equal(ids((await store.read(0)).rows), ['a', 'd']);
  connection.close();
});

file('a write is whole or not at all', async () => {
  const { path, connection, store } = await limited({});
  await store.write([put('a')]);
  await store.write([put('b'), remove('a'), { ...beat('b', 1), lastHeartbeat: 'x' } as never]).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_FAILED'),
  );
  assert.equal([(await store.read(0)).version, ids((await store.read(0)).rows)], [1, ['a']]);
  const db = new Database(path);
  db.exec('UPDATE meta SET schema = 99');
  db.close();
  await store.write([put('b')]).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_NEWER'),
  );
  connection.close();
});

file.run();
