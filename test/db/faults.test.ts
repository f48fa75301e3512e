import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openDatabase } from '../../db/database.ts';
import { temporary } from '../helpers/temporary.ts';

const faults = suite('db: what is wrong is said once, clearly');

interface Failure {
  code: string;
  message: string;
  hint: string;
}

async function failure(url: string): Promise<Failure> {
  try {
    const { configuration: store, close } = await openDatabase({ url });
    try {
      await store.load();
    } finally {
      close();
    }
  } catch (error) {
    return error as Failure;
  }
  throw new Error('it opened');
}

function check(actual: Failure, code: string, message: RegExp, hint: RegExp): void {
  assert.is(actual.code, code);
  assert.match(actual.message, message);
  assert.not.match(actual.message, /\n/);
  assert.match(actual.hint, hint);
}

faults('a directory that is not there', async () => {
  const dir = temporary();
  check(
    await failure(join(dir, 'no/such/oo.db')),
    'OO_STORE_UNOPENABLE',
    /no\/such\/oo\.db: it cannot be opened/,
    /directory exists/,
  );
});

faults('a directory in place of a file', async () => {
  const dir = temporary();
  mkdirSync(join(dir, 'oo.db'));
  check(await failure(join(dir, 'oo.db')), 'OO_STORE_UNOPENABLE', /oo\.db: it cannot be opened/, /may write there/);
});

faults('a file that is no database', async () => {
  const path = join(temporary(), 'oo.db');
  writeFileSync(path, 'no database at all '.repeat(500));
  check(await failure(path), 'OO_STORE_CORRUPT', /not an SQLite database, or it is encrypted/, /restore a backup/i);
  assert.is(readFileSync(path, 'utf8').slice(0, 11), 'no database', 'it was left as it was');
});

faults('a damaged database', async () => {
  const path = join(temporary(), 'oo.db');
  const { configuration: store, close } = await openDatabase({ url: path });
  const save = Array.from({ length: 5_000 }, (_, i) => ({ id: `h${i}.example.com`, target: `http://10.0.0.1:${i}` }));
  await store.commit({ base: 0, save, remove: [], actor: 'test' });
  close();
  const bytes = readFileSync(path);
  bytes.fill(0xaa, 4096, bytes.length - 4096);
  writeFileSync(path, bytes);
  check(await failure(path), 'OO_STORE_CORRUPT', /its contents are damaged/, /backup/);
  truncateSync(path, 6_000);
  assert.is((await failure(path)).code, 'OO_STORE_CORRUPT');
});

faults('a later schema is refused and left as it is', async () => {
  const path = join(temporary(), 'oo.db');
  (await openDatabase({ url: path })).close();
  const db = new Database(path);
  db.exec('UPDATE meta SET schema = 7');
  db.close();
  check(
    await failure(path),
    'OO_STORE_NEWER',
    /written by a later oo \(schema 7; this one knows \d+\)/,
    /Run that later oo/,
  );
});

faults("another program's tables are refused", async () => {
  for (const [sql, what] of [
    ['CREATE TABLE routes (x)', /holds tables of another program: .*routes already exists/],
    ['CREATE TABLE meta (x)', /has a table meta that is not oo's/],
  ] as const) {
    const path = join(temporary(), 'oo.db');
    const db = new Database(path);
    db.exec(sql);
    db.close();
    check(await failure(path), 'OO_STORE_FOREIGN', what, /--db/);
  }
});

faults('a scheme that is none of ours', async () => {
  check(await failure('postgres://u:p@x/y'), 'OO_STORE_UNOPENABLE', /begins with postgres:/, /libsql:/);
});

faults('a database in memory, and a file URL that names none', async () => {
  for (const url of [':memory:', 'file::memory:']) {
    check(await failure(url), 'OO_STORE_UNOPENABLE', /in memory would forget its routes/, /Give a path/);
  }
  check(
    await failure('file://elsewhere/x'),
    'OO_STORE_UNOPENABLE',
    /file:\/\/elsewhere\/x names no file/,
    /file:\/path/,
  );
});

// Root may write everything: another user must try.
const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

faults('a file, and a directory, that this user may only read', async () => {
  const dir = temporary();
  const path = join(dir, 'oo.db');
  (await openDatabase({ url: path })).close();
  const script = `
    import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, '../../db/database.ts'))};
    try { await openDatabase({ url: ${JSON.stringify(path)} }); console.log('opened'); }
    catch (error) { console.log(error.code, error.message); }`;
  const said = () => {
    const options = { ...asNobody, encoding: 'utf8', timeout: 20_000 } as const;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
    return stdout + stderr;
  };
  chmodSync(path, 0o444);
  chmodSync(dir, 0o555);
  assert.match(said(), /^OO_STORE_UNOPENABLE The lock file \S+oo\.db\.lock: it cannot be opened\.\n$/);
  chmodSync(dir, 0o777);
  chmodSync(join(dir, 'oo.db.lock'), 0o666);
  assert.match(said(), /^OO_STORE_UNOPENABLE The database \S+oo\.db: it cannot be opened\.\n$/);
});

faults.run();
