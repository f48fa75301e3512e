import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { front } from '../helpers/front.ts';
import { connectHttp2, listenHttp2, request, send, withSession } from '../helpers/http2.ts';
import { echo, startNode } from '../helpers/http2-origin.ts';
import { reply } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { within } from '../helpers/wait.ts';

const rewrite = suite('rewrite over HTTP/2');
rewrite.after.each(cleanUp);

const rules = {
  stripPrefix: '/app',
  requestHeaders: {
    remove: ['cookie', 'x-gone'],
    set: { 'X-Set': '{method} {scheme} {path}' },
    add: { 'X-Add': ['1', '2'] },
  },
  responseHeaders: {
    remove: ['server', 'X-GONE'],
    set: { 'X-Frame-Options': 'DENY', 'X-Uri': '{uri}' },
    add: { 'X-Add': '3' },
  },
};

rewrite('a client of HTTP/2: path, fields, and the response', () =>
  withSession(
    () => reply('hi', 'Server: s\r\nx-gone: 1\r\nX-Keep: k\r\n'),
    async (session, { origin }) => {
      // Streams of one connection, with hosts of their own: none gets what is another's.
      const asked = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          request(session, {
            ':path': `/app/${i}?q`,
            ':authority': `h${i}.test`,
            cookie: ['a=b', 'c=d'],
            'x-gone': '1',
            'x-set': 'theirs',
          }),
        ),
      );
      asked.forEach((answer, i) => {
        assert.is(answer.status, 200);
        assert.is(answer.body.toString(), 'hi');
        assert.is(answer.headers.server, undefined);
        assert.is(answer.headers['x-gone'], undefined);
        assert.is(answer.headers['x-keep'], 'k');
        assert.is(answer.headers['x-frame-options'], 'DENY');
        assert.is(answer.headers['x-uri'], `/app/${i}?q`);
        assert.is(answer.headers['x-add'], '3');
        const got = origin.requests.find(({ line }) => line === `GET /${i}?q HTTP/1.1`)!;
        assert.is(got.get('host'), `h${i}.test`);
        assert.is(got.get('cookie'), undefined);
        assert.is(got.get('x-gone'), undefined);
        assert.match(got.get('x-set') ?? '', new RegExp(`^GET https? /app/${i}$`));
        assert.is(got.get('x-add'), '1, 2');
        assert.is(got.get('x-forwarded-prefix'), '/app');
      });
    },
    { route: rules },
  ),
);

rewrite('bodies and trailers, both ways', () =>
  withSession(
    (message) =>
      `HTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n${message.text.slice(0, 5)}\r\n0\r\nX-Sum: 7\r\n\r\n`,
    async (session, { origin }) => {
      const answer = await request(session, { ':method': 'POST', ':path': '/app/x' }, 'hello world', { 'x-t': '1' });
      assert.is(answer.body.toString(), 'hello');
      assert.is(answer.trailers['x-sum'], '7');
      assert.is(answer.headers.server, undefined);
      assert.is(origin.requests[0].text, 'hello world');
      assert.equal(origin.requests[0].trailers, ['x-t: 1']);
      const head = await request(session, { ':method': 'HEAD', ':path': '/app' });
      assert.is(head.headers['x-frame-options'], 'DENY');
    },
    { route: rules },
  ),
);

