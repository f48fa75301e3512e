import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseScryptHash, type ScryptHash } from '../../src/core/scrypt-hash.ts';
import { Passwords, type Verdict } from '../../src/edge/guard-passwords.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { reply } from '../helpers/origin.ts';
import { basic, cheapHash } from '../helpers/passwords.ts';
import { withPair } from '../helpers/proxy.ts';
import { until, within } from '../helpers/wait.ts';

const passwords = suite('passwords');
passwords.after.each(cleanUp);

const users = { ann: cheapHash('s3cret:with colon'), björn: cheapHash('pässwörd') };
const route = { basicAuth: { realm: 'the inside', users } };
const get = (fields = '', path = '/') => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;
const echo = { request: ({ line, body }: { line: string; body: Buffer }) => reply(`${line} ${body.length}`) };

passwords('only who knows the password is let in', () =>
  withPair(
    echo,
    async ({ port, origin }) => {
      const nobody = await ask(port, get());
      assert.is(nobody.status, 401);
      assert.is(nobody.get('www-authenticate'), 'Basic realm="the inside", charset="UTF-8"');
      assert.is(nobody.get('x-oo-code'), 'OO_UNAUTHORIZED');
      const bad = [
        ...[basic('ann', 'wrong'), basic('eve', 's3cret:with colon'), basic('', ''), basic('Ann', 's3cret:with colon')],
        ...['Authorization: Basic\r\n', 'Authorization: Basic !!!\r\n', 'Authorization: Bearer abc\r\n'],
        ...[basic('ann', 's3cret:with colon').replace('\r\n', ', Basic x\r\n'), 'Authorization: \r\n'],
        // Two lines: the upstream might read the other one.
        basic('ann', 's3cret:with colon') + basic('root', 'x'),
        `Authorization: Basic ${'A'.repeat(12_000)}\r\n`,
        // No UTF-8.
        `Authorization: Basic ${Buffer.from('ann:\xff\xfe', 'latin1').toString('base64')}\r\n`,
        basic('__proto__', 'x'),
        basic('constructor', 'x'),
      ];
      for (const line of bad) assert.is((await ask(port, get(line))).status, 401, line.slice(0, 60));
      assert.is(origin.connections.length, 0);
      const good = basic('ann', 's3cret:with colon');
      assert.is((await ask(port, get(good))).text, 'GET / HTTP/1.1 0');
      // As Caddy and nginx do: the upstream may want to know who it is.
      assert.is(origin.requests[0].get('authorization'), good.slice(15, -2));
      assert.is((await ask(port, get(good.replace('Authorization: Basic', 'AUTHORIZATION:   bAsIc')))).status, 200);
      assert.is((await ask(port, get(basic('björn', 'pässwörd')))).status, 200);
      // The same letters, as another keyboard makes them.
      assert.is((await ask(port, get(basic('björn'.normalize('NFD'), 'pässwörd'.normalize('NFD'))))).status, 200);
    },
    { route },
  ),
);

passwords('what follows waits for its turn; bodies and 100-continue go through; then the connection serves on', () =>
  withPair(
    echo,
    async ({ port, origin }) => {
      const line = basic('ann', 's3cret:with colon');
      const body = 'x'.repeat(300_000);
      const client = connect(port).send(
        `POST /1 HTTP/1.1\r\nHost: a\r\n${line}Content-Length: ${body.length}\r\n\r\n${body}${get(line, '/2')}${get('', '/3')}`,
      );
      assert.is((await client.response()).text, 'POST /1 HTTP/1.1 300000');
      assert.is((await client.response()).text, 'GET /2 HTTP/1.1 0');
      assert.is((await client.response()).status, 401);
      client.send(get(line, '/4'));
      assert.is((await client.response()).text, 'GET /4 HTTP/1.1 0');
      const refused = connect(port).send(
        `POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
      );
      assert.is((await refused.response()).status, 401);
      const chunked = await ask(
        port,
        `POST /6 HTTP/1.1\r\nHost: a\r\n${line}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      );
      assert.is(chunked.text, 'POST /6 HTTP/1.1 5');
      assert.not.match(origin.text, '/3|/5');
    },
    { route },
  ),
);

passwords('HTTP/2: bodies wait as well, and a stream that is refused leaves the others alone', () =>
  withPair(
    echo,
    async ({ edge, origin }) => {
      const session = connectHttp2(await listenHttp2(edge));
      const authorization = basic('ann', 's3cret:with colon').slice(15, -2);
      const wrong = basic('ann', 'no').slice(15, -2);
      const body = Buffer.alloc(200_000, 'x');
      const answers = await within(
        Promise.all([
          request(session, { ':method': 'POST', ':path': '/1', authorization }, body),
          request(session, { ':method': 'POST', ':path': '/2', authorization: wrong }, body),
          request(session, { ':path': '/3', authorization }),
          request(session, { ':path': '/4' }),
        ]),
        'the answers',
      );
      assert.equal(
        answers.map(({ status }) => status),
        [200, 401, 200, 401],
      );
      assert.is(answers[0].body.toString(), 'POST /1 HTTP/1.1 200000');
      assert.not.match(origin.text, '/2|/4');
    },
    { route },
  ),
);

passwords('a WebSocket behind a password', () =>
  withPair(
    {
      request: (message, { socket }) => {
        const key = createHash('sha1').update(
          `${message.get('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
        );
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${key.digest('base64')}\r\n\r\nhello`,
        );
      },
    },
    async ({ port, origin }) => {
      const upgrade = (line: string) =>
        `GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n${line}\r\n`;
      assert.is((await ask(port, upgrade(''))).status, 401);
      const client = connect(port).send(`${upgrade(basic('ann', 's3cret:with colon'))}early`);
      assert.is((await client.response()).status, 101);
      await client.has('hello');
      await until(() => origin.text.endsWith('early'), 'what the client says');
    },
    { route },
  ),
);

