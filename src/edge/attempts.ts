import { observeCancel, observeFailure, observeReply, observeStart } from '../core/balance-load.ts';
import type { FailureCode } from '../core/failure.ts';
import { latencyBucket } from '../core/latency.ts';
import { outcomeOfFailure, outcomeOfStatus } from '../core/outlier-outcome.ts';
import { decideRetry, isSafeToRepeat, type Spendable, tryDeadline } from '../core/retry.ts';
import type { Choice } from './choice.ts';
import { nowMs } from './clock.ts';
import type { Upstream } from './downstream.ts';
import type { EdgePool } from './pool.ts';
import type { EdgeMember } from './pool-member.ts';
import { PoolRecord } from './pool-record.ts';

/** After these a request may be sent again. */
const retried: ReadonlySet<FailureCode> = new Set([
  ...(['OO_CONNECT_FAILED', 'OO_CONNECT_TIMEOUT', 'OO_UPSTREAM_CLOSED', 'OO_UPSTREAM_TIMEOUT'] as const),
]);
/** What nobody looks at. */
const uncounted = new PoolRecord('');
const unlimited: Spendable = { spend: () => true };

/** What of a request decides whether it can be sent again. */
export interface Repeatable {
  readonly choice: Choice;
  readonly idempotent: boolean;
  /** None of its body is gone. */
  readonly replayable: boolean;
}

/**
 * The attempts to forward one request: whom it went to, and what its pool and instances learn by how that goes. One object for an exchange,
 * used again for the next request. Times are ms of performance.now().
 */
export class Attempts {
  private pool: EdgePool | null = null;
  /** Its route's pool's; null: none is under way. */
  private record: PoolRecord | null = null;
  /** The service's, where that is another pool: it counts it, too. */
  private shared: PoolRecord | null = null;
  private member: EdgeMember | null = null;
  private tried: EdgeMember[] = [];
  private count = 0;
  private startedAt = 0;
  private firstAt = 0;
  private attemptAt = 0;
  /** The present attempt has come to nothing yet. */
  private open = false;
  private timed = false;
  /** Its route's pool has counted the request already: it has come back from its handler. */
  private readonly isCounted: boolean;

  constructor(isCounted = false) {
    this.isCounted = isCounted;
  }

  /** A request has come, or starts over after it has waited. @param startedAt when it came */
  begin(pool: EdgePool, picking: EdgePool, startedAt: number): void {
    const shared = picking === pool ? null : picking.record;
    const record = this.isCounted ? uncounted : pool.record;
    if (this.record !== null) {
      if (this.record === record && this.shared === shared) return;
      // Its route has changed while it waited, or where that leads to.
      this.record.leave();
      this.shared?.leave();
    }
    this.record = record;
    this.record.enter();
    this.shared = shared;
    this.shared?.enter();
    this.pool = pool;
    this.startedAt = startedAt;
    this.timed = false;
    this.count = 0;
    if (this.tried.length > 0) this.tried = [];
    if (picking.isShared) pool.budget.note(startedAt);
  }

  /** It goes to a member, over a connection that it has been given. @param now a clock is read twice a request, not more, where nothing fails */
  start(pool: EdgePool, member: EdgeMember, up: Upstream, now = nowMs()): void {
    const { retry } = pool.retrying.spec.settings;
    this.pool = pool;
    this.member = member;
    // Never before its breaker let it through, or a probe that came just before it may begin would count for nothing, and keep its place for ever.
    this.attemptAt = member.instance.breaker === null ? now : nowMs();
    if (++this.count === 1) this.firstAt = now;
    this.open = true;
    observeStart(member.instance.load, now);
    if (retry.tryTimeoutMs + retry.totalTimeoutMs > 0) up.tryBy = tryDeadline(retry, this.firstAt, now);
  }

  /** The response's head is here. */
  onAnswer(status: number, up: Upstream | null): void {
    const { member } = this;
    if (!this.open || member === null) return;
    const now = nowMs();
    const { instance } = member;
    const outcome = status < 500 ? 'ok' : outcomeOfStatus(status, instance.settings.failureStatuses);
    this.open = false;
    const sentAt = Math.max(this.attemptAt, up?.connectedAt ?? 0);
    if (outcome === 'ok') observeReply(instance.load, now - sentAt, now);
    else observeFailure(instance.load, now);
    instance.observe(outcome, this.attemptAt, now);
    this.time(now);
  }

  /** It has failed. */
  onFailure(code: FailureCode, reused: boolean): void {
    const { member } = this;
    if (!this.open || member === null) return;
    const now = nowMs();
    const { instance } = member;
    const outcome = outcomeOfFailure(code, false, reused);
    this.open = false;
    if (outcome === 'ignored') observeCancel(instance.load);
    else observeFailure(instance.load, now);
    instance.observe(outcome, this.attemptAt, now);
  }

  /** It is given up, by the client's doing. */
  cancel(): void {
    const { member } = this;
    if (!this.open || member === null) return;
    this.open = false;
    observeCancel(member.instance.load);
    member.instance.observe('ignored', this.attemptAt, nowMs());
  }

  /** We have answered in an upstream's place. */
  onReply(): void {
    if (this.record !== null) this.time(nowMs());
  }

  private time(now: number): void {
    if (this.timed) return;
    this.timed = true;
    const bucket = latencyBucket(now - this.startedAt);
    if (this.record !== null) this.record.latencies[bucket]++;
    if (this.shared !== null) this.shared.latencies[bucket]++;
  }

  /** The request is over. @param failed it was answered with a status from 500 on, or cut */
  end(failed: boolean): void {
    this.record?.end(failed);
    this.shared?.end(failed);
    this.record = null;
    this.shared = null;
    this.pool = null;
    this.member = null;
  }

  /**
   * Whom a failed attempt is repeated with; one that was not tried, if there is any.
   * @returns undefined: it is not repeated
   */
  next(failed: Upstream, code: FailureCode, { choice, idempotent, replayable }: Repeatable): EdgeMember | undefined {
    const { member } = this;
    // As it is now: of one that has been replaced nobody hears who is up.
    const pool = this.pool?.present ?? null;
    if (pool === null || member === null || !retried.has(code)) return undefined;
    const sentBytes = failed.connected;
    const last = {
      ...{ attempt: this.count, sentBytes, reused: failed.reused, idempotent },
      ...{ replayable: replayable || !sentBytes, responseStarted: failed.hasHeard() },
    };
    if (!isSafeToRepeat(last, true)) return undefined;
    const now = nowMs();
    this.tried.push(member);
    const next = pool.pick(choice, this.tried, now);
    if (next === undefined) return undefined;
    const elsewhere = !this.tried.includes(next);
    // Who was silent once would be again: the client has waited long enough.
    if (!elsewhere && (code === 'OO_CONNECT_TIMEOUT' || code === 'OO_UPSTREAM_TIMEOUT')) return undefined;
    const { retrying } = pool;
    // An idle connection that had been closed says nothing of load: the request has not cost the instance anything. It happens to a request
    // once at most, as no other idle one is taken after it.
    const isStale = code === 'OO_UPSTREAM_CLOSED' && failed.reused;
    const budget = isStale || !(pool.picking ?? pool).isShared ? unlimited : pool.budget;
    const verdict = decideRetry(retrying.spec.settings.retry, last, elsewhere, false, this.firstAt, now, budget);
    return verdict === 'retry' ? next : undefined;
  }

  /** It is repeated. */
  countRetry(): void {
    if (this.record !== null) (this.isCounted ? this.pool?.record : this.record)!.retries++;
    if (this.shared !== null) this.shared.retries++;
  }
}
