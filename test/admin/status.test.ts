import { Hono } from 'hono';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { createApi } from '../../src/admin/operation.ts';
import { createLive, type LiveState } from '../../src/admin/status.ts';
import { addLiveCalls } from '../../src/admin/status-api.ts';
import type { InstanceFigures, PoolFigures, WorkerFigures } from '../../src/core/figures.ts';
import type { Route } from '../../src/core/types.ts';
import type { Definition, ServicePool } from '../../src/services/types.ts';
import { memoryStore } from '../helpers/memory-store.ts';

const status = suite('admin: live figures');
const a = 'http://10.0.0.1';
const b = 'http://10.0.0.2';

function pool(name: string, more: Partial<PoolFigures> = {}): PoolFigures {
  const none = { requests: 0, errors: 0, retries: 0, inFlight: 0, waiting: 0, latencies: [] };
  return { name, ...none, state: 'first', members: [], ...more };
}

function instance(key: string, more: Partial<InstanceFigures> = {}): InstanceFigures {
  return { key, requests: 0, failures: 0, inFlight: 0, open: 0, breaker: '', latencyMs: -1, ...more };
}

function state(key: string, more: Partial<LiveState> = {}): LiveState {
  return { key, state: 'Healthy', since: 5, reason: '', owners: [], ejected: null, ...more };
}

interface World {
  routes?: Route[];
  definitions?: Definition[];
  pools?: ServicePool[];
  workers?: WorkerFigures[];
  states?: LiveState[];
}

async function live({ routes = [], definitions = [], pools = [], workers = [], states = [] }: World) {
  const configuration = await createConfiguration({ store: memoryStore(routes, 7), publish: async () => {} });
  return createLive({
    configuration,
    registry: {
      definition: (id) => definitions.find((one) => one.id === id),
      definitions: () => definitions,
      pools: () => pools,
    },
    figures: async () => workers,
    states: () => states,
    now: () => 1_000_000,
  });
}

function servicePool(slug: string, ...urls: string[]): ServicePool {
  const rest = { weight: 1, priority: 0, status: 'Unknown', details: '', statusSince: 0, createdAt: 0 } as const;
  return { slug, members: urls.map((url) => ({ id: url, url, ...rest })) };
}

status('the figures of all workers are added up; the worst state counts', async () => {
  const read = await live({
    routes: [{ id: 'app.test', target: ['10.0.0.1', { url: '10.0.0.2', weight: 3 }] }],
    workers: [
      {
        pools: [
          pool('route app.test', {
            requests: 5,
            errors: 1,
            inFlight: 2,
            waiting: 1,
            latencies: [1, 2],
            members: [
              [a, 1],
              [b, 3],
            ],
          }),
          pool('route gone.test', { requests: 9 }),
        ],
        instances: [instance(a, { requests: 4, failures: 1, open: 3, latencyMs: 10, breaker: 'closed' })],
      },
      {
        pools: [pool('route app.test', { requests: 6, retries: 2, latencies: [0, 1, 7], state: 'panic' })],
        instances: [
          instance(a, { requests: 12, inFlight: 2, latencyMs: 30, breaker: 'open' }),
          instance(b),
          instance('http://drains', { requests: 5, inFlight: 1 }),
          instance('http://drained', { requests: 5 }),
        ],
      },
    ],
  });
  const { pools, instances, ...rest } = await read();
  assert.equal(rest, { at: 1_000_000, revision: 7, workers: 2, quiet: 0 });
  assert.equal(pools, [
    {
      ...{
        name: 'app.test',
        kind: 'route',
        target: '10.0.0.1, 10.0.0.2',
        state: 'panic',
        gate: null,
        serviceGate: null,
        canary: null,
      },
      ...{ requests: 11, errors: 1, retries: 2, inFlight: 2, waiting: 1, latencies: [1, 3, 7] },
    },
  ]);
  assert.equal(instances[0], {
    ...{ key: a, address: a, state: 'Unknown', since: 0, reason: '', ejected: null },
    pools: [{ name: 'route app.test', share: 0.25 }],
    ...{ requests: 16, failures: 1, inFlight: 2, open: 3, breaker: 'open', latencyMs: 25 },
  });
  assert.is(instances[1].pools[0].share, 0.75);
  assert.equal(
    instances.slice(2).map(({ key, pools }) => [key, pools]),
    [['http://drains', []]],
  );
});

