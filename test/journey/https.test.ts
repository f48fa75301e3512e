// time limit: 240 s
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import type { Pebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { acmeFlags, fetched, newHost, serveWithPebble } from './https.ts';
import { curl, pemFile, shake } from './https-clients.ts';
import { get, killAll, lives, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// HTTPS as a user sees it: a name is saved, and it works.
const https = suite('HTTPS by itself');

let pebble: Pebble;
let server: Server;
let caFile: string;
let app: Upstream;
const first = newHost();

https.before(async () => {
  app = await startUpstream((request, response) => {
    const { host, 'x-forwarded-proto': proto, 'x-forwarded-port': port } = request.headers;
    response.end(`${host} ${proto} ${port} ${request.url}`);
  });
  ({ pebble, server, caFile } = await serveWithPebble({}, { flags: ['--acme-email', 'admin@example.com'] }));
});

https.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  pebble.close();
  assert.is(code, 0, server.err());
});

/** Saves a route to the app. */
async function save(host: string, ...flags: string[]): Promise<void> {
  await server.ok('route', 'save', '--id', host, '--target', app.target, ...flags);
}

https('a route is saved, and https works within seconds, with no other step', async () => {
  await save(first);
  const { body, ms, version } = await fetched(`https://${first}/page?x=1`, server.httpsPort, caFile);
  assert.is(body, `${first}:${server.httpsPort} https ${server.httpsPort} /page?x=1`);
  assert.is(version, '2', 'curl and oo agree on HTTP/2');
  console.log(`https works ${(ms / 1000).toFixed(1)} s after the save`);
  const old = await curl(`https://${first}/`, { port: server.httpsPort, caFile, flags: ['--http1.1'] });
  assert.equal([old.status, old.version], [200, '1.1']);
  const twelve = await curl(`https://${first}/`, { port: server.httpsPort, caFile, flags: ['--tls-max', '1.2'] });
  assert.equal([twelve.status, twelve.version], [200, '2']);
});

https('oo certs ls prints the columns of the seed, the account key with blank cells', async () => {
  const { out } = await server.ok('certs', 'ls');
  const { certificate } = await shake(first, { port: server.httpsPort, ca: await pebble.root() });
  const leaf = new X509Certificate(certificate.raw);
  const [head, ...rows] = out.trimEnd().split('\n');
  assert.equal(head.split(/ {2,}/), [
    'CERT ID',
    'CREATED AT',
    'UPDATED AT',
    'COMMON NAME',
    'ISSUER',
    'NOT BEFORE',
    'NOT AFTER',
    'SERIAL',
  ]);
  assert.is(rows.length, 2, out);
  const cells = (row: string) => row.trimEnd().split(/ {2,}/);
  const [id, created, updated, name, issuer, notBefore, notAfter, serial] = cells(rows[0]);
  const day = (text: string) => new Date(text).toISOString().slice(0, 10);
  const today = day(new Date().toISOString());
  assert.equal([id, name], [first, first]);
  assert.is(created, today);
  assert.match(updated, new RegExp(`^${today} \\d\\d:\\d\\d:\\d\\d$`));
  assert.match(issuer, 'Pebble Intermediate CA');
  assert.equal([notBefore, notAfter], [day(leaf.validFrom), day(leaf.validTo)]);
  assert.ok(BigInt(`0x${leaf.serialNumber}`).toString().startsWith(serial), serial);
  const [account, accountCreated, accountUpdated, ...blank] = cells(rows[1]);
  assert.equal([account, accountCreated], ['acme_account+key', today]);
  assert.match(accountUpdated, new RegExp(`^${today} \\d\\d:\\d\\d:\\d\\d$`));
  assert.equal(blank, []);
});

