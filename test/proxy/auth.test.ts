import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileBasicAuth } from '../../src/core/option-basic-auth.ts';
import type { ForwardAuthOptions } from '../../src/core/option-types.ts';
import { createProxy, routeOptions } from '../../src/index.ts';
import { ProxyPasswords, runtimeVerify } from '../../src/proxy/passwords.ts';
import type { VerifyPassword } from '../../src/proxy/types.ts';
import { basic, cheapHash } from '../helpers/passwords.ts';
import {
  askPortable as ask,
  closeOrigins,
  origin,
  type Portable,
  type PortableOrigin,
  portable,
} from '../helpers/portable.ts';
import { until } from '../helpers/wait.ts';

const auth = suite('who it is, by the portable proxy');
auth.after.each(closeOrigins);

const codeOf = (response: Response) => response.headers.get('x-oo-code');
const credentials = (user: string, password: string) => basic(user, password).slice(15, -2);

// ---- passwords

const users = { ann: cheapHash('s3cret:with colon'), björn: cheapHash('pässwörd') };

auth('basicAuth: only who knows the password is let in', async () => {
  const up = await origin();
  const proxy = portable([{ target: up.address, basicAuth: { realm: 'the inside', users } }]);
  const answer = (authorization?: string) =>
    ask(proxy, '/', authorization === undefined ? {} : { headers: { authorization } });
  const nobody = await answer();
  assert.is(nobody.status, 401);
  assert.is(nobody.headers.get('www-authenticate'), 'Basic realm="the inside", charset="UTF-8"');
  assert.is(codeOf(nobody), 'OO_UNAUTHORIZED');
  const good = credentials('ann', 's3cret:with colon');
  const bad = [
    ...[credentials('ann', 'wrong'), credentials('eve', 's3cret:with colon'), credentials('', '')],
    ...['Basic', 'Basic !!!', 'Bearer abc', `${good}, Basic x`, `Basic ${'A'.repeat(12_000)}`],
    `Basic ${Buffer.from('ann:\xff\xfe', 'latin1').toString('base64')}`,
    ...[credentials('__proto__', 'x'), credentials('constructor', 'x')],
  ];
  for (const value of bad) assert.is((await answer(value)).status, 401, value.slice(0, 60));
  assert.is(up.got.length, 0);
  assert.is((await answer(good)).status, 200);
  assert.is(up.got[0].headers.authorization, good);
  assert.is((await answer(good.replace('Basic', '  bAsIc '))).status, 200);
  assert.is((await answer(credentials('björn', 'pässwörd'))).status, 200);
  assert.is((await answer(credentials('björn'.normalize('NFD'), 'pässwörd'.normalize('NFD')))).status, 200);
  proxy.update([{ id: 'app.test', target: up.address, basicAuth: { users: { ann: cheapHash('new') } } }]);
  assert.is((await answer(good)).status, 401, 'another password counts at once');
});

auth('basicAuth: bodies arrive; who is refused leaves nothing at the target', async () => {
  const up = await origin();
  const proxy = portable([{ target: up.address, basicAuth: { users } }]);
  const post = (password: string) =>
    ask(proxy, '/p', { method: 'POST', body: 'hello', headers: { authorization: credentials('ann', password) } });
  assert.is((await post('no')).status, 401);
  assert.is(await (await post('s3cret:with colon')).text(), 'POST /p 5');
  assert.is(up.got.length, 1);
});

auth('basicAuth: by a function of one’s own; what that can’t say lets nobody in', async () => {
  const asked: string[] = [];
  const verifyPassword: VerifyPassword = async (password, hash) => {
    asked.push(hash);
    if (password === 'boom') throw new Error('no memory');
    return password !== 'no';
  };
  const proxy = portable([{ respond: 'in', basicAuth: { users } }], { verifyPassword });
  const status = async (user: string, password: string) =>
    (await ask(proxy, '/', { headers: { authorization: credentials(user, password) } })).status;
  assert.is(await status('ann', 'anything'), 200);
  assert.is(await status('ann', 'no'), 401);
  assert.is(await status('ann', 'boom'), 503);
  assert.equal([proxy.failures[0].code, String(proxy.failures[0].cause)], ['OO_AUTH_BUSY', 'Error: no memory']);
  // It says yes to everything: nobody is in all the same, and it is asked as for those who are known.
  assert.is(await status('eve', 'anything'), 401);
  assert.match(asked.at(-1)!, /^\$scrypt\$ln=10,r=8,p=1\$[A-Za-z0-9+/]{22}\$A{43}$/);
  assert.equal(asked.slice(0, 3), Array(3).fill(users.ann));
  const lax = (async () => 'yes') as unknown as VerifyPassword;
  const odd = portable([{ respond: 'in', basicAuth: { users } }], { verifyPassword: lax });
  assert.is((await ask(odd, '/', { headers: { authorization: credentials('ann', 'x') } })).status, 401);
});

