import { type Waiter, WaitQueue } from './admission-queue.ts';
import { type GateOrder, gateRetryAfter, gateStateAt, openGate } from './gate-order.ts';

export { type GateOrder, gateFault, maxGateMessage, openGate } from './gate-order.ts';

/** `full`: paused, and too many wait already; `stopped`: the maintenance page. Both are 503 with Retry-After. */
export type GateEntrance = 'go' | 'wait' | 'full' | 'stopped';

/**
 * The gate of one route in one worker. Its order comes from the main process (`obey`); its line is its own, with its part of
 * `maxWaiting` (`shareOf`). Requests that are under way when it closes go on: draining is another thing.
 * Times are epoch ms here, as an order's end is.
 */
export class Gate<W extends Waiter = Waiter> {
  private order: GateOrder = openGate;
  private readonly queue = new WaitQueue<W>(openGate.maxWaiting, openGate.maxWaitMs);

  get waiting(): number {
    return this.queue.size;
  }

  stateAt(now: number): GateOrder['state'] {
    return gateStateAt(this.order, now);
  }

  /** For the maintenance page. */
  get message(): string {
    return this.order.message;
  }

  /** For Retry-After: seconds until it opens by itself, from 1 to an hour; `otherwise` if nobody knows. */
  retryAfter(now: number, otherwise = 5): number {
    return gateRetryAfter(this.order, now, otherwise);
  }

  /**
   * Takes an order; the newest counts. Afterwards `release` and `refuse`, each until null.
   * @param maxWaiting this worker's part
   */
  obey(order: GateOrder, maxWaiting = order.maxWaiting): void {
    this.order = order;
    this.queue.max = maxWaiting;
    this.queue.maxWaitMs = order.maxWaitMs;
  }

  /**
   * Asks to pass. `wait`: `release` or `refuse` will name it, or `cancel` ends it.
   * @param again `recall` has named it: it keeps its time, and is in whatever the limit is
   */
  enter(waiter: W, now: number, again = false): GateEntrance {
    const state = this.stateAt(now);
    if (state === 'open') return 'go';
    if (state === 'stopped') return 'stopped';
    return this.queue.push(waiter, now, again) ? 'wait' : 'full';
  }

  /** The next that may go, in the order of arrival; null while the gate is closed. All go at once: limits are for the instances. */
  release(now: number): W | null {
    return this.stateAt(now) === 'open' ? this.queue.shift() : null;
  }

  /** The next, whatever the order says: what it asked for has changed, and it is to ask again. Until null. */
  recall(): W | null {
    return this.queue.shift();
  }

  /** The next that waits in vain: too long, or the route has been stopped. Call until null, at each tick, after `release`. */
  refuse(now: number): W | null {
    return this.stateAt(now) === 'stopped' ? this.queue.shift() : this.queue.shiftExpired(now);
  }

  /** A waiting client has left. @returns whether it waited here */
  cancel(waiter: W): boolean {
    return this.queue.remove(waiter);
  }
}
