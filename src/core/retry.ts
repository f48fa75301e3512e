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
  if (last.attempt >= maxAttempts || last.responseStarted) return false;
  return !last.sentBytes || (last.reused && last.idempotent && last.replayable);
}
