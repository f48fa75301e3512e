// time limit: 180 s
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { type HranaDouble, startHrana } from '../helpers/hrana.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { acmeFlags, fetched, newHost } from './https.ts';
import { pemFile, shake } from './https-clients.ts';
import { freePort, type Server, serve } from './oo.ts';
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
  const flags = ['--db', database.url, ...acmeFlags(pebble)];
  const env = { OO_ENCRYPTION_KEY: key };
  servers = await Promise.all([
    serve({ port: ports[0], httpsPort: ports[1], flags: [...flags, '--acme-challenges', 'http-01'], env }),
    serve({ port: ports[2], httpsPort: ports[3], flags: [...flags, '--acme-challenges', 'tls-alpn-01'], env }),
  ]);
});

shared.after(async () => {
  const ends = await Promise.all(servers.map((server) => server.stop())).finally(cleanUp);
  pebble.close();
  await database.close();
  assert.equal(
    ends.map(({ code }) => code),
    [0, 0],
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

shared.run();
