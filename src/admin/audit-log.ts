import type { AuditEntry, AuditQuery, AuditRow, AuditStore } from './audit.ts';

/** How many entries are kept, where no setting says otherwise. */
export const defaultAuditEntries = 10_000;
/** How long entries are gathered before they are written, ms. */
const gatherMs = 500;
const retryMs = { first: 1_000, most: 30_000 };
/** Entries that wait for a store that fails; beyond it the oldest go. */
const mostWaiting = 10_000;
/** Written at once: a statement has bounds. */
const mostTogether = 1_000;
/** A refusal that comes again and again is told so often, ms: it must not push out all else. */
const sameRefusalMs = 60_000;
const mostRefusals = 1_000;

export interface AuditLogOptions {
  readonly store: AuditStore;
  /** How many are kept. Default `defaultAuditEntries`. */
  readonly keep?: () => number | undefined;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** Who wrote what by the API. */
export interface AuditLog {
  /** Never waits and never throws: the store is written a little later, and again until it takes it. */
  record(entry: AuditEntry): void;
  /** What has been recorded so far is in it. @throws StoreFailure */
  list(query: AuditQuery): Promise<readonly AuditRow[]>;
  /** Writes what is left; nothing is tried again after it. */
  stop(): Promise<void>;
}

/** @see AuditLog */
export function createAuditLog({ store, keep, log }: AuditLogOptions): AuditLog {
  let waiting: (AuditEntry & { key: string })[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let flight: Promise<void> | undefined;
  let failures = 0;
  let lost = 0;
  let stopped = false;
  const refusals = new Map<string, number>();

  function record(entry: AuditEntry): void {
    if (stopped || isRepeated(entry)) return;
    push([{ ...entry, key: crypto.randomUUID() }]);
    schedule();
  }

  function isRepeated({ actor, from, operation, status, at }: AuditEntry): boolean {
    if (status < 400) return false;
    const same = `${actor} ${from} ${operation} ${status}`;
    const before = refusals.get(same);
    if (before !== undefined && Math.abs(at - before) < sameRefusalMs) return true;
    refusals.delete(same);
    refusals.set(same, at);
    if (refusals.size > mostRefusals) refusals.delete(refusals.keys().next().value as string);
    return false;
  }

  function push(entries: typeof waiting): void {
    waiting.push(...entries);
    if (waiting.length <= mostWaiting) return;
    lost += waiting.length - mostWaiting;
    waiting = waiting.slice(-mostWaiting);
  }

  function schedule(): void {
    if (stopped || timer !== undefined || flight !== undefined || waiting.length === 0) return;
    const wait = failures === 0 ? gatherMs : Math.min(retryMs.first * 2 ** (failures - 1), retryMs.most);
    timer = setTimeout(() => {
      timer = undefined;
      void flush();
    }, wait);
  }

  function flush(): Promise<void> {
    flight ??= write().finally(() => {
      flight = undefined;
      schedule();
    });
    return flight;
  }

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const entries = waiting.slice(0, mostTogether);
      waiting = waiting.slice(mostTogether);
      try {
        await store.add(entries, keep?.() ?? defaultAuditEntries);
      } catch (error) {
        failures += 1;
        if (failures === 1)
          log(`audit: the database takes no entries, they are kept in memory: ${(error as Error).message}`);
        const newer = waiting;
        waiting = entries;
        return push(newer);
      }
      if (failures > 0) log(`audit: the database takes entries again${lost > 0 ? `; ${lost} are lost` : ''}`);
      failures = 0;
      lost = 0;
    }
  }

  return {
    record,
    async list(query) {
      await flight;
      if (waiting.length > 0) await flush();
      return store.list(query);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
      await flight;
      await flush();
    },
  };
}
