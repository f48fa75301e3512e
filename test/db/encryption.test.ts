import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newKeyText } from '../../db/cipher.ts';
import { type CertificateOptions, openDatabase } from '../../db/database.ts';
import type { StoreError } from '../../db/failure.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';
import { certificateOf, rawKey, routesIn } from './open-store.ts';

const keys = suite('db: the encryption key');

function open(dir: string, encryption: Partial<CertificateOptions> = {}) {
  return openDatabase({ url: join(dir, 'oo.db'), encryption: { stateDir: dir, ...encryption } });
}

async function failure(opening: Promise<{ close(): void }>): Promise<StoreError> {
  const opened = await opening.catch((error) => error);
  if (opened instanceof Error) return opened as StoreError;
  opened.close();
  throw new Error('it opened');
}

/** A database with one certificate under the key. */
async function written(dir: string, key?: string): Promise<void> {
  const { certificates, close } = await open(dir, { key });
  await certificates.save(certificateOf('a'));
  close();
}

function bytesOf(dir: string): string {
  return readFileSync(join(dir, 'oo.db'), 'hex');
}

keys('without a key, a key file is made once, for its owner only; the next start finds it', async () => {
  const dir = join(temporary(), 'state');
  const path = join(dir, 'encryption.key');
  // As the caller does it; the key file's own code makes it too.
  const first = await openDatabase({
    url: join(temporary(), 'oo.db'),
    encryption: { stateDir: dir },
  });
  assert.is(first.encryption.made, true);
  assert.is(first.encryption.path, path);
  first.close();
  assert.is(statSync(dir).mode & 0o777, 0o700);
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.match(readFileSync(path, 'utf8'), /^[A-Za-z0-9+/]{43}=\n$/);
  assert.equal(readdirSync(dir), ['encryption.key']);
  const text = readFileSync(path, 'utf8');
  const second = await openDatabase({ url: join(temporary(), 'oo.db'), encryption: { stateDir: dir } });
  assert.is(second.encryption.made, false);
  second.close();
  assert.is(readFileSync(path, 'utf8'), text);
});

keys('no key is needed, and none made, for routes alone', async () => {
  const dir = temporary();
  const routesOnly = await openDatabase({ url: join(dir, 'oo.db') });
  assert.not('certificates' in routesOnly);
  routesOnly.close();
  assert.not(existsSync(join(dir, 'encryption.key')));
  await written(dir, rawKey);
  const again = await openDatabase({ url: join(dir, 'oo.db') });
  assert.equal(routesIn(await again.configuration.load()), { revision: 0, routes: [] });
  again.close();
});

keys('a given key leaves no file; a passphrase opens what it sealed', async () => {
  const dir = temporary();
  await written(dir, 'correct horse battery staple');
  assert.not(existsSync(join(dir, 'encryption.key')));
  const { certificates, encryption, close } = await open(dir, { key: 'correct horse battery staple\n' });
  assert.equal((await certificates.load()).certificates, [certificateOf('a')]);
  assert.is(encryption.path, undefined);
  assert.is(encryption.made, false);
  close();
});

keys('a wrong key that was given: one clear error, nothing changed, the lock given up', async () => {
  const dir = temporary();
  await written(dir, rawKey);
  const before = bytesOf(dir);
  for (const key of [newKeyText(), 'correct horse battery staple']) {
    const { code, message, hint } = await failure(open(dir, { key }));
    assert.is(code, 'OO_STORE_KEY');
    assert.is(
      message,
      `The encryption key that was given is not the one that the database ${join(dir, 'oo.db')} was written with.`,
    );
    assert.match(hint, /Set OO_ENCRYPTION_KEY \(--encryption-key\) to that one\. If it is lost/);
    assert.not.match(message + hint, key);
  }
  assert.is(bytesOf(dir), before);
  assert.not(existsSync(join(dir, 'encryption.key')));
  (await open(dir, { key: rawKey })).close();
});

keys('a given key where the key file is the right one: the hint says so', async () => {
  const dir = temporary();
  await written(dir);
  const { code, hint } = await failure(open(dir, { key: rawKey }));
  assert.is(code, 'OO_STORE_KEY');
  assert.is(hint, `The key file ${join(dir, 'encryption.key')} fits: leave OO_ENCRYPTION_KEY out.`);
});

keys('no key where one is needed: no file is made, and the error says where the key was', async () => {
  const dir = temporary();
  await written(dir);
  const path = join(dir, 'encryption.key');
  renameSync(path, join(dir, 'mislaid'));
  const { code, message, hint } = await failure(open(dir));
  assert.is(code, 'OO_STORE_KEY');
  assert.match(message, /^There is no encryption key for the database \S+, which was written with one\.$/);
  assert.ok(hint.startsWith(`Put the one back that was at ${path}, or give its line as OO_ENCRYPTION_KEY.`));
  assert.not(existsSync(path));
  const given = await open(dir, { key: readFileSync(join(dir, 'mislaid'), 'utf8') });
  assert.is((await given.certificates.load()).certificates.length, 1, 'its line is the key as well');
  given.close();
  const another = temporary();
  await written(another, rawKey);
  assert.match((await failure(open(another))).hint, /Set OO_ENCRYPTION_KEY .* to the key that was given then/);
});

