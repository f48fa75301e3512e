import type { StoredHealth } from '../core/health.ts';
import type { RouteTable } from '../core/table.ts';
import type { Edge } from '../edge/edge.ts';
import type { PoolsChange } from '../edge/messages.ts';
import type { AddressFlip } from '../services/pool-health.ts';
import { type Services, startServices } from '../services/services.ts';
import type { Definition, HealthStore, RegistryStore } from '../services/types.ts';
import { serviceOptionsOf } from './routes.ts';

const nothing: PoolsChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };

export interface HealthOfEdge {
  readonly edge: Edge;
  readonly table: () => RouteTable;
  readonly definitions: readonly Definition[];
  readonly log: (line: string) => void;
  readonly onFlip: (flip: AddressFlip) => void;
}

/**
 * Starts the probes and the judge of outliers for an edge, as the main process of `oo serve` does for its workers: what they find is told to the
 * edge at once. When it resolves, the edge knows its services.
 */
export async function startHealth({ edge, table, definitions, log, onFlip }: HealthOfEdge): Promise<Services> {
  const services = await startServices({
    ...{ table, log, onFlip, definitions: () => definitions },
    stores: { registry: emptyRegistry, health: memoryHealth() },
    publish: async (change) => edge.changePools({ ...nothing, ...change }, false),
    optionsOf: serviceOptionsOf,
    self: { url: 'http://localhost' },
    shared: false,
    ownPorts: () => [],
  });
  edge.onSuspect = services.suspect;
  edge.onOutcomes = services.outcomes;
  return services;
}

/** Nothing registers here. */
const emptyRegistry: RegistryStore = {
  read: async () => ({ version: 0, whole: true, rows: [], removed: [] }),
  write: async () => {},
};

/** What is known of instances ends with the process. */
function memoryHealth(): HealthStore {
  const rows = new Map<string, StoredHealth>();
  return {
    load: async () => new Map(rows),
    async save(changes) {
      for (const [key, health] of changes)
        if (health === null) rows.delete(key);
        else rows.set(key, health);
    },
  };
}
