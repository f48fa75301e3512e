import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type ProxyApp, type ProxyFailure, type ProxyOptions } from '../../src/index.ts';

const proxying = suite('proxy');
const waitMs = 5000;
const closers: (() => void)[] = [];
proxying.after.each(() => {
  for (const close of closers.splice(0)) close();
});

/** An origin on loopback. @returns its address, as a target says it */
async function origin(answer: http.RequestListener): Promise<string> {
  const server = http.createServer(answer).listen(0, '127.0.0.1');
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An origin that is only bytes: `answer` gets the socket and the number of the connection, from 1, once a request's head is there. */
async function rawOrigin(answer: (socket: net.Socket, head: string, connection: number) => void): Promise<string> {
  let connections = 0;
  const server = net.createServer((socket) => {
    const connection = ++connections;
    closers.push(() => socket.destroy());
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end === -1) return;
      const head = text.slice(0, end);
      text = text.slice(end + 4);
      answer(socket, head, connection);
    });
  });
  server.listen(0, '127.0.0.1');
  closers.push(() => server.close());
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function proxyTo(target: string, options: Partial<ProxyOptions> = {}): ProxyApp {
  return createProxy({ routes: [{ id: 'app.test', target }], ...options });
}

function request(path: string, init: RequestInit & { duplex?: 'half' } = {}): Request {
  return new Request(`http://app.test${path}`, { signal: AbortSignal.timeout(waitMs), ...init });
}

/** What the origin got: the request line's parts and the fields, names in lower case. */
function echo(): http.RequestListener {
  return (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const { method, url, headers, rawHeaders } = req;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() }));
    });
  };
}

interface Echo {
  method: string;
  url: string;
  headers: Record<string, string>;
  rawHeaders: string[];
  body: string;
}

async function echoed(proxy: ProxyApp, sent: Request, env?: unknown): Promise<Echo> {
  const response = await proxy.fetch(sent, env);
  assert.is(response.status, 200, await response.clone().text());
  return (await response.json()) as Echo;
}

const from = (address: string) => ({ incoming: { socket: { remoteAddress: address } } });

proxying('method, path, query and body arrive as they were sent', async () => {
  const proxy = proxyTo(await origin(echo()));
  const got = await echoed(proxy, request('/a%2Fb;x//c?q=%20&q=2', { method: 'PATCH', body: 'hello' }));
  assert.equal([got.method, got.url, got.body], ['PATCH', '/a%2Fb;x//c?q=%20&q=2', 'hello']);
});

proxying('the prefix is kept, and a target’s own path is put before it', async () => {
  const address = await origin(echo());
  const routes = [
    { id: 'app.test', target: `http://${address}/base/` },
    { id: 'app.test/api', target: address },
  ];
  const proxy = createProxy({ routes });
  assert.is((await echoed(proxy, request('/x?y'))).url, '/base/x?y');
  assert.is((await echoed(proxy, request('/'))).url, '/base/');
  assert.is((await echoed(proxy, request('/api/x'))).url, '/api/x');
});

proxying('a streamed upload keeps its length, or has none', async () => {
  const proxy = proxyTo(await origin(echo()));
  const stream = () => new Blob(['0123456789']).stream();
  const known = await echoed(
    proxy,
    request('/', { method: 'POST', body: stream(), duplex: 'half', headers: { 'content-length': '10' } }),
  );
  assert.equal(
    [known.headers['content-length'], known.headers['transfer-encoding'], known.body],
    ['10', undefined, '0123456789'],
  );
  const unknown = await echoed(proxy, request('/', { method: 'POST', body: stream(), duplex: 'half' }));
  assert.equal([unknown.headers['content-length'], unknown.headers['transfer-encoding']], [undefined, 'chunked']);
});

