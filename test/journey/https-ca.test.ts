import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type AcmeFront, type FrontRequest, problem, startAcmeFront } from '../helpers/acme-front.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { type Pebble, startPebble } from '../helpers/pebble.ts';
import { sleep } from '../helpers/wait.ts';
import { acmeFlags, fetched, newHost } from './https.ts';
import { pemFile, shake } from './https-clients.ts';
import { freePort, type Server, serve } from './oo.ts';
import { startUpstream, type Upstream } from './upstream.ts';

// What a public CA says and pebble does not: renewal windows, profiles, CAA, rate limits. And certificates at the first visit.
const ca = suite('a CA with a will of its own');

const dayMs = 86_400_000;
let pebble: Pebble;
let front: AcmeFront;
let server: Server;
let app: Upstream;
let caFile: string;
let ask: string;
/** Names that the ask URL was asked for, and the ones that it says yes to. */
const asked: string[] = [];
const allowed = new Set<string>();
let windowOf: (id: string) => { start: Date; end: Date; explanationUrl?: string; retryAfter?: string };
let fault: (request: FrontRequest) => ReturnType<typeof problem> | undefined;

ca.before(async () => {
  app = await startUpstream('app');
  const asking = createServer((request, response) => {
    const name = new URL(request.url ?? '/', 'http://x').searchParams.get('domain') ?? '';
    asked.push(name);
    response.writeHead(allowed.has(name) ? 200 : 403).end();
  });
  await new Promise<void>((resolve) => asking.listen(0, '127.0.0.1', resolve));
  closeLater(asking);
  ask = `http://127.0.0.1:${(asking.address() as AddressInfo).port}/allowed`;
  const [port, httpsPort] = [await freePort(), await freePort()];
  pebble = await startPebble({ httpPort: port, tlsPort: httpsPort });
  front = await startAcmeFront(pebble, {
    renewal: (id) => windowOf(id),
    profiles: { shortlived: 'six days', tlsserver: 'ninety days' },
    fault: (request) => fault(request),
  });
  caFile = pemFile(await pebble.root());
  const demand = ['--on-demand-ask', ask, '--on-demand-limit', '2'];
  server = await serve({ port, httpsPort, flags: [...acmeFlags(front), '--acme-profile', 'shortlived', ...demand] });
});

ca.before.each(() => {
  windowOf = () => ({ start: new Date(Date.now() + 30 * dayMs), end: new Date(Date.now() + 31 * dayMs) });
  fault = () => undefined;
});

ca.after(async () => {
  const { code } = await server.stop().finally(cleanUp);
  front.close();
  pebble.close();
  assert.is(code, 0);
});

async function save(id: string): Promise<void> {
  await server.ok('route', 'save', '--id', id, '--target', app.target);
}

// biome-ignore lint/suspicious/noExplicitAny: JSON
async function detail(host: string): Promise<any> {
  return JSON.parse((await server.ok('cert', 'get', host, '-o', 'json')).out);
}

async function failed(host: string): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if ((await detail(host)).lastFailure !== null) return;
    await sleep(100);
  }
  throw new Error(`${host} has not failed: ${server.err()}`);
}

ca('an order names the profile that was asked for', async () => {
  const host = newHost();
  await save(host);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  const order = front.orders().find(({ identifiers }) => JSON.stringify(identifiers).includes(host));
  assert.is(order?.profile, 'shortlived');
});

ca('renewal is planned in the window that the CA says, and the new order says what it replaces', async () => {
  const [start, end] = [new Date(Date.now() + 3 * dayMs), new Date(Date.now() + 4 * dayMs)];
  windowOf = () => ({ start, end });
  const host = newHost();
  await save(host);
  await fetched(`https://${host}/`, server.httpsPort, caFile);
  let renewAt = 0;
  for (let i = 0; i < 100 && !(renewAt >= start.getTime() && renewAt <= end.getTime()); i++) {
    await sleep(100);
    renewAt = Date.parse((await detail(host)).renewAt);
  }
  assert.ok(renewAt >= start.getTime() && renewAt <= end.getTime(), new Date(renewAt).toISOString());
  await server.ok('cert', 'renew', host);
  const orders = front.orders().filter(({ identifiers }) => JSON.stringify(identifiers).includes(host));
  assert.is(orders.length, 2);
  assert.is(orders[0].replaces, undefined);
  assert.match(`${orders[1].replaces}`, /^[\w-]+\.[\w-]+$/);
});

for (const [what, status, type, said, headers] of [
  ['CAA', 403, 'caa', 'CAA record for HOST prevents issuance', {}],
  ['a rate limit', 429, 'rateLimited', 'too many certificates already issued', { 'retry-after': '7200' }],
] as const) {
  ca(`${what} that forbids is explained, with what to do and when it tries again`, async () => {
    const host = newHost();
    fault = ({ resource, payload }) =>
      resource === 'newOrder' && JSON.stringify(payload).includes(host)
        ? problem(status, type, said.replace('HOST', host), headers)
        : undefined;
    await save(host);
    await failed(host);
    const known = await detail(host);
    assert.is(known.lastFailure.problem, type);
    assert.ok(known.lastFailure.hint.length > 10, known.lastFailure.hint);
    const { out } = await server.ok('cert', 'get', host);
    assert.match(out, said.replace('HOST', host));
    if (status === 429) assert.ok(Date.parse(known.nextTryAt) > Date.now() + 7_000_000, known.nextTryAt);
    assert.match(server.err(), new RegExp(`certificate ${host}: .*${said.replace('HOST', host)}`));
  });
}

ca('at the first visit: only names that the ask URL says yes to, and so many an hour', async () => {
  const zone = newHost();
  await save(`*.${zone}`);
  const [good, second, third, bad] = ['good', 'second', 'third', 'bad'].map((name) => `${name}.${zone}`);
  for (const name of [good, second, third]) allowed.add(name);
  const page = await fetched(`https://${good}/`, server.httpsPort, caFile, 20_000);
  assert.is(page.body, 'app');
  assert.is(asked.filter((name) => name === good).length, 1, 'asked once');
  const refused = await shake(bad, { port: server.httpsPort }).catch((error) => error);
  assert.match(refused.message, /unrecognized name/i);
  assert.ok(asked.includes(bad));
  await fetched(`https://${second}/`, server.httpsPort, caFile, 20_000);
  const over = await shake(third, { port: server.httpsPort }).catch((error) => error);
  assert.match(over.message, /unrecognized name/i, 'the limit of two an hour');
  // Nobody asks for what no route serves.
  await shake('nobody.example.net', { port: server.httpsPort }).catch(() => {});
  assert.not.ok(asked.includes('nobody.example.net'));
});

ca.run();
