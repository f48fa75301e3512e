import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newKeyText } from '../../db/cipher.ts';
import { openDatabase } from '../../db/database.ts';
import type { StoreError } from '../../db/failure.ts';
import type { RotateStep } from '../../db/rotate.ts';
import type { CertificateStore } from '../../src/certs/types.ts';
import { startChild } from '../helpers/child.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { certificateOf, rawKey } from './open-store.ts';

const rotate = suite('db: another key');
const child = join(import.meta.dirname, 'fixtures/rotate.ts');

function open(dir: string, key?: string, onDamaged?: (error: StoreError) => void) {
  return openDatabase({ url: join(dir, 'oo.db'), encryption: { stateDir: dir, key, onDamaged } });
}

const account = { directory: 'd', url: 'u', key: 'account key', contact: '', createdAt: 1, updatedAt: 1 };
const challenge = { type: 'tls-alpn-01', name: 'n', token: 't', chain: 'c', key: 'challenge key' } as const;
const plain = { type: 'http-01', name: 'n', token: 't', content: 'not sealed' } as const;
const tickets = [{ key: 'ticket key', createdAt: 1 }];
const ids = ['a', 'b', '*.c'];

/** One value of each kind. */
async function fill(store: CertificateStore): Promise<void> {
  for (const id of ids) await store.save(certificateOf(id));
  await store.saveAccount(account);
  await store.putChallenge(challenge, Date.now() + 60_000);
  await store.putChallenge(plain, Date.now() + 60_000);
  await store.replaceTicketKeys([], tickets);
}

async function check(store: CertificateStore): Promise<void> {
  const { version, certificates } = await store.load();
  assert.equal(
    certificates,
    [...ids].sort().map((id) => certificateOf(id)),
  );
  assert.is(version, ids.length, 'nothing was changed that others would have to load');
  assert.equal(await store.accounts(), [account]);
  assert.equal(await store.findChallenge('tls-alpn-01 n', Date.now()), challenge);
  assert.equal(await store.findChallenge('http-01 t', Date.now()), plain);
  assert.equal(await store.ticketKeys(), tickets);
}

/** Which keys the stored values are sealed with. */
function keyIds(path: string, count = 7): string[] {
  const db = new Database(path);
  const rows = db
    .prepare(
      `SELECT private_key FROM certificates UNION ALL SELECT private_key FROM acme_accounts UNION ALL
       SELECT private_key FROM challenges WHERE private_key IS NOT NULL UNION ALL SELECT sealed FROM ticket_keys UNION ALL
       SELECT check_value FROM encryption`,
    )
    .raw()
    .all() as [string][];
  db.close();
  assert.is(rows.length, count);
  return [...new Set(rows.map(([value]) => value.split('.')[1]))];
}

rotate('a new key file: everything is under it, and the open store goes on', async () => {
  const dir = temporary();
  const path = join(dir, 'encryption.key');
  const { certificates, encryption, rotateKey, close } = await open(dir);
  await fill(certificates);
  const [oldText, [oldId]] = [readFileSync(path, 'utf8'), keyIds(join(dir, 'oo.db'))];
  assert.equal(await rotateKey(), { values: 6, path });
  const [newId, ...others] = keyIds(join(dir, 'oo.db'));
  assert.equal(others, []);
  assert.is.not(newId, oldId);
  assert.is(encryption.cipher.current.id, newId);
  await check(certificates);
  await certificates.saveAccount(account);
  assert.equal(keyIds(join(dir, 'oo.db')), [newId], 'what is written later, too');
  close();
  assert.is.not(readFileSync(path, 'utf8'), oldText);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.is(readFileSync(`${path}.old`, 'utf8'), oldText, 'for backups');
  assert.equal(
    readdirSync(dir).filter((name) => name.startsWith('encryption')),
    ['encryption.key', 'encryption.key.old'],
  );
  const again = await open(dir);
  assert.is(again.encryption.made, false);
  await check(again.certificates);
  again.close();
});

