import Database from 'libsql';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createCertificateStore } from '../../db/certificates.ts';
import { cipherOf, deriveKey, newSalt, type SealKey } from '../../db/cipher.ts';
import { database } from '../../db/connection.ts';
import { rowOf } from '../../db/encryption.ts';
import { openFile } from '../../db/file.ts';
import { migrate } from '../../db/migrations.ts';
import { encryption } from '../../db/schema.ts';
import {
  type Certificate,
  type CertificateState,
  type Challenge,
  challengeKey,
  type TicketKey,
} from '../../src/certs/types.ts';
import { temporary } from '../helpers/temporary.ts';
import { certificateOf, places, rawKey } from './open-store.ts';

const a = certificateOf('a.example.com', {
  names: ['a.example.com', 'www.a.example.com', '192.0.2.1'],
  source: 'saved',
});
const b = certificateOf('*.b.example.com', { keyType: 'rsa', directory: '', source: 'local' });
const hourMs = 3_600_000;

const state: CertificateState = {
  id: 'a.example.com',
  failures: 3,
  lastFailure: {
    at: 5,
    step: 'order',
    directory: 'https://ca.test/directory',
    message: 'It failed.',
    hint: 'Wait.',
    problem: 'rateLimited',
    retryAfter: 60,
  },
  notBefore: 7,
  renewAt: 8,
  renewSerial: '9',
  windowStart: 10,
  windowEnd: 11,
  windowUrl: 'https://ca.test/why',
  askWindowAt: 12,
  forcedAt: 0,
};

