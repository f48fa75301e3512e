import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type Handler, type ProxyFailure, type ProxyOptions, routeOptions } from '../../src/index.ts';
import { askPortable, closeOrigins, type Init, origin, portable } from '../helpers/portable.ts';

const handlers = suite('handlers of the embedded proxy');
const closers: (() => void)[] = [];
handlers.after.each(() => {
  closeOrigins();
  for (const close of closers.splice(0)) close();
});

type Answer = (request: Request) => Response | Promise<Response>;

/** A proxy of one route with this handler, whose target is a function. */
function around(handler: Handler, answer: Answer = () => new Response('up'), options: Partial<ProxyOptions> = {}) {
  const failures: ProxyFailure[] = [];
  const proxy = createProxy({
    routes: [{ id: 'app.test', target: 'http://up', handler }],
    fetch: (async (url: string, init: RequestInit) => answer(new Request(url, init))) as unknown as typeof fetch,
    hooks: { onFailure: (failure) => void failures.push(failure) },
    ...options,
  });
  const ask = (path = '/', init: Init = {}) => askPortable(proxy, path, init);
  return { proxy, failures, ask };
}

const codeOf = (response: Response) => response.headers.get('x-oo-code');
/** Until aborted. */
const hang = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

handlers('it answers by itself, and is told of the request', async () => {
  let told: unknown;
  const { ask } = around((request, _next, { route, requestId, clientIp, env }) => {
    told = { route, clientIp, hasId: requestId !== '', env, url: request.url };
    return new Response('mine', { status: 418 });
  });
  const response = await ask('/a?b=c');
  assert.is(response.status, 418);
  assert.is(await response.text(), 'mine');
  const env = { incoming: { socket: { remoteAddress: '192.0.2.7' } } };
  assert.equal(told, { route: 'app.test', clientIp: '192.0.2.7', hasId: true, env, url: 'http://app.test/a?b=c' });
});

handlers('next forwards the request as it is, and its response can be changed', async () => {
  const up = await origin();
  const { ask } = around(
    async (request, next) => {
      request.headers.set('x-seen', '1');
      const response = await next();
      response.headers.set('x-by', 'handler');
      response.headers.delete('date');
      return response;
    },
    undefined,
    { fetch: undefined, routes: [] },
  );
  assert.is((await ask()).status, 404);
  const proxy = portable([
    {
      target: up.address,
      handler: async (request, next) => {
        request.headers.set('x-seen', '1');
        const response = await next();
        response.headers.set('x-by', 'handler');
        return response;
      },
    },
  ]);
  const response = await askPortable(proxy, '/a?b', {
    method: 'POST',
    body: 'text',
    headers: { 'content-length': '4' },
  });
  assert.is(response.headers.get('x-by'), 'handler');
  assert.is(await response.text(), 'POST /a?b 4');
  const { headers, body } = up.got[0];
  assert.is(body, 'text');
  assert.is(headers['x-seen'], '1');
  assert.is(headers['content-length'], '4');
  assert.is(headers['x-forwarded-for'], '192.0.2.7');
});

handlers(
  'a request of its own goes on: path, query, method, fields and body; scheme and host stay the client’s',
  async () => {
    const up = await origin();
    const proxy = portable([
      {
        target: up.address,
        handler: async (request, next) => {
          const text = (await request.text()).toUpperCase();
          const headers = new Headers(request.headers);
          headers.set('x-own', 'yes');
          return next(new Request('https://elsewhere.test/other?q=1', { method: 'PUT', body: text, headers }));
        },
      },
    ]);
    const init = { method: 'POST', body: 'four', headers: { 'content-length': '4' } };
    assert.is(await (await askPortable(proxy, '/a', init)).text(), 'PUT /other?q=1 4');
    const { headers, body } = up.got[0];
    assert.is(body, 'FOUR');
    assert.is(headers['x-own'], 'yes');
    assert.is(headers['x-forwarded-host'], 'app.test');
    assert.is(headers['x-forwarded-proto'], 'http');
  },
);

handlers('a body of another length than the client has said arrives whole', async () => {
  const up = await origin();
  const proxy = portable([
    {
      target: up.address,
      handler: async (request, next) => next(new Request(request, { body: `${await request.text()} and more` })),
    },
  ]);
  const init = { method: 'POST', body: 'four', headers: { 'content-length': '4' } };
  assert.is((await askPortable(proxy, '/', init)).status, 200);
  assert.is(up.got[0].body, 'four and more');
});

