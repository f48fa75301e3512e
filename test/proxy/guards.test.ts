import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, routeOptions } from '../../src/index.ts';
import { askPortable as ask, closeOrigins, type Init, origin, portable } from '../helpers/portable.ts';

const guard = suite('guards of the portable proxy');
guard.after.each(closeOrigins);

const hour = 3_600_000;
const codeOf = (response: Response) => response.headers.get('x-oo-code');
const users = { a: '$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA' };

guard('maintenance: 503 in the form that is asked for, but for those who are let through', async () => {
  const up = await origin();
  const maintenance = { message: 'Moving & cleaning', retryAfterSeconds: 600, allow: ['10.0.0.0/8'] };
  const proxy = portable([{ target: up.address, maintenance }]);
  const page = await ask(proxy, '/', { headers: { accept: 'text/html' } });
  assert.equal([page.status, codeOf(page), page.headers.get('retry-after')], [503, 'OO_MAINTENANCE', '600']);
  assert.match(await page.text(), /<!doctype html>[\s\S]*Moving &#38; cleaning/);
  const json = await ask(proxy, '/', { headers: { accept: 'application/json' } });
  assert.is(((await json.json()) as { error: string }).error, 'Moving & cleaning');
  assert.is(up.got.length, 0);
  assert.is((await ask(proxy, '/', { from: '10.1.2.3' })).status, 200);
  assert.is((await ask(proxy, '/', { from: '::ffff:10.1.2.3' })).status, 200);
  assert.equal(proxy.failures, [], 'it is what its owner wants');
});

guard('access: by the address that a trusted proxy tells, and by no other', async () => {
  const up = await origin();
  const access = { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.6.6.6'] };
  const routes = [{ target: up.address, access }];
  const behind = portable(routes, { trustedProxies: ['127.0.0.1'] });
  const status = async (address: string, from = '127.0.0.1') =>
    (await ask(behind, '/', { from, headers: { 'x-forwarded-for': address } })).status;
  assert.is(await status('10.1.1.1'), 200);
  assert.is(await status('fd00::7'), 200);
  for (const address of ['10.6.6.6', '11.1.1.1', '::ffff:10.6.6.6', 'unknown', '', ', ', '10.1.1.1, 11.1.1.1'])
    assert.is(await status(address), 403, address);
  // Behind two proxies of ours it is the last that is none.
  assert.is(await status('11.1.1.1, 10.1.1.1, 127.0.0.1'), 200);
  // What a stranger says counts for nothing.
  assert.is(await status('10.1.1.1', '11.1.1.1'), 403);
  assert.is(await status('11.1.1.1', '10.1.1.1'), 200);
  const open = await ask(portable(routes), '/', {
    headers: { 'x-forwarded-for': '10.1.1.1', 'x-real-ip': '10.1.1.1' },
  });
  assert.is(codeOf(open), 'OO_FORBIDDEN_ADDRESS');
  assert.not.match(await open.text(), /10\.|fd00/);
});

guard('whose address is not known is not let in where it counts, and the operator is told why', async () => {
  for (const options of [{ access: { deny: ['10.0.0.0/8'] } }, { rateLimit: { requests: 5 } }]) {
    const proxy = portable([{ respond: 'in', ...options }]);
    const answer = await proxy.fetch(new Request('http://app.test/', { headers: { 'x-forwarded-for': '1.1.1.1' } }));
    assert.equal([answer.status, codeOf(answer)], [500, 'OO_INTERNAL']);
    assert.not.match(await answer.text(), 'clientIp');
    assert.match(String(proxy.failures[0].cause), /give clientIp/);
    const told = portable([{ respond: 'in', ...options }], { clientIp: () => '192.0.2.1' });
    assert.is((await told.fetch(new Request('http://app.test/'))).status, 200);
  }
});

guard('rateLimit: so many, then 429 that says when; each address for itself', async () => {
  const now = 1_000_000;
  const rateLimit = { requests: 3, perMs: hour };
  const proxy = portable([{ respond: 'in', rateLimit }], { now: () => now });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await ask(proxy, '/')).status);
  assert.equal(statuses, [200, 200, 200]);
  // A header of nobody who is trusted makes no other client.
  const refused = await ask(proxy, '/', { headers: { 'x-forwarded-for': '8.8.8.8' } });
  assert.equal([refused.status, codeOf(refused)], [429, 'OO_RATE_LIMITED']);
  assert.is(refused.headers.get('ratelimit-policy'), '"default";q=3;w=3600');
  assert.is(refused.headers.get('retry-after'), '1200');
  assert.is(refused.headers.get('ratelimit'), '"default";r=0;t=1200');
  assert.is((await ask(proxy, '/', { from: '192.0.2.8' })).status, 200);
  // One customer has a whole /64.
  for (let i = 1; i < 4; i++) assert.is((await ask(proxy, '/', { from: `2001:db8::${i}` })).status, 200);
  assert.is((await ask(proxy, '/', { from: '2001:db8::abcd' })).status, 429);
  assert.is((await ask(proxy, '/', { from: '2001:db8:0:1::1' })).status, 200);
});

