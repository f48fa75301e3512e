import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';
import { until, within } from '../helpers/wait.ts';

const websocket = suite('websocket');
websocket.after.each(cleanUp);

/** A WebSocket echo behind an edge, with a plain page on the same port. */
async function withEcho(
  test: (edge: TestEdge, server: WebSocketServer) => Promise<void>,
  onConnection?: (socket: WebSocket) => void,
): Promise<void> {
  const web = http.createServer((_, response) => response.end('page'));
  const server = new WebSocketServer({ server: web, maxPayload: 64 * 1024 * 1024 });
  server.on('connection', (socket) => {
    onConnection?.(socket);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const target = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  const edge = await startEdge([{ id: '*', target }]);
  try {
    await test(edge, server);
  } finally {
    edge.close();
    for (const socket of server.clients) socket.terminate();
    server.close();
    web.close();
  }
}

async function open(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/echo?x=1`, ['chat'], { maxPayload: 64 * 1024 * 1024 });
  await within(once(socket, 'open'), 'open');
  return socket;
}

async function echo(socket: WebSocket, message: string | Buffer): Promise<Buffer> {
  socket.send(message);
  const [data] = await within(once(socket, 'message'), 'the echo', 10_000);
  return data as Buffer;
}

websocket('echoes small and large, text and binary, and closes with its code', () =>
  withEcho(async ({ port, edge }) => {
    const socket = await open(port);
    assert.is(socket.protocol, 'chat');
    assert.is(String(await echo(socket, 'hällo')), 'hällo');
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 300_000, 8_000_000]) {
      const data = randomBytes(size);
      assert.ok(data.equals(await echo(socket, data)), `${size} bytes`);
    }
    socket.ping();
    await within(once(socket, 'pong'), 'the pong');
    socket.close(4001, 'enough');
    const [code, reason] = await within(once(socket, 'close'), 'the close');
    assert.is(code, 4001);
    assert.is(String(reason), 'enough');
    await until(() => edge.clients.size === 0 && edge.upstreams.size === 0, 'both connections to go');
  }),
);

websocket('frames that the server sends right behind its 101 arrive', () =>
  withEcho(
    async ({ port }) => {
      for (let i = 0; i < 20; i++) {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
        const got: string[] = [];
        socket.on('message', (data) => got.push(String(data)));
        await until(() => got.length === 3, 'three frames');
        assert.equal(got, ['one', 'two', 'three']);
        socket.terminate();
      }
    },
    (socket) => {
      for (const text of ['one', 'two', 'three']) socket.send(text);
    },
  ),
);

websocket('fifty at once, with pages in between, keep apart', () =>
  withEcho(async ({ port }) => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open(port)));
    for (let round = 0; round < 5; round++) {
      const page = fetch(`http://127.0.0.1:${port}/`).then((response) => response.text());
      const echoes = sockets.map((socket, i) => echo(socket, `${round}-${i}-${'x'.repeat(i * 100)}`));
      for (const [i, data] of (await Promise.all(echoes)).entries())
        assert.is(String(data), `${round}-${i}-${'x'.repeat(i * 100)}`);
      assert.is(await within(page, 'the page'), 'page');
    }
    for (const socket of sockets) socket.terminate();
  }),
);

websocket('a server that goes away ends its clients', () =>
  withEcho(async ({ port }, server) => {
    const socket = await open(port);
    const closed = once(socket, 'close');
    for (const peer of server.clients) peer.terminate();
    const [code] = await within(closed, 'the close');
    assert.is(code, 1006);
  }),
);

websocket.run();
