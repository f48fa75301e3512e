import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CompiledRateLimit } from '../../src/core/option-rate-limit.ts';
import { compileRateLimit } from '../../src/core/option-rate-limit.ts';
import { Guards } from '../../src/edge/guards.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { basic, cheapHash } from '../helpers/passwords.ts';
import { withPair } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { until } from '../helpers/wait.ts';

const guards = suite('guards of an edge');
guards.after.each(cleanUp);

const rateOf = (value: object): CompiledRateLimit =>
  compileRateLimit(value, (message) => {
    throw new Error(message);
  }) as CompiledRateLimit;

/** How many requests at once each of `count` workers lets through. */
function sharesOf(rate: CompiledRateLimit, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const worker = new Guards();
    let allowed = 0;
    for (let i = 0; i < 100; i++) if (worker.take('r', rate, 'k', { index, count }, 0) === 0) allowed++;
    return allowed;
  });
}

guards('a rate is divided among workers; each lets one through at least', () => {
  const day = { perMs: 86_400_000 };
  assert.equal(sharesOf(rateOf({ requests: 10, ...day }), 4), [3, 3, 2, 2]);
  assert.equal(sharesOf(rateOf({ requests: 10, ...day }), 1), [10]);
  assert.equal(sharesOf(rateOf({ requests: 1, ...day }), 4), [1, 1, 1, 1]);
  assert.equal(sharesOf(rateOf({ requests: 100, burst: 6, ...day }), 3), [2, 2, 2]);
  // In time as well: two a second is one each.
  const worker = new Guards();
  const rate = rateOf({ requests: 2, perMs: 1_000 });
  const take = (now: number) => worker.take('r', rate, 'k', { index: 0, count: 2 }, now);
  assert.is(take(0), 0);
  assert.ok(take(999) > 0);
  assert.is(take(1_000), 0);
});

guards('what is counted of a route goes with it', () => {
  const all = new Guards();
  const rate = rateOf({ requests: 1, perMs: 86_400_000 });
  const place = { index: 0, count: 1 };
  for (const id of ['a', 'b']) all.take(id, rate, 'k', place, 0);
  all.onChange((id) => (id === 'a' ? rate : null));
  assert.ok(all.take('a', rate, 'k', place, 0) > 0);
  assert.is(all.take('b', rate, 'k', place, 0), 0);
});

guards('clients that come and go at any moment: nothing stays behind, and who stays is answered', async () => {
  const next = random(3);
  const auth = await startOrigin((_, { socket }) => {
    const kind = next();
    if (kind < 0.1) return void socket.destroy();
    const answer = kind < 0.2 ? 'HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n' : reply('');
    setTimeout(() => socket.write(answer), kind * 30);
  });
  const route = {
    forwardAuth: { url: auth.target, copyHeaders: ['x-user'] },
    basicAuth: { users: { ann: cheapHash('a', 12) } },
    rateLimit: { requests: 100_000 },
  };
  await withPair(
    ({ line }) => reply(line),
    async ({ port, edge, origin }) => {
      const statuses = new Map<number, number>();
      const asked = Array.from({ length: 300 }, async (_, i) => {
        const line = next() < 0.8 ? basic('ann', 'a') : basic('ann', `wrong ${i % 4}`);
        const body = next() < 0.5 ? 'x'.repeat(next() * 50_000) : '';
        const client = connect(port);
        client.send(`POST /${i} HTTP/1.1\r\nHost: a\r\n${line}Content-Length: ${body.length}\r\n\r\n${body}`);
        if (next() < 0.4) {
          await new Promise((resolve) => setTimeout(resolve, next() * 60));
          if (next() < 0.5) client.reset();
          else client.close();
          return;
        }
        const { status } = await client.response({ ms: 20_000 });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        client.close();
      });
      await Promise.all(asked);
      for (const status of statuses.keys()) assert.ok([200, 401, 403, 502].includes(status), `${status}`);
      for (const status of [200, 401, 403]) assert.ok(statuses.has(status), `${status}`);
      await until(
        () => edge.guards.asker.pending === 0 && edge.guards.passwords.pending === 0,
        'the end of all questions',
      );
      await until(() => edge.clients.size === 0, 'the end of all connections');
      assert.is((await ask(port, `GET /last HTTP/1.1\r\nHost: a\r\n\r\n`)).status, 401);
      assert.not.match(origin.text, '/last');
    },
    { route },
  );
});

guards.run();