proxying(
  'the client’s address, scheme, host and port are told; what a stranger says of them is not (attack 24)',
  async () => {
    const proxy = proxyTo(await origin(echo()), { trustedProxies: ['10.0.0.0/8'] });
    const claims = {
      'x-forwarded-for': '1.1.1.1',
      'x-forwarded-proto': 'https',
      'X-Forwarded-Host': 'evil.test',
      'x-forwarded-server': 'evil',
      'x-real-ip': '1.1.1.1',
      forwarded: 'for=1.1.1.1',
    };
    const { headers } = await echoed(proxy, request('/', { headers: claims }), from('::ffff:192.0.2.7'));
    assert.is(headers['x-forwarded-for'], '192.0.2.7');
    assert.is(headers['x-forwarded-proto'], 'http');
    assert.is(headers['x-forwarded-host'], 'app.test');
    assert.is(headers['x-forwarded-port'], '80');
    assert.is(headers['x-real-ip'], '192.0.2.7');
    assert.is(headers.via, '1.1 oo');
    assert.equal([headers['x-forwarded-server'], headers.forwarded], [undefined, undefined]);

    const trusted = (await echoed(proxy, request('/', { headers: claims }), from('10.9.9.9'))).headers;
    assert.is(trusted['x-forwarded-for'], '1.1.1.1, 10.9.9.9');
    assert.equal(
      [trusted['x-forwarded-proto'], trusted['x-forwarded-host'], trusted['x-forwarded-port']],
      ['https', 'evil.test', '443'],
    );
    assert.is(trusted['x-real-ip'], '1.1.1.1');
  },
);

proxying('the peer’s address comes from where Deno, Bun or the caller put it; unknown, it is left out', async () => {
  const address = await origin(echo());
  const seen = async (proxy: ProxyApp, env?: unknown) =>
    (await echoed(proxy, request('/'), env)).headers['x-forwarded-for'];
  assert.is(await seen(proxyTo(address), { remoteAddr: { hostname: '192.0.2.1' } }), '192.0.2.1');
  assert.is(await seen(proxyTo(address), { requestIP: () => ({ address: '192.0.2.2' }) }), '192.0.2.2');
  assert.is(await seen(proxyTo(address, { clientIp: () => '192.0.2.3' })), '192.0.2.3');
  assert.is(await seen(proxyTo(address)), undefined);
});

proxying('an existing Via is added to', async () => {
  const { headers } = await echoed(proxyTo(await origin(echo())), request('/', { headers: { via: '1.0 before' } }));
  assert.is(headers.via, '1.0 before, 1.1 oo');
});

