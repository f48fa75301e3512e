import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { startChild } from '../helpers/child.ts';
import { temporary, until } from '../helpers/temporary.ts';

const kill = suite('db: kill -9');
const writer = join(import.meta.dirname, 'fixtures/writer.ts');

kill(
  'a dozen killed writers: no acknowledged commit is lost, none is half there, and the lock is free at once',
  async () => {
    const path = join(temporary(), 'oo.db');
    let acknowledged = 0;
    for (let loop = 0; loop < 12; loop++) {
      const child = startChild(writer, [path]);
      await until(() => child.lines().length > 2 + (loop % 3) * 5, 20_000);
      await new Promise((resolve) => setTimeout(resolve, (loop * 7) % 23));
      await child.kill('SIGKILL');
      acknowledged = Number(child.lines().at(-1));
      const { configuration: store, close } = await openDatabase({ url: path });
      const { revision, routes: stored } = await store.load();
      close();
      // One more than acknowledged can be: stored, and killed before it could say so.
      assert.ok(
        revision === acknowledged || revision === acknowledged + 1,
        `${acknowledged} acknowledged, ${revision} stored`,
      );
      const found = new Map(stored.map((route) => [route.id, route.target]));
      for (let n = 0; n < revision; n++) assert.ok(found.has(`h${n}`), `loop ${loop}: h${n} of ${revision} is lost`);
      for (let i = 0; i < 200; i++)
        assert.is(found.get(`filler${i}`), `t${revision - 1}`, 'all of the last commit is there');
      assert.is(found.size, revision + 200);
    }
    assert.ok(acknowledged > 12 * 3);
  },
);

kill.run();
