import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { type Origin, reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';

const sticky = suite('sticky');
sticky.after.each(cleanUp);

const secret = Buffer.alloc(32, 1).toString('base64');
const older = Buffer.alloc(32, 2).toString('base64');

const get = (cookie = '') => `GET /x HTTP/1.1\r\nHost: app.test\r\n${cookie === '' ? '' : `Cookie: ${cookie}\r\n`}\r\n`;

async function origins(count: number, fields = ''): Promise<Origin[]> {
  const started = Array.from({ length: count }, (_, i) => startOrigin(() => reply(`${i}`, fields)));
  return Promise.all(started);
}

const routeTo = (list: readonly Origin[], balance: Route['balance'] = { sticky: true }): Route => ({
  id: '*',
  target: list.map(({ target }) => target),
  balance,
});

async function start(route: Route, secrets = [secret]): Promise<TestEdge> {
  const edge = await startEdge([route]);
  edge.edge.joinWorkers({ index: 0, count: 1 }, secrets);
  return edge;
}

/** The cookie that an answer sets, `name=value`. */
const cookieOf = (field: string | undefined) => /^[^;]+/.exec(field ?? '')?.[0] ?? '';

sticky('a client keeps its instance over 100 requests, and the cookie is set once', async () => {
  const edge = await start(routeTo(await origins(4)));
  const seen = new Set<string>();
  for (let client = 0; client < 20; client++) {
    const first = await ask(edge.port, get());
    const field = first.get('set-cookie')!;
    assert.match(field, /^oo_sticky=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/);
    seen.add(first.text);
    for (let i = 0; i < 5; i++) {
      const next = await ask(edge.port, get(`a=b; ${cookieOf(field)}; c=d`));
      assert.is(next.text, first.text);
      assert.is(next.get('set-cookie'), undefined);
    }
  }
  assert.ok(seen.size > 1, 'clients are spread');
});

sticky('a forged cookie is as good as none', async () => {
  const edge = await start(routeTo(await origins(3)));
  for (const forged of ['oo_sticky=0', `oo_sticky=${'A'.repeat(22)}`, 'oo_sticky=', 'OO_STICKY=x']) {
    const { status, get: field } = await ask(edge.port, get(forged));
    assert.is(status, 200);
    assert.match(field('set-cookie')!, /^oo_sticky=[\w-]{22};/);
  }
});

sticky(
  'it is worth the same in another edge with the same secrets, also an older one, and nothing without',
  async () => {
    const list = await origins(5);
    const before = await start(routeTo(list), [older]);
    const { text, get: field } = await ask(before.port, get());
    const cookie = cookieOf(field('set-cookie'));
    before.close();
    const after = await start(routeTo(list), [secret, older]);
    for (let i = 0; i < 10; i++) assert.is((await ask(after.port, get(cookie))).text, text);
    const renewed = await ask(after.port, get(cookie));
    assert.not.equal(cookieOf(renewed.get('set-cookie')), cookie, 'it gets one of the new secret');
    const stranger = await start(routeTo(list), [secret]);
    const answers = new Set<string>();
    for (let i = 0; i < 30; i++) answers.add((await ask(stranger.port, get(cookie))).text);
    assert.ok(answers.size > 1);
  },
);

sticky('a member that is drained still serves those who stick to it', async () => {
  const list = await origins(2);
  const edge = await start(routeTo(list));
  const { text, get: field } = await ask(edge.port, get());
  const cookie = cookieOf(field('set-cookie'));
  const target = list.map(({ target: url }, i) => ({ url, weight: `${i}` === text ? 0 : 1 }));
  edge.route({ id: '*', target, balance: { sticky: true } });
  for (let i = 0; i < 5; i++) assert.is((await ask(edge.port, get(cookie))).text, text);
  for (let i = 0; i < 5; i++) assert.is.not((await ask(edge.port, get())).text, text);
});

sticky('a member that is gone: another one, and a new cookie', async () => {
  const list = await origins(2);
  const edge = await start(routeTo(list));
  const { text, get: field } = await ask(edge.port, get());
  edge.route(routeTo(list.filter((_, i) => `${i}` !== text)));
  const moved = await ask(edge.port, get(cookieOf(field('set-cookie'))));
  assert.is.not(moved.text, text);
  assert.match(moved.get('set-cookie')!, /^oo_sticky=/);
});

sticky('its name can be chosen; the upstream gets it, and its own cookies stay', async () => {
  const list = await origins(2, 'Set-Cookie: own=1\r\n');
  const edge = await start(routeTo(list, { sticky: 'SRV' }));
  const { fields } = await ask(edge.port, get());
  const cookies = fields.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => cookieOf(value));
  assert.is(cookies[0], 'own=1');
  assert.match(cookies[1], /^SRV=[\w-]{22}$/);
  await ask(edge.port, get(`a=b; ${cookies[1]}`));
  assert.ok(list.some(({ text }) => text.includes(`Cookie: a=b; ${cookies[1]}\r\n`)));
});

sticky('over HTTPS it is Secure; over HTTP/2, too; beside Strict-Transport-Security', async () => {
  const list = await origins(2, 'Strict-Transport-Security: max-age=1\r\n');
  const edge = await start({ ...routeTo(list), hsts: true });
  const session = connectHttp2(await listenHttp2(edge.edge, 'https'));
  const { headers, body } = await request(session, { ':scheme': 'https', ':path': '/' });
  const [field] = headers['set-cookie']!;
  assert.match(field, /; Secure$/);
  assert.is(headers['strict-transport-security'], 'max-age=31536000');
  for (let i = 0; i < 5; i++) {
    const next = await request(session, { ':scheme': 'https', ':path': '/', cookie: ['x=y', cookieOf(field)] });
    assert.is(next.body.toString(), body.toString());
    assert.is(next.headers['set-cookie'], undefined);
  }
});

sticky('answers of our own have none, nor have those of routes that do not ask for it', async () => {
  const edge = await start({
    id: '*',
    target: ['http://127.0.0.1:1', 'http://127.0.0.1:1/two'],
    balance: { sticky: true },
  });
  const refused = await ask(edge.port, get());
  assert.is(refused.status, 502);
  assert.is(refused.get('set-cookie'), undefined);
  const list = await origins(2);
  edge.route({ id: '*', target: list.map(({ target }) => target) });
  assert.is((await ask(edge.port, get('oo_sticky=x'))).get('set-cookie'), undefined);
});

sticky.run();
