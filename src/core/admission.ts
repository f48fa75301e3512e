import { type Waiter, WaitQueue } from './admission-queue.ts';

/** How much one instance is given at a time. */
export interface AdmissionLimits {
  /** Requests that it serves at one time, each on its connection or HTTP/2 stream. */
  readonly maxConnections: number;
  /** Requests that may wait for it; 0 for none: past the limit they are refused at once. */
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
}

export const defaultAdmissionLimits: AdmissionLimits = { maxConnections: 1_024, maxWaiting: 1_024, maxWaitMs: 5_000 };

/** `full` and a wait that ended without a place are answered 503 (OO_NO_INSTANCE, Retry-After). */
export type Entrance = 'go' | 'wait' | 'full';

/**
 * The places of one instance, and the line before it. Fair: who comes first goes first, and nobody passes those who wait, also when a
 * place gets free just then. O(1), no allocation. Each worker has its own, with its part of the limits (`shareOf`): a limit then
 * holds for all workers without a message, and a worker with more than its part of the clients makes them wait a little earlier.
 */
export class Admission<W extends Waiter = Waiter> {
  /** Places that are taken, also by waiters that were just called. */
  taken = 0;
  private limits: AdmissionLimits;
  private queue: WaitQueue<W>;

  constructor(limits: AdmissionLimits = defaultAdmissionLimits) {
    this.limits = limits;
    this.queue = new WaitQueue<W>(limits.maxWaiting, limits.maxWaitMs);
  }

  get waiting(): number {
    return this.queue.size;
  }

  /** Whether a request would have to wait, or be refused: picking goes to another instance first. */
  get isFull(): boolean {
    return this.taken >= this.limits.maxConnections || this.queue.size > 0;
  }

  /**
   * Asks for a place. `go`: it has one, which `leave` gives back. `wait`: `leave` or `expire` will name it, or `cancel` ends it.
   */
  enter(waiter: W, now: number): Entrance {
    if (!this.isFull) {
      this.taken++;
      return 'go';
    }
    return this.queue.push(waiter, now) ? 'wait' : 'full';
  }

  /** Gives a place back. @returns who waited longest and has it now: start it; null if nobody waits */
  leave(): W | null {
    this.taken--;
    return this.call();
  }

  /** The next that may go although nobody left: after `change` has made room. Call until null. */
  call(): W | null {
    if (this.taken >= this.limits.maxConnections) return null;
    const next = this.queue.shift();
    if (next !== null) this.taken++;
    return next;
  }

  /** The next whose wait has been too long: refuse it. Call until null, at each tick. */
  expire(now: number): W | null {
    return this.queue.shiftExpired(now);
  }

  /** A waiting client has left. @returns false if it does not wait here: then it may have a place, for `leave` */
  cancel(waiter: W): boolean {
    return this.queue.remove(waiter);
  }

  /** Other limits, for what is there too: nobody is thrown out; afterwards `call` whoever may go now. */
  change(limits: AdmissionLimits): void {
    this.limits = limits;
    this.queue.max = limits.maxWaiting;
    this.queue.maxWaitMs = limits.maxWaitMs;
  }
}

/**
 * A worker's part of a limit over all workers: parts differ by one at most and add up to it. Each gets at least 1, so a limit
 * under the number of workers is that number.
 * @param index the worker's number, from 0
 */
export function shareOf(limit: number, workers: number, index: number): number {
  const part = Math.floor(limit / workers);
  return Math.max(1, part + (index < limit % workers ? 1 : 0));
}
