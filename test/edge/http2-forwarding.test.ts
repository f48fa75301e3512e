import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { front } from '../helpers/front.ts';
import { request, withSession } from '../helpers/http2.ts';
import type { Message } from '../helpers/message.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';

const forwarding = suite('HTTP/2 forwarding');
forwarding.after.each(cleanUp);

const fieldsOf = (message: Message) => Object.fromEntries(message.fields.map(([name, value]) => [name, value]));

forwarding('a GET arrives as HTTP/1.1, with what the upstream must know of the client', () =>
  withSession(
    () => reply('hi', 'X-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\n'),
    async (session, { origin }) => {
      const answer = await request(session, {
        ':path': '/a?b=c',
        cookie: ['a=1', 'b=2'],
        'x-forwarded-for': '1.2.3.4',
      });
      assert.is(answer.status, 200);
      assert.is(answer.body.toString(), 'hi');
      assert.is(answer.headers['x-a'], '1');
      assert.is(answer.headers['x-b'], undefined);
      assert.is(answer.headers['keep-alive'], undefined);
      assert.is(answer.headers['content-length'], '2');
      const [got] = origin.requests;
      assert.is(got.line, 'GET /a?b=c HTTP/1.1');
      const fields = fieldsOf(got);
      assert.is(fields.host, 'app.test');
      assert.is(fields.cookie, 'a=1; b=2');
      assert.is(fields['X-Forwarded-For'], '127.0.0.1');
      assert.is(fields['X-Forwarded-Proto'], front.tls ? 'https' : 'http');
      assert.is(fields['X-Forwarded-Host'], 'app.test');
      assert.is(fields.Via, '2.0 oo');
    },
  ),
);

const bodies: [name: string, length: boolean, trailers: boolean][] = [
  ['a body with a length keeps it', true, false],
  ['a body without a length goes in chunks', false, false],
  ['trailers go behind the last chunk', false, true],
];
for (const [name, length, trailers] of bodies) {
  forwarding(name, () =>
    withSession(
      () => reply('ok'),
      async (session, { origin }) => {
        const sent = Buffer.alloc(100_000, 'abcdefghij');
        const headers = { ':method': 'POST', ':path': '/', ...(length ? { 'content-length': sent.length } : {}) };
        const answer = await request(
          session,
          headers,
          sent,
          trailers ? { 'x-sum': '7', 'content-type': 'no' } : undefined,
        );
        assert.is(answer.status, 200);
        const [got] = origin.requests;
        assert.is(got.chunked, !length);
        assert.ok(got.body.equals(sent));
        assert.equal(got.trailers, trailers ? ['x-sum: 7'] : []);
      },
    ),
  );
}

forwarding('the head and the first bytes of a small body leave in one write', () =>
  withSession(
    {
      data: (connection, chunk) => {
        if (chunk.includes('POST /warm')) connection.send(reply('ok'));
        else if (chunk.includes('four')) connection.send(reply(String(connection.text.includes('\r\n\r\nfour'))));
      },
    },
    async (session, { origin }) => {
      await request(session, { ':method': 'POST', ':path': '/warm', 'content-length': 0 });
      const chunks: string[] = [];
      origin.connections[0].socket.on('data', (chunk: Buffer) => chunks.push(chunk.toString('latin1')));
      const answer = await request(session, { ':method': 'POST', ':path': '/x', 'content-length': 4 }, 'four');
      assert.is(answer.status, 200);
      assert.is(chunks.length, 1);
      assert.match(chunks[0], /^POST \/x HTTP\/1\.1\r\n[\s\S]*\r\n\r\nfour$/);
    },
  ),
);

forwarding('chunks are taken apart, and trailers go on', () =>
  withSession(
    () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\nHost: evil\r\n\r\n',
    async (session) => {
      const answer = await request(session, { ':path': '/' });
      assert.is(answer.body.toString(), 'hello');
      assert.is(answer.headers['transfer-encoding'], undefined);
      assert.is(answer.trailers['x-t'], '1');
      assert.is(answer.trailers.host, undefined);
    },
  ),
);

forwarding('a response that ends with its connection ends its stream', () =>
  withSession(
    (_, connection: OriginConnection) => {
      connection.send('HTTP/1.0 200 OK\r\n\r\nall of it');
      connection.socket.end();
    },
    async (session) => {
      assert.is((await request(session, { ':path': '/' })).body.toString(), 'all of it');
    },
  ),
);

forwarding('HEAD, 204 and 304 have no body', () =>
  withSession(
    ({ line }) => {
      if (line.includes('/204')) return 'HTTP/1.1 204 No Content\r\n\r\n';
      if (line.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n';
      return 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n';
    },
    async (session) => {
      const head = await request(session, { ':method': 'HEAD', ':path': '/' });
      assert.is(head.headers['content-length'], '1000');
      assert.is(head.body.length, 0);
      assert.is((await request(session, { ':path': '/204' })).status, 204);
      const cached = await request(session, { ':path': '/304' });
      assert.is(cached.status, 304);
      assert.is(cached.headers.etag, '"x"');
    },
  ),
);

forwarding('interim responses go on; 100 only where it was expected', () =>
  withSession(
    () => `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply('ok')}`,
    async (session) => {
      const answer = await request(session, { ':path': '/' });
      assert.is(answer.status, 200);
      assert.is(answer.interims.length, 1);
      assert.is(answer.interims[0].link, '</a>');
    },
  ),
);

forwarding('the access log has a line of it', () =>
  withSession(
    () => reply('hello'),
    async (session, { access }) => {
      await request(session, { ':path': '/a' });
      assert.is(access.length, 1);
      const line = JSON.parse(access[0]);
      assert.is(line.method, 'GET');
      assert.is(line.host, 'app.test');
      assert.is(line.target, '/a');
      assert.is(line.protocol, 'HTTP/2.0');
      assert.is(line.status, 200);
      assert.is(line.bytes, 5);
    },
    { settings: { logAccess: true } },
  ),
);

forwarding('OPTIONS * is answered by us', () =>
  withSession(
    () => reply('no'),
    async (session, { origin }) => {
      const answer = await request(session, { ':method': 'OPTIONS', ':path': '*' });
      assert.is(answer.status, 204);
      assert.match(String(answer.headers.allow), /GET/);
      assert.is(origin.requests.length, 0);
    },
  ),
);

forwarding.run();
