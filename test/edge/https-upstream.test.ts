import { createHash, randomBytes } from 'node:crypto';
import tls from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { makeCertificate, type TestCertificate } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { Origin, reply, type Script } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const https = suite('https upstream');
https.after.each(cleanUp);

const get = (path = '/x', host = 'app.test') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const unknown = makeCertificate('DNS:localhost', 'IP:127.0.0.1');
const forLocalhost = makeCertificate('DNS:localhost');
const forAddress = makeCertificate('IP:127.0.0.1');
const forAnother = makeCertificate('DNS:other.test');

// These are trusted by this process, as a certificate of a known authority would be.
tls.setDefaultCACertificates([forLocalhost.cert, forAddress.cert, forAnother.cert]);

/** A TLS origin, and the server names that it was asked for. */
async function startTls(
  certificate: TestCertificate,
  script: Script | NonNullable<Script['request']>,
): Promise<{ origin: Origin; names: (string | false)[] }> {
  const names: (string | false)[] = [];
  const server = tls.createServer({ ...certificate, allowHalfOpen: true } as tls.TlsOptions);
  server.on('secureConnection', (socket) =>
    names.push((socket as unknown as { servername: string | false }).servername),
  );
  const origin = new Origin(server, 'secureConnection', typeof script === 'function' ? { request: script } : script);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin, names };
}

https('a certificate that nobody vouches for: 502, and no byte of the request', async () => {
  const { origin } = await startTls(unknown, echoLine);
  const target = `https://127.0.0.1:${origin.port}`;
  const edge = await startEdge([
    { id: 'safe.test', target },
    { id: 'any.test', target, insecureSkipVerify: true },
  ]);
  const posted = 'POST /x HTTP/1.1\r\nHost: safe.test\r\nContent-Length: 5\r\n\r\nhello';
  for (const request of [get('/x', 'safe.test'), posted]) {
    const answer = await ask(edge.port, request);
    assert.is(answer.status, 502);
    assert.is(answer.get('x-oo-code'), 'OO_CONNECT_FAILED');
  }
  assert.is(origin.text, '');
  assert.match(edge.errors.join(' '), /self-signed/);
  // Who does not care gets through; who cares never shares that connection.
  assert.is((await ask(edge.port, get('/y', 'any.test'))).text, 'GET /y HTTP/1.1');
  assert.is(edge.edge.upstreams.size, 1);
  assert.is((await ask(edge.port, get('/z', 'safe.test'))).status, 502);
  assert.not.match(origin.text, '/z');
  edge.close();
  origin.close();
});

https('the name must be the right one', async () => {
  const rows: [certificate: TestCertificate, host: string, status: number, name: string | false][] = [
    [forLocalhost, 'localhost', 200, 'localhost'],
    [forAnother, 'localhost', 502, 'localhost'],
    [forLocalhost, '127.0.0.1', 502, false],
    [forAddress, '127.0.0.1', 200, false],
    [forAnother, '127.0.0.1', 502, false],
  ];
  for (const [certificate, host, status, name] of rows) {
    const { origin, names } = await startTls(certificate, echoLine);
    const edge = await startEdge([{ id: '*', target: `https://${host}:${origin.port}` }]);
    // The client's Host is none of the names that are checked, though it is the certificate's.
    const answer = await ask(edge.port, get('/x', 'other.test'));
    assert.is(answer.status, status, `${host}: ${edge.errors}`);
    if (status === 200) assert.is(origin.requests[0].get('host'), 'other.test');
    else assert.is(origin.text, '');
    for (const asked of names) assert.is(asked, name);
    edge.close();
    origin.close();
  }
});

https('a server that speaks no TLS, or none that we speak: 502', async () => {
  for (const bytes of ['HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', '']) {
    const net = await import('node:net');
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const edge = await startEdge([{ id: '*', target: `https://127.0.0.1:${port}`, insecureSkipVerify: true }]);
    assert.is((await ask(edge.port, get())).status, 502);
    edge.close();
    server.close();
  }
});

https('a handshake that stalls: 504', async () => {
  const net = await import('node:net');
  const server = net.createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const edge = await startEdge([{ id: '*', target: `https://127.0.0.1:${port}` }], { connectTimeoutMs: 400 });
  const answer = await ask(edge.port, get());
  assert.is(answer.status, 504);
  await until(() => edge.edge.upstreams.size === 0, 'the connection to be discarded');
  edge.close();
  server.close();
});

https('one connection serves many; bodies both ways; a body cut short is cut', async () => {
  const { origin } = await startTls(unknown, (request, connection) => {
    if (!request.line.includes('/cut')) return reply(request.text);
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
    setTimeout(() => connection.socket.destroy(), 30);
    return undefined;
  });
  const edge = await startEdge([{ id: '*', target: `https://127.0.0.1:${origin.port}`, insecureSkipVerify: true }]);
  const client = connect(edge.port);
  for (const size of [0, 1, 16_383, 16_384, 16_385, 100_000, 1_000_000]) {
    const body = randomBytes(size).toString('latin1');
    client.send(`POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${body}`);
    assert.ok((await client.response({ ms: 10_000 })).text === body, `${size} bytes`);
  }
  assert.is(origin.connections.length, 1);
  client.send(get('/cut'));
  assert.is(await client.gone(), 'reset');
  client.close();
  edge.close();
  origin.close();
});

https('a slow reader of what came over TLS gets every byte in its place', async () => {
  const size = 24_000_000;
  const body = Buffer.alloc(size);
  for (let at = 0; at < size; at += 4) body.writeUInt32LE(at, at);
  const { origin } = await startTls(unknown, {
    request: (_, connection) => {
      connection.record = false;
      connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`).send(body);
    },
  });
  const edge = await startEdge([{ id: '*', target: `https://127.0.0.1:${origin.port}`, insecureSkipVerify: true }]);
  const client = connect(edge.port).send(get('/big'));
  await sleep(100);
  client.socket.pause();
  await sleep(200);
  let reads = 0;
  client.socket.on('data', () => {
    if (++reads % 20 !== 0) return;
    client.socket.pause();
    setTimeout(() => client.socket.resume(), 1);
  });
  client.socket.resume();
  await until(() => client.total >= size, 'the body', 15_000);
  const answer = await client.response();
  assert.is(createHash('sha1').update(answer.body).digest('hex'), createHash('sha1').update(body).digest('hex'));
  client.close();
  edge.close();
  origin.close();
});

https.run();
