import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { until, within } from '../helpers/wait.ts';
import { type Listening, listen } from './sockets.ts';

/** Something to upload that names no error. */
const upload = join(import.meta.dirname, '../../tsconfig.json');

/** Our server, and clients that others have written: node:http2, nghttp, h2load. */
const interop = suite('http2 server: other clients');

let server: Listening;
const sessions: http2.ClientHttp2Session[] = [];
interop.before.each(async () => {
  server = await listen();
});
interop.after.each(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await server.close();
});

function connect(settings: http2.Settings = {}): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${server.port}`, { settings });
  session.on('error', () => {});
  sessions.push(session);
  return session;
}

interface Answer {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly body: Buffer;
  readonly trailers: http2.IncomingHttpHeaders;
}

async function answer(stream: http2.ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = [];
  let headers: Answer['headers'] = {};
  let trailers = {};
  stream.on('response', (h) => {
    headers = h;
  });
  stream.on('trailers', (t) => {
    trailers = t;
  });
  stream.on('data', (chunk) => chunks.push(chunk));
  await within(once(stream, 'end'), 'the response', 20_000);
  return { headers, body: Buffer.concat(chunks), trailers };
}

/** Resolves when the stream is gone, however. */
function closed(stream: http2.ClientHttp2Stream): Promise<void> {
  stream.on('error', () => {});
  return new Promise((resolve) => stream.once('close', () => resolve()));
}

interop('GET, with the fields that HTTP/1.1 gets', async () => {
  const stream = connect().request({
    ':path': '/a?b=c',
    accept: 'text/html',
    cookie: ['a=b', 'c=d'],
    'x-long': 'y'.repeat(500),
  });
  const { headers, body } = await answer(stream);
  assert.is(headers[':status'], 200);
  assert.is(headers['content-type'], 'text/plain');
  const said = body.toString();
  assert.match(said, new RegExp(`^GET /a\\?b=c HTTP/1\\.1\r\nhost: 127\\.0\\.0\\.1:${server.port}\r\n`));
  assert.match(said, /\r\ncookie: a=b; c=d\r\n\r\n$/);
  assert.match(said, /\r\nx-long: y{500}\r\n/);
});

interop('the same again by the dynamic table, 200 times', async () => {
  const session = connect();
  let first = '';
  for (let i = 0; i < 200; i++) {
    const { body } = await answer(
      session.request({ ':path': '/', 'user-agent': 'test/1.0 (x; y)', 'x-b': `${i % 3}` }),
    );
    const said = body.toString().replace(/x-b: \d/, 'x-b: 0');
    if (i === 0) first = said;
    assert.is(said, first);
  }
});

interop('HEAD, and a status without a body', async () => {
  const { headers, body } = await answer(connect().request({ ':path': '/bytes/0', ':method': 'HEAD' }));
  assert.is(headers[':status'], 200);
  assert.is(body.length, 0);
});

interop('POST, echoed, with trailers both ways', async () => {
  const stream = connect().request(
    { ':path': '/trailers', ':method': 'POST', te: 'trailers' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc', 'grpc-timeout': '1S' }));
  stream.write('hello ');
  stream.end('world');
  const { body, trailers } = await answer(stream);
  assert.is(body.toString(), 'hello world');
  assert.is(trailers['x-sum'], 'abc');
  assert.is(trailers['grpc-timeout'], '1S');
});

interop('trailers of the response alone', async () => {
  const { trailers } = await answer(connect().request({ ':path': '/trailers' }));
  assert.is(trailers['grpc-status'], '0');
});

interop('103 before the response', async () => {
  const stream = connect().request({ ':path': '/hints' });
  const hints: (string | undefined)[] = [];
  stream.on('headers', (headers) => hints.push(`${headers[':status']} ${headers.link}`));
  const { headers } = await answer(stream);
  assert.equal(hints, ['103 </a>']);
  assert.is(headers[':status'], 200);
});

interop('1,000 streams on one connection, no more than allowed at a time', async () => {
  const session = connect();
  await within(once(session, 'remoteSettings'), 'settings');
  assert.is(session.remoteSettings.maxConcurrentStreams, 128);
  assert.is(session.remoteSettings.enableConnectProtocol, true);
  const all = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => answer(session.request({ ':path': `/bytes/${i}` }))),
  );
  all.forEach(({ headers, body }, i) => {
    assert.is(headers[':status'], 200, `${i}`);
    assert.is(body.length, i);
  });
  assert.is(server.connections.length, 1);
  await until(() => server.connections[0].connection.streams.size === 0, 'streams end');
});

interop('a large download and a large upload, under small windows', async () => {
  const session = connect({ initialWindowSize: 10_000 });
  const size = 3_000_000;
  const down = await answer(session.request({ ':path': `/bytes/${size}` }));
  assert.is(down.body.length, size);
  assert.ok(down.body.equals(Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz')));
  const up = session.request({ ':path': '/echo', ':method': 'POST' });
  const sent = Buffer.alloc(size, '0123456789');
  up.end(sent);
  const echoed = await answer(up);
  assert.ok(echoed.body.equals(sent));
  const [wiring] = server.connections;
  // Nobody made us keep more than a window, nor write more than a turn's output.
  assert.ok(wiring.largestHeld <= 1024 * 1024, `${wiring.largestHeld}`);
  assert.ok(wiring.largestWrite <= 170_000, `${wiring.largestWrite}`);
});

interop('a client that does not read stops the upload that it is echoed', async () => {
  const session = connect({ initialWindowSize: 20_000 });
  const up = session.request({ ':path': '/echo', ':method': 'POST' });
  up.pause();
  let written = 0;
  const piece = Buffer.alloc(50_000);
  const push = (): void => {
    if (up.destroyed || written > 5_000_000) return;
    written += piece.length;
    up.write(piece, () => push());
  };
  push();
  await until(() => server.connections.length === 1 && server.connections[0].largestHeld > 0, 'the first bytes');
  let before = -1;
  await until(() => {
    const still = before === server.connections[0].largestHeld;
    before = server.connections[0].largestHeld;
    return still && before > 40_000;
  }, 'it stops');
  assert.ok(server.connections[0].largestHeld <= 70_000, `${server.connections[0].largestHeld}`);
  assert.ok(written < 1_000_000, `${written}`);
  // Other streams go on.
  assert.is((await answer(session.request({ ':path': '/bytes/5000' }))).body.length, 5_000);
});

interop('an answer before the request has ended', async () => {
  const stream = connect().request({ ':path': '/early', ':method': 'POST' });
  stream.on('error', () => {});
  stream.write(Buffer.alloc(100_000));
  const [headers] = await within(once(stream, 'response'), 'the response');
  assert.is(headers[':status'], 413);
  await within(closed(stream.resume()), 'the end');
  assert.is(stream.rstCode, 0);
});

interop('resets, both ways', async () => {
  const session = connect();
  const refused = session.request({ ':path': '/refuse' });
  await within(closed(refused), 'the refusal');
  assert.is(refused.rstCode, 7);
  const stop = new AbortController();
  const cancelled = session.request({ ':path': '/echo', ':method': 'POST' }, { signal: stop.signal });
  cancelled.on('error', () => {});
  await within(once(cancelled, 'response'), 'the response');
  stop.abort();
  await until(() => server.connections[0].aborts.length === 1, 'the reset');
  assert.equal(server.connections[0].aborts, [8]);
  assert.is((await answer(session.request({ ':path': '/' }))).headers[':status'], 200);
});

interop('drain: streams that run end well, and the client goes', async () => {
  const session = connect();
  const running = session.request({ ':path': '/echo', ':method': 'POST' });
  await within(once(running, 'response'), 'the response');
  const gone = once(session, 'goaway');
  server.connections[0].connection.drain();
  assert.is((await within(gone, 'GOAWAY'))[0], 0);
  running.end('the rest');
  assert.is((await answer(running)).body.toString(), 'the rest');
  await until(() => server.connections[0].drained, 'drained');
});

interop('a client that ends its connection ends its streams', async () => {
  const session = connect();
  const running = session.request({ ':path': '/echo', ':method': 'POST' });
  running.on('error', () => {});
  await within(once(running, 'response'), 'the response');
  session.destroy();
  await until(() => server.connections[0].aborts.length === 1, 'the abort');
});

interop('ping, and settings that change in between', async () => {
  const session = connect();
  await within(once(session, 'remoteSettings'), 'settings');
  await within(new Promise((resolve) => session.ping(() => resolve(undefined))), 'a ping');
  await within(
    new Promise<void>((resolve) => session.settings({ initialWindowSize: 1_000, headerTableSize: 0 }, () => resolve())),
    'settings',
  );
  for (let i = 0; i < 3; i++)
    assert.is((await answer(session.request({ ':path': '/bytes/100000' }))).body.length, 100_000);
});

interop('extended CONNECT: a tunnel', async () => {
  const session = connect();
  await within(once(session, 'remoteSettings'), 'settings');
  const tunnel = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/echo',
    ':scheme': 'https',
    ':authority': 'a.test',
  });
  await within(once(tunnel, 'response'), 'the response');
  tunnel.write('ping');
  const [chunk] = await within(once(tunnel, 'data'), 'the echo');
  assert.is(chunk.toString(), 'ping');
  tunnel.end('bye');
  assert.is((await within(once(tunnel, 'data'), 'the rest'))[0].toString(), 'bye');
  await within(once(tunnel, 'end'), 'the end');
  assert.match(server.connections[0].heads[0], /^GET \/echo HTTP\/1\.1\r\nhost: a\.test\r\n\r\n$/);
});

// ---- nghttp2's tools (Debian's nghttp2-client)

async function run(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  try {
    await within(once(child, 'close'), command, 20_000);
  } finally {
    child.kill('SIGKILL');
  }
  return output;
}

interop('nghttp: GET with priorities, an upload with padding and trailers', async () => {
  const url = `http://127.0.0.1:${server.port}`;
  const got = await run('nghttp', '-v', `${url}/bytes/1000`);
  assert.match(got, /:status: 200/);
  assert.match(got, /recv GOAWAY frame|send GOAWAY frame.*\n.*NO_ERROR/s);
  const posted = await run(
    'nghttp',
    '-v',

    '-d',
    upload,
    '--trailer',
    'x-t: u',
    '-b',
    '50',
    `${url}/echo`,
  );
  assert.match(posted, /padlen/);
  assert.match(posted, /x-t: u/);
  assert.not.match(posted, /RST_STREAM|PROTOCOL_ERROR|FLOW_CONTROL|COMPRESSION/);
  const flow = await run(
    'nghttp',
    '-n',
    '-s',
    '-w',
    '10',
    '-W',
    '10',
    '-m',
    '20',
    '-H',
    'x-a: b',
    `${url}/bytes/20000`,
  );
  assert.is(flow!.match(/ 200 .*K /g)?.length, 20, flow);
  assert.is(
    server.connections.every(({ failed }) => failed === ''),
    true,
  );
});

interop('h2load: 1, 10 and 100 streams, both ways', async () => {
  for (const [streams, path, extra] of [
    ['1', '/bytes/1000', []],
    ['10', '/bytes/3000', []],
    ['100', '/bytes/30000', ['-w', '12', '-W', '14']],
    ['10', '/echo', ['-d', upload]],
  ] as const) {
    const output = await run(
      'h2load',
      '-n',
      '1000',
      '-c',
      '2',
      '-m',
      streams,
      ...extra,
      `http://127.0.0.1:${server.port}${path}`,
    );
    assert.match(output, /1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout/, output);
    assert.match(output, /status codes: 1000 2xx/);
  }
});

interop.run();