for (const [name, make] of places) {
  const store = suite(`db: the certificate store, in ${name}`);

  store('a new database has none, at version 0', async () => {
    const place = await make();
    const { certificates, configuration: store, close } = await place.open();
    assert.equal(await certificates.load(), { version: 0, certificates: [] });
    assert.equal(await certificates.changesSince(0), { version: 0, save: [], remove: [] });
    assert.equal(await certificates.states(), []);
    assert.equal(await certificates.accounts(), []);
    assert.equal(await certificates.ticketKeys(), []);
    assert.equal(await store.load(), { revision: 0, routes: [], services: [], settings: {} });
    assert.is(typeof certificates.watch, place.server ? 'function' : 'undefined');
    close();
    await place.end();
  });

  store(
    'what is saved is there, every field, after it was opened again; a replaced one keeps when it was made',
    async () => {
      const place = await make();
      const first = await place.open();
      assert.equal(await first.certificates.save(a), { version: 1 });
      assert.equal(await first.certificates.save(b), { version: 2 });
      const renewed = {
        ...a,
        names: ['a.example.com'],
        key: 'another',
        chain: 'new',
        serial: '2',
        createdAt: 9,
        updatedAt: 9,
      };
      assert.equal(await first.certificates.save(renewed), { version: 3 });
      first.close();
      const { certificates, close } = await place.open();
      assert.equal(await certificates.load(), { version: 3, certificates: [b, { ...renewed, createdAt: 1 }] });
      close();
      await place.end();
    },
  );

  store('a removed one is gone; removing what is not there changes nothing', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    await certificates.save(a);
    assert.equal(await certificates.remove('not.there'), { version: 1, removed: false });
    assert.equal(await certificates.remove(a.id), { version: 2, removed: true });
    assert.equal(await certificates.remove(a.id), { version: 2, removed: false });
    assert.equal(await certificates.load(), { version: 2, certificates: [] });
    close();
    await place.end();
  });

  store('changesSince gives the last state of what changed, each id once', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    await certificates.save(a);
    await certificates.save(b);
    await certificates.save({ ...a, chain: 'second' });
    await certificates.save({ ...a, chain: 'third' });
    await certificates.remove(b.id);
    assert.equal(await certificates.changesSince(1), { version: 5, save: [{ ...a, chain: 'third' }], remove: [b.id] });
    assert.equal(await certificates.changesSince(4), { version: 5, save: [], remove: [b.id] });
    await certificates.save(b);
    assert.equal(await certificates.changesSince(4), { version: 6, save: [b], remove: [] });
    assert.equal(await certificates.changesSince(6), { version: 6, save: [], remove: [] });
    assert.is(await certificates.changesSince(7), 'all', 'ahead of the database: a backup was restored');
    close();
    await place.end();
  });

  store('no key is in the file as it is, nor in its log; each save seals anew', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    await certificates.save({ ...a, key: 'SECRET-1' });
    await certificates.saveAccount({
      directory: 'd',
      url: 'u',
      key: 'SECRET-2',
      contact: '',
      createdAt: 1,
      updatedAt: 1,
    });
    await certificates.putChallenge({ type: 'tls-alpn-01', name: 'n', token: 't', chain: 'c', key: 'SECRET-3' }, 9);
    await certificates.replaceTicketKeys([], [{ key: 'SECRET-4', createdAt: 1 }]);
    const db = new Database(place.path);
    const read = (sql: string) => db.prepare(sql).raw().get() as string[];
    const [one] = read('SELECT private_key FROM certificates');
    await certificates.save({ ...a, key: 'SECRET-1' });
    const [two] = read('SELECT private_key FROM certificates');
    assert.match(one, /^v1\.[0-9a-f]{16}\.[\w-]+$/);
    assert.is.not(one, two);
    for (const table of [
      'certificates',
      'certificate_changes',
      'acme_accounts',
      'challenges',
      'ticket_keys',
      'encryption',
    ]) {
      const rows = JSON.stringify(db.prepare(`SELECT * FROM ${table}`).raw().all());
      assert.ok(rows.length > 2, table);
      assert.not.match(rows, /SECRET/);
      assert.not.match(rows, rawKey);
    }
    db.close();
    close();
    await place.end();
  });

  store('states: one for each id, replaced whole, with or without a certificate', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    const other = { ...state, id: 'b', lastFailure: null };
    await certificates.saveState(other);
    await certificates.saveState({ ...state, failures: 1 });
    await certificates.saveState(state);
    assert.equal(
      [...(await certificates.states())].sort((x, y) => (x.id < y.id ? -1 : 1)),
      [state, other],
    );
    assert.equal(await certificates.findState?.('b'), other);
    assert.is(await certificates.findState?.('c'), undefined);
    await certificates.removeState('b');
    await certificates.removeState('not.there');
    assert.equal(await certificates.states(), [state]);
    close();
    await place.end();
  });

  store('accounts: one for each CA; a replaced one keeps when it was made', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    const account = { directory: 'd', url: 'u', key: 'k', contact: 'ann@example.com', createdAt: 5, updatedAt: 5 };
    await certificates.saveAccount(account);
    await certificates.saveAccount({ ...account, directory: 'e' });
    await certificates.saveAccount({ ...account, url: 'v', key: 'l', contact: '', createdAt: 6, updatedAt: 6 });
    assert.equal(await certificates.accounts(), [
      { ...account, url: 'v', key: 'l', contact: '', updatedAt: 6 },
      { ...account, directory: 'e' },
    ]);
    close();
    await place.end();
  });

  store('challenges are found by their keys until they end, and are taken away some time after', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    const http: Challenge = { type: 'http-01', name: 'a', token: 'T', content: 'T.thumb' };
    const alpn: Challenge = { type: 'tls-alpn-01', name: 'a', token: 'T', chain: 'c', key: 'k' };
    const end = Date.now() - 100;
    await certificates.putChallenge(http, end);
    await certificates.putChallenge(alpn, end);
    assert.equal(await certificates.findChallenge(challengeKey(http), end - 1), http);
    assert.equal(await certificates.findChallenge(challengeKey(alpn), end - 1), alpn);
    assert.is(await certificates.findChallenge(challengeKey(http), end), undefined);
    await certificates.putChallenge({ ...alpn, key: 'k2' }, end + 5);
    assert.equal(await certificates.findChallenge(challengeKey(alpn), end), { ...alpn, key: 'k2' });
    await certificates.removeChallenge(challengeKey(http));
    assert.is(await certificates.findChallenge(challengeKey(http), end - 1), undefined);
    await certificates.putChallenge(http, Date.now() - 2 * hourMs);
    await certificates.putChallenge({ ...http, token: 'U' }, Date.now() + hourMs);
    assert.is(await certificates.findChallenge('http-01 T', 0), undefined, 'long ended: gone');
    assert.ok(await certificates.findChallenge('tls-alpn-01 a', 0), 'just ended: stays a while');
    close();
    await place.end();
  });

  store('a lease: one holder, extended, released, free when it has ended', async () => {
    const place = await make();
    const { certificates: store, close } = await place.open();
    assert.is(await store.takeLease('n', 'one', 100, 200), true);
    assert.is(await store.takeLease('n', 'two', 199, 300), false);
    assert.is(await store.takeLease('m', 'two', 199, 300), true, 'another name');
    assert.is(await store.takeLease('n', 'one', 150, 250), true, 'extended');
    assert.is(await store.takeLease('n', 'two', 249, 350), false);
    assert.is(await store.takeLease('n', 'two', 250, 350), true, 'ended');
    await store.releaseLease('n', 'one');
    assert.is(await store.takeLease('n', 'one', 260, 360), false, 'not its own any more');
    await store.releaseLease('n', 'two');
    assert.is(await store.takeLease('n', 'one', 260, 360), true);
    assert.is(await store.takeLease('far', 'one', 0, 1_000 * hourMs), true);
    assert.is(await store.takeLease('far', 'two', 1, hourMs), true, 'no lease is that long: the clock was wrong');
    close();
    await place.end();
  });

  store('leases and counts that ended long ago are taken away', async () => {
    const place = await make();
    const { certificates: store, close } = await place.open();
    await store.takeLease('old', 'one', 0, 100);
    await store.takeLease('n', 'one', 48 * hourMs, 49 * hourMs);
    await store.countOnDemand(0, 10);
    await store.countOnDemand(3 * hourMs, 10);
    const db = new Database(place.path);
    assert.equal(db.prepare('SELECT name FROM leases').raw().all(), [['n']]);
    assert.equal(db.prepare('SELECT at FROM on_demand').raw().all(), [[3 * hourMs]]);
    db.close();
    close();
    await place.end();
  });

  store('ticket keys are replaced only by who knew the present ones', async () => {
    const place = await make();
    const { certificates: store, close } = await place.open();
    const [one, two, three]: TicketKey[] = [1, 2, 3].map((n) => ({ key: `k${n}`, createdAt: n }));
    assert.equal(await store.replaceTicketKeys([], [one]), [one]);
    assert.equal(await store.replaceTicketKeys([], [two]), [one], 'another was first');
    assert.equal(await store.replaceTicketKeys([one], [two, one]), [two, one]);
    assert.equal(await store.replaceTicketKeys([one, two], [three]), [two, one], 'in another order they are others');
    assert.equal(await store.ticketKeys(), [two, one]);
    close();
    await place.end();
  });

  store('on-demand issuances: so many in any hour', async () => {
    const place = await make();
    const { certificates: store, close } = await place.open();
    const counted: boolean[] = [];
    for (const now of [0, 10, 20, hourMs - 1, hourMs, hourMs + 1, hourMs + 10])
      counted.push(await store.countOnDemand(now, 2));
    assert.equal(counted, [true, true, false, false, true, false, true]);
    assert.is(await store.countOnDemand(9 * hourMs, 0), false);
    close();
    await place.end();
  });

  store('1,200 certificates come out whole, while some change between two pages', async () => {
    const place = await make();
    const { certificates: store, encryption, close } = await place.open();
    const ids = Array.from({ length: 1_200 }, (_, n) => `h${String(n).padStart(4, '0')}`);
    fill(
      place.path,
      encryption.cipher.current,
      ids.map((id) => certificateOf(id)),
    );
    const loading = store.load();
    await Promise.all([store.save(certificateOf('h0000', { chain: 'new' })), store.remove('h1100'), store.save(a)]);
    const { version, certificates } = await loading;
    const found = new Map(certificates.map((one) => [one.id, one]));
    // However the two meet, what is said to be of a version is of that version.
    const later = await store.changesSince(version);
    assert.is.not(later, 'all');
    if (later !== 'all') {
      for (const one of later.save) found.set(one.id, one);
      for (const id of later.remove) found.delete(id);
    }
    assert.is(found.size, 1_200);
    assert.is(found.get('h0000')?.chain, 'new');
    assert.is(found.has('h1100'), false);
    assert.equal(found.get('h0777'), certificateOf('h0777'));
    close();
    await place.end();
  });

  store.run();
}

