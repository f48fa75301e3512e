import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigurationChange, createConfiguration } from '../../src/admin/configuration.ts';
import type { Applied, ApplyRefused, ApplyRequest, OwnCertificate, ResourceChange } from '../../src/admin/resources.ts';
import type { Route, RouteChange } from '../../src/core/types.ts';
import type { Definition } from '../../src/services/types.ts';
import { type MemoryStore, memoryStore } from '../helpers/memory-store.ts';
import { random } from '../helpers/random.ts';

const apply = suite('admin: apply, services, settings, history');

const by = { actor: 'test', from: 'socket' };
const a: Route = { id: 'a.test', target: 'http://10.0.0.1' };
const b: Route = { id: 'b.test', target: 'http://10.0.0.2' };
const web: Definition = { id: 'web', balance: 'random' };

async function start(store: MemoryStore = memoryStore()) {
  const published: RouteChange[] = [];
  const services: (readonly Definition[])[] = [];
  const settings: object[] = [];
  const told: ConfigurationChange[] = [];
  const errors: string[] = [];
  const config = await createConfiguration({
    store,
    publish: async (change) => void published.push(change),
    publishServices: async (list) => void services.push(list),
    onSettings: (value) => settings.push(value),
    onChange: (change) => told.push(change),
    onError: ({ message }) => void errors.push(message),
  });
  const applied = async (request: ApplyRequest) => (await config.apply(request, by)) as Applied;
  const faults = async (request: ApplyRequest) => {
    const result = await config.apply(request, by);
    return (result as ApplyRefused).faults?.map(({ kind, index, id, field }) => ({ kind, index, id, field }));
  };
  return { store, config, published, services, settings, told, errors, applied, faults };
}

const words = (changes: readonly ResourceChange[]) =>
  changes.map(({ kind, id, before, after }) => `${before ? (after ? '~' : '-') : '+'}${kind} ${id}`);

apply('routes, services and settings are one revision, and everybody is told of what is theirs', async () => {
  const { store, config, published, services, settings, told, applied } = await start();
  const done = await applied({ routes: [a, b], services: [web], settings: { recentRequests: 5 } });
  assert.equal(words(done.changes), ['+route a.test', '+route b.test', '+service web', '+settings server']);
  assert.equal([done.revision, done.unchanged, done.certificates], [1, 0, []]);
  assert.is(store.commits.length, 1);
  assert.equal(published, [{ revision: 1, base: 0, save: [a, b], remove: [] }]);
  assert.equal([services, settings], [[[web]], [{}, { recentRequests: 5 }]]);
  assert.equal([config.list(), config.services(), config.settings()], [[a, b], [web], { recentRequests: 5 }]);
  assert.equal(told, [{ ...{ revision: 1, at: 1_000, ...by, reason: '' }, changes: done.changes }]);
  const again = await applied({ routes: [a], services: [web], settings: { recentRequests: 5 } });
  assert.equal([again.revision, again.changes, again.unchanged], [1, [], 3]);
  // What only a service changes is a revision of the workers, too.
  await config.saveServices([{ id: 'web' }], by);
  assert.equal(published[1], { revision: 2, base: 1, save: [], remove: [] });
});

apply('every fault is told with its kind and place, and nothing is stored', async () => {
  const { store, config, faults } = await start();
  const certificates = [{ cert: 'c', key: 'k' }];
  const bad = { routes: [a, { id: 'x', target: 'ftp://x' }], services: [web, { id: 'No' }, { id: 'v1' }] };
  assert.equal(await faults({ ...bad, settings: { historyRevisions: 0, nope: 1 }, certificates, prune: true }), [
    { kind: 'request', index: undefined, id: undefined, field: 'prune' },
    { kind: 'route', index: 1, id: 'x', field: 'target' },
    { kind: 'service', index: 1, id: 'No', field: 'id' },
    { kind: 'service', index: 2, id: 'v1', field: 'id' },
    { kind: 'settings', index: undefined, id: 'server', field: 'nope' },
    { kind: 'settings', index: undefined, id: 'server', field: 'historyRevisions' },
    { kind: 'certificate', index: 0, id: undefined, field: undefined },
  ]);
  assert.equal(await faults({ owner: 'no label' }), [
    { kind: 'request', index: undefined, id: undefined, field: 'owner' },
  ]);
  assert.equal([store.commits, config.list(), config.services()], [[], [], []]);
});

