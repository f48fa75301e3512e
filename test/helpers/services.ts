import { noAnswer, type ProbeError } from '../../src/core/health-probe.ts';
import type { ServiceOptions } from '../../src/core/pool-types.ts';
import { compile } from '../../src/core/routes.ts';
import type { RouteTable } from '../../src/core/table.ts';
import type { Route } from '../../src/core/types.ts';
import { startServices, type WorkersChange } from '../../src/services/services.ts';
import type { InstanceView, Registration } from '../../src/services/types.ts';
import { type FakeClock, fakeClock } from './fake-clock.ts';
import { type MemoryHealthStore, memoryHealthStore } from './memory-health-store.ts';
import { type MemoryRegistryStore, memoryRegistryStore } from './memory-registry-store.ts';

/** What outlives a restart. */
export interface Lasting {
  readonly clock: FakeClock;
  readonly stores: { readonly registry: MemoryRegistryStore; readonly health: MemoryHealthStore };
  readonly names: Record<string, string[]>;
}

/**
 * Services of a server, with a turned clock; probes and names answer what a test says.
 * @param before the server before it
 */
export async function services(routes: readonly Route[] = [], before?: Lasting, shared = false) {
  const clock = before?.clock ?? fakeClock();
  const stores = before?.stores ?? { registry: memoryRegistryStore(), health: memoryHealthStore() };
  /** What a probe of an address finds: by `address:port`. */
  const errors: Record<string, ProbeError> = {};
  const probed: string[] = [];
  /** Addresses by name; none for names that do not resolve. */
  const names: Record<string, string[]> = before?.names ?? {};
  const told: WorkersChange[] = [];
  const lines: string[] = [];
  const tableOf = (list: readonly Route[]) => (compile(list, 1) as { table: RouteTable }).table;
  const state = { table: tableOf(routes), random: 0.5 };
  const room = await startServices({
    ...{ stores, clock, shared, steady: clock.steady, log: (line: string) => lines.push(line) },
    publish: async (change) => void told.push(change),
    table: () => state.table,
    optionsOf: ({ id: _, ...options }) =>
      (typeof options.broken === 'string' ? options.broken : options) as ServiceOptions,
    self: { url: 'http://127.0.0.1:11337' },
    ownPorts: () => [11337],
    reserved: ['v1'],
    random: () => state.random,
    names: {
      hosts: () => [],
      async resolve(name, family) {
        if (names[name] === undefined) throw Object.assign(new Error(name), { code: 'ENOTFOUND' });
        return { addresses: family === 4 ? names[name] : [], ttlSeconds: family === 4 ? 5 : 0 };
      },
      lookUp: async () => [],
    },
    async probe(_check, { target, address }) {
      const at = `${address || target.hostname}:${target.port}`;
      probed.push(at);
      return { ...noAnswer, tookMs: 1, status: 200, error: errors[at] ?? '' };
    },
  });
  return {
    ...{ room, registry: room.registry, clock, stores, errors, probed, names, told, lines, state },
    add(slug: string, registration: Registration) {
      const outcome = room.registry.register(slug, registration);
      if (!('instance' in outcome)) throw new Error(outcome.fault);
      return (outcome.instance as InstanceView).id;
    },
    setRoutes(list: readonly Route[]) {
      state.table = tableOf(list);
    },
    /** What workers hold for down. */
    down(): string[] {
      const down = new Set<string>();
      for (const change of told) {
        for (const key of change.up ?? []) if (!down.delete(key)) throw new Error(`${key} was up`);
        for (const key of change.down ?? []) {
          if (down.has(key)) throw new Error(`${key} was down`);
          down.add(key);
        }
      }
      return [...down];
    },
  };
}
