import { constants } from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, listenHttp2, request, send, withSession } from '../helpers/http2.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const failures = suite('HTTP/2 failures');
failures.after.each(cleanUp);

const get = { ':path': '/' };
const post = { ':method': 'POST', ':path': '/' };
/** Fails with the code that the stream is reset with. */
const resetOf = async (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => 'not reset',
    (error: Error) => error.message,
  );

failures('a host without a route is answered 404, in the client’s format', async () => {
  const { edge } = await startEdge([{ id: 'other.test', target: 'http://127.0.0.1:1' }]);
  const session = connectHttp2(await listenHttp2(edge));
  const page = await request(session, { ':path': '/x', accept: 'text/html' });
  assert.is(page.status, 404);
  assert.is(page.headers['x-oo-code'], 'OO_NO_ROUTE');
  assert.match(page.body.toString(), /^<!doctype html>[\s\S]*app\.test\/x/);
  const json = await request(session, { ':path': '/x', accept: 'application/json' });
  assert.is(JSON.parse(json.body.toString()).code, 'OO_NO_ROUTE');
  const head = await request(session, { ':path': '/x', ':method': 'HEAD' });
  assert.is(head.status, 404);
  assert.is(head.body.length, 0);
});

const refused: [name: string, headers: Record<string, string>, status: number][] = [
  ['a host that is none', { ':authority': 'a b', ':path': '/' }, 400],
  ['a path with dots', { ':path': '/a/../b' }, 400],
  ['TRACE', { ':method': 'TRACE', ':path': '/' }, 405],
  ['a path too long', { ':path': `/${'a'.repeat(9_000)}` }, 414],
  ['an expectation of something else', { ':path': '/', expect: 'miracles' }, 417],
  ['a head too large', { ':path': '/', 'x-a': 'a'.repeat(20_000), 'x-b': 'b'.repeat(20_000) }, 431],
];
for (const [name, headers, status] of refused) {
  failures(`${name} is answered ${status}, and the connection carries on`, () =>
    withSession(
      () => reply('ok'),
      async (session, { origin }) => {
        assert.is((await request(session, headers)).status, status);
        assert.is(origin.connections.length, 0);
        assert.is((await request(session, get)).status, 200);
      },
    ),
  );
}

failures('a host that the certificate does not cover is misdirected [attack 40]', () =>
  withSession(
    () => reply('ok'),
    async (session, { origin }) => {
      const https = { ':scheme': 'https' };
      assert.is((await request(session, { ...https, ...get })).status, 200);
      assert.is((await request(session, { ...https, ...get, ':authority': 'APP.test.:443' })).status, 200);
      const other = await request(session, { ...https, ...get, ':authority': 'b.test' });
      assert.is(other.status, 421);
      assert.is(other.headers['x-oo-code'], 'OO_MISDIRECTED');
      assert.is((await request(session, { ':scheme': 'http', ...get })).status, 421);
      assert.is((await request(session, { ...https, ...get })).status, 200);
      assert.is(origin.requests.length, 3);
      assert.match(origin.requests[0].head, /X-Forwarded-Proto: https/);
    },
    { scheme: 'https', served: { covers: (host) => host === 'app.test' } },
  ),
);

failures('HSTS is sent over HTTPS, in the place of the upstream’s own, and on our answers', () =>
  withSession(
    ({ line }) => {
      if (line.includes('/cut')) return 'HTTP/1.1 garbage';
      return reply('ok', 'strict-transport-security: max-age=1\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 1\r\n');
    },
    async (session) => {
      for (let i = 0; i < 3; i++) {
        const answer = await request(session, { ':scheme': 'https', ...get });
        assert.is(answer.headers['strict-transport-security'], 'max-age=31536000');
        assert.is(answer.headers['x-a'], '1');
        assert.is(answer.headers['x-b'], undefined);
        assert.is(answer.body.toString(), 'ok');
      }
      const failed = await request(session, { ':scheme': 'https', ':path': '/cut' });
      assert.is(failed.status, 502);
      assert.is(failed.headers['strict-transport-security'], 'max-age=31536000');
    },
    { scheme: 'https', route: { hsts: 'max-age=31536000' } },
  ),
);

failures('an upstream that can’t be reached is a 502', async () => {
  const { edge, errors } = await startEdge([{ id: '*', target: 'http://127.0.0.1:1' }]);
  const session = connectHttp2(await listenHttp2(edge));
  const answer = await request(session, { ...post }, 'body');
  assert.is(answer.status, 502);
  assert.is(answer.headers['x-oo-code'], 'OO_CONNECT_FAILED');
  assert.match(errors[0], /502 OO_CONNECT_FAILED route=\* .*request=/);
  assert.ok(errors[0].includes(String(answer.headers['x-request-id'])));
});

