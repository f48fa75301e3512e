/** How many requests, in how long, and how many of them at once. */
export interface Rate {
  readonly requests: number;
  readonly perMs: number;
  readonly burst: number;
}

/** So many clients are counted, each in about 100 bytes; of more, who has not come for longest is forgotten. */
const defaultMaxKeys = 10_000;
/** What adding up fractions may be off by. */
const tolerance = 0.001;

/**
 * Counts requests by key, each by the generic cell rate algorithm (ITU-T I.371): of a client nothing is kept but when its account would be even
 * again. That is the same as a bucket of `burst` tokens that `requests` in `perMs` fill, without a timer.
 */
export class RateLimiter {
  private readonly everyMs: number;
  private readonly aheadMs: number;
  private readonly maxKeys: number;
  /** When each account is even again, in the order in which they came last. */
  private readonly evenAt = new Map<string, number>();

  constructor({ requests, perMs, burst }: Rate, maxKeys = defaultMaxKeys) {
    this.everyMs = perMs / requests;
    this.aheadMs = this.everyMs * burst;
    this.maxKeys = maxKeys;
  }

  /** Those that are counted. */
  get size(): number {
    return this.evenAt.size;
  }

  /**
   * Counts a request of `key`, if it may be made; one that may not is not counted.
   * @param now ms; never goes back
   * @returns 0: it may; else ms until it may
   */
  take(key: string, now: number): number {
    const { evenAt, everyMs, aheadMs } = this;
    const before = evenAt.get(key);
    const next = (before === undefined || before < now ? now : before) + everyMs;
    const waitMs = next - now - aheadMs;
    const isOver = waitMs > tolerance;
    // Who is refused has come as well: it is not to be forgotten for that.
    if (before !== undefined) evenAt.delete(key);
    evenAt.set(key, isOver && before !== undefined ? before : next);
    if (evenAt.size > this.maxKeys) evenAt.delete(evenAt.keys().next().value as string);
    return isOver ? waitMs : 0;
  }
}
