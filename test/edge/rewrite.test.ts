import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { front } from '../helpers/front.ts';
import type { Message } from '../helpers/message.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';

const rewrite = suite('rewrite');
rewrite.after.each(cleanUp);

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const app = (options: Partial<Route>): { route: Partial<Route> } => ({ route: { id: 'app.test/app', ...options } });

/** The request that reached the origin. */
function last({ origin }: { readonly origin: { readonly requests: Message[] } }): Message {
  return origin.requests.at(-1)!;
}

const count = (message: Message, name: string) =>
  message.fields.filter(([known]) => known.toLowerCase() === name.toLowerCase()).length;

// ---- paths

const stripped: [sent: string, got: string][] = [
  ['/app', '/'],
  ['/app?x=/app', '/?x=/app'],
  ['/app/', '/'],
  ['/app/a%20b/%C3%A9?q=%2F&r', '/a%20b/%C3%A9?q=%2F&r'],
  ['/app/app/x', '/app/x'],
  ['/app/a//b', '/a//b'],
  ['/app/a;v=1/b', '/a;v=1/b'],
];
rewrite('stripPrefix: escapes and the query stay as they are', () =>
  withPair(
    echoLine,
    async (pair) => {
      for (const [sent, got] of stripped) {
        const answer = await ask(pair.port, get(sent));
        assert.is(answer.text, `GET ${got} HTTP/1.1`);
        assert.is(last(pair).get('x-forwarded-prefix'), '/app');
        assert.is(last(pair).get('host'), 'app.test');
      }
    },
    app({ stripPrefix: true }),
  ),
);

rewrite('a path that can be read as a host, or under another prefix, is refused and never forwarded', () =>
  withPair(
    echoLine,
    async (pair) => {
      const bad = ['/app//evil.test', '/app///x', '/app/%2Fevil', '/app/%2fevil', '/app/%5Cevil', '/app/%5cevil'];
      for (const path of [...bad, '/app/../x', '/app/%2e%2e/x', '/%61pp/x', '/app%2Fx', '//app/x', '/x/../app/y']) {
        const answer = await ask(pair.port, get(path));
        assert.ok(answer.status === 400 || answer.status === 404, `${path}: ${answer.status}`);
      }
      assert.is(pair.origin.text, '');
    },
    app({ stripPrefix: true }),
  ),
);

rewrite('a prefix that is not the route’s own is taken off where it stands, and spelled otherwise refused', () =>
  withPair(
    echoLine,
    async (pair) => {
      assert.is((await ask(pair.port, get('/api/v1/x'))).text, 'GET /x HTTP/1.1');
      assert.is((await ask(pair.port, get('/api/v2/x'))).text, 'GET /api/v2/x HTTP/1.1');
      assert.is(last(pair).get('x-forwarded-prefix'), undefined);
      assert.is((await ask(pair.port, get('/api/v10'))).text, 'GET /api/v10 HTTP/1.1');
      for (const path of ['/api/%761/x', '/api//v1/x', '/api;p/v1/x', '/api/v1;p/x'])
        assert.is((await ask(pair.port, get(path))).status, 400, path);
      assert.is(pair.origin.requests.length, 3);
    },
    { route: { stripPrefix: '/api/v1' } },
  ),
);

rewrite('addPrefix, alone and after stripPrefix, before it the target’s own path', async () => {
  const origin = await startOrigin(echoLine);
  const edge = await startEdge([
    { id: 'app.test/add', target: origin.target, addPrefix: '/v2/' },
    { id: 'app.test/both', target: `${origin.target}/base`, stripPrefix: true, addPrefix: '/v2' },
    { id: 'app.test/same', target: origin.target, stripPrefix: true, addPrefix: '/same' },
    { id: 'app.test/host', target: `${origin.target}/base`, stripPrefix: true, hostHeader: 'upstream' },
  ]);
  const rows: [sent: string, got: string][] = [
    ['/add/x?y', '/v2/add/x?y'],
    ['/add//x', '/v2/add//x'],
    ['/both', '/base/v2'],
    ['/both/', '/base/v2/'],
    ['/both?z', '/base/v2?z'],
    ['/both//x', '/base/v2//x'],
    ['/host/x', '/base/x'],
    ['/host', '/base/'],
    ['/same/x', '/same/x'],
  ];
  for (const [sent, got] of rows) assert.is((await ask(edge.port, get(sent))).text, `GET ${got} HTTP/1.1`, sent);
  assert.is(last({ origin }).get('x-forwarded-prefix'), '/same');
  const got = origin.requests.at(-2)!;
  assert.is(got.get('host'), `127.0.0.1:${origin.port}`);
  assert.is(got.get('x-forwarded-host'), 'app.test');
});