keys('a wrong, an empty, a cut and an unreadable key file: each one clear error, and the file stays', async () => {
  const dir = temporary();
  await written(dir);
  const path = join(dir, 'encryption.key');
  const text = readFileSync(path, 'utf8');
  const cases: [string, RegExp][] = [
    [newKeyText(), /encryption\.key is not the one that the database/],
    ['', /encryption\.key holds no key: it was damaged/],
    [text.slice(0, 10), /encryption\.key holds no key: it was damaged/],
    [text.slice(0, 30), /encryption\.key is not the one that the database/],
  ];
  for (const [content, expected] of cases) {
    writeFileSync(path, content);
    const { code, message } = await failure(open(dir));
    assert.is(code, 'OO_STORE_KEY');
    assert.match(message, expected);
    assert.is(readFileSync(path, 'utf8'), content);
  }
  writeFileSync(path, text);
  (await open(dir)).close();
  const directory = temporary();
  writeFileSync(join(directory, 'file'), '');
  const { code, message } = await failure(open(temporary(), { stateDir: join(directory, 'file', 'no') }));
  assert.is(code, 'OO_STORE_KEY');
  assert.match(message, /encryption\.key can't be read: ENOTDIR/);
});

keys('a key that is too short is refused before anything is stored', async () => {
  const dir = temporary();
  assert.match((await failure(open(dir, { key: 'short' }))).hint, /openssl rand -base64 32/);
  (await open(dir, { key: rawKey })).close();
});

keys("what a first start left that was killed: the key file without the database's word of it", async () => {
  const dir = temporary();
  const text = newKeyText();
  writeFileSync(join(dir, 'encryption.key'), `${text}\n`);
  writeFileSync(join(dir, 'encryption.key.tmp'), 'half');
  await written(dir);
  assert.is(readFileSync(join(dir, 'encryption.key'), 'utf8'), `${text}\n`);
  await written(dir, text);
});

keys('rows that make no sense keep nothing else from being read: each is named, and left out', async () => {
  const dir = temporary();
  const damaged: StoreError[] = [];
  const { certificates, close } = await open(dir, { onDamaged: (error) => damaged.push(error) });
  for (const id of ['a', 'b', 'c', 'd']) await certificates.save(certificateOf(id));
  const state = {
    ...{ failures: 1, lastFailure: null, notBefore: 2, renewAt: 3, renewSerial: '4', windowStart: 5, windowEnd: 6 },
    ...{ windowUrl: '', askWindowAt: 7, forcedAt: 0 },
  };
  for (const id of ['a', 'b', 'c', 'd']) await certificates.saveState({ id, ...state });
  const db = new Database(join(dir, 'oo.db'));
  db.exec(`UPDATE certificates SET names = '{not json' WHERE id = 'a'`);
  db.exec(`UPDATE certificates SET names = '5' WHERE id = 'b'`);
  db.exec(`UPDATE certificates SET source = 'alien' WHERE id = 'c'`);
  db.exec(`UPDATE certificate_states SET value = '{not json' WHERE id = 'a'`);
  db.exec(`UPDATE certificate_states SET value = 'null' WHERE id = 'b'`);
  db.exec(`UPDATE certificate_states SET value = json_set(value, '$.renewAt', 'soon') WHERE id = 'c'`);
  db.close();
  assert.equal((await certificates.load()).certificates, [certificateOf('d')]);
  assert.is(damaged.length, 3);
  assert.match(damaged[0].message, /the certificate a was changed by something other than oo/);
  assert.equal(await certificates.states(), [{ id: 'd', ...state }]);
  assert.is(await certificates.findState?.('c'), undefined);
  assert.match(damaged[3].message, /what is planned for the certificate a was changed/);
  close();
});

keys('a changed, a moved and a foreign row: each is named, the rest is there, and a save mends it', async () => {
  const dir = temporary();
  const damaged: StoreError[] = [];
  const { certificates, close } = await open(dir, { onDamaged: (error) => damaged.push(error) });
  for (const id of ['a', 'b', 'c', 'd']) await certificates.save(certificateOf(id));
  const db = new Database(join(dir, 'oo.db'));
  db.exec(`UPDATE certificates SET private_key = (SELECT private_key FROM certificates WHERE id = 'b') WHERE id = 'a'`);
  db.exec(
    `UPDATE certificates SET private_key = substr(private_key, 1, 60) || 'AAAA' || substr(private_key, 65) WHERE id = 'c'`,
  );
  db.exec(`UPDATE certificates SET private_key = 'v1.0123456789abcdef.AAAA' WHERE id = 'd'`);
  db.close();
  const { certificates: loaded } = await certificates.load();
  assert.equal(loaded, [certificateOf('b')]);
  assert.equal(
    damaged.map(({ code }) => code),
    ['OO_STORE_CORRUPT', 'OO_STORE_CORRUPT', 'OO_STORE_CORRUPT'],
  );
  assert.match(damaged[0].message, /the key of the certificate a was changed by something other than oo/);
  await certificates.save(certificateOf('a', { key: 'new' }));
  assert.equal((await certificates.load()).certificates, [certificateOf('a', { key: 'new' }), certificateOf('b')]);
  close();
  const strict = await open(dir);
  await strict.certificates.load().then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_STORE_CORRUPT'),
  );
  strict.close();
});