/** Many at once, without a transaction for each. */
function fill(path: string, key: SealKey, list: readonly Certificate[]): void {
  const db = new Database(path);
  const row = db.prepare('INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)');
  db.exec('BEGIN');
  for (const { id, names, chain, key: pem, source, keyType, issuer, serial, ...rest } of list) {
    const sealed = key.seal('certificates.private_key', id, pem);
    const { notBefore, notAfter, directory, createdAt, updatedAt } = rest;
    const texts = [id, JSON.stringify(names), chain, sealed, source, keyType, issuer, serial];
    row.run(...texts, notBefore, notAfter, directory, createdAt, updatedAt);
  }
  db.exec('COMMIT');
  db.close();
}

const log = suite('db: the log of certificate changes');

log('it keeps as much as it says, and says when it does not reach', async () => {
  const connection = openFile(`${temporary()}/oo.db`);
  await migrate(connection);
  const salt = newSalt();
  const key = await deriveKey(rawKey, salt);
  await database(connection, 'write')
    .insert(encryption)
    .values(rowOf(key, salt, 'given', 1));
  const store = createCertificateStore(connection, cipherOf(key), { changesKept: 3 });
  for (const id of ['a', 'b', 'c', 'd', 'e']) await store.save(certificateOf(id));
  assert.is(await store.changesSince(1), 'all');
  const changes = await store.changesSince(2);
  assert.equal(changes === 'all' || changes.save.map(({ id }) => id).sort(), ['c', 'd', 'e']);
  connection.close();
});

log.run();
