import type { StoredHealth } from '../core/health.ts';
import type { Clock, HealthStore } from './types.ts';

/** How long changes are gathered before they are written, ms. */
const gatherMs = 500;
const retryMs = { first: 1_000, most: 30_000 };

export interface HealthKeeperOptions {
  readonly store: HealthStore;
  readonly clock: Clock;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** The last known states of what is probed, over a restart; by `healthKey`. Written a little later, together, and again until the store takes it. */
export class HealthKeeper {
  readonly #options: HealthKeeperOptions;
  readonly #known = new Map<string, StoredHealth>();
  /** Addresses of names, by `addressesKey`. */
  readonly #addresses = new Map<string, string[]>();
  #pending = new Map<string, StoredHealth | null>();
  #flight: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #failures = 0;
  #stopped = false;

  constructor(options: HealthKeeperOptions) {
    this.#options = options;
  }

  /** @throws StoreFailure */
  async load(): Promise<void> {
    for (const [key, health] of await this.#options.store.load()) {
      this.#known.set(key, health);
      const match = /^([^@ ]+)@([^ ]+)( .*)$/.exec(key);
      if (match === null) continue;
      const named = `${match[1]}${match[3]}`;
      this.#addresses.set(named, [...(this.#addresses.get(named) ?? []), match[2]]);
    }
  }

  known(key: string): StoredHealth | undefined {
    return this.#known.get(key);
  }

  /**
   * Where a name was when this process began.
   * @param base the target's key, without address and settings
   * @param asked `healthKey` of no address
   */
  addressesOf(base: string, asked: string): readonly string[] {
    return this.#addresses.get(`${base}${asked}`) ?? [];
  }

  save(key: string, health: StoredHealth): void {
    this.#known.set(key, health);
    this.#change(key, health);
  }

  /** It is probed no more. */
  remove(key: string): void {
    if (this.#known.delete(key)) this.#change(key, null);
  }

  /** Forgets what was loaded and is not probed. */
  tidy(isProbed: (key: string) => boolean): void {
    this.#addresses.clear();
    for (const key of this.#known.keys()) if (!isProbed(key)) this.remove(key);
  }

  /** Writes what is left; nothing is tried again after it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#flight;
    await this.#write();
  }

  #change(key: string, health: StoredHealth | null): void {
    this.#pending.set(key, health);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped || this.#cancel !== undefined || this.#flight !== undefined) return;
    const wait = this.#failures === 0 ? gatherMs : Math.min(retryMs.first * 2 ** (this.#failures - 1), retryMs.most);
    this.#cancel = this.#options.clock.after(wait, () => {
      this.#cancel = undefined;
      this.#flight = this.#write().finally(() => {
        this.#flight = undefined;
        if (this.#pending.size > 0) this.#schedule();
      });
    });
  }

  async #write(): Promise<void> {
    if (this.#pending.size === 0) return;
    const changes = this.#pending;
    this.#pending = new Map();
    try {
      await this.#options.store.save([...changes]);
      if (this.#failures > 0) this.#options.log('health: the database takes states again');
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (this.#failures === 1)
        this.#options.log(`health: the database takes no states, they are kept in memory: ${(error as Error).message}`);
      for (const [key, health] of changes) if (!this.#pending.has(key)) this.#pending.set(key, health);
    }
  }
}
