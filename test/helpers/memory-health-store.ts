import type { StoredHealth } from '../../src/core/health.ts';
import type { HealthStore } from '../../src/services/types.ts';

/** A database in memory. */
export interface MemoryHealthStore extends HealthStore {
  readonly rows: Map<string, StoredHealth>;
  /** How often it was written. */
  writes: number;
  /** Why it does nothing now; '' while it works. */
  down: string;
}

export function memoryHealthStore(): MemoryHealthStore {
  const rows = new Map<string, StoredHealth>();
  const store: MemoryHealthStore = {
    ...{ rows, writes: 0, down: '' },
    load: async () => new Map(rows),
    async save(changes) {
      if (store.down !== '') throw new Error(store.down);
      store.writes += 1;
      for (const [key, health] of changes)
        if (health === null) rows.delete(key);
        else rows.set(key, health);
    },
  };
  return store;
}
