import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { moody } from '../helpers/faked-upstreams.ts';

const health = suite('passive health of the embedded proxy');
const seconds = 1_000;

health('one that fails five times in a row is ejected, told of, and comes back after its time', async () => {
  const moods = { a: 200, b: 503, c: 200 };
  const { clock, health: told, times, proxy } = moody(moods, { balance: 'round-robin', retry: false });
  assert.is((await times(30)).b, 5);
  const [{ ejectedMs, ...change }, ...others] = told;
  assert.equal(change, { route: 'app.test', target: 'http://b:80', state: 'ejected', cause: 'failures' });
  assert.ok(ejectedMs >= 10 * seconds && ejectedMs <= 11 * seconds, String(ejectedMs));
  assert.equal(others, []);
  assert.equal(
    proxy.stats().routes['app.test'].targets.map(({ state }) => state),
    ['in use', 'ejected', 'in use'],
  );
  moods.b = 200;
  clock.at += 9.9 * seconds;
  assert.is((await times(9)).b, 0);
  clock.at += 2 * seconds;
  // It starts slowly.
  await times(1);
  clock.at += 60 * seconds;
  assert.is((await times(9)).b, 3);
  assert.equal(told[1], { route: 'app.test', target: 'http://b:80', state: 'back', cause: '', ejectedMs: 0 });
});

health('on probation one failure is enough, and the second time is twice as long', async () => {
  const { clock, health: told, times } = moody({ a: 200, b: 503, c: 200 }, { balance: 'round-robin', retry: false });
  await times(30);
  clock.at += 11.1 * seconds;
  await times(1);
  clock.at += 60 * seconds;
  assert.is((await times(30)).b, 1);
  assert.equal(
    told.map(({ state, cause }) => `${state} ${cause}`),
    ['ejected failures', 'back ', 'ejected probation'],
  );
});

health('three connections refused in a row eject sooner', async () => {
  const { health: told, times } = moody({ a: 200, b: 'refused', c: 200 }, { balance: 'round-robin', retry: false });
  assert.is((await times(30)).b, 3);
  assert.is(told[0].cause, 'unreachable');
});

health('retries on another target tell of the first one as well: no client sees a failure', async () => {
  const { health: told, ask } = moody({ a: 200, b: 'refused', c: 200 }, { balance: 'round-robin' });
  for (let i = 0; i < 40; i++) assert.is((await ask()).status, 200);
  assert.equal(
    told.map(({ target }) => target),
    ['http://b:80'],
  );
});

health('a target that is alone is never ejected, and half of them at the most', async () => {
  const alone = moody({ a: 503 });
  assert.equal(await alone.times(50), { a: 50 });
  assert.equal(alone.health, []);
  const all = moody({ a: 503, b: 503, c: 503, d: 503 }, { retry: false });
  await all.times(200);
  assert.is(new Set(all.health.map(({ target }) => target)).size, 2);
});

health('outlier: false ejects nobody; its settings and statuses are the route’s', async () => {
  const off = moody({ a: 200, b: 503 }, { outlier: false, retry: false });
  await off.times(60);
  assert.equal(off.health, []);
  const two = moody({ a: 200, b: 503 }, { outlier: { failures: 2 }, retry: false, balance: 'round-robin' });
  assert.is((await two.times(20)).b, 2);
  const errors = moody({ a: 200, b: 500 }, { retry: false, balance: 'round-robin' });
  await errors.times(60);
  assert.equal(errors.health, []);
  const all = moody({ a: 200, b: 500 }, { outlier: { statuses: '5xx' }, retry: false, balance: 'round-robin' });
  await all.times(60);
  assert.is(all.health.length, 1);
});

health('a client that leaves says nothing of the target', async () => {
  const leave = async (_url: string, init: RequestInit) =>
    new Promise<Response>((_, reject) => init.signal?.addEventListener('abort', () => reject(new Error('gone'))));
  const { ask, health: told, proxy } = moody({ a: 200, b: 200 }, {}, { fetch: leave as unknown as typeof fetch });
  for (let i = 0; i < 20; i++) {
    const leaving = new AbortController();
    const asked = ask('/', { signal: leaving.signal });
    leaving.abort();
    assert.is((await asked).status, 499);
  }
  assert.equal(told, []);
  const { targets } = proxy.stats().routes['app.test'];
  assert.ok(targets.every(({ failures, inFlight }) => failures === 0 && inFlight === 0));
});

health('an update keeps who is ejected; other settings begin anew', async () => {
  const moods = { a: 200, b: 503, c: 200 };
  const { proxy, whole, times } = moody(moods, { balance: 'round-robin', retry: false });
  await times(30);
  proxy.update([{ ...whole, responseTimeoutMs: 1_000 }]);
  assert.is((await times(9)).b, 0);
  proxy.update([{ ...whole, outlier: { failures: 7 } }]);
  assert.is((await times(60)).b, 7);
});

health('what a request of before an update meets counts after it', async () => {
  let fail = (): void => {};
  const fetch = (url: string) =>
    new URL(url).host === 'a'
      ? Promise.resolve(new Response('ok'))
      : new Promise<Response>((_, reject) => {
          fail = () => reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }));
        });
  const route = { balance: 'round-robin', retry: false, outlier: { unreachable: 1 } } as const;
  const { proxy, whole, ask, health: told } = moody({ a: 200, b: 200 }, route, { fetch: fetch as never });
  const both = [ask(), ask()];
  proxy.update([{ ...whole, responseTimeoutMs: 5_000 }]);
  fail();
  await Promise.all(both);
  assert.equal(
    told.map(({ target, state }) => `${target} ${state}`),
    ['http://b:80 ejected'],
  );
  assert.equal(
    proxy.stats().routes['app.test'].targets.map(({ state }) => state),
    ['in use', 'ejected'],
  );
});

health('a breaker spares one that fails, also one that is alone: 503 until it lets one through', async () => {
  const moods = { a: 503 };
  const { clock, ask, asked } = moody(moods, { breaker: { failures: 3, openMs: 5_000, successes: 1 } });
  for (let i = 0; i < 3; i++) await ask();
  const spared = await ask();
  assert.is(spared.headers.get('x-oo-code'), 'OO_NO_INSTANCE');
  assert.is(spared.headers.get('retry-after'), '5');
  assert.is(asked.length, 3);
  moods.a = 200;
  clock.at += 5_000;
  assert.is((await ask()).status, 200);
  assert.is((await ask()).status, 200);
});

health('a breaker among several leads elsewhere', async () => {
  const route = {
    breaker: { failures: 2, openMs: 60_000 },
    outlier: false,
    retry: false,
    balance: 'round-robin',
  } as const;
  const { times } = moody({ a: 200, b: 503 }, route);
  assert.equal(await times(20), { a: 18, b: 2 });
});

health('no timer is left when nothing is under way', async () => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const { times } = moody({ a: 200, b: 503, c: 'refused' }, { breaker: true });
  await times(60);
  const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  assert.is(after, before);
});

health.run();
