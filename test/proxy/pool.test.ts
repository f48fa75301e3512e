import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProxy, type ProxyApp, type ProxyFailure, type ProxyOptions, type Route } from '../../src/index.ts';

const pools = suite('proxy: several targets');
const closers: (() => void)[] = [];
pools.after.each(() => {
  for (const close of closers.splice(0)) close();
});

type Options = Partial<ProxyOptions> & Omit<Partial<Route>, 'id'>;

/** Those under way. As with a real fetch, garbage collection must not take one with its signal, which its abort would then never reach. */
const held = new Set<Request>();

/** A proxy of one route, whose targets are functions by host; and how often each was asked. */
function faked(answers: Record<string, (request: Request) => Response | Promise<Response>>, options: Options) {
  const { fetch: _, now, random, hooks, clientIp, routes: __, trustedProxies: ___, ...route } = options;
  const asked: string[] = [];
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    const request = new Request(url as string, init as RequestInit);
    const { host } = new URL(request.url);
    asked.push(host);
    held.add(request);
    try {
      return await answers[host](request);
    } finally {
      held.delete(request);
    }
  };
  const target = Object.keys(answers).map((host) => `http://${host}`);
  const proxy = createProxy({
    routes: [{ id: 'app.test', target, ...route }],
    ...{ fetch: fetch as typeof globalThis.fetch, now, random, hooks, clientIp },
  });
  return { proxy, asked, times: (host: string) => asked.filter((one) => one === host).length };
}

function get(proxy: ProxyApp, path = '/', init: RequestInit = {}): Promise<Response> {
  return proxy.fetch(new Request(`http://app.test${path}`, { signal: AbortSignal.timeout(5_000), ...init }));
}

const ok = () => new Response('ok');
const refused = () => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) });
};
const reset = () => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error('gone'), { code: 'ECONNRESET' }) });
};

pools('weights hold within 5 % over 10,000 requests, for each policy', async () => {
  for (const policy of ['power-of-two', 'least-requests', 'round-robin', 'random'] as const) {
    const target = [
      { url: 'http://a', weight: 5 },
      { url: 'http://b', weight: 3 },
      { url: 'http://c', weight: 2 },
    ];
    const { proxy, times } = faked({ a: ok, b: ok, c: ok }, { target, balance: policy, now: () => 1 });
    for (let i = 0; i < 10_000; i++) await get(proxy);
    for (const [host, share] of [
      ['a', 5_000],
      ['b', 3_000],
      ['c', 2_000],
    ] as const)
      assert.ok(Math.abs(times(host) - share) < share * 0.05, `${policy}: ${host} got ${times(host)} of ${share}`);
  }
});

pools('a weight of 0 gets nothing; where all are drained it is 503', async () => {
  const target = [{ url: 'http://a', weight: 0 }, { url: 'http://b' }];
  const { proxy, times } = faked({ a: ok, b: ok }, { target });
  for (let i = 0; i < 20; i++) await get(proxy);
  assert.equal([times('a'), times('b')], [0, 20]);
  const drained = faked({ a: ok }, { target: [{ url: 'http://a', weight: 0 }] });
  const response = await get(drained.proxy);
  assert.equal([response.status, response.headers.get('x-oo-code')], [503, 'OO_NO_INSTANCE']);
  assert.is(response.headers.get('retry-after'), '1');
});

pools('priorities: the second group is only for retries while the first is there', async () => {
  const target = ['http://a', { url: 'http://b', priority: 1 }];
  const { proxy, times } = faked({ a: ok, b: ok }, { target });
  for (let i = 0; i < 20; i++) await get(proxy);
  assert.equal([times('a'), times('b')], [20, 0]);
});

for (const [by, given, clientIp] of [
  ['header:x-user', (i: number) => ({ headers: { 'x-user': `u${i}` } }), undefined],
  ['cookie:user', (i: number) => ({ headers: { cookie: `a=b; user=u${i}` } }), undefined],
  ['ip', () => ({}), '10.0.0.'],
] as const) {
  pools(`hash by ${by}: the same value, the same target`, async () => {
    let client = 0;
    const own = clientIp === undefined ? {} : { clientIp: () => `${clientIp}${client}` };
    const { proxy, asked } = faked({ a: ok, b: ok, c: ok }, { balance: { policy: 'hash', by }, ...own });
    for (let round = 0; round < 3; round++)
      for (client = 0; client < 30; client++) await get(proxy, '/', given(client));
    assert.equal(asked.slice(0, 30), asked.slice(30, 60));
    assert.equal(asked.slice(0, 30), asked.slice(60));
    assert.is(new Set(asked).size, 3);
  });
}

