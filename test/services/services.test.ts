import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compilePoolSpec } from '../../src/core/pool-compile.ts';
import { define } from '../helpers/define.ts';
import { memoryHealthStore } from '../helpers/memory-health-store.ts';
import { services } from '../helpers/services.ts';

const a = 'http://10.0.0.1:1';
/** How a service without a definition is watched, in a key. */
const tcp = ` ${compilePoolSpec('service x', 'service', undefined, {}, () => {}).settings.instance.tag}`;

const rooms = suite('services');

rooms('one that registers is published and probed; one that dies is out; one that leaves is left alone', async () => {
  const { room, registry, add, clock, told, errors, probed, lines, down } = await services();
  const id = add('user-svc', { url: 'http://10.0.0.1:1/base', weight: 2 });
  await clock.advance(1_100);
  const [{ services: published }] = told;
  assert.equal(published, [
    { slug: 'user-svc', options: {}, members: [{ url: 'http://10.0.0.1:1/base', weight: 2, priority: 0 }] },
  ]);
  assert.is(registry.get(id)!.status, 'Healthy');
  assert.is(told.length, 1, 'that it is healthy is no news');
  errors['10.0.0.1:1'] = 'refused';
  await clock.advance(35_000);
  assert.is(registry.get(id)!.status, 'Unreachable');
  assert.is(registry.get(id)!.details, 'no connection');
  assert.equal(told.slice(1), [{ down: [a + tcp], up: [] }]);
  assert.equal(lines, ['health: http://10.0.0.1:1 of service user-svc is Unreachable, was Healthy: no connection']);
  assert.equal(
    room
      .view()
      .map(({ key, address, state, reason, owners, ejected }) => [key, address, state, reason, owners, ejected]),
    [[`${a}${tcp}`, a, 'Unreachable', 'no connection', ['service user-svc'], null]],
  );
  registry.deregister(id);
  await clock.advance(100);
  assert.equal(told.at(-1)!.services, [{ slug: 'user-svc', options: {}, members: [] }]);
  assert.equal(down(), [a + tcp], 'until nobody has it');
  const before = probed.length;
  await clock.advance(60_000);
  assert.is(probed.length, before);
  assert.equal(down(), []);
  assert.is(room.instanceState(a + tcp), undefined);
});

rooms('one that dies without a word: out by its probes where they are sooner, by its TTL where that is', async () => {
  const one = await services();
  const quick = one.add('quick-svc', { url: 'http://10.0.0.1:1', ttlSeconds: 300 });
  const slow = one.add('slow-svc', { url: 'http://10.0.0.1:2', ttlSeconds: 10 });
  void define(one.registry, { id: 'slow-svc', health: { kind: 'tcp', intervalMs: 60_000 } });
  await one.clock.advance(1_500);
  for (const port of [1, 2]) one.errors[`10.0.0.1:${port}`] = 'refused';
  await one.clock.advance(12_000);
  assert.is(one.registry.get(slow), undefined, 'its TTL of 10 s');
  assert.equal(one.told.at(-1)!.services![0].members, []);
  assert.is(one.registry.get(quick)!.status, 'Healthy');
  await one.clock.advance(22_000);
  assert.is(one.registry.get(quick)!.status, 'Unreachable', 'three probes of 10 s');
  assert.equal(one.down(), [a + tcp]);
});

rooms('each flip is published once, and back up as well', async () => {
  const { add, clock, errors, told } = await services();
  add('user-svc', { url: 'http://10.0.0.1:1', ttlSeconds: 3_600 });
  await clock.advance(1_100);
  errors['10.0.0.1:1'] = 'refused';
  await clock.advance(120_000);
  errors['10.0.0.1:1'] = '';
  await clock.advance(60_000);
  assert.equal(told.slice(1), [
    { down: [a + tcp], up: [] },
    { down: [], up: [a + tcp] },
  ]);
});

