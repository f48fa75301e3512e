// time limit: 60 s
import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { echo, startNode } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const http2 = suite('HTTP/2 upstream');
http2.after.each(cleanUp);

const get = (path = '/x', more = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${more}\r\n`;
const post = (body: string, path = '/x') =>
  `POST ${path} HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (parts: string[], trailers = '', path = '/x') =>
  `POST ${path} HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n${parts
    .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    .join('')}0\r\n${trailers}\r\n`;

http2('a request as HTTP/2 has it, an answer as HTTP/1.1 has it', async () => {
  const origin = await startNode(echo);
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}/base` }]);
  const more =
    'Connection: keep-alive, x-hop\r\nKeep-Alive: 5\r\nX-Hop: no\r\nX-Case: Yes\r\nTE: trailers\r\nCookie: a=b; c=d\r\n';
  const answer = await ask(edge.port, get('/x?q=1', more));
  assert.is(answer.status, 200);
  assert.is(answer.line, 'HTTP/1.1 200 OK');
  assert.is(answer.text, 'GET /base/x?q=1 ');
  const got = JSON.parse(answer.get('x-got') as string);
  assert.is(got[':authority'], 'app.test');
  assert.is(got[':scheme'], 'http');
  assert.is(got['x-case'], 'Yes');
  assert.is(got.cookie, 'a=b; c=d');
  assert.is(got['x-forwarded-for'], '127.0.0.1');
  assert.is(got.via, '1.1 oo');
  for (const name of ['host', 'connection', 'keep-alive', 'x-hop', 'te']) assert.is(got[name], undefined, name);
});

http2('hostHeader: upstream', async () => {
  const origin = await startNode(echo);
  const target = `h2c://127.0.0.1:${origin.port}`;
  const edge = await startEdge([{ id: '*', target, hostHeader: 'upstream' }]);
  const got = JSON.parse((await ask(edge.port, get())).get('x-got') as string);
  assert.is(got[':authority'], `127.0.0.1:${origin.port}`);
});

http2('bodies with a length, in chunks, with trailers, empty', async () => {
  const origin = await startNode(echo);
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const client = connect(edge.port);
  const rows: [request: string, expected: string][] = [
    [post('hello'), 'POST /x hello'],
    [post(''), 'POST /x '],
    [chunked(['hel', 'lo']), 'POST /x hello'],
    [chunked([]), 'POST /x '],
    [chunked(['hello'], 'X-Sum: 5\r\nX-Two: 2\r\n'), 'POST /x hello{"x-sum":"5","x-two":"2"}'],
    [chunked([], 'X-Sum: 5\r\n'), 'POST /x {"x-sum":"5"}'],
    [`${chunked(['a'])}${get('/next')}`, 'POST /x a'],
  ];
  for (const [request, expected] of rows) {
    client.send(request);
    const answer = await client.response();
    assert.is(answer.text, expected);
    assert.ok(answer.chunked);
  }
  assert.is((await client.response()).text, 'GET /next ');
  // One byte at a time.
  for (const byte of chunked(['one', 'byte'], 'X-T: u\r\n')) {
    client.send(byte);
    await sleep(1);
  }
  assert.is((await client.response()).text, 'POST /x onebyte{"x-t":"u"}');
  assert.is(origin.sessions.length, 1);
  assert.is(edge.edge.upstreams.size, 1);
});