https('-o json is a contract: no private key in it; oo cert get says chain, names, expiry and renewal', async () => {
  const { out } = await server.ok('certs', 'ls', '-o', 'json');
  assert.not.match(out, 'PRIVATE KEY');
  const list = JSON.parse(out);
  const one = list.find(({ id }: { id: string }) => id === first);
  assert.equal(one.dnsNames, [first]);
  const { out: text } = await server.ok('cert', 'get', first);
  for (const part of [first, 'Pebble Intermediate CA', 'Pebble Root CA', 'automatic', 'Renewal:'])
    assert.ok(text.includes(part), `${part} is not in: ${text}`);
  const { out: json } = await server.ok('cert', 'get', first, '-o', 'json');
  assert.not.match(json, 'PRIVATE KEY');
  const detail = JSON.parse(json);
  assert.ok(detail.chain.length >= 2);
  assert.ok(Date.parse(detail.renewAt) > Date.now());
});

https('oo cert raw prints the chain, and the key only when asked for it', async () => {
  const { out } = await server.ok('cert', 'raw', first);
  assert.match(out, 'BEGIN CERTIFICATE');
  assert.not.match(out, 'PRIVATE KEY');
  const { out: both } = await server.ok('cert', 'raw', first, '--with-key');
  assert.match(both, 'PRIVATE KEY');
});

https('oo cert check looks at what a CA will look at, line by line', async () => {
  const good = await server.cli('cert', 'check', first);
  assert.match(good.out, /^ok .*route/m);
  const bad = await server.cli('cert', 'check', 'no-route.example.com');
  assert.is(bad.code, 1, bad.out);
  assert.match(bad.out, /route/);
});

https('over plain HTTP: a redirect for hosts that have a route, 404 for others, or what the route says', async () => {
  // Who says the port gets HTTPS's own; who came to 80 and got here by a port mapping finds 443 mapped as well.
  for (const [host, where] of [
    [first, first],
    [`${first}:${server.port}`, `${first}:${server.httpsPort}`],
  ]) {
    const page = await get(server.port, '/a?b=c', { host });
    assert.equal([page.status, page.headers.location], [301, `https://${where}/a?b=c`]);
  }
  const post = await get(server.port, '/a', { host: first, method: 'POST', body: 'x' });
  assert.is(post.status, 308);
  assert.is((await get(server.port, '/', { host: newHost() })).status, 404);
  const open = newHost();
  await save(open, '--http', 'allow');
  const plain = await get(server.port, '/p', { host: open });
  assert.equal([plain.status, plain.text.split(' ')[1]], [200, 'http']);
});

https('HSTS is an option of a route, and is sent over HTTPS alone', async () => {
  const host = newHost();
  await save(host, '--hsts', 'true', '--http', 'allow');
  const page = await fetched(`https://${host}/`, server.httpsPort, caFile);
  assert.match(page.head.toLowerCase(), /\nstrict-transport-security: max-age=\d+/);
  const { headers } = await get(server.port, '/', { host });
  assert.is(headers['strict-transport-security'], undefined);
  const other = await curl(`https://${first}/`, { port: server.httpsPort, caFile });
  assert.not.match(other.head.toLowerCase(), 'strict-transport-security');
});

https('a name without a certificate fails the handshake with an alert, and takes nobody along', async () => {
  const refused = await shake('nobody.example.com', { port: server.httpsPort }).catch((error) => error);
  assert.match(`${refused.code} ${refused.message}`, /UNRECOGNIZED_NAME|unrecognized name|ALERT_NUMBER_112/i);
  const page = await curl(`https://${first}/`, { port: server.httpsPort, caFile });
  assert.is(page.status, 200);
});

https('a host that the certificate does not cover is answered 421 on its connection', async () => {
  const other = newHost();
  await save(other);
  await fetched(`https://${other}/`, server.httpsPort, caFile);
  const flags = ['-H', `Host: ${other}`];
  const page = await curl(`https://${first}/`, { port: server.httpsPort, caFile, flags });
  assert.is(page.status, 421);
});