rewrite('an upstream of HTTP/2, for clients of both', async () => {
  const origin = await startNode(echo);
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}/base`, ...rules }]);
  const session = connectHttp2(await listenHttp2(edge.edge));
  const [over1, over2] = [
    await ask(edge.port, 'GET /app/x?y HTTP/1.1\r\nHost: app.test\r\nCookie: a=b\r\nX-Gone: 1\r\n\r\n'),
    await request(session, { ':path': '/app/x?y', cookie: 'a=b', 'x-gone': '1' }),
  ];
  assert.is(over1.text, 'GET /base/x?y ');
  assert.is(over2.body.toString(), 'GET /base/x?y ');
  assert.is(over1.get('x-frame-options'), 'DENY');
  assert.is(over2.headers['x-frame-options'], 'DENY');
  for (const fields of [over1.get('x-got'), over2.headers['x-got'] as string]) {
    const got = JSON.parse(fields as string);
    assert.is(got.cookie, undefined);
    assert.is(got['x-gone'], undefined);
    assert.is(got['x-add'], '1, 2');
    assert.is(got['x-forwarded-prefix'], '/app');
    assert.is(got[':authority'], 'app.test');
  }
});

rewrite('what can’t be told is refused, and the stream alone', () =>
  withSession(
    () => reply('hi'),
    async (session, { origin }) => {
      for (const path of ['/app//evil', '/app/%2fevil', '/%61pp/x', '/app/../x'])
        assert.is((await request(session, { ':path': path })).status, 400, path);
      assert.is((await request(session, { ':path': '/app/x' })).status, 200);
      assert.is(origin.requests.length, 1);
    },
    { route: rules },
  ),
);

rewrite('cors on answers, failures, and never on another stream’s', () =>
  withSession(
    (message) => (message.line.includes('/gone') ? 'SSH\r\n\r\n' : reply('hi', 'Access-Control-Allow-Origin: *\r\n')),
    async (session) => {
      const from = (origin: string, path = '/') => request(session, { ':path': path, origin });
      const origins = ['https://a.test', 'https://evil.test', 'https://b.test', 'https://a.test'];
      const answers = await Promise.all(origins.map((origin) => from(origin)));
      assert.equal(
        answers.map(({ headers }) => headers['access-control-allow-origin']),
        ['https://a.test', undefined, 'https://b.test', 'https://a.test'],
      );
      for (const { headers } of answers) assert.is(headers.vary, 'Origin');
      const failed = await from('https://a.test', '/gone');
      assert.is(failed.status, 502);
      assert.is(failed.headers['access-control-allow-origin'], 'https://a.test');
    },
    { route: { cors: { origins: ['https://a.test', 'https://b.test'] } } },
  ),
);

rewrite('an extended CONNECT: its upgrade is rewritten, and the tunnel opens', () =>
  withSession(
    (message) => {
      const accept = createHash('sha1').update(
        `${message.get('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
      );
      return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nServer: s\r\nSec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`;
    },
    async (session, { origin }) => {
      if (!session.remoteSettings?.enableConnectProtocol) await once(session, 'remoteSettings');
      const stream = session.request({
        ':method': 'CONNECT',
        ':protocol': 'websocket',
        ':scheme': front.tls ? 'https' : 'http',
        ':authority': 'app.test',
        ':path': '/app/chat',
        'sec-websocket-version': '13',
        'x-gone': '1',
      });
      const [headers] = await within(once(stream, 'response'), 'a response');
      assert.is(headers[':status'], 200);
      assert.is(headers.server, 's');
      const [got] = origin.requests;
      assert.is(got.line, 'GET /chat HTTP/1.1');
      assert.is(got.get('upgrade'), 'websocket');
      assert.is(got.get('x-gone'), undefined);
      stream.on('error', () => {});
      stream.destroy();
    },
    { route: rules },
  ),
);

rewrite('large answers behind a rewritten head', () => {
  const big = 'x'.repeat(2_000_000);
  return withSession(
    () => reply(big, 'Server: s\r\n'),
    async (session) => {
      const streams = [1, 2, 3].map(() => send(session, { ':path': '/app/x' }));
      const sizes = await Promise.all(
        streams.map(async (stream) => {
          let bytes = 0;
          stream.on('response', (headers) => assert.is(headers.server, undefined));
          stream.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          await within(once(stream, 'end'), 'the end', 10_000);
          return bytes;
        }),
      );
      assert.equal(sizes, [big.length, big.length, big.length]);
    },
    { route: rules },
  );
});

rewrite.run();
