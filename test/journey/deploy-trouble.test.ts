import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { openEcho, startApp } from './apps.ts';
import { ask, countTexts } from './asks.ts';
import { startLoad } from './load.ts';
import { freePort, get, killAll, lives, type Program, type Server, serve, start, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const trouble = suite('deploys that meet trouble');
trouble.after.each(cleanUp);

const nobody = 'http://127.0.0.1:9';

/** A deploy that waits for a target which never answers. */
async function waiting(server: Server, ...flags: string[]): Promise<Program> {
  const words = ['deploy', 'localhost', '--target', nobody, ...flags, '--state-dir', server.stateDir];
  const program = start(words);
  await until(() => program.err().includes('not yet'), 'its first check', 10_000);
  return program;
}

trouble('Ctrl-C ends a deploy that waits, and nothing is changed; the next one begins at once', async () => {
  const [old, next] = await Promise.all([startApp('old'), startApp('next')]);
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', old.url);
    const first = await waiting(server);
    const second = await server.cli('deploy', 'localhost', '--target', next.url);
    assert.is(second.code, 1);
    assert.match(second.err, 'A deploy of localhost is under way');
    first.signal('SIGINT');
    const { code, signal } = await within(first.ended, 'its end');
    assert.ok(code !== 0 || signal === 'SIGINT', `${code}`);
    assert.is((await get(server.port)).text, 'old /');
    // It has gone when the server has noticed.
    let again = await server.cli('deploy', 'localhost', '--target', next.url);
    for (let tries = 0; again.code !== 0 && tries < 20; tries++) {
      await sleep(50);
      again = await server.cli('deploy', 'localhost', '--target', next.url);
    }
    assert.is(again.code, 0, again.err);
    assert.is((await get(server.port)).text, 'next /');
  });
});

trouble('a server that stops amid a deploy does not wait for it; nothing is changed', async () => {
  const old = await startApp('old');
  const options = { stateDir: temporary(), port: await freePort(), adminPort: await freePort() };
  let server = await serve(options);
  await server.ok('route', 'save', '--id', 'localhost', '--target', old.url);
  const deploy = await waiting(server);
  const began = performance.now();
  assert.is((await server.stop()).code, 0);
  const took = performance.now() - began;
  const { code } = await within(deploy.ended, 'the end of the deploy');
  assert.is.not(code, 0);
  assert.match(deploy.err(), /^oo: /m);
  console.log(
    `the server stopped in ${Math.round(took)} ms; the deploy said: ${deploy.err().split('\n').slice(2).join(' ')}`,
  );
  assert.ok(took < 5_000, `${took} ms`);
  server = await serve(options);
  assert.is((await get(server.port)).text, 'old /');
  assert.is((await server.stop()).code, 0);
});

trouble('kill -9 amid a pause: paused after the restart, and resumed', async () => {
  const app = await startApp('app');
  const options = { stateDir: temporary(), port: await freePort(), adminPort: await freePort() };
  let server = await serve(options);
  await server.ok('deploy', 'web', '--target', app.url, '--host', 'localhost');
  await server.ok('pause', 'web');
  const workers = server.workers();
  server.signal('SIGKILL');
  await server.ended;
  await until(() => !workers.some(lives), 'the end of its workers', 5_000);
  server = await serve(options);
  let isDone = false;
  const page = get(server.port).finally(() => {
    isDone = true;
  });
  await sleep(300);
  assert.not.ok(isDone, 'it waits');
  await server.ok('resume', 'web');
  assert.is((await page).text, 'app /');
  assert.is((await server.stop()).code, 0);
});

