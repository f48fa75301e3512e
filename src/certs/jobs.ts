import type { Route } from '../core/types.ts';
import { isForAll } from './backoff.ts';
import type { Shelf } from './manager-shelf.ts';
import type { Clock, Progress, RenewOutcome, Unmet } from './manager-types.ts';
import { within } from './renewal.ts';
import type { States } from './states.ts';
import type { Certificate, IssueFailure, Issuer } from './types.ts';
import {
  isLocalName,
  standsInUntil,
  type Wanted,
  type WantedCertificates,
  type WantedSettings,
  wantedCertificates,
  wildcardOf,
} from './wanted.ts';

const dayMs = 86_400_000;
const longestPauseMs = 7 * dayMs;
/** More than any wait that backoff.ts chooses. */
export const longestWaitMs = 9 * dayMs;
const longestBusyMs = 10_000;

/** A certificate that is to be there, and what is being done for it. */
export interface Job {
  wanted: Wanted;
  /** Had at a first visit: no route names it. */
  readonly onDemand: boolean;
  running: { readonly abort: AbortController; progress: Progress } | undefined;
  /** Not before then: another server is at it. */
  busyUntil: number;
  askingWindow: boolean;
  /** CAs that want to be left alone with this name, by directory: until when. */
  readonly rests: Map<string, number>;
  /** Told of the steps of the attempt that is under way or the next one. */
  readonly listeners: Set<(progress: Progress) => void>;
  /** Told how it ends. While there are any, the job stays. */
  readonly waiters: Set<(outcome: RenewOutcome) => void>;
}

export interface JobsOptions {
  readonly shelf: Shelf;
  readonly states: States;
  readonly issuers: readonly Issuer[];
  readonly local: Issuer | undefined;
  readonly settings: WantedSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: (line: string) => void;
  /** @see ManagerOptions.hintFor */
  readonly hintFor?: (unmet: Unmet) => string;
}

