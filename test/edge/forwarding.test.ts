import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const forwarding = suite('forwarding');
forwarding.after.each(cleanUp);

const get = (path = '/', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const chunkedHead = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

forwarding('one connection to the upstream serves many requests of many clients', () =>
  withPair(echoLine, async ({ port, origin }) => {
    const client = connect(port);
    for (let i = 0; i < 20; i++) {
      client.send(get(`/a${i}`));
      assert.is((await client.response()).text, `GET /a${i} HTTP/1.1`);
      assert.is((await ask(port, get(`/b${i}`))).text, `GET /b${i} HTTP/1.1`);
    }
    assert.is(origin.connections.length, 1);
    client.close();
  }),
);

forwarding('events: each arrives at once, its chunk as it is', () =>
  withPair(
    { request: () => `${chunkedHead.replace('\r\n\r\n', '\r\nContent-Type: text/event-stream\r\n\r\n')}` },
    async (pair) => {
      const client = connect(pair.port).send(get('/events'));
      await client.has('\r\n\r\n');
      const [connection] = pair.origin.connections;
      for (let i = 0; i < 20; i++) {
        const event = `data: ${i}\n\n`;
        const started = performance.now();
        connection.send(`${event.length.toString(16)}\r\n${event}\r\n`);
        await client.has(event);
        assert.ok(performance.now() - started < 1_000, 'at once');
      }
      connection.send('0\r\n\r\n');
      const events = Array.from({ length: 20 }, (_, i) => `data: ${i}\n\n`);
      assert.is((await client.response()).text, events.join(''));
      client.close();
    },
  ),
);

forwarding(
  'a request body streams: each part arrives before the next is sent, and answers may begin before its end',
  () =>
    withPair(
      {
        data: (connection, chunk) => {
          const text = chunk.toString('latin1');
          if (text.startsWith('POST')) connection.send(chunkedHead);
          for (const [, word] of text.matchAll(/part(\d)/g)) connection.send(`3\r\ngo${word}\r\n`);
          if (connection.text.endsWith('0\r\n\r\n')) connection.send('0\r\n\r\n');
        },
      },
      async ({ port, origin }) => {
        const client = connect(port).send('POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let i = 0; i < 5; i++) {
          client.send(`5\r\npart${i}\r\n`);
          await client.has(`go${i}`);
        }
        client.send('0\r\n\r\n');
        assert.is((await client.response()).text, 'go0go1go2go3go4');
        client.send(get('/next'));
        await until(() => origin.text.includes('/next'), 'the next request');
        assert.is(origin.connections.length, 1);
        client.close();
      },
    ),
);

forwarding('a body with a length streams too', () =>
  withPair({ data: (connection) => void (connection.total > 0) }, async ({ port, origin }) => {
    const client = connect(port).send('PUT /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 15\r\n\r\n');
    for (let i = 0; i < 3; i++) {
      client.send(`part${i}`);
      await until(() => origin.text.endsWith(`part${i}`), `part ${i}`);
    }
    origin.connections[0].send(reply('done'));
    assert.is((await client.response()).text, 'done');
    client.close();
  }),
);

forwarding('a body that only its end ends comes whole, and its connection is closed', () =>
  withPair(
    (_, connection) => {
      connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello ');
      setTimeout(() => connection.send('world').socket.end(), 20);
    },
    async ({ port }) => {
      const client = connect(port).send(get());
      const answer = await client.response();
      assert.is(answer.text, 'hello world');
      assert.is(answer.get('connection'), 'close');
      assert.is(client.ended, 'end');
      client.close();
    },
  ),
);

forwarding('no body: HEAD, 204, 304, and lengths of zero keep the connection', () =>
  withPair(
    ({ line }) => {
      if (line.startsWith('HEAD /chunked')) return chunkedHead;
      if (line.startsWith('HEAD /none')) return 'HTTP/1.1 200 OK\r\n\r\n';
      if (line.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n';
      if (line.includes('/204')) return 'HTTP/1.1 204 No Content\r\n\r\n';
      if (line.includes('/304')) return 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "a"\r\n\r\n';
      return reply('', 'X-A: b\r\n');
    },
    async ({ port, origin }) => {
      const client = connect(port);
      const lines = ['HEAD /', 'HEAD /chunked', 'HEAD /none', 'GET /204', 'GET /304', 'GET /empty', 'POST /empty'];
      for (const line of lines) {
        client.send(
          `${line} HTTP/1.1\r\nHost: app.test\r\n${line.startsWith('POST') ? 'Content-Length: 0\r\n' : ''}\r\n`,
        );
        const answer = await client.response({ head: line.startsWith('HEAD') });
        assert.is(answer.text, '', line);
        if (line === 'HEAD /' || line.includes('304')) assert.is(answer.get('content-length'), '1000', line);
        if (line === 'HEAD /chunked') assert.is(answer.get('transfer-encoding'), 'chunked');
      }
      await sleep(20);
      assert.is(client.text, '');
      assert.is(origin.connections.length, 1);
      client.close();
    },
  ),
);

forwarding('statuses, reasons and odd methods go through as they are', () =>
  withPair(
    ({ line }) => reply(line, '', line.includes('/418') ? "418 I'm a teapot\xe9" : '599 '),
    async ({ port }) => {
      const teapot = await ask(port, 'PROPFIND /418?a=b&c HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.is(teapot.line, "HTTP/1.1 418 I'm a teapot\xe9");
      assert.is(teapot.text, 'PROPFIND /418?a=b&c HTTP/1.1');
      assert.is((await ask(port, 'M-SEARCH /x HTTP/1.1\r\nHost: a\r\n\r\n')).line, 'HTTP/1.1 599 ');
    },
  ),
);

forwarding('an HTTP/1.0 client: chunks are taken apart, and the connection ends or is kept as it asked', () =>
  withPair(
    ({ line }) =>
      line.includes('/chunked') ? `${chunkedHead}5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-A: b\r\n\r\n` : reply(line),
    async ({ port, origin }) => {
      const once = connect(port).send('GET /once HTTP/1.0\r\nHost: app.test\r\n\r\n');
      assert.is((await once.response()).text, 'GET /once HTTP/1.1');
      assert.is(await once.gone(), 'end');
      const chunks = connect(port).send('GET /chunked HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n');
      const answer = await chunks.response();
      assert.is(answer.text, 'hello world');
      assert.is(answer.get('transfer-encoding'), undefined);
      assert.is(answer.get('connection'), 'close');
      const kept = connect(port).send('GET /1 HTTP/1.0\r\nHost: app.test\r\nConnection: Keep-Alive\r\n\r\n');
      assert.is((await kept.response()).get('connection'), 'keep-alive');
      kept.send('GET /2 HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n');
      assert.is((await kept.response()).text, 'GET /2 HTTP/1.1');
      for (const client of [once, chunks, kept]) client.close();
      // The upstream's side is HTTP/1.1 all the same, and needs a Host.
      const bare = await ask(port, 'GET /bare HTTP/1.0\r\n\r\n');
      assert.is(bare.text, 'GET /bare HTTP/1.1');
      assert.is(origin.requests.at(-1)!.get('host'), `127.0.0.1:${origin.port}`);
      assert.is(origin.connections.length, 1);
    },
  ),
);

forwarding('an HTTP/1.0 upstream', () =>
  withPair(
    ({ line }, connection) => {
      if (line.includes('/keep')) return 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello';
      connection.send('HTTP/1.0 200 OK\r\n\r\nhello').socket.end();
      return undefined;
    },
    async ({ port, origin }) => {
      const client = connect(port).send(get('/keep') + get('/keep'));
      for (let i = 0; i < 2; i++) {
        const answer = await client.response();
        assert.is(answer.line, 'HTTP/1.1 200 OK');
        assert.is(answer.text, 'hello');
      }
      assert.is(origin.connections.length, 1);
      client.send(get('/close'));
      assert.is((await client.response()).text, 'hello');
      assert.is(await client.gone(), 'end');
      client.close();
    },
  ),
);

forwarding('Connection: close, of the client and of the upstream', () =>
  withPair(
    ({ line }) => reply(line, line.includes('/last') ? 'Connection: close\r\n' : ''),
    async ({ port, origin }) => {
      const client = connect(port).send(get('/last'));
      assert.is((await client.response()).get('connection'), undefined);
      client.send(get('/next', 'Connection: close\r\n'));
      const answer = await client.response();
      assert.is(answer.get('connection'), 'close');
      assert.is(answer.text, 'GET /next HTTP/1.1');
      assert.is(await client.gone(), 'end');
      assert.is(origin.connections.length, 2);
      assert.is(origin.connections[1].requests[0].get('connection'), undefined);
      assert.is(origin.connections[1].ended, '', 'a client that leaves takes no idle upstream connection with it');
      client.close();
    },
  ),
);

forwarding('a target with a path of its own', async () => {
  const origin = await startOrigin(echoLine);
  const edge = await startEdge([{ id: '*', target: `${origin.target}/v1/` }]);
  for (const [path, want] of [
    ['/', '/v1/'],
    ['/x?y=1', '/v1/x?y=1'],
    ['http://a.test?y', '/v1/?y'],
    ['http://a.test/z', '/v1/z'],
  ])
    assert.is((await ask(edge.port, get(path))).text, `GET ${want} HTTP/1.1`);
  const posted = 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello';
  assert.is((await ask(edge.port, posted)).text, 'POST /v1/p HTTP/1.1');
  assert.is(origin.requests.at(-1)!.text, 'hello');
  edge.close();
  origin.close();
});

forwarding('a head that arrives byte by byte, and one behind an empty line', () =>
  withPair(echoLine, async ({ port }) => {
    const client = connect(port);
    for (const byte of get('/slow', 'X-A: b\r\n')) {
      client.send(byte);
      await sleep(0);
    }
    assert.is((await client.response()).text, 'GET /slow HTTP/1.1');
    client.send(`\r\n${get('/behind')}`);
    assert.is((await client.response()).text, 'GET /behind HTTP/1.1');
    client.close();
  }),
);

forwarding('the log of accesses: one line a request, with what came of it', () =>
  withPair(
    echoLine,
    async ({ port, access }) => {
      await ask(port, get('/x?y'));
      await ask(port, 'BAD\r\n\r\n');
      await until(() => access.length === 2, 'two lines');
      const [first, second] = access.map((line) => JSON.parse(line));
      assert.is(first.method, 'GET');
      assert.is(first.target, '/x?y');
      assert.is(first.host, 'app.test');
      assert.is(first.status, 200);
      assert.is(first.route, '*');
      assert.is(first.client, '127.0.0.1');
      assert.is(first.bytes, 'GET /x?y HTTP/1.1'.length);
      assert.is(second.status, 400);
    },
    { settings: { logAccess: true } },
  ),
);

forwarding('the log has those, too, that were never answered, cut, or made tunnels', () =>
  withPair(
    ({ line }, connection) => {
      if (line.includes('/cut')) connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart');
      if (line.includes('/tunnel'))
        connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello');
    },
    async ({ port, origin, access }) => {
      const rows: [path: string, status: number, bytes: number][] = [
        ['/silent', 499, 0],
        ['/cut', 200, 4],
        ['/tunnel', 101, 5],
      ];
      for (const [i, [path, status, bytes]] of rows.entries()) {
        const client = connect(port).send(get(path, 'Connection: upgrade\r\nUpgrade: x\r\n'));
        await origin.got(i + 1);
        if (bytes > 0) await client.has(path === '/cut' ? 'part' : 'hello');
        client.reset();
        await until(() => access.length === i + 1, `the line for ${path}`);
        const line = JSON.parse(access[i]);
        assert.equal([line.target, line.status, line.bytes], [path, status, bytes]);
      }
    },
    { settings: { logAccess: true } },
  ),
);

forwarding.run();