rewrite('absolute targets and HTTP/1.0', () =>
  withPair(
    echoLine,
    async (pair) => {
      const absolute = (target: string) => `GET ${target} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
      assert.is(
        (await ask(pair.port, absolute(`${front.tls ? 'https' : 'http'}://app.test/app/x?y`))).text,
        'GET /x?y HTTP/1.1',
      );
      assert.is(
        (await ask(pair.port, absolute(`${front.tls ? 'https' : 'http'}://app.test/app`))).text,
        'GET / HTTP/1.1',
      );
      const old = await ask(pair.port, 'GET /app/old HTTP/1.0\r\nHost: app.test\r\n\r\n');
      assert.is(old.text, 'GET /old HTTP/1.1');
      assert.is(last(pair).get('x-forwarded-prefix'), '/app');
    },
    app({ stripPrefix: true }),
  ),
);

rewrite('X-Forwarded-Prefix: a stranger’s is gone, a trusted proxy’s comes before ours', async () => {
  const origin = await startOrigin(echoLine);
  const route: Route = { id: 'app.test/app', target: origin.target, stripPrefix: true };
  const strangers = await startEdge([route]);
  const trusting = await startEdge([route], { trustedProxies: ['127.0.0.1'] });
  const prefixOf = async (port: number, sent: string) => {
    await ask(port, get('/app/x', `x-forwarded-PREFIX: ${sent}\r\n`));
    return last({ origin }).get('x-forwarded-prefix');
  };
  assert.is(await prefixOf(strangers.port, '/evil'), '/app');
  assert.is(await prefixOf(trusting.port, '/outer/'), '/outer/app');
  assert.is(await prefixOf(trusting.port, 'https://evil.test, /x'), '/app');
});

rewrite('Location and the Path of cookies stay as the upstream says them', () =>
  withPair(
    () => reply('', 'Location: /login\r\nSet-Cookie: a=b; Path=/\r\n', '302 Found'),
    async (pair) => {
      const answer = await ask(pair.port, get('/app/x'));
      assert.is(answer.get('location'), '/login');
      assert.is(answer.get('set-cookie'), 'a=b; Path=/');
    },
    app({ stripPrefix: true }),
  ),
);

// ---- attempts, bodies, upgrades

rewrite('another target gets the rewritten path behind its own', async () => {
  const broken = await startOrigin({ connected: ({ socket }) => void socket.destroy() });
  const origin = await startOrigin(echoLine);
  const target = [
    { url: `${broken.target}/app`, priority: 0 },
    { url: `${origin.target}/longer/base`, priority: 1 },
  ];
  const headers = { set: { 'X-Method': '{method}' } };
  for (const hostHeader of ['client', 'upstream'] as const) {
    const route: Route = { id: 'app.test/app', target, stripPrefix: true, requestHeaders: headers, hostHeader };
    const edge = await startEdge([{ ...route, retry: { tries: 3 } }]);
    const answer = await ask(edge.port, get('/app/app/x?y=/app'));
    assert.is(answer.text, 'GET /longer/base/app/x?y=/app HTTP/1.1');
    const got = last({ origin });
    assert.is(got.get('host'), hostHeader === 'client' ? 'app.test' : `127.0.0.1:${origin.port}`);
    assert.is(got.get('x-method'), 'GET');
    assert.is(got.get('x-forwarded-prefix'), '/app');
  }
});