auth('basicAuth: without scrypt the route is refused when it is made, never let through', async () => {
  const before = process.getBuiltinModule;
  const routes = [{ id: 'app.test', respond: 'in', basicAuth: { users } }];
  process.getBuiltinModule = undefined as unknown as typeof before;
  try {
    assert.is(runtimeVerify(), undefined);
    assert.throws(
      () => createProxy({ options: routeOptions, routes }),
      (error: Error) =>
        error instanceof TypeError && /route 'app\.test' has basicAuth.*verifyPassword/.test(error.message),
    );
    const open = createProxy({ options: routeOptions, routes: [{ id: 'app.test', respond: 'open' }] });
    assert.throws(() => open.update(routes), /verifyPassword/);
    assert.is(await (await ask(open, '/')).text(), 'open');
    const given = createProxy({ options: routeOptions, routes, verifyPassword: async () => true });
    assert.is((await ask(given, '/')).status, 401);
  } finally {
    process.getBuiltinModule = before;
  }
});

const known = (text: string) =>
  compileBasicAuth({ users: { a: text } }, (why) => assert.unreachable(why))!.users.get('a')!;
const here = new AbortController().signal;

auth('passwords: equal ones are compared once, and remembered for a minute', async () => {
  let compared = 0;
  let now = 0;
  const verify: VerifyPassword = async (password) => {
    compared++;
    return password === 'a';
  };
  const desk = new ProxyPasswords(verify, () => now);
  const one = known(cheapHash('a'));
  const all = await Promise.all(Array.from({ length: 50 }, () => desk.check(one, 'a', 'c', here)));
  assert.equal([new Set(all), compared, desk.pending], [new Set(['right']), 1, 0]);
  now = 59_000;
  assert.is(await desk.check(one, 'a', 'c', here), 'right');
  now = 118_000;
  assert.is(await desk.check(one, 'a', 'c', here), 'right');
  assert.is(compared, 1);
  now = 200_000;
  await desk.check(one, 'a', 'c', here);
  assert.is(compared, 2);
  // What is wrong is found out each time.
  for (let i = 0; i < 2; i++) assert.is(await desk.check(one, 'b', 'c', here), 'wrong');
  assert.is(compared, 4);
  assert.is(await desk.check(known(cheapHash('a')), 'b', 'c', here), 'wrong', 'it is remembered for one hash only');
});

auth('passwords: a few at a time, bounded in all and for each client; what all have left is not compared', async () => {
  const held: ((is: boolean) => void)[] = [];
  const compared: string[] = [];
  const verify: VerifyPassword = (password) => {
    compared.push(password);
    return new Promise((resolve) => held.push(resolve));
  };
  const desk = new ProxyPasswords(verify, () => 0);
  const one = known(cheapHash('a'));
  const said: unknown[] = [];
  const begin = (password: string, client: string, signal = here) =>
    void desk.check(one, password, client, signal).then((verdict) => said.push(verdict));
  for (let i = 0; i < 20; i++) begin(`guess ${i}`, 'attacker');
  await until(() => said.length === 12, 'the rest to be turned away');
  assert.equal([desk.pending, held.length], [8, 2]);
  const leaver = new AbortController();
  begin('left', 'leaver', leaver.signal);
  await until(() => desk.pending === 9, 'it to wait');
  leaver.abort();
  for (let i = 0; i < 200; i++) begin(`x ${i}`, `client ${i}`);
  await until(() => said.length === 12 + 200 - (64 - 7), 'those past the bound');
  while (desk.pending > 0) {
    for (const say of held.splice(0)) say(false);
    await new Promise(setImmediate);
  }
  assert.not(compared.includes('left'));
  assert.is(said.filter((verdict) => verdict === 'wrong').length, compared.length);
});

