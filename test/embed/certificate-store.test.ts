import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { AcmeAccount, CertificateState, CertificateStore, Challenge } from '../../src/certs/types.ts';
import { certificateDirectory } from '../../src/embed/certificate-directory.ts';
import { guardStorage } from '../../src/embed/certificate-guard.ts';
import { memoryStorage } from '../../src/embed/certificate-memory.ts';
import { createRecordStore } from '../../src/embed/certificate-store.ts';
import type { CertificateStorage } from '../../src/embed/certificate-types.ts';
import { fakeCertificate } from '../helpers/fake-issuer.ts';
import { temporary } from '../helpers/temporary.ts';
import { failureOf } from '../store/places.ts';

const now = Date.now();
const certificate = (id: string) => ({ ...fakeCertificate({ id, now }), source: 'acme' as const });
const failing = (line: string) => {
  throw new Error(line);
};

/** Two processes on one storage. */
const kinds: Readonly<Record<string, () => [CertificateStorage, CertificateStorage]>> = {
  memory() {
    const storage = memoryStorage();
    return [storage, storage];
  },
  directory() {
    const path = join(temporary(), 'deep', 'certificates');
    return [certificateDirectory(path), certificateDirectory(path)];
  },
};

for (const [kind, make] of Object.entries(kinds)) {
  const store = suite(`certificates kept in a storage: ${kind}`);
  const two = (): [CertificateStore, CertificateStore] => {
    const [one, other] = make();
    return [createRecordStore(one, failing), createRecordStore(other, failing)];
  };

  store('what one saves, changes and removes, the other one learns', async () => {
    const [one, other] = two();
    const { version, certificates } = await other.load();
    assert.equal(certificates, []);
    await one.save(certificate('a.example.com'));
    await one.save(certificate('*.example.com'));
    const first = await other.changesSince(version);
    assert.ok(first !== 'all');
    assert.equal(first.save.map(({ id }) => id).sort(), ['*.example.com', 'a.example.com']);
    assert.equal(await other.changesSince(first.version), { version: first.version, save: [], remove: [] });
    await one.save({ ...certificate('a.example.com'), serial: '7', createdAt: now + 5 });
    assert.equal(await one.remove('*.example.com').then(({ removed }) => removed), true);
    assert.equal(await one.remove('*.example.com').then(({ removed }) => removed), false);
    const second = await other.changesSince(first.version);
    assert.ok(second !== 'all');
    assert.equal([second.save.map(({ serial }) => serial), second.remove], [['7'], ['*.example.com']]);
    assert.is(second.save[0].createdAt, now);
    assert.equal((await other.load()).certificates, second.save);
  });

  store('who has missed changes is told to load all', async () => {
    const [one] = two();
    const { version } = await one.load();
    for (const id of ['a.test', 'b.test', 'c.test']) await one.save(certificate(id));
    assert.is(await one.changesSince(version), 'all');
    const loaded = await one.load();
    assert.equal(loaded.certificates.length, 3);
    assert.ok((await one.changesSince(loaded.version)) !== 'all');
  });

  store("the embedder's own are not written, and stand before stored ones", async () => {
    const [one, other] = two();
    await other.save(certificate('a.test'));
    await one.save({ ...certificate('a.test'), source: 'saved', serial: '9' });
    assert.equal(
      (await one.load()).certificates.map(({ serial }) => serial),
      ['9'],
    );
    assert.is((await other.load()).certificates[0].source, 'acme');
    assert.equal((await one.remove('a.test')).removed, true);
    assert.is((await one.load()).certificates[0].source, 'acme');
  });

  store('names of any length and kind', async () => {
    const [one, other] = two();
    const ids = ['*.example.com', '2001:db8::1', `${'a.'.repeat(120)}example.com`, 'a.example.com+rsa'];
    for (const id of ids) await one.save(certificate(id));
    assert.equal((await other.load()).certificates.map(({ id }) => id).sort(), [...ids].sort());
    for (const id of ids) assert.ok((await other.remove(id)).removed, id);
    assert.equal((await one.load()).certificates, []);
  });

  store('a lease is one process’s until it ends', async () => {
    const [one, other] = two();
    const taken = await Promise.all([one, other].map((each, i) => each.takeLease('x', `holder ${i}`, now, now + 10)));
    assert.equal(taken.filter(Boolean).length, 1);
    const [holder, second] = taken[0] ? ['holder 0', 'holder 1'] : ['holder 1', 'holder 0'];
    assert.ok(await one.takeLease('x', holder, now, now + 20), 'extended');
    assert.not(await one.takeLease('x', second, now + 15, now + 30));
    assert.ok(await one.takeLease('x', second, now + 21, now + 30), 'the old one has run out');
    await one.releaseLease('x', holder);
    assert.not(await one.takeLease('x', holder, now + 22, now + 30), 'it was no longer his to give back');
    await one.releaseLease('x', second);
    assert.ok(await other.takeLease('x', holder, now + 22, now + 30));
  });

  store('states, accounts, ticket keys and the count of an hour', async () => {
    const [one, other] = two();
    const state = { id: 'a.test', failures: 2 } as CertificateState;
    await one.saveState(state);
    assert.equal(await other.states(), [state]);
    assert.equal(await other.findState!('a.test'), state);
    await other.removeState('a.test');
    assert.equal(await one.states(), []);
    const account = { directory: 'https://ca.example/dir', url: 'https://ca.example/1', key: 'k' } as AcmeAccount;
    await one.saveAccount(account);
    await one.saveAccount({ ...account, contact: 'x' });
    assert.equal(await other.accounts(), [{ ...account, contact: 'x' }]);
    const [old, next] = ['old', 'next'].map((key) => [{ key, createdAt: now }]);
    assert.equal(await one.replaceTicketKeys([], old), old);
    assert.equal(await other.replaceTicketKeys([], next), old, 'another was faster');
    assert.equal(await other.replaceTicketKeys(old, next), next);
    assert.equal(await one.ticketKeys(), next);
    const counts = [0, 1, 2, 3_600_001].map((ms) => ms);
    const allowed: boolean[] = [];
    for (const ms of counts) allowed.push(await one.countOnDemand(now + ms, 2));
    assert.equal(allowed, [true, true, false, true]);
  });

  store('a challenge is there for the other one until its time; what was left over goes', async () => {
    const [one, other] = two();
    const challenge: Challenge = { type: 'http-01', name: 'a.test', token: 'tok-1_A', content: 'tok.x' };
    await one.putChallenge(challenge, now + 60_000);
    assert.equal(await other.findChallenge('http-01 tok-1_A', now), challenge);
    assert.is(await other.findChallenge('http-01 tok-1_A', now + 60_001), undefined);
    await other.load();
    assert.ok(await other.findChallenge('http-01 tok-1_A', now));
    await one.removeChallenge('http-01 tok-1_A');
    assert.is(await other.findChallenge('http-01 tok-1_A', now), undefined);
    await one.putChallenge({ ...challenge, token: 'old' }, now - 1);
    await other.load();
    assert.is(await other.findChallenge('http-01 old', now - 10), undefined);
  });

  store('damaged ticket keys and counts are replaced', async () => {
    const [records] = make();
    const told: string[] = [];
    const damaged = createRecordStore(records, (line) => told.push(line));
    for (const keys of [5, [null], [{ key: 5, createdAt: now }], [{ key: 'k', createdAt: 'x' }], {}]) {
      await records.write('ticket-keys', JSON.stringify({ keys }));
      assert.equal(await damaged.ticketKeys(), []);
    }
    assert.is(told.length, 5);
    const next = [{ key: 'k', createdAt: now }];
    assert.equal(await damaged.replaceTicketKeys([], next), next);
    await records.write('on-demand', '{"times":5}');
    assert.ok(await damaged.countOnDemand(now, 1));
    assert.not(await damaged.countOnDemand(now, 1));
  });

  store.run();
}

