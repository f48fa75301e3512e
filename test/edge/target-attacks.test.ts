import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine, expectHealthy, expectRefused } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type Origin, startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge, withPair } from '../helpers/proxy.ts';

const targets = suite('target attacks');
targets.after.each(cleanUp);

const get = (path: string, host = 'app.test') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

targets('15: Host that is missing, doubled or no host', () =>
  withPair(echoLine, async (pair) => {
    await expectRefused(pair, 'missing', 'GET / HTTP/1.1\r\n\r\n', 400);
    await expectRefused(pair, 'doubled', 'GET / HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n\r\n', 400);
    await expectRefused(pair, 'doubled, other case', 'GET / HTTP/1.1\r\nHost: app.test\r\nHOST: b.test\r\n\r\n', 400);
    const hosts = ['', ' ', 'a@b', 'a/b', 'a,b', 'a b', 'a\0b', 'a\tb', 'a?b', 'a#b', 'a\\b', 'a%2eb', 'a"b', '<a>'];
    hosts.push('app.test:', 'app.test:99999', 'app.test:-1', 'app.test:80:80', 'app.test:x', ':80', '[::1', '[::g]');
    hosts.push('.', '..', 'a..b', '.app.test', '[::1]x', '::1', 'app.test:0x50', 'http://app.test', 'ü.test');
    // `app.test:` names the scheme's port (RFC 3986 §3.2.3).
    for (const host of hosts.filter((name) => name !== 'app.test:'))
      await expectRefused(pair, `Host: ${host}`, get('/', host), 400);
    assert.is((await ask(pair.port, get('/x', 'app.test:'))).status, 200);
  }),
);

/** An edge with an origin for each of the hosts. */
async function withHosts(
  ids: string[],
  test: (edge: TestEdge, origins: Record<string, Origin>) => Promise<void>,
): Promise<void> {
  const origins: Record<string, Origin> = {};
  for (const id of ids) {
    origins[id] = await startOrigin(({ line }) => {
      const text = `${id} ${line}`;
      return `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    });
  }
  const edge = await startEdge(ids.map((id) => ({ id, target: origins[id].target })));
  try {
    await test(edge, origins);
  } finally {
    edge.close();
    for (const origin of Object.values(origins)) origin.close();
  }
}

targets('16: an absolute target wins over Host, which is written anew', () =>
  withHosts(['a.test', 'b.test'], async ({ port }, origins) => {
    const answer = await ask(port, 'GET http://b.test/x?y=1 HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n\r\n');
    assert.is(answer.text, 'b.test GET /x?y=1 HTTP/1.1');
    const [request] = origins['b.test'].requests;
    assert.is(request.get('host'), 'b.test');
    assert.is(request.get('x-forwarded-host'), 'b.test');
    assert.is(request.get('x-a'), '1');
    assert.is(origins['a.test'].text, '');
    assert.is(
      (await ask(port, 'GET HTTP://B.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n')).text,
      'b.test GET /?q HTTP/1.1',
    );
    assert.is((await ask(port, 'GET http://b.test HTTP/1.1\r\nHost: a.test\r\n\r\n')).text, 'b.test GET / HTTP/1.1');
    const victim = { port, origin: origins['a.test'] };
    for (const target of [
      'http://a@b.test/',
      'http:///',
      'http://',
      'ftp://b.test/',
      'http:/b.test/',
      'b.test/',
      'x',
    ]) {
      const client = connect(port).send(`GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
      assert.is((await client.response()).status, 400, target);
      await client.gone();
      client.close();
    }
    assert.is(victim.origin.text, '');
  }),
);

targets('17: hosts are compared whole, without case, trailing dot and port', () =>
  withHosts(['app.test'], async ({ port }, origins) => {
    for (const host of ['app.test', 'APP.test', 'app.TEST.', 'app.test:80', 'app.test:443', 'App.Test.:8080'])
      assert.is((await ask(port, get('/x', host))).text, 'app.test GET /x HTTP/1.1', host);
    const before = origins['app.test'].text;
    for (const host of ['evilapp.test', 'app.test.evil', 'app.testx', 'sub.app.test', 'app-test', 'test', 'app.test..'])
      assert.ok([400, 404].includes((await ask(port, get('/x', host))).status), host);
    assert.is(origins['app.test'].text, before);
  }),
);

targets('18: what is matched is what is forwarded: no other spelling reaches a route of its own', () =>
  withHosts(['app.test', 'app.test/admin'], async ({ port }, origins) => {
    const paths = [
      '/admin%2Fx',
      '/%61dmin/x',
      '//admin/x',
      '/a/../admin/x',
      '/./admin',
      '/%2e/admin',
      '/a/%2e%2e/admin',
    ];
    paths.push(
      '/a/%2E%2E/admin',
      '/a/.%2e/admin',
      '/a%5c..%5cadmin',
      '/%5cadmin',
      '/;x/admin',
      '/admin;x=y',
      '/adm%69n',
    );
    paths.push(
      '/a/..;/admin',
      '/x%00/admin',
      '/a/..%2fadmin',
      '/a\\..\\admin',
      '/admin%5Cx',
      '/%2Fadmin',
      '/admin%3Bx',
    );
    for (const path of paths) {
      const { status, text } = await ask(port, get(path));
      if (status !== 200) assert.is(status, 400, path);
      else assert.unreachable(`${path} was answered by ${text}`);
    }
    assert.is(origins['app.test'].text + origins['app.test/admin'].text, '');
    // Nothing of what is no escape is changed on the way.
    for (const path of [
      '/administrator',
      '/ADMIN',
      '/a/b%20c',
      '/a?x=/../admin&y=%2e%2e//',
      '/files/a%2Fb',
      '/a//b',
      '/x;y=z',
    ])
      assert.is((await ask(port, get(path))).text, `app.test GET ${path} HTTP/1.1`);
    for (const path of ['/admin', '/admin/', '/admin/x%20y', '/admin?x'])
      assert.is((await ask(port, get(path))).text, `app.test/admin GET ${path} HTTP/1.1`);
  }),
);

