import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { handlerSource, startHandlers } from '../helpers/handlers.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import type { Message } from '../helpers/message.ts';
import { type OriginConnection, reply, type Script, startOrigin } from '../helpers/origin.ts';
import { until } from '../helpers/wait.ts';

const handler = suite('handler');
handler.after.each(cleanUp);

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const post = (body: string, fields = '') =>
  `POST /p HTTP/1.1\r\nHost: app.test\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
const echo = ({ head, text }: Message) => reply(`${head}\n\n${text}`);

async function start(
  body: string,
  route: Partial<Route> = {},
  script: Script | NonNullable<Script['request']> = echo,
  settings: Parameters<typeof startHandlers>[1] = {},
) {
  const origin = await startOrigin(script);
  const source = handlerSource(body);
  const edge = await startHandlers(
    [{ id: '*', target: origin.target, handler: { file: './a.mjs', source }, ...route }],
    settings,
  );
  return { edge, origin };
}

handler('answers by itself, and knows what was asked and who asks', async () => {
  const { edge, origin } = await start(
    "return new Response([request.method, request.url, context.route, context.clientIp, request.headers.get('a')].join(' '))",
  );
  const answer = await ask(edge.port, get('/p?q=1', 'A: b\r\nX-Forwarded-For: 6.6.6.6\r\n'));
  assert.is(answer.text, 'GET http://app.test/p?q=1 * 127.0.0.1 b');
  assert.is(answer.get('content-length'), String(answer.text.length));
  assert.is(origin.connections.length, 0);
});

handler('next forwards what came, and what the handler changes', async () => {
  const { edge, origin } = await start(
    "request.headers.set('x-by', context.requestId); const r = await next(); r.headers.set('x-seen', 'yes'); return r;",
  );
  const answer = await ask(edge.port, get('/a%20b/"?q=\'x', 'X-A: b\r\n'));
  assert.is(answer.get('x-seen'), 'yes');
  const [sent] = origin.requests;
  assert.is(sent.line, 'GET /a%20b/"?q=\'x HTTP/1.1');
  assert.is(sent.get('x-forwarded-for'), '127.0.0.1');
  assert.is(sent.get('host'), 'app.test');
  assert.is(sent.get('x-a'), 'b');
  assert.match(sent.get('x-by') ?? '', /^[0-9a-f-]{36}$/);
  assert.not.match(sent.head, /x-oo-/i);
  assert.not.match(answer.head, /x-oo-|transfer-encoding/i);
  assert.is(sent.get('connection'), undefined);
});

handler('another path, another method, other fields by a new Request', async () => {
  const { edge, origin } = await start(
    "const url = new URL('/other?x=1', request.url); return next(new Request(url, { method: 'PUT', headers: { a: '1' }, body: 'hello' }));",
    { addPrefix: '/v2', requestHeaders: { set: { 'X-Route': '{route}', 'X-Id': '{request.id}' } } },
  );
  await ask(edge.port, get('/p'));
  const [sent] = origin.requests;
  assert.is(sent.line, 'PUT /v2/other?x=1 HTTP/1.1');
  assert.is(sent.get('content-length'), '5');
  assert.is(sent.text, 'hello');
  assert.is(sent.get('x-route'), '*');
  assert.match(sent.get('x-id') ?? '', /^[0-9a-f-]{36}$/);
});

handler('request options are for what next sends, response options for what the handler answers', async () => {
  const { edge, origin } = await start(
    "if (request.url.endsWith('/own')) return new Response('x'.repeat(2000), { headers: { 'content-type': 'text/plain', via: 'me' } }); const r = await next(); return new Response(request.headers.get('x-up') + new URL(request.url).pathname, r);",
    {
      id: '*/api',
      stripPrefix: true,
      requestHeaders: { set: { 'X-Up': 'up' } },
      responseHeaders: { remove: ['Via'], set: { 'X-Down': 'down' } },
      compress: true,
    },
  );
  const answer = await ask(edge.port, get('/api/p'));
  assert.is(answer.text, 'null/api/p');
  assert.is(answer.get('x-down'), 'down');
  assert.is(origin.requests[0].line, 'GET /p HTTP/1.1');
  assert.is(origin.requests[0].get('x-up'), 'up');
  const own = await ask(edge.port, get('/api/own', 'Accept-Encoding: gzip\r\n'));
  assert.is(own.get('content-encoding'), 'gzip');
  assert.is(own.get('via'), undefined);
});

handler('guards come before it', async () => {
  const { edge } = await start("return new Response('in')", { access: { deny: ['127.0.0.1'] } });
  assert.is((await ask(edge.port, get())).status, 403);
});

handler('bodies keep their length and their chunks', async () => {
  const { edge, origin } = await start('return next()');
  const answer = await ask(edge.port, post('hello'));
  assert.ok(answer.text.endsWith('hello'));
  assert.is(origin.requests[0].get('content-length'), '5');
  assert.is(origin.requests[0].get('transfer-encoding'), undefined);
  await ask(
    edge.port,
    'POST /p HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
  );
  assert.ok(origin.requests[1].chunked);
  assert.is(origin.requests[1].text, 'abc');
  assert.equal(origin.requests[1].trailers, ['X-T: 1']);
});

handler('GET with a body goes on with it', async () => {
  const { edge, origin } = await start('return next()');
  await ask(edge.port, post('find').replace('POST', 'GET'));
  assert.is(origin.requests[0].text, 'find');
  assert.is(origin.requests[0].line, 'GET /p HTTP/1.1');
});

handler('a body that was changed has its own length', async () => {
  const { edge, origin } = await start(
    'const text = await request.text(); return next(new Request(request.url, { method: "POST", headers: request.headers, body: text + "!" }));',
  );
  await ask(edge.port, post('hello', 'Content-Type: text/plain\r\n'));
  assert.is(origin.requests[0].text, 'hello!');
  assert.is(origin.requests[0].get('content-length'), '6');
});

handler('new Request(request, …) keeps body and length', async () => {
  const { edge, origin } = await start(
    "const headers = new Headers(request.headers); headers.set('a', '1'); return next(new Request(request, { headers }));",
  );
  await ask(edge.port, post('hello'));
  assert.is(origin.requests[0].text, 'hello');
  assert.is(origin.requests[0].get('content-length'), '5');
  assert.is(origin.requests[0].get('a'), '1');
});

handler('large bodies go through both ways, whole', async () => {
  const { edge } = await start(
    "const r = await next(); return request.url.endsWith('?raw') ? r : new Response(r.body.pipeThrough(new TransformStream()), r);",
    {},
    ({ body }) => Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
  );
  const body = randomBytes(8 * 2 ** 20);
  const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  for (const query of ['?raw', '']) {
    const client = connect(edge.port);
    client.send(`POST /p${query} HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n`);
    client.send(body);
    const answer = await client.response({ ms: 20_000 });
    assert.is(sum(answer.body), sum(body));
    assert.is(answer.chunked, query === '');
  }
});

handler('what is encoded stays encoded; redirects, cookies and 204, 304, HEAD are passed on', async () => {
  const zipped = gzipSync('hello');
  const { edge } = await start('return next()', {}, ({ line }) => {
    if (line.includes('/zip')) {
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${zipped.length}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head), zipped]);
    }
    if (line.includes('/to')) return 'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n';
    if (line.includes('/204')) return 'HTTP/1.1 204 No Content\r\n\r\n';
    if (line.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n';
    if (line.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n';
    return reply('x', 'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n');
  });
  assert.equal((await ask(edge.port, get('/zip', 'Accept-Encoding: gzip\r\n'))).body, zipped);
  assert.is((await ask(edge.port, get('/to'))).get('location'), '/x');
  assert.is((await ask(edge.port, get('/204'))).status, 204);
  assert.is((await ask(edge.port, get('/304'))).get('etag'), '"a"');
  const cookies = (await ask(edge.port, get('/c'))).fields.filter(([name]) => /set-cookie/i.test(name));
  assert.equal(
    cookies.map(([, value]) => value),
    ['a=1', 'b=2'],
  );
  const client = connect(edge.port).send(get('/h').replace('GET', 'HEAD'));
  assert.is((await client.response({ head: true })).get('content-length'), '77');
  client.send(get('/c'));
  assert.is((await client.response()).status, 200);
});

handler('a stream leaves as it comes', async () => {
  const { edge } = await start(
    "let c; const body = new ReadableStream({ start(x) { c = x; x.enqueue(new TextEncoder().encode('one')); } }); setTimeout(() => { c.enqueue(new TextEncoder().encode('two')); c.close(); }, 300); return new Response(body);",
  );
  const client = connect(edge.port).send(get());
  await until(() => client.text.includes('one'), 'the first part');
  assert.not.match(client.text, /two/);
  assert.is((await client.response()).text, 'onetwo');
});

handler('where nothing of a stream is there yet, the head goes ahead', async () => {
  const { edge } = await start(
    "return new Response(new ReadableStream({ pull: () => new Promise(() => {}) }), { headers: { 'x-a': '1' } });",
  );
  const client = connect(edge.port).send(get());
  await until(() => client.text.includes('x-a: 1'), 'the head');
});

handler('a client that leaves takes its request along', async () => {
  const { edge, origin } = await start(
    "request.signal.addEventListener('abort', () => console.log('aborted')); return next();",
    {},
    {},
  );
  const client = connect(edge.port).send(get());
  await until(() => origin.text.includes('GET'), 'the request at the origin');
  client.socket.destroy();
  await until(() => origin.connections[0].ended !== '', 'the end of the upstream request');
  await until(() => edge.log.some((line) => line.includes('aborted')), 'the signal');
});

handler('an upstream that breaks off cuts the response', async () => {
  const script = (_: Message, { socket }: OriginConnection) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart');
    setTimeout(() => socket.destroy(), 50);
  };
  for (const body of [
    'return next()',
    'const r = await next(); return new Response(r.body.pipeThrough(new TransformStream()), r)',
  ]) {
    const { edge } = await start(body, {}, script);
    const client = connect(edge.port).send(get());
    await until(() => client.ended !== '', 'the cut');
    assert.match(client.text, /part(\r\n)?$/);
    assert.is(client.ended, 'reset');
  }
});

handler('where forwarding fails, next gives that answer', async () => {
  const { edge, origin } = await start(
    "const r = await next(); return new Response(r.status + ' ' + r.headers.get('x-oo-code'), { status: 200 })",
  );
  origin.close();
  assert.is((await ask(edge.port, get())).text, '502 OO_CONNECT_FAILED');
  assert.is(edge.errors.length, 1);
});

handler('retries, and limits of the route, are for next', async () => {
  const good = await startOrigin(() => reply('good'));
  const bad = await startOrigin({ connected: ({ socket }) => void socket.destroy() });
  const { edge } = await start('return next()', {
    target: [
      { url: bad.target, priority: 0 },
      { url: good.target, priority: 0 },
    ] as never,
    maxBodyBytes: 10,
  });
  for (let i = 0; i < 6; i++) assert.is((await ask(edge.port, get())).text, 'good');
  assert.is((await ask(edge.port, post('x'.repeat(11)))).status, 413);
});

handler('it throws, rejects, or returns no Response: 502, and the log says where', async () => {
  const { edge } = await start(
    "const at = new URL(request.url).pathname; if (at === '/throw') throw new Error('boom'); if (at === '/null') return null; if (at === '/used') { const r = new Response('x'); await r.text(); return r; } if (at === '/error') return Response.error(); return Promise.reject('no error');",
  );
  for (const path of ['/throw', '/null', '/used', '/error', '/reject']) {
    const answer = await ask(edge.port, get(path, 'Accept: application/json\r\n'));
    assert.is(answer.status, 502, path);
    assert.is(answer.get('x-oo-code'), 'OO_HANDLER_FAILED');
    assert.is(JSON.parse(answer.text).code, 'OO_HANDLER_FAILED');
    const line = () => edge.log.find((text) => text.includes(JSON.parse(answer.text).requestId));
    await until(() => line() !== undefined, 'the line');
    if (path === '/throw')
      assert.match(
        line() ?? '',
        /502 OO_HANDLER_FAILED route=\* client=127\.0\.0\.1 .*: Error: boom, at \.\/a\.mjs:3:\d+/,
      );
    if (path === '/null') assert.match(line() ?? '', /it returned null; expected a Response/);
  }
});

handler('its own time counts, and that of next does not', async () => {
  const { edge } = await start(
    "if (request.url.endsWith('/slow')) await new Promise((r) => setTimeout(r, 5000)); return next();",
    {
      handler: {
        source: handlerSource(
          "if (request.url.endsWith('/slow')) await new Promise((r) => setTimeout(r, 5000)); return next();",
        ),
        timeoutMs: 300,
      },
    },
    (_, { socket }) => void setTimeout(() => socket.write(reply('late')), 800),
  );
  const [slow, late] = await Promise.all([ask(edge.port, get('/slow')), ask(edge.port, get('/late'))]);
  assert.is(slow.status, 504);
  assert.is(slow.get('x-oo-code'), 'OO_HANDLER_TIMEOUT');
  assert.is(late.text, 'late');
});

handler('over HTTP/2 it is the same', async () => {
  const { edge } = await start("const r = await next(); r.headers.set('x-seen', request.url); return r;");
  const port = await listenHttp2(edge.edge);
  const session = connectHttp2(port);
  const answer = await request(session, { ':path': '/a', ':method': 'POST', ':authority': 'app.test' }, 'body');
  assert.is(answer.headers['x-seen'], 'http://app.test/a');
  assert.match(String(answer.body), /body$/);
  session.close();
});

handler('Expect: 100-continue is answered when the body is wanted', async () => {
  const { edge } = await start(
    "if (request.headers.has('x-no')) return new Response('no', { status: 401 }); return new Response(await request.text());",
  );
  const client = connect(edge.port).send(post('', 'Expect: 100-continue\r\n').replace('Length: 0', 'Length: 2'));
  await until(() => client.text.includes('100 Continue'), '100');
  client.send('ab');
  assert.is((await client.response()).status, 100);
  assert.is((await client.response()).text, 'ab');
  const refused = connect(edge.port).send(
    post('', 'Expect: 100-continue\r\nX-No: 1\r\n').replace('Length: 0', 'Length: 2'),
  );
  assert.is((await refused.response()).status, 401);
});

handler('an upgrade goes through it, and the tunnel stands', async () => {
  const { edge } = await start(
    "const r = await next(); r.headers.set('x-seen', String(r.status)); return r;",
    {},
    {
      data: (connection, chunk) => {
        if (chunk.includes('GET'))
          connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly');
        else connection.send(`<${chunk}>`);
      },
    },
  );
  const client = connect(edge.port).send(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'));
  const answer = await client.response();
  assert.is(answer.status, 101);
  assert.is(answer.get('x-seen'), '101');
  assert.is(answer.get('upgrade'), 'websocket');
  client.send('ping');
  await until(() => client.text.includes('early<ping>'), 'the echo');
});

handler('what a trusted proxy says of the client is what the handler and the upstream are told', async () => {
  const { edge, origin } = await start(
    "const r = await next(); r.headers.set('x-told', [context.clientIp, request.url, request.headers.has('x-forwarded-for')].join(' ')); return r;",
    { requestHeaders: { set: { 'X-Ip': '{client.ip}' } } },
    echo,
    { trustedProxies: ['127.0.0.1'] },
  );
  const answer = await ask(edge.port, get('/x', 'X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\n'));
  assert.is(answer.get('x-told'), '10.1.1.1 https://app.test/x false');
  const [sent] = origin.requests;
  assert.is(sent.get('x-forwarded-for'), '10.1.1.1, 127.0.0.1');
  assert.is(sent.get('x-forwarded-proto'), 'https');
  assert.is(sent.get('x-ip'), '10.1.1.1');
});

handler('a field that is named like ours is nothing', async () => {
  const { edge } = await start('return next()');
  const { field } = edge.edge.settings.handlers ?? { field: '' };
  const forged = await ask(edge.port, get('/x', `${field.slice(0, -1)}: 1 w http 6.6.6.6 id\r\n`));
  assert.is(forged.status, 200);
});

handler('next twice, and next after the answer', async () => {
  const { edge, origin } = await start(
    "if (request.url.endsWith('/late')) { setTimeout(() => next().catch((error) => console.log('late:', error.message)), 100); return new Response('early'); } await (await next()).text(); return next();",
  );
  assert.is((await ask(edge.port, get('/twice'))).status, 200);
  assert.is(origin.requests.length, 2);
  assert.is((await ask(edge.port, get('/late'))).text, 'early');
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.is(origin.requests.length, 2);
});

handler('sticky cookies are those of its route', async () => {
  const one = await startOrigin(() => reply('one'));
  const two = await startOrigin(() => reply('two'));
  const { edge } = await start('return next()', { target: [one.target, two.target], balance: { sticky: true } });
  edge.edge.joinWorkers({ index: 0, count: 1 }, [randomBytes(32).toString('base64')]);
  const first = await ask(edge.port, get());
  const cookie = first.get('set-cookie')?.split(';')[0];
  assert.ok(cookie);
  for (let i = 0; i < 6; i++) assert.is((await ask(edge.port, get('/x', `Cookie: ${cookie}\r\n`))).text, first.text);
});

handler('an upgrade may be refused', async () => {
  const { edge, origin } = await start("return new Response('no', { status: 401 })");
  const answer = await ask(edge.port, get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'));
  assert.is(answer.status, 401);
  assert.is(answer.text, 'no');
  assert.is(origin.connections.length, 0);
});

handler('a request is counted once, and logged once', async () => {
  const { edge, origin } = await start('return next()', {}, echo, { logAccess: true });
  await ask(edge.port, get());
  const { pools, instances } = edge.edge.figures();
  assert.equal(
    pools.map(({ name, requests, errors, inFlight }) => [name, requests, errors, inFlight]),
    [['route *', 1, 0, 0]],
  );
  assert.equal(
    instances.map(({ requests }) => requests),
    [1],
  );
  assert.is(edge.access.length, 1);
  assert.is(JSON.parse(edge.access[0]).instance, origin.target);
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

handler('without one that runs: 502, and the log says so', async () => {
  const { edge } = await start('return next()');
  const pid = edge.handlers.pids().get('*') as number;
  edge.handlers.stop();
  await until(() => !isThere(pid), 'the end of the process');
  const answer = await ask(edge.port, get());
  assert.is(answer.status, 502);
  assert.is(answer.get('x-oo-code'), 'OO_HANDLER_FAILED');
  assert.match(edge.errors.at(-1) as string, /502 OO_HANDLER_FAILED route=\* .*the handler's process/);
});

handler.run();
