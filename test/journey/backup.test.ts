import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { fetched } from './https.ts';
import { pemFile } from './https-clients.ts';
import { startLoad } from './load.ts';
import { freePort, get, run, type Server, serve } from './oo.ts';
import { startUpstream } from './upstream.ts';

const journey = suite('backup and restore');
journey.after.each(cleanUp);

const hosts = ['localhost', 'a.test', 'b.test'];

/** All that a person can look at. */
async function stateOf(server: Server) {
  const exported = (await server.ok('export', '-o', 'json')).out;
  const certificates = JSON.parse((await server.ok('cert', 'ls', '-o', 'json')).out) as Record<string, unknown>[];
  const tokens = (await server.ok('token', 'ls', '-o', 'json')).out;
  return { exported, certificates: certificates.map(({ id, serial }) => `${id} ${serial}`).sort(), tokens };
}

async function mayAsk(server: Server, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token.trim()}` };
  return (await get(server.adminPort, '/v1/routes', { host: 'localhost', headers })).status;
}

/** A server with three hosts that have certificates, a service, a setting and a token. */
async function filled() {
  const app = await startUpstream((asked, response) => {
    asked.resume().on('end', () => response.end('app'));
  });
  const server = await serve({ httpsPort: await freePort(), flags: ['--acme', 'off'] });
  const file = join(temporary(), 'oo.json');
  const routes = hosts.map((id) => ({ id, target: app.target, http: 'allow' }));
  const settings = { historyRevisions: 500 };
  writeFileSync(file, JSON.stringify({ routes, services: [{ id: 'shop', maxConnections: 5 }], settings }));
  await server.ok('apply', file);
  const { out: token } = await server.ok('token', 'create', '--admin');
  const caFile = pemFile((await server.ok('trust', '--print')).out);
  for (const host of hosts) await fetched(`https://${host}/`, server.httpsPort, caFile);
  return { app, server, token, caFile };
}

journey('a running server goes back to what it was, without a request lost', async () => {
  const { app, server, token, caFile } = await filled();
  const file = join(temporary(), 'oo.backup');
  const { out, err } = await server.ok('backup', file);
  assert.match(out, /^wrote .*oo\.backup \(\d+ kB\)\n$/);
  assert.match(err, /encryption key is not in it/);
  assert.is(statSync(file).mode & 0o777, 0o600);
  assert.not(gunzipSync(readFileSync(file)).includes('PRIVATE KEY'));
  const before = await stateOf(server);
  assert.is(before.certificates.length, 3);

  const again = await server.cli('backup', file);
  assert.equal([again.code, /is there already/.test(again.err)], [1, true]);
  await server.ok('backup', file, '--force');

  await server.ok('route', 'rm', 'a.test');
  await server.ok('cert', 'rm', 'b.test');
  await server.ok('route', 'save', '--id', 'b.test', '--target', 'http://127.0.0.1:1');
  await server.ok('route', 'save', '--id', 'c.test', '--target', app.target);
  await server.ok('definition', 'rm', 'shop');
  await fetched('https://c.test/', server.httpsPort, caFile);
  const { out: newer } = await server.ok('token', 'create', '--admin');
  const [{ id }] = (JSON.parse((await server.ok('token', 'ls', '-o', 'json')).out) as { id: string }[]) ?? [];
  await server.ok('token', 'rm', id);
  assert.equal([await mayAsk(server, token), await mayAsk(server, newer)], [401, 200]);
  const changed = await stateOf(server);
  const dry = await server.ok('restore', file, '--dry-run');
  assert.match(dry.out, /routes +3 {2}1 added, 1 changed, 1 removed\n/);
  assert.match(dry.out, /nothing was changed: a dry run\n$/);
  assert.equal(await stateOf(server), changed);

  const load = startLoad(server.port, 200);
  const slow = new Promise<string>((resolve, reject) => {
    const asked = request({ port: server.port, method: 'POST', headers: { host: 'localhost' } }, (response) => {
      let text = '';
      response.on('data', (part) => (text += part)).on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.write('half');
    setTimeout(() => asked.end('whole'), 3_000);
  });
  await sleep(200);
  const restored = await server.ok('restore', file, '--reason', 'it went wrong');
  assert.match(restored.out, /restored: revision @\d+\n$/);
  // At once: nothing is waited for.
  assert.equal([await mayAsk(server, token), await mayAsk(server, newer)], [200, 401]);
  assert.is((await fetched('https://a.test/', server.httpsPort, caFile)).body, 'app');
  assert.is((await get(server.port, '/', { host: 'c.test' })).status, 404);
  assert.equal(await stateOf(server), before);
  assert.is(await slow, 'app');
  const samples = await load.stop();
  assert.equal(
    samples.filter(({ status }) => status !== 200),
    [],
  );
  const [last] = JSON.parse((await server.ok('history', '-o', 'json')).out) as { reason: string }[];
  assert.match(last.reason, /^restore of the backup of .*: it went wrong$/);
  await server.ok('rollback', `@${JSON.parse((await server.ok('history', '-o', 'json')).out)[1].revision}`);
  assert.is((await stateOf(server)).exported, changed.exported, 'a restore can be rolled back');
  assert.is((await server.stop()).code, 0);
  app.close();
});

journey('a new machine: by a file, its key and nothing else', async () => {
  const { app, server, token, caFile } = await filled();
  const before = await stateOf(server);
  const file = join(temporary(), 'oo.backup');
  const remote = ['--server', `http://127.0.0.1:${server.adminPort}`, '--token', token.trim()];
  assert.is((await run(['backup', file, ...remote])).code, 0);
  const keyFile = join(temporary(), 'kept.key');
  copyFileSync(join(server.stateDir, 'encryption.key'), keyFile);
  assert.is((await server.stop()).code, 0);

  const stateDir = temporary();
  const offline = ['--offline', '--state-dir', stateDir];
  const refused = await run(['restore', file, ...offline]);
  assert.is(refused.code, 1);
  assert.match(refused.err, /encrypted with a key that is not here[\s\S]*encryption\.key: --backup-key-file FILE/);
  const done = await run(['restore', file, ...offline, '--backup-key-file', keyFile]);
  assert.is(done.code, 0, done.err);
  const next = await serve({ stateDir, httpsPort: await freePort(), flags: ['--acme', 'off'] });
  assert.equal(await stateOf(next), before);
  for (const host of hosts) assert.is((await fetched(`https://${host}/`, next.httpsPort, caFile)).body, 'app');
  assert.is(await mayAsk(next, token), 200);
  const busy = await run(['restore', file, ...offline]);
  assert.equal([busy.code, /Leave --offline out/.test(busy.err)], [1, true]);

  const bytes = readFileSync(file);
  const cut = join(temporary(), 'cut');
  writeFileSync(cut, bytes.subarray(0, bytes.length - 10));
  for (const remotely of [[], ['--server', `http://127.0.0.1:${next.adminPort}`, '--token', token.trim()]]) {
    const where = remotely.length === 0 ? ['--state-dir', stateDir] : remotely;
    const ran = await run(['restore', cut, ...where]);
    assert.is(ran.code, 1);
    assert.match(ran.err, /cut short/);
    const key = ['--backup-key-file', keyFile];
    assert.is((await run(['restore', file, ...where, ...key])).code, 0);
  }
  const weak = (await next.ok('token', 'create', '--scope', 'routes:read')).out.trim();
  const mine = ['--server', `http://127.0.0.1:${next.adminPort}`, '--token', weak];
  assert.is((await run(['backup', '-', ...mine])).code, 4);
  assert.is((await next.stop()).code, 0);
  app.close();
});

journey.run();
