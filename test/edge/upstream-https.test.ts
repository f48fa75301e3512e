// time limit: 60 s
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { echo, startNode } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const https = suite('HTTP/2 or HTTP/1.1 to an https:// upstream');
https.after.each(cleanUp);

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const forLocalhost = makeCertificate('DNS:localhost');
const forAnother = makeCertificate('DNS:other.test');
// These are trusted by this process, as a certificate of a known authority would be.
tls.setDefaultCACertificates([forLocalhost.cert, forAnother.cert]);

const grpc = { ':method': 'POST', ':path': '/s/m', 'content-type': 'application/grpc', te: 'trailers' };

/** A server that speaks both, and which protocols it was spoken to by; what is no HTTP/2 is answered with its request line. */
async function startBoth(certificate = forLocalhost) {
  const protocols: string[] = [];
  const origin = await startNode(
    (stream, headers, session) => {
      protocols.push('h2');
      echo(stream, headers, session);
    },
    { ...certificate, allowHTTP1: true },
  );
  origin.server.on('request', (message: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
    if (message.httpVersion !== '1.1') return;
    protocols.push('http/1.1');
    response.end(`${message.method} ${message.url}`);
  });
  return { origin, protocols };
}

https('plain requests go over HTTP/1.1, gRPC over HTTP/2', async () => {
  const { origin, protocols } = await startBoth();
  const edge = await startEdge([{ id: '*', target: `https://localhost:${origin.port}` }]);
  assert.is((await ask(edge.port, get())).text, 'GET /x');
  const session = connectHttp2(await listenHttp2(edge.edge));
  assert.is((await request(session, { ':path': '/y' })).body.toString(), 'GET /y');
  assert.is((await request(session, { ':path': '/y', te: 'trailers' })).body.toString(), 'GET /y');
  assert.equal(protocols, ['http/1.1', 'http/1.1', 'http/1.1']);
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y']) {
    const answer = await request(session, { ...grpc, 'content-type': type }, 'hello');
    assert.is(answer.body.toString(), 'POST /s/m hello');
    const got = JSON.parse(String(answer.headers['x-got']));
    assert.is(got.te, 'trailers');
    assert.is(got[':scheme'], 'https');
    assert.is(got['content-type'], type);
  }
  assert.equal(protocols.slice(3), ['h2', 'h2', 'h2']);
  const web = await request(session, { ...grpc, 'content-type': 'application/grpc-web+proto' }, 'hello');
  assert.is(web.body.toString(), 'POST /s/m');
  assert.is(origin.sessions.length, 1);
});

https('a server without HTTP/1.1 gets everything over HTTP/2', async () => {
  const origin = await startNode(echo, { ...forLocalhost });
  const edge = await startEdge([{ id: '*', target: `https://localhost:${origin.port}` }]);
  assert.is((await ask(edge.port, get('/1'))).text, 'GET /1 ');
  const posted = 'POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  assert.is((await ask(edge.port, posted)).text, 'POST /2 hello');
  assert.is(origin.sessions.length, 1);
  assert.equal(edge.errors, []);
});

https('the same where the first request has a body in chunks: the client sees one 502 at most', async () => {
  const origin = await startNode(echo, { ...forLocalhost });
  const edge = await startEdge([{ id: '*', target: `https://localhost:${origin.port}` }]);
  const posted = 'POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
  const first = await ask(edge.port, posted);
  assert.ok(first.status === 502 || first.text === 'POST /2 hello', first.text);
  assert.is((await ask(edge.port, posted)).text, 'POST /2 hello');
});

