import { caName, combined, failureOf } from './failure-text.ts';
import { type Lease, takeLease } from './lease.ts';
import type { Clock } from './manager-types.ts';
import type { CertificateStore } from './types.ts';
import {
  type Certificate,
  type Challenge,
  IssueError,
  type IssueFailure,
  type Issuer,
  type IssueStep,
} from './types.ts';
import type { Wanted } from './wanted.ts';

/** How an attempt ended. */
export type Outcome =
  /** A new certificate, not kept yet. */
  | { readonly kind: 'issued'; readonly certificate: Certificate }
  /** Nothing is to be done any more: another server has done it, or has just failed. */
  | { readonly kind: 'done' }
  /** Another server is at it. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'failed'; readonly failure: IssueFailure }
  /** Aborted: nobody wants it any more, or the server stops. */
  | { readonly kind: 'dropped' };

export interface FlightOptions {
  readonly store: CertificateStore;
  readonly clock: Clock;
  readonly holder: string;
  readonly shared: boolean;
  readonly attemptTimeoutMs: number;
  /** Who is asked, in order. @param at a CA that wants to be left alone until later is left out */
  readonly issuersFor: (wanted: Wanted, at: number) => readonly Issuer[];
  readonly present: (challenge: Challenge) => Promise<void>;
  readonly cleanup: (challenge: Challenge) => Promise<void>;
  readonly log: (line: string) => void;
}

export interface Flight {
  readonly wanted: Wanted;
  /** The one that is there. */
  readonly current: () => Certificate | undefined;
  /** Whether the CA that gave `current` may be told that it is replaced. */
  readonly mayReplace: boolean;
  /** Looks at what other servers have done meanwhile. @returns whether the certificate is still to be had now */
  readonly lookAgain: () => Promise<boolean>;
  /** Whether a person has brought one meanwhile, which must not be replaced. */
  readonly isOvertaken: () => Promise<boolean>;
  readonly onStep: (step: IssueStep, detail: string) => void;
  /** Told of each CA that failed. */
  readonly onFailure: (failure: IssueFailure) => void;
  readonly signal: AbortSignal;
}

/**
 * One attempt for one certificate: lease → look again → each CA in turn. Keeps nothing: the caller does, while the lease is held.
 * @param keep is called with the certificate before the lease is given back
 */
export async function fly(
  options: FlightOptions,
  flight: Flight,
  keep: (certificate: Certificate) => Promise<void>,
): Promise<Outcome> {
  const { clock } = options;
  const lost = new AbortController();
  const signal = AbortSignal.any([flight.signal, lost.signal]);
  flight.onStep('lease', '');
  let lease: Lease | undefined;
  try {
    lease = await takeLease(options, `certificate ${flight.wanted.id}`, () => lost.abort());
    if (lease === undefined) return { kind: 'busy' };
  } catch (error) {
    // No other server can be at it where the database is this one's alone: a full disk then stops no renewal.
    if (options.shared) return { kind: 'failed', failure: failureOf(error, 'lease', '', clock.now()) };
  }
  try {
    if (!(await flight.lookAgain())) return { kind: 'done' };
    if (flight.signal.aborted) return { kind: 'dropped' };
    const outcome = await askEach(options, flight, signal);
    if (flight.signal.aborted) return { kind: 'dropped' };
    if (lost.signal.aborted) return { kind: 'failed', failure: leaseLost(clock.now()) };
    if (outcome.kind !== 'issued') return outcome;
    flight.onStep('store', '');
    if (await flight.isOvertaken()) return { kind: 'done' };
    await keep(outcome.certificate);
    return outcome;
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error, 'lease', '', clock.now()) };
  } finally {
    await lease?.release();
  }
}

function leaseLost(at: number): IssueFailure {
  const message =
    'this server lost its lease of the name before the certificate came: the database was out of reach for long';
  const hint = 'Another server may have taken over; if it happens again, see to the connection to the database.';
  return { at, step: 'lease', directory: '', message, hint, problem: '', retryAfter: 0 };
}

async function askEach(options: FlightOptions, flight: Flight, signal: AbortSignal): Promise<Outcome> {
  const failures: IssueFailure[] = [];
  const issuers = options.issuersFor(flight.wanted, options.clock.now());
  for (const issuer of issuers) {
    if (signal.aborted) break;
    try {
      const certificate = await askOne(options, flight, issuer, signal);
      if (failures.length > 0)
        options.log(
          `certificate ${flight.wanted.id}: ${caName(issuer.directory)} gave it after ${combined(failures).message}`,
        );
      return { kind: 'issued', certificate };
    } catch (error) {
      const failure = failureOf(error, 'order', issuer.directory, options.clock.now());
      failures.push(failure);
      if (!signal.aborted) flight.onFailure(failure);
    }
  }
  return failures.length === 0 ? { kind: 'done' } : { kind: 'failed', failure: combined(failures) };
}

/** Asks one CA, for a bounded time. @throws whatever the issuer throws, and IssueErrors */
async function askOne(
  options: FlightOptions,
  flight: Flight,
  issuer: Issuer,
  signal: AbortSignal,
): Promise<Certificate> {
  const { clock, attemptTimeoutMs, present, cleanup } = options;
  const { id, names, keyType } = flight.wanted;
  const current = flight.current();
  const late = new AbortController();
  const stop = AbortSignal.any([signal, late.signal]);
  let step: IssueStep = 'directory';
  const cancel = clock.after(attemptTimeoutMs, () => late.abort());
  const ended = new Promise<never>((_, reject) => {
    const end = () =>
      reject(late.signal.aborted ? tooSlow(step, issuer, attemptTimeoutMs, clock.now()) : new Error('aborted'));
    if (stop.aborted) end();
    else stop.addEventListener('abort', end, { once: true });
  });
  ended.catch(() => {});
  const replaces = flight.mayReplace && current?.directory === issuer.directory ? { replaces: current } : {};
  try {
    const certificate = await Promise.race([
      issuer.issue(
        { id, names, keyType, ...replaces },
        {
          now: () => clock.now(),
          present,
          cleanup,
          onStep(next, detail) {
            step = next;
            flight.onStep(next, detail);
          },
          signal: stop,
        },
      ),
      ended,
    ]);
    return proven(certificate, flight.wanted, issuer, clock.now());
  } finally {
    cancel();
    // An issuer that goes on after its time does so for nothing.
    late.abort();
  }
}

function tooSlow(step: IssueStep, issuer: Issuer, ms: number, at: number): IssueError {
  const message = `the CA did not get done in ${Math.round(ms / 1000)} seconds`;
  const hint = "See the CA's status page; oo cert check HOST looks at what is on this side.";
  return new IssueError({ at, step, directory: issuer.directory, message, hint, problem: '', retryAfter: 0 });
}

/** What must hold before anything is put in another's place. */
function proven(certificate: Certificate, wanted: Wanted, issuer: Issuer, now: number): Certificate {
  const { names, keyType, notAfter } = certificate;
  const missing = wanted.names.filter((name) => !names.includes(name));
  let message = '';
  let hint = 'The CA did not do what it was asked for: tell those who run it.';
  if (missing.length > 0) message = `the certificate does not name ${missing.join(', ')}`;
  else if (keyType !== wanted.keyType) message = `the certificate has another kind of key than ${wanted.keyType}`;
  else if (notAfter <= now) {
    message = `the certificate had expired at ${new Date(notAfter).toISOString()} when it came`;
    hint = "See to this machine's clock.";
  }
  if (message === '') return certificate;
  const { directory } = issuer;
  throw new IssueError({ at: now, step: 'check', directory, message, hint, problem: '', retryAfter: 0 });
}
