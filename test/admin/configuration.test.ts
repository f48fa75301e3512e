import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfiguration, type Refused } from '../../src/admin/configuration.ts';
import type { Route, RouteChange } from '../../src/core/types.ts';
import { type MemoryStore, memoryStore } from '../helpers/memory-store.ts';

const configuration = suite('admin: the configuration');
const by = { actor: 'test' };
const a: Route = { id: 'a', target: 'http://10.0.0.1' };
const b: Route = { id: 'b/x', target: 'http://10.0.0.2', hostHeader: 'upstream' };

async function start(store: MemoryStore = memoryStore()) {
  const published: RouteChange[] = [];
  const errors: string[] = [];
  const publish = async (change: RouteChange) => void published.push(change);
  const onError = (error: Error) => void errors.push(error.message);
  return { store, published, errors, config: await createConfiguration({ store, publish, onError }) };
}

configuration('a save says what was created, updated and left as it is; ids come out in normal form', async () => {
  const { config, published, store } = await start(memoryStore([a, b], 4));
  const result = await config.save(
    [
      { ...a, id: 'A.' },
      { ...b, target: 'http://10.0.0.3' },
      { id: 'C/app/', target: 't' },
    ],
    by,
  );
  assert.equal(result, {
    revision: 5,
    routes: [a, { ...b, target: 'http://10.0.0.3' }, { id: 'c/app', target: 't' }],
    created: ['c/app'],
    updated: ['b/x'],
    unchanged: ['a'],
    changes: [
      { kind: 'route', id: 'b/x', before: b, after: { ...b, target: 'http://10.0.0.3' } },
      { kind: 'route', id: 'c/app', before: null, after: { id: 'c/app', target: 't' } },
    ],
  });
  const save = [
    { ...b, target: 'http://10.0.0.3' },
    { id: 'c/app', target: 't' },
  ];
  assert.equal(published, [{ revision: 5, base: 4, save, remove: [] }]);
  const own = { actor: 'test', from: undefined, reason: undefined };
  assert.equal(store.commits, [{ ...own, base: 4, save, remove: [], services: { save: [], remove: [] } }]);
  assert.equal(
    config.list().map(({ id }) => id),
    ['a', 'b/x', 'c/app'],
  );
  assert.equal(config.get('B/x/'), { ...b, target: 'http://10.0.0.3' });
});

configuration('what changes nothing makes no revision', async () => {
  const { config, published, store } = await start(memoryStore([a], 4));
  const saved = await config.save([a], by);
  const nothing = { revision: 4, created: [], updated: [], changes: [] };
  assert.equal(saved, { ...nothing, routes: [a], unchanged: ['a'] });
  assert.equal(await config.remove(['none', 'no id'], by), {
    ...{ revision: 4, removed: [], missing: ['none', 'no id'], changes: [] },
  });
  assert.equal(await config.save([], by), { ...nothing, routes: [], unchanged: [] });
  assert.equal([published, store.commits], [[], []]);
});

configuration('an option taken away is an update', async () => {
  const { config } = await start(memoryStore([b], 1));
  const saved = await config.save([{ id: b.id, target: b.target }], by);
  assert.equal((saved as { updated: readonly string[] }).updated, ['b/x']);
  assert.equal(config.get('b/x'), { id: b.id, target: b.target });
});

configuration(
  'options are compared all the way down: the order of their fields says nothing, their values all',
  async () => {
    const rich: Route = {
      ...a,
      target: ['http://a', { url: 'http://b', weight: 3, priority: 1 }],
      health: { path: '/up', rise: 1 },
    };
    const { config, store } = await start(memoryStore([rich], 1));
    const save = async (route: Route) =>
      ((await config.save([route], by)) as { unchanged: readonly string[] }).unchanged;
    assert.equal(await save({ ...rich, target: ['http://a', { priority: 1, url: 'http://b', weight: 3 }] }), ['a']);
    assert.equal(await save({ ...rich, health: { rise: 1, path: '/up', fall: undefined } }), ['a']);
    assert.is(store.commits.length, 0);
    for (const other of [
      { ...rich, health: { path: '/up', rise: 2 } },
      { ...rich, health: { path: '/up' } },
      { ...rich, target: [{ url: 'http://b', weight: 3, priority: 1 }, 'http://a'] },
      { ...rich, target: ['http://a'] },
      { ...rich, target: 'http://a' },
      { ...rich, health: false as const },
    ]) {
      assert.equal(await save(other), [], JSON.stringify(other));
      assert.equal(config.get('a'), other);
    }
  },
);

