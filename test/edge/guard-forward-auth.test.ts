import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ForwardAuthOptions } from '../../src/core/option-types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import type { Message } from '../helpers/message.ts';
import { type Origin, reply, type Script, startOrigin } from '../helpers/origin.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';
import { until, within } from '../helpers/wait.ts';

const forwardAuth = suite('forwardAuth');
forwardAuth.after.each(cleanUp);

const get = (fields = '', path = '/') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const echo = { request: ({ line, body }: Message) => reply(`${line} ${body.length}`) };
const ok = (fields = '') => `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${fields}\r\n`;
const names = (message: Message, form: RegExp) =>
  message.fields.filter(([name]) => form.test(name)).map(([name, value]) => `${name.toLowerCase()}: ${value}`);

/** An upstream behind a route that asks `auth`. */
async function withAuth(
  script: Script | NonNullable<Script['request']>,
  test: (pair: Pair, auth: Origin) => Promise<void>,
  options: Partial<ForwardAuthOptions> = {},
  settings: { trustedProxies?: string[] } = {},
): Promise<void> {
  const auth = await startOrigin(script);
  const route = { forwardAuth: { url: `${auth.target}/verify?a=1`, ...options } };
  await withPair(echo, (pair) => test(pair, auth), { route, settings });
}

forwardAuth('it is told of the request, and nothing that the client invents', () =>
  withAuth(
    () => ok(),
    async ({ port }, auth) => {
      const spoofed =
        'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Uri: /public\r\nX-Forwarded-Method: OPTIONS\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: gopher\r\nX-Real-IP: 6.6.6.6\r\n';
      const own =
        'Cookie: a=1\r\nCookie: b=2\r\nAuthorization: Bearer t\r\nAccept: text/html\r\nX-Tenant: 7\r\nX-Secret: no\r\n';
      const answer = await ask(
        port,
        `POST /private?x=1 HTTP/1.1\r\nHost: app.test\r\n${spoofed}${own}Content-Length: 5\r\n\r\nhello`,
      );
      assert.is(answer.text, 'POST /private?x=1 HTTP/1.1 5');
      const [asked] = auth.requests;
      assert.is(asked.line, 'GET /verify?a=1 HTTP/1.1');
      assert.is(asked.get('host'), `127.0.0.1:${auth.port}`);
      const told = names(asked, /^x-|cookie|^auth|^accept$|content/i).sort();
      const port443 = told.find((line) => line.startsWith('x-forwarded-port'));
      assert.equal(
        told.filter((line) => line !== port443 && !line.startsWith('x-forwarded-proto')),
        [
          ...['accept: text/html', 'authorization: Bearer t', 'cookie: a=1; b=2', 'x-forwarded-for: 127.0.0.1'],
          ...['x-forwarded-host: app.test', 'x-forwarded-method: POST', 'x-forwarded-uri: /private?x=1'],
          ...['x-real-ip: 127.0.0.1', 'x-tenant: 7'],
        ],
      );
      assert.match(asked.get('x-forwarded-proto')!, /^https?$/);
    },
    { sendHeaders: ['X-Tenant'] },
  ),
);

forwardAuth('behind a trusted proxy it is told what that says of the client', () =>
  withAuth(
    () => ok(),
    async ({ port }, auth) => {
      await ask(
        port,
        get('X-Forwarded-For: 9.9.9.9, 10.0.0.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: real.test\r\n'),
      );
      const [asked] = auth.requests;
      assert.is(asked.get('x-forwarded-for'), '9.9.9.9, 10.0.0.7, 127.0.0.1');
      assert.is(asked.get('x-forwarded-proto'), 'https');
      assert.is(asked.get('x-forwarded-host'), 'real.test');
    },
    {},
    { trustedProxies: ['127.0.0.1'] },
  ),
);

forwardAuth('what it says of the user goes on in the place of what the client says, also where it says nothing', () =>
  withAuth(
    (message) =>
      ok(message.get('cookie') === 'known' ? 'remote-USER: ann\r\nX-Group: a\r\nX-Group: b\r\nX-Other: no\r\n' : ''),
    async ({ port, origin, edge }) => {
      const lies = 'Remote-User: root\r\nREMOTE-user: root2\r\nX-Group: wheel\r\nRemote_User: root\r\nX-Mine: 1\r\n';
      assert.is((await ask(port, get(`${lies}Cookie: known\r\n`))).status, 200);
      assert.is((await ask(port, get(`${lies}Connection: remote-user\r\n`))).status, 200);
      const [known, unknown] = origin.requests;
      assert.equal(names(known, /user|group|mine|other/i), [
        'x-mine: 1',
        'remote-user: ann',
        'x-group: a',
        'x-group: b',
      ]);
      assert.equal(names(unknown, /user|group|mine|other/i), ['x-mine: 1']);
      const session = connectHttp2(await listenHttp2(edge));
      const fields = { 'remote-user': 'root', 'x-group': 'wheel', 'x-mine': '2', cookie: 'known' };
      assert.is((await request(session, { ':method': 'POST', ':path': '/2', ...fields }, 'body')).status, 200);
      assert.equal(names(origin.requests[2], /user|group|mine/i), [
        'x-mine: 2',
        'remote-user: ann',
        'x-group: a',
        'x-group: b',
      ]);
      assert.is(origin.requests[2].body.toString(), 'body');
    },
    { copyHeaders: ['Remote-User', 'X-Group'] },
  ),
);