trouble(
  'workers that are killed amid a deploy, and one that stands still: it ends well, and is in force on all',
  async () => {
    const [old, next] = await Promise.all([startApp('old'), startApp('next')]);
    await withServer(
      async (server) => {
        const only = async (text: string) =>
          assert.equal(Object.keys(countTexts(await ask(server.port, 100))), [`${text} /`]);
        await server.ok('deploy', 'web', '--target', old.url, '--host', 'localhost');
        next.status = 500;
        const deploy = start(['deploy', 'web', '--target', next.url, '--state-dir', server.stateDir]);
        await until(() => deploy.err().includes('not yet'), 'its first check', 10_000);
        killAll(server.workers());
        next.status = 200;
        assert.is((await within(deploy.ended, 'the deploy', 20_000)).code, 0, deploy.err());
        await until(() => server.workers().length === 2, 'new workers', 10_000);
        await sleep(300);
        await only('next');
        const [still] = server.workers();
        process.kill(still, 'SIGSTOP');
        setTimeout(() => process.kill(still, 'SIGCONT'), 700);
        const began = performance.now();
        await server.ok('rollback', 'web');
        assert.ok(performance.now() - began >= 600, 'it has waited for all');
        await only('old');
      },
      { flags: ['--workers', '2'] },
    );
  },
);

trouble('a pause holds uploads whole, and leaves WebSockets alone', async () => {
  const app = await startApp('app');
  const sizes = await startUpstream((request, response) => {
    let bytes = 0;
    request.on('data', (chunk) => (bytes += chunk.length)).on('end', () => response.end(`${bytes}`));
  });
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', app.url);
      await server.ok('route', 'save', '--id', 'up.localhost', '--target', sizes.target);
      const echo = await openEcho(server);
      await server.ok('pause', 'localhost');
      await server.ok('pause', 'up.localhost');
      assert.is(await echo.echo('open'), 'app: open');
      const body = 'x'.repeat(3_000_000);
      const uploads = Array.from({ length: 4 }, () =>
        get(server.port, '/', { host: 'up.localhost', method: 'POST', body, ms: 15_000 }),
      );
      await sleep(500);
      assert.is(sizes.count, 0);
      await server.ok('resume', 'up.localhost');
      for (const page of await Promise.all(uploads)) assert.equal([page.status, page.text], [200, '3000000']);
      echo.close();
    },
    { flags: ['--workers', '2'] },
  );
});

trouble('instances restarted one after the other under load, each beside its command: no request fails', async () => {
  await withServer(
    async (server) => {
      await server.ok('route', 'save', '--id', 'localhost', '--target', 'service://web');
      const before = await get(server.port);
      assert.is(before.status, 503);
      assert.ok(Number(before.headers['retry-after']) > 0);
      const ports = [await freePort(), await freePort()];
      const run = (port: number, name: string) => {
        const script = `require('node:http').createServer((q, r) => r.end('${name}')).listen(${port}, '127.0.0.1')`;
        const words = ['instance', 'register', '--slug', 'web', '--url', `http://127.0.0.1:${port}`];
        return start([
          ...words,
          '--drain',
          '300ms',
          '--state-dir',
          server.stateDir,
          '--',
          process.execPath,
          '-e',
          script,
        ]);
      };
      const isOn = (program: Program) =>
        until(() => program.err().includes('registered http'), 'its registration', 10_000);
      const old = ports.map((port) => run(port, 'old'));
      for (const program of old) await isOn(program);
      const load = startLoad(server.port, 200);
      await sleep(300);
      for (const [i, program] of old.entries()) {
        program.signal('SIGTERM');
        await within(program.ended, 'its end', 10_000);
        await isOn(run(ports[i], 'new'));
      }
      const done = performance.now();
      await sleep(300);
      const samples = await load.stop();
      const failed = samples.filter(({ status }) => status !== 200);
      assert.equal(failed.slice(0, 3), [], `${failed.length} of ${samples.length} failed`);
      assert.ok(samples.filter(({ startedAt }) => startedAt > done).every(({ text }) => text === 'new'));
      console.log(`${samples.length} requests through a rolling restart, none failed`);
    },
    { flags: ['--workers', '2'] },
  );
});

trouble.run();
