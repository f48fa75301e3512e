import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MirrorOptions } from '../../src/core/option-types.ts';
import type { Route } from '../../src/core/types.ts';
import { Mirrors } from '../../src/edge/mirrors.ts';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { echo, startNode } from '../helpers/http2-origin.ts';
import { type Origin, type OriginConnection, reply, type Script, startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const mirror = suite('mirror');
mirror.after.each(cleanUp);

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const post = (body: string, fields = '') =>
  `POST /p?q HTTP/1.1\r\nHost: app.test\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (...parts: string[]) =>
  `POST /p?q HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n${parts
    .map((part) => `${part.length.toString(16)};e=f\r\n${part}\r\n`)
    .join('')}0\r\nX-Sum: 1\r\n\r\n`;

interface Mirrored {
  readonly edge: TestEdge;
  readonly origin: Origin;
  readonly shadow: Origin;
}

/** An edge that forwards to one origin, and copies to another. */
async function start(
  options: Partial<MirrorOptions> = {},
  route: Partial<Route> = {},
  script: Script | NonNullable<Script['request']> = () => reply('shadow'),
): Promise<Mirrored> {
  const origin = await startOrigin((message) => reply(`${message.line} ${message.body.length}`));
  const shadow = await startOrigin(script);
  const edge = await startEdge([
    { id: '*', target: origin.target, mirror: { target: `${shadow.target}/copy`, ...options }, ...route },
  ]);
  return { edge, origin, shadow };
}

mirror('the copy is the request, and says that it is one', async () => {
  const { edge, origin, shadow } = await start();
  const answer = await ask(
    edge.port,
    get('/a%20b?c=d', 'X-Odd:  v\r\nCookie: e=f\r\nConnection: X-Hop\r\nX-Hop: 1\r\n'),
  );
  assert.is(answer.text, 'GET /a%20b?c=d HTTP/1.1 0');
  await shadow.got(1);
  const [copy] = shadow.requests;
  assert.is(copy.line, 'GET /copy/a%20b?c=d HTTP/1.1');
  assert.is(copy.get('x-oo-mirror'), '1');
  for (const name of ['host', 'x-odd', 'cookie', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'via'])
    assert.is(copy.get(name), origin.requests[0].get(name), name);
  assert.is(copy.get('x-hop'), undefined);
  assert.is(copy.get('content-length'), undefined);
  assert.is(origin.requests[0].get('x-oo-mirror'), undefined);
});

mirror('it goes through the same rules, to the mirror’s own path and Host', async () => {
  const rules = { stripPrefix: '/x', addPrefix: '/v2', requestHeaders: { set: { 'X-Set': '{path}' } } };
  const { edge, origin, shadow } = await start({}, { ...rules, hostHeader: 'upstream' });
  await ask(edge.port, get('/x/y'));
  await shadow.got(1);
  assert.is(origin.requests[0].line, 'GET /v2/y HTTP/1.1');
  assert.is(shadow.requests[0].line, 'GET /copy/v2/y HTTP/1.1');
  assert.is(shadow.requests[0].get('x-set'), '/x/y');
  assert.is(origin.requests[0].get('host'), `127.0.0.1:${origin.port}`);
  assert.is(shadow.requests[0].get('host'), `127.0.0.1:${shadow.port}`);
});

mirror('bodies over HTTP/1.1: with the head, behind it, in chunks, to HTTP/2 upstreams too', async () => {
  const { edge, origin, shadow } = await start();
  const upstream = await startNode(echo);
  const target = `h2c://127.0.0.1:${upstream.port}`;
  edge.route(
    { id: 'a.test', target: origin.target, mirror: shadow.target },
    { id: '*', target, mirror: shadow.target },
  );
  const client = connect(edge.port);
  let copies = 0;
  for (const host of ['a.test', 'app.test']) {
    const to = (request: string) => request.replace('app.test', host);
    for (const send of [post('hello'), chunked('hel', 'lo'), post(''), chunked()]) {
      client.send(to(send));
      assert.is((await client.response()).status, 200);
      await shadow.got(++copies);
      const copy = shadow.requests.at(-1)!;
      assert.is(copy.text, send.includes('lo') ? 'hello' : '');
      assert.is(copy.get('content-length'), String(copy.body.length));
      assert.is(copy.chunked, false);
      assert.is(copy.get('transfer-encoding'), undefined);
    }
    const sent = to(post('hello', 'Expect: 100-continue\r\n'));
    client.send(sent.slice(0, -5));
    await sleep(20);
    assert.is(shadow.requests.length, copies, 'nothing is sent before the request is complete');
    for (const byte of 'hello') {
      client.send(byte);
      await sleep(2);
    }
    let answer = await client.response();
    if (answer.status === 100) answer = await client.response();
    assert.is(answer.status, 200);
    await shadow.got(++copies);
    assert.is(shadow.requests.at(-1)!.text, 'hello');
    assert.is(shadow.requests.at(-1)!.get('expect'), undefined);
  }
  client.close();
});

