import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo, type Server } from 'node:net';
import tls from 'node:tls';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck, type HealthCheck } from '../../src/core/health-check.ts';
import { judgeProbe, type ProbeResult } from '../../src/core/health-probe.ts';
import { parseTarget } from '../../src/core/target.ts';
import type { Target } from '../../src/core/types.ts';
import { createProbe } from '../../src/services/probe.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { until, within } from '../helpers/wait.ts';

const certificate = makeCertificate('DNS:localhost', 'IP:127.0.0.1');
const open = new Set<net.Socket>();

async function listen<S extends Server>(server: S): Promise<number> {
  server.on('connection', (socket: net.Socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeLater({
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  });
  return (server.address() as AddressInfo).port;
}

/** A server that says this to whatever comes first. */
function says(text: string): Promise<number> {
  return listen(net.createServer((socket) => socket.once('data', () => socket.write(text))));
}

const lookUp = async (name: string) => {
  if (name === 'two.test') return ['127.0.0.1', '127.0.0.9'];
  if (name === 'second.test') return ['127.0.0.9', '127.0.0.1'];
  if (name === 'none.test') return [];
  if (name === 'hangs.test') return new Promise<string[]>(() => {});
  throw new Error(`${name} is not there`);
};
const probe = createProbe(lookUp);

interface Asked {
  readonly insecure?: boolean;
  readonly signal?: AbortSignal;
}

/** @returns the result, and what it means: '' for good */
async function ask(href: string, check: Partial<HealthCheck>, { insecure = false, signal }: Asked = {}) {
  const full: HealthCheck = { ...defaultHealthCheck, timeoutMs: 2_000, ...check };
  const target = parseTarget(href) as Target;
  const of = { target, address: '', insecureSkipVerify: insecure };
  const result = await within(probe(full, of, signal ?? new AbortController().signal), 'the probe');
  return { result: result as ProbeResult, reason: result === undefined ? 'untried' : judgeProbe(full, result).reason };
}

const probes = suite('probe');
probes.after.each(cleanUp);

probes(
  'of a name’s addresses the next is asked where one takes no connection; if none does, the last says why',
  async () => {
    const port = await says('');
    assert.is((await ask(`http://second.test:${port}`, { kind: 'tcp' })).reason, '');
    const { reason } = await ask('http://second.test:1', { kind: 'tcp' });
    assert.match(reason, /^no connection: connect ECONNREFUSED 127\.0\.0\.1:1$/);
  },
);

probes('http: what is asked, on a connection of its own that is closed after it', async () => {
  const asked: http.IncomingMessage[] = [];
  const port = await listen(
    http.createServer((request, response) => {
      asked.push(request);
      response.end('all is well');
    }),
  );
  const url = `http://127.0.0.1:${port}/base`;
  assert.is((await ask(url, { kind: 'http', path: '/up?x=1', bodyContains: 'is well' })).reason, '');
  assert.is((await ask(url, { kind: 'http', host: 'app.example.com', method: 'HEAD' })).reason, '');
  assert.equal(
    asked.map(({ method, url, headers }) => [method, url, headers.host]),
    [
      ['GET', '/up?x=1', `127.0.0.1:${port}`],
      ['HEAD', '/', 'app.example.com'],
    ],
  );
  const { reason } = await ask(url, { kind: 'http', bodyContains: 'on fire' });
  assert.match(reason, /answered 200 without 'on fire'/);
  await until(() => open.size === 0, 'all connections are closed');
});

probes('http: another port than the requests go to', async () => {
  const hosts: (string | undefined)[] = [];
  const port = await listen(
    http.createServer((request, response) => {
      hosts.push(request.headers.host);
      response.end();
    }),
  );
  assert.is((await ask('http://127.0.0.1:1', { kind: 'http', port })).reason, '');
  assert.equal(hosts, [`127.0.0.1:${port}`]);
});

probes('http: wrong statuses, and no redirect is followed', async () => {
  let count = 0;
  const port = await listen(
    http.createServer((request, response) => {
      count += 1;
      const status = Number(request.url!.slice(1));
      response.writeHead(status, { location: '/200' }).end();
    }),
  );
  const url = `http://127.0.0.1:${port}`;
  assert.match((await ask(url, { kind: 'http', path: '/500' })).reason, /\/500 answered 500, expected 200-399/);
  const statuses = [[200, 299]] as const;
  assert.match((await ask(url, { kind: 'http', path: '/302', statuses })).reason, /answered 302/);
  assert.is(count, 2);
  assert.is((await ask(url, { kind: 'http', path: '/404', statuses: [[404, 404]] })).reason, '');
});

probes('http: an early hint is no answer', async () => {
  const port = await says('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n');
  assert.is((await ask(`http://127.0.0.1:${port}`, { kind: 'http' })).result.status, 503);
});

const garbage: [what: string, text: string, error: string][] = [
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'protocol'],
  ['binary', '\u0000\u0001\u0002\u0003', 'protocol'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 'protocol'],
  ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(40_000)}`, 'protocol'],
  ['half a head', 'HTTP/1.1 200 OK\r\nx: 1', 'timeout'],
];
for (const [what, text, error] of garbage) {
  probes(`http: ${what}`, async () => {
    const { result, reason } = await ask(`http://127.0.0.1:${await says(text)}`, { kind: 'http', timeoutMs: 300 });
    assert.is(result.error, error, result.detail);
    assert.is.not(reason, '');
  });
}

