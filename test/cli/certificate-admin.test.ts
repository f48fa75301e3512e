import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createCertificateAdmin } from '../../cli/certificate-admin.ts';
import type { CertificateManager, CertificateStatus, RenewStart, Unmet } from '../../src/certs/manager-types.ts';
import { readChain } from '../../src/certs/parse.ts';
import type { AcmeAccount, Certificate } from '../../src/certs/types.ts';
import { makeCertificate } from '../helpers/certificate.ts';

const admin = suite('cli: the manager as the API sees it');
const at = Date.UTC(2025, 0, 1);
const { cert, key } = makeCertificate('DNS:a.test', 'IP:127.0.0.1');

function certificate(id: string, updatedAt = at): Certificate {
  const read = readChain(cert, key);
  if ('refused' in read) throw new Error(read.message);
  const { names, chain, keyType, issuer, serial, notBefore, notAfter } = read;
  const times = { notBefore, notAfter, createdAt: at, updatedAt };
  return {
    id,
    names,
    chain,
    key: read.key,
    keyType,
    issuer,
    serial,
    source: 'acme',
    directory: 'https://ca.test',
    ...times,
  };
}

function status(id: string, more: Partial<CertificateStatus> = {}): CertificateStatus {
  return {
    ...{ id, names: [id], keyType: 'ecdsa', source: 'acme', certificate: undefined, stored: false, routes: [id] },
    ...{ wanted: true, failures: 0, lastFailure: null, nextTryAt: 0, renewAt: 0, window: null, running: null },
    ...more,
  } as CertificateStatus;
}

/** An admin over a manager that knows these, and what it was asked to do. */
function start(
  known: CertificateStatus[],
  more: { unmet?: Unmet[]; renew?: RenewStart; accounts?: AcmeAccount[] } = {},
) {
  const done: string[] = [];
  const manager: Pick<CertificateManager, 'save' | 'remove' | 'renew' | 'status' | 'list' | 'unmet'> = {
    list: () => known,
    status: (id) => known.find((one) => one.id === id || one.names.includes(id)),
    unmet: () => more.unmet ?? [],
    save: async (saved) => void done.push(`save ${saved.id}`),
    remove: async (id) => {
      done.push(`remove ${id}`);
      return known.some((one) => one.id === id && one.certificate);
    },
    renew: async (id, onStep) => {
      done.push(`renew ${id}`);
      onStep?.({ at, step: 'order', detail: 'x' });
      return more.renew ?? { kind: 'unknown' };
    },
  };
  const api = createCertificateAdmin({
    manager,
    store: { accounts: async () => more.accounts ?? [] },
    directory: 'https://ca.test',
    check: async () => [],
    rotateKey: async (newKey) => ({ values: 5, path: newKey ? undefined : '/state/encryption.key' }),
    trustRoot: async () => ({ cert, commonName: 'x', fingerprint: '', notAfter: '' }),
  });
  return { api, done };
}

const account = (directory: string, createdAt: number): AcmeAccount => ({
  ...{ directory, url: '', key, contact: '', createdAt, updatedAt: createdAt },
});

admin('list: certificates and accounts, the last updated first, no keys', async () => {
  const known = [status('a.test', { certificate: certificate('a.test', at + 1) }), status('b.test')];
  known.push(status('c.test', { certificate: certificate('c.test', at + 3) }));
  // The account of the CA in force has the seed's id, even if another is older.
  const accounts = [account('https://old.test/dir', at - 5), account('https://ca.test', at + 2)];
  const list = await start(known, { accounts }).api.list();
  assert.equal(
    list.map(({ id }) => id),
    ['c.test', 'acme_account+key', 'a.test', 'acme_account+key@old.test'],
  );
  assert.not.match(JSON.stringify(list), 'PRIVATE');
  const { dnsNames, names, commonName, isCA } = list[0];
  assert.equal([dnsNames, names, commonName, isCA], [['a.test'], ['a.test', '127.0.0.1'], 'test', true]);
});

