import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/services/registration.ts';
import { createRegistry } from '../../src/services/registry.ts';
import type { RegisterOutcome, Registry, RegistrySettings } from '../../src/services/registry-types.ts';
import type { PoolChanges, Registration } from '../../src/services/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryRegistryStore } from '../helpers/memory-registry-store.ts';

const url = 'http://127.0.0.1:3000';

function make(settings: Partial<RegistrySettings> = {}, store = memoryRegistryStore(), clock = fakeClock()) {
  const lines: string[] = [];
  const published: PoolChanges[] = [];
  const state = { publishFault: '' };
  const registry = createRegistry({
    ...{ store, clock },
    publish: async (changes) => {
      if (state.publishFault !== '') throw new Error(state.publishFault);
      published.push(changes);
    },
    settings: { self: { url: 'http://127.0.0.1:11337' }, ...settings },
    log: (line) => lines.push(line),
  });
  return { registry, store, clock, lines, published, state };
}

function add(registry: Registry, request: Registration = { url }, slug = 'user-svc'): RegisterOutcome {
  const outcome = registry.register(slug, request);
  if (isRefusal(outcome)) throw new Error(JSON.stringify(outcome));
  return outcome;
}

const registry = suite('registry');

registry('what registers is in its pool, published and stored', async () => {
  const { registry, clock, published, store } = make();
  await registry.start();
  const { instance, isNew } = add(registry, { url, deploymentId: 'v1', tags: ['a'], weight: 3 });
  assert.ok(isNew);
  assert.is(instance.status, 'Unknown');
  assert.is(instance.ip, '127.0.0.1');
  assert.is(instance.nodeUrl, 'http://127.0.0.1:11337');
  await clock.advance(1_000);
  assert.is(published.length, 1);
  const [member] = published[0].pools[0].members;
  assert.is(member.url, url);
  assert.is(member.weight, 3);
  assert.equal(registry.pool('user-svc'), published[0].pools[0]);
  assert.is(registry.pool('other'), undefined);
  const row = store.rows.get(`instance ${instance.id}`)!;
  assert.equal(row.value, registry.get(instance.id));
});

registry('registering again is a heartbeat: nothing is published, and nothing is written', async () => {
  const { registry, clock, published, store } = make();
  await registry.start();
  const first = add(registry).instance;
  await clock.advance(2_000);
  const written = store.transactions.length;
  for (let i = 0; i < 20; i++) {
    await clock.advance(30_000);
    const again = add(registry, { url: 'HTTP://127.0.0.1:3000/' });
    assert.not(again.isNew);
    assert.is(again.instance.id, first.id);
    assert.is(again.instance.lastHeartbeat, clock.now());
  }
  assert.is(registry.list().length, 1);
  assert.is(published.length, 1);
  assert.is(store.transactions.length, written);
});

registry('one that is silent for its TTL is out, not sooner', async () => {
  const { registry, clock, lines, published, store } = make();
  await registry.start();
  const short = add(registry, { url, ttlSeconds: 10 }).instance;
  const usual = add(registry, { url: 'http://127.0.0.1:3001' }).instance;
  await clock.advance(9_000);
  assert.ok(registry.get(short.id));
  await clock.advance(3_000);
  assert.is(registry.get(short.id), undefined);
  assert.match(lines.join('\n'), /http:\/\/127.0.0.1:3000 of user-svc has expired: no heartbeat in 10 s/);
  assert.equal(
    published.at(-1)!.pools[0].members.map(({ id }) => id),
    [usual.id],
  );
  assert.not(store.rows.has(`instance ${short.id}`));
  await clock.advance(76_000);
  assert.ok(registry.get(usual.id));
  await clock.advance(5_000);
  assert.is(registry.get(usual.id), undefined);
  assert.equal(registry.pool('user-svc')!.members, [], 'known, so that it is a 503 and no 404');
  await clock.advance(620_000);
  assert.is(registry.pool('user-svc'), undefined);
  assert.equal(published.at(-1)!.gone, ['user-svc']);
});

