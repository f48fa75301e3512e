// time limit: 90 s
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countEncoding, EncodedBody } from '../../src/edge/compress-body.ts';
import type { Encodable } from '../../src/edge/compress-send.ts';
import type { Upstream } from '../../src/edge/downstream.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { decoded, textOf } from '../helpers/encoded.ts';
import { front } from '../helpers/front.ts';
import { answerOf, request, send, withSession } from '../helpers/http2.ts';
import { startNode } from '../helpers/http2-origin.ts';
import { reply } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { connectionsOf } from '../helpers/upstreams.ts';
import { sleep, until } from '../helpers/wait.ts';

const failures = suite('compress: what goes wrong');
failures.after.each(async () => {
  // A listener for HTTP/2 has set it.
  front.protocol = 'http/1.1';
  await cleanUp();
  await until(() => countEncoding() === 0, 'the end of all encoders');
});

const route = { compress: true };
const type = 'Content-Type: text/plain\r\n';
const get = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\nAccept-Encoding: gzip\r\n\r\n`;
const headOf = (bytes: number) => `HTTP/1.1 200 OK\r\n${type}Content-Length: ${bytes}\r\n\r\n`;
const chunkedHead = `HTTP/1.1 200 OK\r\n${type}Transfer-Encoding: chunked\r\n\r\n`;

failures('an upstream that breaks off in the middle: the response is cut, whatever framed it', () =>
  withPair(
    ({ line }, connection) => {
      connection.send(line.includes('chunked') ? `${chunkedHead}30d40\r\n` : headOf(200_000)).send(textOf(100_000));
      setTimeout(() => connection.socket.destroy(), 100);
    },
    async ({ port, errors }) => {
      for (const path of ['/', '/chunked']) {
        const client = connect(port).send(get(path));
        assert.is(await client.gone(), 'reset');
        assert.ok(client.text.includes('Content-Encoding: gzip'));
        assert.not(client.text.endsWith('0\r\n\r\n'));
      }
      assert.is(errors.length, 2);
      assert.match(errors[0], /502 OO_UPSTREAM_CLOSED .*the response was cut/);
    },
    { route },
  ),
);

failures('the same while nothing has left: the answer is ours', () =>
  withPair(
    ({ line }, connection) => {
      connection.send(line.includes('chunked') ? `${chunkedHead}fff\r\nhalf` : `${headOf(5_000)}half`);
      connection.socket.destroySoon();
    },
    async ({ port, edge }) => {
      for (const path of ['/', '/chunked']) {
        const answer = await ask(port, get(path));
        assert.is(answer.status, 502, path);
        assert.is(answer.get('content-encoding'), undefined);
      }
      assert.is(connectionsOf(edge).length, 0);
    },
    { route },
  ),
);

failures('a chunk that is none: cut, or answered', () =>
  withPair(
    ({ line }, connection) => {
      connection.send(line.includes('late') ? `${chunkedHead}186a0\r\n` : `${chunkedHead}nonsense`);
      if (!line.includes('late')) return;
      connection.send(textOf(100_000));
      setTimeout(() => connection.send('\r\nnonsense'), 100);
    },
    async ({ port }) => {
      assert.is((await ask(port, get())).status, 502);
      const client = connect(port).send(get('/late'));
      assert.is(await client.gone(), 'reset');
    },
    { route },
  ),
);

failures('HTTP/2 clients: the stream is reset, and the others go on', () =>
  withSession(
    ({ line }, connection) => {
      if (line.includes('/good')) return reply(textOf(50_000), type);
      connection.send(headOf(200_000)).send(textOf(100_000));
      setTimeout(() => connection.socket.destroy(), 100);
    },
    async (session) => {
      const broken = request(session, { ':path': '/', 'accept-encoding': 'br' }).then(
        () => 'whole',
        (error: Error) => error.message,
      );
      const good = await request(session, { ':path': '/good', 'accept-encoding': 'br' });
      assert.equal(decoded(good.body, 'br'), textOf(50_000));
      assert.match(await broken, /reset|closed with error/i);
    },
    { route },
  ),
);

failures('an HTTP/2 upstream that breaks off', async () => {
  const origin = await startNode((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    stream.write(textOf(100_000));
    setTimeout(() => stream.session?.destroy(), 100);
  });
  const { port } = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}`, ...route }]);
  const client = connect(port).send(get());
  assert.is(await client.gone(), 'reset');
  assert.not(client.text.endsWith('0\r\n\r\n'));
});

