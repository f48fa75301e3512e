import net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect, type RawClient } from '../helpers/client.ts';
import { reply } from '../helpers/origin.ts';
import { type Pair, startEdge, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const timeouts = suite('time-outs');
timeouts.after.each(cleanUp);

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;

/** A server that lets nobody in: its queue of connections is full, so that SYNs are dropped. */
async function startFull(): Promise<{ port: number; close: () => void }> {
  const { Worker } = await import('node:worker_threads');
  const code = `
    const net = require('node:net');
    const { parentPort } = require('node:worker_threads');
    const server = net.createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      // Busy: nothing is accepted any more.
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 10);
    });`;
  const worker = new Worker(code, { eval: true });
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  await sleep(50);
  const fillers = Array.from({ length: 8 }, () => net.connect({ port, host: '127.0.0.1' }).on('error', () => {}));
  await sleep(50);
  const close = () => {
    for (const filler of fillers) filler.destroy();
    void worker.terminate();
  };
  return { port, close };
}

timeouts('to connect: 504, tried once', async () => {
  const full = await startFull();
  const edge = await startEdge([{ id: '*', target: `127.0.0.1:${full.port}` }], { connectTimeoutMs: 500 });
  const started = performance.now();
  const answer = await ask(edge.port, get());
  assert.is(answer.status, 504);
  assert.is(answer.get('x-oo-code'), 'OO_CONNECT_TIMEOUT');
  assert.ok(performance.now() - started < 3_000);
  edge.close();
  full.close();
});

timeouts('for the head of a response: 504, asked once, also where the connection was used before', () =>
  withPair(
    ({ line }) => (line.includes('/quick') ? reply(line) : 'HTTP/1.1 200 OK\r\nX-Half: '),
    async ({ port, origin, errors }) => {
      const client = connect(port).send(get('/quick'));
      await client.response();
      client.send(get('/slow'));
      const answer = await client.response();
      assert.is(answer.status, 504);
      assert.is(answer.get('x-oo-code'), 'OO_UPSTREAM_TIMEOUT');
      assert.is(origin.requests.filter(({ line }) => line.includes('/slow')).length, 1);
      await until(() => origin.connections[0].ended !== '', 'the connection to be discarded');
      client.send(get('/quick'));
      assert.is((await client.response()).status, 200);
      assert.is(errors.length, 1);
      client.close();
    },
    { settings: { responseTimeoutMs: 400 } },
  ),
);

timeouts('a route has time-outs of its own; a response that drips in time is not cut', () =>
  withPair(
    ({ line }, connection) => {
      if (line.includes('/silent')) return;
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n');
      let left = 12;
      const timer = setInterval(() => {
        connection.send('x');
        if (--left === 0) clearInterval(timer);
      }, 100);
    },
    async ({ port }) => {
      assert.is((await ask(port, get('/drip'))).text, 'x'.repeat(12));
      const started = performance.now();
      assert.is((await ask(port, get('/silent'))).status, 504);
      assert.ok(performance.now() - started > 500);
    },
    {
      settings: { responseTimeoutMs: 60_000, idleTimeoutMs: 60_000 },
      route: { responseTimeoutMs: 800, idleTimeoutMs: 800 },
    },
  ),
);

timeouts('an upstream silent inside a body: the client is cut off', () =>
  withPair(
    (_, connection) => void connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'),
    async ({ port, origin }) => {
      const client = connect(port).send(get());
      assert.is(await client.gone(), 'reset');
      assert.ok(client.text.endsWith('part'));
      await until(() => origin.connections[0].ended !== '', 'the upstream connection to go');
      client.close();
    },
    { settings: { idleTimeoutMs: 400 } },
  ),
);

timeouts('a client silent inside its body: 408, and the upstream is left', () =>
  withPair(
    {},
    async ({ port, origin }) => {
      for (const framing of ['Content-Length: 100\r\n\r\npart', 'Transfer-Encoding: chunked\r\n\r\n64\r\npart']) {
        const client = connect(port).send(`POST / HTTP/1.1\r\nHost: app.test\r\n${framing}`);
        const answer = await client.response();
        assert.is(answer.status, 408);
        assert.is(answer.get('connection'), 'close');
        await client.gone();
        await until(() => origin.connections.at(-1)!.ended !== '', 'the upstream connection to go');
        client.close();
      }
    },
    { settings: { idleTimeoutMs: 400 } },
  ),
);

const isPending = ({ edge }: Pair) => [...edge.clients].some((client) => client.isWritePending());

/** Asks for small answers, one after another, until the kernel takes no more of them. @returns how many */
async function askUntilPending(pair: Pair, client: RawClient): Promise<number> {
  let sent = 0;
  for (; !isPending(pair) && sent < 5_000; sent++) {
    assert.is(client.ended, '');
    client.send(get('/small'));
    await sleep(0);
  }
  return sent;
}

for (const path of ['/large', '/small'])
  timeouts(`a client that takes nothing of ${path}, even if it trickles: cut off, and not with a clean end`, () =>
    withPair(
      ({ line }, connection) => {
        if (line.includes('/small')) return reply('x'.repeat(15_000));
        connection.record = false;
        connection.send('HTTP/1.1 200 OK\r\n\r\n').send(Buffer.alloc(30_000_000)).socket.end();
        return undefined;
      },
      async (pair) => {
        const client = connect(pair.port);
        client.socket.pause();
        if (path === '/small') await askUntilPending(pair, client);
        else client.send(get(path));
        await until(() => isPending(pair), 'a pending write');
        // Unread bytes would make the kernel reset by itself.
        const timer = setInterval(() => path === '/large' && client.send('x'), 100);
        await until(() => pair.edge.clients.size === 0, 'the client to be cut off');
        clearInterval(timer);
        client.socket.resume();
        assert.is(await client.gone(), 'reset');
        client.close();
      },
      { settings: { idleTimeoutMs: 500 } },
    ),
  );

timeouts('an upstream that takes nothing of a body: 504', () =>
  withPair(
    { connected: ({ socket }) => void socket.pause() },
    async ({ port }) => {
      const client = connect(port).send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 30000000\r\n\r\n');
      client.send(Buffer.alloc(30_000_000));
      assert.is((await client.response({ ms: 8_000 })).status, 504);
      client.close();
    },
    { settings: { idleTimeoutMs: 500 } },
  ),
);

timeouts('no byte, and an idle connection: closed without a word; half a head: 408', () =>
  withPair(
    echoLine,
    async ({ port }) => {
      const silent = connect(port);
      const half = connect(port).send('GET / HTTP/1.1\r\nHost: a');
      const idle = connect(port).send(get());
      await idle.response();
      const second = connect(port).send(get());
      await second.response();
      second.send('GET / HT');
      for (const client of [half, second]) {
        const answer = await client.response();
        assert.is(answer.status, 408);
        assert.is(answer.get('connection'), 'close');
        await client.gone();
      }
      for (const client of [silent, idle]) {
        assert.is(await client.gone(), 'end');
        assert.is(client.text, '');
      }
      for (const client of [silent, half, idle, second]) client.close();
    },
    { settings: { headTimeoutMs: 1_000, keepAliveTimeoutMs: 1_200 } },
  ),
);

timeouts('bytes that trickle do not lengthen the time for a head', () =>
  withPair(
    echoLine,
    async ({ port }) => {
      const client = connect(port).send('GET / HTTP/1.1\r\nHost: app.test\r\n');
      const timer = setInterval(() => client.send('X-A: b\r\n'), 50);
      const started = performance.now();
      assert.is((await client.response()).status, 408);
      assert.ok(performance.now() - started < 3_000);
      clearInterval(timer);
      client.close();
    },
    { settings: { headTimeoutMs: 600 } },
  ),
);

timeouts('a slow reader of the last answer is not idle', () =>
  withPair(
    () => reply('x'.repeat(15_000)),
    async (pair) => {
      const client = connect(pair.port);
      client.socket.pause();
      const sent = await askUntilPending(pair, client);
      await sleep(2_200);
      client.socket.resume();
      await until(() => client.total === sent * reply('x'.repeat(15_000)).length, 'every byte of every answer');
      client.close();
    },
    { settings: { keepAliveTimeoutMs: 1_500 } },
  ),
);

timeouts('an idle upstream connection is closed after its time, or a little before the upstream would', () =>
  withPair(
    ({ line }) => reply(line, line.includes('/hint') ? 'Keep-Alive: timeout=2\r\n' : ''),
    async ({ port, origin }) => {
      await ask(port, get('/x'));
      await until(() => origin.connections[0].ended === 'end', 'the end of the idle one', 6_000);
      const started = performance.now();
      await ask(port, get('/hint'));
      await until(() => origin.connections[1].ended === 'end', 'the end before its 2 s');
      assert.ok(performance.now() - started < 2_000);
    },
    { settings: { upstreamIdleMs: 1_500 } },
  ),
);

timeouts.run();