apply('what is made gets the label, and prune takes away only what has the same', async () => {
  const { config, applied } = await start();
  await config.save([{ id: 'free.test', target: 'http://x' }], by);
  await applied({ routes: [a, { ...b, owner: 'own' }], services: [web], owner: 'shop' });
  assert.equal(
    [config.get('a.test')?.owner, config.get('b.test')?.owner, config.service('web')?.owner],
    ['shop', 'own', 'shop'],
  );
  const plan = await config.apply(
    { routes: [{ id: 'c.test', target: 'http://x' }], owner: 'shop', prune: true },
    {
      ...by,
      dryRun: true,
    },
  );
  assert.equal(words((plan as Applied).changes), ['+route c.test', '-route a.test', '-service web']);
  assert.is((plan as Applied).revision, 2);
  assert.is(config.list().length, 3, 'that was a plan');
  const done = await applied({ routes: [{ id: 'c.test', target: 'http://x' }], owner: 'shop', prune: true });
  assert.equal(done.changes, (plan as Applied).changes);
  assert.equal(
    config.list().map(({ id }) => id),
    ['b.test', 'c.test', 'free.test'],
  );
  assert.equal(config.services(), []);
});

apply('what is another owner’s is a fault that names it; a save without a label keeps it', async () => {
  const { config, applied, faults } = await start();
  await applied({ routes: [a], services: [web], owner: 'shop' });
  const refused = await config.apply({ routes: [b, a], services: [web], owner: 'blog' }, by);
  assert.equal(
    (refused as ApplyRefused).faults.map(({ message }) => /belongs to shop, not to blog/.test(message)),
    [true, true],
  );
  assert.equal(await faults({ routes: [b, a], services: [web], owner: 'blog' }), [
    { kind: 'route', index: 1, id: 'a.test', field: 'owner' },
    { kind: 'service', index: 0, id: 'web', field: 'owner' },
  ]);
  assert.is(config.get('b.test'), undefined);
  assert.equal((await applied({ routes: [a] })).changes, [], 'no label: nobody takes it away');
  await config.save([{ ...a, maxBodyBytes: 5 }], by);
  await config.saveServices([{ id: 'web' }], by);
  assert.equal([config.get('a.test')?.owner, config.service('web')], ['shop', { id: 'web', owner: 'shop' }]);
  await applied({ routes: [{ ...a, owner: 'blog' }], owner: 'shop' });
  assert.is(config.get('a.test')?.owner, 'blog', 'its owner may give it away');
});

apply('certificates: proven with the rest, stored before it, and not at all where anything is refused', async () => {
  const { store, config } = await start(memoryStore([a], 3));
  const stored: OwnCertificate[][] = [];
  const certificates = {
    check: async (list: readonly OwnCertificate[]) =>
      list[0].cert === 'bad'
        ? { faults: [{ kind: 'certificate' as const, index: 0, message: 'no certificate' }] }
        : { ids: list.map(({ id = '?' }) => id) },
    async store(list: readonly OwnCertificate[]) {
      assert.is(store.commits.length, 0, 'they come first');
      stored.push([...list]);
    },
  };
  const list = [{ id: 'b.test', cert: 'c', key: 'k' }];
  const tried = async (request: ApplyRequest, more = {}) => config.apply(request, { ...by, certificates, ...more });
  const [cert, key] = ['bad', 'k'];
  assert.ok('faults' in (await tried({ routes: [b], certificates: [{ cert, key }] })));
  assert.ok('faults' in (await tried({ routes: [{ id: 'x' }], certificates: list })));
  assert.ok('conflict' in (await tried({ routes: [b], certificates: list }, { ifMatch: 2 })));
  assert.equal(((await tried({ routes: [b], certificates: list }, { dryRun: true })) as Applied).certificates, [
    'b.test',
  ]);
  assert.equal([stored, store.commits], [[], []]);
  assert.equal(((await tried({ routes: [b], certificates: list }, { ifMatch: 3 })) as Applied).certificates, [
    'b.test',
  ]);
  assert.equal([stored, config.get('b.test')], [[list], b]);
  certificates.store = async (more) => void stored.push([...more]);
  const alone = (await tried({ certificates: list })) as Applied;
  assert.equal([alone.revision, alone.changes, stored.length], [4, [], 2], 'without any route they are stored, too');
});