const paused = { gate: { state: 'paused', maxWaiting: 5 } } as const;
const canary = { canary: { target: 'http://10.0.0.9', percent: 5 }, previous: 'http://10.0.0.8' } as const;

configuration('a save without a rollout keeps it, and stores and publishes it with what else is new', async () => {
  const rollout = { ...paused, ...canary };
  const { config, store, published } = await start(memoryStore([{ ...a, rollout }], 1));
  assert.equal(((await config.save([a], by)) as { unchanged: readonly string[] }).unchanged, ['a']);
  assert.equal(store.commits, []);
  const saved = await config.save([{ ...a, maxBodyBytes: 5 }], by);
  const kept = { ...a, maxBodyBytes: 5, rollout };
  assert.equal((saved as { routes: readonly Route[] }).routes, [kept]);
  assert.equal([config.get('a'), store.commits[0].save, published[0].save], [kept, [kept], [kept]]);
});

configuration('a save with another target keeps a pause or a stop, but no canary and no way back', async () => {
  const { config } = await start(memoryStore([{ ...a, rollout: { ...paused, ...canary } }], 1));
  await config.save([{ ...a, target: ['http://10.0.0.3'] }], by);
  assert.equal(config.get('a'), { id: 'a', target: ['http://10.0.0.3'], rollout: paused });
  const other = await start(memoryStore([{ ...a, rollout: canary }], 1));
  await other.config.save([{ ...a, target: 'http://10.0.0.3' }], by);
  assert.equal(other.config.get('a'), { id: 'a', target: 'http://10.0.0.3' });
});

configuration('a rollout that is saved counts; an empty one for none', async () => {
  const { config } = await start(memoryStore([{ ...a, rollout: { ...paused, ...canary } }], 1));
  await config.save([{ ...a, rollout: canary }], by);
  assert.equal(config.get('a')?.rollout, canary);
  await config.save([{ ...a, rollout: {} }], by);
  assert.equal(config.get('a'), a);
  assert.equal(await config.save([{ ...a, rollout: {} }], by), {
    ...{ revision: 3, routes: [a], created: [], updated: [], unchanged: ['a'] },
    changes: [],
  });
});

configuration('a route that was removed is saved anew without what it was', async () => {
  const { config } = await start(memoryStore([{ ...a, rollout: paused }], 1));
  await config.remove(['a'], by);
  await config.save([a], by);
  assert.equal(config.get('a'), a);
});

configuration('update: by what the route is, in turn, so that no change is lost', async () => {
  const { config, store } = await start(memoryStore([{ ...a, rollout: paused }], 1));
  const more = (route: Route) => ({ ...route, maxBodyBytes: (route.maxBodyBytes ?? 0) + 1 });
  const results = await Promise.all([1, 2, 3].map(() => config.update('A.', more, by)));
  assert.equal(
    results.map((result) => (result as { revision: number }).revision),
    [2, 3, 4],
  );
  assert.equal(config.get('a'), { ...a, maxBodyBytes: 3, rollout: paused });
  const { rollout: _, ...open } = config.get('a') as Route;
  const opened = await config.update('a', () => open, { ...by, reason: 'resume' });
  const before = { ...a, maxBodyBytes: 3, rollout: paused };
  const changes = [{ kind: 'route', id: 'a', before, after: open }];
  assert.equal(opened, { revision: 5, routes: [open], created: [], updated: ['a'], unchanged: [], changes });
  assert.equal(config.get('a'), open, 'what is left out is gone');
  assert.equal(store.commits.at(-1)?.reason, 'resume');
  assert.equal(((await config.update('a', (route) => route, by)) as { unchanged: readonly string[] }).unchanged, ['a']);
  assert.is(store.commits.length, 4);
});