status('what probes know of instances, also without a request', async () => {
  const ejected = { cause: 'rate', leftMs: 4_000 };
  const key = `${a} {"health":"tcp"}`;
  const read = await live({
    routes: [{ id: 'x.test', target: ['10.0.0.9', '10.0.0.2'] }],
    definitions: [{ id: 'web', target: '10.0.0.1' }],
    states: [
      state(key, { state: 'Unreachable', reason: 'no connection', owners: ['service web', 'route x.test'] }),
      state(b, { owners: ['route x.test'], ejected }),
    ],
    workers: [{ pools: [pool('route x.test', { requests: 1, members: [[b, 1]] })], instances: [] }],
  });
  const { pools, instances } = await read();
  assert.equal(
    pools.map(({ name, state }) => [name, state]),
    [
      ['x.test', 'ok'],
      ['web', 'none'],
    ],
  );
  assert.equal(
    instances.map(({ address, state, reason, pools, ejected }) => ({ address, state, reason, pools, ejected })),
    [
      {
        ...{ address: a, state: 'Unreachable', reason: 'no connection', ejected: null },
        pools: [
          { name: 'service web', share: -1 },
          { name: 'route x.test', share: -1 },
        ],
      },
      { address: b, state: 'Healthy', reason: '', pools: [{ name: 'route x.test', share: 1 }], ejected },
    ],
  );
});

status('services: defined, registered, empty; a route is as its service is', async () => {
  const read = await live({
    routes: [
      { id: 'a.test', target: 'service://empty' },
      { id: 'b.test', target: 'service://web' },
      { id: 'c.test', target: 'service://unknown' },
    ],
    definitions: [{ id: 'empty' }, { id: 'fixed', target: '10.0.0.1' }],
    pools: [servicePool('web', a, b), servicePool('empty')],
  });
  assert.equal(
    (await read()).pools.map(({ name, target, state }) => `${name} ${target}: ${state}`),
    [
      'a.test service://empty: none',
      'b.test service://web: ok',
      'c.test service://unknown: none',
      'empty 0 registered instances: none',
      'fixed 10.0.0.1: ok',
      'web 2 registered instances: ok',
    ],
  );
});

status('a definition that this oo refuses is not gone by, and hides nothing', async () => {
  const odd = [
    { id: 'one', target: 5 },
    { id: 'three', target: [null, { url: 7 }], rollout: { canary: { target: 3 } } },
    { id: 'two', rollout: null },
  ] as unknown as Definition[];
  const read = await live({ routes: [{ id: 'a.test', target: 'service://one' }], definitions: odd });
  assert.equal(
    (await read()).pools.map(({ name, target, canary }) => `${name} ${target} ${canary}`),
    ['a.test service://one null', ...['one', 'three', 'two'].map((name) => `${name} 0 registered instances null`)],
  );
});

status('gates and canaries; a stop that is over is none', async () => {
  const canary = { target: '10.0.0.2', percent: 10 };
  const read = await live({
    routes: [
      { id: 'a.test', target: '10.0.0.1', rollout: { gate: { state: 'stopped', until: 1_000_000 }, canary } },
      { id: 'b.test', target: '10.0.0.1', rollout: { gate: { state: 'stopped', until: 1_000_001 } } },
    ],
    definitions: [{ id: 'web', rollout: { gate: { state: 'paused', maxWaitMs: 5 } } }],
  });
  const [first, second, web] = (await read()).pools;
  assert.equal([first.gate, first.canary], [null, canary]);
  assert.equal([second.gate?.state, second.gate?.until, second.canary], ['stopped', 1_000_001, null]);
  assert.equal([web.gate?.state, web.gate?.maxWaitMs, web.gate?.maxWaiting], ['paused', 5, 1_000]);
});