guard('rateLimit: time refills it, and a clock that is put back does not', async () => {
  let now = hour;
  const proxy = portable([{ respond: 'in', rateLimit: { requests: 1, perMs: 1_000 } }], { now: () => now });
  const status = async () => (await ask(proxy, '/')).status;
  assert.is(await status(), 200);
  now -= hour;
  assert.is(await status(), 429);
  now = hour + 1_000;
  assert.is(await status(), 200);
});

guard('rateLimit: by header, by cookie, and without it by address', async () => {
  const by = (kind: string) => ({ respond: 'in', rateLimit: { requests: 1, perMs: hour, by: kind } });
  const proxy = portable([by('header:X-Key')]);
  const status = async (headers: Record<string, string>) => (await ask(proxy, '/', { headers })).status;
  assert.is(await status({ 'x-key': 'a' }), 200);
  assert.is(await status({ 'x-key': 'b' }), 200);
  assert.is(await status({ 'X-KEY': 'a' }), 429);
  assert.is(await status({}), 200);
  assert.is(await status({ 'x-key': '' }), 429);
  // Nobody's address is somebody's key.
  assert.is(await status({ 'x-key': '192.0.2.7' }), 200);
  proxy.update([{ id: 'app.test', ...by('cookie:id') }]);
  assert.is(await status({ cookie: 'a=1; id=7' }), 200);
  assert.is(await status({ cookie: 'a=2; id=7' }), 429);
  assert.is(await status({ cookie: 'id=8' }), 200);
});

guard('rateLimit: a change of anything else does not begin the count anew; another limit does', async () => {
  const rateLimit = { requests: 1, perMs: hour };
  const proxy = portable([{ respond: 'in', rateLimit }]);
  const status = async () => (await ask(proxy, '/')).status;
  assert.is(await status(), 200);
  proxy.update([
    { id: 'app.test', respond: 'out', rateLimit },
    { id: 'b.test', target: 'h:1' },
  ]);
  assert.is(await status(), 429);
  proxy.update([{ id: 'app.test', respond: 'in', rateLimit: { ...rateLimit, burst: 2 } }]);
  assert.is(await status(), 200);
  proxy.update([{ id: 'app.test', respond: 'in' }]);
  proxy.update([{ id: 'app.test', respond: 'in', rateLimit }]);
  assert.is(await status(), 200, 'what is counted of a route goes with it');
});