keys('changed accounts, challenges and ticket keys are as if they were not there', async () => {
  const dir = temporary();
  const damaged: string[] = [];
  const { certificates, close } = await open(dir, { onDamaged: ({ message }) => damaged.push(message) });
  const account = { directory: 'd', url: 'u', key: 'k', contact: '', createdAt: 1, updatedAt: 1 };
  await certificates.saveAccount(account);
  await certificates.putChallenge(
    { type: 'tls-alpn-01', name: 'n', token: 't', chain: 'c', key: 'k' },
    Date.now() + 9_000,
  );
  await certificates.replaceTicketKeys([], [{ key: 'k', createdAt: 1 }]);
  const db = new Database(join(dir, 'oo.db'));
  db.exec(`UPDATE acme_accounts SET private_key = private_key || 'AAAA'`);
  db.exec(`UPDATE challenges SET private_key = (SELECT private_key FROM acme_accounts)`);
  db.exec(`UPDATE ticket_keys SET sealed = 'v1'`);
  db.close();
  assert.equal(await certificates.accounts(), []);
  assert.is(await certificates.findChallenge('tls-alpn-01 n', Date.now()), undefined);
  assert.equal(await certificates.ticketKeys(), []);
  assert.is(damaged.length, 3);
  await certificates.saveAccount(account);
  assert.equal(await certificates.accounts(), [account]);
  assert.equal(await certificates.replaceTicketKeys([], [{ key: 'l', createdAt: 2 }]), [{ key: 'l', createdAt: 2 }]);
  close();
});

keys('a check value of another database is no way to another key', async () => {
  const [dir, other] = [temporary(), temporary()];
  await written(dir, rawKey);
  const evil = newKeyText();
  await written(other, evil);
  const from = new Database(join(other, 'oo.db'));
  const row = from.prepare('SELECT key_id, salt, check_value FROM encryption').raw().get() as string[];
  from.close();
  const db = new Database(join(dir, 'oo.db'));
  db.prepare('UPDATE encryption SET key_id = ?, salt = ?, check_value = ?').run(...row);
  db.close();
  assert.is((await failure(open(dir, { key: rawKey }))).code, 'OO_STORE_KEY');
});

keys(
  'servers on one database URL: the first settles the key, a second without it is told, one with it works',
  async () => {
    const server = await startHrana(join(temporary(), 'shared.db'));
    const [one, two] = [temporary(), temporary()];
    const start = (stateDir: string, key?: string) => openDatabase({ url: server.url, encryption: { stateDir, key } });
    const first = await start(one);
    await first.certificates.save(certificateOf('a'));
    const { code, hint } = await failure(start(two));
    assert.is(code, 'OO_STORE_KEY');
    const [from, to] = [join(one, 'encryption.key'), join(two, 'encryption.key')];
    assert.ok(hint.startsWith(`Copy ${hostname()}:${from} to ${to}, or give its line as OO_ENCRYPTION_KEY.`));
    assert.equal(readdirSync(two), [], 'no key file of its own');
    writeFileSync(to, readFileSync(from));
    chmodSync(to, 0o600);
    const second = await start(two);
    assert.equal((await second.certificates.load()).certificates, [certificateOf('a')]);
    first.close();
    second.close();
    await server.close();
  },
);

keys(
  'servers that start at the same time on an empty database: one key is settled, and no other key file stays',
  async () => {
    const server = await startHrana(join(temporary(), 'shared.db'));
    const dirs = [temporary(), temporary(), temporary()];
    const starts = dirs.map((stateDir) => openDatabase({ url: server.url, encryption: { stateDir } }));
    const results = await Promise.allSettled(starts);
    const open = results.filter((one) => one.status === 'fulfilled');
    assert.is(open.length, 1);
    for (const [i, result] of results.entries()) {
      assert.equal(readdirSync(dirs[i]), result.status === 'fulfilled' ? ['encryption.key'] : []);
      if (result.status === 'rejected') assert.is(result.reason.code, 'OO_STORE_KEY');
    }
    for (const { value } of open) value.close();
    const key = keyOf(dirs);
    for (const stateDir of dirs) (await openDatabase({ url: server.url, encryption: { stateDir, key } })).close();
    await server.close();
  },
);

function keyOf(dirs: readonly string[]): string {
  const dir = dirs.find((one) => existsSync(join(one, 'encryption.key'))) as string;
  return readFileSync(join(dir, 'encryption.key'), 'utf8');
}

keys.run();