status('shares where there is a canary; a route has its service’s canary and gate', async () => {
  const gate = { state: 'paused' } as const;
  const health = `{"health":{"kind":"tcp"}}`;
  const [one, two, three] = ['10.0.0.1', '10.0.0.2', '10.0.0.3:81@1.2.3.4'].map((at) => `http://${at} ${health}`);
  const read = await live({
    routes: [
      { id: 'a.test', target: 'service://web' },
      { id: 'b.test', target: '10.0.0.1', rollout: { canary: { target: 'service://web', percent: 10 } } },
    ],
    definitions: [
      {
        id: 'web',
        target: ['10.0.0.1', '10.0.0.2'],
        rollout: { gate, canary: { target: '10.0.0.3:81', percent: 20 } },
      },
    ],
    workers: [
      {
        pools: [
          pool('service web', {
            requests: 1,
            members: [
              [one, 1],
              [two, 3],
              [three, 1],
            ],
          }),
          pool('route a.test', {
            requests: 1,
            members: [
              [one, 1],
              [two, 3],
              [three, 1],
            ],
          }),
          pool('route b.test', {
            requests: 1,
            members: [
              [a, 1],
              [one, 1],
            ],
          }),
        ],
        instances: [one, two, three, a].map((key) => instance(key, { requests: 1 })),
      },
    ],
  });
  const { pools, instances } = await read();
  assert.equal(
    instances.map(({ address, pools: of }) => [address, ...of.map(({ name, share }) => `${name} ${share.toFixed(2)}`)]),
    [
      ['http://10.0.0.1', 'route b.test 0.90'],
      ['http://10.0.0.1', 'service web 0.20', 'route a.test 0.20', 'route b.test 0.10'],
      ['http://10.0.0.2', 'service web 0.60', 'route a.test 0.60'],
      ['http://10.0.0.3:81@1.2.3.4', 'service web 0.20', 'route a.test 0.20'],
    ],
  );
  assert.equal(
    pools.map(({ name, gate, serviceGate }) => [name, gate?.state, serviceGate?.state]),
    [
      ['a.test', undefined, 'paused'],
      ['b.test', undefined, undefined],
      ['web', 'paused', undefined],
    ],
  );
});

status('the members that a worker had before a change do not count', async () => {
  const old = pool('route x.test', { requests: 1, members: [[a, 1]] });
  const gone = pool('route gone.test', { requests: 1, members: [[a, 1]] });
  const now = pool('route x.test', { requests: 1, members: [[b, 1]] });
  const instances = [instance(a, { requests: 1 }), instance(b, { requests: 1 })];
  const read = await live({
    routes: [{ id: 'x.test', target: '10.0.0.2' }],
    workers: [
      { pools: [old, gone], instances },
      { pools: [now], instances },
    ],
  });
  assert.equal(
    (await read()).instances.map(({ key, pools }) => [key, pools]),
    [[b, [{ name: 'route x.test', share: 1 }]]],
  );
});

status('of very many routes those without a request are counted only, unless all are asked for', async () => {
  const routes: Route[] = Array.from({ length: 1_001 }, (_, n) => ({ id: `h${n}.test`, target: '10.0.0.1' }));
  routes[5] = { ...routes[5], rollout: { gate: { state: 'paused' } } };
  const workers = [{ pools: [pool('route h7.test', { requests: 1 })], instances: [] }];
  const read = await live({ routes, workers });
  const some = await read();
  assert.equal([some.pools.map(({ name }) => name), some.quiet], [['h5.test', 'h7.test'], 999]);
  const all = await read(true);
  assert.equal([all.pools.length, all.quiet], [1_001, 0]);
  const few = await (await live({ routes: routes.slice(0, 1_000) }))();
  assert.equal([few.pools.length, few.quiet], [1_000, 0]);
});

status('GET /v1/live', async () => {
  const app = new Hono();
  const api = createApi(app);
  const asked: (boolean | undefined)[] = [];
  const read = await live({});
  addLiveCalls(api, (all) => {
    asked.push(all);
    return read(all);
  });
  api.finish();
  const response = await app.request('/v1/live');
  assert.is(response.headers.get('cache-control'), 'no-store');
  assert.equal(await response.json(), { at: 1_000_000, revision: 7, workers: 0, pools: [], instances: [], quiet: 0 });
  await app.request('/v1/live?all=true');
  assert.equal(asked, [false, true]);
  assert.is((await app.request('/v1/live', { method: 'POST' })).status, 405);
});

status.run();
