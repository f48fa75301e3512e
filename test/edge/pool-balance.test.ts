// time limit: 90 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Policy } from '../../src/core/balance-pool.ts';
import { percentile } from '../../src/core/latency.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { type Copy, countNames, load, startCopies } from '../helpers/copies.ts';
import { startEdge } from '../helpers/proxy.ts';

const balance = suite('balance');
balance.after.each(cleanUp);

const targets = (copies: readonly Copy[], weights: readonly number[] = []) =>
  copies.map(({ target }, i) => ({ url: target, weight: weights[i] ?? 1 }));

/** The least share that a weight of `part` may miss by: a random draw of its own strays by up to four standard deviations. */
const slack = (policy: Policy, part: number, count: number) =>
  policy === 'random' ? 4 * Math.sqrt((part * (1 - part)) / count) : 0.05 * part;

const cases: [Policy, weights: number[]][] = [
  ['round-robin', [1, 2, 3, 4]],
  ['random', [1, 2, 3, 4]],
  ['power-of-two', [1, 1, 1, 1]],
  ['power-of-two', [1, 2, 7]],
  ['least-requests', [1, 1, 1, 1]],
  ['least-requests', [1, 2, 7]],
];
for (const [policy, weights] of cases)
  balance(`${policy}: 10,000 requests are shared out within 5 % of the weights ${weights.join(', ')}`, async () => {
    const copies = await startCopies(weights.length);
    // In one process with their proxy all of them are slow at times; for fast ones see test/core/balance-fast.test.ts.
    if (policy === 'power-of-two') for (const copy of copies) copy.delayMs = 20;
    const { port } = await startEdge([{ id: '*', target: targets(copies, weights), balance: policy }]);
    const counts = countNames(await load(port, 10_000, { clients: 16 }));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, weight] of weights.entries()) {
      const part = weight / total;
      const share = counts[i] / 10_000;
      assert.ok(Math.abs(share - part) <= slack(policy, part, 10_000), `${i}: ${share} for ${part}`);
    }
  });

balance('round robin goes in turn', async () => {
  const copies = await startCopies(3);
  const { port } = await startEdge([{ id: '*', target: targets(copies), balance: 'round-robin' }]);
  const names = (await load(port, 9, { clients: 1 })).map(({ body }) => body);
  for (let i = 3; i < 9; i++) assert.is(names[i], names[i - 3]);
  assert.is(new Set(names).size, 3);
});

async function slowShare(policy: Policy): Promise<{ share: number; p99: number }> {
  const copies = await startCopies(4);
  copies[0].delayMs = 100;
  const { port, edge } = await startEdge([{ id: '*', target: targets(copies), balance: policy }]);
  await load(port, 800, { clients: 8 });
  const [figures] = edge.figures().pools;
  return { share: copies[0].served / 800, p99: percentile(figures.latencies, 0.95)! };
}

balance(
  'against one slow instance: least requests and power of two keep it from most, round robin does not',
  async () => {
    const turn = await slowShare('round-robin');
    const least = await slowShare('least-requests');
    const two = await slowShare('power-of-two');
    assert.ok(Math.abs(turn.share - 0.25) < 0.01, `round robin ${turn.share}`);
    assert.ok(least.share < 0.1, `least requests ${least.share}`);
    assert.ok(two.share < 0.1, `power of two ${two.share}`);
    // With a quarter of all on the slow one, every twentieth is slow; with less than that, none of them shows.
    assert.ok(turn.p99 > 50, `round robin ${turn.p99}`);
  },
);

balance('hash: a key keeps its instance, and when one of n leaves only its keys move', async () => {
  const copies = await startCopies(5);
  const edge = await startEdge([]);
  const route = (list: readonly Copy[]) =>
    edge.route({ id: '*', target: targets(list), balance: { policy: 'hash', by: 'header:x-user' } });
  const homes = async () =>
    (await load(edge.port, 500, { fields: (i) => `X-User: user ${i}\r\n` })).map(({ body }) => body);
  route(copies);
  const first = await homes();
  assert.equal(await homes(), first);
  assert.is(new Set(first).size, 5);
  route([...copies].reverse());
  assert.equal(await homes(), first);
  route(copies.slice(1));
  const left = await homes();
  for (const [i, home] of first.entries()) if (home !== '0') assert.is(left[i], home);
  route(copies);
  assert.equal(await homes(), first);
});

balance('hash by address behind a trusted proxy: that of the client, not the proxy', async () => {
  const copies = await startCopies(5);
  const options = { target: targets(copies), balance: { policy: 'hash' } } as const;
  const trusting = await startEdge([{ id: '*', ...options }], { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] });
  const fields = (i: number) => `X-Forwarded-For: 203.0.113.${(i * 7) % 50}, 198.51.100.${i % 50}, 10.0.0.${i % 3}\r\n`;
  const homes = (await load(trusting.port, 200, { fields })).map(({ body }) => body);
  assert.is(new Set(homes).size, 5);
  for (let i = 50; i < 200; i++) assert.is(homes[i], homes[i - 50]);
  const strict = await startEdge([{ id: '*', ...options }]);
  assert.is(Object.keys(countNames(await load(strict.port, 50, { fields }))).length, 1, 'nobody else chooses by it');
});

balance('a weight of 0 gets nothing; a second group only when the first is down', async () => {
  const copies = await startCopies(3);
  const [a, b, c] = copies.map(({ target }) => target);
  const edge = await startEdge([
    { id: '*', target: [{ url: a }, { url: b, weight: 0 }, { url: c, priority: 1 }], balance: 'round-robin' },
  ]);
  assert.equal(countNames(await load(edge.port, 50)), { 0: 50 });
  edge.edge.changePools({ ...noChange, down: [a] }, false);
  assert.equal(countNames(await load(edge.port, 50)), { 2: 50 });
  edge.edge.changePools({ ...noChange, up: [a] }, false);
  assert.equal(countNames(await load(edge.port, 50)), { 0: 50 });
});

const noChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };

balance('a change of weights keeps connections and figures', async () => {
  const copies = await startCopies(2);
  const edge = await startEdge([{ id: 'app.test', target: targets(copies) }]);
  await load(edge.port, 40, { clients: 4 });
  const open = edge.edge.upstreams.size;
  edge.route({ id: 'app.test', target: targets(copies, [1, 3]) });
  await load(edge.port, 40, { clients: 1 });
  assert.is(edge.edge.upstreams.size, open);
  const { pools, instances } = edge.edge.figures();
  assert.equal(
    pools.map(({ name, requests, errors, inFlight, state }) => ({ name, requests, errors, inFlight, state })),
    [{ name: 'route app.test', requests: 80, errors: 0, inFlight: 0, state: 'first' }],
  );
  assert.equal(pools[0].members.map(([, weight]) => weight).sort(), [1, 3]);
  assert.is(
    instances.reduce((sum, { requests }) => sum + requests, 0),
    80,
  );
  assert.is(
    pools[0].latencies.reduce((sum, count) => sum + count, 0),
    80,
  );
});

balance.run();