probes('http: a body without end is read no further than it is of interest', async () => {
  const port = await listen(
    http.createServer((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(10_000)));
      };
      response.on('drain', more);
      more();
    }),
  );
  const { result } = await ask(`http://127.0.0.1:${port}`, { kind: 'http', bodyContains: 'y' });
  assert.is(result.status, 200);
  assert.is(result.body.length, 65_536);
});

probes('time-outs: hung before, in and after the head; the socket is given up', async () => {
  for (const text of ['', 'HTTP/1.1 200', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab']) {
    const { reason } = await ask(`http://127.0.0.1:${await says(text)}`, {
      kind: 'http',
      timeoutMs: 100,
      bodyContains: 'abc',
    });
    assert.is(reason, 'no answer in time (100 ms)');
  }
  await until(() => open.size === 0, 'all connections are closed');
});

probes('time-outs: a trickle is no answer', async () => {
  const port = await listen(
    net.createServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write('x: 1\r\n'), 10);
      socket.on('close', () => clearInterval(timer));
    }),
  );
  assert.is((await ask(`http://127.0.0.1:${port}`, { kind: 'http', timeoutMs: 150 })).result.error, 'timeout');
});

probes('closed before it answered', async () => {
  const port = await listen(net.createServer((socket) => socket.once('data', () => socket.end())));
  assert.is((await ask(`http://127.0.0.1:${port}`, { kind: 'http' })).result.error, 'closed');
  const reset = await listen(net.createServer((socket) => socket.once('data', () => socket.resetAndDestroy())));
  assert.is((await ask(`http://127.0.0.1:${reset}`, { kind: 'http' })).result.error, 'closed');
});

probes('tcp: a connection is enough; none is refused', async () => {
  const server = net.createServer(() => {});
  const port = await listen(server);
  const { result, reason } = await ask(`http://127.0.0.1:${port}`, {});
  assert.is(reason, '');
  assert.ok(result.tookMs > 0);
  cleanUp();
  assert.is((await ask(`http://127.0.0.1:${port}`, {})).result.error, 'refused');
});

probes('names: looked up, with an end', async () => {
  const port = await listen(net.createServer());
  assert.is((await ask(`http://two.test:${port}`, {})).reason, '');
  assert.match((await ask(`http://none.test:${port}`, {})).reason, /its name does not resolve: it has no address/);
  assert.match((await ask(`http://other.test:${port}`, {})).reason, /does not resolve: other.test is not there/);
  assert.is((await ask(`http://hangs.test:${port}`, { timeoutMs: 100 })).result.error, 'timeout');
});

probes('TLS: an own certificate fails, unless it is to be accepted', async () => {
  const server = tls.createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  });
  const url = `https://127.0.0.1:${await listen(server)}`;
  for (const kind of ['tcp', 'http'] as const) {
    const { result } = await ask(url, { kind });
    assert.is(result.error, 'tls');
    assert.match(result.detail, /self-signed/);
    assert.is((await ask(url, { kind }, { insecure: true })).reason, '');
  }
});