failures('a client that leaves frees encoder and upstream', () =>
  withPair(
    (_, connection) => {
      connection.send(chunkedHead).send('186a0\r\n').send(textOf(100_000)).send('\r\n');
    },
    async ({ port, origin, edge, access }) => {
      const client = connect(port).send(get());
      await client.has('Content-Encoding: gzip');
      assert.is(countEncoding(), 1);
      client.reset();
      await until(() => countEncoding() === 0, 'no encoder');
      await until(() => origin.open === 0, 'no connection to the origin');
      assert.is(connectionsOf(edge).length, 0);
      await until(() => access.length === 1, 'a line');
      assert.is(JSON.parse(access[0]).status, 200);
    },
    { route, settings: { logAccess: true } },
  ),
);

failures('a client that leaves before anything of it has left', () =>
  withPair(
    (_, connection) => {
      connection.send(`${headOf(5_000)}x`);
    },
    async ({ port, origin }) => {
      const client = connect(port).send(get());
      await until(() => countEncoding() === 1, 'an encoder');
      client.close();
      await until(() => countEncoding() === 0 && origin.open === 0, 'the end');
    },
    { route },
  ),
);

failures('a slow client stops the upstream, and gets every byte', () => {
  // Noise: what can be encoded well would all fit into the kernel's buffers.
  const noise = randomBytes(24 * 1024 * 1024);
  return withPair(
    (_, connection) => {
      connection.send(headOf(noise.length)).send(noise);
    },
    async ({ port, origin }) => {
      const client = connect(port, { highWaterMark: 65_536 } as object);
      client.send(get().replace('gzip', 'zstd'));
      await client.has('\r\n\r\n');
      client.socket.pause();
      const left = () => origin.connections[0].socket.writableLength;
      let before = -1;
      await until(
        () => {
          const same = left() === before;
          before = left();
          return same && before > 0;
        },
        'the upstream to stand still',
        20_000,
      );
      await sleep(200);
      assert.is(left(), before, 'nothing more is read');
      assert.ok(before > 2_000_000, `${before} bytes are still at the origin`);
      client.socket.resume();
      const answer = await client.response({ ms: 30_000 });
      assert.ok(decoded(answer.body, 'zstd').equals(noise));
    },
    { route },
  );
});

failures('the upstream is free for others as soon as it has been read', () =>
  withSession(
    ({ line }) => reply(line.includes('/next') ? 'next' : textOf(60_000), type),
    async (session, { edge, origin }) => {
      session.settings({ initialWindowSize: 0 });
      await until(() => session.localSettings.initialWindowSize === 0, 'no window');
      const slow = send(session, { ':path': '/', 'accept-encoding': 'gzip' });
      const answer = answerOf(slow);
      await until(() => connectionsOf(edge)[0]?.client === null, 'an idle upstream');
      assert.is(origin.connections.length, 1);
      await sleep(50);
      assert.is(slow.readableLength, 0);
      session.settings({ initialWindowSize: 65_535 });
      const got = await answer;
      assert.equal(decoded(got.body, 'gzip'), textOf(60_000));
      await request(session, { ':path': '/next' });
      assert.is(origin.connections.length, 1);
    },
    { route },
  ),
);

failures('HTTP/2 clients with small windows get every byte', () =>
  withSession(
    () => reply(randomBytes(400_000), type),
    async (session, { origin }) => {
      const answers = await Promise.all(
        Array.from({ length: 6 }, () => request(session, { ':path': '/', 'accept-encoding': 'gzip' })),
      );
      for (const answer of answers) assert.is(decoded(answer.body, 'gzip').length, 400_000);
      assert.is(origin.requests.length, 6);
    },
    { route },
  ),
);

failures('an upstream that is silent in the body', () =>
  withPair(
    (_, connection) => {
      connection.send(headOf(100_000)).send(textOf(50_000));
    },
    async ({ port, errors }) => {
      const client = connect(port).send(get());
      assert.is(await client.gone(10_000), 'reset');
      assert.match(errors[0], /504 OO_UPSTREAM_TIMEOUT/);
    },
    { route: { ...route, idleTimeoutMs: 300 } },
  ),
);

failures('an upstream that was stopped before its body was to be encoded is read again', () => {
  let resumed = 0;
  const inner = { pause: () => {}, resume: () => resumed++, destroy: () => {}, instance: {} } as unknown as Upstream;
  const exchange = { up: inner, wantsDecoded: () => true } as unknown as Encodable;
  const head = { lines: [], contentType: '', contentEncoding: '', cacheControl: '', vary: '', etag: '' };
  const body = new EncodedBody(exchange, inner, {
    ...{ head, coding: 'gzip', minBytes: 0, chunked: false, neverIndexed: false },
  });
  exchange.up!.resume();
  assert.is(resumed, 1);
  body.leave();
});

failures.run();
