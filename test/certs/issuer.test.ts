// time limit: 300 s

import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startPebble } from '../helpers/pebble.ts';
import { sleep, within } from '../helpers/wait.ts';
import { contextOf, failureOf, issue, issuerOf, memoryAccounts, requestFor, startAnswers } from './issuer-kit.ts';

const pebble = await startPebble();
const answers = await startAnswers(pebble);

const issuer = suite('issuer');

issuer.before.each(() => {
  answers.http = true;
  answers.alpn = true;
  answers.ever.length = 0;
});
// Told at the end: an error in here would hide the test's own.
const left: string[] = [];
issuer.after.each(() => {
  left.push(...answers.shown.keys());
  answers.shown.clear();
});

issuer('http-01: a certificate that a TLS client trusts by the CA root', async () => {
  const context = contextOf(answers);
  const certificate = await issuerOf(pebble).issue(requestFor(['a.example.com']), context);
  assert.equal(certificate.names, ['a.example.com']);
  assert.is(certificate.id, 'a.example.com');
  assert.is(certificate.source, 'acme');
  assert.is(certificate.keyType, 'ecdsa');
  assert.is(certificate.directory, pebble.directory);
  assert.match(certificate.issuer, /^Pebble Intermediate CA/);
  assert.match(certificate.serial, /^\d+$/);
  assert.ok(certificate.notBefore <= Date.now() && certificate.notAfter > Date.now());
  assert.match(certificate.key, /^-----BEGIN PRIVATE KEY-----/);
  const leaf = new X509Certificate(certificate.chain);
  assert.is(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  assert.is(await handshake(certificate, 'a.example.com', await pebble.root()), 'a.example.com');
  assert.equal(
    context.steps.map(({ step }) => step),
    ['directory', 'account', 'order', 'challenge', 'authorization', 'finalize', 'download', 'check'],
  );
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01'],
  );
});

issuer('tls-alpn-01 alone', async () => {
  const certificate = await issue(issuerOf(pebble, { challenges: ['tls-alpn-01'] }), ['b.example.com'], answers);
  assert.equal(certificate.names, ['b.example.com']);
  assert.equal(
    answers.ever.map(({ type, name }) => `${type} ${name}`),
    ['tls-alpn-01 b.example.com'],
  );
});

issuer('http-01 fails: tls-alpn-01 is tried in a new order, and what worked is remembered', async () => {
  answers.http = false;
  const one = issuerOf(pebble);
  const context = contextOf(answers);
  await within(one.issue(requestFor(['c.example.com']), context), 'a certificate', 30_000);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01', 'tls-alpn-01'],
  );
  assert.is(context.steps.filter(({ step }) => step === 'order').length, 2);
  await issue(one, ['c2.example.com'], answers);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01', 'tls-alpn-01', 'tls-alpn-01'],
  );
});

issuer('tls-alpn-01 preferred and failing: http-01 is tried', async () => {
  answers.alpn = false;
  await issue(issuerOf(pebble, { challenges: ['tls-alpn-01', 'http-01'] }), ['d.example.com'], answers);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['tls-alpn-01', 'http-01'],
  );
});

issuer('both fail: each is explained, with what to do', async () => {
  answers.http = false;
  answers.alpn = false;
  const failure = await failureOf(issue(issuerOf(pebble), ['e.example.com'], answers));
  assert.is(failure.step, 'authorization');
  assert.is(failure.problem, 'unauthorized');
  assert.match(failure.message, /^e\.example\.com: http-01: .*404.*; tls-alpn-01: /);
  assert.match(failure.hint, /answers http:\/\/e\.example\.com\/\.well-known/);
  assert.is(failure.directory, pebble.directory);
  assert.equal(
    answers.ever.map(({ type }) => type),
    ['http-01', 'tls-alpn-01'],
  );
  assert.ok(Math.abs(failure.at - Date.now()) < 60_000);
});

issuer('several names in one order, each its own way', async () => {
  const names = ['f.example.com', 'www.f.example.com', '127.0.0.1'];
  const certificate = await issue(issuerOf(pebble), names, answers, { id: 'group' });
  assert.equal(certificate.names, names);
  assert.is(certificate.id, 'group');
  const alternatives = new X509Certificate(certificate.chain).subjectAltName ?? '';
  for (const name of ['DNS:f.example.com', 'DNS:www.f.example.com', 'IP Address:127.0.0.1'])
    assert.ok(alternatives.includes(name), alternatives);
});

issuer('an IP address by tls-alpn-01: asked for by its reverse name', async () => {
  const certificate = await issue(issuerOf(pebble, { challenges: ['tls-alpn-01'] }), ['127.0.0.1'], answers);
  assert.equal(certificate.names, ['127.0.0.1']);
  assert.equal(
    answers.ever.map(({ name }) => name),
    ['1.0.0.127.in-addr.arpa'],
  );
  assert.is(await handshake(certificate, '127.0.0.1', await pebble.root()), '127.0.0.1');
});

issuer('an IPv6 address, in either way, in one form', async () => {
  const six = await startPebble();
  const there = await startAnswers(six, '::1');
  for (const way of ['http-01', 'tls-alpn-01'] as const) {
    const certificate = await issue(issuerOf(six, { challenges: [way] }), ['::1'], there);
    assert.equal(certificate.names, ['::1']);
  }
  assert.equal(
    there.ever.map(({ name }) => name),
    ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
  );
  six.close();
});

issuer('a longer chain comes whole; the default one where there are others', async () => {
  const long = await startPebble({
    httpPort: pebble.httpPort,
    tlsPort: pebble.tlsPort,
    env: { PEBBLE_CHAIN_LENGTH: '3', PEBBLE_ALTERNATE_ROOTS: '2' },
  });
  const certificate = await issue(issuerOf(long), ['m.example.com'], answers);
  assert.is(certificate.chain.match(/BEGIN CERTIFICATE/g)?.length, 4);
  assert.is(await handshake(certificate, 'm.example.com', await long.root()), 'm.example.com');
  long.close();
});

