import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep } from '../helpers/wait.ts';
import { type App, openEcho, openEvents, startApp } from './apps.ts';
import { startLoad } from './load.ts';
import { run, type Server, withServer } from './oo.ts';

const change = suite('services that change under load');
change.after.each(cleanUp);

/** What people do to a service all day, one after the other; `round` makes each a little different. */
async function day(server: Server, apps: readonly App[], round: number): Promise<void> {
  const [a, b, c] = apps;
  const policies = ['round-robin', 'least-requests', 'random', 'power-of-two', 'hash'];
  const define = async (options: object) => {
    const input = JSON.stringify({ id: 'web', ...options });
    const ran = await run(['definition', 'save', '-', '--state-dir', server.stateDir], { input });
    assert.is(ran.code, 0, ran.err);
  };
  const save = (app: App, ...flags: string[]) =>
    server.ok('instance', 'save', '--slug', 'web', '--url', app.url, '--ttl', '1h', ...flags);
  await define({ balance: policies[round % policies.length], limits: { maxConnections: 50 + round } });
  const id = (await save(c, '-q')).out.trim();
  await save(b, '--weight', `${1 + round}`);
  await server.ok('deploy', 'web', '--target', c.url, '--percent', '30', '--drain', '0s');
  await server.ok('instance', 'rm', id);
  await define({ balance: { policy: 'round-robin', sticky: true }, health: { kind: 'tcp', intervalMs: 500 } });
  await server.ok('rollback', 'web', '--drain', '0s');
  await server.ok('pause', 'web');
  await sleep(100);
  await server.ok('deploy', 'web', '--target', b.url, '--target', c.url, '--drain', '0s');
  await server.ok('resume', 'web');
  await server.ok('route', 'save', '--id', 'localhost', '--target', a.url, '--target', b.url, '--balance', 'random');
  await server.ok('rollback', 'web', '--drain', '0s');
  await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
  await server.ok('definition', 'rm', 'web');
}

change(
  'everything that people do to a service: no request fails; a WebSocket and an event stream outlive it all',
  async () => {
    const apps = await Promise.all(['a', 'b', 'c'].map(startApp));
    await withServer(
      async (server) => {
        for (const { url } of apps.slice(0, 2)) await server.ok('instance', 'save', '--slug', 'web', '--url', url);
        await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
        const echo = await openEcho(server);
        const [, name] = /^(.): hi$/.exec(await echo.echo('hi')) ?? [];
        const events = openEvents({ port: server.adminPort, path: '/web/events' });
        await events.more(1);
        const load = startLoad(server.port, 150);
        const rounds = 3;
        for (let round = 0; round < rounds; round++) await day(server, apps, round);
        const samples = await load.stop();
        const failed = samples.filter(({ status }) => status !== 200);
        assert.equal(failed.slice(0, 3), [], `${failed.length} of ${samples.length} failed`);
        assert.is(await echo.echo('still'), `${name}: still`);
        await events.more(2);
        assert.ok(events.inOrder());
        echo.close();
        events.close();
        console.log(`${samples.length} requests through ${rounds * 14} changes, none failed`);
      },
      { flags: ['--workers', '2'] },
    );
  },
);

change.run();
