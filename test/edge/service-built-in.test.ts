import type { IncomingMessage, Server } from 'node:http';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createPublicApp } from '../../src/admin/public.ts';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startBuiltIn, startServicePort } from '../helpers/service-port.ts';
import { temporary } from '../helpers/temporary.ts';

const builtIn = suite('service port: built-in paths');
builtIn.after.each(cleanUp);

const get = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:11337\r\n${fields}\r\n`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

builtIn("the port's own paths go to the main process, as they came", async () => {
  const origin = await startOrigin(echoLine);
  const server = await startBuiltIn(({ method, url }, response) => response.end(`main ${method} ${url}`));
  const { port, access, edge } = await startServicePort(
    { 'user-svc': [origin.target] },
    { builtInSocket: server.socketPath },
  );
  const paths = [
    '/',
    '/?x=/user-svc',
    '/healthz',
    '/openapi.json',
    '/v1',
    '/v1/routes?x=%2F',
    '/v1/routes/a.test%2Fapp',
  ];
  paths.push('/proxy-svc/routes', '/registry-svc/instance/inst_1', '/registry-svc', '/v1//x', '/healthz?deep');
  for (const path of paths) {
    const answer = await ask(port, get(path));
    assert.is(`${answer.status} ${answer.text}`, `200 main GET ${path}`);
  }
  assert.is((await ask(port, 'GET http://oo.test HTTP/1.1\r\nHost: oo.test\r\n\r\n')).text, 'main GET /');
  assert.is((await ask(port, 'GET http://oo.test?a HTTP/1.1\r\nHost: oo.test\r\n\r\n')).text, 'main GET /?a');
  assert.is((await ask(port, 'DELETE /v1/routes HTTP/1.1\r\nHost: oo.test\r\n\r\n')).text, 'main DELETE /v1/routes');
  assert.is((await ask(port, 'HEAD / HTTP/1.1\r\nHost: oo.test\r\n\r\n')).status, 200);
  assert.is((await ask(port, 'GET / HTTP/1.0\r\n\r\n')).text, 'main GET /');
  assert.is(origin.text, '');
  const line = JSON.parse(access[0]) as Record<string, unknown>;
  assert.equal([line.route, line.status, line.instance], ['built-in', 200, `unix:${server.socketPath}`]);
  assert.equal(edge.figures(), { pools: [], instances: [] }, 'it is none of the figures of routes and services');
  await ask(port, get('/user-svc'));
  assert.equal(
    edge.figures().pools.map(({ name }) => name),
    ['service user-svc'],
  );
});

builtIn('a service that bears such a name does not take its path', async () => {
  const origin = await startOrigin(echoLine);
  const server = await startBuiltIn((_, response) => response.end('main'));
  const { port } = await startServicePort(
    { v1: [origin.target], healthz: [origin.target] },
    { builtInSocket: server.socketPath },
  );
  for (const path of ['/v1/routes', '/healthz', '/healthz/x'])
    assert.is((await ask(port, get(path))).text, 'main', path);
  assert.is(origin.text, '');
});

builtIn('it is told who the client is, and which host it has asked', async () => {
  const seen: (string | undefined)[][] = [];
  const server = await startBuiltIn(({ headers }, response) => {
    const { host, origin, authorization } = headers;
    seen.push(
      [host, headers['x-forwarded-for'], headers['x-forwarded-host'], headers['x-forwarded-proto']].map(String),
    );
    seen.push([origin, authorization]);
    response.end();
  });
  const { port } = await startServicePort({}, { builtInSocket: server.socketPath });
  const fields =
    'Origin: http://oo.test:11337\r\nAuthorization: Bearer x\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Host: evil.test\r\n';
  await ask(port, `GET /v1/routes HTTP/1.1\r\nHost: oo.test:11337\r\n${fields}\r\n`);
  assert.equal(seen, [
    ['oo.test:11337', '127.0.0.1', 'oo.test:11337', 'http'],
    ['http://oo.test:11337', 'Bearer x'],
  ]);
});

builtIn("another site's page is refused behind it, and its own is not", async () => {
  const socketPath = join(temporary(), 'built-in.sock');
  const server = createAdaptorServer({
    fetch: createPublicApp({ version: '1.2.3', hosts: { more: ['oo.test'] } }).fetch,
  }) as Server;
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  closeLater({ close: () => void server.close().closeAllConnections() });
  const { port } = await startServicePort({}, { builtInSocket: socketPath });
  const put = async (fields: string) =>
    (await ask(port, `PUT /v1/routes HTTP/1.1\r\nHost: oo.test:11337\r\nContent-Length: 2\r\n${fields}\r\n{}`)).status;
  assert.is(await put('Origin: http://evil.test\r\n'), 403);
  assert.is(await put('Origin: null\r\n'), 403);
  assert.is(await put('Origin: http://oo.test\r\n'), 403);
  assert.is(await put('Sec-Fetch-Site: cross-site\r\n'), 403);
  assert.is(await put('Origin: http://evil.test\r\nX-Forwarded-Host: evil.test\r\n'), 403);
  assert.is(await put('Origin: http://oo.test:11337\r\nSec-Fetch-Site: same-origin\r\n'), 401);
  assert.is(await put(''), 401);
  assert.is((JSON.parse((await ask(port, get('/'))).text) as { name: string }).name, 'oo');
});

builtIn('its connections are used again', async () => {
  const server = await startBuiltIn(({ url }, response) => response.end(url));
  const { port, edge } = await startServicePort({}, { builtInSocket: server.socketPath });
  const client = connect(port);
  for (let i = 0; i < 5; i++) {
    client.send(get(`/v1/${i}`));
    assert.is((await client.response()).text, `/v1/${i}`);
  }
  assert.is((await ask(port, get('/v1/other'))).text, '/v1/other');
  assert.is(server.accepted(), 1);
  assert.is(edge.upstreams.size, 1);
});

builtIn('bodies of 10 MB, there and back', async () => {
  const server = await startBuiltIn(async (request, response) => {
    response.end(await bodyOf(request));
  });
  const { port } = await startServicePort({}, { builtInSocket: server.socketPath });
  const body = Buffer.alloc(10 * 1024 * 1024, 'abcdefghi');
  const answer = await fetch(`http://127.0.0.1:${port}/v1/routes`, { method: 'PUT', body });
  assert.ok(body.equals(Buffer.from(await answer.arrayBuffer())));
});