handlers('guards come before it, and what they refuse it never sees', async () => {
  let asked = 0;
  const handler: Handler = () => {
    asked++;
    return new Response('in');
  };
  const proxy = portable([{ target: 'h:1', handler, access: { allow: ['10.0.0.1'] } }]);
  assert.is((await askPortable(proxy, '/')).status, 403);
  assert.is(asked, 0);
  assert.is(await (await askPortable(proxy, '/', { from: '10.0.0.1' })).text(), 'in');
});

handlers('response options are for what it answers, request options for what next sends', async () => {
  const up = await origin();
  const paths: string[] = [];
  const proxy = portable([
    {
      id: 'app.test/api',
      target: up.address,
      stripPrefix: '/api',
      requestHeaders: { set: { 'x-route': 'yes' } },
      responseHeaders: { set: { 'x-answer': 'yes' } },
      handler: async (request, next) => {
        paths.push(`${new URL(request.url).pathname} ${request.headers.get('x-route')}`);
        if (request.url.endsWith('/own')) return Response.redirect('http://app.test/x', 302);
        const response = await next();
        assert.is(response.headers.get('x-answer'), null);
        return response;
      },
    },
  ]);
  const forwarded = await askPortable(proxy, '/api/a');
  assert.is(await forwarded.text(), 'GET /a 0');
  assert.is(forwarded.headers.get('x-answer'), 'yes');
  assert.is(up.got[0].headers['x-route'], 'yes');
  const own = await askPortable(proxy, '/api/own');
  assert.is(own.status, 302);
  assert.is(own.headers.get('x-answer'), 'yes');
  assert.equal(paths, ['/api/a null', '/api/own null']);
});

handlers('what it throws, rejects with, or returns that is no response is 502, with its cause', async () => {
  const used = async () => {
    const response = new Response('used');
    await response.text();
    return response;
  };
  const cases: [string, () => unknown, RegExp][] = [
    [
      'throws',
      () => {
        throw new Error('boom');
      },
      /boom/,
    ],
    ['rejects', () => Promise.reject(new Error('later')), /later/],
    ['nothing', () => undefined, /returned nothing; expected a Response/],
    ['a text', () => 'text', /returned \[object String\]/],
    ['an error', () => Response.error(), /Response\.error/],
    ['used up', used, /used up/],
  ];
  for (const [name, handler, expected] of cases) {
    const { ask, failures } = around(handler as Handler);
    const response = await ask();
    assert.is(response.status, 502, name);
    assert.is(codeOf(response), 'OO_HANDLER_FAILED', name);
    assert.is(failures.length, 1, name);
    assert.match(String(failures[0].cause), expected, name);
    assert.is(typeof failures[0].route?.handler, 'function');
  }
});

handlers('other routes notice nothing of one that throws or hangs', async () => {
  const up = await origin();
  const proxy = portable([
    {
      id: 'bad.test',
      target: up.address,
      handler: () => {
        throw new Error('bad');
      },
    },
    { id: 'slow.test', target: up.address, handler: ({ signal }) => hang(signal) },
    { id: 'app.test', target: up.address },
  ]);
  const leaving = new AbortController();
  const slow = askPortable(proxy, 'http://slow.test/', { signal: leaving.signal });
  const answers = await Promise.all([askPortable(proxy, 'http://bad.test/'), askPortable(proxy, '/')]);
  assert.equal(
    answers.map(({ status }) => status),
    [502, 200],
  );
  leaving.abort();
  assert.is((await slow).status, 499);
});

handlers('its own time is limited: 504, and what comes later is thrown away', async () => {
  let cancelled = false;
  let aborted = false;
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const late = new Response(
    new ReadableStream({
      cancel() {
        cancelled = true;
      },
    }),
  );
  const handler: Handler = async (request) => {
    request.signal.addEventListener('abort', () => {
      aborted = true;
    });
    await released;
    return late;
  };
  const { ask, failures } = around(handler, undefined, {
    routes: [{ id: 'app.test', target: 'http://up', handler: { file: 'slow', timeoutMs: 20 } }],
    handlers: { slow: handler },
  });
  const response = await ask();
  assert.is(response.status, 504);
  assert.is(codeOf(response), 'OO_HANDLER_TIMEOUT');
  assert.is((failures[0].cause as Error).name, 'TimeoutError');
  assert.ok(aborted);
  release();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(cancelled);
});