configuration('update: no such route, one that is refused, another id, and a change that throws', async () => {
  const { config, store } = await start(memoryStore([a], 1));
  assert.is(await config.update('b', () => ({ ...a, id: 'b' }), by), undefined);
  const refused = (await config.update('a', (route) => ({ ...route, target: 'ftp://x' }), by)) as Refused;
  assert.equal(
    refused.faults.map(({ field }) => field),
    ['target'],
  );
  const failed = async (change: (route: Route) => Route) =>
    config.update('a', change, by).then(
      () => 'done',
      (error: Error) => error.message,
    );
  assert.is(await failed((route) => ({ ...route, id: 'b' })), 'the route a was changed into b; expected the same id');
  assert.is(
    await failed(() => {
      throw new Error('no');
    }),
    'no',
  );
  assert.equal(await config.update('a', (route) => route, { ...by, ifMatch: 7 }), { conflict: 1 });
  assert.equal([store.commits, config.list()], [[], [a]]);
});

configuration('remove: in any spelling, each once', async () => {
  const { config, published } = await start(memoryStore([a, b], 4));
  const changes = [{ kind: 'route', id: 'a', before: a, after: null }];
  assert.equal(await config.remove(['A', 'a.', 'zz'], by), { revision: 5, removed: ['a'], missing: ['zz'], changes });
  assert.equal(published, [{ revision: 5, base: 4, save: [], remove: ['a'] }]);
  assert.equal(config.list(), [b]);
});

configuration('one bad route, and nothing of the call is stored', async () => {
  const { config, published, store } = await start();
  const result = await config.save([a, { id: 'http://x', target: 't' }, { id: 'A', target: 't' }], by);
  assert.equal(
    (result as Refused).faults.map(({ index, field }) => [index, field]),
    [
      [1, 'id'],
      [2, 'id'],
    ],
  );
  assert.equal([published, store.commits, config.list()], [[], [], []]);
});

configuration('the table is replaced, never changed: who reads one keeps it', async () => {
  const { config } = await start(memoryStore([a], 1));
  const before = config.table;
  await config.remove(['a'], by);
  assert.is(before.size, 1);
  assert.is(before.revision, 1);
  assert.is(config.table.size, 0);
});