rotate('from a key file to a given key, to another, and back to a key file', async () => {
  const dir = temporary();
  const path = join(dir, 'encryption.key');
  const first = await open(dir);
  await fill(first.certificates);
  assert.equal(await first.rotateKey(rawKey), { values: 6, path: undefined });
  assert.not(existsSync(path), 'a key file that fits nothing is set aside');
  assert.is((await first.rotateKey('correct horse battery staple')).values, 6);
  assert.is((await first.rotateKey(rawKey)).values, 6);
  first.close();
  const without = await open(dir).catch((error) => error);
  assert.is(without.code, 'OO_STORE_KEY');
  assert.match(without.hint, /Set OO_ENCRYPTION_KEY/);
  const second = await open(dir, rawKey);
  await check(second.certificates);
  assert.is((await second.rotateKey()).path, path);
  second.close();
  const third = await open(dir);
  await check(third.certificates);
  third.close();
  const wrong = await open(dir, rawKey).catch((error) => error);
  assert.match(wrong.hint, /encryption\.key fits: leave OO_ENCRYPTION_KEY out/);
});

rotate('the key that it has already, and one that is too short, are refused; nothing changes', async () => {
  const dir = temporary();
  const { certificates, rotateKey, close } = await open(dir, rawKey);
  await fill(certificates);
  for (const [to, expected] of [
    [rawKey, /is the one that the database has already/],
    ['short', /too short/],
  ] as const) {
    const error = await rotateKey(to).then(
      () => assert.unreachable(),
      (error) => error,
    );
    assert.is(error.code, 'OO_STORE_KEY');
    assert.match(error.message, expected);
  }
  await check(certificates);
  close();
});

rotate('saves at the same time are all kept, under the new key', async () => {
  const dir = temporary();
  const { certificates, rotateKey, close } = await open(dir);
  await fill(certificates);
  const saving: Promise<unknown>[] = [];
  const seen: string[] = [];
  for (let n = 0; n < 10; n++) {
    let left = n % 5;
    await rotateKey(undefined, (at) => {
      seen.push(at);
      if (at === 'values sealed' && left-- <= 0) return;
      saving.push(certificates.save(certificateOf(`s${saving.length}`)));
    });
  }
  await Promise.all(saving);
  const saved = saving.length;
  assert.ok(seen.filter((at) => at === 'values sealed').length > 10, 'some were overtaken, and began anew');
  close();
  const again = await open(dir);
  const found = new Set((await again.certificates.load()).certificates.map(({ id }) => id));
  for (let n = 0; n < saved; n++) assert.ok(found.has(`s${n}`), `s${n} of ${saved}`);
  assert.is(keyIdsOf(dir).length, 1);
  again.close();
});

rotate('after a clean end nothing in the file is sealed with the old key, not even what is deleted', async () => {
  const dir = temporary();
  const { certificates, rotateKey, close } = await open(dir);
  await fill(certificates);
  for (let n = 0; n < 50; n++) await certificates.save(certificateOf(`s${n}`, { chain: 'c'.repeat(n * 100) }));
  for (let n = 0; n < 50; n += 2) await certificates.remove(`s${n}`);
  const [oldId] = keyIds(join(dir, 'oo.db'), 7 + 25);
  await rotateKey();
  close();
  const bytes = readFileSync(join(dir, 'oo.db'), 'latin1');
  assert.ok(bytes.includes('v1.'));
  assert.not(bytes.includes(`v1.${oldId}`));
});

rotate('two rotations at the same time are done one after the other: the key file is the last one', async () => {
  const dir = temporary();
  const { certificates, rotateKey, close } = await open(dir);
  await fill(certificates);
  const results = await Promise.all([rotateKey(), rotateKey(), rotateKey(rawKey), rotateKey()]);
  assert.equal(
    results.map(({ values }) => values),
    [6, 6, 6, 6],
  );
  const failed = rotateKey('short').catch(({ code }) => code);
  const path = join(dir, 'encryption.key');
  assert.equal(
    [await failed, await rotateKey()],
    ['OO_STORE_KEY', { values: 6, path }],
    'one that fails holds none up',
  );
  close();
  const again = await open(dir);
  await check(again.certificates);
  again.close();
});

