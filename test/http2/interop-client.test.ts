import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, within } from '../helpers/wait.ts';
import { ClientWiring, listen, type TestRequest } from './sockets.ts';

/** Our client, against node:http2 and against our own server. */
const interop = suite('http2 client: other servers');

const pattern = (size: number) => Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz');
const opened: ClientWiring[] = [];
const servers: http2.Http2Server[] = [];
interop.after.each(async () => {
  for (const client of opened.splice(0)) client.close();
  for (const server of servers.splice(0)) server.close();
});

type Handler = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  session: http2.Http2Session,
) => void;

async function serve(handler: Handler, settings: http2.Settings = {}): Promise<number> {
  const server = http2.createServer({ settings });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    handler(stream, headers, stream.session!);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function connect(
  port: number,
  ...options: ConstructorParameters<typeof ClientWiring> extends [number, ...infer R] ? R : never
) {
  const client = new ClientWiring(port, ...options);
  opened.push(client);
  return client;
}

const done = (request: TestRequest) => within(request.done, 'the response', 20_000);

interop('GET: what the server gets, and what comes back', async () => {
  const port = await serve((stream, headers) => {
    stream.respond({ ':status': 201, 'x-a': ['b', 'c'], 'set-cookie': ['d=e', 'f=g'], server: 'x' });
    stream.end(JSON.stringify(headers));
  });
  const request = connect(port).request(
    'GET /a?b HTTP/1.1\r\nX-First: 1\r\nHost: a.test:8080\r\nAccept-Encoding: gzip\r\nConnection: x\r\nX-Long: '.concat(
      'y'.repeat(300),
    ),
    null,
    null,
    { trailersWelcome: true },
  );
  assert.is(await done(request), -1);
  assert.match(request.response, /^HTTP\/1\.1 201 \r\n/);
  assert.match(request.response, /\r\nset-cookie: d=e\r\nset-cookie: f=g\r\n/);
  const got = JSON.parse(request.text);
  assert.equal(
    [got[':method'], got[':scheme'], got[':authority'], got[':path'], got['x-first'], got.te, got.connection, got.host],
    ['GET', 'http', 'a.test:8080', '/a?b', '1', 'trailers', undefined, undefined],
  );
  assert.is(got['x-long'].length, 300);
});

interop('again and again, by the server’s dynamic table', async () => {
  const port = await serve((stream) => {
    stream.respond({ ':status': 200, server: 'test', 'x-custom': 'the same again', etag: '"abc"' });
    stream.end('x');
  });
  const client = connect(port);
  let first = '';
  for (let i = 0; i < 50; i++) {
    const request = client.request('GET / HTTP/1.1\r\nHost: a');
    assert.is(await done(request), -1);
    const said = request.response.replace(/date: .*\r\n/, '');
    if (i === 0) first = said;
    assert.is(said, first);
  }
});

interop('gRPC: unary, its status in trailers', async () => {
  const port = await serve((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
    stream.on('data', (chunk) => stream.write(chunk));
    stream.on('end', () => stream.end());
  });
  const request = connect(port).request(
    'POST /pkg.Service/Call HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc',
    Buffer.from('message'),
  );
  assert.is(await done(request), -1);
  assert.is(request.text, 'message');
  assert.is(request.trailers, 'grpc-status: 0\r\ngrpc-message: fine\r\n\r\n');
});

interop('gRPC: a status without a message', async () => {
  const port = await serve((stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '5' }, { endStream: true });
  });
  const request = connect(port).request('POST / HTTP/1.1\r\nHost: a', Buffer.from('message'));
  assert.is(await done(request), -1);
  assert.match(request.response, /grpc-status: 5/);
});

