/** How one attempt to forward a request went. */
export interface Attempt {
  /** Which attempt this was, from 1. */
  readonly attempt: number;
  /** Whether any byte of the request may have left. */
  readonly sentBytes: boolean;
  /** Whether the connection had served a request before: the upstream may have closed it just before this one. */
  readonly reused: boolean;
  /** Whether the method is idempotent (`isIdempotent`). */
  readonly idempotent: boolean;
  /** Whether the whole request can be sent again: it has no body, or none of it is gone. */
  readonly replayable: boolean;
  /** Whether any byte of the response arrived. */
  readonly responseStarted: boolean;
}

/** One attempt, and two more. */
export const maxAttempts = 3;

const idempotentMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** RFC 9110 §9.2.2; methods are case-sensitive. TRACE is idempotent too, but is never forwarded. */
export function isIdempotent(method: string): boolean {
  return idempotentMethods.has(method);
}

/**
 * Whether a failed attempt may be followed by another. Safe if nothing was sent; else only if a reused connection died before
 * any byte of the response, the method is idempotent and the request can be replayed.
 */
export function mayRetry(last: Attempt): boolean {
  return last.attempt < maxAttempts && isSafeToRepeat(last, false);
}

/** How often and how long a route's request is tried. */
export interface RetryPolicy {
  /** All attempts together, the first included; 1 for no retry. */
  readonly tries: number;
  /** From the start of an attempt to the first byte of its answer; 0 for no limit of its own. */
  readonly tryTimeoutMs: number;
  /** From the start of the first attempt to the first byte of an answer; 0 for no limit. */
  readonly totalTimeoutMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { tries: maxAttempts, tryTimeoutMs: 0, totalTimeoutMs: 0 };

/** Why a failed attempt is, or is not, followed by another; `exhausted`: as often as it may. */
export type RetryVerdict = 'retry' | 'left' | 'unsafe' | 'exhausted' | 'late' | 'budget';

/** A budget, as far as a decision needs it (`RetryBudget`). */
export interface Spendable {
  /** Takes one retry out of the budget, if there is one. */
  spend(now: number): boolean;
}

/**
 * Whether an attempt can be repeated without harm. To another instance: if nothing was sent, or the method is idempotent and
 * the request replayable. To the same one only by `mayRetry`'s rule: what made it fail would meet it again.
 * After a byte of the response, never.
 */
export function isSafeToRepeat(last: Omit<Attempt, 'attempt'>, elsewhere: boolean): boolean {
  if (last.responseStarted) return false;
  return !last.sentBytes || ((elsewhere || last.reused) && last.idempotent && last.replayable);
}

/**
 * Decides on another attempt; the budget is asked last, so that nothing is spent in vain.
 * @param elsewhere whether the next attempt goes to an instance that this request has not tried
 * @param clientLeft nobody waits for an answer any more
 * @param startedAt when the first attempt began, ms of the clock of `now`
 */
export function decideRetry(
  policy: RetryPolicy,
  last: Attempt,
  elsewhere: boolean,
  clientLeft: boolean,
  startedAt: number,
  now: number,
  budget: Spendable,
): RetryVerdict {
  if (clientLeft) return 'left';
  if (!isSafeToRepeat(last, elsewhere)) return 'unsafe';
  if (last.attempt >= policy.tries) return 'exhausted';
  if (policy.totalTimeoutMs > 0 && now - startedAt >= policy.totalTimeoutMs) return 'late';
  return budget.spend(now) ? 'retry' : 'budget';
}

/**
 * When an attempt that begins now must have brought the first byte of its answer.
 * @param startedAt when the first attempt began
 * @returns ms of the same clock; Infinity where there is no limit
 */
export function tryDeadline(policy: RetryPolicy, startedAt: number, now: number): number {
  const { tryTimeoutMs, totalTimeoutMs } = policy;
  const own = tryTimeoutMs > 0 ? now + tryTimeoutMs : Number.POSITIVE_INFINITY;
  return totalTimeoutMs > 0 ? Math.min(own, startedAt + totalTimeoutMs) : own;
}
