import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { residentBytes, showMiB } from './memory.ts';
import { get, run, type Server, serve, withServer } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const routes = suite('100,000 routes');

const count = 100_000;
const dir = temporary();
const file = join(dir, 'routes.yaml');
let app: Upstream;
let server: Server;

/** What it returns, and how long it took, s. */
async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - began) / 1000).toFixed(2)} s`);
  return result;
}

routes.before(async () => {
  app = await startUpstream((request, response) => response.end(`${request.headers.host}${request.url}`));
  server = await serve({ stateDir: join(dir, 'state') });
  const lines = Array.from({ length: count }, (_, i) => `- id: h${i}.example.com/p${i % 3}\n  target: ${app.target}\n`);
  writeFileSync(file, lines.join(''));
});

routes.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  assert.is(code, 0);
});

/** Asks a worker each time, over kept connections, while `work` runs. @returns the slowest answer, ms */
async function slowestDuring(work: () => Promise<unknown>): Promise<number> {
  let slowest = 0;
  let working = true;
  const asking = Array.from({ length: 4 }, async () => {
    const agent = new Agent({ keepAlive: true });
    while (working) {
      const began = performance.now();
      assert.is((await get(server.port, '/', { host: 'first.localhost', agent })).status, 200);
      slowest = Math.max(slowest, performance.now() - began);
      await sleep(5);
    }
    agent.destroy();
  });
  await work().finally(() => (working = false));
  await Promise.all(asking);
  return Math.round(slowest);
}

routes('a file is saved in seconds; traffic goes on meanwhile; each is matched at once', async () => {
  await server.ok('route', 'save', '--id', 'first.localhost', '--target', app.target);
  const slowest = await slowestDuring(async () => {
    const saved = await timed(`save ${count} routes from YAML`, () =>
      run(['route', 'save', file, '--state-dir', server.stateDir], {}, 60_000),
    );
    assert.is(saved.code, 0, saved.err);
    assert.match(saved.err, `${count} created; revision`);
  });
  console.log(`slowest answer meanwhile: ${slowest} ms`);
  assert.ok(slowest < 2_000, `${slowest} ms`);
  for (const i of [0, 1, 49_999, 99_998, 99_999]) {
    const host = `H${i}.Example.com`;
    assert.is((await get(server.port, `/p${i % 3}/x`, { host })).text, `${host}/p${i % 3}/x`);
    assert.is((await get(server.port, `/p${(i + 1) % 3}/x`, { host })).status, 404);
  }
  assert.is((await get(server.port, '/', { host: `h${count}.example.com` })).status, 404);
});

routes('oo routes ls -q has a line for each', async () => {
  const { out } = await timed('routes ls -q', () => server.ok('routes', 'ls', '-q'));
  const lines = out.trimEnd().split('\n');
  assert.is(lines.length, count + 1);
  assert.is(new Set(lines).size, count + 1);
});

routes('saving the file again changes nothing; one route more is there at once', async () => {
  const again = await timed('save them again', () => server.ok('route', 'save', file));
  assert.match(again.err, `${count} unchanged; revision`);
  await timed('save one more', () => server.ok('route', 'save', '--id', 'more.localhost', '--target', app.target));
  const pages = await Promise.all(Array.from({ length: 20 }, () => get(server.port, '/', { host: 'more.localhost' })));
  assert.ok(pages.every(({ status }) => status === 200));
});

routes('after kill -9 all are there, within seconds', async () => {
  server.signal('SIGKILL');
  await server.ended;
  const { port, adminPort, stateDir } = server;
  server = await timed('start with them', () => serve({ port, adminPort, stateDir }));
  assert.is((await get(port, '/p1', { host: 'h40000.example.com' })).text, 'h40000.example.com/p1');
  console.log(`memory of ${server.tree().length} processes: ${showMiB(residentBytes(server.tree()))}`);
});

const idle = suite('idle connections');
idle.after.each(cleanUp);

idle('2,000 kept ones cost little, and a fresh request is answered', async () => {
  const small = await startUpstream('small');
  await withServer(async (one) => {
    await one.ok('route', 'save', '--id', 'localhost', '--target', small.target);
    await get(one.port);
    const before = residentBytes(one.tree());
    const sockets: net.Socket[] = [];
    let answered = 0;
    for (let i = 0; i < 2_000; i += 100) {
      for (let j = 0; j < 100; j++) {
        const socket = net.connect(one.port, '127.0.0.1');
        socket.on('error', () => {});
        let got = '';
        socket.setEncoding('latin1').on('data', (text) => {
          got += text;
          if (got.endsWith('small')) answered++;
        });
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
        sockets.push(socket);
      }
      await until(() => answered === i + 100, `${i + 100} answers`, 10_000);
    }
    const each = (residentBytes(one.tree()) - before) / sockets.length;
    console.log(`2,000 idle connections: ${(each / 1024).toFixed(1)} KiB each`);
    assert.ok(each < 40 * 1024, `${each} bytes`);
    assert.is((await get(one.port)).text, 'small');
    assert.is(sockets.filter(({ destroyed, readableEnded }) => destroyed || readableEnded).length, 0);
    // A drain does not wait for them.
    const began = performance.now();
    one.signal('SIGTERM');
    await within(one.ended, 'the end', 5_000);
    console.log(`drained after ${Math.round(performance.now() - began)} ms`);
    for (const socket of sockets) socket.destroy();
  });
  small.close();
});

routes.run();
idle.run();
