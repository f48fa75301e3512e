import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock as clock } from '../../src/clock.ts';
import { followStore } from '../../src/services/follow-store.ts';
import { createRegistry } from '../../src/services/registry.ts';
import type { PoolChanges, RegistryStore } from '../../src/services/types.ts';
import { until } from '../helpers/temporary.ts';
import { type Place, places } from './open-store.ts';

const registries = suite('db: registries of services over real stores');

async function startRegistry(store: RegistryStore, name: string, shared: boolean) {
  const lines: string[] = [];
  const published: PoolChanges[] = [];
  const log = (line: string) => void lines.push(line);
  const registry = createRegistry({
    ...{ store, clock, log },
    publish: async (changes) => void published.push(changes),
    settings: { self: { url: `http://${name}`, id: name, az: 'z' }, shared },
  });
  await registry.start();
  const unfollow = shared ? followStore({ registry, store, clock, log }) : () => {};
  const stop = async () => {
    unfollow();
    await registry.stop();
  };
  return { registry, lines, published, stop };
}

/** @param from the server that opens it as the first, and the second after it has closed */
async function restarted(place: Place, work: (name: string, store: RegistryStore) => Promise<void>) {
  for (const name of ['first', 'second']) {
    const { registry, close } = await place.open();
    await work(name, registry);
    close();
  }
  await place.end();
}

for (const [where, start] of places) {
  registries(`a restart finds instances and their states again, in ${where}`, async () => {
    await restarted(await start(), async (name, store) => {
      const { registry, lines, published, stop } = await startRegistry(store, 'node', false);
      if (name === 'first') {
        const outcome = registry.register('user-svc', { url: 'http://127.0.0.1:3000/base', tags: ['ä'], id: 'one' });
        assert.ok('instance' in outcome);
        registry.setStatus('one', 'Unreachable', 'connection refused');
        registry.register('user-svc', { url: 'http://127.0.0.1:3001', id: 'gone' });
        registry.deregister('gone');
      } else {
        const { status, details, tags } = registry.get('one') ?? {};
        assert.equal([status, details, tags], ['Unreachable', 'connection refused', ['ä']]);
        assert.is(registry.list().length, 1);
        assert.is(published[0].pools[0].members.length, 1, 'published before start resolves');
      }
      await stop();
      assert.equal(lines, []);
    });
  });
}

registries('what one server hears is at the other within 2 s, and what leaves is gone there', async () => {
  const place = await places[1][1]();
  const opened = await Promise.all([place.open(), place.open()]);
  const [one, two] = await Promise.all(
    opened.map(({ registry }, i) => startRegistry(registry, ['one', 'two'][i], true)),
  );
  one.registry.register('user-svc', { url: 'http://127.0.0.1:3000', id: 'a' });
  await until(() => two.registry.get('a') !== undefined, 2_000);
  await until(() => one.registry.nodes().length === 2 && two.registry.nodes().length === 2, 4_000);
  place.server?.moods('lose', 'lose', 'lose');
  two.registry.deregister('a');
  await until(() => one.registry.get('a') === undefined, 4_000);
  assert.is(two.registry.get('a'), undefined);
  // Published a moment later: known, so that it is a 503 and no 404.
  await until(() => one.published.at(-1)?.pools[0].members.length === 0, 2_000);
  for (const { stop } of [one, two]) await stop();
  for (const { close } of opened) close();
  await place.end();
});

registries(
  'an instance that beats at one server lives at the other; silent at both, it is out of the database',
  async () => {
    const place = await places[1][1]();
    const opened = await Promise.all([place.open(), place.open()]);
    const [one, two] = await Promise.all(
      opened.map(({ registry }, i) => startRegistry(registry, ['one', 'two'][i], true)),
    );
    // The least TTL: 5 s, and 5 s more where a database is shared.
    one.registry.register('user-svc', { url: 'http://127.0.0.1:3000', id: 'beats', ttlSeconds: 5 });
    one.registry.register('user-svc', { url: 'http://127.0.0.1:3001', id: 'silent', ttlSeconds: 5 });
    const beating = setInterval(() => one.registry.heartbeat('beats'), 1_000);
    try {
      await until(() => two.registry.get('silent') !== undefined, 2_000);
      await until(() => two.registry.get('silent') === undefined && one.registry.get('silent') === undefined, 15_000);
      await one.registry.settled();
      await two.registry.settled();
      const { rows } = await opened[0].registry.read(0);
      assert.equal(
        rows.flatMap(({ kind, id }) => (kind === 'instance' ? [id] : [])),
        ['beats'],
      );
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.ok(two.registry.get('beats'), 'heard through the database');
    } finally {
      clearInterval(beating);
    }
    for (const { stop } of [one, two]) await stop();
    for (const { close } of opened) close();
    await place.end();
  },
);

registries.run();
