// time limit: 60 s
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { countEncoding } from '../../src/edge/compress-body.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { decoded, decodedPart, textOf } from '../helpers/encoded.ts';
import { request, withSession } from '../helpers/http2.ts';
import { startNode } from '../helpers/http2-origin.ts';
import type { Message } from '../helpers/message.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const compress = suite('compress');
compress.after.each(async () => {
  await cleanUp();
  await until(() => countEncoding() === 0, 'the end of all encoders');
});

const route: Partial<Route> = { compress: true };
const body = textOf(8_000);
const html = 'Content-Type: text/html\r\n';
const get = (accepted = 'gzip', more = '', method = 'GET') =>
  `${method} / HTTP/1.1\r\nHost: app.test\r\n${accepted === '' ? '' : `Accept-Encoding: ${accepted}\r\n`}${more}\r\n`;

const plain = (message: Message) => decoded(message.body, message.get('content-encoding'));

compress('each coding, and what becomes of the fields', () =>
  withPair(
    () =>
      reply(
        body,
        `${html}ETag: "v1"\r\nAccept-Ranges: bytes\r\nContent-MD5: x\r\nRepr-Digest: x\r\nX-Other: 1\r\nVary: Origin\r\n`,
      ),
    async ({ port, origin }) => {
      const client = connect(port);
      for (const coding of ['gzip', 'br', 'zstd']) {
        client.send(get(coding));
        const answer = await client.response();
        assert.is(answer.get('content-encoding'), coding);
        assert.equal(plain(answer), body, coding);
        assert.ok(answer.body.length < body.length / 2);
        assert.is(answer.get('etag'), 'W/"v1"');
        assert.is(answer.get('vary'), 'Origin, Accept-Encoding');
        assert.is(answer.get('x-other'), '1');
        assert.is(answer.get('content-length'), String(answer.body.length));
        for (const name of ['accept-ranges', 'content-md5', 'repr-digest'])
          assert.is(answer.get(name), undefined, name);
      }
      for (const [index, coding] of ['gzip', 'br', 'zstd'].entries())
        assert.is(origin.requests[index].get('accept-encoding'), coding, 'goes on as it is');
      assert.is(origin.connections.length, 1);
    },
    { route },
  ),
);

compress('a client that does not take it gets it as it is, and caches are told', () =>
  withPair(
    () => reply(body, `${html}ETag: "v1"\r\nAccept-Ranges: bytes\r\n`),
    async ({ port }) => {
      const requests = [get(''), get('deflate'), get('gzip;q=0'), get('identity, gzip;q=0.5')];
      for (const sent of [...requests, get().replace('HTTP/1.1', 'HTTP/1.0')]) {
        const answer = await ask(port, sent);
        assert.is(answer.get('content-encoding'), undefined);
        assert.is(answer.get('content-length'), String(body.length));
        assert.is(answer.get('vary'), 'Accept-Encoding');
        assert.is(answer.get('etag'), '"v1"');
        assert.is(answer.get('accept-ranges'), 'bytes');
        assert.equal(answer.body, body);
      }
    },
    { route },
  ),
);

const untouched: [name: string, answer: string][] = [
  ['an event stream', reply(body, 'Content-Type: text/event-stream\r\n')],
  ['an image', reply(body, 'Content-Type: image/png\r\n')],
  ['no type', reply(body)],
  ['what is encoded', reply(body, `${html}Content-Encoding: br\r\nETag: "b"\r\n`)],
  ['a part', reply(body, `${html}Content-Range: bytes 0-7999/9000\r\nETag: "b"\r\n`, '206 Partial Content')],
  ['what nobody may change', reply(body, `${html}Cache-Control: public, no-transform\r\nETag: "b"\r\n`)],
  ['a short one', reply('short', `${html}ETag: "b"\r\n`)],
  ['an empty one', reply('', html)],
  ['204', 'HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n'],
  ['gRPC', reply(body, 'Content-Type: application/grpc\r\n')],
];
for (const [name, answer] of untouched) {
  compress(`${name} is left alone`, () =>
    withPair(
      () => answer,
      async ({ port }) => {
        const got = await ask(port, get('gzip, br, zstd'));
        const end = answer.indexOf('\r\n\r\n');
        assert.equal(got.head, answer.slice(0, end));
        assert.is(got.text, answer.slice(end + 4));
      },
      { route },
    ),
  );
}

compress('an event stream comes piece by piece, at once', () =>
  withPair(
    (_, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n');
      connection.send('7\r\ndata: 1\r\n');
    },
    async ({ port, origin }) => {
      const client = connect(port).send(get());
      await client.has('data: 1');
      assert.not(client.text.includes('Content-Encoding'));
      origin.connections[0].send('7\r\ndata: 2\r\n');
      await client.has('data: 2');
    },
    { route },
  ),
);

