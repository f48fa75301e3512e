import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileMirror } from '../../src/core/option-mirror.ts';
import type { RouteOptions } from '../../src/core/option-types.ts';
import type { Route } from '../../src/index.ts';
import { senderOf } from '../../src/proxy/fetch.ts';
import { ProxyMirrors } from '../../src/proxy/mirror.ts';
import { askPortable as ask, closeOrigins, origin, portable } from '../helpers/portable.ts';
import { sleep, until } from '../helpers/wait.ts';

const rewrite = suite('what the portable proxy changes');
rewrite.after.each(closeOrigins);

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
rewrite('stripPrefix: escapes and the query stay as they are', async () => {
  const up = await origin();
  const proxy = portable([{ id: 'app.test/app', target: up.address, stripPrefix: true }]);
  for (const [sent, got] of stripped) {
    assert.is(await (await ask(proxy, sent)).text(), `GET ${got} 0`);
    assert.is(up.got.at(-1)!.headers['x-forwarded-prefix'], '/app');
  }
});

rewrite('a path that can be read as a host, or under another prefix, is refused and never forwarded', async () => {
  const up = await origin();
  const asked: string[] = [];
  const recording: typeof fetch = (input, init) => {
    asked.push(String(input));
    return fetch(input, init);
  };
  const proxy = portable([{ id: 'app.test/app', target: up.address, stripPrefix: true }], { fetch: recording });
  const bad = ['/app//evil.test', '/app///x', '/app/%2Fevil', '/app/%2fevil', '/app/%5Cevil', '/app/%5cevil'];
  const more = [
    '/app/../x',
    '/app/%2e%2e/x',
    '/%61pp/x',
    '/app%2Fx',
    '//app/x',
    '/app/\\evil.test',
    '/app\\\\evil.test',
  ];
  for (const path of [...bad, ...more]) {
    const { status } = await ask(proxy, `http://app.test${path}`);
    assert.ok(status === 400 || status === 404, `${path}: ${status}`);
  }
  assert.equal(asked, []);
  const own = portable([{ target: up.address, stripPrefix: '/api/v1' }]);
  assert.is(await (await ask(own, '/api/v1/x')).text(), 'GET /x 0');
  assert.is(await (await ask(own, '/api/v10')).text(), 'GET /api/v10 0');
  assert.is(up.got.at(-1)!.headers['x-forwarded-prefix'], undefined);
  for (const path of ['/api/%761/x', '/api//v1/x', '/api;p/v1/x', '/api/v1;p/x'])
    assert.is((await ask(own, path)).status, 400, path);
});

rewrite('addPrefix, alone and after stripPrefix, before it the target’s own path', async () => {
  const { address, got } = await origin();
  const proxy = portable([
    { id: 'app.test/add', target: address, addPrefix: '/v2/' },
    { id: 'app.test/both', target: `http://${address}/base`, stripPrefix: true, addPrefix: '/v2' },
    { id: 'app.test/same', target: address, stripPrefix: true, addPrefix: '/same' },
    { id: 'app.test/host', target: `http://${address}/base`, stripPrefix: true },
  ]);
  const rows = [
    ['/add/x?y', '/v2/add/x?y'],
    ['/add//x', '/v2/add//x'],
    ['/both', '/base/v2'],
    ['/both/', '/base/v2/'],
    ['/both?z', '/base/v2?z'],
    ['/both//x', '/base/v2//x'],
    ['/host', '/base/'],
    ['/same/x', '/same/x'],
  ];
  for (const [sent, is] of rows) assert.is(await (await ask(proxy, sent)).text(), `GET ${is} 0`, sent);
  assert.is(got.at(-1)!.headers['x-forwarded-prefix'], '/same');
});

rewrite('X-Forwarded-Prefix: a stranger’s is gone, a trusted proxy’s comes before ours', async () => {
  const { address, got } = await origin();
  const proxy = portable([{ id: 'app.test/app', target: address, stripPrefix: true }], {
    trustedProxies: ['10.0.0.1'],
  });
  const prefixOf = async (from: string, sent: string) => {
    await ask(proxy, '/app/x', { from, headers: { 'x-forwarded-PREFIX': sent } });
    return got.at(-1)!.headers['x-forwarded-prefix'];
  };
  assert.is(await prefixOf('192.0.2.7', '/evil'), '/app');
  assert.is(await prefixOf('10.0.0.1', '/outer/'), '/outer/app');
  assert.is(await prefixOf('10.0.0.1', 'not a path'), '/app');
  assert.is(await prefixOf('10.0.0.1', '/'), '/app');
});

