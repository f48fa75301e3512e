import type { FailureCode } from './failure.ts';

/**
 * What one attempt says of an instance. `unreachable`: it could not be connected to; `failed`: it took the request and did badly;
 * `ignored`: it says nothing of the instance.
 */
export type Outcome = 'ok' | 'failed' | 'unreachable' | 'ignored';

/** Which of an upstream's own statuses count as failures: none, 502 to 504 (default), or all from 500. */
export type FailureStatuses = 'none' | 'gateway' | '5xx';

/**
 * Judges an answer, when its head arrives: a stream that runs for hours is not waited for.
 * By default 500 does not count: one broken page would let its visitors eject instance after instance.
 */
export function outcomeOfStatus(status: number, statuses: FailureStatuses = 'gateway'): Outcome {
  if (status < 500 || statuses === 'none') return 'ok';
  return statuses === '5xx' || (status >= 502 && status <= 504) ? 'failed' : 'ok';
}

/**
 * Judges an attempt that brought no answer.
 * @param clientLeft the client has gone: whatever then happens is its doing, never the instance's
 * @param reused the connection had served a request before: that an idle one was closed under a request is ordinary
 */
export function outcomeOfFailure(code: FailureCode, clientLeft: boolean, reused: boolean): Outcome {
  if (clientLeft) return 'ignored';
  if (code === 'OO_CONNECT_FAILED' || code === 'OO_CONNECT_TIMEOUT') return 'unreachable';
  if (code === 'OO_UPSTREAM_CLOSED') return reused ? 'ignored' : 'failed';
  return code === 'OO_UPSTREAM_TIMEOUT' || code === 'OO_BAD_RESPONSE' ? 'failed' : 'ignored';
}