apply('If-Match holds for all of them, and a dry run of each stores nothing and tells its changes', async () => {
  const { store, config } = await start(memoryStore([a], 3, [web]));
  const calls = (more: object) => {
    const options = { ...by, ...more };
    return [
      config.save([b], options),
      config.update('a.test', (route) => ({ ...route, maxBodyBytes: 1 }), options),
      config.remove(['a.test'], options),
      config.saveServices([{ id: 'other' }], options),
      config.updateService('web', () => ({ id: 'web' }), options),
      config.removeServices(['web', 'nope'], options),
      config.apply({ settings: { recentRequests: 1 } }, options),
    ];
  };
  for (const call of [...calls({ ifMatch: 2 }), config.rollback(3, { ...by, ifMatch: 2 })])
    assert.equal(await call, { conflict: 3 });
  const plans = (await Promise.all(calls({ ifMatch: 3, dryRun: true }))) as Applied[];
  assert.equal(
    plans.map(({ revision, changes }) => [revision, ...words(changes)]),
    [
      [3, '+route b.test'],
      [3, '~route a.test'],
      [3, '-route a.test'],
      [3, '+service other'],
      [3, '~service web'],
      [3, '-service web'],
      [3, '+settings server'],
    ],
  );
  assert.equal([store.commits, config.list(), config.services()], [[], [a], [web]]);
});

apply('services: rollout and label are kept, what is the same is no revision, updates lose nothing', async () => {
  const { config, store } = await start(memoryStore([], 1, [{ ...web, rollout: { previous: 'http://x' } }]));
  const same = await config.saveServices([{ balance: 'random', id: 'web' }], by);
  assert.equal([(same as { unchanged: readonly string[] }).unchanged, store.commits.length], [['web'], 0]);
  await Promise.all(
    [1, 2, 3].map(() => config.updateService('web', (now) => ({ ...now!, count: Number(now?.count ?? 0) + 1 }), by)),
  );
  assert.is(config.service('web')?.count, 3);
  const made = await config.updateService('new', (now) => ({ id: 'new', was: typeof now }), by);
  assert.equal((made as { created: readonly string[] }).created, ['new']);
  assert.is(config.service('new')?.was, 'undefined');
  assert.equal(await config.removeServices(['new', 'nope'], by), {
    ...{ revision: 6, removed: ['new'], missing: ['nope'] },
    changes: [{ kind: 'service', id: 'new', before: { id: 'new', was: 'undefined' }, after: null }],
  });
  const given = { id: 'late', tags: ['x'] };
  await config.saveServices([given], by);
  given.tags.push('y');
  assert.equal(config.service('late'), { id: 'late', tags: ['x'] }, 'it is a copy');
});

apply('random changes, and a rollback to any of them makes all as it was, rollouts too', async () => {
  const { config, store } = await start();
  const chance = random(5);
  const states = [];
  const state = () => ({ routes: config.list(), services: config.services(), settings: config.settings() });
  for (let i = 0; i <= 60; i++) {
    states.push(state());
    const id = `t${Math.floor(chance() * 8)}`;
    const what = chance();
    if (what < 0.3)
      await config.save(
        [{ id, target: `http://10.0.0.${i}`, rollout: { gate: { state: 'paused', maxWaiting: i + 1 } } }],
        by,
      );
    else if (what < 0.5) await config.saveServices([{ id, title: i }], by);
    else if (what < 0.6) await config.remove([id], by);
    else if (what < 0.7) await config.removeServices([id], by);
    else if (what < 0.8) await config.apply({ settings: chance() < 0.5 ? {} : { recentRequests: i } }, by);
    else await config.rollback(Math.floor(chance() * (config.table.revision + 1)), by);
    if (config.table.revision === states.length - 1) states.pop();
  }
  const last = config.table.revision;
  assert.ok(last > 30, String(last));
  for (let i = 0; i < 20; i++) {
    const to = Math.floor(chance() * states.length);
    const done = await config.rollback(to, { ...by, reason: 'since' });
    assert.not('faults' in (done as object), JSON.stringify(done));
    assert.equal(state(), states[to], `@${to}`);
    if ((done as Applied).changes.length > 0) assert.is(store.commits.at(-1)?.reason, `rollback to @${to}: since`);
    states.push(...(config.table.revision === states.length ? [state()] : []));
  }
  assert.is(await config.rollback(9_999, by), undefined);
});