proxying('hop-by-hop fields and those that Connection names end here, both ways (attacks 23, 26)', async () => {
  const address = await rawOrigin((socket, head) => {
    const body = JSON.stringify(head);
    const fields = [
      'Connection: close, X-Private',
      'X-Private: 1',
      'Keep-Alive: timeout=5',
      'Proxy-Authenticate: x',
      'Upgrade: h2c',
      'X-Public: 1',
    ];
    socket.end(`HTTP/1.1 200 OK\r\n${fields.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  const headers = {
    connection: 'X-Named, x-forwarded-for, HOST, content-length',
    'x-named': '1',
    te: 'trailers',
    'keep-alive': '5',
    'proxy-authorization': 'Basic x',
    'proxy-connection': 'x',
    proxy: 'http://evil',
    upgrade: 'h2c',
    'http2-settings': 'x',
    'content-length': '1',
    expect: '100-continue',
    x_auth_user: 'root',
    'x-kept': '1',
  };
  const response = await proxyTo(address).fetch(
    request('/', { method: 'POST', body: 'x', headers }),
    from('192.0.2.7'),
  );
  const head = ((await response.json()) as string).toLowerCase();
  for (const name of [
    'x-named',
    'te',
    'keep-alive',
    'proxy-authorization',
    'proxy-connection',
    'proxy',
    'upgrade',
    'http2-settings',
    'expect',
    'x_auth_user',
  ])
    assert.not.match(head, new RegExp(`\r\n${name}:`), name);
  for (const line of [
    'x-kept: 1',
    'x-forwarded-for: 192.0.2.7',
    'x-forwarded-host: app.test',
    'content-length: 1',
    'host: app.test',
  ])
    assert.ok(head.includes(`\r\n${line}`), line);
  for (const name of ['connection', 'x-private', 'keep-alive', 'proxy-authenticate', 'upgrade'])
    assert.is(response.headers.get(name), null, name);
  assert.is(response.headers.get('x-public'), '1');
});

proxying('a body that the runtime has decoded is not called encoded', async () => {
  const text = 'hello '.repeat(100);
  const codings: Record<string, (data: string) => Buffer> = {
    gzip: zlib.gzipSync,
    deflate: zlib.deflateSync,
    br: zlib.brotliCompressSync,
    zstd: zlib.zstdCompressSync,
  };
  const asked: (string | undefined)[] = [];
  const address = await origin((req, res) => {
    asked.push(req.headers['accept-encoding'] as string);
    const coding = req.url!.slice(1);
    const body = codings[coding]?.(text) ?? Buffer.from(text);
    res.writeHead(200, { 'content-encoding': coding, 'content-length': body.length }).end(body);
  });
  // Node's own fetch decodes; what goes by default does not.
  const proxy = proxyTo(address, { fetch: (input, init) => fetch(input, init) });
  for (const coding of Object.keys(codings)) {
    const response = await proxy.fetch(request(`/${coding}`, { headers: { 'accept-encoding': 'gzip, br' } }));
    assert.equal(
      [response.headers.get('content-encoding'), response.headers.get('content-length')],
      [null, null],
      coding,
    );
    assert.is(await response.text(), text, coding);
  }
  assert.equal(new Set(asked), new Set(['identity']), 'nothing is encoded only to be decoded here');
  const unknown = await proxy.fetch(request('/exotic'));
  assert.equal(
    [unknown.headers.get('content-encoding'), unknown.headers.get('content-length')],
    ['exotic', String(text.length)],
  );
});

proxying(
  'status, reason, cookies one by one, redirects unfollowed, HEAD with its length, 204 and 304 without a body',
  async () => {
    const address = await origin((req, res) => {
      if (req.url === '/cookies') res.setHeader('set-cookie', ['a=1, x', 'b=2']);
      if (req.url === '/to') res.writeHead(302, { location: '/elsewhere' });
      if (req.url === '/odd') res.writeHead(299, 'Very Odd');
      if (req.url === '/head') res.setHeader('content-length', 1234);
      if (req.url === '/204') res.writeHead(204);
      if (req.url === '/304') res.writeHead(304, { etag: '"x"' });
      res.end();
    });
    const proxy = proxyTo(address);
    assert.equal((await proxy.fetch(request('/cookies'))).headers.getSetCookie(), ['a=1, x', 'b=2']);
    const to = await proxy.fetch(request('/to'));
    assert.equal([to.status, to.headers.get('location')], [302, '/elsewhere']);
    const odd = await proxy.fetch(request('/odd'));
    assert.equal([odd.status, odd.statusText], [299, 'Very Odd']);
    const head = await proxy.fetch(request('/head', { method: 'HEAD' }));
    assert.equal([head.headers.get('content-length'), await head.text()], ['1234', '']);
    assert.is((await proxy.fetch(request('/204'))).status, 204);
    const notModified = await proxy.fetch(request('/304'));
    assert.equal([notModified.status, notModified.headers.get('etag')], [304, '"x"']);
  },
);

proxying('each event at once: the response is not held back', async () => {
  let go = () => {};
  const address = await origin((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write('data: 1\n\n');
    go = () => res.end('data: 2\n\n');
  });
  const response = await proxyTo(address).fetch(request('/'));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.is((await reader.read()).value, 'data: 1\n\n');
  go();
  assert.is((await reader.read()).value, 'data: 2\n\n');
  assert.ok((await reader.read()).done);
});

proxying('an upload is sent on while it arrives', async () => {
  const address = await origin((req, res) => {
    res.writeHead(200);
    req.on('data', (chunk) => res.write(chunk));
    req.on('end', () => res.end());
  });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const answer = proxyTo(address).fetch(request('/', { method: 'POST', body: readable, duplex: 'half' }));
  await writer.write(new TextEncoder().encode('one'));
  const reader = (await answer).body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.is((await reader.read()).value, 'one');
  await writer.write(new TextEncoder().encode('two'));
  assert.is((await reader.read()).value, 'two');
  await writer.close();
  assert.ok((await reader.read()).done);
});

proxying('a client that leaves aborts the upstream, before the head and in the body', async () => {
  for (const early of [true, false]) {
    let left = () => {};
    const gone = new Promise<void>((resolve) => {
      left = resolve;
    });
    let arrived = () => {};
    const there = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const address = await origin((_req, res) => {
      res.on('close', () => left());
      if (!early) res.write('x');
      arrived();
    });
    const client = new AbortController();
    const failures: ProxyFailure[] = [];
    const proxy = proxyTo(address, { hooks: { onFailure: (failure) => failures.push(failure) } });
    const answer = proxy.fetch(request('/', { signal: client.signal }));
    await there;
    const response = early ? undefined : await answer;
    client.abort();
    await within(gone, 'the origin to see the connection end');
    if (early) assert.is((await answer).status, 499);
    else
      assert.is(
        await response!.text().then(
          () => 'ended',
          () => 'aborted',
        ),
        'aborted',
      );
    assert.equal(failures, [], 'a client that leaves is no failure');
  }
});

const answers: [name: string, url: string, init: RequestInit, status: number, code: string][] = [
  ['an unknown host', 'http://other.test/x', {}, 404, 'OO_NO_ROUTE'],
  ['a path of two readings', 'http://app.test/api%2Fx', {}, 400, 'OO_BAD_PATH'],
  ['a path with NUL', 'http://app.test/%00', {}, 400, 'OO_BAD_PATH'],
  ['a numeric path trick in the host', 'http://app.test:81/%c0%af', {}, 400, 'OO_BAD_PATH'],
];
for (const [name, url, init, status, code] of answers) {
  proxying(`${name} is ${status} ${code}, and nothing is sent`, async () => {
    let requests = 0;
    const address = await origin((_req, res) => {
      requests++;
      res.end();
    });
    const routes = [
      { id: 'app.test', target: address },
      { id: 'app.test/api', target: address },
    ];
    const response = await createProxy({ routes }).fetch(new Request(url, init));
    assert.equal([response.status, response.headers.get('x-oo-code')], [status, code]);
    assert.ok((await response.text()).includes(response.headers.get('x-request-id')!));
    assert.is(response.headers.get('cache-control'), 'no-store');
    assert.is(requests, 0);
  });
}

proxying(
  'dot segments are gone before a Request exists: what is matched is what is forwarded (attack 19)',
  async () => {
    const address = await origin(echo());
    const routes = [
      { id: 'app.test', target: `${address}/base` },
      { id: 'app.test/admin', target: `${address}/secret` },
    ];
    const proxy = createProxy({ routes });
    assert.is((await echoed(proxy, request('/x/../../y'))).url, '/base/y');
    assert.is((await echoed(proxy, request('/x/%2e%2e/admin'))).url, '/secret/admin');
  },
);

proxying('CONNECT and TRACE are 405', async () => {
  const sent = request('/');
  Object.defineProperty(sent, 'method', { value: 'TRACE' });
  const response = await proxyTo('127.0.0.1:1').fetch(sent);
  assert.equal([response.status, response.headers.has('allow')], [405, true]);
});

proxying('a body in GET, which fetch cannot send, is refused', async () => {
  const response = await proxyTo('127.0.0.1:1').fetch(request('/', { headers: { 'content-length': '5' } }));
  assert.equal([response.status, response.headers.get('x-oo-code')], [400, 'OO_BAD_FRAMING']);
});

proxying('an upstream that is down is 502, told with its cause, and never named to the client', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const failures: ProxyFailure[] = [];
  const proxy = proxyTo(`127.0.0.1:${port}`, {
    hooks: { onFailure: (failure) => failures.push(failure) },
    now: () => 36 ** 7,
    random: () => 0,
  });
  for (const accept of ['', 'text/html', 'application/json']) {
    const response = await proxy.fetch(request('/', { headers: { accept } }));
    const text = JSON.stringify([...response.headers]) + (await response.text());
    assert.equal([response.status, response.headers.get('x-oo-code')], [502, 'OO_CONNECT_FAILED']);
    assert.not.match(text, new RegExp(`${port}|127\\.0\\.0\\.1|ECONNREFUSED`));
    assert.is(response.headers.get('x-request-id'), '1000000000000000');
  }
  assert.is(failures.length, 3);
  assert.equal(
    [failures[0].code, failures[0].requestId, failures[0].route?.id],
    ['OO_CONNECT_FAILED', '1000000000000000', 'app.test'],
  );
  assert.is((failures[0].cause as { code: string }).code, 'ECONNREFUSED');
});

proxying('ports that fetch never connects to are a 502, not a crash', async () => {
  const response = await proxyTo('127.0.0.1:1').fetch(request('/'));
  assert.equal([response.status, response.headers.get('x-oo-code')], [502, 'OO_CONNECT_FAILED']);
});

proxying('a GET whose connection died is repeated, a POST and a third failure are not', async () => {
  let heads = 0;
  const address = await rawOrigin((socket, head) => {
    heads++;
    if (head.includes('/never') || heads === 1) socket.destroy();
    else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
  });
  const proxy = proxyTo(address);
  const get = await proxy.fetch(request('/'));
  assert.equal([get.status, await get.text(), heads], [200, 'ok', 2]);
  heads = 0;
  const post = await proxy.fetch(request('/', { method: 'POST', body: 'x' }));
  assert.equal([post.status, post.headers.get('x-oo-code'), heads], [502, 'OO_UPSTREAM_CLOSED', 1]);
  heads = 0;
  const never = await proxy.fetch(request('/never'));
  assert.equal([never.status, heads], [502, 3]);
});

proxying('nothing sent: what can be repeated is, with its body', async () => {
  let calls = 0;
  const refused = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
  const flaky: typeof fetch = async (_url, init) => {
    if (++calls < 3) throw refused;
    return new Response(await new Response(init?.body).text());
  };
  const response = await proxyTo('up.test', { fetch: flaky }).fetch(request('/', { method: 'POST', body: 'body' }));
  assert.equal([response.status, await response.text(), calls], [200, 'body', 3]);
});

proxying('nothing sent, but the body is gone: it is not repeated', async () => {
  let calls = 0;
  const eating: typeof fetch = async (_url, init) => {
    calls++;
    await new Response(init?.body).text();
    throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
  };
  const response = await proxyTo('up.test', { fetch: eating }).fetch(request('/', { method: 'POST', body: 'body' }));
  assert.equal([response.status, response.headers.get('x-oo-code'), calls], [502, 'OO_CONNECT_FAILED', 1]);
});

proxying('a body over maxBodyBytes is 413, by its length or on its way', async () => {
  let received = 0;
  const address = await origin((req, res) => {
    req.on('data', (chunk) => {
      received += chunk.length;
    });
    req.on('end', () => res.end('took it'));
  });
  const proxy = createProxy({ routes: [{ id: 'app.test', target: address, maxBodyBytes: 10 }] });
  const by = await proxy.fetch(
    request('/', { method: 'POST', body: 'x'.repeat(11), headers: { 'content-length': '11' } }),
  );
  assert.equal([by.status, received], [413, 0]);
  const streamed = await proxy.fetch(
    request('/', { method: 'POST', body: new Blob(['x'.repeat(11)]).stream(), duplex: 'half' }),
  );
  assert.equal([streamed.status, streamed.headers.get('x-oo-code')], [413, 'OO_BODY_TOO_LARGE']);
  assert.ok(received <= 10, `${received} bytes went up`);
  const fits = await proxy.fetch(
    request('/', { method: 'POST', body: new Blob(['x'.repeat(10)]).stream(), duplex: 'half' }),
  );
  assert.is(await fits.text(), 'took it');
});

proxying('an upstream that does not answer in time is 504, and is let go', async () => {
  let left = () => {};
  const gone = new Promise<void>((resolve) => {
    left = resolve;
  });
  const address = await origin((_req, res) => {
    res.on('close', () => left());
  });
  const proxy = createProxy({ routes: [{ id: 'app.test', target: address, responseTimeoutMs: 50 }] });
  const response = await proxy.fetch(request('/'));
  assert.equal([response.status, response.headers.get('x-oo-code')], [504, 'OO_UPSTREAM_TIMEOUT']);
  await within(gone, 'the origin to see the connection end');
});

proxying('the time-out ends with the head: a slow body is not cut', async () => {
  const address = await origin((_req, res) => {
    res.write('a');
    setTimeout(() => res.end('b'), 150);
  });
  const proxy = createProxy({ routes: [{ id: 'app.test', target: address, responseTimeoutMs: 75 }] });
  assert.is(await (await proxy.fetch(request('/'))).text(), 'ab');
});

proxying('garbage from an upstream is 502', async () => {
  for (const bytes of [
    'nonsense\r\n\r\n',
    'HTTP/1.1 99 Low\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX Y: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  ]) {
    const address = await rawOrigin((socket) => socket.end(bytes));
    const response = await proxyTo(address).fetch(request('/', { method: 'POST' }));
    assert.is(response.status, 502, JSON.stringify(bytes));
  }
});

proxying('a body that ends short is never a clean end', async () => {
  const address = await rawOrigin((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'));
  const response = await proxyTo(address).fetch(request('/'));
  assert.is(response.status, 200);
  assert.is(
    await response.text().then(
      () => 'ended',
      () => 'failed',
    ),
    'failed',
  );
});

proxying('update: at once for new requests, nothing for those under way', async () => {
  let go = () => {};
  const slow = await origin((_req, res) => {
    res.write('old ');
    go = () => res.end('end');
  });
  const quick = await origin((_req, res) => res.end('new'));
  const proxy = proxyTo(slow);
  const running = await proxy.fetch(request('/'));
  proxy.update([{ id: 'app.test', target: quick }]);
  assert.is(await (await proxy.fetch(request('/'))).text(), 'new');
  go();
  assert.is(await running.text(), 'old end');
});

proxying('routes that are refused are named, and change nothing', async () => {
  const good = await origin((_req, res) => res.end('still'));
  const proxy = proxyTo(good);
  assert.throws(
    () =>
      proxy.update([
        { id: 'b.test', target: good },
        { id: 'a..b', target: 'ftp://x' },
      ]),
    (error: Error) =>
      /a\.\.b/.test(error.message) && /ftp/.test(error.message) && (error.cause as unknown[]).length === 2,
  );
  assert.is(await (await proxy.fetch(request('/'))).text(), 'still');
  assert.is((await proxy.fetch(new Request('http://b.test/'))).status, 404);
  assert.throws(
    () => proxy.update([{ id: 'grpc.test', target: 'h2c://10.0.0.1:50051' }]),
    /grpc\.test.*can't speak h2c/,
  );
  assert.throws(() => createProxy({ routes: [{ id: '', target: 'x' }] }), /expected a host/);
  assert.throws(() => createProxy({ routes: [], trustedProxies: ['10.0.0.0/99'] }), /expected one such as/);
});

proxying('hostHeader: what is asked of fetch', async () => {
  const hosts: (string | null)[] = [];
  const recording: typeof fetch = async (_url, init) => {
    hosts.push(new Headers(init?.headers).get('host'));
    return new Response('');
  };
  const routes = [
    { id: 'app.test', target: 'up.test:3000' },
    { id: 'app.test/own', target: 'up.test:3000', hostHeader: 'upstream' as const },
  ];
  const proxy = createProxy({ routes, fetch: recording });
  await proxy.fetch(request('/', { headers: { host: 'App.test.' } }));
  await proxy.fetch(request('/', { headers: { host: 'evil.test' } }));
  await proxy.fetch(request('/own'));
  assert.equal(hosts, ['App.test.', 'app.test', 'up.test:3000']);
});

proxying('behind a real server, mounted in another Hono app', async () => {
  const address = await origin(echo());
  const outer = new Hono();
  outer.get('/healthz', (context) => context.text('fine'));
  outer.route('/', createProxy({ routes: [{ id: '127.0.0.1', target: address }] }).app);
  const server = serve({ fetch: outer.fetch, port: 0, hostname: '127.0.0.1', overrideGlobalObjects: false });
  closers.push(() => (server as http.Server).close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { signal: AbortSignal.timeout(waitMs) };
  assert.is(await (await fetch(`${url}/healthz`, options)).text(), 'fine');
  const got = (await (await fetch(`${url}/a%2Fb?c`, { method: 'POST', body: 'hi', ...options })).json()) as Echo;
  assert.equal([got.method, got.url, got.body], ['POST', '/a%2Fb?c', 'hi']);
  assert.equal([got.headers['x-forwarded-for'], got.headers['x-forwarded-host']], ['127.0.0.1', url.slice(7)]);
  assert.is(got.headers['x-forwarded-port'], new URL(url).port);
});

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${waitMs} ms for ${what}`)), waitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

proxying.run();
