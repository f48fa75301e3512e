import { lifetimeOf } from './renewal.ts';
import type { Certificate, IssueFailure } from './types.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const first = minute;
const factor = 3;
const longest = day;
/** Where the name is not at fault (the CA or the database can't be reached), there is little use in waiting longer. */
const longestForOthers = 15 * minute;
/** The most that a CA's wish is obeyed: its longest limits are for a week. */
const longestWish = 8 * day;

/**
 * When to try again: after a minute, then ever later up to a day, each with up to a quarter more at random; not before the CA
 * wants to be asked. The shorter a certificate has to live, the sooner.
 * @param failures attempts that failed in a row, this one included: 1 or more
 * @param certificate the one that is still there, if any
 * @param random from 0 up to 1
 * @returns epoch ms
 */
export function nextAttempt(
  failures: number,
  failure: Pick<IssueFailure, 'step' | 'problem' | 'retryAfter'>,
  certificate: Pick<Certificate, 'notBefore' | 'notAfter'> | undefined,
  now: number,
  random: number,
): number {
  const most = Math.min(isNoFaultOfName(failure) ? longestForOthers : longest, urgency(certificate, now));
  const waits = Math.min(first * factor ** Math.min(failures - 1, 20), most / 1.25);
  const wish = Math.min(failure.retryAfter, now + longestWish);
  // All who were told the same time would come back at once.
  const wished = wish > now ? wish + random * Math.min(minute, wish - now) : 0;
  return Math.ceil(Math.max(now + waits * (1 + random / 4), wished));
}

function isNoFaultOfName({ step, problem }: Pick<IssueFailure, 'step' | 'problem'>): boolean {
  if (step === 'lease' || step === 'directory' || step === 'store') return true;
  // The directory is known from before, and the CA has not said a word: no order was made.
  return problem === '' && (step === 'account' || step === 'order');
}

/** The longest wait that a certificate's expiry allows, ms. */
function urgency(certificate: Pick<Certificate, 'notBefore' | 'notAfter'> | undefined, now: number): number {
  if (certificate === undefined) return Number.POSITIVE_INFINITY;
  const lifetime = lifetimeOf(certificate);
  const left = certificate.notAfter - now;
  if (left <= 0) return Math.max(1_000, lifetime);
  const least = Math.min(15 * minute, lifetime / 10);
  return Math.max(1_000, Math.min(lifetime / 10, Math.max(least, left / 3)));
}

/** Whether a CA's refusal is for the account or the address as a whole: then no other name need be tried before its time. */
export function isForAll(failure: IssueFailure): boolean {
  if (failure.step === 'directory') return true;
  if (failure.problem !== 'rateLimited') return false;
  return failure.step === 'account' || /from this (account|ip)|new orders|requests? per|overall/i.test(failure.message);
}
