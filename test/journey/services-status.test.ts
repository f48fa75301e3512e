import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep } from '../helpers/wait.ts';
import { startApp } from './apps.ts';
import { startLoad } from './load.ts';
import { get, run, withServer } from './oo.ts';

const status = suite('oo status');
status.after.each(cleanUp);

/** The line of a table that begins with this. */
function lineOf(table: string, start: string): string {
  return table.split('\n').find((line) => line.startsWith(start)) ?? `no ${start} in ${table}`;
}

status('in a pipe: routes, services, instances, with their traffic and their state; as JSON too', async () => {
  const [app, failing, fixed] = await Promise.all(['app', 'failing', 'fixed'].map(startApp));
  await withServer(
    async (server) => {
      const empty = await server.ok('status');
      assert.match(empty.out, 'no route and no service yet');

      const input = JSON.stringify({
        id: 'web',
        balance: 'round-robin',
        health: { kind: 'tcp', intervalMs: 200, fall: 2 },
      });
      await run(['definition', 'save', '-', '--state-dir', server.stateDir], { input });
      for (const url of [app.url, failing.url, 'http://127.0.0.1:9'])
        await server.ok('instance', 'save', '--slug', 'web', '--url', url, '--ttl', '1h');
      await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
      await server.ok('route', 'save', '--id', 'fixed.localhost', '--target', fixed.url);
      await server.ok('route', 'save', '--id', 'idle.localhost', '--target', 'http://127.0.0.1:9');
      const load = startLoad(server.port, 60);
      const other = startLoad(server.port, 30, 'fixed.localhost');
      await sleep(500);
      failing.status = 502;
      await sleep(1_000);
      const { out } = await server.ok('status');
      const json = JSON.parse((await server.ok('status', '-o', 'json')).out);
      await Promise.all([load.stop(), other.stop()]);

      assert.match(out.split('\n')[0], /\d+ requests\/s.* 2 workers/);
      for (const head of [
        'ROUTE OR SERVICE',
        'TARGET',
        'STATE',
        'REQ/S',
        'ERR/S',
        'P50',
        'P99',
        'IN FLIGHT',
        'INSTANCE',
      ])
        assert.match(out, head);
      assert.not.match(out, '\x1b', 'no colours in a pipe');
      assert.match(lineOf(out, 'web'), /3 registered instances +ok/);
      assert.match(lineOf(out, 'localhost'), 'service://web');
      assert.match(lineOf(out, 'idle.localhost'), / 0 /);
      assert.match(lineOf(out, failing.url), /ejected: .*fail/);
      assert.match(lineOf(out, 'http://127.0.0.1:9'), /unreachable: .*ECONNREFUSED/);
      assert.match(lineOf(out, app.url), /healthy/);

      const rates = Object.fromEntries(json.pools.map((pool: { name: string }) => [pool.name, pool]));
      for (const [name, rate] of Object.entries({
        web: 60,
        localhost: 60,
        'fixed.localhost': 30,
        'idle.localhost': 0,
      })) {
        const { requestsPerSecond } = rates[name];
        // A machine that is busy sends less.
        assert.ok(rate === 0 ? requestsPerSecond === 0 : requestsPerSecond > rate / 3, `${name} ${requestsPerSecond}`);
        assert.ok(requestsPerSecond < rate * 1.5 + 1, `${name} ${requestsPerSecond}`);
      }
      assert.ok(rates.web.p50Ms <= rates.web.p99Ms);
      assert.is(json.workers, 2);
      const states = Object.fromEntries(
        json.instances.map(({ address, state }: { address: string; state: string }) => [address, state]),
      );
      assert.is(states[failing.url], 'ejected');
      assert.is(states['http://127.0.0.1:9'], 'unreachable');
    },
    { flags: ['--workers', '2'] },
  );
});

status('a pause, a stop and a canary are shown, and who waits', async () => {
  const [app, next] = await Promise.all(['app', 'next'].map(startApp));
  await withServer(async (server) => {
    for (const host of ['a', 'b', 'c'])
      await server.ok('route', 'save', '--id', `${host}.localhost`, '--target', app.url);
    await server.ok('pause', 'a.localhost');
    await server.ok('stop', 'b.localhost');
    await server.ok('deploy', 'c.localhost', '--target', next.url, '--percent', '25');
    const waiting = Array.from({ length: 3 }, () => get(server.port, '/', { host: 'a.localhost', ms: 10_000 }));
    await sleep(200);
    const { out } = await server.ok('status');
    assert.match(lineOf(out, 'a.localhost'), /paused .* 3$/);
    assert.match(lineOf(out, 'b.localhost'), 'stopped');
    assert.match(lineOf(out, 'c.localhost'), 'ok, canary 25%');
    await server.ok('resume', 'a.localhost');
    for (const page of await Promise.all(waiting)) assert.is(page.text, 'app /');
  });
});

status.run();
