import type { RegistryChanges, RegistryRow, RegistryStore, RegistryWrite } from '../../src/services/types.ts';

/** A database in memory, for several registries at once. */
export interface MemoryRegistryStore extends RegistryStore {
  /** All that was written, one entry a transaction. */
  readonly transactions: (readonly RegistryWrite[])[];
  readonly rows: ReadonlyMap<string, RegistryRow>;
  /** Why it does nothing now; '' while it works. */
  down: string;
  /** Forgets what was removed, as a real one does after a while. */
  forget(): void;
}

export function memoryRegistryStore(): MemoryRegistryStore {
  const rows = new Map<string, RegistryRow>();
  const versions = new Map<string, number>();
  const removed = new Map<string, { kind: RegistryRow['kind']; id: string; version: number }>();
  let version = 0;
  let forgotten = 0;
  const put = (row: RegistryRow) => {
    const key = `${row.kind} ${row.id}`;
    version += 1;
    rows.set(key, structuredClone(row));
    versions.set(key, version);
    removed.delete(key);
  };
  const apply = (write: RegistryWrite) => {
    if (write.do === 'put') return put(write.row);
    const key = write.do === 'beat' ? `instance ${write.id}` : `${write.kind} ${write.id}`;
    const row = rows.get(key);
    if (row === undefined) return;
    if (write.do === 'beat') {
      const { lastHeartbeat, status, details, statusSince } = write;
      if (row.kind === 'instance')
        put({ ...row, value: { ...row.value, lastHeartbeat, status, details, statusSince } });
      return;
    }
    const { unlessBeatenSince = Number.POSITIVE_INFINITY } = write;
    if (row.kind === 'instance' && row.value.lastHeartbeat > unlessBeatenSince) return;
    version += 1;
    rows.delete(key);
    removed.set(key, { kind: write.kind, id: write.id, version });
  };
  const store: MemoryRegistryStore = {
    transactions: [],
    rows,
    down: '',
    forget() {
      forgotten = version;
      removed.clear();
    },
    async read(since): Promise<RegistryChanges> {
      if (store.down !== '') throw new Error(store.down);
      const whole = since === 0 || since < forgotten;
      const news = [...rows].filter(([key]) => whole || versions.get(key)! > since).map(([, row]) => row);
      const gone = whole ? [] : [...removed.values()].filter((row) => row.version > since);
      return { version, whole, rows: structuredClone(news), removed: gone.map(({ kind, id }) => ({ kind, id })) };
    },
    async write(writes) {
      if (store.down !== '') throw new Error(store.down);
      store.transactions.push(structuredClone(writes));
      writes.forEach(apply);
    },
  };
  return store;
}