admin('waiting: by name, with the reason; * is not waiting', async () => {
  const lastFailure = {
    at,
    step: 'order',
    directory: '',
    message: 'No.',
    hint: '',
    problem: '',
    retryAfter: 0,
  } as const;
  const running = { at, step: 'order', detail: '' } as const;
  const known = [status('z.test', { lastFailure, nextTryAt: at }), status('b.test', { running }), status('c.test')];
  known.push(status('a.test', { certificate: certificate('a.test') }), status('gone.test', { wanted: false }));
  const unmet = ['*', '*.x.test'].map((name) => ({ name, routes: [], reason: 'DNS-01 only', hint: 'A hook.' }));
  assert.equal(await start(known, { unmet }).api.waiting(), [
    { id: '*.x.test', reason: 'DNS-01 only. A hook.', nextTryAt: null },
    { id: 'b.test', reason: 'it is being got now.', nextTryAt: null },
    { id: 'c.test', reason: 'its turn has not come.', nextTryAt: null },
    { id: 'z.test', reason: 'No.', nextTryAt: '2025-01-01T00:00:00.000Z' },
  ]);
});

admin('a name that a saved wildcard covers: what is not renewed is the wildcard, by its id', async () => {
  const wildcard = status('*.x.test', { names: ['*.x.test', 'a.x.test'], source: 'saved' });
  const { api, done } = start([wildcard], { renew: { kind: 'own' } });
  const refused = await api.renew('a.x.test', () => {}).catch((error) => error);
  assert.match(refused.message, /^\*\.x\.test was saved by a person/);
  assert.match(refused.hint, /oo cert rm \*\.x\.test$/);
  assert.equal(done, ['renew *.x.test']);
});

admin('get: a certificate without its key, a wanted name, an unmet one, none', async () => {
  const window = { start: at, end: at + 1, explanationUrl: 'u' };
  const known = [
    status('a.test', { certificate: certificate('a.test'), names: ['a.test', 'w.test'], window, renewAt: at }),
  ];
  const unmet = [{ name: '*.x.test', routes: ['*.x.test/y'], reason: 'DNS-01 only', hint: 'A hook.' }];
  const { api } = start(known, { unmet });
  const detail = await api.get('w.test');
  assert.not.match(JSON.stringify(detail), 'PRIVATE');
  assert.equal(
    [detail?.id, detail?.renewAt, detail?.renewalWindow?.explanationUrl],
    ['a.test', '2025-01-01T00:00:00.000Z', 'u'],
  );
  assert.equal(
    detail?.chain.map(({ subject, issuer }) => [subject, issuer]),
    [['test', 'test']],
  );
  assert.is(detail?.stored, false);
  const none = await api.get('*.x.test');
  assert.equal(
    [none?.certificate, none?.routes, none?.unmet],
    [null, ['*.x.test/y'], { reason: 'DNS-01 only', hint: 'A hook.' }],
  );
  assert.is(await api.get('zz.test'), undefined);
});

admin('a chain that can not be read takes no other from the list; an account’s key is said to be one', async () => {
  const broken = { ...certificate('b.test'), chain: 'garbage' };
  const { api } = start([
    status('a.test', { certificate: certificate('a.test') }),
    status('b.test', { certificate: broken }),
  ]);
  assert.equal(
    (await api.list()).map(({ id, commonName }) => [id, commonName]),
    [
      ['a.test', 'test'],
      ['b.test', 'a.test'],
    ],
  );
  assert.equal((await api.get('b.test'))?.chain, []);
  await api.get('acme_account+key').then(
    () => assert.unreachable(),
    (error) => assert.is(error.code, 'OO_OWN_KEY'),
  );
});

