import { nextAttempt } from './backoff.ts';
import { duration, failureLine, failureOf, when } from './failure-text.ts';
import { type FlightOptions, fly, type Outcome } from './flight.ts';
import type { Job, Jobs } from './jobs.ts';
import type { Shelf } from './manager-shelf.ts';
import type { Clock, ManagerEvent, RenewOutcome } from './manager-types.ts';
import { lifetimeOf } from './renewal.ts';
import type { States } from './states.ts';
import type { Certificate, IssueFailure, IssueStep } from './types.ts';
import { standsInUntil, type Wanted } from './wanted.ts';

const minute = 60_000;
/** How soon an id is looked at again that another server works on, ms; up to twice as long, at random. */
const busyMs = 1_000;
/** When a certificate is asked about again that the ask URL no longer grants, ms. */
const notGrantedMs = 6 * 60 * minute;

const notGranted = 'notGranted';
const refusal = {
  step: 'order',
  directory: '',
  message: 'the ask URL does not grant this name any more, so its certificate is not renewed',
  hint: 'See what it answers to ?domain=NAME (--on-demand-ask); the log says if it could not be asked.',
  retryAfter: 0,
} as const;

export interface AttemptsOptions {
  readonly jobs: Jobs;
  readonly shelf: Shelf;
  readonly states: States;
  readonly clock: Clock;
  readonly random: () => number;
  readonly shared: boolean;
  readonly log: (line: string) => void;
  readonly onEvent: (event: ManagerEvent) => void;
  readonly flight: Omit<FlightOptions, 'issuersFor'>;
  /** Whether the ask URL still grants a certificate that was had on demand. */
  readonly isGranted: (name: string) => Promise<boolean>;
}

/** Attempts to get certificates, and what follows from how they end. */
export class Attempts {
  readonly #options: AttemptsOptions;
  /** How many are under way. */
  running = 0;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /** One attempt for a job that has none. Never rejects. */
  async begin(job: Job): Promise<void> {
    const abort = new AbortController();
    job.running = { abort, progress: { at: this.#options.clock.now(), step: 'lease', detail: '' } };
    this.running += 1;
    let answer: RenewOutcome | undefined;
    try {
      answer = await this.#attempt(job, abort).catch((error) => {
        const now = this.#options.clock.now();
        return this.#failed(job, failureOf(error, 'lease', '', now), now);
      });
    } finally {
      this.running -= 1;
      // First, so that a wish which follows upon the answer begins another attempt, and does not join one that has ended.
      if (job.running?.abort === abort) job.running = undefined;
    }
    if (answer !== undefined) this.answer(job, answer);
  }

  /** Tells those who wait for the job, and closes it if they alone had opened it. */
  answer(job: Job, outcome: RenewOutcome): void {
    for (const waiter of job.waiters) waiter(outcome);
    job.waiters.clear();
    job.listeners.clear();
    this.#options.jobs.closeIfUnasked(job);
  }

  /** @returns what those who wait are told; undefined: they wait on */
  async #attempt(job: Job, abort: AbortController): Promise<RenewOutcome | undefined> {
    const { jobs, shelf, states, clock, flight } = this.#options;
    const { wanted } = job;
    const { id } = wanted;
    const isForced = (states.get(id)?.forcedAt ?? 0) > 0;
    if (job.onDemand && !isForced && shelf.get(id) !== undefined && !(await this.#mayStay(wanted))) return undefined;
    const before = shelf.get(id);
    const startedAt = clock.now();
    const outcome = await fly(
      // Who asks in person has seen what the CA said, and may have mended it.
      { ...flight, issuersFor: (one, at) => jobs.issuersFor(one, isForced ? Number.POSITIVE_INFINITY : at) },
      {
        wanted,
        current: () => shelf.get(id),
        mayReplace: states.get(id)?.lastFailure?.problem !== 'alreadyReplaced',
        lookAgain: () => this.#lookAgain(job),
        onStep: (step, detail) => this.#note(job, abort, step, detail),
        onFailure: (failure) => jobs.pauseFor(failure, id),
        isOvertaken: () => this.#isOvertaken(id),
        signal: abort.signal,
      },
      (certificate) => this.#keep(certificate, before),
    );
    const answer = this.#land(job, outcome, startedAt);
    await states.save();
    return answer;
  }

  #note(job: Job, abort: AbortController, step: IssueStep, detail: string): void {
    const progress = { at: this.#options.clock.now(), step, detail };
    if (job.running?.abort === abort) job.running.progress = progress;
    for (const listener of job.listeners) listener(progress);
  }

  async #mayStay({ id, names }: Wanted): Promise<boolean> {
    const { clock, states, isGranted, log } = this.#options;
    if (await isGranted(names[0])) return true;
    const { notAfter = 0 } = this.#options.shelf.get(id) ?? {};
    // Who could not be asked may answer in time: nothing is given up before it has to be.
    const now = clock.now();
    const notBefore = now + Math.min(notGrantedMs, Math.max(minute, (notAfter - now) / 3));
    const known = states.get(id)?.lastFailure?.problem === notGranted;
    const lastFailure = { at: now, ...refusal, problem: notGranted };
    states.change(id, { notBefore, lastFailure });
    // Once: it may be what the owner of the ask URL wants.
    if (!known) log(failureLine(id, lastFailure, notBefore, now));
    return false;
  }

