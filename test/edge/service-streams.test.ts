import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { echo, startNode } from '../helpers/http2-origin.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startServicePort } from '../helpers/service-port.ts';
import { until, within } from '../helpers/wait.ts';

const streams = suite('service port: streams');
streams.after.each(cleanUp);

const chunkedHead = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`;

/** A server of Node's own. @returns its url */
async function startHttp(handler: http.RequestListener): Promise<{ url: string; server: http.Server }> {
  const server = http.createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater({ close: () => void server.close().closeAllConnections() });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

streams('a WebSocket goes on after its 101, with its path and its query', async () => {
  const { url, server } = await startHttp((_, response) => response.end('page'));
  const sockets = new WebSocketServer({ server, maxPayload: 16 * 1024 * 1024 });
  const urls: (string | undefined)[] = [];
  sockets.on('connection', (socket, request) => {
    urls.push(request.url);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  closeLater({ close: () => sockets.clients.forEach((socket) => void socket.terminate()) });
  const { port, edge, access } = await startServicePort({ 'chat-svc': [`${url}/base`] });
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat-svc/room%2F1?user=a`, ['chat'], {
    maxPayload: 16 * 1024 * 1024,
  });
  await within(once(socket, 'open'), 'open');
  for (const size of [0, 5, 70_000, 4_000_000]) {
    const data = randomBytes(size);
    socket.send(data);
    const [got] = await within(once(socket, 'message'), 'the echo', 10_000);
    assert.ok(data.equals(got as Buffer), `${size} bytes`);
  }
  assert.equal(urls, ['/base/chat-svc/room%2F1?user=a']);
  assert.is(await (await fetch(`http://127.0.0.1:${port}/chat-svc/`)).text(), 'page');
  socket.close(4001, 'enough');
  const [code] = await within(once(socket, 'close'), 'the close');
  assert.is(code, 4001);
  await until(() => access.some((line) => line.includes('"status":101')), 'the log line');
  assert.match(access.find((line) => line.includes('"status":101'))!, '"route":"service chat-svc"');
  await until(() => [...edge.clients].every((client) => client.isIdle()), 'the tunnel to end');
});

streams('a WebSocket to an unknown service, or to none, is refused as any request', async () => {
  const { port, edge } = await startServicePort({ empty: [] });
  for (const [path, status] of [
    ['/nobody', 404],
    ['/empty', 503],
    ['/', 503],
  ] as const) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    const [, answer] = await within(once(socket, 'unexpected-response'), path);
    assert.is((answer as http.IncomingMessage).statusCode, status, path);
    socket.on('error', () => {});
    socket.terminate();
  }
  assert.is(edge.upstreams.size, 0);
});

streams('events arrive one by one', async () => {
  const origin = await startOrigin(() => chunkedHead);
  const { port } = await startServicePort({ feed: [origin.target] });
  const client = connect(port).send(get('/feed/events'));
  await client.has('\r\n\r\n');
  const [connection] = origin.connections;
  for (let i = 0; i < 10; i++) {
    const event = `data: ${i}\n\n`;
    connection.send(`${event.length.toString(16)}\r\n${event}\r\n`);
    await client.has(event);
  }
  client.close();
  await until(() => origin.open === 0, 'the instance to hear that the client left');
});

streams('10 MB up and down, with a length and in chunks', async () => {
  const { url } = await startHttp((request, response) => void request.pipe(response));
  const { port } = await startServicePort({ files: [url] });
  const body = randomBytes(10 * 1024 * 1024);
  const put = (data: BodyInit) =>
    fetch(`http://127.0.0.1:${port}/files/x`, { method: 'PUT', body: data, duplex: 'half' } as RequestInit);
  assert.ok(body.equals(Buffer.from(await (await put(body)).arrayBuffer())), 'with a length');
  const parts = new ReadableStream({
    start(controller) {
      for (let at = 0; at < body.length; at += 300_000) controller.enqueue(body.subarray(at, at + 300_000));
      controller.close();
    },
  });
  assert.ok(body.equals(Buffer.from(await (await put(parts)).arrayBuffer())), 'in chunks');
});

streams('an instance that speaks HTTP/2', async () => {
  const origin = await startNode(echo);
  const { port } = await startServicePort({ 'user-svc': [`h2c://127.0.0.1:${origin.port}/base`] });
  const answer = await ask(port, get('/user-svc/a%2Fb?x=%3F'));
  assert.is(answer.text, 'GET /base/user-svc/a%2Fb?x=%3F ');
  const got = JSON.parse(answer.get('x-got') as string) as Record<string, string>;
  assert.equal([got[':authority'], got['x-forwarded-host'], got['x-forwarded-for']], ['a.test', 'a.test', '127.0.0.1']);
  const body = 'x'.repeat(200_000);
  const post = `POST /user-svc/up HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  assert.is((await ask(port, post)).text, `POST /base/user-svc/up ${body}`);
});

streams('Expect: 100-continue, trailers and HEAD', async () => {
  const origin = await startOrigin(({ line }) =>
    line.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : reply('done'),
  );
  const { port } = await startServicePort({ a: [origin.target] });
  const head = await ask(port, 'HEAD /a HTTP/1.1\r\nHost: a.test\r\n\r\n');
  assert.equal([head.status, head.get('content-length')], [200, '5']);
  const fields = 'Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n';
  const answer = await ask(port, `POST /a HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n`);
  assert.is(answer.text, 'done');
  assert.equal(origin.requests.at(-1)?.trailers, ['X-Sum: 1']);
});

streams('a drain lets what runs end, and then ends the port', async () => {
  const origin = await startOrigin(() => undefined);
  const { port, edge } = await startServicePort({ a: [origin.target] });
  const client = connect(port).send(get('/a/slow'));
  await origin.got(1);
  const drained = edge.drain(10_000);
  const late = connect(port);
  await late.gone();
  origin.connections[0].send(reply('in time'));
  const answer = await client.response();
  assert.equal([answer.text, answer.get('connection')], ['in time', 'close']);
  await within(drained, 'the drain');
});

streams.run();