const guarding = suite('a storage of the embedder’s own');
const given = (method: keyof CertificateStorage, answer: () => unknown, mostMs?: number): CertificateStorage =>
  guardStorage({ ...memoryStorage(), [method]: answer }, mostMs);

guarding('what it gives is what it should give, or is refused by name', async () => {
  for (const [method, wrong, named] of [
    ['list', undefined, 'storage.list gave undefined'],
    ['list', [null], 'storage.list gave a list'],
    ['list', [{ name: 'a' }], 'expected a list of { name, mark }'],
    ['read', Buffer.from('x'), 'storage.read gave an object'],
    ['create', undefined, 'storage.create gave undefined'],
  ] as const)
    assert.ok(
      (await failureOf((given(method, () => wrong)[method] as CertificateStorage['write'])('a', 'b'))).message.includes(
        named,
      ),
      named,
    );
  assert.is(await given('read', () => null).read('a'), undefined);
  assert.is(await given('remove', () => undefined).remove('a'), false);
});

guarding('one that throws at once, or never answers, rejects', async () => {
  for (const method of ['list', 'read', 'write', 'create', 'remove'] as const) {
    const thrown = given(method, () => {
      throw new Error('of the storage');
    });
    assert.match(
      (await failureOf((thrown[method] as CertificateStorage['write'])('a', 'b'))).message,
      'of the storage',
    );
    const silent = given(method, () => new Promise(() => {}), 20);
    assert.match(
      (await failureOf((silent[method] as CertificateStorage['write'])('a', 'b'))).message,
      `storage.${method} has not answered within 20 ms`,
    );
  }
});

