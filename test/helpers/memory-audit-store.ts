import type { AuditEntry, AuditRow, AuditStore } from '../../src/admin/audit.ts';

export interface MemoryAuditStore extends AuditStore {
  readonly rows: (AuditRow & { key: string })[];
  /** How often it was written. */
  writes: number;
  /** Why it does nothing now; '' while it works. */
  down: string;
}

/** The audit log in memory. */
export function memoryAuditStore(): MemoryAuditStore {
  const rows: MemoryAuditStore['rows'] = [];
  let count = 0;
  const fail = () => {
    const failure = { code: 'OO_STORE_UNREACHABLE', hint: 'Look after the database.' };
    if (store.down !== '') throw Object.assign(new Error(store.down), failure);
  };
  const store: MemoryAuditStore = {
    rows,
    writes: 0,
    down: '',
    async add(entries: readonly (AuditEntry & { key: string })[], keep) {
      fail();
      store.writes += 1;
      for (const entry of entries) {
        count += 1;
        rows.push({ ...entry, id: count });
      }
      rows.splice(0, rows.length - keep);
    },
    async list({ limit, before = Number.POSITIVE_INFINITY, actor, since = 0 }) {
      fail();
      const found = rows.filter((row) => row.id < before && row.at >= since && (actor ?? row.actor) === row.actor);
      return found
        .reverse()
        .slice(0, limit)
        .map(({ key: _, ...row }) => row);
    },
  };
  return store;
}