// ---- fields

rewrite('requestHeaders: remove, set, add; what they stand for; what oo tells can be changed', async () => {
  const { address, got } = await origin();
  const requestHeaders = {
    remove: ['Cookie', 'X-Gone', 'via'],
    set: {
      ...{
        'X-Set': 'new',
        'X-Ip': '{client.ip}',
        'X-Req': '{method} {scheme}://{host}{uri} {path}',
        'X-Route': '{route}',
      },
      ...{ 'X-Id': '{request.id}', 'X-Forwarded-For': '{client.ip}', 'X-Json': '{"a":1}', 'Accept-Encoding': 'gzip' },
    },
    add: { 'X-More': ['a', 'b'] },
  };
  const proxy = portable([{ target: address, requestHeaders }], { trustedProxies: ['10.0.0.0/8'] });
  const headers = { cookie: 'a=1', 'x-gone': '1', 'X-SET': 'old', 'x-more': 'first', 'x-kept': 'k' };
  await ask(proxy, '/p%20q?x=1', { headers });
  const one = got[0].headers;
  assert.equal([one.cookie, one['x-gone'], one.via], [undefined, undefined, undefined]);
  assert.equal([one['x-set'], one['x-kept'], one['x-more']], ['new', 'k', 'first, a, b']);
  assert.equal([one['x-ip'], one['x-forwarded-for']], ['192.0.2.7', '192.0.2.7']);
  assert.is(one['x-req'], 'GET http://app.test/p%20q?x=1 /p%20q');
  assert.equal([one['x-route'], one['x-json']], ['app.test', '{"a":1}']);
  assert.match(one['x-id'] as string, /^[0-9a-z]{12,}$/);
  // On Node nothing is decoded on the way, so it is asked for as the route says.
  assert.is(one['accept-encoding'], 'gzip');
  const told = { 'x-forwarded-for': '9.9.9.9', 'x-forwarded-host': 'real.test', 'x-forwarded-proto': 'https' };
  await ask(proxy, '/', { from: '10.0.0.1', headers: told });
  assert.equal([got[1].headers['x-ip'], got[1].headers['x-req']], ['9.9.9.9', 'GET https://real.test/ /']);
});

rewrite('responseHeaders: the target’s answers, and none of ours; {request.id} is one and the same', async () => {
  const up = await origin(({ url }, res) => {
    if (url === '/bad') return void res.destroy();
    res.writeHead(201, 'Made', { server: 'x', 'x-frame-options': 'ALLOW', 'set-cookie': ['a=1', 'b=2'] }).end('body');
  });
  const responseHeaders = {
    remove: ['Server'],
    set: { 'X-Frame-Options': 'DENY', 'X-Id': '{request.id}' },
    add: { 'Set-Cookie': 'c={client.ip}' },
  };
  const requestHeaders = { set: { 'X-Id': '{request.id}' } };
  const proxy = portable([{ target: up.address, responseHeaders, requestHeaders }]);
  const answer = await ask(proxy, '/');
  assert.equal([answer.status, answer.statusText, await answer.text()], [201, 'Made', 'body']);
  assert.equal([answer.headers.get('server'), answer.headers.get('x-frame-options')], [null, 'DENY']);
  assert.equal(answer.headers.getSetCookie(), ['a=1', 'b=2', 'c=192.0.2.7']);
  assert.is(answer.headers.get('x-id'), up.got[0].headers['x-id']);
  const bad = await ask(proxy, '/bad', { method: 'POST', body: 'x' });
  assert.equal([bad.status, bad.headers.get('x-frame-options')], [502, null]);
  assert.is(bad.headers.get('x-request-id'), up.got.at(-1)!.headers['x-id']);
});

