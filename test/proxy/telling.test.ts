import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type ProxyRoute, routeOptions } from '../../src/index.ts';
import { moody } from '../helpers/faked-upstreams.ts';

const telling = suite('what the embedded proxy tells');

const optional: Partial<ProxyRoute>[] = [
  ...[{ stripPrefix: '/a' }, { addPrefix: '/a' }, { redirect: 'https://b.test' }, { respond: 'x' }],
  ...[
    { requestHeaders: { remove: ['a'] } },
    { responseHeaders: { remove: ['a'] } },
    { compress: true },
    { cors: true },
  ],
  ...[{ basicAuth: { users: {} } }, { forwardAuth: { url: 'http://a' } }, { access: { allow: ['10.0.0.0/8'] } }],
  ...[{ rateLimit: { requests: 1 } }, { maintenance: true }, { mirror: 'http://a' }],
] as Partial<ProxyRoute>[];

telling('an option without routeOptions is refused: route, option, and what to import', () => {
  for (const option of optional) {
    const [name] = Object.keys(option);
    assert.throws(
      () => createProxy({ routes: [{ id: 'app.test', target: 'http://a', ...option }] }),
      (error: Error) =>
        error instanceof TypeError &&
        error.message ===
          `route 'app.test' has ${name}: import { routeOptions } from '@oo/proxy', and give it to createProxy as options: routeOptions`,
    );
  }
  assert.throws(
    () => createProxy({ routes: [], options: {} as never }),
    (error: Error) => error instanceof TypeError && /expected routeOptions/.test(error.message),
  );
});

telling('an update without routeOptions is refused likewise, and changes nothing', async () => {
  const { proxy, whole, ask } = moody({ a: 200 });
  assert.throws(() => proxy.update([{ ...whole, compress: true }]), /has compress: import/);
  assert.is((await ask()).status, 200);
});

telling('onResponse: who answered, after how many attempts, and how long it took', async () => {
  const { ask, exchanges, clock } = moody(
    { a: 'refused', b: 200 },
    { balance: 'round-robin' },
    {
      random: () => 0,
    },
  );
  for (let i = 0; i < 2; i++) await ask('/x');
  clock.at += 5;
  const [requestId] = exchanges.map((one) => one.requestId);
  assert.ok(requestId.length > 0);
  assert.ok(
    exchanges.every(({ target, status, route }) => target === 'http://b:80' && status === 200 && route === 'app.test'),
  );
  assert.equal(
    exchanges.map(({ attempts }) => attempts),
    [2, 2],
  );
  await ask('/y');
  assert.is(new URL(exchanges[2].request.url).pathname, '/y');
});

telling('onResponse: answers of the proxy’s own have no target', async () => {
  const { proxy, exchanges } = moody({ a: 'refused' }, { retry: false });
  await proxy.fetch(new Request('http://app.test/'));
  const none = await proxy.fetch(new Request('http://none.test/'));
  assert.equal(
    exchanges.map(({ route, target, status, attempts }) => [route, target, status, attempts]),
    [
      ['app.test', '', 502, 1],
      ['', '', 404, 0],
    ],
  );
  assert.is(none.status, 404);
});

telling('a hook that throws is left alone', async () => {
  const bad = () => {
    throw new Error('hook');
  };
  const hooks = { onResponse: bad, onFailure: bad, onHealth: bad };
  const { ask } = moody({ a: 200, b: 'refused', c: 200 }, {}, { hooks });
  for (let i = 0; i < 40; i++) assert.is((await ask()).status, 200);
  const { ask: fail } = moody({ a: 'refused' }, {}, { hooks });
  assert.is((await fail()).status, 502);
});

telling('stats: requests, retries and failures, by route and target', async () => {
  const { proxy, ask } = moody({ a: 'refused', b: 200 }, { balance: 'round-robin', outlier: false });
  for (let i = 0; i < 10; i++) await ask();
  await proxy.fetch(new Request('http://none.test/'));
  const { requests, inFlight, failures, routes } = proxy.stats();
  assert.equal([requests, inFlight, failures], [11, 0, { OO_NO_ROUTE: 1 }]);
  const { targets, ...counts } = routes['app.test'];
  assert.is(counts.requests, 10);
  assert.is(targets[0].failures, counts.retries);
  assert.is(targets[1].requests, 10);
  assert.equal(Object.keys(targets[0]).sort(), [
    'failures',
    'inFlight',
    'latencyMs',
    'requests',
    'state',
    'target',
    'weight',
  ]);
});