function keyIdsOf(dir: string): unknown[] {
  const db = new Database(join(dir, 'oo.db'));
  const rows = db.prepare('SELECT DISTINCT substr(private_key, 1, 19) FROM certificates').raw().all();
  db.close();
  return rows;
}

rotate('an attempt that failed leaves its key for the next one, and the old one in force', async () => {
  const dir = temporary();
  const path = join(dir, 'encryption.key');
  const { certificates, rotateKey, close } = await open(dir);
  await fill(certificates);
  const before = readFileSync(path, 'utf8');
  const db = new Database(join(dir, 'oo.db'));
  db.exec(`CREATE TRIGGER no BEFORE UPDATE ON encryption BEGIN SELECT raise(ABORT, 'no'); END`);
  await rotateKey().then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_FAILED'),
  );
  await check(certificates);
  await certificates.saveAccount(account);
  assert.is(readFileSync(path, 'utf8'), before);
  const next = readFileSync(`${path}.new`, 'utf8');
  db.exec('DROP TRIGGER no');
  db.close();
  assert.is((await rotateKey()).values, 6);
  assert.is(readFileSync(path, 'utf8'), next);
  assert.not(existsSync(`${path}.new`));
  await check(certificates);
  close();
});

rotate('values that can not be opened are told of, stay as they are, and stop nothing', async () => {
  const dir = temporary();
  const damaged: StoreError[] = [];
  const { certificates, rotateKey, close } = await open(dir, undefined, (error) => damaged.push(error));
  await fill(certificates);
  const db = new Database(join(dir, 'oo.db'));
  db.exec(`UPDATE certificates SET private_key = private_key || 'AAAA' WHERE id = 'a'`);
  const read = () => db.prepare("SELECT private_key FROM certificates WHERE id = 'a'").raw().get();
  const before = read();
  assert.is((await rotateKey()).values, 5);
  assert.equal(read(), before);
  db.close();
  assert.is(damaged.length, 1);
  assert.match(damaged[0].message, /certificates\.private_key of a was changed/);
  const { certificates: rest } = await certificates.load();
  assert.equal(
    rest.map(({ id }) => id),
    ['*.c', 'b'],
  );
  close();
});

rotate('10,000 certificates get another key in seconds', async () => {
  const dir = temporary();
  const { certificates, encryption, rotateKey, close } = await open(dir);
  await certificates.save(certificateOf('a'));
  const db = new Database(join(dir, 'oo.db'));
  const rows = Array.from({ length: 10_000 }, (_, n) => [
    `h${n}`,
    encryption.cipher.current.seal('certificates.private_key', `h${n}`, `key of h${n}`),
  ]);
  db.prepare(
    `INSERT INTO certificates SELECT value->>0, '["x"]', 'c', value->>1, 'acme', 'ecdsa', '', '', 0, 0, '', 0, 0, 1 FROM json_each(?)`,
  ).run(JSON.stringify(rows));
  db.close();
  assert.is((await rotateKey()).values, 10_001);
  close();
  const again = await open(dir);
  const { certificates: loaded } = await again.certificates.load();
  assert.is(loaded.length, 10_001);
  for (const { id, key } of loaded) assert.is(key, `key of ${id}`);
  again.close();
});

const steps: RotateStep[] = ['key made', 'values sealed', 'stored', 'old key set aside', 'done'];
for (const step of steps) {
  rotate(
    `killed after the step '${step}': the next start has it all, under one key, and the files are in order`,
    async () => {
      const dir = temporary();
      const path = join(dir, 'encryption.key');
      const first = await open(dir);
      await fill(first.certificates);
      first.close();
      const before = readFileSync(path, 'utf8');
      assert.is(await startChild(child, [join(dir, 'oo.db'), dir, step]).ended, null);
      const second = await open(dir);
      await check(second.certificates);
      assert.is(keyIds(join(dir, 'oo.db')).length, 1);
      assert.not(existsSync(`${path}.new`));
      const isOld = readFileSync(path, 'utf8') === before;
      assert.is(isOld, steps.indexOf(step) < steps.indexOf('stored'));
      if (!isOld) assert.is(readFileSync(`${path}.old`, 'utf8'), before);
      assert.is((await second.rotateKey()).values, 6, 'and it can be done again');
      await check(second.certificates);
      second.close();
    },
  );
}

