import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startServices } from '../../cli/services.ts';
import { compile } from '../../src/core/routes.ts';
import type { RouteTable } from '../../src/core/table.ts';
import type { OutcomeCounts, PoolsChange, Suspicion } from '../../src/edge/messages.ts';
import { PoolsState } from '../../src/edge/pools-state.ts';
import { define } from '../helpers/define.ts';
import { memoryHealthStore } from '../helpers/memory-health-store.ts';
import { memoryRegistryStore } from '../helpers/memory-registry-store.ts';
import { until } from '../helpers/wait.ts';

const target = ['http://127.0.0.1:9', 'http://127.0.0.2:9'];

async function make() {
  const published: Partial<PoolsChange>[] = [];
  const lines: string[] = [];
  const supervisor = {
    pools: new PoolsState(),
    onSuspect: (_: Suspicion) => {},
    onOutcomes: (_: readonly OutcomeCounts[]) => {},
    async publishPools(change: Partial<PoolsChange>) {
      published.push(change);
      supervisor.pools.apply(change);
    },
  };
  const { table } = compile([{ id: 'a.example.com', target }], 1) as { table: RouteTable };
  const services = await startServices({
    ...{ supervisor, shared: false, self: { url: 'http://127.0.0.1:11337' }, ownPorts: () => [11_337] },
    stores: { registry: memoryRegistryStore(), health: memoryHealthStore() },
    table: () => table,
    log: (line) => lines.push(line),
  });
  return { supervisor, services, published, lines };
}

const starts = suite('services of a server');

starts('what definitions say goes to the workers, proven; one that is refused is said', async () => {
  const { services, published, lines } = await make();
  try {
    void define(services.registry, { id: 'user-svc', image: 'any', balance: 'random', health: false });
    void define(services.registry, { id: 'odd-svc', balance: 'odd' });
    await services.registry.settled();
    const states = published.flatMap((change) => change.services ?? []);
    assert.equal(
      states.map(({ slug, options }) => [slug, options]),
      [
        ['user-svc', { balance: 'random', health: false }],
        ['odd-svc', {}],
      ],
    );
    assert.is(lines.length, 1);
    assert.match(
      lines[0],
      /^registry: the definition of odd-svc is not used, the defaults are: balance is 'odd'; expected/,
    );
    assert.ok('fault' in services.registry.register('healthz', { url: 'http://127.0.0.1:9' }));
    assert.ok('fault' in services.registry.register('user-svc', { url: 'http://localhost:11337' }));
  } finally {
    await services.stop();
  }
});

starts('what workers suspect is judged and told, and what is left of it to one that starts', async () => {
  const { services, supervisor, published, lines } = await make();
  try {
    const [key] = target;
    supervisor.onOutcomes([[key, 10, 5]]);
    supervisor.onSuspect({ key, cause: 'failures', pools: [target] });
    await until(() => published.length > 0, 'the ejection');
    assert.is(published[0].ejected![0][0], key);
    const [whole] = [...supervisor.pools.whole()];
    assert.is(whole.change.ejected[0][0], key);
    assert.match(
      lines[0],
      /^health: http:\/\/127\.0\.0\.1:9 is left out for 1[01](\.\d)? s: 5 requests in a row failed$/,
    );
  } finally {
    await services.stop();
  }
});

starts.run();
