import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep } from '../helpers/wait.ts';
import { startApp } from './apps.ts';
import { startLoad } from './load.ts';
import { get, withServer } from './oo.ts';

const gate = suite('pause, resume and stop');
gate.after.each(cleanUp);

gate('pause under load: requests wait, none fails, and all are served at resume', async () => {
  const app = await startApp('app');
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', app.url);
      const load = startLoad(server.port, 100);
      await sleep(300);
      await server.ok('pause', 'localhost');
      await sleep(200);
      const { count } = app;
      const paused = performance.now();
      await sleep(1_000);
      assert.is(app.count, count, 'nothing comes through');
      assert.match((await server.ok('routes', 'ls')).out, 'paused');
      const resumed = performance.now();
      await server.ok('resume', 'localhost');
      await sleep(300);
      const samples = await load.stop();
      assert.equal(samples.filter(({ text }) => text !== 'app /').slice(0, 3), []);
      const waited = samples.filter(({ startedAt, endedAt }) => startedAt < resumed && endedAt > resumed);
      const longest = Math.max(...waited.map(({ startedAt, endedAt }) => endedAt - startedAt));
      assert.ok(waited.length > 20 && longest >= resumed - paused, `${waited.length} waited, up to ${longest} ms`);
      console.log(`${waited.length} requests waited, up to ${Math.round(longest)} ms; ${samples.length} in all`);
    },
    { flags: ['--workers', '2'] },
  );
});

gate('a pause is bounded: who waits too long, and who is one too many, gets 503 and when to ask again', async () => {
  const app = await startApp('app');
  await withServer(async (server) => {
    await server.ok('deploy', 'web', '--target', app.url);
    await server.ok('pause', 'web', '--max-wait', '500ms', '--max-waiting', '4');
    const began = performance.now();
    const pages = await Promise.all(Array.from({ length: 12 }, () => get(server.adminPort, '/web/x')));
    assert.equal([...new Set(pages.map(({ status }) => status))], [503]);
    assert.ok(pages.every(({ headers }) => Number(headers['retry-after']) > 0));
    assert.ok(performance.now() - began >= 450, 'some have waited');
    assert.is((await server.ok('resume', 'web')).code, 0);
    assert.is((await get(server.adminPort, '/web/x')).text, 'app /web/x');
    const nothing = await server.ok('resume', 'web');
    assert.match(nothing.out, 'nothing to resume');
    const unknown = await server.cli('pause', 'wev');
    assert.is(unknown.code, 1);
    assert.match(unknown.err, 'Did you mean web?');
  });
});

gate('stop: a page with the message, through a restart and the save of a file; resume ends it', async () => {
  const app = await startApp('app');
  const stateDir = temporary();
  const isStopped = async (port: number) => {
    const page = await get(port, '/', { headers: { accept: 'text/html' } });
    assert.is(page.status, 503);
    assert.match(page.text, 'We are moving &#60;soon&#62;.');
    assert.match(String(page.headers['content-type']), 'text/html');
    assert.ok(page.headers['retry-after'] !== undefined, 'Retry-After');
  };
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', app.url);
      await server.ok('stop', 'localhost', '--message', 'We are moving <soon>.');
      await isStopped(server.port);
    },
    { stateDir },
  );
  await withServer(
    async (server) => {
      await isStopped(server.port);
      const file = join(stateDir, 'routes.yaml');
      writeFileSync(file, `id: localhost\ntarget: ${app.url}\nmaxBodyBytes: 1000000\n`);
      await server.ok('route', 'save', file);
      await isStopped(server.port);
      assert.match((await server.ok('routes', 'ls')).out, 'stopped: We are moving');
      await server.ok('resume', 'localhost');
      assert.is((await get(server.port)).text, 'app /');
      // It opens by itself.
      await server.ok('stop', 'localhost', '--for', '1s');
      assert.is((await get(server.port)).status, 503);
      await sleep(1_300);
      assert.is((await get(server.port)).text, 'app /');
    },
    { stateDir },
  );
});

gate.run();
