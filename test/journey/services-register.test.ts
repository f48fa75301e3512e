import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { startApp, startAppProcess } from './apps.ts';
import { freePort, get, lives, type Page, run, type Server, serve, start, withServer } from './oo.ts';

const register = suite('oo instance register');
register.after.each(cleanUp);

/** Asks the service port until the answer is so. @returns how long that took, ms */
async function answers(server: Server, is: (page: Page) => boolean, what: string, ms = 10_000): Promise<number> {
  const began = performance.now();
  for (;;) {
    const page = await get(server.adminPort, '/user-svc/x').catch(() => undefined);
    const took = performance.now() - began;
    if (page && is(page)) return Math.round(took);
    if (took > ms) throw new Error(`${what}: not within ${ms} ms, but ${page?.status} ${page?.text}`);
    await sleep(20);
  }
}

const serves = (page: Page) => page.status === 200;
const isOut = (page: Page) => page.status === 503 || page.status === 404;

register(
  'it keeps its heartbeat through kill -9 of the server and its restart, and deregisters at SIGTERM',
  async () => {
    const app = await startApp('app');
    const options = { stateDir: temporary(), port: await freePort(), adminPort: await freePort() };
    let server = await serve(options);
    const words = ['instance', 'register', '--slug', 'user-svc', '--url', app.url, '--ttl', '5s'];
    const keeper = start([...words, '--state-dir', options.stateDir]);
    await answers(server, serves, 'the first request');
    server.signal('SIGKILL');
    await server.ended;
    server = await serve(options);
    console.log(`after a restart: served after ${await answers(server, serves, 'after the restart')} ms`);
    // Longer than it would live without a heartbeat.
    await sleep(6_000);
    assert.is((await get(server.adminPort, '/user-svc/x')).text, 'app /user-svc/x');
    assert.not.ok(keeper.hasEnded(), keeper.err());
    const { code } = await keeper.stop();
    assert.is(code, 0, keeper.err());
    await answers(server, isOut, 'out at once', 1_000);
    assert.not.match((await server.ok('instance', 'ls')).out, app.url);
    assert.is((await server.stop()).code, 0);
  },
);

register('by a token, over the service port; a wrong one is refused in one line', async () => {
  const app = await startApp('app');
  await withServer(async (server) => {
    const token = (await server.ok('token', 'create', '--service', 'user-svc', '-q')).out.trim();
    const at = `http://127.0.0.1:${server.adminPort}`;
    const env = { OO_URL: at, OO_TOKEN: token };
    const keeper = start(['instance', 'register', '--url', app.url], { env });
    await answers(server, serves, 'the first request');
    await keeper.stop();
    await answers(server, isOut, 'out');
    const wrong = await run(['instance', 'register', '--url', app.url], { env: { ...env, OO_TOKEN: 'oo_wrong' } });
    assert.is.not(wrong.code, 0);
    assert.match(wrong.err, /^oo: .*token/i);
  });
});

register('-- command: it is registered while the command listens, and its exit code is the command’s', async () => {
  await withServer(async (server) => {
    const port = await freePort();
    const script = `const s = require('node:http').createServer((q, r) => r.end('child')).listen(${port}, '127.0.0.1');
      process.on('SIGTERM', () => { s.close(() => process.exit(7)); s.closeAllConnections(); });`;
    const words = ['instance', 'register', '--slug', 'user-svc', '--url', `http://127.0.0.1:${port}`];
    const beside = start([
      ...words,
      '--drain',
      '100ms',
      '--state-dir',
      server.stateDir,
      '--',
      process.execPath,
      '-e',
      script,
    ]);
    await answers(server, serves, 'the first request');
    const children = beside.tree();
    beside.signal('SIGTERM');
    assert.is((await within(beside.ended, 'the end of both', 10_000)).code, 7, beside.err());
    await until(() => !children.some(lives), 'no process is left');
    await answers(server, isOut, 'out');
    // A command that ends by itself.
    const short = await run([
      ...words,
      '--state-dir',
      server.stateDir,
      '--',
      process.execPath,
      '-e',
      'process.exit(3)',
    ]);
    assert.is(short.code, 3, short.err);
  });
});

register(
  'one that dies without a word is out by its failed probes, or by its time to live: whichever is first',
  async () => {
    await withServer(async (server) => {
      const define = (health: object) =>
        run(['definition', 'save', '-', '--state-dir', server.stateDir], {
          input: JSON.stringify({ id: 'user-svc', health }),
        });
      // Probes are quick, the time to live is long.
      await define({ kind: 'tcp', intervalMs: 200, fall: 2, rise: 1, timeoutMs: 500 });
      const probed = await startAppProcess('probed');
      await server.ok('instance', 'save', '--slug', 'user-svc', '--url', probed.url, '--ttl', '1h');
      await answers(server, serves, 'the first request');
      probed.kill();
      const byProbes = await answers(server, isOut, 'out by probes', 3_000);
      assert.match((await server.ok('instance', 'ls')).out, 'Unreachable');
      // The time to live is short, and its port still answers: only the heartbeat has stopped.
      await define({ kind: 'tcp', intervalMs: 60_000 });
      const silent = await startApp('silent');
      const words = ['instance', 'register', '--slug', 'user-svc', '--url', silent.url, '--ttl', '5s'];
      const keeper = start([...words, '--state-dir', server.stateDir]);
      await answers(server, ({ text }) => text.startsWith('silent'), 'the other');
      keeper.signal('SIGKILL');
      const byTtl = await answers(server, ({ text }) => !text.startsWith('silent'), 'out by its time to live', 12_000);
      assert.not.match((await server.ok('instance', 'ls')).out, silent.url);
      console.log(
        `out by probes after ${byProbes} ms (200 ms, 2 in a row), by a time to live of 5 s after ${byTtl} ms`,
      );
    });
  },
);

register.run();