// ---- forwardAuth

type Answer = Parameters<typeof origin>[0];

async function withAuth(
  answer: Answer,
  options: Partial<ForwardAuthOptions> = {},
  more: Parameters<typeof portable>[1] = {},
): Promise<{ proxy: Portable; up: PortableOrigin; server: PortableOrigin }> {
  const [up, server] = [await origin(), await origin(answer)];
  const forwardAuth = { url: `http://${server.address}/verify?a=1`, ...options };
  return { proxy: portable([{ target: up.address, forwardAuth }], more), up, server };
}

auth('forwardAuth: it is told of the request, and nothing that the client invents', async () => {
  const { proxy, up, server } = await withAuth((_, res) => res.end(), { sendHeaders: ['X-Tenant'] });
  const spoofed = {
    ...{ 'x-forwarded-for': '6.6.6.6', 'x-forwarded-uri': '/public', 'x-forwarded-method': 'OPTIONS' },
    ...{ 'x-forwarded-host': 'evil', 'x-forwarded-proto': 'gopher', 'x-real-ip': '6.6.6.6' },
  };
  const own = { cookie: 'a=1; b=2', authorization: 'Bearer t', accept: 'text/html', 'x-tenant': '7', 'x-secret': 'no' };
  const answer = await ask(proxy, '/private?x=1', { method: 'POST', body: 'hello', headers: { ...spoofed, ...own } });
  assert.is(await answer.text(), 'POST /private?x=1 5');
  const [{ method, url, headers }] = server.got;
  assert.equal([method, url, headers.host], ['GET', '/verify?a=1', server.address]);
  const told = Object.entries(headers).filter(([name]) => /^x-|cookie|^auth|^accept$|content/.test(name));
  assert.equal(told.map(([name, value]) => `${name}: ${value}`).sort(), [
    ...['accept: text/html', 'authorization: Bearer t', 'cookie: a=1; b=2', 'x-forwarded-for: 192.0.2.7'],
    ...['x-forwarded-host: app.test', 'x-forwarded-method: POST', 'x-forwarded-port: 80', 'x-forwarded-proto: http'],
    ...['x-forwarded-uri: /private?x=1', 'x-real-ip: 192.0.2.7', 'x-tenant: 7'],
  ]);
  assert.is(up.got[0].headers['x-secret'], 'no');
});

auth('forwardAuth: what it says of the user goes on in the place of what the client says', async () => {
  const { proxy, up } = await withAuth(
    ({ headers }, res) => {
      if (headers.cookie === 'known')
        res
          .setHeaders(
            new Map([
              ['remote-USER', 'ann'],
              ['X-Other', 'no'],
            ]),
          )
          .setHeader('X-Group', ['a', 'b']);
      res.end();
    },
    { copyHeaders: ['Remote-User', 'X-Group'] },
  );
  const lies = { 'remote-user': 'root', 'X-Group': 'wheel', remote_user: 'root', 'x-mine': '1' };
  await ask(proxy, '/', { headers: { ...lies, cookie: 'known' } });
  await ask(proxy, '/', { headers: lies });
  await ask(proxy, '/', { headers: { ...lies, connection: 'remote-user, x-group' } });
  const of = (i: number) =>
    Object.entries(up.got[i].headers)
      .filter(([name]) => /remote|group|mine|other/.test(name))
      .sort(([a], [b]) => (a < b ? -1 : 1));
  assert.equal(of(0), [
    ['remote-user', 'ann'],
    ['x-group', 'a, b'],
    ['x-mine', '1'],
  ]);
  for (const i of [1, 2]) assert.equal(of(i), [['x-mine', '1']]);
});