rewrite('bodies go on whole: with the head, behind it, in chunks, and the next request is its own', () =>
  withPair(
    (request) => reply(`${request.line.split(' ')[1]} ${request.text}`),
    async (pair) => {
      const client = connect(pair.port);
      const post = (framing: string, body: string) =>
        `POST /app/x HTTP/1.1\r\nHost: app.test\r\n${framing}\r\n\r\n${body}`;
      client.send(post('Content-Length: 5', 'hello'));
      assert.is((await client.response()).text, '/x hello');
      client.send(post('Content-Length: 5', ''));
      await pair.origin.connections[0].bytes;
      client.send('hel').send('lo');
      assert.is((await client.response()).text, '/x hello');
      client.send(
        post('Transfer-Encoding: chunked', '3\r\nhel\r\n2;e=f\r\nlo\r\n0\r\nX-T: 1\r\n\r\n') + get('/app/next'),
      );
      assert.is((await client.response()).text, '/x hello');
      assert.is((await client.response()).text, '/next ');
      client.close();
    },
    app({ stripPrefix: true, requestHeaders: { add: { 'X-Long': 'y'.repeat(4_000), 'X-More': 'z'.repeat(4_000) } } }),
  ),
);

rewrite('an upgrade: the request is rewritten, the 101 stays', () =>
  withPair(
    (_request, connection) =>
      void connection.send(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\nServer: s\r\n\r\n',
      ),
    async (pair) => {
      const client = connect(pair.port).send(get('/app/ws', 'Connection: upgrade\r\nUpgrade: echo\r\nX-Gone: 1\r\n'));
      await client.has('\r\n\r\n');
      assert.match(client.text, /^HTTP\/1.1 101 /);
      assert.match(client.text, /Server: s\r\n/);
      assert.is(last(pair).line, 'GET /ws HTTP/1.1');
      assert.is(last(pair).get('upgrade'), 'echo');
      assert.is(last(pair).get('x-gone'), undefined);
      client.close();
    },
    app({ stripPrefix: true, requestHeaders: { remove: ['x-gone'] }, responseHeaders: { remove: ['server'] } }),
  ),
);

// ---- request fields

rewrite('requestHeaders: remove, set, add; names in any case, every line of them', () =>
  withPair(
    echoLine,
    async (pair) => {
      const fields =
        'COOKIE: a=b\r\nx-TWICE: 1\r\nX-Twice: 2\r\nX-Keep: k\r\nx-add: theirs\r\nX-Set-Not: n\r\nConnection: X-Fresh\r\nX-Fresh: c\r\n';
      await ask(pair.port, get('/', fields));
      const got = last(pair);
      assert.is(got.get('cookie'), undefined);
      assert.is(got.get('x-twice'), 'ours');
      assert.is(count(got, 'x-twice'), 1);
      assert.is(got.get('x-keep'), 'k');
      assert.is(got.get('x-set-not'), 'n');
      assert.is(got.get('x-add'), 'theirs, one, two');
      assert.is(got.get('x-fresh'), 'ours', 'what Connection names is the client’s, not the operator’s');
      assert.is(got.get('x-forwarded-for'), '203.0.113.9', 'the operator may say what is told of the client');
      assert.is(got.get('via'), undefined);
      assert.is(got.get('x-real-ip'), '127.0.0.1');
    },
    {
      route: {
        requestHeaders: {
          remove: ['cookie', 'VIA'],
          set: { 'X-Twice': 'ours', 'X-Fresh': 'ours', 'x-forwarded-for': '203.0.113.9' },
          add: { 'X-Add': ['one', 'two'] },
        },
      },
    },
  ),
);

rewrite('placeholders say what the upstream is told, and break no line', () =>
  withPair(
    echoLine,
    async (pair) => {
      const set = async (request: string) => {
        assert.is((await ask(pair.port, request)).status, 200);
        return last(pair).get('x-all') as string;
      };
      const first = await set(get('/a%0d%0aX-Evil:%201?b={host}', 'X-All: theirs\r\n'));
      const [ip, host, scheme, method, path, uri, route, id] = first.split(' ');
      assert.equal([ip, host, scheme, method], ['127.0.0.1', 'app.test', front.tls ? 'https' : 'http', 'GET']);
      assert.equal([path, uri], ['/a%0d%0aX-Evil:%201', '/a%0d%0aX-Evil:%201?b={host}']);
      assert.is(route, '*');
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
      assert.is(last(pair).get('x-json'), '{"group":"a"}');
      const forwarded = 'X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: pub.test\r\n';
      const told = (await set(get('/', forwarded))).split(' ');
      assert.equal(told.slice(0, 3), ['198.51.100.7', 'pub.test', 'https']);
      assert.is.not(told.at(-1), id);
    },
    {
      settings: { trustedProxies: ['127.0.0.1'] },
      route: {
        requestHeaders: {
          set: {
            'X-All': '{client.ip} {host} {scheme} {method} {path} {uri} {route} {request.id}',
            'X-Json': '{"group":"a"}',
          },
        },
      },
    },
  ),
);

