import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ServiceOptions } from '../../src/core/pool-types.ts';
import { compile } from '../../src/core/routes.ts';
import type { RouteTable } from '../../src/core/table.ts';
import type { Route } from '../../src/core/types.ts';
import { type Services, startServices, type WorkersChange } from '../../src/services/services.ts';
import { define } from '../helpers/define.ts';
import { memoryHealthStore } from '../helpers/memory-health-store.ts';
import { memoryRegistryStore } from '../helpers/memory-registry-store.ts';
import { until } from '../helpers/wait.ts';

const quick = { intervalMs: 100, timeoutMs: 500, rise: 2, fall: 2 };

/** An instance on an address of its own. */
async function instance(host = '127.0.0.1', port = 0) {
  const state = { status: 200 };
  const server = http.createServer((_, response) => {
    response.statusCode = state.status;
    response.end('ok');
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return { state, close, port: address.port, url: `http://${host}:${address.port}` };
}

async function start(routes: readonly Route[] = []) {
  const told: WorkersChange[] = [];
  const lines: string[] = [];
  const { table } = compile(routes, 1) as { table: RouteTable };
  const room = await startServices({
    stores: { registry: memoryRegistryStore(), health: memoryHealthStore() },
    publish: async (change) => void told.push(change),
    table: () => table,
    optionsOf: ({ id: _, ...options }) => options as ServiceOptions,
    self: { url: 'http://127.0.0.1:11337' },
    shared: false,
    ownPorts: () => [],
    log: (line) => lines.push(line),
    names: {
      hosts: (name) => (name === 'web.internal' ? ['127.0.0.1', '127.0.0.2'] : []),
      resolve: async (name) => Promise.reject(Object.assign(new Error(name), { code: 'ENOTFOUND' })),
      lookUp: async () => [],
    },
  });
  const states = () => room.view().map(({ address, state }) => `${address} ${state}`);
  return { room, told, lines, states };
}

function add({ registry }: Services, slug: string, url: string): void {
  const outcome = registry.register(slug, { url });
  if (!('instance' in outcome)) throw new Error(outcome.fault);
}

const sockets = suite('services over real sockets');

sockets('one that dies is out by its probes, and back when it is', async () => {
  const { room, told, lines } = await start();
  const first = await instance();
  let second: Awaited<ReturnType<typeof instance>> | undefined;
  try {
    void define(room.registry, { id: 'user-svc', health: { kind: 'tcp', ...quick } });
    add(room, 'user-svc', first.url);
    const status = () => room.registry.list()[0].status;
    await until(() => status() === 'Healthy', 'the state');
    await first.close();
    await until(() => status() === 'Unreachable', 'the state');
    await until(() => told.length === 2, 'told');
    assert.match(room.registry.list()[0].details, /^no connection: connect ECONNREFUSED /);
    second = await instance('127.0.0.1', first.port);
    await until(() => status() === 'Healthy', 'the state');
    await until(() => told.length === 3, 'told');
    assert.equal(
      told.slice(1).map(({ down, up }) => [down?.length, up?.length]),
      [
        [1, 0],
        [0, 1],
      ],
    );
    assert.is(lines.length, 2);
    assert.match(lines[1], /is Healthy, was Unreachable: 2 good checks in a row$/);
  } finally {
    await room.stop();
    await first.close();
    await second?.close();
  }
});

sockets('a route’s HTTP check, and two checks of one address are separate', async () => {
  const one = await instance();
  const { room, states, told } = await start([
    { id: 'a.example.com', target: one.url, health: { path: '/up', ...quick } },
    { id: 'b.example.com', target: one.url, health: { kind: 'tcp', ...quick } },
  ]);
  try {
    await until(() => states().every((state) => state.endsWith(' Healthy')), 'the state');
    one.state.status = 503;
    await until(() => told.length === 1, 'told');
    const [down] = room.view().filter(({ state }) => state === 'Unreachable');
    assert.is(down.reason, '/up answered 503, expected 200-399');
    assert.equal(down.owners, ['route a.example.com']);
    assert.equal(told[0].down, [down.key]);
    assert.is(states().filter((state) => state.endsWith(' Healthy')).length, 1);
  } finally {
    await room.stop();
    await one.close();
  }
});

sockets('a name’s addresses are probed each, and only the dead one is out', async () => {
  const one = await instance('127.0.0.1');
  const two = await instance('127.0.0.2', one.port);
  const { room, told, states } = await start();
  try {
    void define(room.registry, { id: 'user-svc', health: { path: '/', ...quick } });
    add(room, 'user-svc', `http://web.internal:${one.port}`);
    const at = (address: string) => `http://web.internal:${one.port}@${address}`;
    await until(() => states().length === 2 && states().every((state) => state.endsWith(' Healthy')), 'the state');
    await two.close();
    await until(() => told.some(({ down = [] }) => down.length > 0), 'told');
    assert.equal(states(), [`${at('127.0.0.1')} Healthy`, `${at('127.0.0.2')} Unreachable`]);
    assert.ok(told.at(-1)!.down![0].startsWith(at('127.0.0.2')));
  } finally {
    await room.stop();
    await one.close();
    await two.close();
  }
});

sockets('an instance that is ejected as unreachable comes back with its next good check', async () => {
  const one = await instance();
  const two = await instance();
  const health = { kind: 'tcp', ...quick } as const;
  const { room, told } = await start([{ id: 'a.example.com', target: [one.url, two.url], health }]);
  try {
    const keys = room.view().map(({ key }) => key);
    await until(() => room.view().every(({ state }) => state === 'Healthy'), 'the state');
    room.suspect({ key: keys[0], cause: 'unreachable', pools: [keys] });
    assert.is(room.instanceState(keys[0])!.ejected!.cause, 'unreachable');
    await until(() => told.some(({ lifted }) => lifted?.[0] === keys[0]), 'told');
    assert.is(room.instanceState(keys[0])!.ejected, null);
  } finally {
    await room.stop();
    await one.close();
    await two.close();
  }
});

sockets.run();
