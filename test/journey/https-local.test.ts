import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { needRoot } from '../helpers/sandbox.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { startChromium } from './chromium.ts';
import { fetched, newHost, serveWithPebble } from './https.ts';
import { curl, pemFile, shake } from './https-clients.ts';
import { executable, freePort, get, run, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// HTTPS without any CA outside: the local one, certificates of one's own, and how keys are kept.
const local = suite('HTTPS at home');

let app: Upstream;
local.before.each(async () => {
  app = await startUpstream('app');
});
local.after.each(cleanUp);

const served = async (flags: readonly string[] = [], more: Parameters<typeof serve>[0] = {}) =>
  serve({ httpsPort: await freePort(), ...more, flags: ['--acme', 'off', ...flags] });

async function stop(server: Server): Promise<void> {
  assert.is((await server.stop()).code, 0, server.err());
}

async function save(server: Server, id: string, ...flags: string[]): Promise<void> {
  await server.ok('route', 'save', '--id', id, '--target', app.target, ...flags);
}

local('localhost, .test, .internal and loopback addresses get certificates from a CA of their own', async () => {
  const server = await served();
  const hosts = ['localhost', 'app.localhost', 'app.test', 'app.internal', '127.0.0.1'];
  for (const host of hosts) await save(server, host);
  const { out: root } = await server.ok('trust', '--print');
  const caFile = pemFile(root);
  for (const host of hosts) {
    const page = await fetched(`https://${host}/`, server.httpsPort, caFile, 10_000);
    assert.is(page.body, 'app', host);
  }
  // Names that no local CA may speak for wait for someone to bring a certificate.
  await save(server, 'public.example.com');
  assert.instance(await shake('public.example.com', { port: server.httpsPort }).catch((error) => error), Error);
  assert.match((await server.ok('cert', 'get', 'public.example.com')).out, /off/);
  await stop(server);
});

local('oo trust puts the root where curl and Chromium look, oo untrust takes it out again', async () => {
  needRoot();
  const server = await served();
  await save(server, 'app.localhost');
  await fetched('https://app.localhost/', server.httpsPort, pemFile((await server.ok('trust', '--print')).out));
  const home = temporary();
  const steps = `
set -e
# The stores of the machine are not touched: these are copies, in a mount namespace of its own.
for dir in /etc/ssl /usr/local/share/ca-certificates; do
  mkdir -p ${home}/copy$dir $dir
  cp -a $dir/. ${home}/copy$dir
  mount --bind ${home}/copy$dir $dir
done
page() { curl -sS -o /dev/null -w '%{http_code}\\n' --resolve app.localhost:${server.httpsPort}:127.0.0.1 https://app.localhost:${server.httpsPort}/ 2>&1 || true; }
page
${executable} trust --state-dir ${server.stateDir}
page
${executable} trust --state-dir ${server.stateDir}
cp -a ${home}/.pki ${home}/pki-trusted
${executable} untrust
page
`;
  mkdirSync(join(home, '.pki/nssdb'), { recursive: true });
  await run(['-d', `sql:${home}/.pki/nssdb`, '-N', '--empty-password'], { program: 'certutil' });
  const ran = await run(['--mount', 'sh', '-c', steps], { program: 'unshare', env: { HOME: home } }, 60_000);
  assert.is(ran.code, 0, ran.err + ran.out);
  const lines = ran.out.trim().split('\n');
  assert.match(lines[0], /^curl: \(60\)|^000/, ran.out);
  assert.ok(
    lines.some((line) => /^added to/.test(line)),
    ran.out,
  );
  assert.ok(lines.includes('200'), ran.out);
  assert.ok(
    lines.some((line) => /^already in/.test(line)),
    ran.out,
  );
  assert.ok(
    lines.some((line) => /^taken out of/.test(line)),
    ran.out,
  );
  assert.match(lines.slice(lines.lastIndexOf('200')).join('\n'), /curl: \(60\)/, ran.out);

  const trusted = temporary();
  await run(['-a', `${home}/pki-trusted`, join(trusted, '.pki')], { program: 'cp' });
  for (const [where, good] of [
    [trusted, true],
    [home, false],
  ] as const) {
    const chromium = await startChromium({ home: where });
    await chromium.open(`https://app.localhost:${server.httpsPort}/`);
    const text = await chromium.evaluate<string>('document.body.innerText');
    assert.is(text === 'app', good, text);
    await chromium.close();
  }
  await stop(server);
});

local("a certificate of one's own: what is wrong with a bad one is said, and nothing is kept", async () => {
  const server = await served();
  const host = newHost();
  const dir = temporary();
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [own, other] = [makeCertificate(`DNS:${host}`), makeCertificate('DNS:other.example.com')];
  const [cert, key] = [file('cert.pem', own.cert), file('key.pem', own.key)];
  const [wrongKey, wrongCert, junk] = [file('k.pem', other.key), file('c.pem', other.cert), file('j.pem', 'junk')];
  for (const [certFile, keyFile, why] of [
    [cert, wrongKey, /key/i],
    [wrongCert, wrongKey, /name|cover|other\.example\.com/i],
    [junk, key, /PEM|certificate/i],
    [cert, junk, /key/i],
  ] as const) {
    const ran = await server.cli('cert', 'save', host, '--cert', certFile, '--key', keyFile);
    assert.is(ran.code, 1, `${certFile} ${keyFile}: ${ran.out}`);
    assert.match(ran.err, why);
    assert.not.match(ran.err, 'PRIVATE KEY');
  }
  assert.not.match((await server.ok('certs', 'ls', '-o', 'json')).out, host);
  await server.ok('cert', 'save', host, '--cert', cert, '--key', key);
  await save(server, host);
  assert.is((await curl(`https://${host}/`, { port: server.httpsPort, caFile: cert })).body, 'app');
  await stop(server);
});

local(
  'keys are encrypted at rest; a key file is made once; a wrong key is one error, and nothing is overwritten',
  async () => {
    const stateDir = temporary();
    const first = await served([], { stateDir });
    await save(first, 'localhost');
    await fetched('https://localhost/', first.httpsPort, pemFile((await first.ok('trust', '--print')).out));
    assert.match(first.err(), /encryption\.key/);
    const keyFile = join(stateDir, 'encryption.key');
    assert.is(statSync(keyFile).mode & 0o777, 0o600);
    const { serialNumber } = (await shake('localhost', { port: first.httpsPort })).certificate;
    const { out: pem } = await first.ok('cert', 'raw', 'localhost', '--with-key');
    await stop(first);
    const secret = /-----BEGIN PRIVATE KEY-----\n(.{60})/.exec(pem)![1];
    for (const name of ['oo.db', 'oo.db-wal']) {
      let bytes = '';
      try {
        bytes = readFileSync(join(stateDir, name), 'latin1');
      } catch {
        continue;
      }
      assert.not.match(bytes, 'PRIVATE KEY');
      assert.not.ok(bytes.includes(secret));
    }

    const [httpsPort, port, adminPort] = [await freePort(), await freePort(), await freePort()];
    const ports = ['--http-port', `${port}`, '--https-port', `${httpsPort}`, '--admin-port', `${adminPort}`];
    const wrong = await run(['serve', '--acme', 'off', ...ports, '--state-dir', stateDir], {
      env: { OO_ENCRYPTION_KEY: 'another key than the one that it was written with' },
    });
    assert.is(wrong.code, 1, wrong.err);
    assert.match(wrong.err, /key/);
    assert.not.match(wrong.err, /\n {4}at /);

    const again = await served([], { stateDir });
    assert.is((await shake('localhost', { port: again.httpsPort })).certificate.serialNumber, serialNumber);
    assert.not.match(again.err(), /made just now/);
    await stop(again);
  },
);

local('oo key rotate while the server runs: it goes on, and starts with the new key', async () => {
  const stateDir = temporary();
  const server = await served([], { stateDir });
  await save(server, 'localhost');
  const caFile = pemFile((await server.ok('trust', '--print')).out);
  await fetched('https://localhost/', server.httpsPort, caFile);
  const before = readFileSync(join(stateDir, 'encryption.key'), 'utf8');
  await server.ok('key', 'rotate');
  assert.is.not(readFileSync(join(stateDir, 'encryption.key'), 'utf8'), before);
  await save(server, 'later.localhost');
  await fetched('https://later.localhost/', server.httpsPort, caFile);
  const { serialNumber } = (await shake('localhost', { port: server.httpsPort })).certificate;
  await stop(server);
  const again = await served([], { stateDir });
  assert.is((await shake('localhost', { port: again.httpsPort })).certificate.serialNumber, serialNumber);
  await fetched('https://later.localhost/', again.httpsPort, caFile);
  await stop(again);
});

local('OB_SYNC_CERTS_TO_FILES: the files that other programs read, and newer ones after a renewal', async () => {
  const { pebble, server, caFile } = await serveWithPebble({}, { env: { OB_SYNC_CERTS_TO_FILES: 'true' } });
  const host = newHost();
  await save(server, host);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  const live = join(server.stateDir, 'certs/live', host);
  const read = (name: string) => readFileSync(join(live, `${name}.pem`), 'utf8');
  const there = () => {
    try {
      return read('fullchain') !== '';
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 100 && !there(); i++) await sleep(50);
  const [cert, chain, fullchain] = ['cert', 'chain', 'fullchain'].map(read);
  assert.is(fullchain, cert + chain);
  assert.match(read('privkey'), 'PRIVATE KEY');
  assert.is(statSync(join(live, 'privkey.pem')).mode & 0o077, 0);
  const check = ['verify', '-CAfile', caFile, '-untrusted', join(live, 'chain.pem'), join(live, 'cert.pem')];
  assert.is((await run(check, { program: 'openssl' })).code, 0);
  await server.ok('cert', 'renew', host);
  for (let i = 0; i < 100 && read('cert') === cert; i++) await sleep(50);
  assert.is.not(read('cert'), cert);
  await stop(server);
  pebble.close();
});

local('test mode: plain HTTP is forwarded, and nothing listens for HTTPS', async () => {
  const httpsPort = await freePort();
  const server = await serve({ flags: ['--https-port', `${httpsPort}`] });
  await save(server, 'localhost');
  assert.is((await get(server.port)).text, 'app');
  const refused = await shake('localhost', { port: httpsPort }).catch((error) => error);
  assert.is(refused.code, 'ECONNREFUSED');
  await stop(server);
});

local.run();
