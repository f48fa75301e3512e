import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/index.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { front } from '../helpers/front.ts';
import { basic, cheapHash } from '../helpers/passwords.ts';
import { askPortable, closeOrigins, type Got, origin, portable } from '../helpers/portable.ts';
import { startEdge } from '../helpers/proxy.ts';

const parity = suite('the portable proxy and the edge');
parity.after.each(async () => {
  closeOrigins();
  await cleanUp();
});

/** What runtimes say of themselves, of connections, and of chance. */
const ours =
  /^(?:accept|accept-encoding|accept-language|connection|content-length|date|host|keep-alive|sec-fetch-.*|transfer-encoding|user-agent|via|x-request-id)$/;
const chance = /request [0-9a-z-]{12,}|"requestId":"[^"]*"|[0-9a-f]{8}-[0-9a-f-]{27}/g;

/** Lines of one name are one value, but for cookies. */
function fieldsOf(fields: Iterable<readonly [string, string]>): string[] {
  const values = new Map<string, string>();
  const lines: string[] = [];
  for (const [name, value] of fields) {
    const key = name.toLowerCase();
    if (ours.test(key)) continue;
    if (key === 'set-cookie') lines.push(`set-cookie: ${value}`);
    else values.set(key, values.has(key) ? `${values.get(key)}, ${value}` : value);
  }
  return [...lines, ...[...values].map(([name, value]) => `${name}: ${value}`)].sort();
}

const gotOf = ({ method, url, raw, body }: Got) => {
  const pairs = raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]] as [string, string]] : []));
  // fetch says them with If-None-Match.
  const more = ['cache-control: no-cache', 'pragma: no-cache'];
  return [method, url, body, ...fieldsOf(pairs).filter((line) => !more.includes(line))];
};