guarding.run();

const directory = suite('a directory of certificates');

directory('its files are their owner’s alone', async () => {
  const path = join(temporary(), 'certificates');
  await createRecordStore(certificateDirectory(path), failing).save(certificate('*.example.com'));
  assert.is(statSync(path).mode & 0o777, 0o700);
  assert.equal(readdirSync(path), ['certificates%2F%2A.example.com']);
  assert.is(statSync(join(path, 'certificates%2F%2A.example.com')).mode & 0o777, 0o600);
});

directory('what is damaged is passed over, told once, and replaced; what is not ours stays', async () => {
  const path = temporary();
  const lines: string[] = [];
  const storage = certificateDirectory(path);
  writeFileSync(join(path, 'certificates%2Fa.test'), '{"id":"a.te');
  writeFileSync(join(path, 'certificates%2Fb.test'), '{"id":"b.test","names":[]}');
  writeFileSync(join(path, 'certificates%2F%'), 'no name');
  writeFileSync(join(path, 'README'), 'of somebody');
  mkdirSync(join(path, 'certificates%2Fdirectory.test'));
  const store = createRecordStore(storage, (line) => lines.push(line));
  assert.equal((await store.load()).certificates, []);
  await store.load();
  assert.equal(lines.map((line) => /certificates\/\S+/.exec(line)![0]).sort(), [
    'certificates/a.test',
    'certificates/b.test',
  ]);
  await store.save(certificate('a.test'));
  assert.equal(
    (await store.load()).certificates.map(({ id }) => id),
    ['a.test'],
  );
  assert.is(readFileSync(join(path, 'README'), 'utf8'), 'of somebody');
});

directory('what a killed process had begun to write goes, what another writes now stays', async () => {
  const path = temporary();
  writeFileSync(join(path, '.writing-old'), 'x');
  writeFileSync(join(path, '.writing-new'), 'x');
  utimesSync(join(path, '.writing-old'), 1, 1);
  await certificateDirectory(path).list('');
  assert.equal(readdirSync(path), ['.writing-new']);
});

directory('one that can not be used is named, and tried again', async () => {
  const parent = temporary();
  const path = join(parent, 'file', 'certificates');
  writeFileSync(join(parent, 'file'), '');
  const storage = certificateDirectory(path);
  const error = await storage.write('a', 'b').then(
    () => null,
    (thrown) => thrown,
  );
  assert.is(error.code, 'ENOTDIR');
  assert.match(error.message, path);
  rmSync(join(parent, 'file'));
  mkdirSync(join(parent, 'file'));
  await storage.write('a', 'b');
  assert.is(await storage.read('a'), 'b');
});

directory('who reads while others write meets whole records', async () => {
  const path = temporary();
  const [one, other] = [certificateDirectory(path), certificateDirectory(path)];
  const text = (i: number) => String(i).repeat(50_000);
  await one.write('x', text(0));
  let writing = true;
  const writes = (async () => {
    for (let i = 1; i < 60; i++) await one.write('x', text(i % 10));
    writing = false;
  })();
  while (writing) {
    const read = (await other.read('x')) ?? '';
    assert.is(read.length, 50_000);
    assert.ok(read === read[0].repeat(50_000));
  }
  await writes;
});

directory.run();