guard('cors: a preflight is answered, before anybody is asked who it is', async () => {
  const up = await origin();
  const cors = { origins: ['https://app.example.com'], credentials: true };
  const proxy = portable([{ target: up.address, cors, basicAuth: { users } }]);
  const preflight = async (from: string, more = {}) => {
    const headers = { origin: from, 'access-control-request-method': 'PUT', ...more };
    return ask(proxy, '/x', { method: 'OPTIONS', headers });
  };
  const yes = await preflight('https://app.example.com', { 'access-control-request-headers': 'x-a, x-b' });
  assert.is(yes.status, 204);
  const get = (name: string) => yes.headers.get(`access-control-${name}`);
  assert.equal(
    [get('allow-origin'), get('allow-credentials'), get('allow-headers'), get('max-age')],
    ['https://app.example.com', 'true', 'x-a, x-b', '600'],
  );
  assert.match(get('allow-methods')!, /PUT/);
  assert.is(yes.headers.get('vary'), 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
  for (const other of ['https://evil.example', 'https://app.example.com.evil.example', 'null']) {
    const no = await preflight(other);
    assert.equal([no.status, no.headers.get('access-control-allow-origin')], [204, null]);
  }
  // An OPTIONS that is none goes its way: here to who asks for a password, in a form that the page can read.
  const plain = await ask(proxy, '/', { method: 'OPTIONS', headers: { origin: 'https://app.example.com' } });
  assert.is(plain.status, 401);
  assert.is(plain.headers.get('access-control-allow-origin'), 'https://app.example.com');
  assert.is(up.got.length, 0);
});

guard('redirect: the path goes along, or not, and never leads to another host', async () => {
  const proxy = portable([
    { id: 'a.test', redirect: 'https://www.a.test' },
    { id: 'a.test/old', redirect: { to: '/new', keepPath: true, status: 307 } },
    { id: 'a.test/up', redirect: { to: '/', keepPath: true } },
    { id: 'b.test', redirect: { to: 'https://c.test/page?x=1#here', status: 302 } },
  ]);
  const location = async (path: string) => (await ask(proxy, `http://${path}`)).headers.get('location');
  assert.is(await location('a.test/x/y?z=1&w'), 'https://www.a.test/x/y?z=1&w');
  assert.is(await location('a.test//evil.example'), 'https://www.a.test//evil.example');
  assert.is(await location('a.test/old'), '/new');
  assert.is(await location('a.test/old//evil.example/x?y'), '/new//evil.example/x?y');
  assert.is(await location('a.test/up//evil.example'), '/evil.example');
  assert.is(await location('a.test/up'), '/');
  assert.is(await location('b.test/any?thing'), 'https://c.test/page?x=1#here');
  const answer = await ask(proxy, 'http://a.test/old/x', { method: 'POST', body: 'x' });
  assert.equal(
    [answer.status, answer.headers.get('content-length'), answer.headers.get('content-type')],
    [307, '0', null],
  );
});

guard('respond: status, body, fields, with and without a target; HEAD gets the head', async () => {
  const respond = { status: 410, body: '{"gone":true}', contentType: 'application/json', headers: { 'X-Why': 'old' } };
  const proxy = portable([
    { respond, cors: true },
    { id: 'b.test', respond: { status: 204 } },
    { id: 'c.test', respond: { status: 299, body: 'größer' }, target: 'http://127.0.0.1:9' },
  ]);
  const gone = await ask(proxy, '/', { headers: { origin: 'https://x.example' } });
  assert.is(gone.status, 410);
  const fields = ['content-type', 'x-why', 'content-length', 'access-control-allow-origin'];
  assert.equal(
    fields.map((name) => gone.headers.get(name)),
    ['application/json', 'old', '13', '*'],
  );
  assert.is(await gone.text(), '{"gone":true}');
  const head = await ask(proxy, '/', { method: 'HEAD' });
  assert.equal([head.headers.get('content-length'), head.body], ['13', null]);
  const nothing = await ask(proxy, 'http://b.test/');
  assert.equal([nothing.status, [...nothing.headers.keys()]], [204, []]);
  const odd = await ask(proxy, 'http://c.test/', { method: 'POST', body: 'x' });
  assert.equal([odd.status, await odd.text()], [299, 'größer']);
});

guard('their order: maintenance, access, rate, password, body', async () => {
  const all = {
    ...{ id: 'app.test', respond: 'in', basicAuth: { users }, rateLimit: { requests: 1, perMs: hour } },
    ...{ access: { deny: ['192.0.2.0/24'] }, maintenance: true, maxBodyBytes: 1 },
  };
  const proxy = portable([all]);
  const init: Init = { method: 'POST', body: 'long' };
  const code = async () => codeOf(await ask(proxy, '/', init));
  assert.is(await code(), 'OO_MAINTENANCE');
  proxy.update([{ ...all, maintenance: false }]);
  assert.is(await code(), 'OO_FORBIDDEN_ADDRESS');
  proxy.update([{ ...all, maintenance: false, access: { allow: ['192.0.2.7'] } }]);
  assert.is(await code(), 'OO_UNAUTHORIZED');
  assert.is(await code(), 'OO_RATE_LIMITED');
});

guard('bad options are refused with the words of the edge, and nothing is changed', () => {
  const refused: [object, RegExp][] = [
    [{ access: { allow: ['10.0.0.0/99'] } }, /access\.allow\[0\]/],
    [{ basicAuth: { users: { a: 'secret' } } }, /is no hash of a password/],
    [{ stripPrefix: true }, /stripPrefix is true/],
    [{ mirror: 'h2c://10.0.0.9' }, /copies go over HTTP\/1\.1/],
    [{ target: undefined }, /target is missing/],
  ];
  for (const [option, expected] of refused)
    assert.throws(
      () => createProxy({ options: routeOptions, routes: [{ id: 'app.test', target: 'h:1', ...option }] }),
      (error: Error) => error instanceof TypeError && expected.test(error.message),
    );
});

guard.run();
