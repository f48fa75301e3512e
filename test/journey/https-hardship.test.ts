// time limit: 300 s
import { randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { acmeFlags, fetched, newHost, serveWithPebble } from './https.ts';
import { curl, pemFile, shake } from './https-clients.ts';
import { freePort, killAll, lives, run, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// A CA that is hard to get on with, DNS that fails, a power cut.
const hardship = suite('certificates in hardship');

let app: Upstream;
hardship.before.each(async () => {
  app = await startUpstream('app');
});
hardship.after.each(cleanUp);

/** What is known of why a host has no certificate. */
async function lastFailure(server: Server, host: string): Promise<Record<string, string> | null> {
  const { code, out } = await server.cli('cert', 'get', host, '-o', 'json');
  return code === 0 ? JSON.parse(out).lastFailure : null;
}

/** Waits for a failure to be known. */
async function failed(server: Server, host: string, ms = 20_000): Promise<Record<string, string>> {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(100)) {
    const failure = await lastFailure(server, host);
    if (failure !== null) return failure;
  }
  throw new Error(`${host} has not failed within ${ms} ms: ${server.err()}`);
}

/** A DNS-01 hook that talks to pebble's DNS. */
function dnsHook(pebble: Pebble): string {
  const file = join(temporary(), 'hook');
  const post = (path: string, body: string) => `exec curl -sSf -d ${body} ${pebble.dnsApi}/${path} >/dev/null`;
  writeFileSync(
    file,
    `#!/bin/sh
name="_acme-challenge.\${2#_acme-challenge.}."
case $1 in
  present) ${post('set-txt', `"{\\"host\\":\\"$name\\",\\"value\\":\\"$4\\"}"`)} ;;
  cleanup) ${post('clear-txt', `"{\\"host\\":\\"$name\\"}"`)} ;;
esac
`,
  );
  chmodSync(file, 0o755);
  return file;
}

async function stop(server: Server, pebble: Pebble): Promise<void> {
  const { code } = await server.stop();
  pebble.close();
  assert.is(code, 0, server.err());
}

hardship('50 hosts of all kinds at once, half of all nonces refused, one name that DNS fails', async () => {
  const hook = join(temporary(), 'hook');
  const { pebble, server, caFile } = await serveWithPebble({ nonceReject: 50 }, { flags: ['--acme-dns-hook', hook] });
  writeFileSync(hook, `#!/bin/sh\nexec ${dnsHook(pebble)} "$@"\n`);
  chmodSync(hook, 0o755);
  const [bad, ...names] = Array.from({ length: 44 }, newHost);
  // Where there is a DNS hook, the name that DNS-01 asks for is tried as well.
  const zones = [bad, `_acme-challenge.${bad}`];
  for (const zone of zones) await pebble.setDns(zone, { servfail: true });
  const wild = newHost();
  const routes = [
    { id: bad, target: app.target },
    ...names.map((id, i) => ({
      id: i % 5 === 0 ? `${id}/path` : id,
      target: app.target,
      ...(i % 7 === 0 && i < 39 ? { keyType: 'rsa' } : {}),
      ...(i >= 39 ? { certificate: names[39] } : {}),
    })),
    { id: `*.${wild}`, target: app.target },
    ...['one.test', 'two.internal', 'three.localhost', 'localhost', '127.0.0.1'].map((id) => ({
      id,
      target: app.target,
    })),
  ];
  assert.is(routes.length, 50);
  const file = join(temporary(), 'routes.json');
  writeFileSync(file, JSON.stringify(routes));
  const began = performance.now();
  await server.ok('route', 'save', file);
  for (const [i, name] of names.entries()) {
    const page = await fetched(`https://${name}/path`, server.httpsPort, caFile, 60_000);
    assert.is(page.body, 'app');
    const { certificate } = await shake(name, { port: server.httpsPort, ca: await pebble.root() });
    assert.is('bits' in certificate && certificate.bits === 2048, i % 7 === 0 && i < 39, name);
  }
  await fetched(`https://x.${wild}/`, server.httpsPort, caFile, 30_000);
  console.log(`44 names by a CA that refuses half: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const group = (await shake(names[40], { port: server.httpsPort })).certificate;
  for (const name of names.slice(39)) assert.match(group.subjectaltname ?? '', `DNS:${name}`);
  const failure = await failed(server, bad);
  assert.match(failure.message, /SERVFAIL|DNS|dns/);
  assert.ok(failure.hint.length > 0);
  for (const zone of zones) await pebble.clearDns(zone);
  await server.ok('cert', 'renew', bad);
  await fetched(`https://${bad}/`, server.httpsPort, caFile);
  await stop(server, pebble);
});

hardship('authorizations that the CA remembers are used', async () => {
  const { pebble, server, caFile } = await serveWithPebble({ authzReuse: 100 });
  const host = newHost();
  await server.ok('route', 'save', '--id', host, '--target', app.target);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  const before = (await shake(host, { port: server.httpsPort })).certificate.serialNumber;
  await server.ok('cert', 'renew', host);
  const after = (await shake(host, { port: server.httpsPort })).certificate.serialNumber;
  assert.is.not(after, before);
  await stop(server, pebble);
});

hardship('TLS-ALPN-01 where port 80 does not answer, HTTP-01 where port 443 does not', async () => {
  const closed = 9;
  for (const wrong of [{ httpPort: closed }, { tlsPort: closed }]) {
    const { pebble, server, caFile } = await serveWithPebble(wrong);
    const host = newHost();
    await server.ok('route', 'save', '--id', host, '--target', app.target);
    await fetched(`https://${host}/`, server.httpsPort, caFile, 30_000);
    await stop(server, pebble);
  }
});

hardship(
  'a CA that is slow, and stands still in the middle: others are served, and the certificate comes',
  async () => {
    const { pebble, server, caFile } = await serveWithPebble({ validationSleepS: 3 });
    const [host, later] = [newHost(), newHost()];
    await server.ok('route', 'save', '--id', host, '--target', app.target);
    await fetched(`https://${host}/`, server.httpsPort, caFile, 30_000);
    pebble.pause();
    const saved = performance.now();
    await server.ok('route', 'save', '--id', later, '--target', app.target);
    assert.ok(performance.now() - saved < 5_000, 'a save does not wait for the CA');
    for (let i = 0; i < 10; i++) {
      assert.is((await curl(`https://${host}/`, { port: server.httpsPort, caFile })).status, 200);
      await sleep(100);
    }
    pebble.resume();
    await fetched(`https://${later}/`, server.httpsPort, caFile, 60_000);
    await stop(server, pebble);
  },
);

hardship(
  'kill -9 in the middle of an order, again and again: the certificate comes, and nothing is broken',
  async () => {
    const stateDir = temporary();
    const { pebble, server: first, caFile } = await serveWithPebble({ validationSleepS: 2 }, { stateDir });
    const { port, httpsPort, adminPort } = first;
    const flags = acmeFlags(pebble);
    const hosts = [newHost(), newHost(), newHost()];
    let server = first;
    for (const id of hosts) await server.ok('route', 'save', '--id', id, '--target', app.target);
    for (const delay of [30, 300, 700, 1_500]) {
      await sleep(delay);
      const all = server.tree();
      killAll(all);
      await until(() => all.every((pid) => !lives(pid)), 'the end of all', 10_000);
      server = await serve({ stateDir, port, httpsPort, adminPort, flags });
    }
    for (const host of hosts) await fetched(`https://${host}/`, httpsPort, caFile, 60_000);
    const { out } = await server.ok('certs', 'ls', '-o', 'json');
    const ids = JSON.parse(out).map(({ id }: { id: string }) => id);
    assert.equal(ids.filter((id: string) => hosts.includes(id)).sort(), hosts.sort());
    assert.is(ids.filter((id: string) => id.startsWith('acme_account')).length, 1, 'one account');
    await stop(server, pebble);
  },
);

hardship('a second CA is tried after the first has failed; both want what they want', async () => {
  const [port, httpsPort] = [await freePort(), await freePort()];
  const kid = 'key-1';
  const hmac = randomBytes(32).toString('base64url');
  const ports = { httpPort: port, tlsPort: httpsPort };
  const [first, second] = await Promise.all([startPebble({ ...ports, eab: { [kid]: hmac } }), startPebble(ports)]);
  const both = pemFile(first.ca + second.ca);
  const flags = ['--acme', first.directory, '--acme-fallback', second.directory, '--acme-ca-file', both];
  const env = { OO_ACME_EAB_KID: kid, OO_ACME_EAB_KEY: hmac };
  const server = await serve({ port, httpsPort, flags, env });
  const [host, later] = [newHost(), newHost()];
  await server.ok('route', 'save', '--id', host, '--target', app.target);
  await fetched(`https://${host}/`, httpsPort, pemFile(await first.root()));
  await first.stop();
  await server.ok('route', 'save', '--id', later, '--target', app.target);
  await fetched(`https://${later}/`, httpsPort, pemFile(await second.root()));
  await stop(server, first);
  second.close();
});

hardship(
  'a stop in the middle of the CA’s check counts as no failure: the next start has the certificate',
  async () => {
    const flags = ['--drain-timeout', '3s'];
    const { pebble, server, caFile } = await serveWithPebble({ validationSleepS: 5 }, { flags });
    // Something that takes as long as it may: the ports are closed meanwhile.
    const slow = connect(server.port, '127.0.0.1').on('error', () => {});
    slow.write(`POST / HTTP/1.1\r\nHost: ${newHost()}\r\nContent-Length: 5\r\n\r\nhal`);
    // How long pebble takes is drawn from whole seconds, 0 among them: of those that it is done with at once, nothing is seen.
    const hosts: string[] = [];
    const isChecking = async () => /authorization/.test((await server.ok('cert', 'get', hosts.at(-1)!)).out);
    for (let end = 0; hosts.length === 0 || !(await isChecking()); await sleep(20)) {
      if (performance.now() < end) continue;
      assert.ok(hosts.length < 8, 'the CA has begun its check');
      end = performance.now() + 3_000;
      hosts.push(newHost());
      await server.ok('route', 'save', '--id', hosts.at(-1)!, '--target', app.target);
    }
    const host = hosts.at(-1)!;
    assert.is((await server.stop(15_000)).code, 0);
    slow.destroy();
    assert.not.match(server.err(), /failed/);
    const { port, httpsPort, stateDir } = server;
    const next = await serve({ port, httpsPort, stateDir, flags: acmeFlags(pebble) });
    await fetched(`https://${host}/`, httpsPort, caFile, 20_000);
    assert.not.match(next.err(), /failed/);
    await stop(next, pebble);
  },
);

hardship('the CA is gone, and stays so: a new start serves all that there was', async () => {
  const stateDir = temporary();
  const { pebble, server, caFile } = await serveWithPebble({}, { stateDir });
  const { port, httpsPort, adminPort } = server;
  const host = newHost();
  await server.ok('route', 'save', '--id', host, '--target', app.target);
  await fetched(`https://${host}/`, httpsPort, caFile);
  await stop(server, pebble);
  const again = await serve({ stateDir, port, httpsPort, adminPort, flags: acmeFlags(pebble) });
  assert.is((await curl(`https://${host}/`, { port: httpsPort, caFile })).body, 'app');
  assert.is((await again.stop()).code, 0);
});

hardship('workers, which face the world, are not told the encryption key', async () => {
  const env = { OO_ENCRYPTION_KEY: 'no business of theirs', OB_ACME_EAB_KEY: 'nor this, at all' };
  const server = await serve({ httpsPort: await freePort(), flags: ['--acme', 'off'], env });
  const told = server.workers().map((pid) => readFileSync(`/proc/${pid}/environ`, 'latin1'));
  assert.ok(told.length > 0);
  for (const one of told) {
    assert.match(one, /OO_WORKER=1/);
    assert.not.match(one, /no business|nor this/);
  }
  assert.is((await server.stop()).code, 0);
});

hardship('an ACME directory over plain HTTP is refused', async () => {
  const ran = await run(['serve', '--acme', 'http://127.0.0.1:14000/dir', '--state-dir', temporary()]);
  assert.is(ran.code, 2, ran.err);
  assert.match(ran.err, 'https://');
});

hardship.run();