pools('a target that can’t be reached: another one is asked, whatever the method and body', async () => {
  const { proxy, times } = faked({ a: refused, b: (request) => request.text().then((text) => new Response(text)) }, {});
  for (let i = 0; i < 5; i++) {
    assert.is((await get(proxy)).status, 200);
    assert.is((await get(proxy, '/', { method: 'DELETE' })).status, 200);
  }
  assert.ok(times('a') > 0 && times('b') === 10);
});

pools('a target that closes: idempotent ones go to another, others are 502', async () => {
  const target = ['http://a', { url: 'http://b', priority: 1 }];
  const { proxy, times } = faked({ a: reset, b: ok }, { target });
  assert.is((await get(proxy)).status, 200);
  const post = await get(proxy, '/', { method: 'POST' });
  assert.equal([post.status, post.headers.get('x-oo-code')], [502, 'OO_UPSTREAM_CLOSED']);
  assert.equal([times('a'), times('b')], [2, 1]);
});

pools('retry: false asks once, tries as often as it says, each target once before any twice', async () => {
  const once = faked({ a: refused, b: refused }, { retry: false });
  assert.is((await get(once.proxy)).status, 502);
  assert.is(once.asked.length, 1);
  const four = faked({ a: refused, b: refused, c: refused, d: refused }, { retry: { tries: 4 } });
  assert.is((await get(four.proxy)).status, 502);
  assert.equal([...four.asked].sort(), ['a', 'b', 'c', 'd']);
});

pools('a budget bounds what retries add', async () => {
  const { proxy, asked } = faked({ a: refused, b: refused }, { retry: { tries: 3 }, now: () => 5 });
  for (let i = 0; i < 200; i++) await get(proxy);
  // A fifth of the requests, and what is saved up for a start.
  assert.ok(asked.length <= 200 + 40 + 20, String(asked.length));
  assert.ok(asked.length > 230, String(asked.length));
});

pools('a try’s own time over: another target answers; the route’s time over: 504', async () => {
  const silent = (request: Request) =>
    new Promise<Response>((_, reject) => {
      request.signal.addEventListener('abort', () => reject(request.signal.reason));
    });
  const target = ['http://a', { url: 'http://b', priority: 1 }];
  const { proxy, asked } = faked({ a: silent, b: ok }, { target, retry: { tryTimeoutMs: 30 } });
  assert.is((await get(proxy)).status, 200);
  assert.equal(asked, ['a', 'b']);
  const late = faked({ a: silent, b: ok }, { target, responseTimeoutMs: 30 });
  const response = await get(late.proxy);
  assert.equal([response.status, response.headers.get('x-oo-code')], [504, 'OO_UPSTREAM_TIMEOUT']);
  assert.equal(late.asked, ['a']);
});

pools('a target that fails fast is picked less often than one that answers', async () => {
  let now = 0;
  const failing = () => new Response('no', { status: 503 });
  const { proxy, times } = faked({ a: failing, b: ok }, { now: () => now++ });
  for (let i = 0; i < 300; i++) await get(proxy);
  assert.ok(times('a') < 100, String(times('a')));
});