probes('TLS: a server that speaks none, and one that hangs in the handshake', async () => {
  const plain = await says('HTTP/1.1 400 Bad Request\r\n\r\n');
  assert.is((await ask(`https://127.0.0.1:${plain}`, {})).result.error, 'tls');
  assert.is((await ask(`https://127.0.0.1:${await says('')}`, { timeoutMs: 100 })).result.error, 'timeout');
});

type Grpc = (stream: http2.ServerHttp2Stream, body: Buffer, headers: http2.IncomingHttpHeaders) => void;

function answerGrpc(server: http2.Http2Server | http2.Http2SecureServer, answer: Grpc): void {
  server.on('session', (session) => session.on('error', () => {}));
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => answer(stream, Buffer.concat(chunks), headers));
  });
}

/** The status of one service, as a gRPC server says it. */
function serving(status: number, grpcStatus = 0): Grpc {
  return (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': `${grpcStatus}` }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  };
}

probes('grpc: serving, not serving, no such service, not implemented', async () => {
  let answer: Grpc = serving(1);
  const bodies: string[] = [];
  const paths: unknown[] = [];
  const server = http2.createServer();
  answerGrpc(server, (stream, body, headers) => {
    bodies.push(body.toString('hex'));
    paths.push(headers[':path']);
    answer(stream, body, headers);
  });
  const url = `h2c://127.0.0.1:${await listen(server)}`;
  assert.is((await ask(url, { kind: 'grpc', grpcService: 'ab' })).reason, '');
  assert.is(bodies[0], '00000000040a026162');
  assert.is(paths[0], '/grpc.health.v1.Health/Check');
  answer = serving(2);
  assert.match((await ask(url, { kind: 'grpc' })).reason, /NOT_SERVING/);
  const onlyHead =
    (status: string): Grpc =>
    (stream) => {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status },
        { endStream: true },
      );
    };
  answer = onlyHead('5');
  assert.match((await ask(url, { kind: 'grpc', grpcService: 'x' })).reason, /no such service/);
  answer = onlyHead('12');
  assert.match((await ask(url, { kind: 'grpc' })).reason, /not implemented/);
  answer = (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  assert.is.not((await ask(url, { kind: 'grpc' })).reason, '');
  answer = () => {};
  assert.is((await ask(url, { kind: 'grpc', timeoutMs: 100 })).result.error, 'timeout');
  await until(() => open.size === 0, 'all connections are closed');
});

probes('grpc: over TLS, and against what speaks no HTTP/2', async () => {
  const server = http2.createSecureServer(certificate);
  answerGrpc(server, serving(1));
  const url = `https://127.0.0.1:${await listen(server)}`;
  assert.is((await ask(url, { kind: 'grpc' }, { insecure: true })).reason, '');
  const http1 = tls.createServer(certificate, (socket) => socket.on('error', () => {}));
  const { reason } = await ask(`https://127.0.0.1:${await listen(http1)}`, { kind: 'grpc' }, { insecure: true });
  assert.match(reason, /no HTTP\/2/);
  const plain = await says('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
  assert.is((await ask(`h2c://127.0.0.1:${plain}`, { kind: 'grpc' })).result.error, 'protocol');
});

probes('http over h2c', async () => {
  const server = http2.createServer();
  answerGrpc(server, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('fine');
  });
  const url = `h2c://127.0.0.1:${await listen(server)}`;
  assert.is((await ask(url, { kind: 'http' })).reason, '');
  assert.is((await ask(url, { kind: 'http', bodyContains: 'fine' })).reason, '');
});

probes('a probe that is told to stop says nothing', async () => {
  const abort = new AbortController();
  const asking = ask(`http://127.0.0.1:${await says('')}`, { kind: 'http' }, { signal: abort.signal });
  await until(() => open.size === 1, 'it is connected');
  abort.abort();
  assert.is((await asking).reason, 'untried');
  assert.is((await ask('http://127.0.0.1:1', {}, { signal: abort.signal })).reason, 'untried');
  await until(() => open.size === 0, 'its connection is closed');
});

probes.run();
