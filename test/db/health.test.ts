import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openFile } from '../../db/file.ts';
import { createHealthStore, healthKeptMs } from '../../db/health.ts';
import type { StoredHealth } from '../../src/core/health.ts';
import { places } from './open-store.ts';

const down: StoredHealth = { state: 'Unreachable', since: 5, reason: 'GET /up: "503" – it\'s down' };
const up: StoredHealth = { state: 'Healthy', since: 9, reason: '' };

for (const [name, start] of places) {
  const health = suite(`db: last known health in ${name}`);

  health('is what was saved last, and outlives the server; null removes', async () => {
    const place = await start();
    const first = await place.open();
    assert.is((await first.health.load()).size, 0);
    await first.health.save([
      ['http://a @1', down],
      ['b', down],
      ['c', up],
    ]);
    await first.health.save([
      ['b', up],
      ['c', null],
      ['never there', null],
      ['d', up],
      ['d', null],
      ['e', null],
      ['e', down],
    ]);
    await first.health.save([]);
    first.close();
    const { health: store, close } = await place.open();
    assert.equal([...(await store.load())].sort(), [
      ['b', up],
      ['e', down],
      ['http://a @1', down],
    ]);
    close();
    await place.end();
  });

  health('1,000 at once, and a save whose answer was lost', async () => {
    const place = await start();
    const { health: store, close } = await place.open();
    await store.save(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, down]));
    place.server?.moods('lose', 'lose');
    await store.save([
      ['k0', up],
      ['k1', null],
    ]);
    const loaded = await store.load();
    assert.equal([loaded.size, loaded.get('k0'), loaded.get('k1'), loaded.get('k2')], [999, up, undefined, down]);
    close();
    await place.end();
  });

  health.run();
}

const file = suite('db: last known health in a file');

file('what was not written for 30 days is dropped, and what makes no sense is as none', async () => {
  const place = await places[0][1]();
  (await place.open()).close();
  const connection = openFile(place.path);
  let now = 1_000;
  const store = createHealthStore(connection, () => now);
  await store.save([
    ['old', down],
    ['written again', down],
  ]);
  now += healthKeptMs - 1;
  await store.save([['written again', up]]);
  assert.is((await store.load()).size, 2);
  now += 1;
  assert.equal([...(await store.load())], [['written again', up]]);
  const db = new Database(place.path);
  assert.equal(db.prepare('SELECT key FROM health').raw().all(), [['written again']]);
  db.exec("UPDATE health SET state = 'Fine'");
  db.close();
  assert.is((await store.load()).size, 0);
  connection.close();
});

file.run();
