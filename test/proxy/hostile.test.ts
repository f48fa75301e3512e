import { once } from 'node:events';
import type http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import vm from 'node:vm';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  createProxy,
  type Handler,
  nodeUpgrade,
  type ProxyFailure,
  type ProxyOptions,
  routeOptions,
} from '../../src/index.ts';
import { isRefusedMethod } from '../../src/proxy/fetch.ts';
import { askPortable, closeOrigins, origin } from '../helpers/portable.ts';

// What programs and their clients do wrong must not end the program, nor be blamed on somebody else.
const hostile = suite('the embedded proxy, ill-treated');
const closers: (() => void)[] = [];
const escaped: unknown[] = [];
const catchIt = (error: unknown) => void escaped.push(error);
hostile.before(() => void process.on('unhandledRejection', catchIt).on('uncaughtException', catchIt));
hostile.after(() => void process.off('unhandledRejection', catchIt).off('uncaughtException', catchIt));
hostile.after.each(() => {
  closeOrigins();
  for (const close of closers.splice(0)) close();
});

const ms = (time: number) => new Promise((resolve) => setTimeout(resolve, time));

/** Waits until it is so. */
async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 300 && !isSo(); i++) await ms(10);
  assert.ok(isSo(), what);
}

/** Nothing but what was caught may have gone wrong. */
async function nothingEscaped(): Promise<void> {
  await ms(30);
  assert.equal(escaped.splice(0), []);
}

async function listening(fetch: Parameters<typeof serve>[0]['fetch']): Promise<number> {
  const server = serve({ fetch, port: 0, hostname: '127.0.0.1' }) as http.Server;
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  if (!server.listening) await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A proxy of one route, and what it failed of. */
function proxyOf(target: string | undefined, handler?: Handler, options: Partial<ProxyOptions> = {}) {
  const failures: ProxyFailure[] = [];
  const hooks = { onFailure: (failure: ProxyFailure) => void failures.push(failure) };
  const routes = [{ id: '*', target, handler }];
  return { failures, proxy: createProxy({ routes, hooks, options: routeOptions, ...options }) };
}

hostile('a handler that does not wait for next, and a client that leaves', async () => {
  const silent = await origin(() => {});
  let isForwarding = false;
  const { proxy } = proxyOf(`http://${silent.address}`, (_request, next) => {
    void next();
    isForwarding = true;
    return new Promise<never>(() => {});
  });
  const port = await listening(proxy.fetch);
  const client = net.connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await until(() => isForwarding && silent.got.length === 1, 'it is forwarded');
  client.destroy();
  await until(() => proxy.stats().inFlight === 0, 'it is over');
  await nothingEscaped();
});

hostile('what next has given and nobody reads is ended with the response', async () => {
  const endless = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
      const more = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', more);
      more();
    });
  });
  closers.push(() => endless.close());
  endless.listen(0, '127.0.0.1');
  await once(endless, 'listening');
  const connections = () => new Promise<number>((resolve) => endless.getConnections((_error, open) => resolve(open)));
  const { proxy } = proxyOf(`http://127.0.0.1:${(endless.address() as AddressInfo).port}`, async (_request, next) => {
    await next();
    return new Response('of its own');
  });
  const port = await listening(proxy.fetch);
  const response = await fetch(`http://127.0.0.1:${port}/`);
  assert.is(await response.text(), 'of its own');
  let open = await connections();
  for (let i = 0; i < 200 && open > 0; i++) {
    await ms(10);
    open = await connections();
  }
  assert.is(open, 0);
});

hostile('what waitUntil keeps may read it even then', async () => {
  const up = await origin((_got, response) => void response.end('x'.repeat(300_000)));
  let read = 0;
  const { proxy } = proxyOf(`http://${up.address}`, async (_request, next, context) => {
    const kept = await next();
    context.waitUntil(
      (async () => {
        await ms(100);
        read = (await kept.text()).length;
      })(),
    );
    return new Response('of its own');
  });
  const port = await listening(proxy.fetch);
  assert.is(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'of its own');
  await until(() => read === 300_000, 'it is read');
});

hostile('waitUntil takes what is no promise, too', async () => {
  const { proxy, failures } = proxyOf(undefined, (_request, _next, context) => {
    context.waitUntil(undefined as never);
    context.waitUntil(Promise.reject(new Error('later')));
    return new Response('fine');
  });
  assert.is(await (await askPortable(proxy, '/')).text(), 'fine');
  assert.equal(failures, []);
  await nothingEscaped();
});