const faults: [name: string, answer: string, status: number][] = [
  ['garbage', 'no HTTP at all\r\n\r\n', 502],
  ['nothing', '', 502],
  ['a broken chunk behind its head', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz', 502],
  ['switching protocols unasked', 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', 502],
];
for (const [name, answer, status] of faults) {
  failures(`${name} from the upstream is a ${status}, and harms no other stream`, () =>
    withSession(
      ({ line }, connection: OriginConnection) => {
        if (line.includes('/good')) return void setTimeout(() => connection.send(reply('good')), 50);
        connection.send(answer);
        connection.socket.end();
      },
      async (session) => {
        const good = request(session, { ':path': '/good' });
        assert.is((await request(session, post, 'x')).status, status);
        assert.is((await good).body.toString(), 'good');
      },
    ),
  );
}

const cuts: [name: string, answer: string][] = [
  ['a length that is not reached', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!'],
  ['chunks without the last', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n'],
  ['a chunk cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nfive!'],
  ['a broken chunk, later', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n|zz'],
];
for (const [name, answer] of cuts) {
  for (const how of ['end', 'reset'] as const) {
    failures(`${name}, then ${how}: the stream is reset, never ended as if it were whole [attack 46]`, () =>
      withSession(
        (_, connection: OriginConnection) => {
          const [first, second = ''] = answer.split('|');
          connection.send(first);
          setTimeout(() => {
            connection.send(second);
            if (how === 'end') connection.socket.end();
            else connection.socket.resetAndDestroy();
          }, 30);
        },
        async (session, { errors }) => {
          const failed = await resetOf(request(session, get));
          assert.match(failed, /INTERNAL_ERROR|reset with 2/);
          assert.match(errors[0], /the response was cut/);
        },
      ),
    );
  }
}

failures('a GET whose reused connection dies is sent again', () =>
  withSession(
    ({ line }, connection: OriginConnection) => {
      if (line.includes('/first')) return reply('one');
      if (connection.requests.length > 1) return void connection.socket.destroy();
      return reply('again');
    },
    async (session, { origin }) => {
      await request(session, { ':path': '/first' });
      const answer = await request(session, { ':path': '/second' });
      assert.is(answer.body.toString(), 'again');
      assert.is(origin.connections.length, 2);
    },
  ),
);

failures('a POST is not sent twice', () =>
  withSession(
    ({ line }, connection: OriginConnection) => {
      if (line.includes('/first')) return reply('one');
      connection.socket.destroy();
    },
    async (session, { origin }) => {
      await request(session, { ':path': '/first' });
      assert.is((await request(session, { ...post, ':path': '/second' }, 'body')).status, 502);
      assert.is(origin.requests.length, 2);
    },
  ),
);

failures('a client that resets a stream cancels the upstream’s work, and only that', () =>
  withSession(
    ({ line }, connection: OriginConnection) => {
      if (line.includes('/good')) setTimeout(() => connection.send(reply('good')), 80);
    },
    async (session, { origin, access }) => {
      const good = request(session, { ':path': '/good' });
      const doomed = send(session, { ':path': '/doomed' });
      await origin.got(2);
      doomed.close(constants.NGHTTP2_CANCEL);
      const connection = origin.connections.find(({ text }) => text.includes('/doomed'));
      await until(() => connection?.ended !== '', 'the upstream connection to end');
      assert.is((await good).body.toString(), 'good');
      const lines = access.map((line) => JSON.parse(line));
      assert.is(lines.find(({ target }) => target === '/doomed').status, 499);
    },
    { settings: { logAccess: true } },
  ),
);

failures('a client that leaves cancels all of them', () =>
  withSession({}, async (session, { origin, edge }) => {
    for (let i = 0; i < 10; i++) send(session, { ':path': `/${i}` });
    await until(() => origin.connections.length === 10, 'ten upstream connections');
    session.destroy();
    await until(() => origin.open === 0, 'all of them to end');
    assert.is(edge.clients.size, 0);
  }),
);

failures('an answer before the end of its request ends both, with NO_ERROR', () =>
  withSession(
    {
      data: (connection) => {
        if (connection.text.includes('\r\n\r\n') && connection.total < 10_000)
          connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      },
    },
    async (session, { origin, edge }) => {
      const stream = session.request({ ':authority': 'app.test', ...post });
      const answer = answerOf(stream);
      stream.write('some');
      const { status, body } = await within(answer, 'an answer');
      assert.is(status, 403);
      assert.is(body.toString(), 'no');
      assert.is(stream.rstCode, constants.NGHTTP2_NO_ERROR);
      await until(() => origin.open === 0, 'the connection with half a request to end');
      assert.is([...edge.clients].length, 1);
    },
  ),
);

failures('a body over the limit is answered 413: by its length, or when it is there', () =>
  withSession(
    () => reply('ok'),
    async (session, { origin }) => {
      const said = await request(session, { ...post, 'content-length': 11 }, 'x'.repeat(11));
      assert.is(said.status, 413);
      assert.is(origin.connections.length, 0);
      const streamed = await request(session, { ...post, accept: 'application/json' }, 'x'.repeat(11));
      assert.is(streamed.status, 413);
      assert.is(streamed.headers['content-type'], 'application/json');
      assert.is((await request(session, post, 'x'.repeat(10))).status, 200);
      assert.is(origin.requests.length, 1);
    },
    { route: { maxBodyBytes: 10 } },
  ),
);

failures('a body that stops is answered 408; one that the upstream holds up is not', () =>
  withSession(
    {},
    async (session, { origin }) => {
      const stream = session.request({ ':authority': 'app.test', ...post, 'content-length': '100' });
      const answer = answerOf(stream);
      stream.write('some');
      assert.is((await within(answer, 'an answer', 5_000)).status, 408);
      await until(() => origin.open === 0, 'the upstream connection to end');
    },
    { route: { idleTimeoutMs: 300 } },
  ),
);

failures('an upstream that does not answer in time is a 504', () =>
  withSession(
    {},
    async (session) => {
      assert.is((await within(request(session, get), 'an answer')).status, 504);
    },
    { route: { responseTimeoutMs: 300 } },
  ),
);

failures('too many upstream connections: 503', () =>
  withSession(
    {},
    async (session) => {
      send(session, { ':path': '/held' });
      await sleep(50);
      const answer = await request(session, get);
      assert.is(answer.status, 503);
      assert.is(answer.headers['retry-after'], '1');
    },
    { settings: { maxUpstreamConnections: 1 }, route: { limits: { maxWaiting: 0 } } },
  ),
);

failures.run();
