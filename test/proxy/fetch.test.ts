import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { serve } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type ProxyRoute, routeOptions } from '../../src/index.ts';
import { bodyOf, classify, isRefusedMethod, isUnsendable, toClient } from '../../src/proxy/fetch.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { type OriginConnection, startOrigin } from '../helpers/origin.ts';
import { sleep, until } from '../helpers/wait.ts';

const sending = suite('messages as they are, on Node');
sending.after.each(cleanUp);

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

/** A server with a proxy to one origin. @returns the server's port */
async function front(target: string, more: Partial<ProxyRoute> = {}): Promise<number> {
  const proxy = createProxy({ routes: [{ id: 'app.test', target, ...more }], options: routeOptions });
  const server = serve({ fetch: proxy.fetch, port: 0, hostname: '127.0.0.1', overrideGlobalObjects: false });
  closeLater({ close: () => server.close() });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** One exchange over raw sockets. */
async function exchange(request: string, answer: string | Buffer = ok) {
  const origin = await startOrigin({ request: () => answer });
  const client = connect(await front(origin.target)).send(request);
  const response = await client.response({ head: request.startsWith('HEAD') });
  return { head: origin.connections[0]?.text ?? '', response, text: client.text };
}

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

sending('nothing is added but what forwarding adds, and Host is the client’s', async () => {
  const { head } = await exchange(get('/a?b=c', 'X-High: caf\xe9\r\nX-Tab: a\tb\r\nAccept-Encoding: gzip, br\r\n'));
  const [line, ...fields] = head.slice(0, -4).split('\r\n');
  assert.is(line, 'GET /a?b=c HTTP/1.1');
  const names = fields.map((field) => field.slice(0, field.indexOf(':')).toLowerCase()).sort();
  const forwarded = [
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-port',
    'x-forwarded-proto',
    'x-real-ip',
    'via',
  ];
  const own = ['accept-encoding', 'connection', 'host', 'x-high', 'x-tab'];
  assert.equal(names, [...own, ...forwarded].sort());
  for (const field of ['host: app.test', 'x-high: caf\xe9', 'x-tab: a\tb', 'accept-encoding: gzip, br'])
    assert.ok(fields.includes(field), field);
});

sending('a path is sent as it was decided by: slashes, escapes, a question mark alone; no fragment', async () => {
  for (const [path, sent] of [
    ['//a//b', '//a//b'],
    ['/%7Ea/%c3%a9?q=%27', '/%7Ea/%c3%a9?q=%27'],
    ['/a?', '/a?'],
    ['/a#b', '/a'],
    ['/a?x#y', '/a?x'],
    [`/${'l'.repeat(7000)}`, `/${'l'.repeat(7000)}`],
  ])
    assert.is((await exchange(get(path))).head.split(' ')[1], sent, path);
});

sending('a coded body, its length and its ETag come through as they are', async () => {
  const body = zlib.gzipSync('hello '.repeat(50));
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nETag: "e"\r\nContent-Length: ${body.length}\r\n\r\n`;
  const { response } = await exchange(get('/'), Buffer.concat([Buffer.from(head), body]));
  assert.equal([response.get('content-encoding'), response.get('etag')], ['gzip', '"e"']);
  assert.equal(response.body, body);
});

sending('a request without a body stays one; a length stays a length, chunks stay chunks', async () => {
  const post = (method: string, fields: string, body = '') =>
    exchange(`${method} / HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n${body}`).then(({ head }) => head.toLowerCase());
  for (const head of [await post('POST', ''), await post('PUT', 'Content-Length: 0\r\n')]) {
    assert.match(head, '\r\ncontent-length: 0\r\n');
    assert.not.match(head, 'transfer-encoding');
  }
  assert.not.match(await post('DELETE', ''), /transfer-encoding|content-length/);
  const sized = await post('DELETE', 'Content-Length: 5\r\n', 'hello');
  assert.match(sized, '\r\ncontent-length: 5\r\n');
  assert.ok(sized.endsWith('\r\n\r\nhello'));
  const chunked = await post('DELETE', 'Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n');
  assert.match(chunked, '\r\ntransfer-encoding: chunked\r\n');
  assert.ok(chunked.endsWith('\r\n\r\n5\r\nhello\r\n0\r\n\r\n'));
});

sending('a GET with a body is refused: without it it would be another request', async () => {
  for (const [fields, body] of [
    ['Content-Length: 5\r\n', 'hello'],
    ['Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
  ]) {
    const { head, response } = await exchange(get('/', fields) + body);
    assert.equal([head, response.status], ['', 400]);
  }
  assert.is((await exchange(get('/', 'Content-Length: 0\r\n'))).response.status, 200);
});

sending('announced trailers are no failure, though they are not passed on', async () => {
  const { response } = await exchange(get('/'), 'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 2\r\n\r\nhi');
  assert.equal([response.status, response.get('trailer'), response.text], [200, undefined, 'hi']);
});

sending('a body that breaks off is a cut, by its length and in chunks', async () => {
  for (const bytes of ['Content-Length: 10\r\n\r\nhi', 'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n']) {
    const cut = (_: unknown, connection: OriginConnection) => {
      connection.send(`HTTP/1.1 200 OK\r\n${bytes}`);
      setTimeout(() => connection.socket.end(), 50);
    };
    const origin = await startOrigin({ request: cut });
    const client = connect(await front(origin.target)).send(get('/'));
    await until(() => client.ended !== '', 'the end');
    assert.match(client.text, /^HTTP\/1\.1 200 /);
    assert.not.match(client.text, /Error|\r\n0\r\n\r\n$/);
    assert.ok(client.text.endsWith('hi') || client.text.endsWith('hi\r\n'), JSON.stringify(client.text));
  }
});

sending('a switch of protocols that nobody asked for is no tunnel', async () => {
  const { response } = await exchange(
    get('/'),
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  );
  assert.equal([response.status, response.get('x-oo-code')], [502, 'OO_BAD_RESPONSE']);
});

sending('a slow client slows the upstream down; when it leaves, the upstream hears of it', async () => {
  const most = 50 * 1024 * 1024;
  let sent = 0;
  const piece = Buffer.alloc(65_536, 97);
  const flood = ({ socket }: OriginConnection): void => {
    while (sent < most && !socket.destroyed) {
      sent += piece.length;
      if (!socket.write(piece)) return void socket.once('drain', () => flood({ socket } as OriginConnection));
    }
  };
  const origin = await startOrigin({
    request(_, connection) {
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${most}\r\n\r\n`);
      flood(connection);
    },
  });
  const client = connect(await front(origin.target)).send(get('/'));
  client.socket.once('data', () => client.socket.pause());
  await until(() => sent > 0, 'the first bytes');
  for (let before = -1; before !== sent; await sleep(300)) before = sent;
  assert.ok(sent < most, `${sent} bytes were taken`);
  client.close();
  await until(() => origin.connections[0].ended !== '', 'the end at the upstream');
});

