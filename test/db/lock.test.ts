import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { acquireLock } from '../../db/lock.ts';
import { startChild } from '../helpers/child.ts';
import { temporary } from '../helpers/temporary.ts';

const lock = suite('db: the lock');
const holder = join(import.meta.dirname, 'fixtures/lock.ts');

function refusal(path: string): { code: string; message: string } {
  try {
    acquireLock(path, 'The state directory /x').release();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was not refused');
}

lock('one process has it; the other is told which, until that one ends, by kill -9 too', async () => {
  const path = join(temporary(), 'oo.lock');
  const child = startChild(holder, [path]);
  await child.says('held');
  const { code, message } = refusal(path);
  assert.is(code, 'OO_STORE_LOCKED');
  assert.is(message, `The state directory /x is held by a running oo, pid ${child.process.pid}.`);
  await child.kill('SIGKILL');
  assert.ok(existsSync(`${path}.pid`), 'the note of the killed one is still there, and believed by nobody');
  acquireLock(path, 'It').release();
});

lock('in one process it is taken once, and again after release', () => {
  const path = join(temporary(), 'oo.lock');
  const first = acquireLock(path, 'It');
  assert.is(refusal(path).code, 'OO_STORE_LOCKED');
  first.release();
  first.release();
  const second = acquireLock(path, 'It');
  first.release();
  assert.is(refusal(path).code, 'OO_STORE_LOCKED', 'an old release gives nothing up');
  second.release();
});

lock('it outlives a garbage collection', async () => {
  const path = join(temporary(), 'oo.lock');
  acquireLock(path, 'It');
  for (let i = 0; i < 50; i++) new Array(100_000).fill({ i });
  (globalThis as { gc?: () => void }).gc?.();
  await new Promise((resolve) => setTimeout(resolve, 10));
  const child = startChild(holder, [path]);
  assert.is.not(await child.ended, 0);
  assert.equal(child.lines(), []);
});

lock('one database file has one lock, by whatever path', async () => {
  const dir = temporary();
  const first = await openDatabase({ url: join(dir, 'oo.db') });
  for (const url of [`file:${dir}/oo.db`, join(dir, '../', dir.split('/').at(-1) as string, 'oo.db')]) {
    try {
      await openDatabase({ url });
      assert.unreachable();
    } catch (error) {
      assert.is((error as { code: string }).code, 'OO_STORE_LOCKED');
    }
  }
  first.close();
  (await openDatabase({ url: join(dir, 'oo.db') })).close();
});

lock('a lock file that is no database is named', () => {
  const path = join(temporary(), 'oo.lock');
  writeFileSync(path, 'x'.repeat(5_000));
  const { code, message } = refusal(path);
  assert.is(code, 'OO_STORE_CORRUPT');
  assert.match(message, path);
});

lock.run();