for (const coding of ['gzip', 'br', 'zstd']) {
  compress(`a page that comes slowly is let through as it comes, ${coding}`, () =>
    withPair(
      (_, connection) => {
        connection.send(`HTTP/1.1 200 OK\r\n${html}Transfer-Encoding: chunked\r\n\r\n`);
      },
      async ({ port, origin }) => {
        const client = connect(port).send(get(coding));
        await client.has('\r\n\r\n');
        assert.ok(client.text.includes(`Content-Encoding: ${coding}\r\n`), client.text);
        const start = client.bytes.indexOf('\r\n\r\n') + 4;
        const part = () => decodedPart(chunksOf(client.bytes.subarray(start)), coding).toString();
        let sent = '';
        for (const word of ['first ', 'second ', 'third ']) {
          sent += word;
          const before = client.total;
          origin.connections[0].send(`${word.length.toString(16)}\r\n${word}\r\n`);
          await until(() => client.total > before && part() === sent, `${sent}at the client`);
        }
        origin.connections[0].send('0\r\n\r\n');
        assert.is(plain(await client.response()).toString(), sent);
      },
      { route },
    ),
  );
}

/** The payload of the whole chunks that are there. */
function chunksOf(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) break;
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (size === 0 || end + 2 + size > bytes.length) break;
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 4 + size;
  }
  return Buffer.concat(parts);
}

compress('HEAD says what GET would, without a length', () =>
  withPair(
    () => `HTTP/1.1 200 OK\r\n${html}ETag: "v1"\r\nContent-Length: 8000\r\n\r\n`,
    async ({ port }) => {
      const client = connect(port).send(get('gzip', '', 'HEAD'));
      const answer = await client.response({ head: true });
      assert.is(answer.get('content-encoding'), 'gzip');
      assert.is(answer.get('content-length'), undefined);
      assert.is(answer.get('vary'), 'Accept-Encoding');
      assert.is(answer.get('etag'), 'W/"v1"');
      client.send(get('', '', 'HEAD'));
      const other = await client.response({ head: true });
      assert.is(other.get('content-length'), '8000');
      assert.is(other.get('vary'), 'Accept-Encoding');
    },
    { route },
  ),
);

compress('304: who has an encoded body finds it by its tag', () =>
  withPair(
    () => 'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n',
    async ({ port }) => {
      const client = connect(port).send(get('gzip', 'If-None-Match: "a", W/"v1"\r\n'));
      const weak = await client.response();
      assert.is(weak.get('etag'), 'W/"v1"');
      assert.is(weak.get('vary'), 'Accept-Encoding');
      client.send(get('gzip', 'If-None-Match: "v1"\r\n'));
      const strong = await client.response();
      assert.is(strong.get('etag'), '"v1"');
      assert.is(strong.get('vary'), 'Accept-Encoding');
    },
    { route },
  ),
);

compress('responseHeaders and cors come first, and once', () =>
  withPair(
    () => reply(body, 'Content-Type: application/x-own\r\nETag: "v1"\r\n'),
    async ({ port }) => {
      const answer = await ask(port, get('gzip', 'Origin: https://a.test\r\n'));
      assert.is(answer.get('content-encoding'), 'gzip');
      assert.is(answer.get('content-type'), 'text/plain');
      assert.is(answer.get('x-two'), '2');
      assert.is(answer.get('access-control-allow-origin'), 'https://a.test');
      assert.is(answer.get('vary'), 'Origin, Accept-Encoding');
      assert.equal(plain(answer), body);
    },
    {
      route: {
        ...route,
        cors: { origins: ['https://a.test'] },
        responseHeaders: { set: { 'content-type': 'text/plain' }, add: { 'x-two': '2' } },
      },
    },
  ),
);

compress('small bodies without a length stay as they are, with one', () =>
  withPair(
    () => `HTTP/1.1 200 OK\r\n${html}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    async ({ port }) => {
      const answer = await ask(port, get());
      assert.is(answer.get('content-encoding'), undefined);
      assert.is(answer.get('content-length'), '5');
      assert.is(answer.get('transfer-encoding'), undefined);
      assert.is(answer.text, 'hello');
    },
    { route },
  ),
);

compress('what encoding would make longer stays as it is', () => {
  const noise = Buffer.alloc(4_000);
  for (let i = 0, state = 7; i < noise.length; i++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    noise[i] = state >>> 16;
  }
  return withPair(
    () => reply(noise, `${html}ETag: "v1"\r\n`),
    async ({ port }) => {
      const answer = await ask(port, get());
      assert.is(answer.get('content-encoding'), undefined);
      assert.is(answer.get('vary'), 'Accept-Encoding');
      assert.is(answer.get('etag'), '"v1"');
      assert.equal(answer.body, noise);
    },
    { route },
  );
});

compress('trailers come behind the encoded body, but for digests of the plain one', () =>
  withPair(
    () =>
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\n${html}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1f40\r\n`),
        ...[body, Buffer.from('\r\n0\r\nX-Sum: 7\r\nRepr-Digest: x\r\n\r\n')],
      ]),
    async ({ port }) => {
      const answer = await ask(port, get());
      assert.equal(plain(answer), body);
      assert.equal(answer.trailers, ['X-Sum: 7']);
    },
    { route },
  ),
);

