import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { startChild } from '../helpers/child.ts';
import { temporary } from '../helpers/temporary.ts';
import { outcomeIn, routesIn } from './open-store.ts';

const busy = suite('db: another process holds the write lock');
const hold = join(import.meta.dirname, 'fixtures/hold.ts');
const route = (id: string) => ({ id, target: 't' });
const commit = (base: number, id: string) => ({ base, save: [route(id)], remove: [], actor: 'test' });

async function ids(path: string): Promise<string[]> {
  const { configuration: store, close } = await openDatabase({ url: path });
  const loaded = await store.load();
  close();
  return loaded.routes.map(({ id }) => id);
}

busy('for a while: the commit waits, and is stored', async () => {
  const path = join(temporary(), 'oo.db');
  const { configuration: store, close } = await openDatabase({ url: path });
  await store.commit(commit(0, 'before'));
  const holder = startChild(hold, [path, '700']);
  await holder.says('held');
  const start = performance.now();
  assert.equal(outcomeIn(await store.commit(commit(1, 'waited'))), { revision: 2 });
  assert.ok(performance.now() - start > 100, 'it did wait');
  close();
  assert.equal(await ids(path), ['before', 'waited']);
});

busy('longer than the time-out: the commit is made again on a new connection', async () => {
  const path = join(temporary(), 'oo.db');
  const { configuration: store, close } = await openDatabase({ url: path, busyTimeoutMs: 300 });
  const holder = startChild(hold, [path, '450']);
  await holder.says('held');
  assert.equal(outcomeIn(await store.commit(commit(0, 'second'))), { revision: 1 });
  close();
  assert.equal(await ids(path), ['second']);
});

busy(
  'longer than all attempts: one clear error, nothing stored; and what is acknowledged later is not lost',
  async () => {
    const path = join(temporary(), 'oo.db');
    const { configuration: store, close } = await openDatabase({ url: path, busyTimeoutMs: 100 });
    await store.commit(commit(0, 'before'));
    const holder = startChild(hold, [path, '30000']);
    await holder.says('held');
    try {
      await store.commit(commit(1, 'refused'));
      assert.unreachable();
    } catch (error) {
      const { code, message, hint } = error as { code: string; message: string; hint: string };
      assert.is(code, 'OO_STORE_BUSY');
      assert.is(message, `The database ${path}: another process holds the write lock.`);
      assert.match(hint, /End the other program/);
    }
    assert.equal(routesIn(await store.load()), { revision: 1, routes: [route('before')] }, 'reading goes on');
    await holder.kill();
    // The trap: after a BUSY libsql's connection took later writes into a transaction that nobody ended (libsql-js #237).
    for (let base = 1; base < 6; base++)
      assert.equal(outcomeIn(await store.commit(commit(base, `later${base}`))), { revision: base + 1 });
    const other = startChild(hold, [path, '1']);
    await other.says('free');
    close();
    assert.equal(await ids(path), ['before', 'later1', 'later2', 'later3', 'later4', 'later5']);
  },
);

busy('three processes that take turns at the lock, and a writer: every acknowledged commit is stored', async () => {
  const path = join(temporary(), 'oo.db');
  const { configuration: store, close } = await openDatabase({ url: path, busyTimeoutMs: 50 });
  const holders = Array.from({ length: 3 }, (_, i) => startChild(hold, [path, String(120 + i * 40)]));
  const acknowledged: string[] = [];
  let base = 0;
  for (let n = 0; n < 40; n++) {
    const id = `h${String(n).padStart(2, '0')}`;
    const result = await store.commit(commit(base, id)).catch((error) => {
      assert.is(error.code, 'OO_STORE_BUSY');
      return undefined;
    });
    if (result) {
      assert.equal(outcomeIn(result), { revision: base + 1 });
      acknowledged.push(id);
      base += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  await Promise.all(holders.map((holder) => holder.ended));
  close();
  assert.ok(acknowledged.length > 0);
  assert.equal(await ids(path), acknowledged);
});

busy.run();
