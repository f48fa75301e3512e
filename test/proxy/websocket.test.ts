import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import {
  createProxy,
  nodeUpgrade,
  type ProxyOptions,
  type ProxyRoute,
  routeOptions,
  websocket,
} from '../../src/index.ts';
import { mostWaiting, upgradeOf } from '../../src/proxy/websocket.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { startOrigin } from '../helpers/origin.ts';
import { until, within } from '../helpers/wait.ts';

const tunnels = suite('WebSockets of the portable proxy, on Node');
tunnels.after.each(cleanUp);

async function front(
  target: string,
  more: Partial<ProxyRoute> = {},
  options: Partial<ProxyOptions> = {},
): Promise<number> {
  const proxy = createProxy({ routes: [{ id: 'app.test', target, ...more }], options: routeOptions, ...options });
  const server = serve({ fetch: proxy.fetch, port: 0, hostname: '127.0.0.1', overrideGlobalObjects: false });
  server.on('upgrade', nodeUpgrade(proxy));
  closeLater({ close: () => server.close() });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server that greets, echoes, and notes how each WebSocket ends. */
async function echo() {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  const ends: string[] = [];
  const pings: string[] = [];
  server.on('connection', (socket, { url = '' }) => {
    socket.send('hello');
    socket.on('error', () => {});
    socket.on('ping', (data) => pings.push(String(data)));
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.on('close', (code, reason) => ends.push(`${code} ${reason}`));
    if (url === '/end') socket.close(1012, 'again');
    if (url === '/cut') socket.terminate();
  });
  closeLater({
    close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  });
  await once(server, 'listening');
  return { target: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ends, pings };
}

function dial(port: number, path = '/', protocols: string[] = []) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { headers: { host: 'app.test' } });
  closeLater({ close: () => socket.terminate() });
  const got: string[] = [];
  socket.on('error', () => {});
  socket.on('message', (data, binary) => got.push(`${binary ? 'bytes' : 'text'} ${(data as Buffer).toString('hex')}`));
  const end = new Promise<string>((resolve) => socket.on('close', (code, reason) => resolve(`${code} ${reason}`)));
  return { socket, got, end };
}

const hex = (text: string) => Buffer.from(text).toString('hex');

tunnels('texts, bytes, nothing and pings go through; what is sent with the handshake is not lost', async () => {
  const { target, ends, pings } = await echo();
  const { socket, got, end } = dial(await front(target), '/', ['p1', 'p2']);
  await until(() => got.length === 1, 'the greeting');
  assert.is(socket.protocol, 'p1');
  socket.send('é');
  socket.send(Buffer.from([0, 255]));
  socket.send('');
  socket.ping('you');
  const pong = await within(once(socket, 'pong'), 'the pong');
  await until(() => got.length === 4, 'the echoes');
  assert.equal([String(pong[0]), pings], ['you', ['you']]);
  assert.equal(got, [`text ${hex('hello')}`, `text ${hex('é')}`, 'bytes 00ff', 'text ']);
  socket.close(1001, 'bye');
  assert.is(await within(end, 'the end'), '1001 bye');
  await until(() => ends.length === 1, 'the end at the upstream');
  assert.equal(ends, ['1001 bye']);
});

tunnels('ends come through from either side, clean or not', async () => {
  const { target, ends } = await echo();
  const port = await front(target);
  assert.is(await within(dial(port, '/end').end, 'an end'), '1012 again');
  assert.is(await within(dial(port, '/cut').end, 'a cut'), '1006 ');
  await until(() => ends.length === 2, 'both');
  const { socket, got } = dial(port);
  await until(() => got.length === 1, 'the greeting');
  socket.terminate();
  await until(() => ends.length === 3, 'the end at the upstream');
  assert.is(ends[2], '1006 ');
});

const handshake = (host = 'app.test', upgrade = 'websocket') =>
  `GET /ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

tunnels('who refuses, refuses in HTTP: the upstream, a guard, a host without a route', async () => {
  const origin = await startOrigin({
    request: () => 'HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno',
  });
  const port = await front(origin.target);
  const refused = await connect(port).send(handshake()).response();
  assert.equal([refused.status, refused.get('x-why'), refused.text], [403, 'no', 'no']);
  const nowhere = await connect(port).send(handshake('other.test')).response();
  assert.equal([nowhere.status, nowhere.get('x-oo-code'), origin.connections.length], [404, 'OO_NO_ROUTE', 1]);
  const guarded = await front(origin.target, { access: { deny: ['127.0.0.1'] } } as Partial<ProxyRoute>);
  assert.is((await connect(guarded).send(handshake()).response()).status, 403);
  const handled = await front(origin.target, { handler: () => new Response('mine', { status: 401 }) });
  const answer = await connect(handled).send(handshake()).response();
  assert.equal([answer.status, answer.text, origin.connections.length], [401, 'mine', 1]);
});

tunnels('another protocol, or an answer that is none, is no tunnel', async () => {
  const origin = await startOrigin({ request: () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain' });
  const port = await front(origin.target);
  for (const upgrade of ['h2c', 'websocket']) {
    const client = connect(port).send(handshake('app.test', upgrade));
    const response = await client.response();
    assert.equal([response.status, response.text], [200, 'plain'], upgrade);
    await until(() => client.ended !== '', 'its end');
  }
  const asked = origin.connections.flatMap(({ requests }) => requests.map((request) => request.get('upgrade')));
  assert.equal(asked, [undefined, 'websocket']);
});

tunnels('a target that is down is 502, and one that says nothing is 504', async () => {
  const silent = await startOrigin({});
  const late = await connect(await front(silent.target, { responseTimeoutMs: 100 }))
    .send(handshake())
    .response();
  assert.equal([late.status, late.get('x-oo-code')], [504, 'OO_UPSTREAM_TIMEOUT']);
  await until(() => silent.connections[0].ended !== '', 'the end at the upstream');
  const down = await connect(await front('http://127.0.0.1:1'))
    .send(handshake())
    .response();
  assert.equal([down.status, down.get('x-oo-code')], [502, 'OO_CONNECT_FAILED']);
});

tunnels('a Host or a target that would be another URL is refused', async () => {
  const { target } = await echo();
  const port = await front(target);
  for (const host of ['app.test/x', 'a@app.test', 'app.test#', ''])
    assert.is((await connect(port).send(handshake(host)).response()).status, 400, host);
});

tunnels('where a runtime gives no way to one, there is none', () => {
  const asked = (headers: Record<string, string>, method = 'GET') =>
    upgradeOf({ request: new Request('http://app.test/', { method, headers }), env: { upgrade: {} } }) !== null;
  assert.ok(asked({ upgrade: 'WebSocket' }));
  assert.not.ok(asked({ upgrade: 'h2c' }));
  assert.not.ok(asked({ upgrade: 'websocket' }, 'POST'));
  assert.is(
    upgradeOf({ request: new Request('http://app.test/', { headers: { upgrade: 'websocket' } }), env: {} }),
    null,
  );
});

tunnels('what Bun is told: no idle end of its own, and nothing is dropped in silence', () => {
  const { idleTimeout, backpressureLimit, closeOnBackpressureLimit } = websocket;
  assert.equal([idleTimeout, backpressureLimit, closeOnBackpressureLimit], [0, mostWaiting, true]);
});

tunnels.run();