configuration('the commit comes first, then the publishing; a save resolves when every worker has it', async () => {
  const store = memoryStore();
  const order: string[] = [];
  let arrived = () => {};
  const config = await createConfiguration({
    store: {
      ...store,
      commit(change) {
        order.push('commit');
        return store.commit(change);
      },
    },
    publish() {
      order.push('publish');
      return new Promise((resolve) => {
        arrived = resolve;
      });
    },
  });
  const saving = config.save([a], by).then(() => order.push('saved'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(order, ['commit', 'publish']);
  arrived();
  await saving;
  assert.equal(order, ['commit', 'publish', 'saved']);
});

configuration('saves at the same time take their turn: published in order, none lost', async () => {
  const { config, published } = await start();
  await Promise.all(Array.from({ length: 20 }, (_, n) => config.save([{ id: `h${n}`, target: 't' }], by)));
  assert.equal(
    published.map(({ base, revision }) => [base, revision]),
    Array.from({ length: 20 }, (_, n) => [n, n + 1]),
  );
  assert.is(config.table.size, 20);
});

configuration('another server came first: its change is taken over and published, then ours is made', async () => {
  const { config, published, store } = await start(memoryStore([a], 1));
  store.elsewhere([{ id: 'c', target: 't' }], ['a']);
  const saved = await config.save([{ id: 'a', target: 'new' }], by);
  assert.equal((saved as { created: readonly string[] }).created, ['a'], 'planned anew');
  assert.equal(published, [
    { revision: 2, base: 1, save: [{ id: 'c', target: 't' }], remove: ['a'] },
    { revision: 3, base: 2, save: [{ id: 'a', target: 'new' }], remove: [] },
  ]);
});

configuration('another server came first: an update begins anew with what is there then', async () => {
  const { config, store } = await start(memoryStore([a], 1));
  store.elsewhere([{ ...a, maxBodyBytes: 7 }]);
  await config.update('a', (route) => ({ ...route, rollout: paused }), by);
  assert.equal(config.get('a'), { ...a, maxBodyBytes: 7, rollout: paused });
  store.elsewhere([], ['a']);
  assert.is(await config.update('a', ({ rollout: _, ...route }) => route, by), undefined, 'it was removed there');
});

configuration('another server came first: what it paused stays paused', async () => {
  const { config, store } = await start(memoryStore([a], 1));
  store.elsewhere([{ ...a, rollout: paused }]);
  await config.save([{ ...a, maxBodyBytes: 7 }], by);
  assert.equal(config.get('a'), { ...a, maxBodyBytes: 7, rollout: paused });
});

configuration('If-Match: this revision or nothing', async () => {
  const { config, store } = await start(memoryStore([a], 1));
  assert.equal(await config.save([b], { ...by, ifMatch: 0 }), { conflict: 1 });
  assert.equal(await config.remove(['a'], { ...by, ifMatch: 9 }), { conflict: 1 });
  assert.equal(store.commits, []);
  store.elsewhere([{ id: 'c', target: 't' }]);
  assert.equal(await config.save([b], { ...by, ifMatch: 1 }), { conflict: 2 }, 'another server came between');
  assert.is(((await config.save([b], { ...by, ifMatch: 2 })) as { revision: number }).revision, 3);
});

configuration('what others store comes in by the watch, by differences or, past the log, as a whole', async () => {
  const { config, published, store } = await start(memoryStore([a, b], 1));
  store.elsewhere([{ id: 'c', target: 't' }]);
  await store.notice?.(2);
  assert.equal(published.at(-1), { revision: 2, base: 1, save: [{ id: 'c', target: 't' }], remove: [] });
  store.elsewhere([{ id: 'd', target: 't' }], ['a']);
  store.forgets = true;
  await store.notice?.(3);
  assert.equal(published.at(-1), { revision: 3, base: 2, save: [{ id: 'd', target: 't' }], remove: ['a'] });
  assert.equal(
    config.list().map(({ id }) => id),
    ['b/x', 'c', 'd'],
  );
  await config.close();
  assert.is(store.notice, undefined);
});

configuration('a store that fails changes nothing here, and the next save works', async () => {
  const { config, published, store } = await start(memoryStore([a], 1));
  store.failure = Object.assign(new Error('full'), { code: 'OO_STORE_FULL', hint: 'x' });
  const error = await config.save([b], by).catch((failure) => failure);
  assert.is(error, store.failure);
  assert.equal([config.table.revision, config.list(), published], [1, [a], []]);
  store.failure = undefined;
  assert.is(((await config.save([b], by)) as { revision: number }).revision, 2);
});

configuration('a change that a worker did not take stands, as it is stored; the fault is told', async () => {
  const errors: string[] = [];
  const config = await createConfiguration({
    store: memoryStore(),
    publish: async () => Promise.reject(new Error('no worker')),
    onError: ({ message }) => void errors.push(message),
  });
  assert.is(((await config.save([a], by)) as { revision: number }).revision, 1);
  assert.equal([config.get('a'), errors], [a, ['no worker']]);
});

configuration(
  'stored rows that this program refuses are left out and told; they can be removed or mended',
  async () => {
    const bad = { id: 'bad', target: 'ftp://x' };
    const { config, errors, store } = await start(memoryStore([a, bad, { id: 'no id', target: 't' }], 1));
    assert.equal(config.list(), [a]);
    assert.is(errors.length, 2);
    assert.match(errors[0], /stored route bad is left out: target 'ftp:\/\/x' has the unknown scheme/);
    const changes = [{ kind: 'route', id: 'no id', before: { id: 'no id', target: 't' }, after: null }];
    assert.equal(await config.remove(['no id'], by), { revision: 2, removed: ['no id'], missing: [], changes });
    await config.save([{ id: 'bad', target: 'http://x' }], by);
    assert.equal((await store.load()).routes, [a, { id: 'bad', target: 'http://x' }]);
  },
);

configuration('100,000 routes: one more is saved in little time, and listing is quick', async () => {
  const many = Array.from({ length: 100_000 }, (_, i) => ({ id: `h${i}.example.com`, target: 'http://10.0.0.1' }));
  const { config } = await start(memoryStore(many, 1));
  const begun = performance.now();
  for (let n = 0; n < 50; n++) await config.save([{ id: `one${n}`, target: 't' }], by);
  // About 1 ms each; compiling the table anew would take 50 × 0.5 s.
  assert.ok(performance.now() - begun < 5_000, `50 saves took ${performance.now() - begun} ms`);
  const list = config.list();
  assert.is(list.length, 100_050);
  assert.is(config.list(), list, 'made once a revision');
});

configuration.run();
