import { lte, sql } from 'drizzle-orm';
import type { StoredHealth } from '../src/core/health.ts';
import type { HealthStore } from '../src/services/types.ts';
import { type Connection, database } from './connection.ts';
import { writePlain } from './plain.ts';
import { again } from './retry.ts';
import { health } from './schema.ts';

/** How long a state is kept that nobody writes, ms: of what is probed no more. */
export const healthKeptMs = 30 * 86_400_000;

const states = new Set(['Healthy', 'Degraded', 'Unreachable', 'Unknown']);

/** The last known states over a migrated database. Every method throws StoreError. */
export function createHealthStore(connection: Connection, now: () => number = Date.now): HealthStore {
  const reads = database(connection, 'read');

  async function load(): Promise<ReadonlyMap<string, StoredHealth>> {
    const rows = await again(connection, () => reads.select().from(health));
    const oldest = now() - healthKeptMs;
    if (rows.some(({ writtenAt }) => writtenAt <= oldest))
      await writePlain(connection, (writes) => [writes.delete(health).where(lte(health.writtenAt, oldest))]);
    const found = new Map<string, StoredHealth>();
    for (const { key, state, since, reason, writtenAt } of rows) {
      // One that makes no sense is as none: the next flip replaces it.
      if (writtenAt <= oldest || !states.has(state)) continue;
      found.set(key, { state: state as StoredHealth['state'], since, reason });
    }
    return found;
  }

  async function save(changes: readonly (readonly [key: string, health: StoredHealth | null])[]): Promise<void> {
    const puts: unknown[][] = [];
    const removals: string[] = [];
    for (const [key, value] of new Map(changes)) {
      if (value === null) removals.push(key);
      else puts.push([key, value.state, value.since, value.reason]);
    }
    if (puts.length + removals.length === 0) return;
    const [rows, keys, at] = [JSON.stringify(puts), JSON.stringify(removals), now()];
    await writePlain(connection, (writes) => [
      writes.run(sql`INSERT INTO ${health} (key, state, since, reason, written_at)
        SELECT value->>0, value->>1, value->>2, value->>3, ${at} FROM json_each(${rows}) WHERE true
        ON CONFLICT (key) DO UPDATE SET state = excluded.state, since = excluded.since, reason = excluded.reason,
          written_at = excluded.written_at`),
      writes.run(sql`DELETE FROM ${health} WHERE key IN (SELECT value FROM json_each(${keys}))`),
    ]);
  }

  return { load, save };
}