rotate('killed on the way from a given key to a key file, or back: whichever fits is found', async () => {
  for (const step of ['values sealed', 'stored'] as const) {
    const dir = temporary();
    const first = await open(dir, rawKey);
    await fill(first.certificates);
    first.close();
    assert.is(await startChild(child, [join(dir, 'oo.db'), dir, step, rawKey]).ended, null);
    const stored = step === 'stored';
    const second = await open(dir, stored ? undefined : rawKey);
    await check(second.certificates);
    assert.not(existsSync(join(dir, 'encryption.key.new')));
    if (!stored) await second.rotateKey();
    second.close();
    const back = newKeyText();
    assert.is(await startChild(child, [join(dir, 'oo.db'), dir, step, '-', back]).ended, null);
    const third = await open(dir, stored ? back : undefined);
    await check(third.certificates);
    third.close();
  }
});

rotate('killed at any time, again and again: every value is there', async () => {
  const dir = temporary();
  const first = await open(dir);
  await fill(first.certificates);
  first.close();
  for (let loop = 0; loop < 5; loop++) {
    const running = startChild(child, [join(dir, 'oo.db'), dir, '-']);
    await until(() => running.lines().length > 0, 20_000);
    await new Promise((resolve) => setTimeout(resolve, (loop * 13) % 37));
    await running.kill('SIGKILL');
    const { certificates, close } = await open(dir);
    await check(certificates);
    close();
    assert.is(keyIds(join(dir, 'oo.db')).length, 1);
  }
});

rotate('over a URL: another server is told at its next write and read, and works again with the new key', async () => {
  const path = join(temporary(), 'shared.db');
  const server = await startHrana(path);
  const next = newKeyText();
  const start = (key: string) => openDatabase({ url: server.url, encryption: { stateDir: temporary(), key } });
  const [one, two] = [await start(rawKey), await start(rawKey)];
  await fill(one.certificates);
  assert.is((await one.rotateKey(next)).values, 6);
  await check(one.certificates);
  const refused = [
    () => two.certificates.load(),
    () => two.certificates.save(certificateOf('late')),
    () => two.certificates.accounts(),
    () => two.rotateKey(newKeyText()),
  ];
  for (const attempt of refused) {
    const error = await attempt().then(
      () => assert.unreachable(),
      (error) => error,
    );
    assert.is(error.code, 'OO_STORE_KEY');
    assert.match(error.message, /has another encryption key now: another server has replaced it/);
    assert.match(error.hint, /Start this server again with the new key/);
  }
  await check(one.certificates);
  two.close();
  const third = await start(next);
  await check(third.certificates);
  third.close();
  one.close();
  await server.close();
});

rotate('over a URL: an answer that was lost, and a database server that is gone just then', async () => {
  const path = join(temporary(), 'shared.db');
  const stateDir = temporary();
  const server = await startHrana(path);
  const start = () => openDatabase({ url: server.url, encryption: { stateDir } });
  const { certificates, rotateKey, close } = await start();
  await fill(certificates);
  // The write is done, and its answer lost.
  assert.is((await rotateKey(undefined, (at) => at === 'values sealed' && server.mood('lose', 1))).values, 6);
  await check(certificates);
  // Done, its answer lost, and then nobody there to ask.
  const loseThenRefuse = () => {
    server.mood('refuse');
    server.moods('lose');
  };
  await rotateKey(undefined, (at) => at === 'values sealed' && loseThenRefuse()).then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_UNREACHABLE'),
  );
  server.mood('answer');
  await check(certificates);
  await certificates.saveAccount(account);
  assert.is(keyIds(path).length, 1);
  assert.is((await rotateKey()).values, 6);
  await check(certificates);
  close();
  const again = await start();
  await check(again.certificates);
  again.close();
  await server.close();
});

rotate.run();