forwardAuth('many fields of the client, all of them to be replaced', () =>
  withAuth(
    () => ok(`X-A: ${'v'.repeat(6_000)}\r\n`),
    async ({ port, origin, edge }) => {
      const many = 'X-A: root\r\nX-B: root\r\n'.repeat(40);
      assert.is((await ask(port, get(many))).status, 200);
      const session = connectHttp2(await listenHttp2(edge));
      assert.is(
        (await request(session, { ':path': '/2', 'x-a': Array(40).fill('root') as unknown as string })).status,
        200,
      );
      for (const message of origin.requests) {
        assert.equal(names(message, /^x-[ab]$/i), [`x-a: ${'v'.repeat(6_000)}`]);
      }
    },
    { copyHeaders: ['x-a', 'x-b'] },
  ),
);

forwardAuth('what is no 2xx is the answer: a redirect with its cookies, a challenge, a body', () =>
  withAuth(
    ({ fields }) => {
      const kind = fields.find(([name]) => name.toLowerCase() === 'authorization')?.[1];
      if (kind === 'login')
        return 'HTTP/1.1 302 Found\r\nLocation: https://login.test/?rd=x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2; HttpOnly\r\nX-Internal: 10.0.0.1\r\nContent-Length: 2\r\n\r\ngo';
      if (kind === 'chunked')
        return 'HTTP/1.1 403 No\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<p>\r\n0\r\n\r\n';
      if (kind === 'none') return 'HTTP/1.1 304 Not Modified\r\n\r\n';
      return 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="x"\r\nCache-Control: private\r\nContent-Length: 0\r\n\r\n';
    },
    async ({ port, origin, edge }, auth) => {
      const login = await ask(port, get('Authorization: login\r\n'));
      assert.is(login.status, 302);
      assert.is(login.text, 'go');
      assert.equal(names(login, /location|cookie|internal|cache/i), [
        ...[
          'location: https://login.test/?rd=x',
          'set-cookie: a=1',
          'set-cookie: b=2; HttpOnly',
          'cache-control: no-store',
        ],
      ]);
      const page = await ask(port, get('Authorization: chunked\r\n'));
      assert.is(`${page.status} ${page.get('content-type')} ${page.text}`, '403 text/html <p>');
      const none = await ask(port, get());
      assert.equal(names(none, /auth|cache/i), ['www-authenticate: Bearer realm="x"', 'cache-control: private']);
      assert.is(none.status, 401);
      assert.is((await ask(port, get('Authorization: none\r\n'))).status, 304);
      const session = connectHttp2(await listenHttp2(edge));
      const over2 = await request(session, { ':method': 'POST', authorization: 'login' }, 'x'.repeat(50_000));
      assert.is(over2.status, 302);
      assert.equal(over2.headers['set-cookie'], ['a=1', 'b=2; HttpOnly']);
      assert.is(origin.connections.length, 0);
      // One connection was enough for all of them.
      assert.ok(auth.connections.length <= 2, `${auth.connections.length}`);
    },
  ),
);

forwardAuth('unreachable, too late, broken, too long: nobody is let in, and nothing inside is named', async () => {
  const broken = [
    ...['HTTP/1.1 200', 'garbage\r\n\r\n', 'HTTP/1.1 200 OK\r\nRemote-User: a\nInjected: b\r\n\x00: c\r\n\r\n'],
    `HTTP/1.1 403 No\r\nContent-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`,
    'HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nshort',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
    'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
    '',
  ];
  for (const bytes of broken) {
    await withAuth(
      (_, { socket }) => void socket.end(Buffer.from(bytes, 'latin1')),
      async ({ port, origin, errors }, auth) => {
        const answer = await ask(port, get());
        assert.is(answer.status, 502, bytes.slice(0, 40));
        assert.is(answer.get('x-oo-code'), 'OO_AUTH_FAILED');
        assert.not.match(answer.head + answer.text, new RegExp(`127\\.0\\.0\\.1|${auth.port}|verify`));
        assert.is(origin.connections.length, 0);
        assert.match(
          errors.join('\n'),
          new RegExp(`502 OO_AUTH_FAILED route=\\* client=127\\.0\\.0\\.1.*${auth.port}/verify`),
        );
      },
    );
  }
  await withAuth(
    () => undefined,
    async ({ port, errors }, auth) => {
      const late = await ask(port, get());
      assert.is(late.status, 504);
      assert.is(late.get('x-oo-code'), 'OO_AUTH_TIMEOUT');
      assert.match(errors[0], 'no answer in 150 ms');
      await until(() => auth.open === 0, 'the question to be taken back');
    },
    { timeoutMs: 150 },
  );
  await withAuth(echo, async ({ port }, auth) => {
    auth.server.close();
    assert.is((await ask(port, get())).status, 502);
  });
});