interop('interim responses', async () => {
  const port = await serve((stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  const request = connect(port).request('GET / HTTP/1.1\r\nHost: a');
  assert.is(await done(request), -1);
  assert.equal(request.interims, ['HTTP/1.1 103 \r\nlink: </a>\r\n\r\n']);
  assert.match(request.response, /^HTTP\/1\.1 204 /);
});

interop('trailers of a request', async () => {
  let trailers: http2.IncomingHttpHeaders = {};
  const port = await serve((stream) => {
    stream.on('trailers', (t) => {
      trailers = t;
    });
    stream.resume().on('end', () => stream.respond({ ':status': 204 }, { endStream: true }));
  });
  const request = connect(port).request('POST / HTTP/1.1\r\nHost: a', Buffer.from('x'), 'x-sum: abc\r\n\r\n');
  assert.is(await done(request), -1);
  assert.is(trailers['x-sum'], 'abc');
});

interop('large bodies both ways, under small windows', async () => {
  const port = await serve(
    (stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    },
    { initialWindowSize: 8_000 },
  );
  const client = connect(port, { streamWindow: 8_000, maxStreamWindow: 8_000 });
  const body = pattern(1_000_000);
  const requests = Array.from({ length: 3 }, () => client.request('POST / HTTP/1.1\r\nHost: a', body));
  for (const request of requests) {
    assert.is(await done(request), -1);
    assert.is(request.length, body.length);
    assert.ok(Buffer.concat(request.chunks).equals(body));
  }
  assert.is(client.failed, '');
});

interop('what is not taken stops the server at the window', async () => {
  const port = await serve((stream) => {
    stream.respond({ ':status': 200 });
    const push = () => {
      if (stream.destroyed) return;
      stream.write(pattern(10_000), () => push());
    };
    push();
  });
  const client = connect(port, { streamWindow: 100_000 });
  const request = client.request('GET / HTTP/1.1\r\nHost: a');
  request.taking = false;
  await until(() => request.length === 100_000, 'the window is full');
  const other = client.request('GET / HTTP/1.1\r\nHost: a');
  await until(() => other.length > 300_000, 'another stream goes on');
  assert.is(request.length, 100_000);
  client.connection.consume(request, 60_000);
  await until(() => request.length >= 160_000, 'it goes on');
  client.connection.reset(request, 8);
  client.connection.reset(other, 8);
});

interop('500 requests where 10 are allowed at a time', async () => {
  let most = 0;
  let now = 0;
  const port = await serve(
    (stream, headers) => {
      most = Math.max(most, ++now);
      setImmediate(() => {
        now--;
        stream.respond({ ':status': 200 });
        stream.end(headers[':path']);
      });
    },
    { maxConcurrentStreams: 10 },
  );
  const client = connect(port);
  const first = client.request('GET /first HTTP/1.1\r\nHost: a');
  assert.is(await done(first), -1);
  const requests = Array.from({ length: 500 }, (_, i) => client.request(`GET /${i} HTTP/1.1\r\nHost: a`));
  for (const [i, request] of requests.entries()) {
    assert.is(await done(request), -1);
    assert.is(request.text, `/${i}`);
  }
  assert.ok(most <= 10, `${most}`);
});

interop('a server that resets, refuses, or goes away', async () => {
  const port = await serve((stream, headers, session) => {
    if (headers[':path'] === '/reset') stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    else if (headers[':path'] === '/refuse') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    else {
      stream.respond({ ':status': 200 });
      session.goaway(0);
      setTimeout(() => stream.end('last words'), 20);
    }
  });
  const client = connect(port);
  assert.is(await done(client.request('GET /reset HTTP/1.1\r\nHost: a')), 2);
  assert.is(await done(client.request('GET /refuse HTTP/1.1\r\nHost: a')), 7);
  const last = client.request('GET /away HTTP/1.1\r\nHost: a');
  assert.is(await done(last), -1);
  assert.is(last.text, 'last words');
  assert.not(client.connection.canOpen());
});

interop('a push is refused by our settings', async () => {
  let allowed: boolean | undefined;
  const port = await serve((stream) => {
    allowed = stream.pushAllowed;
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  assert.is(await done(connect(port).request('GET / HTTP/1.1\r\nHost: a')), -1);
  assert.is(allowed, false);
});

interop('a server that is gone: every stream hears of it', async () => {
  const port = await serve((stream, _headers, session) => {
    stream.respond({ ':status': 200 });
    stream.write('x');
    setTimeout(() => session.destroy(), 10);
  });
  const client = connect(port);
  const requests = [1, 2, 3].map(() => client.request('GET / HTTP/1.1\r\nHost: a'));
  for (const request of requests) assert.is.not(await done(request), -1);
});

interop('our client and our server', async () => {
  const server = await listen({ streamWindow: 20_000 });
  const client = connect(server.port, { streamWindow: 30_000 });
  const body = pattern(2_000_000);
  const echo = client.request('POST /echo HTTP/1.1\r\nHost: a', body);
  const trailers = client.request('POST /trailers HTTP/1.1\r\nHost: a', Buffer.from('x'), 'x-t: u\r\n\r\n');
  const early = client.request('POST /early HTTP/1.1\r\nHost: a', pattern(300_000));
  const sizes = Array.from({ length: 200 }, (_, i) => client.request(`GET /bytes/${i * 37} HTTP/1.1\r\nHost: a`));
  assert.is(await done(trailers), -1);
  assert.is(trailers.trailers, 'x-t: u\r\n\r\n');
  assert.is(await done(early), -1);
  assert.match(early.response, /^HTTP\/1\.1 413/);
  for (const [i, request] of sizes.entries()) {
    assert.is(await done(request), -1);
    assert.is(request.length, i * 37);
  }
  assert.is(await done(echo), -1);
  assert.ok(Buffer.concat(echo.chunks).equals(body));
  client.connection.drain();
  await until(() => client.drained, 'drained');
  await server.close();
});

interop.run();