issuer('proxy variables are not obeyed: acme-client by itself would', async () => {
  const names = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY'];
  for (const name of names) process.env[name] = 'http://127.0.0.1:1';
  try {
    await issue(issuerOf(pebble), ['n.example.com'], answers);
  } finally {
    for (const name of names) delete process.env[name];
  }
});

issuer('RSA on request', async () => {
  const certificate = await issue(issuerOf(pebble), ['g.example.com'], answers, {
    keyType: 'rsa',
    id: 'g.example.com+rsa',
  });
  assert.is(certificate.keyType, 'rsa');
  assert.is(certificate.id, 'g.example.com+rsa');
  assert.is(new X509Certificate(certificate.chain).publicKey.asymmetricKeyDetails?.modulusLength, 2048);
});

issuer('two orders with a name in common by tls-alpn-01: one answer at a time', async () => {
  const one = issuerOf(pebble, { challenges: ['tls-alpn-01'] });
  const slowly = {
    cleanup: answers.cleanup,
    present: async (challenge: Parameters<typeof answers.present>[0]) => {
      await answers.present(challenge);
      await sleep(200);
    },
  };
  const both = await Promise.all([
    issue(one, ['h.example.com'], slowly),
    issue(one, ['www.h.example.com', 'h.example.com'], slowly),
  ]);
  assert.equal(
    both.map(({ id }) => id),
    ['h.example.com', 'www.h.example.com'],
  );
});

issuer('twenty hosts at once share one account', async () => {
  const accounts = memoryAccounts();
  const one = issuerOf(pebble, { accounts });
  const before = accountsMade();
  const names = Array.from({ length: 20 }, (_, index) => `h${index}.example.net`);
  const all = await Promise.all(names.map((name) => issue(one, [name], answers)));
  assert.equal(
    all.map(({ id }) => id),
    names,
  );
  assert.is(new Set(all.map(({ serial }) => serial)).size, 20);
  assert.is(new Set(accounts.saved.map(({ key }) => key)).size, 1);
  assert.is(accountsMade() - before, 1);
});

issuer('the account is kept, and used again by the next process', async () => {
  const accounts = memoryAccounts();
  await issue(issuerOf(pebble, { accounts, contact: 'a@example.com' }), ['i.example.com'], answers);
  assert.equal(
    accounts.saved.map(({ url }) => url !== ''),
    [false, true],
  );
  const [, account] = accounts.saved;
  assert.is(account.directory, pebble.directory);
  assert.is(account.contact, 'a@example.com');
  await issue(issuerOf(pebble, { accounts, contact: 'a@example.com' }), ['i2.example.com'], answers);
  assert.is(accounts.saved.length, 2);
});

issuer('a process that ended right after the CA made the account: the next one finds it by its key', async () => {
  const accounts = memoryAccounts();
  await issue(issuerOf(pebble, { accounts }), ['j.example.com'], answers);
  const { url } = accounts.saved.at(-1)!;
  await accounts.saveAccount({ ...accounts.saved[0], url: '' });
  await issue(issuerOf(pebble, { accounts }), ['j2.example.com'], answers);
  assert.is(accounts.saved.at(-1)!.url, url);
});

issuer('another contact is told to the CA', async () => {
  const accounts = memoryAccounts();
  await issue(issuerOf(pebble, { accounts, contact: 'a@example.com' }), ['k.example.com'], answers);
  const { url } = accounts.saved.at(-1)!;
  await issue(issuerOf(pebble, { accounts, contact: 'b@example.com' }), ['k2.example.com'], answers);
  assert.equal([accounts.saved.at(-1)!.contact, accounts.saved.at(-1)!.url], ['b@example.com', url]);
  await issue(issuerOf(pebble, { accounts }), ['k3.example.com'], answers);
  assert.equal([accounts.saved.at(-1)!.contact, accounts.saved.at(-1)!.url], ['', url]);
});

issuer('two issuers with different CA files exist side by side', async () => {
  const other = await startPebble();
  const otherAnswers = await startAnswers(other);
  const [first, second] = [issuerOf(pebble), issuerOf(other)];
  const [one, two] = await Promise.all([
    issue(first, ['l.example.com'], answers),
    issue(second, ['l.example.com'], otherAnswers),
  ]);
  assert.is.not(one.issuer, two.issuer);
  const failure = await failureOf(issue(issuerOf(other, { ca: pebble.ca }), ['l2.example.com'], otherAnswers));
  assert.match(failure.message, /self-signed|not trusted/);
  assert.match(failure.hint, /--acme-ca-file/);
  await issue(second, ['l3.example.com'], otherAnswers);
  other.close();
});

/** The name of the certificate that a client has verified. */
async function handshake({ chain, key }: { chain: string; key: string }, name: string, root: string): Promise<string> {
  const server = createTlsServer({ cert: chain, key });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const isIp = /^[\d.]+$/.test(name);
  const socket = connectTls({ host: '127.0.0.1', port, ca: root, ...(isIp ? {} : { servername: name }) });
  try {
    await within(
      new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject)),
      'a handshake',
    );
    return new X509Certificate(socket.getPeerCertificate().raw).checkHost(name) ?? name;
  } finally {
    socket.destroy();
    server.close();
  }
}

function accountsMade(): number {
  return pebble.log().match(/There are now \d+ accounts in memory/g)!.length;
}

issuer('every answer has been taken down', () => {
  assert.equal(left, []);
});

issuer.run();