sending('a length that is not the body’s never reaches the upstream as a whole message', async () => {
  const origin = await startOrigin({ request: () => ok });
  const proxy = createProxy({
    routes: [
      {
        id: 'app.test',
        target: origin.target,
        handler: (request, next) =>
          next(new Request(request, { method: 'POST', headers: { 'content-length': '3' }, body: 'hello GET /x' })),
      },
    ],
  });
  const response = await proxy.fetch(new Request('http://app.test/'));
  await response.text();
  for (const { text } of origin.connections) {
    if (text.toLowerCase().includes('content-length: 3')) assert.not.match(text, 'GET /x');
  }
  assert.ok(response.status === 200 || response.status === 502);
});

sending('what requests are', () => {
  const of = (method: string, headers: Record<string, string> = {}) => new Request('http://a/', { method, headers });
  assert.equal([isUnsendable(of('GET')), isUnsendable(of('GET', { 'content-length': '0' }))], [false, false]);
  assert.equal(
    [isUnsendable(of('HEAD', { 'content-length': '1' })), isUnsendable(of('POST', { 'content-length': '1' }))],
    [true, false],
  );
  assert.is(bodyOf(new Request('http://a/', { method: 'POST', body: '', headers: { 'content-length': '0' } })), null);
  for (const method of ['CONNECT', 'TRACE', 'get', 'Post', 'options']) assert.ok(isRefusedMethod(method), method);
  for (const method of ['GET', 'patch', 'PROPFIND', 'propfind']) assert.not.ok(isRefusedMethod(method), method);
});

sending('failures by each runtime’s own words', () => {
  const words = (message: string, code?: string) => Object.assign(new TypeError(message), { code });
  const table: [Error, string][] = [
    [words('error sending request: client error (SendRequest): invalid HTTP version parsed'), 'OO_BAD_RESPONSE'],
    [words('client error (SendRequest): invalid content-length parsed'), 'OO_BAD_RESPONSE'],
    [words('InvalidContentLength fetching', 'InvalidContentLength'), 'OO_BAD_RESPONSE'],
    [words('Parse Error', 'HPE_INVALID_CONSTANT'), 'OO_BAD_RESPONSE'],
    [words('client error (Connect): refused'), 'OO_CONNECT_FAILED'],
    [words('connect', 'ECONNREFUSED'), 'OO_CONNECT_FAILED'],
    [words('socket hang up', 'ECONNRESET'), 'OO_UPSTREAM_CLOSED'],
    [Object.assign(words('connect', 'EHOSTUNREACH'), { syscall: 'connect' }), 'OO_CONNECT_FAILED'],
    [Object.assign(words('read EHOSTUNREACH', 'EHOSTUNREACH'), { syscall: 'read' }), 'OO_UPSTREAM_CLOSED'],
    [new TypeError('fetch failed', { cause: { code: 'EHOSTUNREACH', syscall: 'write' } }), 'OO_UPSTREAM_CLOSED'],
    [words('Network connection lost.'), 'OO_UPSTREAM_CLOSED'],
  ];
  for (const [error, code] of table) assert.is(classify(error), code, error.message);
});

sending('a status that no Response can have lets go of the body', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    cancel() {
      cancelled = true;
    },
  });
  assert.throws(() => toClient({ status: 999, statusText: '', headers: new Headers(), body }, 'GET'), RangeError);
  await until(() => cancelled, 'its end');
});

sending.run();
