import type { Outcome } from './outlier-outcome.ts';
import { CountWindow } from './outlier-window.ts';

/** When a breaker opens and how it closes again. */
export interface BreakerSettings {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** The part of the requests whose failure opens it, from 0 to 1; from `minRequests` in the window on. */
  readonly failureRate: number;
  readonly minRequests: number;
  readonly windowMs: number;
  /** How long it is open at first; after each failed probe twice as long, up to the longest. */
  readonly openMs: number;
  readonly longestOpenMs: number;
  /** Half-open: requests that may be under way at one time, to see how it is. */
  readonly probes: number;
  /** Half-open: good ones that close it. */
  readonly successes: number;
}

export const defaultBreakerSettings: BreakerSettings = {
  failures: 10,
  failureRate: 0.5,
  minRequests: 20,
  windowMs: 10_000,
  openMs: 1_000,
  longestOpenMs: 30_000,
  probes: 1,
  successes: 3,
};

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * A circuit breaker of one instance: open, it spares a failing instance all requests, and its clients the wait. Unlike ejection
 * it knows no pool: it holds for a single instance and for all of them at once, and panic does not overrule it.
 *
 * Fixed shape, no allocation. Each worker has its own, from its own outcomes, and tells the main process of its flips for `oo status`,
 * which shows the worst. So an instance sees up to `probes` from each worker. Times are ms of a steady clock.
 */
export class Breaker {
  readonly settings: BreakerSettings;
  private readonly counts: CountWindow;
  private open = false;
  private openUntil = 0;
  /** How often it opened in a row, without closing in between. */
  private openings = 0;
  private failuresInRow = 0;
  private probesOut = 0;
  private goodProbes = 0;
  /** Since when it is closed: how requests from before went is not counted. */
  private closedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: BreakerSettings = defaultBreakerSettings) {
    this.settings = settings;
    this.counts = new CountWindow(settings.windowMs);
  }

  stateAt(now: number): BreakerState {
    if (!this.open) return 'closed';
    return now < this.openUntil ? 'open' : 'half-open';
  }

  /** Whether it would let a request through: for choosing among instances. */
  allows(now: number): boolean {
    return !this.open || (now >= this.openUntil && this.probesOut < this.settings.probes);
  }

  /** For Retry-After: ms until it may let one through; 0 if it is not open. */
  waitMs(now: number): number {
    return this.open ? Math.max(0, this.openUntil - now) : 0;
  }

  /**
   * Lets a request through, if it may; each that was let through must be followed by exactly one `observe`, at its head or its
   * failure (`ignored` if its client left), or a probe's place would stay taken.
   */
  enter(now: number): boolean {
    if (!this.open) return true;
    if (!this.allows(now)) return false;
    this.probesOut++;
    return true;
  }

  /**
   * Takes in how a request went.
   * @param startedAt when `enter` let it through
   * @returns whether the state changed: to open, or to closed
   */
  observe(outcome: Outcome, startedAt: number, now: number): boolean {
    // Let through when it was closed, heard of later: while it is open nothing more is to be learned.
    if (startedAt < this.closedAt || (this.open && startedAt < this.openUntil)) return false;
    return this.open ? this.observeProbe(outcome, now) : this.observeClosed(outcome, now);
  }

  private observeClosed(outcome: Outcome, now: number): boolean {
    if (outcome === 'ignored') return false;
    const { counts, settings } = this;
    counts.add(1, outcome === 'ok' ? 0 : 1, now);
    this.failuresInRow = outcome === 'ok' ? 0 : this.failuresInRow + 1;
    if (outcome === 'ok') return false;
    const tooMany = counts.total >= settings.minRequests && counts.marked >= counts.total * settings.failureRate;
    if (this.failuresInRow < settings.failures && !tooMany) return false;
    this.trip(now);
    return true;
  }

  private observeProbe(outcome: Outcome, now: number): boolean {
    this.probesOut--;
    if (outcome === 'ignored') return false;
    if (outcome !== 'ok') {
      this.trip(now);
      return true;
    }
    if (++this.goodProbes < this.settings.successes) return false;
    this.open = false;
    this.openings = 0;
    this.closedAt = now;
    this.start();
    return true;
  }

  private trip(now: number): void {
    const { openMs, longestOpenMs } = this.settings;
    this.open = true;
    this.openUntil = now + Math.min(openMs * 2 ** Math.min(this.openings, 30), longestOpenMs);
    this.openings++;
    this.start();
  }

  /** Counts from nothing. Probes that are still out are from before, and no longer counted. */
  private start(): void {
    this.counts.clear();
    this.failuresInRow = 0;
    this.probesOut = 0;
    this.goodProbes = 0;
  }
}