mirror('bodies over HTTP/2, to both kinds of upstreams', async () => {
  const { edge, origin, shadow } = await start();
  const upstream = await startNode(echo);
  const target = `h2c://127.0.0.1:${upstream.port}`;
  edge.route(
    { id: 'a.test', target: origin.target, mirror: shadow.target },
    { id: 'b.test', target, mirror: shadow.target },
  );
  const session = connectHttp2(await listenHttp2(edge.edge));
  const body = randomBytes(200_000);
  let copies = 0;
  for (const host of ['a.test', 'b.test']) {
    for (const length of [{ 'content-length': String(body.length) }, {}]) {
      const headers = { ':method': 'POST', ':path': '/p', ':authority': host, ...length };
      const answer = await request(session, headers, body, 'content-length' in length ? undefined : { 'x-sum': '1' });
      assert.is(answer.status, 200);
      await shadow.got(++copies);
      const copy = shadow.requests.at(-1)!;
      assert.is(copy.line, 'POST /p HTTP/1.1');
      assert.is(copy.get('host'), host);
      assert.ok(copy.body.equals(body), 'the body is whole');
    }
    await request(session, { ':path': '/get', ':authority': host });
    await shadow.got(++copies);
    assert.is(shadow.requests.at(-1)!.line, 'GET /get HTTP/1.1');
    assert.is(shadow.requests.at(-1)!.get('content-length'), undefined);
  }
});

mirror('longer bodies are not copied, and arrive', async () => {
  const { edge, origin, shadow } = await start({ maxBodyBytes: 1_000 });
  const long = 'x'.repeat(1_001);
  for (const sent of [post(long), chunked(long), chunked('x'.repeat(600), 'y'.repeat(600))])
    assert.is((await ask(edge.port, sent)).status, 200);
  assert.is((await ask(edge.port, post('x'.repeat(1_000)))).status, 200);
  await shadow.got(1);
  assert.is(shadow.requests[0].body.length, 1_000);
  assert.is(origin.requests.length, 4);
  await sleep(50);
  assert.is(shadow.requests.length, 1);
  assert.equal(heldBytes(edge), 0);
});