hostile('one request given to next twice at a time is refused, and does not end the program', async () => {
  const up = await origin();
  const { proxy } = proxyOf(`http://${up.address}`, async (_request, next) => {
    const [first, second] = await Promise.allSettled([next(), next()]);
    return new Response(`${first.status}, ${second.status}: ${(second as PromiseRejectedResult).reason?.message}`);
  });
  const response = await askPortable(proxy, '/', { method: 'POST', body: 'once' });
  assert.match(await response.text(), /^fulfilled, rejected: next: the body of its request is used up/);
  assert.equal(
    up.got.map(({ body }) => body),
    ['once'],
  );
  await nothingEscaped();
});

for (const options of [
  {},
  { maxBodyBytes: 100 },
  { handler: (_request: Request, next: () => Promise<Response>) => next() },
])
  hostile(`a body that the program has read before, with ${Object.keys(options)}`, async () => {
    const up = await origin();
    const failures: ProxyFailure[] = [];
    const proxy = createProxy({
      routes: [{ id: '*', target: `http://${up.address}`, ...options }],
      hooks: { onFailure: (failure) => void failures.push(failure) },
    });
    const app = new Hono();
    app.use(async (context, next) => {
      await context.req.text();
      await next();
    });
    app.route('/', proxy.app);
    const port = await listening(app.fetch);
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'abc' });
    assert.is(response.headers.get('x-oo-code'), 'OO_INTERNAL');
    assert.match(String(failures[0].cause), /the request body is read already; give the proxy request\.clone\(\)/);
    assert.is(proxy.stats().routes['*'].targets[0].failures, 0);
    await nothingEscaped();
  });

hostile('results that are nearly a Response', async () => {
  const results: [unknown, number][] = [
    [vm.runInNewContext('({ get status() { throw new Error("no") }, [Symbol.toStringTag]: "Response" })'), 502],
    [{ status: 200, headers: new Headers(), body: null, url: '', [Symbol.toStringTag]: 'Response' }, 200],
    [{ [Symbol.toStringTag]: 'Response' }, 502],
  ];
  for (const [result, status] of results) {
    const { proxy } = proxyOf(undefined, () => result as Response);
    const response = await askPortable(proxy, '/');
    assert.instance(response, Response);
    assert.is(response.status, status);
  }
  await nothingEscaped();
});

hostile('hooks that reject', async () => {
  const fail = async () => {
    throw new Error('the log is full');
  };
  const proxy = createProxy({
    routes: [{ id: '*', handler: () => Promise.reject(new Error('no')) }],
    hooks: { onResponse: fail, onFailure: fail, onHealth: fail },
  });
  assert.is((await askPortable(proxy, '/')).status, 502);
  await nothingEscaped();
});

/** What a server sends back to these bytes, up to its first line's end; it may close before. */
async function firstLine(port: number, bytes: string): Promise<string> {
  const client = net.connect(port, '127.0.0.1');
  client.on('error', () => {});
  client.write(bytes);
  let text = '';
  for await (const part of client) {
    text += part;
    if (text.includes('\r\n')) break;
  }
  return text.split('\r\n')[0];
}

hostile('a request that announces trailers is sent without', async () => {
  const up = await origin();
  const { proxy } = proxyOf(`http://${up.address}`);
  const port = await listening(proxy.fetch);
  for (const body of ['\r\n', 'Content-Length: 3\r\n\r\nabc']) {
    const line = await firstLine(port, `POST / HTTP/1.1\r\nHost: a.test\r\nTrailer: x-a\r\n${body}`);
    assert.is(line, 'HTTP/1.1 200 OK');
  }
  assert.equal(
    up.got.map(({ headers }) => headers.trailer),
    [undefined, undefined],
  );
  assert.is(proxy.stats().routes['*'].targets[0].failures, 0);
});

hostile('an upgrade with a body is refused, not sent without it', async () => {
  const up = await origin();
  const { proxy } = proxyOf(`http://${up.address}`);
  const server = serve({ fetch: proxy.fetch, port: 0, hostname: '127.0.0.1' }) as http.Server;
  server.on('upgrade', nodeUpgrade(proxy));
  closers.push(() => void server.close());
  if (!server.listening) await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  for (const body of ['Content-Length: 3\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n']) {
    const head = 'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n';
    assert.is(await firstLine(port, head + body), 'HTTP/1.1 400 Bad Request');
  }
  assert.equal(up.got, []);
});