passwords('a change of the password counts at once, and one of the route while it waits asks again', () =>
  withPair(
    echo,
    async (pair) => {
      const line = basic('ann', 'old');
      assert.is((await ask(pair.port, get(line))).status, 200);
      assert.is((await ask(pair.port, get(line))).status, 200);
      pair.route({ id: '*', target: pair.origin.target, basicAuth: { users: { ann: cheapHash('new') } } });
      assert.is((await ask(pair.port, get(line))).status, 401);
      assert.is((await ask(pair.port, get(basic('ann', 'new')))).status, 200);
      // The comparison takes a while; before it ends the route lets nobody of this address in.
      pair.route({ id: '*', target: pair.origin.target, basicAuth: { users: { ann: cheapHash('slow', 15) } } });
      const client = connect(pair.port).send(get(basic('ann', 'slow')));
      await until(() => pair.edge.guards.passwords.pending === 1, 'the comparison');
      pair.route({ id: '*', target: pair.origin.target, access: { deny: ['127.0.0.1'] } });
      assert.is((await client.response()).status, 403);
    },
    { route: { basicAuth: { users: { ann: cheapHash('old') } } } },
  ),
);

passwords('a client that leaves while it waits is not forwarded', () =>
  withPair(
    echo,
    async (pair) => {
      const line = basic('ann', 'slow');
      const client = connect(pair.port).send(get(line, '/leaver'));
      await until(() => pair.edge.guards.passwords.pending === 1, 'the comparison');
      client.reset();
      await until(() => pair.edge.guards.passwords.pending === 0, 'its end');
      assert.is((await ask(pair.port, get(line, '/stayer'))).text, 'GET /stayer HTTP/1.1 0');
      assert.not.match(pair.origin.text, '/leaver');
    },
    { route: { basicAuth: { users: { ann: cheapHash('slow', 15) } } } },
  ),
);

// ---- the comparisons themselves

const known = (password: string, ln = 10) => {
  const text = cheapHash(password, ln);
  return { hash: parseScryptHash(text) as ScryptHash, text };
};
const checked = (desk: Passwords, one: ReturnType<typeof known>, password: string, client = 'c') =>
  new Promise<Verdict>((resolve) => {
    const said = desk.check(one, password, client, resolve);
    if (typeof said === 'string') resolve(said);
  });

passwords('fifty at once with the same password are one comparison, and later ones none', async () => {
  const desk = new Passwords();
  const one = known('a');
  const answers = Array.from({ length: 50 }, () => checked(desk, one, 'a'));
  assert.is(desk.pending, 1);
  assert.equal(new Set(await Promise.all(answers)), new Set(['right']));
  assert.is(
    desk.check(one, 'a', 'c', () => {}),
    'right',
  );
  // What is wrong is found out each time: an attacker learns nothing by how long it takes.
  assert.is(await checked(desk, one, 'b'), 'wrong');
  assert.is(typeof desk.check(one, 'b', 'c', () => {}), 'function');
});

passwords('one client takes no more than a few places, and all together a bounded number', async () => {
  const desk = new Passwords();
  const one = known('a');
  const verdicts = Array.from({ length: 20 }, (_, i) => checked(desk, one, `guess ${i}`, 'attacker'));
  assert.is(desk.pending, 8);
  assert.is(await checked(desk, one, 'a', 'user'), 'right');
  const said = await Promise.all(verdicts);
  assert.is(said.filter((verdict) => verdict === 'wrong').length, 8);
  assert.is(said.filter((verdict) => verdict === 'busy').length, 12);
  const many = Array.from({ length: 200 }, (_, i) => checked(desk, one, `x ${i}`, `client ${i}`));
  assert.ok(desk.pending <= 66, `${desk.pending}`);
  const all = await Promise.all(many);
  assert.ok(all.filter((verdict) => verdict === 'busy').length >= 134);
  assert.is(desk.pending, 0);
});

passwords('all addresses of one IPv6 network are one client', async () => {
  const desk = new Passwords();
  const one = known('a');
  const addresses = Array.from({ length: 20 }, (_, i) => `2001:db8:1:2:${i.toString(16)}::1`);
  const verdicts = addresses.map((address, i) => checked(desk, one, `guess ${i}`, address));
  assert.is(desk.pending, 8);
  assert.is(await checked(desk, one, 'a', '2001:db8:1:3::1'), 'right');
  const said = await Promise.all(verdicts);
  assert.is(said.filter((verdict) => verdict === 'busy').length, 12);
});

passwords('an unknown user costs a comparison as a known one does', () =>
  withPair(
    echo,
    async ({ port, edge }) => {
      for (const user of ['ann', 'nobody']) {
        const client = connect(port).send(get(basic(user, 'wrong')));
        await until(() => edge.guards.passwords.pending === 1, `a comparison for ${user}`);
        assert.is((await client.response()).status, 401);
      }
    },
    { route: { basicAuth: { users: { ann: cheapHash('slow', 15) } } } },
  ),
);

passwords('what all have left is not compared', async () => {
  const desk = new Passwords();
  const one = known('a', 14);
  const first = [checked(desk, one, '1', 'a'), checked(desk, one, '2', 'b')];
  let called = false;
  const leave = desk.check(one, 'a', 'c', () => {
    called = true;
  }) as () => void;
  leave();
  await Promise.all(first);
  assert.is(desk.pending, 0);
  assert.is(called, false);
});

passwords.run();