const hour = 3_600_000;
/** Each is a route of the host that it names. */
const routes = (target: string, auth: string, dead: string): Route[] => [
  { id: 'maintenance', target, maintenance: { message: 'Soon <b>', retryAfterSeconds: 7, allow: ['10.0.0.0/8'] } },
  { id: 'access', target, access: { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.6.0.0/16'] } },
  { id: 'rate', target, rateLimit: { requests: 2, perMs: hour } },
  { id: 'cors', target: dead, cors: { origins: ['https://*.a.example'], credentials: true, exposeHeaders: ['X-A'] } },
  { id: 'password', target, basicAuth: { realm: 'in', users: { ann: cheapHash('a') } }, cors: true },
  { id: 'forward', target, forwardAuth: { url: auth, sendHeaders: ['X-T'], copyHeaders: ['Remote-User'] } },
  { id: 'redirect/old', redirect: { to: 'https://b.example', status: 301, keepPath: true } },
  {
    id: 'respond',
    respond: { status: 418, body: 'tea', headers: { 'X-A': 'b', Vary: 'X' } },
    cors: { origins: ['https://x.a.example'] },
  },
  { id: 'strip/app', target: `${target}/base`, stripPrefix: true, addPrefix: '/v2' },
  {
    ...{ id: 'fields', target },
    requestHeaders: {
      remove: ['cookie'],
      set: { 'X-All': '{client.ip} {host} {scheme} {method} {path} {uri} {route}' },
    },
    responseHeaders: { remove: ['x-powered-by'], set: { 'X-P': '{path}' }, add: { 'Set-Cookie': 'o=1' } },
    cors: true,
  },
  { id: 'gzip', target, compress: { codings: ['gzip'], minBytes: 10 } },
];

const origins = { origin: 'https://x.a.example' };
const evil = { origin: 'https://a.example.evil' };
const preflight = { ...origins, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-a' };
const authorization = (user: string, password: string) => ({ authorization: basic(user, password).slice(15, -2) });
type Sent = [host: string, path: string, headers?: Record<string, string>, method?: string];
const requests: Sent[] = [
  ...['10.1.1.1', '10.6.1.1', 'fd00::1', '8.8.8.8', '10.1.1.1, 8.8.8.8', '8.8.8.8, 10.1.1.1', 'junk', ''].flatMap(
    (chain): Sent[] => [
      ['access', '/', { 'x-forwarded-for': chain }],
      ['maintenance', '/', { 'x-forwarded-for': chain, accept: 'application/json' }],
      ['fields', '/', { 'x-forwarded-for': chain, 'x-forwarded-host': 'pub.test', 'x-forwarded-proto': 'https' }],
    ],
  ),
  ['maintenance', '/', { accept: 'text/html' }, 'HEAD'],
  ...['1.1.1.1', '1.1.1.1', '1.1.1.1', '1.1.1.2', '2001:db8::1', '2001:db8::2', '2001:db8::3'].map(
    (from): Sent => ['rate', '/', { 'x-forwarded-for': from }],
  ),
  ...[origins, evil, {}, preflight, { ...preflight, ...evil }].flatMap(
    (headers): Sent[] =>
      [
        ...[
          ['cors', '/', headers],
          ['cors', '/', headers, 'OPTIONS'],
          ['password', '/', headers, 'OPTIONS'],
        ],
        ...[
          ['fields', '/c', headers],
          ['respond', '/', headers],
          ['respond', '/', headers, 'OPTIONS'],
        ],
      ] as Sent[],
  ),
  ['password', '/', authorization('ann', 'a')],
  ['password', '/', { ...authorization('ann', 'b'), ...origins }],
  ['password', '/', authorization('eve', 'a')],
  ['forward', '/p?q', { 'remote-user': 'root', 'x-t': '1', cookie: 'ok' }],
  ['forward', '/p?q', { 'remote-user': 'root', remote_user: 'root' }],
  ['forward', '/', { cookie: 'login', 'x-forwarded-uri': '/public' }, 'POST'],
  ...['/old', '/old/x?y=1', '/old//evil.example', '/older', '/old/%2e%2fx'].map((path): Sent => ['redirect', path]),
  ['respond', '/', {}, 'HEAD'],
  ...[
    '/app',
    '/app/',
    '/app/x%20y?z',
    '/app//evil',
    '/app/%2Fevil',
    '/%61pp/x',
    '/app;a/x',
    '/apple',
    '/app/a;b//c',
  ].map((path): Sent => ['strip', path, { 'x-forwarded-prefix': '/outer' }]),
  ['fields', '/a%0d%0ab?c', { cookie: 'a=1', 'x-all': 'theirs' }],
  ['fields', '/a', { connection: 'x-all, x-gone', 'x-gone': '1', 'x-all': 'theirs' }],
  ...['gzip', 'identity', 'gzip;q=0', 'br'].flatMap((coding): Sent[] => [
    ['gzip', '/', { 'accept-encoding': coding }],
    ['gzip', '/', { 'accept-encoding': coding }, 'HEAD'],
    ['gzip', '/304', { 'accept-encoding': coding, 'if-none-match': 'W/"v"' }],
    ['gzip', '/image', { 'accept-encoding': coding }],
  ]),
  ['nowhere', '/'],
];

parity('answer the same, and send the same on', async () => {
  const up = await origin(({ url }, res) => {
    const status = url === '/304' ? 304 : 200;
    const type = url === '/image' ? 'image/png' : 'text/plain';
    res.writeHead(status, {
      'content-type': type,
      etag: '"v"',
      'x-powered-by': 'x',
      vary: 'Accept',
      'access-control-allow-origin': '*',
    });
    res.end(status === 304 ? '' : `${url} `.repeat(500));
  });
  const server = await origin(({ headers }, res) => {
    if (headers.cookie === 'login')
      return void res.writeHead(302, { location: '/login', 'set-cookie': 'a=1' }).end('go');
    res.writeHead(200, headers.cookie === 'ok' ? { 'remote-user': 'ann' } : {}).end();
  });
  const table = routes(`http://${up.address}`, `http://${server.address}/verify`, 'http://127.0.0.1:9');
  const trust = { trustedProxies: ['127.0.0.1', '10.1.1.1'] };
  const edge = await startEdge(table, trust);
  const proxy = portable(table, trust);
  const scheme = front.tls ? 'https' : 'http';
  for (const [host, path, headers = {}, method = 'GET'] of requests) {
    const what = `${method} ${host}${path} ${JSON.stringify(headers)}`;
    // Both have come over the same scheme and port.
    const sent = { 'x-forwarded-proto': scheme, 'x-forwarded-port': '4', accept: '*/*', ...headers };
    const lines = Object.entries(sent)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    const [before, asked] = [up.got.length, server.got.length];
    const byEdge = await ask(edge.port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
    const [edgeSent, edgeAsked] = [up.got.slice(before).map(gotOf), server.got.slice(asked).map(gotOf)];
    const [next, again] = [up.got.length, server.got.length];
    const byProxy = await askPortable(proxy, `http://${host}${path}`, { method, headers: sent, from: '127.0.0.1' });
    assert.is(byProxy.status, byEdge.status, what);
    assert.equal(fieldsOf(byProxy.headers), fieldsOf(byEdge.fields), what);
    const text = Buffer.from(await byProxy.arrayBuffer())
      .toString('latin1')
      .replace(chance, '');
    if (byEdge.get('content-encoding') === undefined)
      assert.is(text, byEdge.body.toString('latin1').replace(chance, ''), what);
    assert.equal(up.got.slice(next).map(gotOf), edgeSent, what);
    assert.equal(server.got.slice(again).map(gotOf), edgeAsked, what);
  }
});

parity.run();
