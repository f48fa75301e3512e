import { request } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import { until, within } from '../helpers/wait.ts';
import { type Sample, startLoad } from './load.ts';
import { get, run, type Server, withServer } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

const change = suite('live change');
change.after.each(cleanUp);

/** From when to when the answers of an app were right. */
interface Reign {
  readonly name: string;
  readonly from: number;
  to: number;
}

/** Saves the route for each app in turn; from before the save begins to after the next has returned, its answer is right. */
async function changes(server: Server, apps: Upstream[], first: string, count: number): Promise<Reign[]> {
  const reigns: Reign[] = [{ name: first, from: 0, to: Number.POSITIVE_INFINITY }];
  for (let i = 1; i <= count; i++) {
    const at = i % apps.length;
    const from = performance.now();
    await server.ok('route', 'save', '--id', 'localhost', '--target', apps[at].target);
    reigns[i - 1].to = performance.now();
    reigns.push({ name: `app ${at}`, from, to: Number.POSITIVE_INFINITY });
  }
  return reigns;
}

function isRight({ startedAt, endedAt, status, text }: Sample, reigns: Reign[]): boolean {
  return status === 200 && reigns.some(({ name, from, to }) => name === text && from <= endedAt && to >= startedAt);
}

/** A WebSocket through oo that stays open. */
async function openEcho(port: number): Promise<{ echo(text: string): Promise<string>; socket: WebSocket }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { host: 'ws.localhost' } });
  await within(new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)), 'the WebSocket');
  const echo = (text: string) =>
    within(
      new Promise<string>((resolve) => {
        socket.once('message', (data) => resolve(String(data)));
        socket.send(text);
      }),
      `the echo of ${text}`,
    );
  return { echo, socket };
}

change('20 changes under 300 requests a second: none fails, each answer is of a target in force', async () => {
  const apps = await Promise.all(Array.from({ length: 3 }, (_, i) => startUpstream(`app ${i}`)));
  const echo = await startUpstream('');
  const sockets = new WebSocketServer({ server: echo.server });
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
  const events = await startUpstream((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    let sent = 0;
    const timer = setInterval(() => response.write(`data: ${sent++}\n\n`), 20);
    response.on('close', () => clearInterval(timer));
  });
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', apps[0].target);
    await server.ok('route', 'save', '--id', 'ws.localhost', '--target', echo.target);
    await server.ok('route', 'save', '--id', 'sse.localhost', '--target', events.target);
    const ws = await openEcho(server.port);
    assert.is(await ws.echo('before'), 'before');
    let stream = '';
    const sse = request({ port: server.port, host: '127.0.0.1', headers: { host: 'sse.localhost' } });
    sse.on('response', (response) => response.setEncoding('utf8').on('data', (text) => (stream += text)));
    sse.end();
    await until(() => stream.includes('data: 2\n'), 'events');

    const load = startLoad(server.port, 300);
    const reigns = await changes(server, apps, 'app 0', 20);
    // The routes of what is open change too: to another target, then away.
    await server.ok('route', 'save', '--id', 'ws.localhost', '--target', apps[0].target);
    await server.ok('route', 'rm', 'sse.localhost');
    const samples = await load.stop();

    const wrong = samples.filter((sample) => !isRight(sample, reigns));
    assert.equal(wrong.slice(0, 5), [], `${wrong.length} of ${samples.length}`);
    assert.ok(samples.length > 300, `${samples.length} requests`);
    assert.equal([...new Set(samples.map(({ text }) => text))].sort(), ['app 0', 'app 1', 'app 2']);
    console.log(`${samples.length} requests during 22 changes`);

    assert.is(await ws.echo('after'), 'after');
    const seen = stream.length;
    await until(() => stream.length > seen + 20, 'more events after the change');
    const numbers = [...stream.matchAll(/data: (\d+)\n\n/g)].map(([, n]) => Number(n));
    assert.equal(
      numbers,
      Array.from(numbers, (_, i) => i),
      'every event, in order',
    );
    assert.is((await get(server.port, '/', { host: 'sse.localhost' })).status, 404);
    ws.socket.terminate();
    sse.destroy();
  });
  for (const app of [...apps, echo, events]) app.close();
  sockets.close();
});

change('a save works at once on every worker, and so does a removal', async () => {
  const [a, b] = await Promise.all([startUpstream('a'), startUpstream('b')]);
  await withServer(
    async (server) => {
      const answers = () =>
        Promise.all(Array.from({ length: 64 }, () => get(server.port, '/', { host: 'new.localhost' })));
      for (let round = 0; round < 4; round++) {
        for (const app of [a, b]) {
          await server.ok('route', 'save', '--id', 'new.localhost', '--target', app.target);
          const texts = new Set((await answers()).map(({ text }) => text));
          assert.equal([...texts], [app === a ? 'a' : 'b']);
        }
        await server.ok('route', 'rm', 'new.localhost');
        const statuses = new Set((await answers()).map(({ status }) => status));
        assert.equal([...statuses], [404]);
      }
    },
    { flags: ['--workers', '4'] },
  );
  a.close();
  b.close();
});

change('a refused save changes nothing, whatever else it holds', async () => {
  const app = await startUpstream('app');
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
    const before = (await server.ok('routes', 'ls', '-o', 'json')).out;
    const input = `id: localhost\ntarget: 127.0.0.1:9\n---\nid: other.localhost\ntarget: ftp://nowhere\n`;
    const refused = await server.cli('route', 'save', '--id', 'localhost', '--target', 'ftp://nowhere');
    assert.is(refused.code, 2);
    const ran = await run(['route', 'save', '-', '--state-dir', server.stateDir], { input });
    assert.is(ran.code, 1);
    assert.match(ran.err, /^stdin:5: /);
    assert.match(ran.err, 'nothing was saved');
    assert.is((await server.ok('routes', 'ls', '-o', 'json')).out, before);
    assert.is((await get(server.port)).text, 'app');
  });
  app.close();
});

change.run();