builtIn('pipelined requests over services and own paths are answered in order', async () => {
  const origin = await startOrigin(echoLine);
  const server = await startBuiltIn(({ url }, response) => void setTimeout(() => response.end(`main ${url}`), 5));
  const { port } = await startServicePort({ a: [origin.target] }, { builtInSocket: server.socketPath });
  const paths = ['/v1/1', '/a/2', '/nobody/3', '/v1/4', '/a/5', '/'];
  const client = connect(port).send(paths.map((path) => get(path)).join(''));
  for (const path of paths) {
    const { status, text } = await client.response();
    if (path.startsWith('/a/')) assert.is(text, `GET ${path} HTTP/1.1`);
    else if (path.startsWith('/nobody')) assert.is(status, 404);
    else assert.is(text, `main ${path}`);
  }
});

builtIn('while the main process is away: an explained 502, and services work on; it is back at once', async () => {
  const origin = await startOrigin(echoLine);
  const server = await startBuiltIn((_, response) => response.end('main'));
  const { port, errors } = await startServicePort({ a: [origin.target] }, { builtInSocket: server.socketPath });
  assert.is((await ask(port, get('/v1/x'))).text, 'main');
  server.close();
  const answer = await ask(port, get('/v1/x'));
  assert.is(answer.status, 502);
  assert.is(answer.get('x-oo-code'), 'OO_CONNECT_FAILED');
  assert.not.match(answer.text, 'built-in.sock');
  assert.match(
    errors[0],
    /^502 OO_CONNECT_FAILED route=built-in instance=unix:\S+built-in\.sock .* connect ENOENT .*built-in\.sock/,
  );
  assert.is((await ask(port, get('/a/x'))).status, 200);
  await startBuiltIn((_, response) => response.end('again'), server.socketPath);
  assert.is((await ask(port, get('/v1/x'))).text, 'again');
});

builtIn('without a socket its paths are answered 503, and are never a service', async () => {
  const origin = await startOrigin(echoLine);
  const { port } = await startServicePort({ v1: [origin.target] });
  for (const path of ['/', '/v1/x', '/healthz']) {
    const answer = await ask(port, get(path));
    assert.is(answer.get('x-oo-code'), 'OO_NO_INSTANCE', path);
    assert.is(answer.get('retry-after'), '1', path);
  }
  assert.is(origin.text, '');
});

builtIn.run();
