import type { PoolFigures } from '../core/figures.ts';
import { latencyBuckets } from '../core/latency.ts';
import { defaultRetryBudget, RetryBudget } from '../core/retry-budget.ts';

/** What outlives the changes of a pool, by its name: its figures, and what its retries may still add. */
export class PoolRecord {
  readonly name: string;
  requests = 0;
  /** Requests that were answered with a status from 500 on, or cut. */
  errors = 0;
  retries = 0;
  /** Requests under way, those that wait among them. */
  inFlight = 0;
  /** Requests that wait for a place or for the gate; kept by whoever lets them wait. */
  waiting = 0;
  /** By `latencyBucket`: from a request's head to its response's. */
  readonly latencies = new Uint32Array(latencyBuckets);
  private retryBudget: RetryBudget | null = null;
  private ratio = -1;

  constructor(name: string) {
    this.name = name;
  }

  /** A request has come. */
  enter(): void {
    this.requests++;
    this.inFlight++;
  }

  /** It was another's after all. */
  leave(): void {
    this.requests--;
    this.inFlight--;
  }

  /** It is over. @param failed answered with a status from 500 on, or cut */
  end(failed: boolean): void {
    this.inFlight--;
    if (failed) this.errors++;
  }

  /** @param ratio as the pool says; another one than before begins anew */
  budget(ratio: number, workers: number): RetryBudget {
    if (this.retryBudget === null || this.ratio !== ratio) {
      this.ratio = ratio;
      this.retryBudget = new RetryBudget({ ...defaultRetryBudget, ratio }, workers);
    }
    return this.retryBudget;
  }

  figures(state: string, members: PoolFigures['members']): PoolFigures {
    const { name, requests, errors, retries, inFlight, waiting } = this;
    return { name, requests, errors, retries, inFlight, waiting, latencies: [...this.latencies], state, members };
  }
}