registry('whoever waits for a change waits until workers have it, also where another began to send it', async () => {
  const store = memoryRegistryStore();
  let arrived = () => {};
  const late = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const told: string[] = [];
  const registry = createRegistry({
    ...{ store, clock: fakeClock(), log: () => {} },
    publish: async ({ pools }) => {
      if (pools.length > 0) await late;
      told.push(...pools.map(({ slug }) => slug));
    },
    settings: { self: { url: 'http://127.0.0.1:11337' } },
  });
  await registry.start();
  add(registry, { url }, 'first');
  add(registry, { url }, 'second');
  const seen = [registry.settled(), registry.settled()].map((settled) => settled.then(() => [...told].sort()));
  await fakeClock().flush();
  arrived();
  assert.equal(await Promise.all(seen), [
    ['first', 'second'],
    ['first', 'second'],
  ]);
  await registry.stop();
});

registry('a clock that is put right, or a machine that slept, expires nobody', async () => {
  const { registry, clock } = make();
  await registry.start();
  const { id } = add(registry).instance;
  await clock.advance(10_000);
  clock.jump(86_400_000);
  await clock.advance(5_000);
  assert.ok(registry.get(id));
  clock.jump(-2 * 86_400_000);
  await clock.advance(5_000);
  assert.ok(registry.get(id));
  await clock.advance(90_000);
  assert.is(registry.get(id), undefined, 'what it has lived counts on');
});

registry('deregistering is at once, and idempotent', async () => {
  const { registry, clock, store } = make();
  await registry.start();
  const { id } = add(registry).instance;
  await clock.advance(1_000);
  const refusal = registry.deregister(id, 'other-svc');
  assert.ok(typeof refusal === 'object' && refusal.code === 'taken');
  assert.is(registry.deregister(id, 'user-svc'), true);
  assert.is(registry.deregister(id, 'user-svc'), false);
  assert.equal(registry.list(), []);
  await clock.advance(1_000);
  assert.not(store.rows.has(`instance ${id}`));
});

registry('another service cannot take an id; its own service moves it', async () => {
  const { registry } = make();
  await registry.start();
  add(registry, { url, id: 'mine', tags: ['a'] });
  registry.setStatus('mine', 'Healthy', '');
  const outcome = registry.register('evil-svc', { url: 'http://127.0.0.1:666', id: 'mine' });
  assert.ok(isRefusal(outcome));
  assert.is(outcome.code, 'taken');
  assert.is(registry.get('mine')!.url, url);
  assert.is(registry.heartbeat('mine', 'evil-svc'), false);
  const moved = add(registry, { url: 'http://127.0.0.1:4000', id: 'mine' });
  assert.not(moved.isNew);
  assert.is(moved.instance.status, 'Unknown', 'nobody has probed the new address');
  assert.is(registry.list().length, 1);
  const renamed = add(registry, { url: 'http://127.0.0.1:4000', id: 'newer' });
  assert.not(renamed.isNew);
  assert.equal(
    registry.list().map(({ id }) => id),
    ['newer'],
  );
});

registry('limits: of one service, and of all', async () => {
  const { registry } = make({ maxInstances: 3, maxInstancesPerService: 2, reserved: ['proxy-svc'] });
  await registry.start();
  add(registry, { url: 'http://a:1' });
  add(registry, { url: 'http://a:2' });
  const third = registry.register('user-svc', { url: 'http://a:3' });
  assert.ok(isRefusal(third) && third.code === 'full');
  assert.match(third.fault, /user-svc has 2 instances/);
  assert.not(add(registry, { url: 'http://a:1' }).isNew);
  add(registry, { url: 'http://a:1' }, 'b');
  const fourth = registry.register('c', { url: 'http://a:1' });
  assert.ok(isRefusal(fourth) && fourth.code === 'full');
  const reserved = registry.register('proxy-svc', { url });
  assert.ok(isRefusal(reserved) && reserved.code === 'invalid');
});

registry('filters', async () => {
  const { registry } = make();
  await registry.start();
  add(registry, { url: 'http://10.0.0.1:80/base', deploymentId: 'v1' });
  add(registry, { url: 'http://app.local:80' });
  add(registry, { url: 'http://10.0.0.1:80' }, 'a-svc');
  const count = (filter: object) => registry.list(filter).length;
  assert.is(count({}), 3);
  assert.is(registry.list()[0].slug, 'a-svc');
  assert.is(count({ slug: 'user-svc' }), 2);
  assert.is(count({ slug: 'none' }), 0);
  assert.is(count({ host: 'APP.local' }), 1);
  assert.is(count({ ip: '10.0.0.1' }), 2);
  assert.is(count({ deploymentId: 'v1' }), 1);
  assert.is(count({ path: '/base', slug: 'a-svc' }), 0);
});

