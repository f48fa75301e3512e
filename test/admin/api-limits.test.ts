import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createRequestLimit } from '../../src/admin/api-limits.ts';
import { hostCheck } from '../../src/admin/own-hosts.ts';
import { createPublicApp } from '../../src/admin/public.ts';
import { callerOf, registryApps } from '../helpers/registry-server.ts';

const limits = suite('admin: limits of the service port');

limits('so many requests of one address in a minute, then none until it is over', () => {
  const clock = { now: 0 };
  const { take } = createRequestLimit(
    () => 3,
    () => clock.now,
  );
  assert.equal([take('a'), take('a'), take('a')], [0, 0, 0]);
  clock.now = 20_500;
  assert.is(take('a'), 40);
  assert.is(take('b'), 0);
  clock.now = 59_999;
  assert.is(take('a'), 1);
  clock.now = 60_000;
  assert.equal([take('a'), take('a'), take('a'), take('a')], [0, 0, 0, 60]);
});

limits('the half of an IPv6 address counts; IPv4 in IPv6 by the whole', () => {
  const { take } = createRequestLimit(
    () => 1,
    () => 0,
  );
  assert.is(take('2001:db8:0:1::1'), 0);
  assert.ok(take('2001:db8:0:1:ffff::2') > 0);
  assert.ok(take('2001:db8::1:5:6:7:8') > 0, 'the same network, written otherwise');
  assert.is(take('2001:db8:0:2::1'), 0);
  assert.equal([take('::ffff:10.0.0.1'), take('::ffff:10.0.0.2')], [0, 0]);
  assert.equal([take('::1'), take('1::')], [0, 0]);
});

limits('what it remembers is bounded: those that were silent for longest are forgotten', () => {
  const { take } = createRequestLimit(
    () => 1,
    () => 0,
  );
  take('first');
  for (let i = 0; i < 9_999; i++) take(`address ${i}`);
  assert.ok(take('first') > 0, 'still known, and now the newest');
  for (let i = 0; i < 9_999; i++) take(`other ${i}`);
  assert.ok(take('first') > 0);
  for (let i = 0; i < 10_000; i++) take(`more ${i}`);
  assert.is(take('first'), 0);
});

limits('429 with Retry-After, with a token as without; by the setting as it is now', async () => {
  const apps = await registryApps();
  let perMinute = 2;
  const open = createPublicApp({ ...apps, version: '1', requestsPerMinute: () => perMinute });
  const { token } = await apps.tokens.create({ scopes: ['admin'], slug: '' });
  const from = { 'x-forwarded-for': '192.0.2.1' };
  assert.is((await callerOf(open, token)('GET', '/v1/routes', undefined, from)).status, 200);
  assert.is((await callerOf(open)('GET', '/healthz', undefined, from)).status, 200);
  for (const holder of [token, undefined]) {
    const { status, body, headers } = await callerOf(open, holder)('GET', '/v1/routes', undefined, from);
    assert.equal([status, body.code], [429, 'OO_TOO_MANY_REQUESTS']);
    const seconds = Number(headers.get('retry-after'));
    assert.ok(seconds >= 1 && seconds <= 60, String(seconds));
  }
  assert.is(
    (await callerOf(open, token)('GET', '/v1/routes', undefined, { 'x-forwarded-for': '192.0.2.2' })).status,
    200,
  );
  perMinute = 100;
  assert.is((await callerOf(open, token)('GET', '/v1/routes', undefined, from)).status, 200);
  await apps.stop();
});

limits('our own hosts: addresses, localhost, this machine, --self-url, --api-hosts', () => {
  const isOwn = hostCheck({
    machine: 'Box',
    selfUrl: 'http://10.0.0.2:11337',
    more: ['Edge.example.com', 'oo.lan:80'],
  });
  for (const host of [
    ...[
      '127.0.0.1',
      '127.0.0.1:11337',
      '10.9.8.7:80',
      '[::1]:11337',
      'localhost:11337',
      'LOCALHOST',
      'app.localhost:1',
    ],
    ...['box:11337', 'edge.example.com', 'EDGE.example.com.:443', 'oo.lan:11337', '', undefined],
  ])
    assert.ok(isOwn(host), host);
  for (const host of [
    ...[
      'evil.example',
      'evil.example:11337',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'edge.example.com.evil',
    ],
    ...[
      'a@127.0.0.1',
      'evil.example/127.0.0.1',
      'evil.example#127.0.0.1',
      '127.0.0.1 evil',
      'x.edge.example.com',
      'box.evil',
    ],
  ])
    assert.not.ok(isOwn(host), host);
  assert.ok(hostCheck({ selfUrl: 'https://oo.example.com:8443' })('oo.example.com:1'));
});

limits('a rebound host gets nothing without a valid token: 421, and everything with one', async () => {
  const { open, tokens, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['routes:read'], slug: '' });
  const rebound = { host: 'evil.example:11337' };
  for (const path of ['/', '/v1/routes', '/registry-svc/instances', '/openapi.json', '/docs'])
    for (const holder of [undefined, `oo_${'x'.repeat(43)}`]) {
      const { status, body, headers } = await callerOf(open, holder)('GET', path, undefined, rebound);
      assert.equal([status, body.code], [421, 'OO_HOST_REFUSED'], path);
      assert.match(body.hint, '--api-hosts');
      assert.is(headers.get('access-control-allow-origin'), null);
    }
  assert.is((await callerOf(open)('GET', '/healthz', undefined, rebound)).status, 200);
  assert.is((await callerOf(open, token)('GET', '/v1/routes', undefined, { host: 'edge.example.com' })).status, 200);
  assert.is((await callerOf(open)('GET', '/v1/routes', undefined, { host: '127.0.0.1:11337' })).status, 401);
  await stop();
});

limits("behind a proxy that ends TLS, this server's own page is none of another site", async () => {
  const { open, tokens, stop } = await registryApps();
  const { token } = await tokens.create({ scopes: ['routes:read'], slug: '' });
  const status = async (headers: Record<string, string>) =>
    (await callerOf(open, token)('GET', '/v1/routes', undefined, { host: 'edge.example.com', ...headers })).status;
  assert.is(await status({ origin: 'https://edge.example.com', 'sec-fetch-site': 'same-origin' }), 200);
  assert.is(await status({ origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }), 403);
  assert.is(await status({ origin: 'https://edge.example.com' }), 403, 'a browser that does not say so');
  await stop();
});

limits.run();
