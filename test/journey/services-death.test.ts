import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep, until } from '../helpers/wait.ts';
import { type AppProcess, startApp, startAppProcess } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { type Load, startLoad } from './load.ts';
import { get, killAll, run, type Server, withServer } from './oo.ts';

const death = suite('instances and workers that die');
death.after.each(cleanUp);

function processes(count: number): Promise<AppProcess[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => startAppProcess(`${i}`)));
}

/** Ends a load in which instances were killed at this time: a request may fail within the first second after that, no later. */
async function survived(load: Load, killedAt: number): Promise<void> {
  const samples = await load.stop();
  const failed = samples.filter(({ status }) => status !== 200);
  const late = failed.filter(({ startedAt }) => startedAt < killedAt || startedAt > killedAt + 1_000);
  console.log(`${samples.length} requests, ${failed.length} failed, all of them within a second`);
  assert.equal(late.slice(0, 3), [], `${late.length} of ${samples.length} failed`);
}

/** Asks until so many in a row are answered. @returns how long that took, ms */
async function recovers(port: number, ms: number): Promise<number> {
  const began = performance.now();
  for (let good = 0; good < 30; ) {
    const page = await get(port);
    good = page.status === 200 ? good + 1 : 0;
    if (performance.now() - began > ms) throw new Error(`not well within ${ms} ms: ${page.status} ${page.text}`);
    if (good === 0) await sleep(20);
  }
  return Math.round(performance.now() - began);
}

/** All of them are killed and come back on their ports. */
async function killAndReturn(list: readonly AppProcess[], port: number): Promise<void> {
  for (const app of list) app.kill();
  await sleep(1_000);
  const began = performance.now();
  const page = await get(port);
  assert.ok(page.status === 502 || page.status === 503, `${page.status}`);
  assert.ok(performance.now() - began < 2_000, 'at once');
  await Promise.all(list.map((app, i) => startAppProcess(`${i}`, app.port)));
}

death('half of a service killed at 300 requests a second; then all, and back', async () => {
  const list = await processes(4);
  await withServer(
    async (server) => {
      const input = JSON.stringify({ id: 'web', health: { kind: 'tcp', intervalMs: 500 } });
      await run(['definition', 'save', '-', '--state-dir', server.stateDir], { input });
      for (const { url } of list) await server.ok('instance', 'save', '--slug', 'web', '--url', url, '--ttl', '1h');
      await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
      const load = startLoad(server.port, 300);
      await sleep(700);
      const killedAt = performance.now();
      for (const app of list.slice(0, 2)) app.kill();
      await sleep(2_000);
      await survived(load, killedAt);
      await killAndReturn(list, server.port);
      console.log(`a service, all killed and back: recovers in ${await recovers(server.port, 10_000)} ms`);
    },
    { flags: ['--workers', '2'] },
  );
});

death('the same with the targets of a route, which nobody probes', async () => {
  const list = await processes(4);
  await withServer(
    async (server) => {
      const targets = list.flatMap(({ url }) => ['--target', url]);
      await server.ok('route', 'save', '--id', 'localhost', ...targets);
      const load = startLoad(server.port, 300);
      await sleep(700);
      const killedAt = performance.now();
      for (const app of list.slice(0, 2)) app.kill();
      await sleep(2_000);
      await survived(load, killedAt);
      await killAndReturn(list, server.port);
      console.log(`a route, all killed and back: recovers in ${await recovers(server.port, 15_000)} ms`);
    },
    { flags: ['--workers', '2'] },
  );
});

/** Only this text is answered, whichever worker is asked. */
async function onlyFrom(server: Server, text: string): Promise<void> {
  const counts = countTexts(await ask(server.adminPort, 120, { path: '/web/x' }));
  assert.equal(Object.keys(counts), [text], JSON.stringify(counts));
}

death('a new worker knows services, instances that are down, and ejections', async () => {
  const [good, failing] = await Promise.all([startApp('good'), startApp('failing')]);
  await withServer(
    async (server) => {
      const input = JSON.stringify({
        id: 'web',
        balance: 'round-robin',
        health: { kind: 'tcp', intervalMs: 300, fall: 2 },
        outlier: { ejectionMs: 120_000, unreachable: 1_000 },
        retry: false,
      });
      await run(['definition', 'save', '-', '--state-dir', server.stateDir], { input });
      for (const url of [good.url, failing.url, 'http://127.0.0.1:9'])
        await server.ok('instance', 'save', '--slug', 'web', '--url', url, '--ttl', '1h');
      await until(() => /127\.0\.0\.1:9 of service web is Unreachable/.test(server.err()), 'a failed probe');
      failing.status = 502;
      await ask(server.adminPort, 100, { path: '/web/x' });
      await until(() => /is left out for/.test(server.err()), 'an ejection');
      await onlyFrom(server, 'good /web/x');
      failing.status = 200;
      killAll(server.workers());
      await until(() => server.workers().length === 2, 'new workers', 10_000);
      for (let tries = 0; tries < 200; tries++) {
        if (await get(server.adminPort, '/web/x').catch(() => undefined)) break;
        await sleep(20);
      }
      await onlyFrom(server, 'good /web/x');
    },
    { flags: ['--workers', '2'] },
  );
});

death.run();