auth('forwardAuth: what is no 2xx is the answer: a redirect with its cookies, a challenge, a body', async () => {
  const { proxy, up, server } = await withAuth(({ headers }, res) => {
    if (headers.authorization === 'login') {
      res.writeHead(302, {
        location: 'https://login.test/?rd=x',
        'set-cookie': ['a=1', 'b=2; HttpOnly'],
        'x-internal': '1',
      });
      return void res.end('go');
    }
    if (headers.authorization === 'none') return void res.writeHead(304).end();
    res.writeHead(401, { 'www-authenticate': 'Bearer realm="x"', 'cache-control': 'private' }).end();
  });
  const login = await ask(proxy, '/', { headers: { authorization: 'login' } });
  assert.equal([login.status, await login.text()], [302, 'go']);
  assert.equal(login.headers.getSetCookie(), ['a=1', 'b=2; HttpOnly']);
  assert.equal(
    ['location', 'x-internal', 'cache-control'].map((name) => login.headers.get(name)),
    ['https://login.test/?rd=x', null, 'no-store'],
  );
  const no = await ask(proxy, '/');
  assert.equal(
    [no.status, no.headers.get('www-authenticate'), no.headers.get('cache-control')],
    [401, 'Bearer realm="x"', 'private'],
  );
  assert.is((await ask(proxy, '/', { headers: { authorization: 'none' } })).status, 304);
  assert.is(up.got.length, 0);
  assert.is(server.got.length, 3, 'a redirect is not followed');
});

auth(
  'forwardAuth: unreachable, broken, too long, too late: nobody is let in, and nothing inside is named',
  async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        const bytes = answers[at];
        if (bytes !== null) socket.end(Buffer.from(bytes, 'latin1'));
      });
    });
    const answers = [
      ...['HTTP/1.1 200', 'garbage\r\n\r\n', 'HTTP/1.1 200 OK\r\nRemote-User: a\nInjected: b\r\n\x00: c\r\n\r\n', ''],
      `HTTP/1.1 403 No\r\nContent-Length: 70000\r\n\r\n${'x'.repeat(70_000)}`,
      'HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nshort',
      'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n',
      null,
    ];
    let at = 0;
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const up = await origin();
    const forwardAuth = { url: `http://127.0.0.1:${port}/verify`, timeoutMs: 300 };
    const proxy = portable([{ target: up.address, forwardAuth }]);
    for (; at < answers.length; at++) {
      const answer = await ask(proxy, '/');
      const expected = answers[at] === null ? 'OO_AUTH_TIMEOUT' : 'OO_AUTH_FAILED';
      assert.is(codeOf(answer), expected, String(answers[at]?.slice(0, 40)));
      assert.is(answer.status, answers[at] === null ? 504 : 502);
      assert.not.match(await answer.text(), new RegExp(`127\\.0\\.0\\.1|${port}|verify`));
      assert.match(String(proxy.failures.at(-1)!.cause), `${port}/verify: `);
    }
    server.close();
    assert.is(codeOf(await ask(proxy, '/')), 'OO_AUTH_FAILED');
    assert.is(up.got.length, 0);
  },
);

auth(
  'forwardAuth: a question is asked again where a connection broke, and not twice for a request that is repeated',
  async () => {
    const calls: string[] = [];
    const flaky: typeof fetch = async (input) => {
      const url = String(input);
      calls.push(url);
      if (calls.length === 1) throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'UND_ERR_SOCKET' } });
      if (url.startsWith('http://auth')) return new Response('', { headers: { 'remote-user': 'ann' } });
      if (url.startsWith('http://dead'))
        throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
      return new Response('alive');
    };
    const forwardAuth = { url: 'http://auth.test/verify', copyHeaders: ['remote-user'] };
    const target = [{ url: 'http://dead.test' }, { url: 'http://alive.test', priority: 1 }];
    const proxy = portable([{ target, forwardAuth }], { fetch: flaky });
    assert.is(await (await ask(proxy, '/x')).text(), 'alive');
    assert.equal(
      calls,
      [
        ...['http://auth.test/verify', 'http://auth.test/verify', 'http://dead.test:80/x', 'http://alive.test:80/x'],
      ].map((url) => url.replace(':80', '')),
    );
  },
);

auth('forwardAuth: a client that leaves takes its question back, and is not forwarded', async () => {
  let closed = false;
  const { proxy, up, server } = await withAuth(
    (_, res) =>
      void res.on('close', () => {
        closed = true;
      }),
  );
  const leave = new AbortController();
  const answer = ask(proxy, '/', { signal: leave.signal });
  await until(() => server.got.length === 1, 'the question');
  leave.abort();
  assert.is((await answer).status, 499);
  await until(() => closed, 'the question to be taken back');
  assert.is(up.got.length, 0);
});

auth.run();
