import { existsSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { freePort, get, isFree, killAll, lives, type Server, serve, start, withServer } from '../journey/oo.ts';
import { startUpstream } from '../journey/upstream.ts';

const serving = suite('oo serve');
serving.after.each(cleanUp);

serving('greets with what it listens on and its database, in a directory that only its user can read', async () => {
  const stateDir = join(temporary(), 'not/there/yet');
  await withServer(
    async (server) => {
      const [first, second, ...more] = server.err().split('\n');
      assert.is(
        first,
        `oo listens on port ${server.port} (HTTP, all addresses) and 127.0.0.1:${server.adminPort} (service and admin).`,
      );
      assert.is(second, `Database: ${stateDir}/oo.db`);
      assert.equal(more, ['']);
      assert.is(server.out(), '');
      assert.is(existsSync(join(stateDir, 'encryption.key')), false, 'test mode needs no key');
      assert.is(statSync(stateDir).mode & 0o777, 0o700);
      assert.is(statSync(join(stateDir, 'oo.db')).mode & 0o077, 0);
      assert.is(statSync(join(stateDir, 'oo.sock')).mode & 0o777, 0o600);
      assert.is((await get(server.port, '/x', { host: 'nobody.example' })).status, 404);
    },
    { stateDir },
  );
  assert.is(existsSync(join(stateDir, 'oo.sock')), false, 'the socket is taken away');
});

serving('has as many workers as it is told, which all answer', async () => {
  await withServer(
    async (server) => {
      assert.is(server.workers().length, 3);
      const pages = await Promise.all(Array.from({ length: 30 }, () => get(server.port)));
      assert.ok(pages.every(({ status }) => status === 404));
    },
    { flags: ['--workers', '3'] },
  );
});

/** An app whose answer takes its time: six parts, 100 ms apart. `/hang` sends the first and no more. */
async function withSlowApp(test: (server: Server) => Promise<void>, flags: string[] = []): Promise<void> {
  const app = await startUpstream(async (request, response) => {
    for (let part = 0; part < 6; part++) {
      response.write(`part ${part}\n`);
      if (request.url === '/hang') return;
      await sleep(100);
    }
    response.end();
  });
  const server = await serve({ flags, through: ['/usr/bin/setsid'] });
  try {
    await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
    await test(server);
  } finally {
    killAll(server.tree());
    app.close();
  }
}

const whole = Array.from({ length: 6 }, (_, part) => `part ${part}\n`).join('');

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  serving(`${signal}: what runs ends whole, nothing new is taken, then exit code 0`, async () => {
    await withSlowApp(async (server) => {
      const agent = new Agent({ keepAlive: true });
      const idle = await get(server.port, '/none', { host: 'nobody.example', agent });
      assert.is(idle.status, 404);
      const running = get(server.port);
      await sleep(150);
      const all = server.tree();
      // A terminal sends Ctrl-C to the whole group, the workers too.
      if (signal === 'SIGINT') process.kill(-server.pid, signal);
      else server.signal(signal);
      await until(() => server.err().includes(`${signal}: draining`), 'word of draining');
      await sleep(100);
      const refused = await get(server.port).catch((error: NodeJS.ErrnoException) => error.code);
      assert.is(refused, 'ECONNREFUSED');
      assert.is((await running).text, whole);
      const ended = await within(server.ended, 'the end after the drain');
      assert.equal(ended, { code: 0, signal: null });
      assert.equal(all.filter(lives), []);
      assert.ok(await isFree(server.port));
      agent.destroy();
    });
  });
}

serving('a request on a kept connection while it drains is answered, with an end to the connection', async () => {
  await withSlowApp(async (server) => {
    const running = get(server.port);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await get(server.port, '/', { host: 'nobody.example', agent });
    server.signal('SIGTERM');
    await until(() => server.err().includes('draining'), 'word of draining');
    await sleep(50);
    const late = await get(server.port, '/', { host: 'nobody.example', agent });
    assert.equal([late.status, late.headers.connection], [404, 'close']);
    assert.is((await running).text, whole);
    assert.is((await within(server.ended, 'the end')).code, 0);
    agent.destroy();
  });
});

serving('a second signal ends all at once', async () => {
  await withSlowApp(async (server) => {
    const running = get(server.port, '/hang').catch((error: NodeJS.ErrnoException) => error.code);
    await sleep(100);
    const all = server.tree();
    server.signal('SIGTERM');
    await until(() => server.err().includes('once more ends at once'), 'word of draining');
    await sleep(300);
    assert.is(server.hasEnded(), false);
    server.signal('SIGTERM');
    const { code } = await within(server.ended, 'the end', 3_000);
    assert.is(code, 1);
    assert.type(await running, 'string');
    await until(() => !all.some(lives), 'the end of every process', 5_000);
  });
});

serving('what does not end within --drain-timeout is cut', async () => {
  const flags = ['--drain-timeout', '400ms'];
  await withSlowApp(async (server) => {
    const running = get(server.port, '/hang').catch((error: NodeJS.ErrnoException) => error.code);
    await sleep(100);
    const asked = performance.now();
    server.signal('SIGTERM');
    const { code } = await within(server.ended, 'the end', 5_000);
    const took = performance.now() - asked;
    assert.ok(took > 350 && took < 5_000, `${took} ms`);
    assert.is(code, 0);
    assert.type(await running, 'string');
  }, flags);
});

serving('an idle WebSocket does not keep it past --drain-timeout', async () => {
  await withServer(
    async (server) => {
      const app = await startUpstream('');
      app.server.on('upgrade', (_, socket: net.Socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello');
      });
      await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
      const client = net.connect(server.port, '127.0.0.1');
      client.on('error', () => {});
      let got = '';
      client.on('data', (chunk) => (got += chunk));
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      await until(() => got.endsWith('hello'), 'the tunnel');
      server.signal('SIGTERM');
      await within(server.ended, 'the end', 3_000);
      client.destroy();
      app.close();
    },
    { flags: ['--drain-timeout', '300ms'] },
  );
});

serving('a signal while it starts ends it and its workers', async () => {
  for (const delay of [30, 80, 130, 180]) {
    const port = await freePort();
    const args = ['--http-port', `${port}`, '--admin-port', `${await freePort()}`, '--state-dir', temporary()];
    const program = start(['serve', '--test-mode', ...args]);
    await sleep(delay);
    const all = program.tree();
    program.signal('SIGTERM');
    await within(program.ended, 'the end', 2_000);
    await until(() => !all.some(lives), 'the end of every process', 2_000);
    assert.ok(await isFree(port));
  }
});

serving.run();
