import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type Origin, startOrigin } from '../helpers/origin.ts';
import { type ServicePort, startBuiltIn, startServicePort } from '../helpers/service-port.ts';

const attacks = suite('service port: attacks');
attacks.after.each(cleanUp);

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`;

interface Guarded extends ServicePort {
  /** All that has reached an instance, or the main process. */
  reached(): string;
  readonly origin: Origin;
}

/** A service `user-svc`, one `other`, and the main process; each request's path that gets to any of them is told. */
async function start(): Promise<Guarded> {
  const origin = await startOrigin(echoLine);
  const other = await startOrigin(echoLine);
  let main = '';
  const server = await startBuiltIn(({ method, url }, response) => {
    main += `${method} ${url}\n`;
    response.end('main');
  });
  const services = { 'user-svc': [origin.target], other: [other.target] };
  const edge = await startServicePort(services, { builtInSocket: server.socketPath });
  return { ...edge, origin, reached: () => origin.text + other.text + main };
}

attacks('a path with two readings of its first segment reaches nobody', async () => {
  const { port, reached } = await start();
  const paths = [
    '/user-svc/../other',
    '/user-svc/../v1/routes',
    '//user-svc',
    '//v1/routes',
    '/user-svc%2fx',
    '/%75ser-svc',
  ];
  paths.push(
    '/user-svc%2f..%2fother',
    '/user-svc/%2e%2e/other',
    '/user-svc/..;/other',
    '/user-svc;x/../other',
    '/;/user-svc',
  );
  paths.push(
    '/user-svc/.%2e/v1',
    '/%2e/user-svc',
    '/./user-svc',
    '/user-svc\\..\\other',
    '/user-svc%5c..',
    '/x%00/user-svc',
  );
  paths.push(
    '/%2Fuser-svc',
    '/%76%31/routes',
    '/v1%2Froutes',
    '/v1;x/routes',
    '/%2f',
    '//',
    '///',
    '/user-svc%3Fx',
    '/%',
  );
  for (const path of paths) {
    const answer = await ask(port, get(path));
    assert.is(`${path} ${answer.status}`, `${path} 400`);
    assert.is(reached(), '', path);
  }
  for (const path of ['/USER-SVC/x', '/User-Svc', '/user-svc.', '/V1/routes', '/user-svc:1', '/user_svc', '/HEALTHZ'])
    assert.is((await ask(port, get(path))).status, 404, path);
  assert.is(reached(), '');
});

attacks('absolute targets are read as on the edge', async () => {
  const { port, reached } = await start();
  const absolute = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
  assert.is((await ask(port, absolute('http://b.test/user-svc/x?y'))).text, 'GET /user-svc/x?y HTTP/1.1');
  assert.match(reached(), /\r\nHost: b\.test\r\n/i);
  assert.is((await ask(port, absolute('http://user-svc/other'))).text, 'GET /other HTTP/1.1');
  const before = reached();
  for (const target of [
    'http://a@b.test/user-svc',
    'http:///user-svc',
    'ftp://b.test/user-svc',
    'user-svc',
    'http://b.test//user-svc',
  ])
    assert.is((await ask(port, absolute(target))).status, 400, target);
  // What is meant for https is not answered over plain HTTP (RFC 9110 §7.4).
  assert.is((await ask(port, absolute('https://b.test/user-svc'))).status, 421);
  assert.is(reached(), before);
});

attacks('OPTIONS * is ours; TRACE and CONNECT go nowhere', async () => {
  const { port, reached } = await start();
  const options = await ask(port, 'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n');
  assert.is(options.status, 204);
  assert.match(options.get('allow') ?? '', 'GET');
  for (const path of ['/user-svc', '/v1/routes', '/'])
    assert.is((await ask(port, `TRACE ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`)).status, 405, path);
  for (const target of ['a.test:443', 'user-svc:80', '127.0.0.1:1'])
    assert.is((await ask(port, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`)).status, 405, target);
  assert.is(reached(), '');
});

attacks(
  'two lengths, a length with chunks, bad chunks: refused before anything is sent, and the connection ends',
  async () => {
    const { port, reached } = await start();
    const heads = [
      'Content-Length: 5\r\nTransfer-Encoding: chunked',
      'Content-Length: 5\r\nContent-Length: 6',
      'Content-Length: +5',
    ];
    heads.push('Transfer-Encoding: xchunked', 'Transfer-Encoding: chunked, identity', 'Transfer-Encoding : chunked');
    for (const head of heads) {
      for (const path of ['/user-svc', '/v1/routes']) {
        const client = connect(port).send(
          `POST ${path} HTTP/1.1\r\nHost: a.test\r\n${head}\r\n\r\n0\r\n\r\n${get('/user-svc/hidden')}`,
        );
        const { status } = await client.response();
        assert.ok(status === 400 || status === 501, `${head}: ${status}`);
        await client.gone();
        assert.is(client.text, '', head);
      }
    }
    assert.is(reached(), '');
  },
);

attacks('the body of a request to nobody is not read as a request', async () => {
  const { port, reached } = await start();
  const hidden = get('/user-svc/hidden');
  for (const path of ['/nobody', '/user-svc/../other']) {
    const client = connect(port).send(
      `POST ${path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
    );
    const { status } = await client.response();
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    await client.gone();
    assert.is(client.text, '', path);
  }
  assert.is(reached(), '');
});

attacks('unknown services leave nothing behind', async () => {
  const { port, edge, reached } = await start();
  const client = connect(port);
  const before = edge.pools.instances.size;
  for (let i = 0; i < 500; i++) {
    client.send(`GET /unknown-${i}/x HTTP/1.1\r\nHost: h${i}.test\r\n\r\n`);
    assert.is((await client.response()).status, 404);
  }
  assert.is(edge.pools.instances.size, before);
  assert.is(edge.upstreams.size, 0);
  assert.is((edge.hosts.http as unknown as { known: Map<string, unknown> }).known.size, 0);
  assert.is(reached(), '');
});

attacks.run();
