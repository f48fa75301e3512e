import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { sleep } from '../helpers/wait.ts';
import { openEcho, openEvents, startApp } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { type Load, type Sample, startLoad } from './load.ts';
import { get, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const deploy = suite('deploys');
deploy.after.each(cleanUp);

/** Ends a load, none of whose requests may have failed. @returns every request */
async function flawless(load: Load): Promise<Sample[]> {
  const samples = await load.stop();
  const failed = samples.filter(({ status }) => status !== 200);
  assert.equal(failed.slice(0, 3), [], `${failed.length} of ${samples.length} failed`);
  return samples;
}

/** The answers of requests that began after this time. */
function textsAfter(samples: readonly Sample[], time: number): string[] {
  return [...new Set(samples.filter(({ startedAt }) => startedAt > time).map(({ text }) => text))];
}

deploy('a route at 300 requests a second: none fails; WebSocket and events of the old one go on', async () => {
  const [one, two] = await Promise.all([startApp('one'), startApp('two')]);
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', one.url);
      const echo = await openEcho(server);
      const events = openEvents(server);
      await events.more(2);
      const load = startLoad(server.port, 300);
      await sleep(500);
      const began = performance.now();
      const words = ['deploy', 'localhost', '--target', two.url, '--drain', '700ms'];
      const { out, err } = await server.ok(...words);
      const returned = performance.now();
      await sleep(300);
      const samples = await flawless(load);
      assert.equal(textsAfter(samples, returned), ['two /']);
      assert.match(out, 'deployed localhost');
      assert.match(err, 'healthy');
      // The two that run for long are named, and nothing is cut.
      assert.match(out, `2 requests or connections run on ${one.url}`);
      assert.ok(returned - began >= 700, 'it waited for the old one');
      assert.is(await echo.echo('still there'), 'one: still there');
      await events.more(3);
      assert.ok(events.inOrder());
      const fresh = await openEcho(server);
      assert.is(await fresh.echo('new'), 'two: new');
      for (const open of [echo, events, fresh]) open.close();
      console.log(`${samples.length} requests, none failed; the deploy took ${Math.round(returned - began)} ms`);
    },
    { flags: ['--workers', '2'] },
  );
});

deploy('it returns when the last request of the old one has ended; back and forth with rollback', async () => {
  const slow = await startUpstream(async (_, response) => {
    response.write('slow');
    await sleep(1_200);
    response.end('.');
  });
  const quick = await startUpstream('quick');
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', slow.target);
    let isDone = false;
    const running = get(server.port).then((page) => {
      isDone = true;
      return page;
    });
    await sleep(150);
    const { out } = await server.ok('deploy', 'localhost', '--target', quick.target);
    assert.ok(isDone, 'the request has ended before the command');
    assert.is((await running).text, 'slow.');
    assert.match(out, 'it can be stopped');
    assert.is((await get(server.port)).text, 'quick');
    await server.ok('rollback', 'localhost');
    assert.is((await get(server.port)).text, 'slow.');
    await server.ok('rollback', 'localhost');
    assert.is((await get(server.port)).text, 'quick');
  });
});

deploy('a service at 300 requests a second, from registered instances to targets and back', async () => {
  const [one, two, three] = await Promise.all(['one', 'two', 'three'].map(startApp));
  await withServer(
    async (server) => {
      for (const { url } of [one, two]) await server.ok('instance', 'save', '--slug', 'web', '--url', url);
      await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
      const load = startLoad(server.port, 300);
      await sleep(300);
      await server.ok('deploy', 'web', '--target', three.url);
      const deployed = performance.now();
      assert.is((await get(server.adminPort, '/web/x')).text, 'three /web/x');
      await sleep(300);
      const rolling = performance.now();
      const { out } = await server.ok('rollback', 'web');
      const back = performance.now();
      await sleep(300);
      const samples = await flawless(load);
      const between = samples.filter(({ startedAt, endedAt }) => startedAt > deployed && endedAt < rolling);
      assert.equal([...new Set(between.map(({ text }) => text))], ['three /']);
      assert.equal(textsAfter(samples, back).sort(), ['one /', 'two /']);
      assert.match(out, 'its registered instances');
      // Made where there was none, with a host on the edge.
      await server.ok('deploy', 'shop', '--target', three.url, '--host', 'shop.localhost');
      assert.is((await get(server.port, '/cart', { host: 'shop.localhost' })).text, 'three /cart');
      assert.is((await get(server.adminPort, '/shop/cart')).text, 'three /shop/cart');
    },
    { flags: ['--workers', '2'] },
  );
});

deploy('a check that fails leaves the old one untouched and says why', async () => {
  const [old, broken] = await Promise.all([startApp('old'), startApp('broken')]);
  broken.status = 500;
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', old.url);
    const before = (await server.ok('routes', 'ls', '-o', 'json')).out;
    const load = startLoad(server.port, 100);
    const nobody = await server.cli('deploy', 'localhost', '--target', 'http://127.0.0.1:9', '--deadline', '1s');
    assert.is(nobody.code, 1);
    assert.match(nobody.err, 'http://127.0.0.1:9 is not healthy within 1 s');
    assert.match(nobody.err, 'ECONNREFUSED');
    assert.match(nobody.err, 'nothing was changed');
    const failing = await server.cli('deploy', 'localhost', '--target', broken.url, '--deadline', '1s');
    assert.is(failing.code, 1);
    assert.match(failing.err, /500/);
    const samples = await flawless(load);
    assert.equal(textsAfter(samples, 0), ['old /']);
    assert.is((await server.ok('routes', 'ls', '-o', 'json')).out, before);
    // One that needs a moment is waited for.
    setTimeout(() => {
      broken.status = 200;
    }, 700);
    const { err } = await server.ok('deploy', 'localhost', '--target', broken.url, '--health', '/up');
    assert.match(err, 'not yet');
    assert.is((await get(server.port)).text, 'broken /');
  });
});

deploy('a canary gets its part, and whoever names it; then all, or nothing', async () => {
  const [old, canary] = await Promise.all([startApp('old'), startApp('new')]);
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', old.url);
      await server.ok('deploy', 'localhost', '--target', canary.url, '--percent', '10');
      const count = 2_000;
      const part = (countTexts(await ask(server.port, count))['new /'] ?? 0) / count;
      console.log(`a canary of 10 % got ${(part * 100).toFixed(1)} %`);
      // More than four standard deviations.
      assert.ok(Math.abs(part - 0.1) < 0.03, `${part}`);
      assert.match((await server.ok('routes', 'ls')).out, `10% to ${canary.url}`);
      await server.ok('rollback', 'localhost');
      assert.equal(Object.keys(countTexts(await ask(server.port, 200))), ['old /']);

      await server.ok('deploy', 'localhost', '--target', canary.url, '--header', 'x-canary=yes');
      assert.equal(Object.keys(countTexts(await ask(server.port, 200))), ['old /']);
      const asking = { headersOf: () => ({ 'X-Canary': 'yes' }) };
      assert.equal(Object.keys(countTexts(await ask(server.port, 100, asking))), ['new /']);
      await server.ok('deploy', 'localhost', '--target', canary.url);
      assert.equal(Object.keys(countTexts(await ask(server.port, 200))), ['new /']);
      assert.not.match((await server.ok('routes', 'ls')).out, 'x-canary');
    },
    { flags: ['--workers', '2'] },
  );
});

deploy.run();