apply('a rollback is proven again: what this oo refuses is not made', async () => {
  const store = memoryStore([a], 1, [{ id: 'web', balance: 'odd' }]);
  store.elsewhere([{ id: 'odd.test', target: 'ftp://x' }]);
  store.elsewhere([], ['odd.test'], { services: { save: [], remove: ['web'] } });
  const { config } = await start(store);
  const refused = (await config.rollback(2, by)) as ApplyRefused;
  assert.equal(
    refused.faults.map(({ kind, id, field }) => [kind, id, field]),
    [
      ['route', 'odd.test', 'target'],
      ['service', 'web', 'balance'],
    ],
  );
  assert.equal([config.table.revision, config.services()], [3, []]);
});

apply('a route that answers by itself keeps no pause, which it could not have', async () => {
  const paused: Route = { ...a, rollout: { gate: { state: 'paused' } }, owner: 'shop' };
  const { config, errors } = await start(memoryStore([paused], 1));
  const saved = await config.save([{ id: 'a.test', redirect: 'https://b.test' }], by);
  assert.not('faults' in saved, JSON.stringify(saved));
  assert.is(config.get('a.test')?.target, undefined);
  assert.is(config.get('a.test')?.owner, 'shop');
  assert.equal(errors, []);
});

apply(
  'other servers: routes, services and settings follow by one revision, and each is told with who made it',
  async () => {
    const { store, config, services, settings, told, published } = await start(memoryStore([a], 1));
    store.elsewhere([b], [], { services: { save: [web], remove: [] }, settings: { historyRevisions: 9 } });
    store.elsewhere([], ['a.test']);
    await store.notice!(3);
    assert.equal([config.list(), config.services(), config.settings()], [[b], [web], { historyRevisions: 9 }]);
    assert.equal([services, settings.at(-1)], [[[web]], { historyRevisions: 9 }]);
    assert.equal(published, [{ revision: 3, base: 1, save: [b], remove: ['a.test'] }]);
    assert.equal(
      told.map(({ revision, actor, changes }) => [revision, actor, ...words(changes)]),
      [
        [2, 'elsewhere', '+route b.test', '+service web', '+settings server'],
        [3, 'elsewhere', '-route a.test'],
      ],
    );
    await config.save([a], by);
    assert.is(store.commits.at(-1)?.historyRevisions, 9);
    store.forgets = true;
    store.elsewhere([], [], { services: { save: [], remove: ['web'] }, settings: {} });
    await config.refresh();
    assert.equal([config.services(), config.settings(), told.at(-1)?.revision], [[], {}, 5]);
    assert.equal(words(told.at(-1)!.changes), ['-service web', '-settings server']);
  },
);

apply('another server came first: the plan is made anew, also by who may not', async () => {
  const { store, config } = await start(memoryStore([], 1));
  store.elsewhere([{ ...a, owner: 'shop' }]);
  const refused = await config.apply({ routes: [a, b], owner: 'blog' }, by);
  assert.match((refused as ApplyRefused).faults[0].message, /a\.test belongs to shop/);
  assert.equal(
    config.list().map(({ id }) => id),
    ['a.test'],
  );
});

apply('too many definitions are refused', async () => {
  const { config, faults } = await start();
  const many = Array.from({ length: 5_000 }, (_, i) => ({ id: `s${i}` }));
  assert.not('faults' in (await config.saveServices(many, by)));
  const refused = await config.saveServices([{ id: 'more' }], by);
  assert.match((refused as ApplyRefused).faults[0].message, /more than 5000 definitions/);
  assert.equal(await faults({ services: [{ id: 'more' }] }), [
    { kind: 'service', index: undefined, id: undefined, field: undefined },
  ]);
  assert.not('faults' in (await config.saveServices([{ id: 's1', title: 'known' }], by)));
});

apply('a definition is refused by size, by a label that is none, and by a name that is none', async () => {
  const { config } = await start();
  for (const [definition, message] of [
    [{ id: 'a', text: 'x'.repeat(70_000) }, /larger than 65536/],
    [{ id: 'a', owner: 'no label' }, /owner is 'no label'/],
    [{ id: 'a_b' }, /not a service name/],
    [{ id: 'healthz' }, /oo's own/],
  ] as const) {
    const refused = (await config.saveServices([definition], by)) as ApplyRefused;
    assert.match(refused.faults[0].message, message);
  }
  assert.not('faults' in (await config.saveServices([{ id: 'a', owner: { team: 'any' } }], by)), 'a field of somebody');
});

apply.run();