// ---- response fields

rewrite('responseHeaders on whole, chunked, long and bodiless answers', async () => {
  const big = 'b'.repeat(300_000);
  const fields =
    'Server: nginx\r\nX-Powered-By: a\r\nx-powered-BY: b\r\nSet-Cookie: u=1\r\nSet-Cookie: v=2\r\nX-Under_score: 1\r\n';
  const origin = await startOrigin((request) => {
    const path = request.line.split(' ')[1];
    if (path === '/chunked')
      return `HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`;
    if (path === '/none') return `HTTP/1.1 204 No Content\r\n${fields}\r\n`;
    if (path === '/not') return `HTTP/1.1 304 Not Modified\r\n${fields}\r\n`;
    return reply(path === '/big' ? big : 'hi', fields, path === '/500' ? '500 No' : '200 OK');
  });
  const responseHeaders = {
    remove: ['SERVER', 'x-powered-by'],
    set: { 'Set-Cookie': 's=1', 'X-Frame-Options': 'DENY', 'X-Path': '{path}' },
    add: { 'X-Add': ['1', '2'] },
  };
  const edge = await startEdge([{ id: '*', target: origin.target, responseHeaders }]);
  const client = connect(edge.port);
  for (const path of ['/plain', '/chunked', '/none', '/not', '/500', '/big', '/head']) {
    client.send(get(path).replace(/^GET/, path === '/head' ? 'HEAD' : 'GET'));
    const answer = await client.response({ head: path === '/head' });
    assert.is(answer.get('server'), undefined, path);
    assert.is(answer.get('x-powered-by'), undefined);
    assert.is(answer.get('set-cookie'), 's=1');
    assert.is(answer.get('x-frame-options'), 'DENY');
    assert.is(answer.get('x-path'), path);
    assert.is(answer.get('x-add'), '1, 2');
    assert.is(answer.get('x-under_score'), '1');
    const bodiless = path === '/none' || path === '/not' || path === '/head';
    assert.is(answer.text, bodiless ? '' : path === '/big' ? big : 'hi');
  }
  assert.is(client.text, '');
  client.close();
  const old = await ask(edge.port, 'GET /chunked HTTP/1.0\r\nHost: app.test\r\n\r\n');
  assert.is(old.text, 'hi');
  assert.is(old.get('server'), undefined);
  assert.is(old.get('transfer-encoding'), undefined);
});

rewrite('interim answers and answers of ours are not changed; the sticky cookie is ours', async () => {
  const early = () => `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply('hi', 'Link: </b>\r\n')}`;
  const [first, second] = [await startOrigin(early), await startOrigin(early)];
  const responseHeaders = { remove: ['link', 'set-cookie'], set: { 'X-Ours': '1' } };
  const target = [{ url: first.target }, { url: second.target }];
  const edge = await startEdge([
    { id: 'app.test', target, responseHeaders, balance: { sticky: true } },
    { id: 'gone.test', target: 'http://127.0.0.1:1', responseHeaders },
  ] as Route[]);
  edge.edge.joinWorkers({ index: 0, count: 1 }, [Buffer.alloc(32, 1).toString('base64')]);
  const client = connect(edge.port).send(get('/'));
  const interim = await client.response();
  assert.is(interim.status, 103);
  assert.is(interim.get('link'), '</a>');
  const answer = await client.response();
  assert.is(answer.get('link'), undefined);
  assert.is(answer.get('x-ours'), '1');
  assert.match(answer.get('set-cookie') ?? '', /^oo_sticky=/);
  const failed = await ask(edge.port, get('/').replace('app.test', 'gone.test'));
  assert.is(failed.status, 502);
  assert.is(failed.get('x-ours'), undefined);
});

rewrite('what an upstream’s Connection names is its own, and not what a rule says', () =>
  withPair(
    () =>
      reply('hi', 'Connection: X-Frame-Options, X-Hop\r\nX-Frame-Options: ALLOW\r\nX-Hop: 1\r\nCONTENT-type: a/b\r\n'),
    async (pair) => {
      const answer = await ask(pair.port, get('/'));
      assert.is(answer.get('x-frame-options'), 'DENY');
      assert.is(answer.get('x-hop'), undefined);
      assert.is(answer.get('content-type'), 'c/d');
      assert.is(answer.text, 'hi');
    },
    { route: { responseHeaders: { set: { 'x-frame-options': 'DENY', 'Content-Type': 'c/d' } } } },
  ),
);