targets('19: a base path cannot be left', async () => {
  const origin = await startOrigin(echoLine);
  const edge = await startEdge([{ id: 'app.test/app', target: `${origin.target}/base/` }]);
  assert.is((await ask(edge.port, get('/app/x?y'))).text, 'GET /base/app/x?y HTTP/1.1');
  const before = origin.text;
  for (const path of [
    '/app/../../secret',
    '/app/..',
    '/app/%2e%2e/%2e%2e/secret',
    '/app/..%2f..%2fsecret',
    '/app/..;/x',
  ])
    assert.is((await ask(edge.port, get(path))).status, 400, path);
  assert.is(origin.text, before);
  edge.close();
  origin.close();
});

targets('20: a fragment', () =>
  withPair(echoLine, async (pair) => {
    for (const path of ['/a#b', '/#', '/a?b#c', '#']) await expectRefused(pair, path, get(path), 400);
  }),
);

targets('21: CONNECT and TRACE are refused, OPTIONS * is ours', () =>
  withPair(echoLine, async (pair) => {
    const { port, origin } = pair;
    const connects = ['CONNECT app.test:443', 'CONNECT /', 'CONNECT *', 'TRACE /', 'CONNECT http://app.test/'];
    for (const line of connects) {
      const answer = await expectRefused(pair, line, `${line} HTTP/1.1\r\nHost: app.test\r\n\r\n`, 405);
      assert.ok(answer.get('allow'));
    }
    const before = origin.text;
    const client = connect(port).send('OPTIONS * HTTP/1.1\r\nHost: nobody.test\r\n\r\n');
    const answer = await client.response();
    assert.is(answer.status, 204);
    assert.ok(answer.get('allow'));
    assert.is(origin.text, before);
    client.send(get('/kept'));
    assert.is((await client.response()).text, 'GET /kept HTTP/1.1');
    client.close();
    await expectRefused(pair, 'GET *', 'GET * HTTP/1.1\r\nHost: app.test\r\n\r\n', 400);
  }),
);

targets('22: bytes beyond ASCII, and without end', () =>
  withPair(echoLine, async (pair) => {
    for (const path of [
      '/ü',
      '/\xc0\xaf',
      '/\xe0\x80\xaf',
      '/\xff',
      '/a\x7f',
      '/a\x01',
      '/%c0%af',
      '/%e0%80%af',
      '/%zz',
      '/%2',
    ])
      await expectRefusedPath(pair, path);
    await expectRefused(pair, 'a target of 100 KB', get(`/${'a'.repeat(100_000)}`), 414);
    await expectRefused(pair, 'a query of 100 KB', get(`/?${'a'.repeat(100_000)}`), 414);
    await expectRefused(pair, 'a method of 100 KB', `${'A'.repeat(100_000)} / HTTP/1.1\r\n\r\n`, 400);
    await expectRefused(pair, 'a method without end', 'A'.repeat(100_000), 400);
    for (const method of ['get', 'GE\tT', 'G@T', '\x80GET', 'GET\0', '"GET"'])
      await expectRefused(pair, method, `${method} / HTTP/1.1\r\nHost: app.test\r\n\r\n`, 400);
  }),
);

/** A path that is refused by the path policy need not end the connection: its framing is clear. */
async function expectRefusedPath(pair: { port: number; origin: Origin }, path: string): Promise<void> {
  const before = pair.origin.text;
  assert.is((await ask(pair.port, get(path))).status, 400, JSON.stringify(path));
  assert.is(pair.origin.text, before, path);
  await expectHealthy(pair, path);
}

targets('an unknown host is told so, and its body never becomes a request', async () => {
  const origin = await startOrigin(echoLine);
  const edge = await startEdge([{ id: 'app.test', target: origin.target }]);
  const embedded = get('/smuggled');
  const client = connect(edge.port).send(
    `POST /x HTTP/1.1\r\nHost: other.test\r\nContent-Length: ${embedded.length}\r\n\r\n${embedded}${get('/behind')}`,
  );
  const answer = await client.response();
  assert.is(answer.status, 404);
  assert.match(answer.text, 'other.test/x');
  await client.gone();
  assert.is(client.text, '');
  assert.is(origin.text, '');
  client.close();
  const next = connect(edge.port).send(get('/y', 'other.test')).send(get('/z'));
  assert.is((await next.response()).status, 404);
  assert.is((await next.response()).text, 'GET /z HTTP/1.1');
  next.close();
  edge.close();
  origin.close();
});

targets.run();