compress('an upstream that ends the body with the connection: the client keeps its own', () =>
  withPair(
    (_, connection) => {
      connection.send(`HTTP/1.0 200 OK\r\n${html}\r\n`).send(body);
      connection.socket.end();
    },
    async ({ port }) => {
      const client = connect(port);
      for (let i = 0; i < 3; i++) {
        client.send(get('br'));
        const answer = await client.response();
        assert.is(answer.line, 'HTTP/1.1 200 OK');
        assert.equal(plain(answer), body);
      }
    },
    { route },
  ),
);

compress('pipelined requests are answered in their order', () =>
  withPair(
    ({ line }) => reply(textOf(line.includes('/long') ? 200_000 : 3_000, line.length), html),
    async ({ port }) => {
      const client = connect(port);
      const asked = ['/long', '/a', '/bb', '/longer', '/ccc'];
      client.send(asked.map((path) => get('zstd').replace('/ ', `${path} `)).join(''));
      for (const path of asked) {
        const line = `GET ${path} HTTP/1.1`;
        assert.equal(plain(await client.response()), textOf(path.includes('/long') ? 200_000 : 3_000, line.length));
      }
    },
    { route },
  ),
);

compress('POST with a body, and an answer before all of that has come', () =>
  withPair(
    {
      data: (connection: OriginConnection) => {
        if (connection.record) connection.send(reply(textOf(100_000), html));
        connection.record = false;
      },
    },
    async ({ port }) => {
      const client = connect(port).send(
        `POST / HTTP/1.1\r\nHost: app.test\r\nAccept-Encoding: gzip\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(100_000)}`,
      );
      assert.equal(plain(await client.response()), textOf(100_000));
      assert.is(await client.gone(), 'end');
    },
    { route },
  ),
);

compress('the access log has the bytes that went', () =>
  withPair(
    () => reply(body, html),
    async ({ port, access }) => {
      const answer = await ask(port, get());
      await until(() => access.length === 1, 'a line');
      const line = JSON.parse(access[0]);
      assert.is(line.status, 200);
      assert.is(line.bytes, answer.body.length);
    },
    { route, settings: { logAccess: true } },
  ),
);

compress('HTTP/2 clients', () =>
  withSession(
    ({ line }) => reply(line.includes('long') ? textOf(300_000) : body, `${html}ETag: "v1"\r\n`),
    async (session) => {
      for (const coding of ['gzip', 'br', 'zstd']) {
        for (const path of ['/', '/long']) {
          const answer = await request(session, { ':path': path, 'accept-encoding': coding });
          assert.is(answer.headers['content-encoding'], coding);
          assert.is(answer.headers.vary, 'Accept-Encoding');
          assert.is(answer.headers.etag, 'W/"v1"');
          assert.is(answer.headers['transfer-encoding'], undefined);
          assert.equal(decoded(answer.body, coding), path === '/' ? body : textOf(300_000));
        }
      }
      const head = await request(session, { ':method': 'HEAD', 'accept-encoding': 'gzip' });
      assert.is(head.headers['content-length'], undefined);
      const other = await request(session, { ':path': '/' });
      assert.is(other.headers.vary, 'Accept-Encoding');
      assert.equal(other.body, body);
    },
    { route },
  ),
);

