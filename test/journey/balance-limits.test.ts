import { request } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep, until } from '../helpers/wait.ts';
import { startApp } from './apps.ts';
import { ask } from './asks.ts';
import { get, run, type Server, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const limits = suite('limits of instances, retries and clients that leave');
limits.after.each(cleanUp);

const twoWorkers = { flags: ['--workers', '2'] };

async function save(server: Server, options: object): Promise<void> {
  const input = JSON.stringify({ id: 'localhost', ...options });
  const ran = await run(['route', 'save', '-', '--state-dir', server.stateDir], { input });
  assert.is(ran.code, 0, ran.err);
}

limits(
  'an instance never serves more than its limit, over all workers; the rest waits, and past that gets 503',
  async () => {
    let running = 0;
    let most = 0;
    const app = await startUpstream(async (_, response) => {
      most = Math.max(most, ++running);
      await sleep(100);
      running--;
      response.end('served');
    });
    await withServer(async (server) => {
      await save(server, { target: app.target, limits: { maxConnections: 4, maxWaiting: 1_000, maxWaitMs: 10_000 } });
      const waited = await ask(server.port, 80, { connections: 40 });
      assert.ok(waited.every(({ status }) => status === 200));
      assert.ok(most <= 4, `${most} at one time`);
      await save(server, { target: app.target, limits: { maxConnections: 4, maxWaiting: 4, maxWaitMs: 150 } });
      const pages = await ask(server.port, 60, { connections: 60 });
      const refused = pages.filter(({ status }) => status === 503);
      assert.ok(refused.length >= 30 && refused.length < 60, `${refused.length} refused`);
      assert.ok(refused.every(({ headers }) => Number(headers['retry-after']) > 0));
      assert.ok(pages.every(({ status }) => status === 200 || status === 503));
      assert.ok(most <= 4, `${most} at one time`);
      console.log(
        `80 requests through 4 places of 2 workers: at most ${most} at one time; then ${refused.length} of 60 refused`,
      );
    }, twoWorkers);
  },
);

limits('instances that break each request off: retries add no more than a fifth', async () => {
  let tries = 0;
  const broken = await Promise.all(
    [1, 2, 3].map(() =>
      startUpstream((asked) => {
        tries++;
        asked.socket.destroy();
      }),
    ),
  );
  await withServer(async (server) => {
    await save(server, { target: broken.map(({ target }) => target), outlier: false });
    const count = 600;
    const pages = await ask(server.port, count);
    assert.ok(pages.every(({ status }) => status === 502));
    console.log(`${count} requests to instances that break them off: ${tries} tries`);
    // A few are always free, in each worker.
    assert.ok(tries >= count && tries <= count * 1.2 + 60, `${tries} tries for ${count} requests`);
  }, twoWorkers);
});

limits('clients that leave never dent the health of whom they left', async () => {
  let left = 0;
  const slow = await startUpstream((asked, response) => {
    const timer = setTimeout(() => response.end('slow'), 300);
    asked.socket.once('close', () => clearTimeout(timer));
    response.once('close', () => (left += response.writableFinished ? 0 : 1));
  });
  const quick = await startApp('quick');
  await withServer(async (server) => {
    await save(server, { target: [slow.target, quick.url], balance: 'round-robin', breaker: true });
    for (let i = 0; i < 120; i++) {
      const asked = request({ port: server.port, host: '127.0.0.1', agent: false, headers: { host: 'localhost' } });
      asked.on('error', () => {}).on('response', (response) => response.resume());
      asked.end();
      setTimeout(() => asked.destroy(), 40);
      await sleep(3);
    }
    await until(() => left > 40, 'those who have left', 10_000);
    const pages = await ask(server.port, 20, { connections: 4 });
    assert.ok(pages.filter(({ text }) => text === 'slow').length >= 8, 'it gets its half');
    assert.ok(pages.every(({ status }) => status === 200));
    assert.not.match(server.err(), 'is left out');
    assert.not.match((await server.ok('status')).out, /ejected|breaker/);
  }, twoWorkers);
});

limits('a breaker spares an instance that fails all, tries it, and closes when it is well', async () => {
  const app = await startApp('app');
  await withServer(async (server) => {
    await save(server, { target: app.url, breaker: { openMs: 2_500 } });
    app.status = 502;
    await ask(server.port, 200);
    const { count } = app;
    const page = await get(server.port);
    assert.is(page.status, 503);
    assert.ok(Number(page.headers['retry-after']) > 0);
    assert.ok(count < 150, `${count} of 200 requests met it`);
    assert.match((await server.ok('status')).out, /breaker open|half-open/);
    app.status = 200;
    const began = performance.now();
    for (let good = 0; good < 20; ) {
      assert.ok(performance.now() - began < 12_000, 'it stays open');
      good = (await get(server.port)).status === 200 ? good + 1 : 0;
      await sleep(20);
    }
    console.log(`${count} of 200 requests met it before its breaker opened`);
  }, twoWorkers);
});

limits.run();
