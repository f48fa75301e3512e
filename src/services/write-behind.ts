import type { Clock, RegistryStore, RegistryWrite } from './types.ts';

/** How long changes are gathered before they are written, ms: a deploy's worth goes in one transaction. */
const changeDelayMs = 200;
/** The same for heartbeats and states, which nobody waits for. */
const beatDelayMs = 1_000;
const retryMs = { first: 1_000, most: 30_000 };
const mostPerWrite = 500;

export interface WriteBehindOptions {
  readonly store: RegistryStore;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** Told of each write that has been stored. */
  readonly onStored: (write: RegistryWrite) => void;
}

/** What is still to be written: the last word on each row, made when it is written. Bounded by the rows that there are. */
interface Pending {
  readonly write: () => RegistryWrite;
  readonly isFirm: boolean;
}

/**
 * Writes changes to the store a little later, together, and again until it takes them. What a crash loses is at most `changeDelayMs` old, and
 * comes back with the next heartbeat.
 */
export class WriteBehind {
  readonly #options: WriteBehindOptions;
  readonly #pending = new Map<string, Pending>();
  /** Keys that are being written now. */
  #writing = new Set<string>();
  #flight: Promise<void> | undefined;
  #cancel = () => {};
  #dueAt = Number.POSITIVE_INFINITY;
  #failures = 0;
  #stopped = false;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  /**
   * The row as it will be then; replaces what was to be written of it.
   * @param isFirm what the store says of the row until then is old. Not so for what depends on it
   */
  change(key: string, write: () => RegistryWrite, isFirm = true): void {
    this.#pending.set(key, { write, isFirm });
    this.#schedule(changeDelayMs);
  }

  /** What can wait; nothing where the row is to be written anyway. */
  later(key: string, write: () => RegistryWrite): void {
    if (!this.#pending.has(key)) this.#pending.set(key, { write, isFirm: false });
    this.#schedule(beatDelayMs);
  }

  /** Whether a row has a firm change that the store may not know. */
  has(key: string): boolean {
    return this.#pending.get(key)?.isFirm === true || this.#writing.has(key);
  }

  /** Writes all that there is, now. Resolves when it is stored or has failed once. */
  async flush(): Promise<void> {
    await this.#flight;
    while (this.#pending.size > 0) {
      const failures = this.#failures;
      await this.#write();
      if (this.#failures > failures) return;
    }
  }

  /** Writes what is left; nothing is tried again after it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.flush();
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    const wait = this.#failures === 0 ? delayMs : Math.min(retryMs.first * 2 ** (this.#failures - 1), retryMs.most);
    const dueAt = clock.now() + wait;
    // After a failure nothing is sooner than the next try.
    if (this.#stopped || this.#flight !== undefined || this.#dueAt <= dueAt) return;
    this.#cancel();
    this.#dueAt = dueAt;
    this.#cancel = clock.after(wait, () => void this.#write());
  }

  #write(): Promise<void> {
    this.#flight ??= this.#writeOnce().finally(() => {
      this.#flight = undefined;
      if (this.#pending.size > 0) this.#schedule(changeDelayMs);
    });
    return this.#flight;
  }

  async #writeOnce(): Promise<void> {
    const { store, log, onStored } = this.#options;
    this.#cancel();
    this.#dueAt = Number.POSITIVE_INFINITY;
    const batch = [...this.#pending].slice(0, mostPerWrite);
    for (const [key] of batch) this.#pending.delete(key);
    if (batch.length === 0) return;
    const writes = batch.map(([, { write }]) => write());
    this.#writing = new Set(batch.filter(([, { isFirm }]) => isFirm).map(([key]) => key));
    try {
      await store.write(writes);
      if (this.#failures > 0) log('registry: the database takes changes again');
      this.#failures = 0;
      for (const write of writes) onStored(write);
    } catch (error) {
      this.#failures += 1;
      if (this.#failures === 1)
        log(`registry: the database takes no changes, they are kept in memory: ${(error as Error).message}`);
      for (const [key, pending] of batch) if (!this.#pending.has(key)) this.#pending.set(key, pending);
    } finally {
      this.#writing = new Set();
    }
  }
}