handlers('what next takes is not its own time', async () => {
  const handler: Handler = (_request, next) => next();
  const slow = async () => {
    await new Promise((resolve) => setTimeout(resolve, 120));
    return new Response('slow');
  };
  const { ask } = around(handler, slow, {
    routes: [{ id: 'app.test', target: 'http://up', handler: { file: 'quick', timeoutMs: 40 } }],
    handlers: { quick: handler },
  });
  assert.is(await (await ask()).text(), 'slow');
});

handlers('its own time goes on when next is back', async () => {
  const seen: string[] = [];
  const handler: Handler = async (_request, next) => {
    seen.push(await (await next()).text());
    return new Promise<never>(() => {});
  };
  const { ask } = around(handler, undefined, {
    routes: [{ id: 'app.test', target: 'http://up', handler: { file: 'never', timeoutMs: 20 } }],
    handlers: { never: handler },
  });
  assert.is(codeOf(await ask()), 'OO_HANDLER_TIMEOUT');
  assert.equal(seen, ['up']);
});

handlers('a next that comes after its time rejects, and sends nothing', async () => {
  let sent = 0;
  let late: Promise<unknown> = Promise.resolve();
  const handler: Handler = (request, next) =>
    new Promise((_, reject) => {
      request.signal.addEventListener('abort', () => {
        late = next().catch((error) => error);
        reject(new Error('too late'));
      });
    });
  const up = () => {
    sent++;
    return new Response('up');
  };
  const { ask, failures } = around(handler, up, {
    routes: [{ id: 'app.test', target: 'http://up', handler: { file: 'late', timeoutMs: 10 } }],
    handlers: { late: handler },
  });
  assert.is((await ask()).status, 504);
  assert.is(((await late) as Error).name, 'TimeoutError');
  assert.is(sent, 0);
  assert.is(failures.length, 1);
});

handlers('next resolves to the answers of failures, and without a target to one as well', async () => {
  const seen: (string | null)[] = [];
  const handler: Handler = async (_request, next) => {
    const response = await next();
    seen.push(codeOf(response));
    return new Response('instead', { status: 200 });
  };
  const down = around(handler, () => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) });
  });
  assert.is(await (await down.ask()).text(), 'instead');
  const none = portable([{ handler }]);
  assert.is((await askPortable(none, '/')).status, 200);
  assert.equal(seen, ['OO_CONNECT_FAILED', 'OO_NO_INSTANCE']);
});

handlers('a second next with a body that is used up rejects', async () => {
  let said: unknown;
  const { ask } = around(
    async (_request, next) => {
      const first = await next();
      await next().catch((error) => {
        said = error;
      });
      return first;
    },
    async (request) => new Response(await request.text()),
  );
  assert.is((await ask('/', { method: 'POST', body: 'once' })).status, 200);
  assert.instance(said, TypeError);
  assert.match((said as Error).message, /used up/);
});

handlers('next tries again elsewhere, as without a handler', async () => {
  const asked: string[] = [];
  const proxy = createProxy({
    routes: [{ id: 'app.test', target: ['http://a', 'http://b'], handler: (_request, next) => next() }],
    fetch: (async (url: string) => {
      const { host } = new URL(url);
      asked.push(host);
      if (asked.length === 1) throw Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
      return new Response(host);
    }) as unknown as typeof fetch,
  });
  assert.is((await askPortable(proxy, '/')).status, 200);
  assert.is(new Set(asked).size, 2);
});

handlers('a client that leaves is told to the handler, and to what next sends', async () => {
  const told: string[] = [];
  const up = (request: Request) => {
    request.signal.addEventListener('abort', () => told.push('fetch'));
    queueMicrotask(() => leaving.abort());
    return hang(request.signal);
  };
  const { ask, failures } = around(async (request, next) => {
    request.signal.addEventListener('abort', () => told.push('handler'));
    return next();
  }, up);
  const leaving = new AbortController();
  assert.is((await ask('/', { signal: leaving.signal })).status, 499);
  assert.equal(told.sort(), ['fetch', 'handler']);
  assert.equal(failures, []);
});

handlers('the body that it reads is limited as that of an upstream', async () => {
  const body = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('twelve bytes'));
        controller.close();
      },
    });
  const read: Handler = async (request) => new Response(await request.text());
  const pass: Handler = (_request, next) => next();
  for (const handler of [read, pass]) {
    const routes = [{ id: 'app.test', target: 'http://up', handler, maxBodyBytes: 10 }];
    const { ask, failures } = around(handler, async (request) => new Response(await request.text()), { routes });
    const response = await ask('/', { method: 'POST', body: body(), duplex: 'half' });
    assert.is(codeOf(response), 'OO_BODY_TOO_LARGE');
    assert.equal(failures, []);
  }
});