forwardAuth('a connection that it closed while it rested does not fail a request', () =>
  withAuth(
    // It is gone just when the second question comes.
    (_, { socket, requests }) => (requests.length > 1 ? void socket.destroy() : ok()),
    async ({ port }, auth) => {
      for (let i = 0; i < 20; i++) assert.is((await ask(port, get())).status, 200, `${i}`);
      assert.is(auth.connections.length, 20);
    },
  ),
);

forwardAuth('a client that leaves takes the question back, and is not forwarded', () =>
  withAuth(
    () => undefined,
    async ({ port, origin, edge }, auth) => {
      const client = connect(port).send(get());
      await auth.got(1);
      client.reset();
      await until(() => auth.open === 0, 'the question to be taken back');
      const session = connectHttp2(await listenHttp2(edge));
      const stream = session.request({ ':authority': 'app.test', ':path': '/2' });
      stream.on('error', () => {});
      await auth.got(2);
      stream.close(8);
      await until(() => auth.open === 0, 'the second to be taken back');
      assert.is(origin.connections.length, 0);
    },
  ),
);

forwardAuth('while it is asked, bodies wait, bounded; pipelined requests keep their order', () => {
  const held: (() => void)[] = [];
  return withAuth(
    ({ line: _ }, connection) => void held.push(() => connection.send(ok())),
    async ({ port, edge, origin }) => {
      const client = connect(port);
      const body = Buffer.alloc(8_000_000, 'x');
      client
        .send(`POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
        .send(body)
        .send(get('', '/2'));
      const session = connectHttp2(await listenHttp2(edge));
      const second = request(session, { ':method': 'POST', ':path': '/3' }, Buffer.alloc(3_000_000, 'y'));
      await until(() => held.length === 2, 'both questions');
      assert.ok(client.socket.bytesWritten <= body.length + 1_000);
      // What the edge does not read stays with the client.
      await until(() => client.socket.writableLength > 0, 'the client to be held back');
      assert.is(origin.connections.length, 0);
      for (const let_in of held.splice(0)) let_in();
      assert.is((await client.response({ ms: 10_000 })).text, 'POST /1 HTTP/1.1 8000000');
      assert.is((await within(second, 'the answer')).body.toString(), 'POST /3 HTTP/1.1 3000000');
      await until(() => held.length === 1, 'the next question');
      held[0]();
      assert.is((await client.response()).text, 'GET /2 HTTP/1.1 0');
    },
  );
});

forwardAuth('an upgrade behind it; the question itself is a plain GET', () =>
  withAuth(
    () => ok('Remote-User: ann\r\n'),
    async ({ port, origin, route }, auth) => {
      const upgraded = await startOrigin({
        request: (_, { socket }) =>
          void socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
          ),
      });
      route({ id: '*', target: upgraded.target, forwardAuth: { url: auth.target, copyHeaders: ['remote-user'] } });
      const client = connect(port).send(
        `GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nRemote-User: root\r\n\r\nearly`,
      );
      assert.is((await client.response()).status, 101);
      await client.has('hello');
      await until(() => upgraded.text.endsWith('early'), 'what the client says');
      assert.equal(names(upgraded.requests[0], /user|^upgrade/i), ['upgrade: websocket', 'remote-user: ann']);
      assert.is(auth.requests[0].get('upgrade'), undefined);
      assert.is(origin.connections.length, 0);
    },
  ),
);

forwardAuth('a request that is sent again brings what was copied', () =>
  withAuth(
    () => ok('Remote-User: ann\r\n'),
    async ({ port, route }, auth) => {
      const dead = await startOrigin({ request: (_, { socket }) => void socket.destroy() });
      const alive = await startOrigin(() => reply('alive'));
      route({
        id: '*',
        target: [{ url: dead.target }, { url: `${alive.target}/base`, priority: 1 }],
        forwardAuth: { url: auth.target, copyHeaders: ['Remote-User'] },
      });
      assert.is((await ask(port, get('Remote-User: root\r\n', '/x'))).text, 'alive');
      assert.is(alive.requests[0].line, 'GET /base/x HTTP/1.1');
      assert.equal(names(alive.requests[0], /user/i), ['remote-user: ann']);
      // Nobody was asked twice.
      assert.is(auth.requests.length, 1);
    },
  ),
);

forwardAuth.run();
