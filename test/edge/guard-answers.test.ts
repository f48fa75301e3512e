import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { answerOf, connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { within } from '../helpers/wait.ts';

const guard = suite('guards that answer');
guard.after.each(cleanUp);

const get = (host: string, path = '/', fields = '') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`;
const post = (host: string, body: string, fields = '') =>
  `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`;
const trusting = { settings: { trustedProxies: ['127.0.0.1'] } };
const from = (address: string) => `X-Forwarded-For: ${address}\r\n`;

guard('maintenance: 503 in the form that is asked for, but for those who are let through', () =>
  withPair(
    () => reply('up'),
    async ({ port, origin, errors }) => {
      const page = await ask(port, get('a.test', '/', 'Accept: text/html\r\n'));
      assert.is(page.status, 503);
      assert.is(page.get('x-oo-code'), 'OO_MAINTENANCE');
      assert.is(page.get('retry-after'), '600');
      assert.match(page.text, /<!doctype html>[\s\S]*Moving &#38; cleaning/);
      const json = await ask(port, get('a.test', '/', 'Accept: application/json\r\n'));
      assert.is(JSON.parse(json.text).error, 'Moving & cleaning');
      assert.is(origin.connections.length, 0);
      assert.is((await ask(port, get('a.test', '/', from('10.1.2.3')))).text, 'up');
      assert.equal(errors, []);
    },
    {
      ...trusting,
      route: { maintenance: { message: 'Moving & cleaning', retryAfterSeconds: 600, allow: ['10.0.0.0/8'] } },
    },
  ),
);

guard('access: by the address that a trusted proxy tells, and by no other', async () => {
  const origin = await startOrigin(() => reply('in'));
  const route = { id: '*', target: origin.target, access: { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.6.6.6'] } };
  const behind = await startEdge([route], trusting.settings);
  const status = async (port: number, address: string) => (await ask(port, get('a.test', '/', from(address)))).status;
  assert.is(await status(behind.port, '10.1.1.1'), 200);
  assert.is(await status(behind.port, 'fd00::7'), 200);
  assert.is(await status(behind.port, '10.6.6.6'), 403);
  assert.is(await status(behind.port, '11.1.1.1'), 403);
  assert.is(await status(behind.port, '::ffff:10.6.6.6'), 403);
  assert.is(await status(behind.port, 'unknown'), 403);
  // What a client says of itself counts for nothing: the last one is who came to the trusted proxy.
  assert.is(await status(behind.port, '10.1.1.1, 11.1.1.1'), 403);
  const open = await startEdge([route]);
  assert.is(await status(open.port, '10.1.1.1'), 403);
  const refused = await ask(open.port, get('a.test'));
  assert.is(refused.get('x-oo-code'), 'OO_FORBIDDEN_ADDRESS');
  assert.not.match(refused.head + refused.text, /10\.|fd00/);
});

guard('rateLimit: so many, then 429 that says when; each address for itself', () =>
  withPair(
    () => reply('in'),
    async ({ port }) => {
      const answers = [];
      for (let i = 0; i < 4; i++) answers.push(await ask(port, get('a.test', '/', from('10.0.0.1'))));
      assert.equal(
        answers.map(({ status }) => status),
        [200, 200, 200, 429],
      );
      const [refused] = answers.slice(-1);
      assert.is(refused.get('x-oo-code'), 'OO_RATE_LIMITED');
      assert.is(refused.get('ratelimit-policy'), '"default";q=3;w=3600');
      const seconds = Number(refused.get('retry-after'));
      assert.ok(seconds > 1_190 && seconds <= 1_200, `${seconds}`);
      assert.is(refused.get('ratelimit'), `"default";r=0;t=${seconds}`);
      assert.is((await ask(port, get('a.test', '/', from('10.0.0.2')))).status, 200);
      // One customer has a whole /64.
      for (let i = 1; i < 4; i++) assert.is((await ask(port, get('a.test', '/', from(`2001:db8::${i}`)))).status, 200);
      assert.is((await ask(port, get('a.test', '/', from('2001:db8::abcd')))).status, 429);
      assert.is((await ask(port, get('a.test', '/', from('2001:db8:0:1::1')))).status, 200);
    },
    { ...trusting, route: { rateLimit: { requests: 3, perMs: 3_600_000 } } },
  ),
);

guard('rateLimit: X-Forwarded-For of nobody who is trusted makes no other client', () =>
  withPair(
    () => reply('in'),
    async ({ port }) => {
      assert.is((await ask(port, get('a.test', '/', from('10.0.0.1')))).status, 200);
      assert.is((await ask(port, get('a.test', '/', from('10.0.0.2')))).status, 429);
    },
    { route: { rateLimit: { requests: 1, perMs: 3_600_000 } } },
  ),
);

guard('rateLimit: by header, by cookie, and without it by address', () =>
  withPair(
    () => reply('in'),
    async (pair) => {
      const key = async (line: string) => (await ask(pair.port, get('a.test', '/', line))).status;
      assert.is(await key('X-Key: a\r\n'), 200);
      assert.is(await key('x-key: b\r\n'), 200);
      assert.is(await key('X-KEY: a\r\n'), 429);
      assert.is(await key(''), 200);
      assert.is(await key('X-Key:\r\n'), 429);
      // Nobody's address is somebody's key.
      assert.is(await key('X-Key: 127.0.0.1\r\n'), 200);
      pair.route({
        id: '*',
        target: pair.origin.target,
        rateLimit: { requests: 1, perMs: 3_600_000, by: 'cookie:id' },
      });
      assert.is(await key('Cookie: a=1; id=7\r\n'), 200);
      assert.is(await key('Cookie: a=2\r\nCookie: id=7\r\n'), 429);
      assert.is(await key('Cookie: id=8\r\n'), 200);
    },
    { route: { rateLimit: { requests: 1, perMs: 3_600_000, by: 'header:X-Key' } } },
  ),
);

guard('rateLimit: a change of anything else does not begin the count anew; another limit does', () =>
  withPair(
    () => reply('in'),
    async (pair) => {
      const rateLimit = { requests: 1, perMs: 3_600_000 };
      const status = async () => (await ask(pair.port, get('a.test'))).status;
      assert.is(await status(), 200);
      pair.route({ id: '*', target: pair.origin.target, rateLimit, maxBodyBytes: 7 }, { id: 'b.test', target: 'h:1' });
      assert.is(await status(), 429);
      pair.route({ id: '*', target: pair.origin.target, rateLimit: { ...rateLimit, burst: 2 } });
      assert.is(await status(), 200);
      pair.route({ id: '*', target: pair.origin.target });
      assert.is(await status(), 200);
    },
    { route: { rateLimit: { requests: 1, perMs: 3_600_000 } } },
  ),
);

guard('rateLimit: a request that waits for a place is counted once', () =>
  withPair(
    { request: ({ line }) => (line.includes('/hold') ? undefined : reply(line)) },
    async (pair) => {
      const held = connect(pair.port).send(get('a.test', '/hold'));
      await pair.origin.got(1);
      const waits = connect(pair.port).send(get('a.test', '/waits'));
      await within(
        (async () => {
          while ((pair.edge.pools.named('route *')?.record.waiting ?? 0) < 1) await new Promise(setImmediate);
        })(),
        'it to wait',
      );
      pair.origin.connections[0].send(reply('held'));
      assert.is((await held.response()).text, 'held');
      assert.is((await waits.response()).status, 200);
      assert.is((await ask(pair.port, get('a.test', '/third'))).status, 200);
      assert.is((await ask(pair.port, get('a.test', '/fourth'))).status, 429);
    },
    { route: { limits: { maxConnections: 1 }, rateLimit: { requests: 3, perMs: 3_600_000 } } },
  ),
);

guard('rateLimit: a flood of keys stays within bounds, and is still limited', () =>
  withPair(
    () => reply('in'),
    async ({ port, edge }) => {
      const limiter = () => [
        ...(edge.guards as unknown as { rates: Map<string, { limiter: { size: number } }> }).rates.values(),
      ];
      const client = connect(port);
      let requests = '';
      for (let i = 0; i < 10_500; i++) requests += get('a.test', '/', `X-Key: ${i}\r\n`).replace('GET', 'HEAD');
      for (let at = 0; at < requests.length; at += 60_000) client.send(requests.slice(at, at + 60_000));
      for (let i = 0; i < 10_500; i++) await client.response({ head: true, ms: 30_000 });
      assert.is(limiter().length, 1);
      assert.is(limiter()[0].limiter.size, 10_000);
      assert.is((await ask(port, get('a.test', '/', 'X-Key: 10499\r\n'))).status, 429);
    },
    { route: { respond: 'ok', target: undefined, rateLimit: { requests: 1, perMs: 3_600_000, by: 'header:x-key' } } },
  ),
);

guard('cors: a preflight is answered, before anybody is asked who it is', () =>
  withPair(
    () => reply('in'),
    async ({ port, origin }) => {
      const preflight = (from: string, more = '') =>
        ask(
          port,
          `OPTIONS /x HTTP/1.1\r\nHost: a.test\r\nOrigin: ${from}\r\nAccess-Control-Request-Method: PUT\r\n${more}\r\n`,
        );
      const yes = await preflight('https://app.example.com', 'Access-Control-Request-Headers: x-a, x-b\r\n');
      assert.is(yes.status, 204);
      assert.is(yes.get('access-control-allow-origin'), 'https://app.example.com');
      assert.is(yes.get('access-control-allow-credentials'), 'true');
      assert.is(yes.get('access-control-allow-headers'), 'x-a, x-b');
      assert.match(yes.get('access-control-allow-methods')!, /PUT/);
      assert.is(yes.get('access-control-max-age'), '600');
      assert.match(yes.get('vary')!, /Origin/);
      for (const other of ['https://evil.example', 'https://app.example.com.evil.example', 'null']) {
        const no = await preflight(other);
        assert.is(no.status, 204);
        assert.is(no.get('access-control-allow-origin'), undefined);
      }
      assert.is(origin.connections.length, 0);
      // An OPTIONS that is none goes its way: here to who asks for a password.
      const plain = await ask(port, 'OPTIONS / HTTP/1.1\r\nHost: a.test\r\nOrigin: https://app.example.com\r\n\r\n');
      assert.is(plain.status, 401);
      assert.is(plain.get('access-control-allow-origin'), 'https://app.example.com');
    },
    {
      route: {
        cors: { origins: ['https://app.example.com'], credentials: true },
        basicAuth: { users: { a: '$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA' } },
      },
    },
  ),
);

guard('redirect: the path goes along, or not, and never leads to another host', async () => {
  const { port, access } = await startEdge(
    [
      { id: 'a.test', redirect: 'https://www.a.test' },
      { id: 'a.test/old', redirect: { to: '/new', keepPath: true, status: 307 } },
      { id: 'a.test/up', redirect: { to: '/', keepPath: true } },
      { id: 'b.test', redirect: { to: 'https://c.test/page?x=1#here', status: 302 } },
    ],
    { logAccess: true },
  );
  const location = async (host: string, path: string) => (await ask(port, get(host, path))).get('location');
  assert.is(await location('a.test', '/x/y?z=1&w'), 'https://www.a.test/x/y?z=1&w');
  assert.is(await location('a.test', '//evil.example'), 'https://www.a.test//evil.example');
  assert.is(await location('a.test', '/old'), '/new');
  assert.is(await location('a.test', '/old//evil.example/x?y'), '/new//evil.example/x?y');
  assert.is(await location('a.test', '/up//evil.example'), '/evil.example');
  assert.is(await location('a.test', '/up/x?y'), '/x?y');
  assert.is(await location('a.test', '/up'), '/');
  assert.is(await location('b.test', '/any?thing'), 'https://c.test/page?x=1#here');
  assert.is(await location('a.test', '/%3Cscript%3E"<>'), 'https://www.a.test/%3Cscript%3E%22%3C%3E');
  const absolute = await ask(port, 'GET http://a.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n');
  assert.is(absolute.get('location'), 'https://www.a.test/?q');
  assert.is((await ask(port, get('a.test', '/old/x'))).status, 307);
  assert.is((await ask(port, get('b.test'))).status, 302);
  assert.match(access.at(-1)!, /"status":302.*"route":"b\.test"/);
});

guard('respond: status, body, fields; HEAD gets the head; what follows on the connection is answered', async () => {
  const { port } = await startEdge([
    {
      id: 'a.test',
      respond: { status: 410, body: '{"gone":true}', contentType: 'application/json', headers: { 'X-Why': 'old' } },
    },
    { id: 'b.test', respond: { status: 204 } },
    { id: 'c.test', respond: { status: 299, body: 'größer' } },
  ]);
  const client = connect(port).send(
    get('a.test') + get('b.test') + get('a.test').replace('GET', 'HEAD') + get('c.test'),
  );
  const gone = await client.response();
  assert.is(gone.status, 410);
  assert.is(gone.text, '{"gone":true}');
  assert.is(gone.get('content-type'), 'application/json');
  assert.is(gone.get('x-why'), 'old');
  const nothing = await client.response();
  assert.is(nothing.status, 204);
  assert.is(nothing.get('content-length'), undefined);
  assert.is(nothing.get('content-type'), undefined);
  const head = await client.response({ head: true });
  assert.is(head.get('content-length'), '13');
  assert.is(head.text, '');
  const odd = await client.response();
  assert.is(odd.status, 299);
  assert.is(odd.body.toString(), 'größer');
});

guard('a request with a body is answered at once, and nothing of the body is taken for a request', async () => {
  const { port } = await startEdge([{ id: '*', respond: 'ok' }]);
  const client = connect(port).send(post('a.test', get('a.test', '/smuggled')));
  assert.is((await client.response()).text, 'ok');
  assert.is(await client.gone(), 'end');
  assert.is(client.bytes.length, 0);
  const expecting = connect(port).send(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
  );
  const answer = await expecting.response();
  assert.is(answer.text, 'ok');
  assert.is(answer.get('connection'), 'close');
});

guard('over HTTP/2 the same', async () => {
  const { edge } = await startEdge([
    { id: 'a.test', redirect: 'https://www.a.test' },
    { id: 'b.test', respond: { body: 'x'.repeat(200_000), headers: { 'X-Why': 'so' } } },
    { id: 'c.test', maintenance: 'Soon', target: 'http://127.0.0.1:9' },
    { id: 'd.test', access: { deny: ['127.0.0.0/8'] }, target: 'http://127.0.0.1:9' },
  ]);
  const session = connectHttp2(await listenHttp2(edge));
  const to = (host: string, more = {}, body?: string) =>
    request(session, { ':authority': host, ':path': '/p?q', ...more }, body);
  assert.is((await to('a.test')).headers.location, 'https://www.a.test/p?q');
  const answer = await to('b.test', { ':method': 'POST' }, 'y'.repeat(100_000));
  assert.is(answer.body.length, 200_000);
  assert.is(answer.headers['x-why'], 'so');
  assert.is((await to('b.test', { ':method': 'HEAD' })).headers['content-length'], '200000');
  assert.match((await to('c.test')).body.toString(), 'Soon');
  assert.is((await to('d.test')).status, 403);
});

guard('over HTTP/2 an answer of ours is no tunnel', async () => {
  const { edge } = await startEdge([{ id: '*', respond: 'ok' }]);
  const session = connectHttp2(await listenHttp2(edge));
  if (!session.remoteSettings?.enableConnectProtocol) await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':authority': 'a.test',
    ':path': '/chat',
    'sec-websocket-version': '13',
  });
  stream.on('error', () => {});
  assert.is((await answerOf(stream)).status, 501);
});

guard('their order: maintenance, access, rate, preflight, password', async () => {
  const users = { a: '$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA' };
  const all = {
    ...{ id: '*', respond: 'in', basicAuth: { users }, rateLimit: { requests: 1, perMs: 3_600_000 } },
    ...{ access: { deny: ['127.0.0.1'] }, maintenance: true },
  };
  const edge = await startEdge([all]);
  const code = async () => (await ask(edge.port, get('a.test'))).get('x-oo-code');
  assert.is(await code(), 'OO_MAINTENANCE');
  edge.route({ ...all, maintenance: false });
  assert.is(await code(), 'OO_FORBIDDEN_ADDRESS');
  edge.route({ ...all, maintenance: false, access: { allow: ['127.0.0.1'] } });
  assert.is(await code(), 'OO_UNAUTHORIZED');
  assert.is(await code(), 'OO_RATE_LIMITED');
});

guard.run();