hostile('a status that is none is a bad response', async () => {
  const raw = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (head) => {
      const [, status] = /^GET \/(\d+)/.exec(head.toString())!;
      socket.end(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`);
    });
  });
  closers.push(() => void raw.close());
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');
  const { proxy } = proxyOf(`http://127.0.0.1:${(raw.address() as AddressInfo).port}`);
  const port = await listening(proxy.fetch);
  for (const status of ['999', '600', '099']) {
    const response = await fetch(`http://127.0.0.1:${port}/${status}`);
    assert.is(response.headers.get('x-oo-code'), 'OO_BAD_RESPONSE', status);
  }
});

hostile('what servers hand over that is not quite a request', async () => {
  const { proxy } = proxyOf('http://10.0.0.1', undefined, { fetch: () => Promise.reject(new Error('sent')) });
  const bodied = { method: 'POST', body: 'abc', headers: { 'content-length': '3, 3' } };
  const twice = await proxy.fetch(new Request('http://a.test/', bodied));
  assert.is(twice.headers.get('x-oo-code'), 'OO_BAD_FRAMING');
  // As Bun has it where Host is `u@a.test`.
  const hostless = Object.defineProperty(new Request('http://a.test/'), 'url', { value: '/x' });
  assert.is((await proxy.fetch(hostless)).headers.get('x-oo-code'), 'OO_BAD_HOST');
  assert.is(proxy.explain(hostless).code, 'OO_BAD_HOST');
  for (const none of ['http://a.test/', {}]) {
    const reason = await proxy.fetch(none as Request).catch((error: Error) => error.message);
    assert.is(reason, 'the proxy was given no Request; expected new Request(url)');
  }
  assert.ok(isRefusedMethod('TRACK'), 'no fetch sends it');
});

const one = [{ id: 'a.test', target: 'http://10.0.0.1' }];
const wrong: [options: unknown, message: RegExp][] = [
  [undefined, /^createProxy got empty; expected \{ routes/],
  [one, /^createProxy got a list; expected \{ routes/],
  [{}, /^createProxy\.routes is empty; expected a list such as \[\{ id/],
  [{ routes: one[0] }, /^createProxy\.routes is a mapping; expected a list/],
  [{ routes: 'a.test' }, /^createProxy\.routes is 'a\.test'; expected a list/],
  [{ routes: [null] }, /^routes\[0\] is empty; expected \{ id, target \}/],
  [
    { routes: [{ ...one[0], acess: { allow: [] } }], options: routeOptions },
    /^route 'a\.test' has the unknown field 'acess'; expected one of/,
  ],
  [{ routes: one, fetch: 5 }, /^createProxy\.fetch is '5'; expected a function/],
  [{ routes: one, clientIp: null }, /^createProxy\.clientIp is empty; expected a function/],
  [{ routes: one, trustedProxies: '10.0.0.0/8' }, /^createProxy\.trustedProxies is '10\.0\.0\.0\/8'; expected a list/],
  [{ routes: one, trustedProxies: [5] }, /^createProxy\.trustedProxies is a list; expected a list of texts/],
  [{ routes: one, hooks: 5 }, /^createProxy\.hooks is '5'; expected a mapping/],
  [{ routes: one, hooks: { onFailure: 5 } }, /^hooks\.onFailure is '5'; expected a function/],
  [{ routes: one, hooks: { onError() {} } }, /^unknown field 'hooks\.onError'; expected one of onResponse/],
  [{ routes: one, handlers: [] }, /^createProxy\.handlers is an empty list; expected functions by name/],
  [{ routes: one, onFailure() {} }, /^unknown field 'createProxy\.onFailure'; expected one of routes/],
  [{ routes: one, now: 1 }, /^createProxy\.now is '1'; expected a function/],
];
hostile('options of another kind are refused, and the message says what is expected', () => {
  for (const [options, message] of wrong) {
    assert.throws(
      () => createProxy(options as ProxyOptions),
      (error: Error) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
  const proxy = createProxy({ routes: one });
  assert.throws(() => proxy.update('a.test' as never), /^routes is 'a\.test'; expected a list/);
  assert.throws(() => proxy.update([undefined as never]), /^routes\[0\] is empty/);
});

hostile.run();
