/**
 * A request that waits. Whoever waits owns one (an exchange extends it, or keeps it for all its requests), so waiting allocates
 * nothing; `WaitQueue` changes its fields.
 */
export class Waiter {
  /** The queue that it is in; null for none. */
  queue: object | null = null;
  next: Waiter | null = null;
  previous: Waiter | null = null;
  /** When it came into the queue, ms of the queue's clock. */
  since = 0;
}

/**
 * Waiters in the order in which they came, at most `max` of them, each for `maxWaitMs` at most. Since all may wait equally long, the
 * first is always the next to expire: no timers, every step is O(1), also when a client leaves from the middle.
 */
export class WaitQueue<W extends Waiter> {
  /** Who is in already stays, also over a new limit; a new `maxWaitMs` holds for all. */
  max: number;
  maxWaitMs: number;
  size = 0;
  private head: Waiter | null = null;
  private tail: Waiter | null = null;

  constructor(max: number, maxWaitMs: number) {
    this.max = max;
    this.maxWaitMs = maxWaitMs;
  }

  /**
   * Puts it at the end; throws if it waits already.
   * @param again it has waited here before: it is let in whatever the limit is, and has waited since it came first
   * @returns false if the queue is full
   */
  push(waiter: W, now: number, again = false): boolean {
    if (waiter.queue !== null) throw new Error('this waiter is in a queue already');
    if (this.size >= this.max && !again) return false;
    waiter.queue = this;
    if (!again) waiter.since = now;
    waiter.previous = this.tail;
    if (this.tail === null) this.head = waiter;
    else this.tail.next = waiter;
    this.tail = waiter;
    this.size++;
    return true;
  }

  /** Puts the one that was taken last back to where it was: it could not go after all. */
  putBack(waiter: W): void {
    if (waiter.queue !== null) throw new Error('this waiter is in a queue already');
    waiter.queue = this;
    waiter.next = this.head;
    if (this.head === null) this.tail = waiter;
    else this.head.previous = waiter;
    this.head = waiter;
    this.size++;
  }

  /** Takes the first; null for none. One whose time is over, but was not refused yet, is as welcome as any. */
  shift(): W | null {
    return this.head === null ? null : this.take(this.head);
  }

  /** Takes the first of the first `most` that `fits`; null for none. */
  shiftWhere(fits: (waiter: W) => boolean, most: number): W | null {
    let left = most;
    for (let at = this.head; at !== null && left > 0; at = at.next, left--) if (fits(at as W)) return this.take(at);
    return null;
  }

  /** How long the first has waited; 0 if nobody waits. */
  waitedMs(now: number): number {
    return this.head === null ? 0 : now - this.head.since;
  }

  /** Takes the first whose time is over, to be refused; null for none. Call until null, at each tick. */
  shiftExpired(now: number): W | null {
    return this.head !== null && this.isExpired(this.head, now) ? this.take(this.head) : null;
  }

  /** Takes it out, wherever it is: its client has left. @returns whether it was in this queue */
  remove(waiter: W): boolean {
    if (waiter.queue !== this) return false;
    this.take(waiter);
    return true;
  }

  private isExpired(waiter: Waiter, now: number): boolean {
    return now - waiter.since >= this.maxWaitMs;
  }

  private take(waiter: Waiter): W {
    const { previous, next } = waiter;
    if (previous === null) this.head = next;
    else previous.next = next;
    if (next === null) this.tail = previous;
    else next.previous = previous;
    waiter.queue = null;
    waiter.next = null;
    waiter.previous = null;
    this.size--;
    return waiter as W;
  }
}