handlers('what it fetches by itself goes on as it was decoded', async () => {
  const { gzipSync } = await import('node:zlib');
  const up = await origin((_got, response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync('plain'));
  });
  const { ask } = around(() => fetch(`http://${up.address}/`));
  const response = await ask();
  assert.is(response.headers.get('content-encoding'), null);
  assert.is(await response.text(), 'plain');
});

handlers('a response to HEAD has no body', async () => {
  const { ask } = around(() => new Response('body', { headers: { 'x-a': '1' } }));
  const response = await ask('/', { method: 'HEAD' });
  assert.is(response.body, null);
  assert.is(response.headers.get('x-a'), '1');
});

handlers('waitUntil is the runtime’s; without one, what fails ends nothing', async () => {
  const kept: Promise<unknown>[] = [];
  const { proxy } = around((_request, _next, context) => {
    context.waitUntil(Promise.reject(new Error('later')));
    return new Response('ok');
  });
  const request = () => new Request('http://app.test/');
  await proxy.fetch(
    request(),
    {},
    { waitUntil: (promise: Promise<unknown>) => void kept.push(promise.catch(() => {})) },
  );
  assert.is(kept.length, 1);
  assert.is((await proxy.fetch(request())).status, 200);
  assert.is((await proxy.app.fetch(request())).status, 200);
});

handlers('names are looked up; what is not there is refused when the proxy is made', async () => {
  const mine: Handler = () => new Response('mine');
  const route = { id: 'app.test', target: 'h:1' };
  const named = createProxy({ routes: [{ ...route, handler: './mine.mjs' }], handlers: { './mine.mjs': mine } });
  assert.is(await (await askPortable(named, '/')).text(), 'mine');
  const cases: [Partial<ProxyOptions>, RegExp][] = [
    [
      { routes: [{ ...route, handler: './x.mjs' }] },
      /'app\.test' has the handler '\.\/x\.mjs', which is not in handlers \(createProxy has none\)/,
    ],
    [{ routes: [{ ...route, handler: 'toString' }], handlers: { mine } }, /not in handlers \(there are mine\)/],
    [{ routes: [{ ...route, handler: { source: 'export default 1' } }] }, /source alone, which oo serve runs/],
    [{ routes: [{ ...route, handler: 5 as never }] }, /handler is '5'; expected a file/],
    [{ routes: [{ ...route, handler: {} }] }, /neither file nor source/],
    [
      { routes: [{ ...route, handler: 'x' }], handlers: { x: 'y' as never } },
      /'x', which is 'y' in handlers; expected a function/,
    ],
    [
      { routes: [{ ...route, handler: mine, respond: 'x' }], options: routeOptions },
      /handler is given, and respond as well/,
    ],
  ];
  for (const [options, expected] of cases)
    assert.throws(
      () => createProxy(options as ProxyOptions),
      (error: Error) => error instanceof TypeError && Array.isArray(error.cause) && expected.test(error.message),
    );
});

handlers('an update brings another handler, and takes it away', async () => {
  const route = { id: 'app.test', target: 'http://up' };
  const { proxy, ask } = around(() => new Response('one'));
  proxy.update([{ ...route, handler: () => new Response('two') }]);
  assert.is(await (await ask()).text(), 'two');
  proxy.update([route]);
  assert.is(await (await ask()).text(), 'up');
});

handlers('over a real server, a body streams through it both ways', async () => {
  const up = await origin((got, response) => void response.end(`${got.body.length} ${got.headers.host}`));
  const proxy = createProxy({
    routes: [{ id: '*', target: up.address, handler: async (_request, next) => next() }],
  });
  const server = serve({ fetch: (request, env) => proxy.fetch(request, env), port: 0, hostname: '127.0.0.1' });
  closers.push(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const text = await new Promise<string>((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
      let all = '';
      response.on('data', (chunk) => {
        all += chunk;
      });
      response.on('end', () => resolve(all));
    });
    request.on('error', reject);
    request.write('x'.repeat(100_000));
    setTimeout(() => request.end('y'.repeat(100_000)), 5);
  });
  assert.is(text.split(' ')[0], '200000');
});

handlers.run();