admin('save: all are proven before one is kept', async () => {
  const { api, done } = start([]);
  const refusal = await api
    .save([
      { id: 'a.test', cert, key },
      { id: 'b.test', cert, key },
    ])
    .catch((error) => error);
  assert.equal([refusal.status, refusal.code, done], [400, 'OO_BAD_CERTIFICATE', []]);
  const [saved] = await api.save([{ id: 'a.test', cert: key + cert }]);
  assert.equal([saved.id, saved.source, done], ['a.test', 'saved', ['save a.test']]);
  await api.save([{ id: '127.0.0.1', cert, key }]);
  for (const id of ['acme_account+key', 'local_ca']) {
    assert.is((await api.save([{ id, cert, key }]).catch((error) => error)).code, 'OO_OWN_KEY');
    assert.is((await api.remove(id).catch((error) => error)).code, 'OO_OWN_KEY');
  }
  assert.equal(done, ['save a.test', 'save 127.0.0.1']);
});

admin('remove: the routes that still ask for it', async () => {
  const { api } = start([status('a.test', { certificate: certificate('a.test') }), status('b.test')]);
  assert.equal(await api.remove('a.test'), { routes: ['a.test'] });
  assert.is(await api.remove('b.test'), undefined);
});

admin('renew: by any of its names; steps and outcome in the form of the API', async () => {
  const known = [status('a.test', { names: ['a.test', 'w.test'] })];
  const failure = { at, step: 'order', directory: 'd', message: 'm', hint: 'h', problem: 'p', retryAfter: 7 } as const;
  const renew: RenewStart = { kind: 'begun', done: Promise.resolve({ failure, nextTryAt: 0 }) };
  const { api, done } = start(known, { renew });
  const steps: unknown[] = [];
  const outcome = await (await api.renew('w.test', (step) => steps.push(step))).done;
  assert.equal(done, ['renew a.test']);
  assert.equal(steps, [{ at: '2025-01-01T00:00:00.000Z', step: 'order', detail: 'x' }]);
  const { retryAfter: _, ...told } = failure;
  assert.equal(outcome, { failure: { ...told, at: '2025-01-01T00:00:00.000Z' }, nextTryAt: null });
  const good: RenewStart = { kind: 'begun', done: Promise.resolve({ certificate: certificate('a.test') }) };
  const renewed = await (await start(known, { renew: good }).api.renew('a.test', () => {})).done;
  assert.not.match(JSON.stringify(renewed), 'PRIVATE');
});

for (const [kind, code] of [
  ['unknown', 'OO_NO_CERTIFICATE'],
  ['own', 'OO_NOT_RENEWED'],
  ['off', 'OO_ACME_OFF'],
] as const) {
  admin(`renew: refused where the manager says ${kind}`, async () => {
    const { api } = start([], { renew: { kind } });
    const refusal = await api.renew('a.test', () => {}).catch((error) => error);
    assert.is(refusal.code, code);
    assert.ok(refusal.hint);
  });
}

admin('raw: the key of a certificate or an account only where it is asked for', async () => {
  const accounts = [account('https://ca.test', at)];
  const { api } = start([status('a.test', { certificate: certificate('a.test') }), status('b.test')], { accounts });
  assert.equal(await api.raw('a.test', false), { chain: cert });
  assert.match((await api.raw('a.test', true))?.key ?? '', 'PRIVATE KEY');
  assert.is(await api.raw('b.test', true), undefined);
  assert.equal(await api.raw('acme_account+key', false), { chain: '' });
  assert.equal(await api.raw('acme_account+key', true), { chain: '', key });
});

admin('a new encryption key: where it is now', async () => {
  const { api } = start([]);
  assert.match((await api.rotateKey()).message, '/state/encryption.key');
  assert.match((await api.rotateKey('k')).message, 'OO_ENCRYPTION_KEY');
});

admin('10,000 certificates leave the event loop its turns', async () => {
  const one = certificate('a.test');
  const known = Array.from({ length: 10_000 }, (_, i) =>
    status(`h${i}.test`, { certificate: { ...one, id: `h${i}.test` } }),
  );
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const list = await start(known).api.list();
  clearInterval(timer);
  assert.is(list.length, 10_000);
  assert.ok(turns > 10, `${turns} turns`);
});

admin.run();
