import { CountWindow } from './outlier-window.ts';

export interface RetryBudgetSettings {
  /** Retries as a part of the requests of the last `windowMs`, from 0 to 1. */
  readonly ratio: number;
  /** Retries a second that are always allowed, so that few requests can be retried too; saved up for the window at most. */
  readonly floorPerSecond: number;
  readonly windowMs: number;
}

/** A short window: what ten seconds have saved up would, spent at once, more than double the load when a collapse begins. */
export const defaultRetryBudget: RetryBudgetSettings = { ratio: 0.2, floorPerSecond: 10, windowMs: 2_000 };

/**
 * What retries of one route (or service) may add to its load. In any time T there are at most `ratio` × its requests +
 * `floorPerSecond` × (T + window) of them, whatever fails: `test/core/retry-budget.test.ts` holds it to that.
 * O(1), no allocation. Each worker has its own, with its part of the floor: the bound then holds for all together, without a message.
 */
export class RetryBudget {
  private readonly settings: RetryBudgetSettings;
  /** Requests, and beside them retries as the marked ones. */
  private readonly counts: CountWindow;
  private readonly floor: number;

  /** @param workers among how many the floor is divided */
  constructor(settings: RetryBudgetSettings = defaultRetryBudget, workers = 1) {
    this.settings = settings;
    this.counts = new CountWindow(settings.windowMs);
    this.floor = (settings.floorPerSecond * settings.windowMs) / 1_000 / workers;
  }

  /** Counts a request, once, at its first attempt. */
  note(now: number): void {
    this.counts.count(now);
  }

  /** Takes one retry, if there is one left. A small floor still allows the first one in a window, or there never would be any. */
  spend(now: number): boolean {
    const { counts, settings, floor } = this;
    counts.expire(now);
    if (counts.marked + 1 > counts.total * settings.ratio + Math.max(floor, floor > 0 ? 1 : 0)) return false;
    counts.mark(now);
    return true;
  }
}