telling('stats: what is under way, what is drained, and what an update takes away', async () => {
  const target = ['http://a', { url: 'http://b', weight: 0 }];
  const { proxy, whole, ask } = moody({ a: 200, b: 200 }, { target });
  const asked = ask();
  assert.is(proxy.stats().inFlight, 1);
  assert.is(proxy.stats().routes['app.test'].targets[0].inFlight, 1);
  await asked;
  assert.equal(
    proxy.stats().routes['app.test'].targets.map(({ state }) => state),
    ['in use', 'drained'],
  );
  proxy.update([{ ...whole, responseTimeoutMs: 9 }]);
  await ask();
  assert.is(proxy.stats().routes['app.test'].requests, 2);
  proxy.update([]);
  assert.equal(proxy.stats().routes, {});
});

telling('explain, in brief: the route and where it would be sent, and nothing is', () => {
  const { proxy, asked } = moody({ a: 200 }, { target: 'http://a/base' });
  const said = proxy.explain(new Request('http://app.test/x?y=1'));
  assert.equal([said.route, said.code, said.url], ['app.test', '', 'http://a/base/x?y=1']);
  assert.equal(said.lines, ['GET http://app.test/x?y=1 goes to route app.test', 'http://a:80/base: in use, weight 1']);
  assert.equal([said.match, said.pool, asked], [null, null, []]);
  const none = proxy.explain(new Request('http://none.test/'));
  assert.equal([none.route, none.code, none.url], ['', 'OO_NO_ROUTE', '']);
  assert.match(none.lines[0], /404 OO_NO_ROUTE/);
  assert.equal(proxy.stats().routes, {});
});

telling('explain, in full: why, who else, and who would be picked', () => {
  const route = { balance: { policy: 'hash', by: 'header:x-user' }, stripPrefix: '/x', id: 'app.test/x' } as const;
  const { proxy } = moody({ a: 200, b: 200 }, route, { options: routeOptions });
  const drawn = proxy.explain(new Request('http://app.test/x/y'));
  assert.equal([drawn.route, drawn.url], ['app.test/x', '']);
  assert.is(drawn.pool?.members.length, 2);
  const certain = proxy.explain(new Request('http://app.test/x/y?z', { headers: { 'x-user': 'ann' } }));
  assert.match(certain.url, /^http:\/\/[ab]\/y\?z$/);
  assert.is(certain.pool?.chosen, `${certain.url.slice(0, 8)}:80`);
  const none = proxy.explain(new Request('http://app.test/y'));
  assert.is(none.match?.runnersUp[0].id, 'app.test/x');
  assert.equal(JSON.parse(JSON.stringify(certain)).match, certain.match, 'it can be sent as JSON');
  assert.ok(
    none.lines.some((line) => line.includes('app.test/x')),
    none.lines.join('\n'),
  );
});

telling('explain says what was ejected, and what is stopped', async () => {
  const { proxy, whole, times } = moody(
    { a: 200, b: 503 },
    { retry: false, balance: 'round-robin' },
    { options: routeOptions },
  );
  await times(40);
  const { pool, lines } = proxy.explain(new Request('http://app.test/'));
  assert.is(pool?.members[1].ejected?.cause, 'failures');
  assert.ok(
    lines.some((line) => line.startsWith('http://b:80: no; ejected for')),
    lines.join('\n'),
  );
  proxy.update([{ ...whole, rollout: { gate: { state: 'stopped' } } }]);
  assert.ok(proxy.explain(new Request('http://app.test/')).lines.includes('it is stopped: it answers 503'));
});

telling('explain of a handler: where it is sent is its affair', () => {
  for (const options of [undefined, routeOptions]) {
    const handler = () => new Response('x');
    const { proxy } = moody({ a: 200 }, { handler }, { options });
    const { url, lines } = proxy.explain(new Request('http://app.test/'));
    assert.is(url, '');
    assert.ok(
      lines.some((line) => line.includes('handler')),
      lines.join('\n'),
    );
  }
});

telling.run();
