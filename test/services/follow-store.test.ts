import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { followStore } from '../../src/services/follow-store.ts';
import { createRegistry } from '../../src/services/registry.ts';
import type { RegistryStore } from '../../src/services/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryRegistryStore } from '../helpers/memory-registry-store.ts';

type Watch = Parameters<NonNullable<RegistryStore['watch']>>;

/** A store that is watched by hand. */
async function make() {
  const clock = fakeClock();
  const store = memoryRegistryStore();
  const lines: string[] = [];
  const watched: Watch[] = [];
  const ended: number[] = [];
  const registry = createRegistry({
    ...{ store, clock, publish: async () => {}, log: (line: string) => lines.push(line) },
    settings: { self: { url: 'http://127.0.0.1:11337' }, shared: true },
  });
  await registry.start();
  const end = followStore({
    ...{ registry, clock, log: (line) => lines.push(line) },
    store: {
      watch(...watch) {
        watched.push(watch);
        return () => ended.push(1);
      },
    },
  });
  const [known, onVersion, onError, onSame] = watched[0];
  return { clock, store, lines, registry, end, ended, known, onVersion, onError, onSame };
}

const follows = suite('follow store');

follows('what another server writes is read when the version is another', async () => {
  const { store, registry, known, onVersion, end, ended } = await make();
  const before = known();
  const node = { id: 'other', url: 'http://other', az: '', lastHeartbeat: 1 };
  await store.write([{ do: 'put', row: { kind: 'node', id: 'other', value: node } }]);
  await onVersion(before + 1);
  assert.ok(registry.nodes().some(({ id }) => id === 'other'));
  assert.ok(known() > before);
  end();
  assert.is(ended.length, 1);
});

follows('a database that is quiet is not a silent one: heartbeats that do not come count', async () => {
  const { registry, clock, onSame } = await make();
  registry.register('user-svc', { url: 'http://10.0.0.1', ttlSeconds: 5 });
  for (let i = 0; i < 24; i++) {
    await clock.advance(500);
    onSame!();
  }
  assert.equal(registry.list(), []);
});

follows('one that can’t be looked at says nothing of instances; it is said', async () => {
  const { registry, clock, onError, lines } = await make();
  registry.register('user-svc', { url: 'http://10.0.0.1', ttlSeconds: 5 });
  onError(new Error('no connection'));
  await clock.advance(60_000);
  assert.is(registry.list().length, 1);
  assert.equal(lines, ['registry: what other servers change is not seen: no connection']);
});

follows.run();