https('sessions resume across workers and restarts', async () => {
  const options = { port: server.httpsPort, ca: await pebble.root() };
  const { session } = await shake(first, { ...options, ticket: true });
  // Connections are spread over the workers.
  for (let i = 0; i < 8; i++) assert.is((await shake(first, { ...options, session })).reused, true);
  const { stateDir, port, adminPort, httpsPort } = server;
  const all = server.tree();
  assert.is((await server.stop()).code, 0);
  await until(() => all.every((pid) => !server.tree().includes(pid)), 'the end');
  server = await serve({ stateDir, port, adminPort, httpsPort, flags: acmeFlags(pebble) });
  assert.is((await shake(first, { ...options, session })).reused, true, 'after a restart');
});

https('workers that are killed come back with certificates and ticket keys', async () => {
  const options = { port: server.httpsPort, ca: await pebble.root() };
  const { session } = await shake(first, { ...options, ticket: true });
  const before = server.workers();
  killAll(before);
  const again = () => server.workers().length === before.length && before.every((pid) => !lives(pid));
  await until(again, 'workers in their place', 10_000);
  assert.is((await fetched(`https://${first}/`, server.httpsPort, caFile)).status, 200);
  for (let i = 0; i < 8; i++) assert.is((await shake(first, { ...options, session })).reused, true);
});

https('oo cert renew brings another certificate, which is served at once', async () => {
  const serial = async () => (await shake(first, { port: server.httpsPort })).certificate.serialNumber;
  const before = await serial();
  await server.ok('cert', 'renew', first);
  assert.is.not(await serial(), before);
  assert.is((await curl(`https://${first}/`, { port: server.httpsPort, caFile })).status, 200);
});

https(
  'a stopped CA is explained by oo cert get, with what to do and when it tries again; then it comes by itself',
  async () => {
    await pebble.stop();
    const host = newHost();
    await save(host);
    const failing = async () => {
      const ran = await server.cli('cert', 'get', host, '-o', 'json');
      return ran.code === 0 && JSON.parse(ran.out).lastFailure !== null;
    };
    for (let i = 0; i < 200 && !(await failing()); i++) await sleep(50);
    const { out } = await server.ok('cert', 'get', host);
    assert.match(out, /what: .*refuses connections/);
    assert.match(out, /What to do: .*curl -v/);
    assert.match(out, /Next try: .*in \d+ seconds/);
    assert.match(server.err(), host);
    await pebble.startAgain();
    const newRoot = pemFile(await pebble.root());
    await server.ok('cert', 'renew', host);
    assert.is((await fetched(`https://${host}/`, server.httpsPort, newRoot)).status, 200);
    // The one of the CA's former life goes on being served.
    assert.is((await curl(`https://${first}/`, { port: server.httpsPort, caFile })).status, 200);
    caFile = newRoot;
  },
);

https('a route that goes leaves its certificate; oo cert rm takes it out of service', async () => {
  const host = newHost();
  await save(host);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  await server.ok('route', 'rm', host);
  await server.ok('cert', 'rm', host);
  const refused = await shake(host, { port: server.httpsPort }).catch((error) => error);
  assert.instance(refused, Error);
  assert.not.match((await server.ok('certs', 'ls')).out, host);
});

https(
  "a certificate of one's own is served beside the automatic ones; a wrong pair is refused with the reason",
  async () => {
    const { makeCertificate } = await import('../helpers/certificate.ts');
    const host = newHost();
    const [own, another] = [makeCertificate(`DNS:${host}`), makeCertificate(`DNS:${host}`)];
    const dir = temporary();
    const file = (name: string, text: string) => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const [cert, key, wrong] = [file('cert.pem', own.cert), file('key.pem', own.key), file('wrong.pem', another.key)];
    const bad = await server.cli('cert', 'save', host, '--cert', cert, '--key', wrong);
    assert.is(bad.code, 1, bad.err);
    assert.match(bad.err, /key/);
    await server.ok('cert', 'save', host, '--cert', cert, '--key', key);
    await save(host);
    const page = await curl(`https://${host}/`, { port: server.httpsPort, caFile: cert });
    assert.is(page.status, 200, page.err);
  },
);

https.run();