http2('how bodies are framed towards HTTP/1.1 and HTTP/1.0', async () => {
  const origin = await startNode((stream, headers) => {
    const path = headers[':path'] as string;
    stream.resume();
    if (path === '/length') {
      stream.respond({ 'content-length': '5' });
      stream.end('hello');
    } else if (path === '/pieces') {
      stream.respond({});
      stream.write('hel');
      setTimeout(() => stream.end('lo'), 20);
    } else if (path === '/trailers') {
      stream.respond({}, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'set-cookie': 'no' }));
      stream.end('hello');
    } else if (path === '/only') stream.respond({ 'x-a': 'b' }, { endStream: true });
    else stream.respond({ ':status': Number(path.slice(1)) }, { endStream: true });
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const client = connect(edge.port);
  const fetch = async (path: string) => {
    client.send(get(path));
    return client.response();
  };
  const sized = await fetch('/length');
  assert.is(sized.text, 'hello');
  assert.not.ok(sized.chunked);
  assert.is((await fetch('/pieces')).text, 'hello');
  const trailed = await fetch('/trailers');
  assert.is(trailed.text, 'hello');
  assert.equal(trailed.trailers, ['grpc-status: 0']);
  const only = await fetch('/only');
  assert.is(only.get('content-length'), '0');
  for (const status of [204, 304, 404, 500]) {
    const answer = await fetch(`/${status}`);
    assert.is(answer.status, status);
    assert.is(answer.get('transfer-encoding'), undefined);
    assert.is(answer.get('content-length'), status < 400 && status !== 200 ? undefined : '0');
  }
  client.send('HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n');
  const head = await client.response({ head: true });
  assert.is(head.get('content-length'), '5');
  client.send('HEAD /pieces HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.is((await client.response({ head: true })).get('transfer-encoding'), undefined);
  assert.is((await fetch('/length')).text, 'hello');
  for (const path of ['/length', '/pieces', '/trailers', '/only']) {
    const old = connect(edge.port).send(`GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`);
    const answer = await old.response();
    assert.is(answer.text, path === '/only' ? '' : 'hello', path);
    assert.is(answer.get('transfer-encoding'), undefined);
    assert.is(await old.gone(), 'end');
  }
});

http2('a head and its body reach an HTTP/1.1 client in one piece, whatever came between', async () => {
  const origin = await startNode((stream) => {
    stream.respond({});
    stream.end('hello');
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  await ask(edge.port, get());
  const clients = Array.from({ length: 20 }, () => connect(edge.port));
  const pieces = clients.map((client) => {
    const sizes: number[] = [];
    client.socket.on('data', (chunk: Buffer) => sizes.push(chunk.length));
    return sizes;
  });
  await sleep(50);
  for (const client of clients) client.send(get());
  for (const client of clients) assert.is((await client.response()).text, 'hello');
  const whole = pieces.filter((sizes) => sizes.length === 1).length;
  assert.ok(whole >= 15, JSON.stringify(pieces));
});

http2('interim responses; a body that waits for 100', async () => {
  const origin = await startNode((stream, headers) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    echo(stream, headers, undefined as never);
  });
  origin.server.on('checkContinue', (request, response) => {
    response.writeContinue();
    echo(request.stream, request.headers, undefined as never);
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const client = connect(edge.port).send(get());
  const hints = await client.response();
  assert.is(hints.status, 103);
  assert.is(hints.get('link'), '</a>');
  assert.is((await client.response()).status, 200);
  client.send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
  const first = await client.response();
  assert.ok(first.status === 100 || first.status === 103);
});

http2('bodies of all sizes come back as they were, many at once over one connection', async () => {
  const origin = await startNode((stream, headers) => {
    stream.respond({ 'x-path': headers[':path'] as string });
    stream.pipe(stream);
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const sizes = [0, 1, 100, 5_000, 16_384, 16_385, 65_535, 65_536, 300_000, 1_000_000];
  await Promise.all(
    sizes.map(async (size, i) => {
      const body = randomBytes(size).toString('latin1');
      const client = connect(edge.port);
      client.send(i % 2 === 0 ? post(body, `/${size}`) : chunked(size === 0 ? [] : [body], '', `/${size}`));
      const answer = await client.response({ ms: 15_000 });
      assert.is(answer.get('x-path'), `/${size}`);
      assert.ok(answer.text === body, `${size} bytes`);
    }),
  );
  assert.is(origin.sessions.length, 1);
});

http2('both ways at once: the answer comes while the request is still open', async () => {
  const origin = await startNode((stream) => {
    stream.respond({});
    stream.on('data', (chunk: Buffer) => stream.write(`<${chunk}>`));
    stream.on('end', () => stream.end('.'));
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const client = connect(edge.port);
  client.send('POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await client.has('\r\n\r\n');
  for (const word of ['one', 'two', 'three']) {
    client.send(`${word.length}\r\n${word}\r\n`);
    await client.has(`<${word}>`);
  }
  client.send('0\r\n\r\n');
  const answer = await client.response();
  assert.is(answer.text, '<one><two><three>.');
});

http2('an answer that does not wait for the body', async () => {
  let code: number | undefined;
  const origin = await startNode((stream) => {
    stream.on('close', () => {
      code = stream.rstCode;
    });
    stream.respond({ ':status': 413, 'content-length': '2' });
    stream.end('no');
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const client = connect(edge.port);
  client.send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome');
  const answer = await client.response();
  assert.is(answer.status, 413);
  assert.is(answer.text, 'no');
  assert.is(await client.gone(), 'end');
  await until(() => code !== undefined, 'the stream to end');
  // The connection goes on.
  assert.is((await ask(edge.port, get())).status, 413);
  assert.is(origin.sessions.length, 1);
});

http2('a client that leaves takes its stream along, and nobody else', async () => {
  const codes: (number | undefined)[] = [];
  const origin = await startNode((stream, headers) => {
    stream.on('close', () => codes.push(stream.rstCode));
    if (headers[':path'] === '/slow') setTimeout(() => !stream.destroyed && stream.end('slow'), 400);
    else if (headers[':path'] === '/body') stream.respond({});
    if (headers[':path'] === '/body') stream.write('part');
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const slow = connect(edge.port).send(get('/slow'));
  const leaving = connect(edge.port).send(get('/wait'));
  const inBody = connect(edge.port).send(get('/body'));
  await inBody.has('part');
  leaving.close();
  inBody.close();
  await until(() => codes.length === 2, 'two streams to be reset');
  assert.equal(codes, [8, 8]);
  assert.is((await slow.response()).text, 'slow');
  assert.is(origin.sessions.length, 1);
});

http2('an upgrade goes on as a plain request', async () => {
  const origin = await startNode(echo);
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  const answer = await ask(edge.port, get('/x', upgrade));
  assert.is(answer.status, 200);
  assert.is(answer.text, 'GET /x ');
});

http2.run();
