// time limit: 180 s
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { acmeFlags, fetched, newHost } from './https.ts';
import { pemFile, shake } from './https-clients.ts';
import { freePort, killAll, lives, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// Behind one name there may be many servers: they share a database, and each proves names for all.
const shared = suite('certificates of two servers, one database');

const key = 'a key that both have been given';
let database: HranaDouble;
let app: Upstream;
let pebble: Pebble;
let servers: Server[];
let caFile: string;

/** The CA looks for HTTP-01 at the second server alone, for TLS-ALPN-01 at the first. */
shared.before(async () => {
  database = await startHrana(join(temporary(), 'shared.db'));
  app = await startUpstream('app');
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  pebble = await startPebble({ httpPort: ports[2], tlsPort: ports[1] });
  caFile = pemFile(await pebble.root());
  const two = [
    { port: ports[0], httpsPort: ports[1] },
    { port: ports[2], httpsPort: ports[3] },
  ];
  servers = await Promise.all([start(two[0], 'http-01'), start(two[1], 'tls-alpn-01')]);
});

/** Starts a server on the shared database, that proves names in one way. */
function start({ port, httpsPort }: Pick<Server, 'port' | 'httpsPort'>, challenge: string): Promise<Server> {
  const flags = ['--db', database.url, ...acmeFlags(pebble), '--acme-challenges', challenge];
  return serve({ port, httpsPort, flags, env: { OO_ENCRYPTION_KEY: key } });
}

shared.after(async () => {
  const ends = await Promise.all(servers.map((server) => server.stop())).finally(cleanUp);
  pebble.close();
  await database.close();
  assert.ok(
    ends.every(({ code }) => code === 0),
    servers.map((server) => server.err()).join('\n'),
  );
});

/** How many certificates the CA has issued. */
const issued = () => pebble.log().split('Issued certificate serial').length - 1;

shared('each proves names at the other, each name is issued once, both serve all', async () => {
  const hosts = Array.from({ length: 8 }, newHost);
  const before = issued();
  for (const [i, id] of hosts.entries()) await servers[i % 2].ok('route', 'save', '--id', id, '--target', app.target);
  for (const host of hosts) {
    for (const server of servers)
      assert.is((await fetched(`https://${host}/`, server.httpsPort, caFile, 40_000)).body, 'app');
    const serials = await Promise.all(servers.map((server) => shake(host, { port: server.httpsPort })));
    assert.is(serials[0].certificate.serialNumber, serials[1].certificate.serialNumber);
  }
  assert.is(issued() - before, hosts.length, pebble.log());
});

shared('a session of one server is resumed by the other', async () => {
  const host = newHost();
  await servers[0].ok('route', 'save', '--id', host, '--target', app.target);
  for (const server of servers) await fetched(`https://${host}/`, server.httpsPort, caFile, 40_000);
  const options = { ca: await pebble.root() };
  const { session } = await shake(host, { ...options, ticket: true, port: servers[0].httpsPort });
  assert.is((await shake(host, { ...options, port: servers[1].httpsPort, session })).reused, true);
});

shared('a renewal on one is served by both', async () => {
  const host = newHost();
  await servers[0].ok('route', 'save', '--id', host, '--target', app.target);
  for (const server of servers) await fetched(`https://${host}/`, server.httpsPort, caFile, 40_000);
  const serial = async (server: Server) => (await shake(host, { port: server.httpsPort })).certificate.serialNumber;
  const old = await serial(servers[0]);
  const before = issued();
  await servers[1].ok('cert', 'renew', host);
  const fresh = await serial(servers[1]);
  assert.is.not(fresh, old);
  for (let i = 0; i < 100 && (await serial(servers[0])) !== fresh; i++) await sleep(100);
  assert.is(await serial(servers[0]), fresh);
  assert.is(issued() - before, 1);
});

shared('one is killed in the middle of an order: the other takes it over when its lease has ended', async () => {
  const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const ca = await startPebble({ httpPort: ports[2], tlsPort: ports[3] });
  const flags = ['--db', database.url, ...acmeFlags(ca)];
  const env = { OO_ENCRYPTION_KEY: key };
  // The others would answer for a host of theirs.
  await Promise.all(servers.map((server) => server.stop()));
  const one = await serve({ port: ports[0], httpsPort: ports[1], flags, env });
  const two = await serve({ port: ports[2], httpsPort: ports[3], flags, env });
  servers = [two];
  const host = newHost();
  ca.pause();
  await one.ok('route', 'save', '--id', host, '--target', app.target);
  await sleep(300);
  const all = one.tree();
  killAll(all);
  await until(() => all.every((pid) => !lives(pid)), 'the end of all', 10_000);
  ca.resume();
  const { ms } = await fetched(`https://${host}/`, two.httpsPort, pemFile(await ca.root()), 60_000);
  console.log(`the other server has the certificate after ${(ms / 1000).toFixed(0)} s`);
  ca.close();
});

shared.run();
