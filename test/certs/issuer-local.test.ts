import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLocalIssuer } from '../../src/certs/issuer-local.ts';
import type { IssueContext } from '../../src/certs/types.ts';
import { localRootId } from '../../src/certs/wanted.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';
import { temporary } from '../helpers/temporary.ts';
import { within } from '../helpers/wait.ts';

const local = suite('local CA');
const day = 86_400_000;

const context = (now = () => Date.now()): IssueContext => ({
  now,
  present: async () => {},
  cleanup: async () => {},
  onStep: () => {},
  signal: new AbortController().signal,
});
const order = (keyType: 'ecdsa' | 'rsa', ...names: string[]) => ({ id: names[0], names, keyType });

local('OpenSSL takes its leaves for names, wildcards and addresses, to the letter of RFC 5280', async () => {
  const issuer = createLocalIssuer({ store: memoryCertificateStore(), holder: 'a', log: () => {} });
  const directory = temporary();
  const root = join(directory, 'root.pem');
  writeFileSync(root, (await issuer.root()).chain);
  for (const keyType of ['ecdsa', 'rsa'] as const) {
    const names = ['app.test', '*.app.test', '127.0.0.1', '::1', 'localhost'];
    const { chain, key, names: got, source, directory: from } = await issuer.issue(order(keyType, ...names), context());
    assert.equal({ got, source, from }, { got: names, source: 'local', from: '' });
    assert.ok(new X509Certificate(chain).checkPrivateKey(createPrivateKey(key)), keyType);
    const leaf = join(directory, `${keyType}.pem`);
    writeFileSync(leaf, chain);
    const verify = (...how: string[]) =>
      execFileSync('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', ...how, '-CAfile', root, leaf], {
        stdio: 'pipe',
      }).toString();
    for (const name of ['app.test', 'a.app.test', 'localhost']) assert.match(verify('-verify_hostname', name), /: OK/);
    for (const ip of ['127.0.0.1', '::1']) assert.match(verify('-verify_ip', ip), /: OK/);
    assert.throws(() => verify('-verify_hostname', 'other.test'));
  }
});

local('a handshake that trusts the root is authorized', async () => {
  const issuer = createLocalIssuer({ store: memoryCertificateStore(), holder: 'a', log: () => {} });
  const { chain, key } = await issuer.issue(order('ecdsa', 'localhost'), context());
  const server = tls.createServer({ cert: chain, key }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const ca = (await issuer.root()).chain;
  const client = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  await within(
    new Promise((resolve, reject) => client.once('secureConnect', resolve).once('error', reject)),
    'handshake',
  );
  assert.ok(client.authorized);
  client.destroy();
  server.close();
});

local('browsers take leaves of less than 398 days only; the root lives for ten years', async () => {
  const issuer = createLocalIssuer({ store: memoryCertificateStore(), holder: 'a', log: () => {} });
  const leaf = await issuer.issue(order('ecdsa', 'localhost'), context());
  assert.ok(leaf.notAfter - leaf.notBefore < 398 * day);
  assert.ok((await issuer.root()).notAfter > Date.now() + 3600 * day);
});

local('the root is kept: the next start has the same', async () => {
  const store = memoryCertificateStore();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const first = await createLocalIssuer({ store, holder: 'a', host: 'here', log }).root();
  const second = createLocalIssuer({ store, holder: 'b', log });
  assert.equal(await second.root(), first);
  assert.match(first.commonName, /^oo local CA here [0-9a-f]{6}$/);
  assert.is(first.fingerprint, new X509Certificate(first.chain).fingerprint256);
  assert.is(lines.length, 1);
  const { chain } = await second.issue(order('ecdsa', 'a.test'), context());
  assert.ok(new X509Certificate(chain).checkIssued(new X509Certificate(first.chain)));
});

local('two servers that share a database make one root', async () => {
  const store = memoryCertificateStore();
  const roots = await Promise.all(
    ['a', 'b', 'c'].map((holder) => createLocalIssuer({ store, holder, log: () => {} }).root()),
  );
  assert.is(new Set(roots.map(({ fingerprint }) => fingerprint)).size, 1);
  assert.is(store.leases.size, 0);
});

local('a root that its leaves would outlive is replaced', async () => {
  const clock = fakeClock();
  const issuer = createLocalIssuer({ store: memoryCertificateStore(), holder: 'a', clock, log: () => {} });
  const first = await issuer.root();
  clock.jump(3500 * day);
  assert.equal(await issuer.root(), first);
  clock.jump(100 * day);
  assert.is.not((await issuer.root()).fingerprint, first.fingerprint);
});

local('a store that fails is no end: the next order tries again', async () => {
  const store = memoryCertificateStore();
  const issuer = createLocalIssuer({ store, holder: 'a', log: () => {} });
  store.failure = new Error('disk full');
  let message = '';
  await issuer.issue(order('ecdsa', 'a.test'), context()).catch((error) => {
    message = error.message;
  });
  assert.is(message, 'disk full');
  store.failure = undefined;
  assert.ok(await issuer.issue(order('ecdsa', 'a.test'), context()));
  assert.ok(store.certificates.has(localRootId));
});

local.run();
