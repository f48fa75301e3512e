import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { startApp, startAppProcess } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { freePort, get, lives, run, type Server, serve, withServer } from './oo.ts';

const restart = suite('what a restart knows');
restart.after.each(cleanUp);

async function define(server: Server, definition: object): Promise<void> {
  const words = ['definition', 'save', '-', '--state-dir', server.stateDir];
  const { code, err } = await run(words, { input: JSON.stringify(definition) });
  assert.is(code, 0, err);
}

restart(
  'instances that were down are still down, before any new probe; their state and since when are listed',
  async () => {
    const good = await startApp('good');
    const stateDir = temporary();
    const health = { kind: 'tcp', intervalMs: 20_000, fall: 1, rise: 1 };
    let before = '';
    const states = async (server: Server) => {
      const list = JSON.parse((await server.ok('instance', 'ls', '-o', 'json')).out) as Record<string, string>[];
      return JSON.stringify(list.map(({ url, status, details, statusSince }) => [url, status, details, statusSince]));
    };
    await withServer(
      async (server) => {
        await define(server, { id: 'web', balance: 'round-robin', retry: false, health });
        for (const url of [good.url, 'http://127.0.0.1:9'])
          await server.ok('instance', 'save', '--slug', 'web', '--url', url, '--ttl', '1h');
        await until(() => server.err().includes('is Unreachable'), 'a failed probe', 10_000);
        const healthy = async () => (await states(server)).includes('Healthy');
        for (let tries = 0; !(await healthy()); tries++) {
          assert.ok(tries < 50);
          await sleep(100);
        }
        before = await states(server);
      },
      { stateDir },
    );
    await withServer(
      async (server) => {
        const answers = await ask(server.adminPort, 60, { path: '/web/x' });
        assert.equal(Object.keys(countTexts(answers)), ['good /web/x']);
        assert.is(await states(server), before);
      },
      { stateDir, flags: ['--workers', '2'] },
    );
  },
);

restart('kill -9 of the main process: services, definitions, tokens and canaries are as they were', async () => {
  const [old, canary] = await Promise.all([startApp('old'), startApp('canary')]);
  const options = { stateDir: temporary(), port: await freePort(), adminPort: await freePort() };
  let server = await serve(options);
  await define(server, { id: 'web', balance: 'least-requests', 'x-owner': 'ann' });
  const token = (await server.ok('token', 'create', '--service', 'web', '-q')).out.trim();
  await server.ok('instance', 'save', '--slug', 'web', '--url', old.url, '--ttl', '1h');
  await server.ok('deploy', 'web', '--target', canary.url, '--header', 'x-canary');
  const looks = async () => {
    const headers = { authorization: `Bearer ${token}` };
    return [
      (await server.ok('definition', 'ls', '-o', 'json')).out,
      (await server.ok('instance', 'ls', '-q')).out,
      (await get(server.adminPort, '/web/x')).text,
      (await get(server.adminPort, '/web/x', { headers: { 'X-Canary': 'any' } })).text,
      `${(await get(server.adminPort, '/registry-svc/instances', { headers })).status}`,
    ];
  };
  const before = await looks();
  assert.equal(before.slice(2), ['old /web/x', 'canary /web/x', '200']);
  assert.match(before[0], 'ann');
  const workers = server.workers();
  server.signal('SIGKILL');
  await server.ended;
  await until(() => !workers.some(lives), 'the end of its workers', 5_000);
  server = await serve(options);
  assert.equal(await looks(), before);
  await server.ok('rollback', 'web');
  assert.is((await get(server.adminPort, '/web/x', { headers: { 'X-Canary': 'any' } })).text, 'old /web/x');
  assert.is((await server.stop()).code, 0);
});

restart('an instance that moves to another port: the new one is served, the old one is gone', async () => {
  await withServer(async (server) => {
    const first = await startAppProcess('first');
    await server.ok('instance', 'save', '--slug', 'web', '--url', first.url, '--id', 'web-1', '--ttl', '1h');
    assert.is((await get(server.adminPort, '/web/x')).text, 'first /web/x');
    const second = await startAppProcess('second');
    await server.ok('instance', 'save', '--slug', 'web', '--url', second.url, '--id', 'web-1', '--ttl', '1h');
    const counts = countTexts(await ask(server.adminPort, 50, { path: '/web/x' }));
    assert.equal(counts, { 'second /web/x': 50 });
    assert.is((await server.ok('instance', 'ls', '-q')).out, 'web-1\n');
    first.kill();
    second.kill();
  });
});

restart.run();