rewrite('a response whose fields are folded or broken is refused, rules or not', () =>
  withPair(
    () => 'HTTP/1.1 200 OK\r\nServer: a\r\n X-Fold: b\r\nContent-Length: 0\r\n\r\n',
    async (pair) => {
      assert.is((await ask(pair.port, get('/'))).status, 502);
    },
    { route: { responseHeaders: { remove: ['server'] } } },
  ),
);

// ---- CORS

const cors = { origins: ['https://a.test', 'https://*.b.test'], credentials: true, exposeHeaders: ['X-Total'] };

rewrite('cors: the page’s origin and no other, in the place of what the upstream says', () =>
  withPair(
    () =>
      reply(
        'hi',
        'access-control-allow-ORIGIN: *\r\nAccess-Control-Allow-Credentials: true\r\nVary: Accept\r\nX-Total: 3\r\n',
      ),
    async (pair) => {
      for (const origin of ['https://a.test', 'https://x.b.test']) {
        const answer = await ask(pair.port, get('/', `ORIGIN: ${origin}\r\n`));
        assert.is(answer.get('access-control-allow-origin'), origin);
        assert.is(answer.get('access-control-allow-credentials'), 'true');
        assert.is(answer.get('access-control-expose-headers'), 'X-Total');
        assert.is(answer.get('vary'), 'Accept, Origin');
      }
      for (const fields of [
        'Origin: https://evil.test\r\n',
        'Origin: null\r\n',
        'Origin: https://a.test.evil\r\n',
        '',
      ]) {
        const answer = await ask(pair.port, get('/', fields));
        assert.is(answer.status, 200);
        assert.is(answer.get('access-control-allow-origin'), undefined, fields);
        assert.is(answer.get('access-control-allow-credentials'), undefined);
        assert.is(answer.get('vary'), 'Accept, Origin');
      }
    },
    { route: { cors } },
  ),
);

rewrite('cors: any origin; and failures of ours can be read by the page', async () => {
  const origin = await startOrigin(() => reply('hi', 'Vary: origin, Accept\r\n'));
  const edge = await startEdge([
    { id: 'any.test', target: origin.target, cors: true },
    { id: 'a.test', target: 'http://127.0.0.1:1', cors },
    { id: 'v.test', target: origin.target, cors },
    { id: 'long.test', target: origin.target, cors, maxBodyBytes: 3 },
  ]);
  const from = (host: string, line = 'GET / HTTP/1.1', more = '') =>
    ask(edge.port, `${line}\r\nHost: ${host}\r\nOrigin: https://a.test\r\n${more}\r\n`);
  const any = await from('any.test');
  assert.is(any.get('access-control-allow-origin'), '*');
  assert.is(any.get('vary'), 'origin, Accept');
  assert.is((await from('v.test')).get('vary'), 'origin, Accept');
  for (const failed of [await from('a.test'), await from('long.test', 'POST / HTTP/1.1', 'Content-Length: 4\r\n')]) {
    assert.ok(failed.status === 502 || failed.status === 413);
    assert.is(failed.get('access-control-allow-origin'), 'https://a.test');
    assert.is(failed.get('vary'), 'Origin');
  }
});

rewrite('a failure tells the same request id as the upstream got', () =>
  withPair(
    { request: (_request, { socket }) => void socket.destroy() },
    async (pair) => {
      const answer = await ask(pair.port, `POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\nx`);
      assert.is(answer.status, 502);
      assert.is(answer.get('x-request-id'), last(pair).get('x-request-id'));
    },
    { route: { requestHeaders: { set: { 'X-Request-Id': '{request.id}' } } } },
  ),
);

rewrite('routes without options send every byte as before', () =>
  withPair(echoLine, async (pair) => {
    await ask(pair.port, get('/app//x', 'x-ODD:  v \r\nX-odd: w\r\n'));
    assert.ok(
      last(pair).head.startsWith('GET /app//x HTTP/1.1\r\nHost: app.test\r\nx-ODD:  v \r\nX-odd: w\r\nX-Forwarded-For'),
    );
  }),
);

rewrite.run();