mirror('what the mirror does is nothing to the request: dead, silent, broken, endless', async () => {
  const scripts: [what: string, script: Script | NonNullable<Script['request']>][] = [
    ['closes', { connected: ({ socket }) => void socket.destroy() }],
    ['is silent', { request: () => undefined }],
    ['talks no HTTP', { request: () => 'SSH-2.0-x\r\n\r\n\r\n' }],
    ['switches', { request: () => 'HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\nabc' }],
    ['sends without end', { request: () => `HTTP/1.1 200 OK\r\n\r\n${'z'.repeat(500_000)}` }],
    ['fails', () => reply('no', '', '500 No')],
  ];
  for (const [what, script] of scripts) {
    const { edge, origin } = await start({}, {}, script);
    const client = connect(edge.port);
    for (let i = 0; i < 20; i++) {
      client.send(i % 2 === 0 ? post('hello') : get());
      const answer = await client.response();
      assert.is(answer.status, 200, what);
      assert.is(answer.text, i % 2 === 0 ? 'POST /p?q HTTP/1.1 5' : 'GET /x HTTP/1.1 0', what);
    }
    assert.is(origin.requests.length, 20, what);
    assert.equal(
      edge.errors.filter((line) => !line.startsWith('mirror route=* to=http://127.0.0.1:')),
      [],
    );
    assert.ok(edge.errors.length <= 1, 'one line a minute');
    client.close();
  }
  const edge = await startEdge([
    { id: '*', target: (await startOrigin(echoLine)).target, mirror: 'http://127.0.0.1:1' },
  ]);
  assert.is((await ask(edge.port, get())).status, 200);
  await until(() => edge.errors.length === 1, 'a line that says so');
  assert.match(edge.errors[0], /^mirror route=\* to=http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
});

mirror('a request that is not complete is not copied, nor one that is refused, nor a tunnel', async () => {
  const { edge, origin, shadow } = await start({}, { maxBodyBytes: 50 });
  const left = connect(edge.port).send(post('hello world').slice(0, -6));
  await until(() => origin.connections.length === 1, 'the upload’s beginning');
  left.close();
  assert.is((await ask(edge.port, chunked('x'.repeat(40), 'y'.repeat(40)))).status, 413);
  assert.is((await ask(edge.port, get('/../x'))).status, 400);
  const tunnel = connect(edge.port).send(get('/ws', 'Connection: upgrade\r\nUpgrade: echo\r\n'));
  await tunnel.response();
  tunnel.close();
  await ask(edge.port, get('/last'));
  await shadow.got(1);
  await sleep(30);
  assert.equal(
    shadow.requests.map(({ line }) => line),
    ['GET /copy/last HTTP/1.1'],
  );
  assert.is(heldBytes(edge), 0);
});

mirror('a copy that comes back is not copied again', async () => {
  const origin = await startOrigin(echoLine);
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  edge.route({ id: '*', target: origin.target, mirror: `http://127.0.0.1:${edge.port}` });
  await ask(edge.port, get());
  await origin.got(2);
  await sleep(50);
  assert.is(origin.requests.length, 2);
});

mirror('who is not let in is not copied; who waits for that is, once and whole', async () => {
  const held: OriginConnection[] = [];
  const auth = await startOrigin({ request: (_message, connection) => void held.push(connection) });
  const { edge, origin, shadow } = await start({}, { forwardAuth: `${auth.target}/verify` });
  edge.route(
    { id: '*', target: origin.target, mirror: shadow.target, forwardAuth: `${auth.target}/verify` },
    { id: 'shut.test', target: origin.target, mirror: shadow.target, access: { allow: ['10.0.0.0/8'] } },
  );
  assert.is((await ask(edge.port, post('hello').replace('app.test', 'shut.test'))).status, 403);
  const session = connectHttp2(await listenHttp2(edge.edge));
  const body = randomBytes(30_000).toString('latin1');
  const first = connect(edge.port).send(post(body));
  const second = connect(edge.port).send(chunked(body.slice(0, 20_000), body.slice(20_000)));
  const third = request(session, { ':method': 'POST', ':path': '/p?q' }, Buffer.from(body, 'latin1'));
  const refused = connect(edge.port).send(post('refused'));
  await until(() => held.length === 4, 'their questions');
  await sleep(30);
  assert.is(shadow.requests.length, 0);
  // Whoever it is, one of them is refused.
  for (const [i, connection] of held.entries()) connection.send(reply('', '', i === 3 ? '401 No' : '200 OK'));
  const statuses = [(await first.response()).status, (await second.response()).status, (await third).status];
  statuses.push((await refused.response()).status);
  const good = statuses.filter((status) => status === 200).length;
  assert.is(good, 3);
  await shadow.got(3);
  await sleep(30);
  assert.is(shadow.requests.length, 3);
  const texts = origin.requests.map(({ text }) => text).sort();
  assert.equal(shadow.requests.map(({ text }) => text).sort(), texts);
  assert.ok(texts.filter((text) => text === body).length >= 2);
  first.close();
  second.close();
  refused.close();
});

mirror('percent: none, some, all', async () => {
  const { edge, origin, shadow } = await start({ percent: 0 });
  const client = connect(edge.port);
  const send = async (count: number) => {
    for (let i = 0; i < count; i++) {
      client.send(get());
      await client.response();
    }
  };
  await send(20);
  edge.route({ id: '*', target: origin.target, mirror: { target: shadow.target, percent: 50 } });
  await send(200);
  await sleep(50);
  const some = shadow.requests.length;
  assert.ok(some > 50 && some < 150, `${some} of 200`);
  client.close();
});

mirror('one try each, however often the request is repeated', async () => {
  const broken = await startOrigin({ connected: ({ socket }) => void socket.destroy() });
  const { edge, origin, shadow } = await start();
  const target = [
    { url: broken.target, priority: 0 },
    { url: origin.target, priority: 1 },
  ];
  edge.route({ id: '*', target, mirror: shadow.target, retry: { tries: 3 } });
  assert.is((await ask(edge.port, get())).status, 200);
  await shadow.got(1);
  await sleep(30);
  assert.is(shadow.requests.length, 1);
});

mirror('what copies may cost is bounded', async () => {
  const { edge, shadow } = await start({}, {}, { request: () => undefined });
  const lines: string[] = [];
  const bounded = new Mirrors((line) => lines.push(line), { requests: 3, bytes: 4_096, timeoutMs: 300 });
  Object.defineProperty(edge.edge, 'mirrors', { value: bounded });
  for (let i = 0; i < 6; i++) await ask(edge.port, get(`/${i}`));
  await shadow.got(3);
  await sleep(50);
  assert.is(shadow.requests.length, 3);
  await until(() => lines.length === 1, 'a line that says so');
  assert.match(lines[0], /no answer in time/);
  await until(() => bounded.hasRoom() && bounded.lost === 3, 'their end');
  assert.is((await ask(edge.port, post('x'.repeat(4_097)))).status, 200);
  assert.is((await ask(edge.port, post('x'.repeat(4_096)))).status, 200);
  await shadow.got(4);
  assert.is(shadow.requests.at(-1)!.text, 'x'.repeat(4_096));
  bounded.close();
  await until(() => bounded.hold(4_096), 'all that was held is free');
});

/** What copies hold in an edge. */
function heldBytes({ edge }: TestEdge): number {
  return (edge.mirrors as unknown as { held: number }).held;
}

mirror.run();