pools('real targets: their base paths and Hosts, and one that is down', async () => {
  const seen: string[] = [];
  const addresses: string[] = [];
  for (let i = 0; i < 2; i++) {
    const server = http.createServer((req, res) => {
      seen.push(`${i}${req.url} ${req.headers.host}`);
      res.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const down = net.createServer().listen(0, '127.0.0.1');
  await once(down, 'listening');
  const { port } = down.address() as AddressInfo;
  down.close();
  await once(down, 'close');
  const target = [`http://${addresses[0]}/zero`, `http://${addresses[1]}/one`, `http://127.0.0.1:${port}`];
  const proxy = createProxy({
    routes: [{ id: 'app.test', target, balance: 'round-robin', hostHeader: 'upstream' }],
  });
  for (let i = 0; i < 12; i++) assert.is((await get(proxy, '/x?y')).status, 200);
  const expected = new Set([`0/zero/x?y ${addresses[0]}`, `1/one/x?y ${addresses[1]}`]);
  assert.equal(new Set(seen), expected);
  assert.is(seen.length, 12);
});

pools('a canary: by percent, by header, and a failing one harms no safe request', async () => {
  const canary = { target: 'http://new', percent: 20, header: 'x-beta=yes' };
  const answers = { old: ok, new: ok };
  const { proxy, times } = faked(answers, { target: 'http://old', rollout: { canary } });
  for (let i = 0; i < 10_000; i++) await get(proxy);
  assert.ok(Math.abs(times('new') - 2_000) < 250, String(times('new')));
  const before = times('new');
  for (let i = 0; i < 10; i++) await get(proxy, '/', { headers: { 'x-beta': 'yes' } });
  assert.is(times('new'), before + 10);
  const broken = faked(
    { old: ok, new: refused },
    { target: 'http://old', rollout: { canary: { target: 'http://new', header: 'x-beta' } } },
  );
  assert.is((await get(broken.proxy, '/', { headers: { 'x-beta': 'any' } })).status, 200);
  assert.equal(broken.asked, ['new', 'old']);
  await get(broken.proxy);
  assert.equal(broken.asked, ['new', 'old', 'old']);
});

pools('a stop gives its message, a pause 503, both without a word to the target; an end opens it', async () => {
  let now = 1_000;
  const failures: ProxyFailure[] = [];
  const gate = { state: 'stopped', message: 'Back at nine.', until: 61_000 } as const;
  const { proxy, asked } = faked(
    { a: ok },
    { rollout: { gate }, now: () => now, hooks: { onFailure: (failure) => failures.push(failure) } },
  );
  const stopped = await get(proxy, '/', { headers: { accept: 'application/json' } });
  assert.equal([stopped.status, stopped.headers.get('x-oo-code')], [503, 'OO_STOPPED']);
  assert.is(stopped.headers.get('retry-after'), '60');
  assert.match(await stopped.text(), 'Back at nine.');
  assert.equal(asked, []);
  now = 61_000;
  assert.is((await get(proxy)).status, 200);
  const paused = await get(faked({ a: ok }, { rollout: { gate: { state: 'paused' } } }).proxy);
  assert.equal([paused.status, paused.headers.get('x-oo-code')], [503, 'OO_PAUSED']);
});

pools('an update: what is known of targets that stay stays, those that left get nothing', async () => {
  let now = 0;
  let slowest = 50;
  const slow = () => {
    now += slowest;
    return new Response('ok');
  };
  const { proxy, asked } = faked({ a: slow, b: ok }, { now: () => now });
  for (let i = 0; i < 40; i++) await get(proxy);
  slowest = 0;
  asked.length = 0;
  proxy.update([{ id: 'app.test', target: ['http://a', 'http://b'], maxBodyBytes: 5 }]);
  for (let i = 0; i < 20; i++) await get(proxy);
  assert.ok(asked.filter((host) => host === 'a').length < 5, 'it is still known as slow');
  asked.length = 0;
  proxy.update([{ id: 'app.test', target: ['http://b'] }]);
  for (let i = 0; i < 10; i++) await get(proxy);
  assert.equal(new Set(asked), new Set(['b']));
});

for (const [name, route, expected] of [
  [
    'a service',
    { target: 'service://user-svc' },
    /'app\.test' has the target 'service:\/\/user-svc': nothing registers here, use the edge/,
  ],
  ['a service as canary', { target: 'http://a', rollout: { canary: { target: 'service://b' } } }, /service:\/\/b/],
  ['h2c in a list', { target: ['http://a', 'h2c://b:1'] }, /'h2c:\/\/b:1': fetch can't speak h2c, use the edge/],
  ['h2c as canary', { target: 'http://a', rollout: { canary: { target: 'h2c://b' } } }, /can't speak h2c/],
  ['a bad option', { target: 'http://a', balance: 'fastest' }, /balance is 'fastest'; expected/],
] as [string, Omit<Route, 'id'>, RegExp][]) {
  pools(`refused: ${name}`, () => {
    assert.throws(
      () => createProxy({ routes: [{ id: 'app.test', ...route }] }),
      (error: unknown) => {
        assert.instance(error, TypeError);
        return expected.test((error as Error).message);
      },
    );
  });
}

pools.run();