/** Which certificates are to be there, and when something is due for each. */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #jobs = new Map<string, Job>();
  #plan: WantedCertificates = { wanted: new Map(), unmet: [], mayOnDemand: () => false };
  #explained = new Set<string>();
  /** CAs that want to be left alone, and what they said, by directory. */
  readonly #paused = new Map<string, { readonly until: number; readonly failure: IssueFailure }>();
  readonly #startedAt: number;
  /** When a person's certificate ceases to stand in for automatic ones: `replan` is due then. */
  planEndsAt = Number.POSITIVE_INFINITY;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  get(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  values(): Iterable<Job> {
    return this.#jobs.values();
  }

  get unmet(): readonly Unmet[] {
    return this.#plan.unmet;
  }

  /** Brings the jobs in line with the routes and with what is there. Attempts that nobody wants any more are aborted. */
  replan(routes: Iterable<Route>): void {
    const { shelf, settings, clock } = this.#options;
    const now = clock.now();
    const own = [...shelf.all()].filter(({ source }) => source === 'saved');
    this.#plan = wantedCertificates(routes, own, settings, now);
    this.planEndsAt = Math.min(...own.map(standsInUntil).filter((end) => end > now));
    const { wanted } = this.#plan;
    const keep = new Set(wanted.keys());
    for (const one of wanted.values()) this.open(one, false);
    // Those that were had on demand are kept as long as a route would let them be had so.
    for (const certificate of shelf.all()) {
      if (wanted.has(certificate.id) || certificate.source === 'saved' || !this.#isOnDemand(certificate)) continue;
      keep.add(certificate.id);
      this.open(wantedAgain(certificate), true);
    }
    for (const [id, job] of this.#jobs) {
      if (keep.has(id) || job.waiters.size > 0) continue;
      job.running?.abort.abort();
      this.#jobs.delete(id);
    }
    this.#forgetOld(now);
    this.#explain();
  }

  /** Of names that are gone nothing need be known a day after their next attempt would have been due. */
  #forgetOld(now: number): void {
    const { shelf, states } = this.#options;
    for (const { id, notBefore } of [...states.all()])
      if (notBefore + dayMs <= now && !this.#jobs.has(id) && shelf.get(id) === undefined) states.forget(id);
  }

  /** Says each reason why a name gets none once, until it is mended. */
  #explain(): void {
    const { hintFor = ({ hint }) => hint } = this.#options;
    const lines = this.#plan.unmet.map(
      (unmet) => `certificate ${unmet.name}: none is ordered: ${unmet.reason}. ${hintFor(unmet)}`,
    );
    for (const line of lines) if (!this.#explained.has(line)) this.#options.log(line);
    this.#explained = new Set(lines);
  }

  #isOnDemand({ id, names }: Certificate): boolean {
    const [name, ...more] = names;
    return more.length === 0 && (id === name || id === `${name}+rsa`) && this.mayOrder(name);
  }

  /** Whether only a wildcard or `*` route serves this name, and no certificate that routes ask for covers it. */
  mayOrder(name: string): boolean {
    if (!this.#options.settings.onDemand || !this.#plan.mayOnDemand(name)) return false;
    return !this.#plan.wanted.has(wildcardOf(name)) && this.#issuersOf(isLocalName(name)).length > 0;
  }

  /** The job for what is wanted; an attempt for other names or another kind of key is aborted. */
  open(wanted: Wanted, onDemand: boolean): Job {
    const known = this.#jobs.get(wanted.id);
    if (known !== undefined && !isSame(known.wanted, wanted)) known.running?.abort.abort();
    if (known !== undefined && known.onDemand === onDemand) {
      known.wanted = wanted;
      return known;
    }
    const job: Job = {
      running: undefined,
      busyUntil: 0,
      askingWindow: false,
      rests: new Map(),
      listeners: new Set(),
      waiters: new Set(),
      ...known,
      wanted,
      onDemand,
    };
    this.#jobs.set(wanted.id, job);
    return job;
  }

  /** Takes out a job that only a person's or a visitor's wish had opened, once it is done. */
  closeIfUnasked({ wanted: { id }, waiters }: Job): void {
    if (this.#plan.wanted.has(id) || waiters.size > 0) return;
    const certificate = this.#options.shelf.get(id);
    if (certificate === undefined || !this.#isOnDemand(certificate)) this.#jobs.delete(id);
  }

  #issuersOf(isLocal: boolean): readonly Issuer[] {
    const { issuers, local } = this.#options;
    return isLocal ? (local === undefined ? [] : [local]) : issuers;
  }

  /** Who is to be asked, in order. @param at those that want to be left alone for longer are left out; Infinity: nobody is */
  issuersFor({ by, id }: Wanted, at: number): readonly Issuer[] {
    return this.#issuersOf(by === 'local').filter(({ directory }) => this.#restUntil(directory, id) <= at);
  }

  /** Leaves a CA alone that has said so: with this name, or where it means more than one, with all. */
  pauseFor(failure: IssueFailure, id: string): void {
    const { directory, retryAfter } = failure;
    const now = this.#options.clock.now();
    if (retryAfter <= now) return;
    const until = Math.min(retryAfter, now + longestPauseMs);
    if (isForAll(failure)) this.#paused.set(directory, { until, failure });
    else this.#jobs.get(id)?.rests.set(directory, until);
  }

  #restUntil(directory: string, id: string): number {
    const now = this.#options.clock.now();
    const all = within(this.#paused.get(directory)?.until ?? 0, now, longestPauseMs);
    return Math.max(all, within(this.#jobs.get(id)?.rests.get(directory) ?? 0, now, longestPauseMs));
  }

  /** Why no attempt for this one is made now, though none of its own has failed: the first CA wants to be left alone by all. */
  pauseOf(wanted: Wanted): IssueFailure | undefined {
    const [first] = this.issuersFor(wanted, Number.POSITIVE_INFINITY);
    const pause = first === undefined ? undefined : this.#paused.get(first.directory);
    return pause !== undefined && pause.until > this.#options.clock.now() ? pause.failure : undefined;
  }

  /** The job of a name that has or is to have a certificate of its own, or that of its wildcard. */
  jobFor(name: string): Job | undefined {
    return this.#jobs.get(name) ?? this.#jobs.get(`${name}+rsa`) ?? this.#jobs.get(wildcardOf(name));
  }

  /** When the next attempt is due, epoch ms; Infinity: never, since there is nobody to ask. */
  dueAt({ wanted, busyUntil, onDemand, waiters }: Job): number {
    const { shelf, states, clock, random } = this.#options;
    const now = clock.now();
    const state = states.get(wanted.id);
    const busy = within(busyUntil, now, longestBusyMs);
    const pauses = this.issuersFor(wanted, Number.POSITIVE_INFINITY).map(({ directory }) =>
      this.#restUntil(directory, wanted.id),
    );
    if (pauses.length === 0) return Number.POSITIVE_INFINITY;
    const forcedAt = state?.forcedAt ?? 0;
    // A person's wish goes past all that was planned.
    if (forcedAt > 0) return Math.max(busy, Math.min(forcedAt, now));
    const wait = this.#isOfOtherCa(wanted, state?.lastFailure?.directory ?? '') ? 0 : (state?.notBefore ?? 0);
    const earliest = Math.max(busy, within(wait, now, longestWaitMs), Math.min(...pauses));
    const certificate = shelf.get(wanted.id);
    // The next visitor has it had anew.
    if (onDemand && waiters.size === 0 && certificate !== undefined && certificate.notAfter <= now)
      return Number.POSITIVE_INFINITY;
    if (certificate === undefined || !this.#fits(certificate, wanted)) return earliest;
    return Math.max(earliest, states.renewalOf(certificate, random));
  }

  /** Whether a failure was at a CA that is not set any more: its wish to be left alone, of a week perhaps, is no other's. */
  #isOfOtherCa(wanted: Wanted, directory: string): boolean {
    if (directory === '') return false;
    return this.issuersFor(wanted, Number.POSITIVE_INFINITY).every((issuer) => issuer.directory !== directory);
  }

  /** Whether a certificate is what is wanted, but for its age. */
  #fits(certificate: Certificate, wanted: Wanted): boolean {
    const { names, keyType, source, directory, updatedAt } = certificate;
    if (source !== wanted.by || keyType !== wanted.keyType) return false;
    if (!wanted.names.every((name) => names.includes(name))) return false;
    // From another CA than is set now (staging, say): it is replaced; but not for ever in turn with a server that is set otherwise.
    const isKnown = source !== 'acme' || this.#options.issuers.some((issuer) => issuer.directory === directory);
    return isKnown || updatedAt >= this.#startedAt;
  }
}

function isSame(a: Wanted, b: Wanted): boolean {
  return a.keyType === b.keyType && a.by === b.by && a.names.join() === b.names.join();
}

/** What to order for a certificate that is there. */
export function wantedAgain({ id, names, keyType, source }: Certificate): Wanted {
  return { id, names, keyType, by: source === 'local' ? 'local' : 'acme', routes: [] };
}
