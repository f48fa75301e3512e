import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck, type HealthCheck } from '../../src/core/health-check.ts';
import { noAnswer, type ProbeError } from '../../src/core/health-probe.ts';
import { HealthMonitor } from '../../src/services/monitor.ts';
import { createRegistry } from '../../src/services/registry.ts';
import { ServiceHealth } from '../../src/services/service-health.ts';
import type { InstanceView } from '../../src/services/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryRegistryStore } from '../helpers/memory-registry-store.ts';

async function make(store = memoryRegistryStore()) {
  const clock = fakeClock();
  const errors: Record<number, ProbeError> = {};
  const probed: number[] = [];
  const state: { check: HealthCheck | null } = { check: defaultHealthCheck };
  const registry = createRegistry({
    ...{ store, clock, publish: async () => {}, log: () => {} },
    settings: { self: { url: 'http://127.0.0.1:11337' } },
  });
  const monitor = new HealthMonitor({
    async probe(_check, { target }) {
      probed.push(target.port);
      return { ...noAnswer, tookMs: 1, error: errors[target.port] ?? '' };
    },
    onFlip: (key, flip) => health.flipped(key, flip),
    clock,
    random: () => 0.5,
  });
  const health = new ServiceHealth({ registry, monitor, checkOf: () => state.check });
  await registry.start();
  health.start();
  const add = (slug: string, port: number) =>
    (registry.register(slug, { url: `http://10.0.0.1:${port}` }) as { instance: InstanceView }).instance.id;
  return { registry, monitor, health, clock, errors, probed, state, add, store };
}

const suites = suite('service health');

suites('one that registers is probed, one that dies is out, one that leaves is left alone', async () => {
  const { registry, clock, errors, probed, add, monitor } = await make();
  const id = add('user-svc', 1);
  await clock.advance(1_000);
  assert.is(registry.get(id)!.status, 'Healthy');
  errors[1] = 'refused';
  await clock.advance(35_000);
  assert.is(registry.get(id)!.status, 'Unreachable');
  assert.is(registry.get(id)!.details, 'no connection');
  assert.is(registry.pool('user-svc')!.members[0].status, 'Unreachable');
  registry.deregister(id);
  await clock.advance(100);
  const before = probed.length;
  await clock.advance(60_000);
  assert.is(probed.length, before);
  assert.is(monitor.stats().items, 0);
});

suites('two services with one address share its probes', async () => {
  const { registry, clock, probed, add } = await make();
  const a = add('a-svc', 1);
  await clock.advance(1_000);
  const b = add('b-svc', 1);
  await clock.advance(50);
  assert.is(registry.get(b)!.status, 'Healthy', 'at once: it is known');
  registry.deregister(a);
  await clock.advance(60_000);
  assert.is(registry.get(b)!.status, 'Healthy');
  assert.ok(probed.length <= 7, `${probed.length} probes`);
});

suites('after a restart the last state stands until probes say otherwise', async () => {
  const first = await make();
  const id = first.add('user-svc', 1);
  first.errors[1] = 'refused';
  await first.clock.advance(1_000);
  assert.is(first.registry.get(id)!.status, 'Unreachable');
  first.health.stop();
  await first.registry.stop();
  const { registry, clock } = await make(first.store);
  assert.is(registry.get(id)!.status, 'Unreachable');
  await clock.advance(16_500);
  assert.is(registry.get(id)!.status, 'Healthy', 'after two good ones');
});

suites('another check is taken up, and none', async () => {
  const { monitor, clock, add, state, health, probed } = await make();
  add('user-svc', 1);
  await clock.advance(1_000);
  state.check = { ...defaultHealthCheck, intervalMs: 1_000 };
  health.checksChanged();
  const before = probed.length;
  await clock.advance(10_000);
  assert.ok(probed.length - before >= 8);
  state.check = null;
  health.checksChanged();
  assert.is(monitor.stats().items, 0);
});

suites.run();