registry('a restart trusts the last known state, and gives everyone a TTL to be heard', async () => {
  const before = make();
  await before.registry.start();
  const { id } = add(before.registry).instance;
  before.registry.setStatus(id, 'Unreachable', 'refused');
  await before.registry.stop();
  before.clock.jump(86_400_000);
  const { registry, published, clock } = make({}, before.store, before.clock);
  await registry.start();
  assert.is(published[0].pools[0].members[0].status, 'Unreachable', 'published before start resolves');
  assert.is(published[0].pools[0].members[0].statusSince, clock.now() - 86_400_000);
  await clock.advance(89_000);
  assert.ok(registry.get(id));
  await clock.advance(3_000);
  assert.is(registry.get(id), undefined);
});

registry('a database that fails costs nothing but time', async () => {
  const { registry, clock, store, lines } = make();
  await registry.start();
  await clock.advance(2_000);
  store.down = 'disk full';
  const { id } = add(registry).instance;
  await clock.advance(5_000);
  assert.ok(registry.pool('user-svc'));
  assert.not(store.rows.has(`instance ${id}`));
  store.down = '';
  await clock.advance(31_000);
  assert.ok(store.rows.has(`instance ${id}`));
  assert.is(lines.filter((line) => line.includes('disk full')).length, 1);
  assert.match(lines.at(-1)!, /takes changes again/);
});

registry('workers that could not be told are told again', async () => {
  const { registry, clock, published, state } = make();
  await registry.start();
  state.publishFault = 'no worker';
  add(registry);
  await clock.advance(500);
  assert.is(published.length, 0);
  state.publishFault = '';
  await clock.advance(1_500);
  assert.is(published.at(-1)!.pools[0].members.length, 1);
});

registry('states are in the list and no news to workers; unknown instances are nobody', async () => {
  const { registry, clock, published } = make();
  await registry.start();
  const { id } = add(registry).instance;
  await clock.advance(100);
  registry.setStatus(id, 'Healthy', '');
  registry.setStatus('gone', 'Healthy', '');
  const { statusSince } = registry.get(id)!;
  await clock.advance(100);
  registry.setStatus(id, 'Healthy', 'took 3 ms');
  assert.is(registry.get(id)!.statusSince, statusSince);
  registry.setStatus(id, 'Degraded', 'slow');
  await clock.advance(100);
  assert.is(registry.pool('user-svc')!.members[0].status, 'Degraded');
  assert.is(registry.get(id)!.details, 'slow');
  assert.is(published.length, 1);
});

registry('its own ports on this machine are refused, other ports and other machines are not', async () => {
  const { registry } = make({ ownPorts: () => [80, 11337] });
  await registry.start();
  for (const own of ['http://127.0.0.1', 'http://localhost:11337', 'http://[::1]:11337/x', 'http://127.9.9.9:80']) {
    const refusal = registry.register('user-svc', { url: own });
    assert.ok(isRefusal(refusal), own);
    assert.is(refusal.code, 'invalid');
    // Whoever shows it says before it which url was given.
    assert.match(refusal.fault, /^is this server itself: requests would go in a circle; expected another/);
  }
  assert.ok(isRefusal(registry.register('user-svc', { host: 'web.internal', ip: '127.0.0.1', port: 80 })));
  for (const other of ['http://127.0.0.1:3000', 'http://192.0.2.1:11337', 'http://web.internal'])
    assert.not(isRefusal(registry.register('user-svc', { url: other })), other);
});