https('gRPC to a server without HTTP/2: 502, with the reason in the log; other requests go on', async () => {
  const server = tls.createServer({ ...forLocalhost, ALPNProtocols: ['http/1.1'] } as tls.TlsOptions, (socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  const deaf = tls.createServer({ ...forLocalhost } as tls.TlsOptions, (socket) =>
    socket.on('error', () => {}).resume(),
  );
  for (const each of [server, deaf]) {
    await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
    closeLater({ close: () => void each.close() });
  }
  const edge = await startEdge([
    { id: 'one.test', target: `https://localhost:${(server.address() as net.AddressInfo).port}` },
    { id: 'two.test', target: `https://localhost:${(deaf.address() as net.AddressInfo).port}` },
  ]);
  const session = connectHttp2(await listenHttp2(edge.edge));
  for (const host of ['one.test', 'two.test']) {
    const answer = await request(session, { ...grpc, ':authority': host }, 'hello');
    assert.is(answer.status, 502);
    assert.is(answer.headers['x-oo-code'], 'OO_CONNECT_FAILED');
  }
  assert.is(edge.errors.length, 2);
  for (const line of edge.errors) assert.match(line, /speaks no HTTP\/2 \(ALPN\)$/);
  assert.is((await request(session, { ':path': '/', ':authority': 'one.test' })).body.toString(), 'ok');
});

https('the certificate must be for the target’s name, over HTTP/2, too; and nothing is sent before', async () => {
  const rows = [
    [forLocalhost, false, 200],
    [forAnother, false, 502],
    [makeCertificate('DNS:localhost'), false, 502],
    [forAnother, true, 200],
  ] as const;
  for (const [certificate, insecureSkipVerify, status] of rows) {
    const { origin, protocols } = await startBoth(certificate);
    const target = `https://localhost:${origin.port}`;
    const edge = await startEdge([{ id: '*', target, insecureSkipVerify }]);
    const session = connectHttp2(await listenHttp2(edge.edge));
    for (let i = 0; i < 3; i++) {
      const answer = await request(session, { ...grpc, ':authority': 'other.test' }, 'hello');
      assert.is(answer.status, status, edge.errors.join());
      if (status !== 200) assert.is(answer.headers['x-oo-code'], 'OO_CONNECT_FAILED');
      // Each connection is proven anew, whatever the one before was.
      for (const session of origin.sessions) session.destroy();
      await until(() => edge.edge.upstreams.size === 0, 'the connection to be gone');
    }
    assert.is(protocols.length, status === 200 ? 3 : 0);
  }
});

https('who cares about the certificate never shares a connection with who does not', async () => {
  const { origin, protocols } = await startBoth(forAnother);
  const target = `https://localhost:${origin.port}`;
  const edge = await startEdge([
    { id: 'any.test', target, insecureSkipVerify: true },
    { id: 'safe.test', target },
  ]);
  const session = connectHttp2(await listenHttp2(edge.edge));
  assert.is((await request(session, { ...grpc, ':authority': 'any.test' }, 'a')).status, 200);
  assert.is((await request(session, { ...grpc, ':authority': 'safe.test' }, 'b')).status, 502);
  assert.is(protocols.length, 1);
});

https('a handshake that stalls: 504', async () => {
  const server = net.createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater(server);
  const target = `https://localhost:${(server.address() as net.AddressInfo).port}`;
  const edge = await startEdge([{ id: '*', target }], { connectTimeoutMs: 400 });
  const session = connectHttp2(await listenHttp2(edge.edge));
  const answer = await request(session, grpc, 'hello');
  assert.is(answer.status, 504);
  assert.is(answer.headers['x-oo-code'], 'OO_CONNECT_TIMEOUT');
  assert.is(edge.edge.upstreams.size, 0);
});

https('a WebSocket to a server of both is made over HTTP/1.1', async () => {
  const { origin } = await startBoth();
  origin.server.on('upgrade', (_request, socket: net.Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  });
  const edge = await startEdge([{ id: '*', target: `https://localhost:${origin.port}` }]);
  const session = connectHttp2(await listenHttp2(edge.edge));
  assert.is((await request(session, grpc, 'first, HTTP/2')).status, 200);
  const client = connect(edge.port);
  client.send(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n',
  );
  client.send('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  await client.has('hello');
  client.send('and back');
  await client.has('and back');
});

https('nghttpd, with TLS and without: files, and bodies', async () => {
  const directory = mkdtempSync('/tmp/oo-nghttpd-');
  closeLater({ close: () => rmSync(directory, { recursive: true }) });
  writeFileSync(`${directory}/small.txt`, 'small');
  writeFileSync(`${directory}/large.bin`, Buffer.alloc(3_000_000, 'abcdefghij'));
  writeFileSync(`${directory}/cert.pem`, forLocalhost.cert);
  writeFileSync(`${directory}/key.pem`, forLocalhost.key);
  for (const secure of [false, true]) {
    const free = net.createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as net.AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const common = ['-a', '127.0.0.1', '-d', directory, '--echo-upload'];
    const files = [`${directory}/key.pem`, `${directory}/cert.pem`];
    const child = spawn('nghttpd', [
      ...common,
      ...(secure ? [] : ['--no-tls']),
      String(port),
      ...(secure ? files : []),
    ]);
    closeLater({ close: () => child.kill('SIGKILL') });
    const edge = await startEdge([{ id: '*', target: `${secure ? 'https' : 'h2c'}://localhost:${port}` }]);
    const session = connectHttp2(await listenHttp2(edge.edge));
    // What makes it go over HTTP/2: this server speaks nothing else.
    const asGrpc = (path: string) => ({ ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    let first = await request(session, asGrpc('/small.txt'));
    for (let i = 0; i < 100 && first.status !== 200; i++) {
      await sleep(50);
      first = await request(session, asGrpc('/small.txt'));
    }
    assert.is(first.body.toString(), 'small', edge.errors.join());
    const large = await request(session, asGrpc('/large.bin'));
    assert.ok(large.body.equals(Buffer.alloc(3_000_000, 'abcdefghij')));
    assert.is((await request(session, asGrpc('/none'))).status, 404);
    const body = Buffer.alloc(200_000, 'x');
    const echoed = await request(session, { ':method': 'POST', ...asGrpc('/echo') }, body);
    assert.ok(echoed.body.equals(body));
    child.kill('SIGKILL');
  }
});

https.run();