  /** With the lease in hand: what have other servers done meanwhile? */
  async #lookAgain(job: Job): Promise<boolean> {
    const { jobs, shelf, states, clock, shared } = this.#options;
    const { id } = job.wanted;
    if (shared) {
      if (await shelf.poll()) await shelf.publish();
      const forcedAt = states.get(id)?.forcedAt ?? 0;
      await states.refresh(id);
      // What a person has asked for here may have been done there.
      const isDone = (shelf.get(id)?.updatedAt ?? 0) >= forcedAt;
      if (forcedAt > 0) states.change(id, { forcedAt: isDone ? 0 : forcedAt });
    }
    return jobs.dueAt(job) <= clock.now();
  }

  async #isOvertaken(id: string): Promise<boolean> {
    const { shelf, clock, shared } = this.#options;
    if (shared && (await shelf.poll().catch(() => false))) await shelf.publish();
    const certificate = shelf.get(id);
    return certificate?.source === 'saved' && clock.now() < standsInUntil(certificate);
  }

  /** Notes, stores and publishes what has come, and says so. */
  async #keep(certificate: Certificate, before: Certificate | undefined): Promise<void> {
    const { shelf, states, clock, random, log } = this.#options;
    const { id, notAfter, issuer } = certificate;
    const now = clock.now();
    const left = notAfter - now;
    // Whatever is wrong with what has come (a clock that is ahead, a CA that gives other than was asked for): no running in circles.
    const notBefore = now + Math.min(minute, left / 20);
    states.change(id, { failures: 0, lastFailure: null, notBefore, forcedAt: 0, renewAt: 0 });
    const renewAt = Math.ceil(Math.max(states.renewalOf(certificate, random), now + left / 3));
    states.change(id, { renewAt });
    await shelf.keep(certificate);
    const did = before === undefined ? 'issued' : 'renewed';
    log(`certificate ${id}: ${did} by ${issuer}, valid for ${duration(left)}; renewal ${when(renewAt, now)}`);
  }

  /** What follows from an attempt's end. */
  #land(job: Job, outcome: Outcome, startedAt: number): RenewOutcome | undefined {
    const { jobs, shelf, states, clock, random } = this.#options;
    const { id } = job.wanted;
    const now = clock.now();
    if (outcome.kind === 'dropped') return undefined;
    const certificate = shelf.get(id);
    if (outcome.kind === 'busy') {
      const wait = certificate === undefined ? busyMs : Math.min(busyMs, lifetimeOf(certificate) / 20);
      job.busyUntil = now + wait * (1 + random());
      return undefined;
    }
    if (outcome.kind === 'failed') return this.#failed(job, outcome.failure, now);
    job.busyUntil = 0;
    const state = states.get(id);
    if (state !== undefined && state.forcedAt > 0 && state.forcedAt <= startedAt) states.change(id, { forcedAt: 0 });
    if (certificate !== undefined) return { certificate };
    return state?.lastFailure ? { failure: state.lastFailure, nextTryAt: jobs.dueAt(job) } : undefined;
  }

  #failed(job: Job, failure: IssueFailure, now: number): RenewOutcome {
    const { jobs, shelf, states, random, log, onEvent } = this.#options;
    const { id } = job.wanted;
    const failures = (states.get(id)?.failures ?? 0) + 1;
    const notBefore = nextAttempt(failures, failure, shelf.get(id), now, random());
    states.change(id, { failures, lastFailure: failure, notBefore, forcedAt: 0 });
    const dueAt = jobs.dueAt(job);
    const nextTryAt = Number.isFinite(dueAt) ? dueAt : notBefore;
    log(failureLine(id, failure, nextTryAt, now));
    onEvent({ type: 'failed', id, failure, nextTryAt });
    return { failure, nextTryAt };
  }
}