rewrite('cors: in the place of the target’s own fields, and on our answers', async () => {
  const up = await origin(({ url }, res) => {
    if (url === '/bad') return void res.destroy();
    const vary = url === '/varies' ? 'Accept, ORIGIN' : 'Accept';
    res.writeHead(200, { 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true', vary }).end();
  });
  const proxy = portable([{ target: up.address, cors: { origins: ['https://a.example'], exposeHeaders: ['X-T'] } }]);
  const fields = async (path: string, from?: string, method = 'GET') => {
    const { headers } = await ask(proxy, path, { method, headers: from === undefined ? {} : { origin: from } });
    return ['allow-origin', 'allow-credentials', 'expose-headers']
      .map((name) => headers.get(`access-control-${name}`))
      .concat(headers.get('vary'));
  };
  assert.equal(await fields('/', 'https://a.example'), ['https://a.example', null, 'X-T', 'Accept, Origin']);
  assert.equal(await fields('/varies', 'https://a.example'), ['https://a.example', null, 'X-T', 'Accept, ORIGIN']);
  assert.equal(await fields('/', 'https://evil.example'), [null, null, null, 'Accept, Origin']);
  assert.equal(await fields('/'), [null, null, null, 'Accept, Origin']);
  assert.equal(await fields('/bad', 'https://a.example', 'POST'), ['https://a.example', null, 'X-T', 'Origin']);
});

// ---- copies

async function mirrored(options: Partial<RouteOptions['mirror'] & object> = {}, route: Partial<Route> = {}) {
  const [up, shadow] = [await origin(), await origin()];
  const mirror = { target: `http://${shadow.address}/copy`, ...options };
  return { up, shadow, proxy: portable([{ target: up.address, mirror, ...route }]) };
}

rewrite('mirror: the copy is the request, and says that it is one', async () => {
  const { up, shadow, proxy } = await mirrored();
  const headers = { 'x-odd': 'v', cookie: 'e=f', connection: 'x-hop', 'x-hop': '1' };
  assert.is(await (await ask(proxy, '/a%20b?c=d', { headers })).text(), 'GET /a%20b?c=d 0');
  await until(() => shadow.got.length === 1, 'the copy');
  const [{ url, headers: copy }] = shadow.got;
  assert.equal([url, copy['x-oo-mirror'], copy['x-hop']], ['/copy/a%20b?c=d', '1', undefined]);
  for (const name of ['host', 'x-odd', 'cookie', 'x-forwarded-for', 'x-forwarded-host', 'via'])
    assert.is(
      copy[name],
      name === 'host' ? up.got[0].headers.host?.replace(up.address, shadow.address) : up.got[0].headers[name],
    );
  assert.is(up.got[0].headers['x-oo-mirror'], undefined);
  await ask(proxy, '/again', { headers: { 'x-oo-mirror': '1' } });
  await sleep(50);
  assert.is(shadow.got.length, 1, 'a copy is not copied');
});

rewrite('mirror: bodies, known and streamed, are the same; longer ones are not copied, and arrive', async () => {
  const { up, shadow, proxy } = await mirrored({ maxBodyBytes: 10_000 }, { stripPrefix: '/x', maxBodyBytes: 50_000 });
  const stream = (text: string) =>
    new ReadableStream({
      start(controller) {
        for (let i = 0; i < text.length; i += 700) controller.enqueue(new TextEncoder().encode(text.slice(i, i + 700)));
        controller.close();
      },
    });
  const whole = 'abcdefghij'.repeat(1_000);
  for (const body of ['hello', '', stream(whole), stream(`${whole}k`), 'l'.repeat(20_000)])
    assert.is((await ask(proxy, '/x/p', { method: 'POST', body, duplex: 'half' })).status, 200);
  await until(() => shadow.got.length === 3, 'the copies');
  await sleep(50);
  assert.equal(
    shadow.got
      .map(({ url, body, headers }) => [url, body.length, headers['content-length']])
      .sort((a, b) => Number(a[1]) - Number(b[1])),
    [
      ['/copy/p', 0, '0'],
      ['/copy/p', 5, '5'],
      ['/copy/p', 10_000, '10000'],
    ],
  );
  assert.ok(shadow.got.some(({ body }) => body === whole));
  assert.equal(
    up.got.map(({ body }) => body.length),
    [5, 0, 10_000, 10_001, 20_000],
  );
  assert.is((await ask(proxy, '/x/p', { method: 'POST', body: 'm'.repeat(60_000) })).status, 413);
});

rewrite('mirror: its failures touch nobody, guards come first, and what is repeated is copied once', async () => {
  const up = await origin();
  const gone = portable([{ target: up.address, mirror: 'http://127.0.0.1:9' }]);
  assert.is(await (await ask(gone, '/', { method: 'POST', body: 'hello' })).text(), 'POST / 5');
  assert.equal(gone.failures, []);
  const { shadow, proxy } = await mirrored({}, { access: { deny: ['192.0.2.7'] } });
  assert.is((await ask(proxy, '/')).status, 403);
  assert.is((await ask(proxy, '/', { from: '192.0.2.8' })).status, 200);
  const calls: string[] = [];
  const refusing: typeof fetch = (input, init) => {
    calls.push(String(input));
    if (String(input).startsWith('http://first'))
      return Promise.reject(Object.assign(new TypeError('no'), { cause: { code: 'ECONNREFUSED' } }));
    return fetch(input, init);
  };
  const target = [{ url: 'http://first.test' }, { url: up.address, priority: 1 }];
  const twice = portable([{ target, mirror: shadow.address }], { fetch: refusing });
  for (const init of [{}, { method: 'PUT', body: 'again' }]) assert.is((await ask(twice, '/twice', init)).status, 200);
  assert.is(calls.filter((url) => url.startsWith('http://first')).length, 2);
  await until(() => shadow.got.length === 3, 'the copies');
  await sleep(50);
  assert.equal(shadow.got.map(({ url, body }) => `${url} ${body}`).sort(), ['/copy/ ', '/twice ', '/twice again']);
});

rewrite('mirror: the runtime is told to wait for it, and a request that breaks off is never copied', async () => {
  const { shadow, proxy, up } = await mirrored();
  const waited: Promise<unknown>[] = [];
  const context = { waitUntil: (copy: Promise<unknown>) => void waited.push(copy), passThroughOnException: () => {} };
  const answer = await proxy.fetch(new Request('http://app.test/w'), {}, context);
  assert.is(answer.status, 200);
  assert.is(waited.length, 1);
  await waited[0];
  assert.is(shadow.got.length, 1);
  const leave = new AbortController();
  let pulled = 0;
  const body = new ReadableStream({
    async pull(controller) {
      if (pulled++ > 3) return;
      controller.enqueue(new Uint8Array(100));
    },
  });
  const broken = ask(proxy, '/b', { method: 'POST', body, duplex: 'half', signal: leave.signal });
  await until(() => pulled > 3, 'the body to be under way');
  leave.abort();
  assert.is((await broken).status, 499);
  await sleep(50);
  assert.equal([shadow.got.length, up.got.length], [1, 1]);
});

rewrite('mirror: what is kept of a body that nobody reads on is let go', async () => {
  const early = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('HTTP/1.1 413 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno'));
  });
  await once(early.listen(0, '127.0.0.1'), 'listening');
  const { port } = early.address() as AddressInfo;
  const mirrors = new ProxyMirrors(senderOf(undefined), 50);
  const mirror = compileMirror('http://127.0.0.1:9', (why) => assert.unreachable(why))!;
  const copied = { mirror, method: 'POST', path: '/', sent: new Headers(), host: 'x', waitUntil: () => {} };
  const copy = mirrors.begin(copied, 0)!;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      await sleep(5);
      controller.enqueue(new Uint8Array(1_000));
    },
  });
  const init = { method: 'POST', body: copy.through(body), duplex: 'half', signal: AbortSignal.timeout(5_000) };
  assert.is((await fetch(`http://127.0.0.1:${port}/`, init)).status, 413);
  assert.ok(mirrors.held > 0);
  await until(() => mirrors.held === 0, 'it to be let go');
  early.close();
});

rewrite('mirror: a part of them', async () => {
  const copied: string[] = [];
  const recording: typeof fetch = async (input) => {
    if (String(input).startsWith('http://m.test')) copied.push(String(input));
    return new Response('');
  };
  let chance = 0;
  const mirror = { target: 'http://m.test', percent: 25 };
  const proxy = portable([{ target: 'http://a.test', mirror }], { fetch: recording, random: () => chance });
  for (const value of [0, 0.2499, 0.25, 0.99]) {
    chance = value;
    await ask(proxy, `/${value}`);
  }
  assert.equal(copied, ['http://m.test/0', 'http://m.test/0.2499']);
});

rewrite.run();
