import { type Waiter, WaitQueue } from './admission-queue.ts';

/**
 * Whether a route takes requests: `oo pause`, `oo resume`, `oo stop`. Stored with the route's id, so that a restart does not open
 * a stopped one, and sent to each worker, like a change of routes.
 */
export interface GateOrder {
  readonly state: 'open' | 'paused' | 'stopped';
  /** `stopped`: what the maintenance page says, plain text; '' for oo's own words. Up to `maxGateMessage` characters. */
  readonly message: string;
  /** When it opens by itself, epoch ms; 0 for never: a pause during a migration must not end early. */
  readonly until: number;
  /** `paused`: requests that may wait, in all workers together, and how long each of them may. */
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
}

export const openGate: GateOrder = { state: 'open', message: '', until: 0, maxWaiting: 1_000, maxWaitMs: 30_000 };
export const maxGateMessage = 1_000;

/** Which field of an order is wrong, and what was expected; undefined if it can be used. */
export function gateFault(order: GateOrder): { field: keyof GateOrder; message: string } | undefined {
  const { message, until, maxWaiting, maxWaitMs } = order;
  if (message.length > maxGateMessage) return { field: 'message', message: `up to ${maxGateMessage} characters` };
  if (!(until >= 0)) return { field: 'until', message: 'epoch milliseconds, or 0 for no end' };
  if (!Number.isInteger(maxWaiting) || maxWaiting < 0 || maxWaiting > 100_000)
    return { field: 'maxWaiting', message: 'from 0 to 100000 requests' };
  if (!Number.isInteger(maxWaitMs) || maxWaitMs < 1 || maxWaitMs > 600_000)
    return { field: 'maxWaitMs', message: 'from 1 ms to 10 minutes' };
  return undefined;
}

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
    const { state, until } = this.order;
    return until > 0 && now >= until ? 'open' : state;
  }

  /** For the maintenance page. */
  get message(): string {
    return this.order.message;
  }

  /** For Retry-After: seconds until it opens by itself, from 1 to an hour; `otherwise` if nobody knows. */
  retryAfter(now: number, otherwise = 5): number {
    const { until } = this.order;
    if (until <= now) return otherwise;
    return Math.min(3_600, Math.ceil((until - now) / 1_000));
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
