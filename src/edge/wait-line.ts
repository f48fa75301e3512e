import { defaultAdmissionLimits, shareOf } from '../core/admission.ts';
import { Gate, type GateOrder } from '../core/admission-gate.ts';
import { Waiter, WaitQueue } from '../core/admission-queue.ts';
import type { FailureCode } from '../core/failure.ts';
import { clock } from './clock.ts';
import type { WorkerPlace } from './messages.ts';
import type { EdgePool } from './pool.ts';

/** When somebody has waited for a place for so long, responses that their clients leave unread for as long give theirs up. */
const pressedMs = 1_000;
/** How far a line is searched for a client that has little under way. */
const searched = 1_024;

/** Who waits, as a line sees it. */
export interface Waits {
  /**
   * Its turn has come: it starts over, as if it had just come, and may come to wait again.
   * @param first it was the first of its line, and may go before it
   */
  onTurn(first: boolean): void;
  /** It has waited in vain. */
  onRefused(code: FailureCode, gate: GateNote | null): void;
  /** Its client has no more than a few requests under way. */
  isModest(): boolean;
}

/** What a refusal at a gate tells: the operator's message, '' for none, and when to come again. */
export interface GateNote {
  readonly message: string;
  /** Seconds. */
  readonly retryAfter: number;
}

/** A request that waits, or has waited. */
export class WaitingRequest extends Waiter {
  readonly exchange: Waits;
  /** Where it waits, or has waited last. */
  line: WaitLine | null = null;
  /** It waits at the gate there, or else for a place. */
  atGate = false;

  constructor(exchange: Waits) {
    super();
    this.exchange = exchange;
  }
}

/**
 * Requests of one pool that wait in this worker: since it is paused, or since all of its instances are full. Known by the pool's name, so that
 * it outlives changes of the configuration.
 */
export class WaitLine {
  readonly name: string;
  private readonly gate = new Gate<WaitingRequest>();
  private order: GateOrder | null = null;
  private readonly queue = new WaitQueue<WaitingRequest>(0, 0);
  /** As it was when somebody came last. */
  private pool: EdgePool;
  private readonly onRoom = (): void => this.call();
  private modestIsNext = false;

  constructor(pool: EdgePool) {
    this.name = pool.name;
    this.pool = pool;
  }

  /** Those that wait at its gate. */
  get paused(): number {
    return this.gate.waiting;
  }

  /** Those that wait for a place. */
  get queued(): number {
    return this.queue.size;
  }

  get isEmpty(): boolean {
    return this.gate.waiting === 0 && this.queue.size === 0;
  }

  private count(): void {
    this.pool.record.waiting = this.gate.waiting + this.queue.size;
    if (this.queue.size === 0) this.present.onRoom = null;
  }

  note(): GateNote {
    return { message: this.gate.message, retryAfter: this.gate.retryAfter(Date.now()) };
  }

  // ---- at the gate

  /** @returns true: it may pass; false: it waits; else why it is refused */
  pass(
    pool: EdgePool,
    order: GateOrder,
    request: WaitingRequest,
    { count, index }: WorkerPlace,
  ): boolean | FailureCode {
    this.pool = pool;
    if (order !== this.order) {
      this.order = order;
      this.gate.obey(order, partOf(order.maxWaiting, count, index));
    }
    const again = request.line === this && request.atGate;
    const entrance = this.gate.enter(request, Date.now(), again);
    if (entrance === 'go') return true;
    if (entrance !== 'wait') return entrance === 'full' ? 'OO_PAUSED' : 'OO_STOPPED';
    request.line = this;
    request.atGate = true;
    this.count();
    return false;
  }

  /** All that wait at the gate ask again, in their order: the configuration has changed. */
  recall(): void {
    const all: WaitingRequest[] = [];
    for (let next = this.gate.recall(); next !== null; next = this.gate.recall()) all.push(next);
    for (const request of all) request.exchange.onTurn(false);
    this.count();
  }

  // ---- for a place

  /**
   * Lets a request wait for a place.
   * @param isFirst it was called, and there was none for it after all
   * @returns false if too many wait
   */
  join(pool: EdgePool, request: WaitingRequest, isFirst: boolean, place: WorkerPlace): boolean {
    const { queue } = this;
    const { maxWaiting, maxWaitMs } = pool.settings.instance.limits ?? defaultAdmissionLimits;
    this.pool = pool;
    queue.max = partOf(maxWaiting * Math.max(1, pool.main?.members.length ?? 1), place.count, place.index);
    queue.maxWaitMs = maxWaitMs;
    if (isFirst && request.line === this) queue.putBack(request);
    else if (!queue.push(request, clock.now)) return false;
    request.line = this;
    request.atGate = false;
    pool.onRoom = this.onRoom;
    this.count();
    return true;
  }

  /** Calls those who wait for a place, one after another, until one gets none. */
  call(): void {
    const { queue } = this;
    for (let next = this.next(); next !== null; next = this.next()) {
      next.exchange.onTurn(true);
      if (next.queue === queue) break;
      this.modestIsNext = !this.modestIsNext;
    }
    this.count();
  }

  /** First come, first served; but every other place is for a client with little under way: one with a hundred streams keeps nobody out. */
  private next(): WaitingRequest | null {
    const { queue } = this;
    const modest = this.modestIsNext && queue.size > 1 && this.hasRoom() ? queue.shiftWhere(isModest, searched) : null;
    return modest ?? queue.shift();
  }

  private hasRoom(): boolean {
    return this.present.main?.active.some(({ instance }) => !instance.full) === true;
  }

  /** The pool of its name, as it is now. */
  private get present(): EdgePool {
    return this.pool.edge.pools.named(this.name) ?? this.pool;
  }

  private press(now: number): void {
    if (this.queue.waitedMs(now) < pressedMs) return;
    for (const client of this.pool.edge.clients) client.makeRoom?.(this.present, now - pressedMs);
  }

  // ---- both

  /** Its client has left. */
  leave(request: WaitingRequest): void {
    if (!this.gate.cancel(request)) this.queue.remove(request);
    this.count();
  }

  /** A pause may have ended by itself, and some may have waited for too long. */
  onTick(now: number): void {
    const epoch = Date.now();
    for (let next = this.gate.release(epoch); next !== null; next = this.gate.release(epoch))
      next.exchange.onTurn(false);
    const why = this.gate.stateAt(epoch) === 'stopped' ? 'OO_STOPPED' : 'OO_PAUSED';
    for (let next = this.gate.refuse(epoch); next !== null; next = this.gate.refuse(epoch))
      next.exchange.onRefused(why, this.note());
    for (let next = this.queue.shiftExpired(now); next !== null; next = this.queue.shiftExpired(now))
      next.exchange.onRefused('OO_OVERLOADED', null);
    this.press(now);
    this.call();
  }
}

function isModest({ exchange }: WaitingRequest): boolean {
  return exchange.isModest();
}

/** This worker's part. 0 stays 0. */
function partOf(limit: number, count: number, index: number): number {
  return limit === 0 ? 0 : shareOf(limit, count, index);
}