registry('definitions make a service known', async () => {
  const { registry, store, clock } = make();
  await registry.start();
  const definition = { id: 'user-svc', image: { name: 'x' } };
  await registry.setDefinitions([definition]);
  assert.equal(registry.pool('user-svc')!.members, []);
  await clock.advance(700_000);
  assert.ok(registry.pool('user-svc'));
  assert.is(registry.definition('user-svc'), definition);
  const told: string[][] = [];
  registry.watch(({ pools }) => told.push(pools.map(({ slug }) => slug)));
  await registry.setDefinitions([{ id: 'a-svc' }, definition]);
  assert.equal(told, [['a-svc']], 'the same object is no change');
  assert.equal(
    registry.definitions().map(({ id }) => id),
    ['a-svc', 'user-svc'],
  );
  await registry.setDefinitions([]);
  assert.equal(told[1].sort(), ['a-svc', 'user-svc']);
  await clock.advance(700_000);
  assert.is(registry.pool('user-svc'), undefined);
  await registry.settled();
  assert.not(
    [...store.rows.keys()].some((key) => key.startsWith('definition')),
    'nothing of them is stored here',
  );
});

/** Two servers on one database; both poll twice a second. */
async function pair() {
  const clock = fakeClock();
  const store = memoryRegistryStore();
  const a = make({ shared: true, self: { url: 'http://a:11337', az: 'z1' } }, store, clock);
  const b = make({ shared: true, self: { url: 'http://b:11337' } }, store, clock);
  await Promise.all([a.registry.start(), b.registry.start()]);
  const poll = () => {
    for (const { registry } of [a, b]) void registry.poll();
    clock.after(500, poll);
  };
  poll();
  return { a, b, store, clock };
}

registry('shared: what registers with one is known to the other, and stays while its heartbeats last', async () => {
  const { a, b, clock, store } = await pair();
  const { id } = add(a.registry).instance;
  await clock.advance(2_000);
  assert.is(b.registry.get(id)!.nodeUrl, 'http://a:11337');
  const written = store.transactions.length;
  for (let i = 0; i < 10; i++) {
    await clock.advance(30_000);
    assert.ok(a.registry.heartbeat(id));
    assert.ok(b.registry.get(id), `after ${(i + 1) * 30} s`);
  }
  await clock.advance(2_000);
  const beats = store.transactions
    .slice(written)
    .flat()
    .filter((write) => write.do === 'beat');
  assert.is(beats.length, 5, 'every second heartbeat is written');
  await clock.advance(100_000);
  assert.is(a.registry.get(id), undefined);
  assert.is(b.registry.get(id), undefined);
});

registry('shared: registering with another server each time is one instance, and leaving is seen by all', async () => {
  const { a, b, clock } = await pair();
  const { id } = add(a.registry).instance;
  for (let i = 0; i < 12; i++) {
    await clock.advance(30_000);
    const { registry } = i % 2 === 0 ? b : a;
    assert.not(add(registry).isNew);
  }
  assert.is(a.registry.list().length, 1);
  assert.is(b.registry.deregister(id), true);
  await clock.advance(1_500);
  assert.is(a.registry.get(id), undefined);
});

registry('shared: while the database is down nobody expires, and what was missed is caught up with', async () => {
  const { a, b, store, clock } = await pair();
  const { id } = add(a.registry).instance;
  const { id: left } = add(a.registry, { url: 'http://127.0.0.1:3009' }).instance;
  await clock.advance(2_000);
  store.down = 'gone';
  for (let i = 0; i < 10; i++) {
    await clock.advance(30_000);
    a.registry.heartbeat(id);
    a.registry.heartbeat(left);
  }
  assert.ok(b.registry.get(id));
  assert.is(b.lines.filter((line) => line.includes('nothing expires')).length, 1);
  a.registry.deregister(left);
  store.down = '';
  store.forget();
  await clock.advance(35_000);
  assert.ok(b.registry.get(id));
  assert.is(b.registry.get(left), undefined);
});

registry('shared: nodes are listed with each other', async () => {
  const { a, b, clock } = await pair();
  await clock.advance(35_000);
  for (const { registry } of [a, b])
    assert.equal(
      registry
        .nodes()
        .map(({ url }) => url)
        .sort(),
      ['http://a:11337', 'http://b:11337'],
    );
  assert.is(a.registry.self().az, 'z1');
  assert.ok(clock.now() - b.registry.nodes().find(({ az }) => az === 'z1')!.lastHeartbeat < 40_000);
});

registry.run();