compress('HTTP/2 upstreams, trailers included', async () => {
  const origin = await startNode((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7', 'content-digest': 'x' }));
    stream.end(textOf(150_000));
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}`, ...route }]);
  const client = connect(edge.port);
  for (const coding of ['gzip', 'br', 'zstd']) {
    client.send(get(coding));
    const answer = await client.response();
    assert.is(answer.get('content-encoding'), coding);
    assert.equal(plain(answer), textOf(150_000));
    assert.equal(answer.trailers, ['x-sum: 7']);
  }
  client.send(get('').replace('HTTP/1.1', 'HTTP/1.0'));
  await until(() => client.ended !== '', 'the end');
  assert.ok(client.text.endsWith(textOf(150_000).toString()));
});

compress('many at once: no more encoders than may be, every body whole', () =>
  withSession(
    ({ line }) => reply(textOf(40_000 + line.length), html),
    async (session) => {
      const answers = await Promise.all(
        Array.from({ length: 90 }, (_, i) => request(session, { ':path': `/${i}`, 'accept-encoding': 'gzip' })),
      );
      for (const [i, answer] of answers.entries()) {
        const expected = textOf(40_000 + `GET /${i} HTTP/1.1`.length);
        assert.equal(decoded(answer.body, answer.headers['content-encoding']), expected);
      }
    },
    { route },
  ),
);

compress('beyond so many encoders bodies go as they are', async () => {
  const held: OriginConnection[] = [];
  await withPair(
    ({ line }, connection) => {
      if (!line.includes('/hold')) return reply(body, html);
      held.push(connection);
      connection.send(`HTTP/1.1 200 OK\r\n${html}Content-Length: 2000\r\n\r\nx`);
    },
    async ({ port }) => {
      for (let i = 0; i < 64; i++) connect(port).send(get().replace('/ ', '/hold '));
      await until(() => countEncoding() === 64, '64 encoders', 10_000);
      const answer = await ask(port, get());
      assert.is(answer.get('content-encoding'), undefined);
      assert.is(answer.get('vary'), 'Accept-Encoding');
      assert.equal(answer.body, body);
      for (const { socket } of held) socket.destroy();
      await until(() => countEncoding() === 0, 'none');
      assert.is((await ask(port, get())).get('content-encoding'), 'gzip');
    },
    { route },
  );
});

compress('HTTP/1.0 gets what comes in chunks as it is, until the end of the connection', () =>
  withPair(
    () =>
      Buffer.concat([
        Buffer.from(`HTTP/1.1 200 OK\r\n${html}Transfer-Encoding: chunked\r\n\r\n1f40\r\n`),
        ...[body, Buffer.from('\r\n0\r\n\r\n')],
      ]),
    async ({ port }) => {
      const client = connect(port).send(get().replace('HTTP/1.1', 'HTTP/1.0'));
      await client.gone();
      assert.ok(client.text.endsWith(`\r\n\r\n${body}`), client.text.slice(0, 300));
      assert.ok(client.text.includes('Vary: Accept-Encoding\r\n'));
      assert.not(/transfer-encoding|content-encoding/i.test(client.text));
    },
    { route },
  ),
);

compress('a head without room for more fields is left alone', () =>
  withPair(
    ({ line }) => reply(body, html + 'X: 1\r\n'.repeat(line.includes('/full') ? 254 : 240)),
    async ({ port }) => {
      const full = await ask(port, get().replace('/ ', '/full '));
      assert.is(full.status, 200);
      assert.is(full.get('content-encoding'), undefined);
      assert.equal(full.body, body);
      assert.is((await ask(port, get())).get('content-encoding'), 'gzip');
    },
    { route },
  ),
);

compress('what Connection names is gone before, and takes none of our fields with it', () =>
  withPair(
    () => reply(body, `Connection: content-encoding, vary, transfer-encoding, x-hop\r\nX-Hop: 1\r\n${html}`),
    async ({ port }) => {
      const answer = await ask(port, get());
      assert.is(answer.get('content-encoding'), 'gzip');
      assert.is(answer.get('vary'), 'Accept-Encoding');
      assert.is(answer.get('x-hop'), undefined);
      assert.equal(plain(answer), body);
    },
    { route },
  ),
);

compress('a head whose last line is cut', () =>
  withPair(
    () => reply(body, html).replace('\r\n\r\n', '\r\nKeep-Alive: timeout=5\r\n\r\n'),
    async ({ port }) => {
      const client = connect(port);
      for (const coding of ['gzip', '']) {
        client.send(get(coding));
        assert.equal(plain(await client.response()), body);
      }
    },
    { route },
  ),
);

compress('curl --compressed', async () => {
  const found = await promisify(execFile)('curl', ['--version']).catch(() => undefined);
  if (found === undefined) return;
  await withPair(
    () => reply(textOf(100_000), html),
    async ({ port }) => {
      const url = `http://127.0.0.1:${port}/`;
      const { stdout } = await promisify(execFile)('curl', ['-s', '--max-time', '5', '--compressed', url]);
      assert.is(stdout, textOf(100_000).toString());
    },
    { route },
  );
});

compress('routes without it, and requests for tunnels, know nothing of it', () =>
  withPair(
    () => reply(body, html),
    async ({ port }) => {
      const answer = await ask(port, get());
      assert.is(answer.get('vary'), undefined);
      assert.equal(answer.body, body);
    },
    { route: { compress: false } },
  ),
);

compress.run();
