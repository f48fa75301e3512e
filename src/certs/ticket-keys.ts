import { randomBytes } from 'node:crypto';
import type { Clock } from './manager-types.ts';
import { within } from './renewal.ts';
import type { CertificateStore, TicketKey } from './types.ts';

const hour = 3_600_000;
/** A key seals new tickets for 12 to 24 hours, at random, and opens old ones until it is this old. */
const shortestUseMs = 12 * hour;
const keptMs = 48 * hour;
const mostKeys = 4;
/** How often a shared database is asked for others' keys. */
const lookMs = 60_000;

export interface TicketKeyOptions {
  readonly store: Pick<CertificateStore, 'ticketKeys' | 'replaceTicketKeys'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly shared: boolean;
  readonly log: (line: string) => void;
  readonly onKeys: (keys: readonly TicketKey[]) => void;
}

/** Keys that session tickets are sealed with: made, rotated, and shared by all servers on one database. */
export class TicketKeys {
  readonly #options: TicketKeyOptions;
  #keys: readonly TicketKey[] = [];
  #rotateAt = 0;
  #lookAt = 0;
  #failing = false;

  constructor(options: TicketKeyOptions) {
    this.#options = options;
  }

  /** The newest first. */
  get keys(): readonly TicketKey[] {
    return this.#keys;
  }

  /** Loads and rotates where it is time. Never rejects: without a database it goes on with keys of its own. */
  async tick(): Promise<void> {
    const { store, clock, shared } = this.#options;
    const now = clock.now();
    this.#rotateAt = within(this.#rotateAt, now, keptMs);
    this.#lookAt = within(this.#lookAt, now, lookMs);
    if (now < this.#rotateAt && !(shared && now >= this.#lookAt)) return;
    this.#lookAt = now + lookMs;
    try {
      const stored = newestFirst(await store.ticketKeys());
      this.#use(stored);
      this.#rotateAt = within(this.#rotateAt, now, keptMs);
      if (now >= this.#rotateAt) this.#use(newestFirst(await store.replaceTicketKeys(stored, withNew(stored, now))));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) this.#options.log(`session ticket keys: ${(error as Error).message}; this is tried again`);
      this.#failing = true;
      if (now >= this.#rotateAt) {
        this.#use(withNew(this.#keys, now));
        // These are nobody else's: the next look brings those that are shared.
        this.#rotateAt = Math.min(this.#rotateAt, now + lookMs);
      }
    }
  }

  #use(keys: readonly TicketKey[]): void {
    const known = this.#keys;
    if (keys.length === known.length && keys.every(({ key }, i) => key === known[i].key)) return;
    this.#keys = keys;
    const { random, onKeys } = this.#options;
    this.#rotateAt = keys.length === 0 ? 0 : keys[0].createdAt + shortestUseMs * (1 + random());
    if (keys.length > 0) onKeys(keys);
  }
}

function newestFirst(keys: readonly TicketKey[]): TicketKey[] {
  return [...keys].sort((a, b) => b.createdAt - a.createdAt);
}

function withNew(keys: readonly TicketKey[], now: number): TicketKey[] {
  const fresh = { key: randomBytes(48).toString('base64'), createdAt: now };
  // One from a clock that was far ahead would stay the newest for years.
  const kept = keys.filter(({ createdAt }) => now - createdAt < keptMs && createdAt - now < keptMs / 2);
  return [fresh, ...kept].slice(0, mostKeys);
}