rooms(
  'after a restart what was down is published as down before anything else, and comes back by its probes',
  async () => {
    const route = { id: 'app.example.com', target: 'http://10.0.0.2:2', health: '/up' };
    const first = await services([route]);
    const id = first.add('user-svc', { url: 'http://10.0.0.1:1' });
    first.errors['10.0.0.1:1'] = 'refused';
    first.errors['10.0.0.2:2'] = 'timeout';
    await first.clock.advance(10_000);
    await first.room.stop();
    const second = await services([route], first);
    const keys = second.down();
    assert.is(keys.length, 2);
    assert.is(keys[0], a + tcp);
    assert.match(keys[1], /^http:\/\/10\.0\.0\.2:2 \{"health":/);
    assert.equal(second.told[0].down, [a + tcp], 'with the message that names it');
    assert.is(second.registry.get(id)!.status, 'Unreachable');
    assert.is(second.probed.length, 0);
    const state = second.room.instanceState(keys[1])!;
    assert.is(state.reason, 'no answer in time (3000 ms)');
    assert.ok(state.since < second.clock.now() - 8_000, 'since before the restart');
    await second.clock.advance(45_000);
    assert.equal(second.down(), []);
    assert.equal(second.lines.map((line) => line.replace(/ of .*/, '')).sort(), [
      'health: http://10.0.0.1:1',
      'health: http://10.0.0.2:2',
    ]);
  },
);

rooms(
  'routes without a check are not probed; two checks of one address are separate, one check is shared',
  async () => {
    const target = 'http://10.0.0.1:1';
    const { room, clock, probed, state, setRoutes } = await services([
      { id: 'a.example.com', target },
      { id: 'b.example.com', target, health: '/up' },
      { id: 'c.example.com', target: [target, 'http://10.0.0.1:2'], health: '/up', limits: { maxConnections: 5 } },
      { id: 'd.example.com', target, health: '/other' },
    ]);
    await clock.advance(5_000);
    assert.equal(probed.sort(), ['10.0.0.1:1', '10.0.0.1:1', '10.0.0.1:2']);
    assert.is(room.monitor.stats().items, 3);
    assert.is(room.view().length, 4, 'instances, by their settings');
    setRoutes([{ id: 'd.example.com', target, health: '/other' }]);
    room.routesChanged({ save: [], remove: ['a.example.com', 'b.example.com', 'c.example.com'] });
    assert.is(room.monitor.stats().items, 1);
    setRoutes([{ id: 'D.example.com', target, health: { path: '/new' } }]);
    room.routesChanged({ save: [{ id: 'd.example.com', target }], remove: [] });
    assert.match([...room.view()][0].key, /"path":"\/new"/);
    setRoutes([]);
    room.routesChanged();
    assert.is(room.monitor.stats().items, 0);
    assert.ok(state);
  },
);

rooms('a canary’s targets are probed as the others are', async () => {
  const { clock, probed, add, registry } = await services([
    {
      id: 'a.example.com',
      target: 'http://10.0.0.1:1',
      health: '/up',
      rollout: { canary: { target: 'http://10.0.0.1:2', percent: 5 } },
    },
  ]);
  void define(registry, { id: 'user-svc', rollout: { canary: { target: 'http://10.0.0.1:4' } } });
  add('user-svc', { url: 'http://10.0.0.1:3' });
  await clock.advance(2_000);
  assert.equal(probed.sort(), ['10.0.0.1:1', '10.0.0.1:2', '10.0.0.1:3', '10.0.0.1:4']);
});

rooms('a change of the definition changes the check: what another check found is forgotten', async () => {
  const { registry, room, add, clock, errors, told, down } = await services();
  const id = add('user-svc', { url: 'http://10.0.0.1:1', ttlSeconds: 3_600 });
  errors['10.0.0.1:1'] = 'refused';
  await clock.advance(2_000);
  assert.equal(down(), [a + tcp]);
  delete errors['10.0.0.1:1'];
  void define(registry, { id: 'user-svc', health: { path: '/up', intervalMs: 1_000 } });
  await clock.advance(20);
  assert.is(registry.get(id)!.status, 'Unknown');
  assert.equal(told.at(-1)!.services![0].options, { health: { path: '/up', intervalMs: 1_000 } });
  await clock.advance(1_500);
  assert.is(registry.get(id)!.status, 'Healthy', 'by one probe');
  assert.equal(down(), []);
  assert.is(room.monitor.stats().items, 1);
  void define(registry, { id: 'user-svc', health: false });
  await clock.advance(20);
  assert.is(room.monitor.stats().items, 0);
  assert.is(registry.get(id)!.status, 'Unknown');
  assert.is(registry.get(id)!.details, 'it is not probed');
  void define(registry, { id: 'user-svc', target: ['http://10.0.0.9:1', 'http://10.0.0.9:2'] });
  await clock.advance(20);
  assert.equal(
    room.view().map(({ address }) => address),
    ['http://10.0.0.9:1', 'http://10.0.0.9:2'],
  );
});

rooms('a stored definition that is refused is said and has no options', async () => {
  const { registry, add, clock, told, lines } = await services();
  add('user-svc', { url: 'http://10.0.0.1:1' });
  void define(registry, { id: 'user-svc', broken: 'balance is odd' });
  void define(registry, { id: 'other-svc', balance: 'odd' });
  await clock.advance(100);
  assert.equal(
    told.flatMap((change) => change.services ?? []).map(({ slug, options }) => [slug, options]),
    [
      ['user-svc', {}],
      ['other-svc', {}],
    ],
  );
  assert.is(lines.length, 2);
  assert.is(lines[0], 'registry: the definition of user-svc is not used, the defaults are: balance is odd');
  assert.match(lines[1], /the definition of other-svc is not used, the defaults are: balance is 'odd'; expected/);
});

rooms('unknown slugs are gone for workers, too', async () => {
  const { registry, add, clock, told } = await services();
  const id = add('user-svc', { url: 'http://10.0.0.1:1' });
  await clock.advance(100);
  registry.deregister(id);
  await clock.advance(700_000);
  assert.equal(
    told.map(({ services: list, gone }) => [list?.length, gone]),
    [
      [1, []],
      [1, []],
      [0, ['user-svc']],
    ],
  );
});

rooms('a name is probed at each of its addresses, as they change; one that does not resolve says why', async () => {
  const { room, registry, add, clock, names, errors, probed, down } = await services();
  names['web.internal'] = ['10.0.0.1', '10.0.0.2'];
  const id = add('user-svc', { url: 'http://web.internal:1' });
  const other = add('none-svc', { url: 'http://none.internal:1' });
  await clock.advance(2_000);
  assert.equal(
    room.view().map(({ address, state }) => `${address} ${state}`),
    [
      'http://none.internal:1 Unreachable',
      'http://web.internal:1@10.0.0.1 Healthy',
      'http://web.internal:1@10.0.0.2 Healthy',
    ],
  );
  assert.is(registry.get(other)!.details, 'its name does not resolve: there is no such name');
  assert.equal(down(), [`http://none.internal:1${tcp}`]);
  assert.equal(probed.sort(), ['10.0.0.1:1', '10.0.0.2:1']);
  errors['10.0.0.2:1'] = 'refused';
  await clock.advance(35_000);
  assert.is(registry.get(id)!.status, 'Degraded', 'the other can be used');
  assert.is(registry.get(id)!.details, 'http://web.internal:1@10.0.0.2: no connection');
  names['web.internal'] = ['10.0.0.1', '10.0.0.3'];
  names['none.internal'] = ['10.0.0.4'];
  await clock.advance(35_000);
  assert.is(registry.get(id)!.status, 'Healthy');
  assert.is(registry.get(other)!.status, 'Healthy');
  assert.equal(down(), []);
  assert.is(room.monitor.stats().items, 3);
});

rooms('localhost is one instance, whatever its addresses are', async () => {
  const { room, add, clock, names, probed, told } = await services([
    { id: 'a.example.com', target: ['http://localhost:1', 'http://app.localhost:1'] },
  ]);
  names.localhost = ['127.0.0.1', '127.0.0.2'];
  add('user-svc', { url: 'http://localhost:1' });
  await clock.advance(2_000);
  assert.equal(
    room.view().map(({ address, state }) => `${address} ${state}`),
    ['http://localhost:1 Healthy'],
  );
  assert.equal(probed, ['localhost:1']);
  room.outcomes([['http://localhost:1', 30, 30]]);
  assert.is(told.at(-1)!.ejected![0][0], 'http://localhost:1');
});

rooms('after a restart a name is down where it was down, before it is looked up', async () => {
  const route = { id: 'app.example.com', target: 'http://web.internal', health: '/up' };
  const first = await services([route]);
  first.names['web.internal'] = ['10.0.0.1', '10.0.0.2'];
  first.errors['10.0.0.2:80'] = 'refused';
  await first.clock.advance(10_000);
  await first.room.stop();
  const second = await services([route], first);
  const [key] = second.down();
  assert.match(key, /^http:\/\/web\.internal@10\.0\.0\.2 /);
  assert.is(second.room.view().length, 2);
});

rooms('names go on being looked up while somebody has them', async () => {
  const { room, clock, names } = await services([{ id: 'a.example.com', target: 'http://web.internal', health: '/' }]);
  names['web.internal'] = ['10.0.0.1'];
  await clock.advance(1_800_000);
  names['web.internal'] = ['10.0.0.2'];
  await clock.advance(40_000);
  assert.equal(
    room.view().map(({ address }) => address),
    ['http://web.internal@10.0.0.2'],
  );
});

rooms('states that the database does not take are kept, and said once', async () => {
  const { clock, stores, errors, lines, room } = await services([
    { id: 'a.example.com', target: 'http://10.0.0.1:1', health: '/' },
  ]);
  stores.health.down = 'the disk is full';
  errors['10.0.0.1:1'] = 'refused';
  await clock.advance(10_000);
  assert.is(stores.health.rows.size, 0);
  stores.health.down = '';
  await clock.advance(10_000);
  assert.is([...stores.health.rows.values()][0].state, 'Unreachable');
  assert.equal(lines.slice(1), [
    'health: the database takes no states, they are kept in memory: the disk is full',
    'health: the database takes states again',
  ]);
  await room.stop();
});

rooms('stored states of what no route has any more are forgotten', async () => {
  const first = await services([{ id: 'a.example.com', target: 'http://10.0.0.1:1', health: '/' }]);
  first.errors['10.0.0.1:1'] = 'refused';
  await first.clock.advance(5_000);
  await first.room.stop();
  assert.is(first.stores.health.rows.size, 1);
  const second = await services([], first);
  await second.clock.advance(3_700_000);
  assert.is(second.stores.health.rows.size, 0);
  await second.room.stop();
});

rooms('two services with one address share its probes, and know what is known', async () => {
  const { registry, add, clock, probed } = await services();
  const one = add('a-svc', { url: 'http://10.0.0.1:1' });
  await clock.advance(1_000);
  const two = add('b-svc', { url: 'http://10.0.0.1:1' });
  await clock.advance(50);
  assert.is(registry.get(two)!.status, 'Healthy', 'at once: it is known');
  registry.deregister(one);
  await clock.advance(60_000);
  assert.is(registry.get(two)!.status, 'Healthy');
  assert.ok(probed.length <= 7, `${probed.length} probes`);
});

rooms('where thousands go down at once the log says how many', async () => {
  const { room, add, clock, errors, lines, down } = await services();
  void define(room.registry, { id: 'user-svc', health: { kind: 'tcp', intervalMs: 1_000, fall: 1 } });
  for (let port = 1; port <= 100; port++) add('user-svc', { url: `http://10.0.0.1:${port}`, ttlSeconds: 3_600 });
  await clock.advance(3_000);
  for (let port = 1; port <= 100; port++) errors[`10.0.0.1:${port}`] = 'refused';
  await clock.advance(5_000);
  assert.is(down().length, 100);
  const more = lines.flatMap((line) => /^health: and (\d+) others$/.exec(line)?.[1] ?? []);
  assert.is(lines.length - more.length + more.reduce((sum, count) => sum + Number(count), 0), 100);
  assert.ok(lines.length <= 63, `${lines.length} lines`);
});

rooms('a definition that says another gate leaves its instances’ health alone', async () => {
  const { registry, add, clock, errors, told, down, probed } = await services();
  const id = add('user-svc', { url: 'http://10.0.0.1:1' });
  errors['10.0.0.1:1'] = 'refused';
  await clock.advance(2_000);
  const before = probed.length;
  const rollout = { gate: { state: 'paused' } };
  void define(registry, { id: 'user-svc', rollout });
  await clock.advance(100);
  assert.equal(told.at(-1)!.services![0].options, { rollout });
  assert.is(registry.get(id)!.status, 'Unreachable');
  assert.equal(down(), [a + tcp]);
  assert.is(probed.length, before);
});

rooms(
  'outliers: the suspected is ejected where probes leave enough, shown, and lifted by its next good probe',
  async () => {
    const { room, add, clock, errors, told } = await services();
    for (const port of [1, 2, 3]) add('user-svc', { url: `http://10.0.0.1:${port}`, ttlSeconds: 3_600 });
    errors['10.0.0.1:3'] = 'refused';
    await clock.advance(1_500);
    const keys = [1, 2, 3].map((port) => `http://10.0.0.1:${port}${tcp}`);
    room.suspect({ key: keys[0], cause: 'unreachable', pools: [keys] });
    room.suspect({ key: keys[1], cause: 'unreachable', pools: [keys] });
    const forMs = 10_500;
    assert.equal(told.at(-1), { ejected: [[keys[0], { cause: 'unreachable', forMs, level: 1 }]] });
    assert.equal(room.ejections(), [[keys[0], { cause: 'unreachable', forMs, level: 1 }]]);
    const { state, ejected } = room.instanceState(keys[0])!;
    assert.is(state, 'Healthy');
    assert.equal(ejected, { cause: 'unreachable', leftMs: forMs, level: 1 });
    assert.is(room.instanceState(keys[1])!.ejected, null);
    await clock.advance(10_400);
    assert.equal(told.at(-1), { lifted: [keys[0]] });
    assert.equal(room.ejections(), []);
  },
);

rooms(
  'outliers of pools that are not probed: by all workers together, over the pools that this process knows',
  async () => {
    const target = ['http://10.0.0.1', 'http://10.0.0.2', 'http://web.internal'];
    const { room, clock, names, told } = await services([{ id: 'a.example.com', target }]);
    names['web.internal'] = ['10.0.0.3', '10.0.0.4'];
    for (let worker = 0; worker < 3; worker++)
      room.outcomes([
        ['http://web.internal@10.0.0.3', 10, 8],
        ['http://10.0.0.1', 10, 0],
      ]);
    await clock.advance(1_100);
    room.outcomes([['http://web.internal@10.0.0.3', 1, 1]]);
    assert.is(told.at(-1)!.ejected![0][0], 'http://web.internal@10.0.0.3');
    assert.equal(
      room.view().map(({ address, state, reason, ejected }) => [address, state, reason, ejected?.cause]),
      [['http://web.internal@10.0.0.3', 'Unknown', 'it is not probed', 'rate']],
    );
  },
);

rooms('this server itself and names of its own paths do not register', async () => {
  const { registry } = await services();
  assert.match(JSON.stringify(registry.register('a-svc', { url: 'http://127.0.0.1:11337' })), /in a circle/);
  assert.match(JSON.stringify(registry.register('v1', { url: 'http://127.0.0.1:3000' })), /"field":"slug"/);
});

rooms('servers that share a database: what one hears, both know; each goes by its own probes', async () => {
  const one = await services([], undefined, true);
  const two = await services([], { ...one, stores: { ...one.stores, health: memoryHealthStore() } }, true);
  const id = one.add('user-svc', { url: 'http://10.0.0.1:1', ttlSeconds: 10 });
  for (const { registry } of [one, two]) void define(registry, { id: 'user-svc', limits: { maxConnections: 3 } });
  await one.clock.advance(2_000);
  assert.is(two.registry.get(id)!.status, 'Healthy');
  assert.ok(two.probed.length > 0);
  assert.equal(two.told.at(-1)!.services![0].options, { limits: { maxConnections: 3 } });
  two.errors['10.0.0.1:1'] = 'refused';
  for (let i = 0; i < 8; i++) {
    one.add('user-svc', { url: 'http://10.0.0.1:1', ttlSeconds: 10 });
    await one.clock.advance(4_000);
  }
  assert.is(two.registry.get(id)!.status, 'Unreachable');
  assert.is(one.registry.get(id)!.status, 'Healthy');
  await one.clock.advance(20_000);
  assert.is(one.registry.get(id), undefined);
  assert.is(two.registry.get(id), undefined);
  await one.room.stop();
  await two.room.stop();
});

rooms('nobody is told of anything after stop', async () => {
  const { room, add, clock, errors, told } = await services();
  add('user-svc', { url: 'http://10.0.0.1:1' });
  await clock.advance(2_000);
  errors['10.0.0.1:1'] = 'refused';
  await room.stop();
  const before = told.length;
  room.routesChanged();
  room.suspect({ key: 'a', cause: 'failures', pools: [['a', 'b']] });
  await clock.advance(120_000);
  assert.is(told.length, before);
});

rooms.run();
