import { shareOf } from '../core/admission.ts';
import type { CompiledRateLimit } from '../core/option-rate-limit.ts';
import { RateLimiter } from '../core/rate-limit.ts';
import { AuthAsker } from './guard-asker.ts';
import { Passwords } from './guard-passwords.ts';
import type { WorkerPlace } from './messages.ts';

/** What the guards of all routes share, and what they know of those who came before. */
export class Guards {
  readonly passwords = new Passwords();
  readonly asker = new AuthAsker();
  /** By the route's id, so that they outlive changes of anything else. */
  private readonly rates = new Map<string, { readonly text: string; readonly limiter: RateLimiter }>();

  /**
   * Counts a request, if it may be made.
   * @param id its route's
   * @returns 0: it may; else ms until it may
   */
  take(id: string, rate: CompiledRateLimit, key: string, place: WorkerPlace, now: number): number {
    const text = `${rate.text} ${place.index}/${place.count}`;
    let known = this.rates.get(id);
    if (known?.text !== text) {
      known = { text, limiter: new RateLimiter(partOf(rate, place)) };
      this.rates.set(id, known);
    }
    return known.limiter.take(key, now);
  }

  /** The table has changed. @param rateOf by a route's id; null for none */
  onChange(rateOf: (id: string) => CompiledRateLimit | null): void {
    for (const id of this.rates.keys()) if (rateOf(id) === null) this.rates.delete(id);
  }

  /** Ends all connections. */
  close(): void {
    this.asker.close();
  }
}

/** This worker's part of a limit; one request at least. */
function partOf({ requests, perMs, burst }: CompiledRateLimit, { index, count }: WorkerPlace) {
  return { requests: shareOf(requests, count, index), perMs, burst: shareOf(burst, count, index) };
}
