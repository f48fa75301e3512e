import { randomUUID } from 'node:crypto';
import type { Route } from '../core/types.ts';
import { isForAll, nextAttempt } from './backoff.ts';
import { systemClock } from './clock.ts';
import { duration, failureLine, failureOf, when } from './failure-text.ts';
import { type FlightOptions, fly, type Outcome } from './flight.ts';
import { Challenges } from './manager-challenges.ts';
import { Shelf } from './manager-shelf.ts';
import type {
  CertificateManager,
  CertificateStatus,
  Clock,
  ManagerOptions,
  Progress,
  RenewOutcome,
  RenewStart,
  Unmet,
} from './manager-types.ts';
import { OnDemand } from './on-demand.ts';
import { lifetimeOf, longestWait, nextWindowQuestion } from './renewal.ts';
import { States } from './states.ts';
import { TicketKeys } from './ticket-keys.ts';
import type { Certificate, IssueFailure, Issuer, IssueStep, KeyType } from './types.ts';
import {
  certificateIdOf,
  isLocalName,
  standsIn,
  type Wanted,
  type WantedCertificates,
  wantedCertificates,
} from './wanted.ts';

const minute = 60_000;
const day = 1440 * minute;
/** How soon an id is looked at again that another server works on, ms. */
const busyMs = 1_000;
/** How often what could not be stored or published is tried again, ms. */
const repairMs = 2_000;
/** Renewal windows that are asked for at one time. */
const windowsAtOnce = 4;
const stopMs = 5_000;
const attemptTimeoutMs = 10 * minute;

/** A certificate that is to be there, and what is being done for it. */
interface Job {
  wanted: Wanted;
  readonly onDemand: boolean;
  running: { readonly abort: AbortController; progress: Progress } | undefined;
  /** Not before then: another server is at it. */
  busyUntil: number;
  askingWindow: boolean;
  readonly listeners: Set<(progress: Progress) => void>;
  readonly waiters: Set<(outcome: RenewOutcome) => void>;
}

/** @see CertificateManager */
export function createCertificateManager(options: ManagerOptions): CertificateManager {
  return new Manager(options);
}

class Manager implements CertificateManager {
  readonly #options: ManagerOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #shelf: Shelf;
  readonly #states: States;
  readonly #challenges: Challenges;
  readonly #ticketKeys: TicketKeys;
  readonly #onDemand: OnDemand | undefined;
  readonly #flights: FlightOptions;
  readonly #keyType: KeyType;
  readonly #shared: boolean;
  readonly #parallel: number;

  readonly #jobs = new Map<string, Job>();
  #routes: readonly Route[] = [];
  #plan: WantedCertificates = { wanted: new Map(), unmet: [], mayOnDemand: () => false };
  /** When a person's certificate stops to stand in for automatic ones. */
  #planEndsAt = Number.POSITIVE_INFINITY;
  /** CAs that want to be left alone, by directory. */
  readonly #paused = new Map<string, number>();
  readonly #work = new Set<Promise<unknown>>();
  #flying = 0;
  #askingWindows = 0;
  #startedAt = 0;
  #started = false;
  #stopped = false;
  #wakeQueued = false;
  #cancelTimer = () => {};
  #explained = '';

  constructor(options: ManagerOptions) {
    const { store, publisher, log, settings = {} } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#keyType = settings.keyType ?? 'ecdsa';
    this.#shared = settings.shared ?? false;
    this.#parallel = settings.parallel ?? 10;
    const clock = this.#clock;
    const shared = this.#shared;
    const onEvent = options.onEvent ?? (() => {});
    this.#shelf = new Shelf({ store, publisher, clock, log, onEvent });
    this.#states = new States(store, log);
    this.#challenges = new Challenges({ store, publisher, clock, shared });
    const onKeys = options.onTicketKeys ?? (() => {});
    this.#ticketKeys = new TicketKeys({ store, clock, random: this.#random, shared, log, onKeys });
    this.#flights = {
      store,
      clock,
      shared,
      log,
      holder: settings.holder ?? randomUUID(),
      attemptTimeoutMs: settings.attemptTimeoutMs ?? attemptTimeoutMs,
      issuersFor: (wanted, at) => this.#issuersFor(wanted, at),
      present: this.#challenges.present,
      cleanup: this.#challenges.cleanup,
    };
    const { onDemand } = settings;
    if (onDemand)
      this.#onDemand = new OnDemand({
        clock,
        log,
        ask: onDemand.ask,
        count: () => store.countOnDemand(clock.now(), onDemand.perHour),
        mayHave: (name) => this.#mayOrder(name),
        find: (name) => this.#findNow(name),
        order: (name) => this.#orderNow(name),
      });
  }

  async start(routes: Iterable<Route>): Promise<void> {
    this.#startedAt = this.#clock.now();
    await Promise.all([this.#shelf.load(), this.#states.load()]);
    await Promise.all([this.#shelf.publish(), this.#ticketKeys.tick()]);
    this.#started = true;
    this.routesChanged(routes);
  }

  routesChanged(routes: Iterable<Route>): void {
    this.#routes = [...routes];
    this.#replan();
  }

  async poll(): Promise<void> {
    if (this.#stopped || !(await this.#shelf.poll())) return;
    await this.#shelf.publish();
    this.#replan();
  }

  async save(certificate: Certificate): Promise<void> {
    await this.#shelf.save(certificate);
    this.#replan();
  }

  async remove(id: string): Promise<boolean> {
    const job = this.#jobs.get(id);
    job?.running?.abort.abort();
    const removed = await this.#shelf.remove(id);
    this.#states.forget(id);
    this.#track(this.#states.save());
    this.#replan();
    return removed;
  }

  async renew(id: string, onStep: (progress: Progress) => void = () => {}): Promise<RenewStart> {
    const certificate = this.#shelf.get(id);
    let job = this.#jobs.get(id);
    if (job === undefined) {
      if (certificate === undefined) return { kind: 'unknown' };
      if (certificate.source === 'saved') return { kind: 'own' };
      // Nobody asks for it any more, but a person does: once.
      job = this.#openJob(wantedAgain(certificate), false);
    }
    if (this.#issuersFor(job.wanted, Number.POSITIVE_INFINITY).length === 0) {
      this.#closeUnasked(job);
      return { kind: 'off' };
    }
    const { waiters, listeners } = job;
    const done = new Promise<RenewOutcome>((resolve) => waiters.add(resolve));
    listeners.add(onStep);
    if (job.running !== undefined) onStep(job.running.progress);
    else this.#states.change(id, { forcedAt: this.#clock.now() });
    job.busyUntil = 0;
    this.#wake();
    return { kind: 'begun', done };
  }

  status(id: string): CertificateStatus | undefined {
    if (this.#shelf.get(id) !== undefined || this.#jobs.has(id)) return this.#statusOf(id);
    const covering = this.#shelf.covering(id)?.id;
    if (covering !== undefined) return this.#statusOf(covering);
    for (const { wanted } of this.#jobs.values()) if (wanted.names.includes(id)) return this.#statusOf(wanted.id);
    return undefined;
  }

  list(): CertificateStatus[] {
    const ids = new Set(this.#jobs.keys());
    for (const { id } of this.#shelf.all()) ids.add(id);
    return [...ids].map((id) => this.#statusOf(id));
  }

  unmet(): readonly Unmet[] {
    return this.#plan.unmet;
  }

  askOnDemand(name: string): Promise<boolean> {
    if (this.#onDemand === undefined || !this.#started || this.#stopped) return Promise.resolve(false);
    return this.#track(this.#onDemand.has(name));
  }

  askChallenge(key: string): Promise<boolean> {
    return this.#stopped ? Promise.resolve(false) : this.#track(this.#challenges.ask(key));
  }

  async settled(): Promise<void> {
    do {
      await Promise.allSettled([...this.#work]);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#work.size > 0 || this.#wakeQueued);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    for (const job of this.#jobs.values()) {
      job.running?.abort.abort();
      if (job.waiters.size > 0) this.#answer(job, { failure: stopping(this.#clock.now()), nextTryAt: 0 });
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, stopMs);
    });
    await Promise.race([Promise.allSettled([...this.#work]).then(() => this.#states.save()), late]);
    clearTimeout(timer);
  }

  // ---- what is wanted

  /** Brings the jobs in line with the routes and with what is there. */
  #replan(): void {
    if (!this.#started || this.#stopped) return;
    const { issuers, local, settings = {} } = this.#options;
    const now = this.#clock.now();
    const own = [...this.#shelf.all()].filter(({ source }) => source === 'saved');
    this.#plan = wantedCertificates(
      this.#routes,
      own,
      {
        keyType: this.#keyType,
        acme: issuers.length > 0,
        local: local !== undefined,
        wildcards: settings.wildcards ?? false,
        onDemand: this.#onDemand !== undefined,
      },
      now,
    );
    this.#planEndsAt = Math.min(
      ...own
        .filter((certificate) => standsIn(certificate, now))
        .map(({ notAfter, notBefore }) => {
          const margin = Math.min(day, (notAfter - notBefore) / 10);
          return notAfter - margin;
        }),
    );
    const { wanted } = this.#plan;
    const keep = new Set(wanted.keys());
    for (const one of wanted.values()) this.#openJob(one, false);
    // Those that were had on demand are kept as long as a route would let them be had so.
    for (const certificate of this.#shelf.all()) {
      if (wanted.has(certificate.id) || certificate.source === 'saved' || !this.#isOnDemand(certificate)) continue;
      keep.add(certificate.id);
      this.#openJob(wantedAgain(certificate), true);
    }
    for (const job of [...this.#jobs.values()]) {
      if (keep.has(job.wanted.id) || job.waiters.size > 0 || (job.onDemand && job.running !== undefined)) continue;
      job.running?.abort.abort();
      this.#jobs.delete(job.wanted.id);
    }
    this.#explain();
    this.#wake();
  }

  #explain(): void {
    const told = this.#plan.unmet.map(
      ({ name, reason, hint }) => `certificate ${name}: none is ordered: ${reason}. ${hint}`,
    );
    const text = told.join('\n');
    if (text !== this.#explained) for (const line of told) if (!this.#explained.includes(line)) this.#options.log(line);
    this.#explained = text;
  }

  #isOnDemand({ id, names }: Certificate): boolean {
    const [name, ...more] = names;
    return more.length === 0 && (id === name || id === `${name}+rsa`) && this.#mayOrder(name);
  }

  /** Whether only a wildcard or `*` route serves this name, and nothing else covers it or will. */
  #mayOrder(name: string): boolean {
    if (this.#onDemand === undefined || !this.#plan.mayOnDemand(name)) return false;
    return !this.#plan.wanted.has(`*${name.slice(name.indexOf('.'))}`) && this.#issuersOf(isLocalName(name)).length > 0;
  }

  #openJob(wanted: Wanted, onDemand: boolean): Job {
    const known = this.#jobs.get(wanted.id);
    if (known !== undefined && known.onDemand === onDemand) {
      const same = known.wanted.names.join() === wanted.names.join() && known.wanted.keyType === wanted.keyType;
      if (!same) known.running?.abort.abort();
      known.wanted = wanted;
      return known;
    }
    known?.running?.abort.abort();
    const job: Job = {
      wanted,
      onDemand,
      running: undefined,
      busyUntil: 0,
      askingWindow: false,
      listeners: known?.listeners ?? new Set(),
      waiters: known?.waiters ?? new Set(),
    };
    this.#jobs.set(wanted.id, job);
    return job;
  }

  /** Takes out a job that only a person's wish has opened. */
  #closeUnasked({ wanted, waiters, onDemand }: Job): void {
    if (!this.#plan.wanted.has(wanted.id) && waiters.size === 0 && !onDemand) this.#jobs.delete(wanted.id);
  }

  // ---- when what is due

  #issuersOf(isLocal: boolean): readonly Issuer[] {
    const { issuers, local } = this.#options;
    return isLocal ? (local === undefined ? [] : [local]) : issuers;
  }

  #issuersFor({ by }: Wanted, at: number): readonly Issuer[] {
    return this.#issuersOf(by === 'local').filter(({ directory }) => (this.#paused.get(directory) ?? 0) <= at);
  }

  /** When the next attempt is due. */
  #dueAt({ wanted, busyUntil }: Job): number {
    const certificate = this.#shelf.get(wanted.id);
    const state = this.#states.get(wanted.id);
    const forcedAt = state?.forcedAt ?? 0;
    if (forcedAt > 0) return Math.max(busyUntil, forcedAt);
    const pauses = this.#issuersOf(wanted.by === 'local').map(({ directory }) => this.#paused.get(directory) ?? 0);
    const earliest = Math.max(busyUntil, state?.notBefore ?? 0, pauses.length === 0 ? 0 : Math.min(...pauses));
    if (pauses.length === 0) return Number.POSITIVE_INFINITY;
    if (certificate === undefined || !this.#fits(certificate, wanted)) return earliest;
    return Math.max(earliest, this.#states.renewalOf(certificate, this.#random));
  }

  /** Whether a certificate is what is wanted, but for its age. */
  #fits(certificate: Certificate, wanted: Wanted): boolean {
    const { names, keyType, source, directory, updatedAt } = certificate;
    if (source !== wanted.by || keyType !== wanted.keyType) return false;
    if (!wanted.names.every((name) => names.includes(name))) return false;
    // From another CA than is set now (staging, say): it is replaced; but not for ever in turn with a server that is set otherwise.
    const known = source !== 'acme' || this.#options.issuers.some((issuer) => issuer.directory === directory);
    return known || updatedAt >= this.#startedAt;
  }

  #wake(): void {
    if (this.#wakeQueued || this.#stopped || !this.#started) return;
    this.#wakeQueued = true;
    queueMicrotask(() => {
      this.#wakeQueued = false;
      this.#tick();
    });
  }

  /** Looks at everything, begins what is due, and sets the timer for the next look. */
  #tick(): void {
    if (this.#stopped) return;
    this.#cancelTimer();
    const now = this.#clock.now();
    if (now >= this.#planEndsAt) return this.#replan();
    this.#repair();
    let next = Math.min(this.#planEndsAt, now + (this.#shelf.isBehind || this.#states.isBehind ? repairMs : day));
    let shortest = Number.POSITIVE_INFINITY;
    const due: [job: Job, urgency: number][] = [];
    for (const job of this.#jobs.values()) {
      const certificate = this.#shelf.get(job.wanted.id);
      if (certificate !== undefined) shortest = Math.min(shortest, lifetimeOf(certificate));
      if (job.running !== undefined) continue;
      const at = this.#dueAt(job);
      if (at <= now) due.push([job, job.waiters.size > 0 ? -1 : (certificate?.notAfter ?? 0)]);
      else next = Math.min(next, at);
      next = Math.min(next, this.#askWindow(job, certificate, now));
    }
    // A person's wish first, then what is missing, then what expires first.
    due.sort(([, a], [, b]) => a - b);
    for (const [job] of due.slice(0, Math.max(0, this.#parallel - this.#flying))) this.#begin(job);
    const wait = Math.min(longestWait(shortest), next - now);
    this.#cancelTimer = this.#clock.after(Math.max(50, wait), () => this.#tick());
  }

  /** What is done at every look besides certificates. */
  #repair(): void {
    this.#track(this.#shelf.storeUnsaved());
    this.#track(this.#shelf.publish());
    this.#track(this.#ticketKeys.tick());
    this.#track(this.#challenges.sweep());
    this.#track(this.#states.save());
  }

  // ---- renewal windows

  /** Asks for the CA's window if it is time. @returns when to look again */
  #askWindow(job: Job, certificate: Certificate | undefined, now: number): number {
    if (certificate?.source !== 'acme' || job.wanted.by !== 'acme') return Number.POSITIVE_INFINITY;
    const issuer = this.#options.issuers.find(({ directory }) => directory === certificate.directory);
    if (issuer?.renewalWindow === undefined) return Number.POSITIVE_INFINITY;
    const state = this.#states.get(certificate.id);
    const at = state?.renewSerial === certificate.serial ? state.askWindowAt : now;
    if (at > now) return at;
    if (job.askingWindow || this.#askingWindows >= windowsAtOnce) return Number.POSITIVE_INFINITY;
    job.askingWindow = true;
    this.#askingWindows += 1;
    const ask = async () => {
      this.#states.renewalOf(certificate, this.#random);
      try {
        const window = await issuer.renewalWindow?.(certificate, now);
        if (this.#shelf.get(certificate.id) !== certificate) return;
        const askAt = nextWindowQuestion(certificate, window?.askAgainAt ?? now + day, this.#clock.now());
        if (window === undefined) this.#states.change(certificate.id, { askWindowAt: askAt });
        else this.#states.setWindow(certificate, window, askAt, this.#random);
      } catch (error) {
        const failure = failureOf(error, 'directory', issuer.directory, this.#clock.now());
        this.#options.log(`certificate ${certificate.id}: the CA's renewal window is not known: ${failure.message}`);
        const wish = Math.max(now + 6 * 60 * minute, failure.retryAfter);
        this.#states.change(certificate.id, { askWindowAt: nextWindowQuestion(certificate, wish, this.#clock.now()) });
      } finally {
        job.askingWindow = false;
        this.#askingWindows -= 1;
        this.#wake();
      }
    };
    this.#track(ask());
    return Number.POSITIVE_INFINITY;
  }

  // ---- attempts

  #begin(job: Job): Promise<void> {
    const abort = new AbortController();
    const at = this.#clock.now();
    job.running = { abort, progress: { at, step: 'lease', detail: '' } };
    this.#flying += 1;
    const run = this.#attempt(job, abort).finally(() => {
      this.#flying -= 1;
      if (job.running?.abort === abort) job.running = undefined;
      this.#wake();
    });
    return this.#track(run);
  }

  async #attempt(job: Job, abort: AbortController): Promise<void> {
    const { wanted } = job;
    const { id } = wanted;
    const startedAt = this.#clock.now();
    const forced = (this.#states.get(id)?.forcedAt ?? 0) > 0;
    const onStep = (step: IssueStep, detail: string) => {
      const progress = { at: this.#clock.now(), step, detail };
      if (job.running?.abort === abort) job.running.progress = progress;
      for (const listener of job.listeners) listener(progress);
    };
    if (job.onDemand && !forced && this.#shelf.get(id) !== undefined && !(await this.#mayStay(wanted))) return;
    const before = this.#shelf.get(id);
    const outcome = await fly(
      // A person's wish goes past a CA's pause: who asks has seen what it said.
      forced
        ? { ...this.#flights, issuersFor: (one) => this.#issuersFor(one, Number.POSITIVE_INFINITY) }
        : this.#flights,
      {
        wanted,
        current: () => this.#shelf.get(id),
        mayReplace: this.#states.get(id)?.lastFailure?.problem !== 'alreadyReplaced',
        lookAgain: () => this.#lookAgain(job),
        onStep,
        onFailure: (failure) => this.#pauseFor(failure),
        signal: abort.signal,
      },
      (certificate) => this.#keep(certificate, before),
    );
    this.#land(job, outcome, startedAt);
    await this.#states.save();
  }

  /** Whether the ask URL still says yes to a certificate that was had on demand. */
  async #mayStay({ id, names }: Wanted): Promise<boolean> {
    if (await this.#onDemand?.mayHave(names[0])) return true;
    this.#states.change(id, { notBefore: this.#clock.now() + day / 4 });
    return false;
  }

  /** With the lease in hand: what have others done meanwhile? */
  async #lookAgain(job: Job): Promise<boolean> {
    const { id } = job.wanted;
    if (this.#shared) {
      if (await this.#shelf.poll()) await this.#shelf.publish();
      const forcedAt = this.#states.get(id)?.forcedAt ?? 0;
      await this.#states.refresh(id);
      const certificate = this.#shelf.get(id);
      // What a person has asked for here may have been done there.
      if (forcedAt > 0) this.#states.change(id, { forcedAt: (certificate?.updatedAt ?? 0) >= forcedAt ? 0 : forcedAt });
    }
    return this.#dueAt(job) <= this.#clock.now();
  }

  async #keep(certificate: Certificate, before: Certificate | undefined): Promise<void> {
    const { id } = certificate;
    const now = this.#clock.now();
    // Whatever is wrong with what has come (a clock that goes ahead, a CA that gives other than was asked for): no running in circles.
    const left = certificate.notAfter - now;
    const notBefore = now + Math.min(minute, left / 20);
    this.#states.change(id, { failures: 0, lastFailure: null, notBefore, forcedAt: 0, renewAt: 0 });
    const renewAt = Math.max(this.#states.renewalOf(certificate, this.#random), Math.ceil(now + left / 3));
    this.#states.change(id, { renewAt });
    await this.#shelf.keep(certificate);
    const did = before === undefined ? 'issued' : 'renewed';
    const until = `valid for ${duration(certificate.notAfter - now)}`;
    this.#options.log(`certificate ${id}: ${did} by ${certificate.issuer}, ${until}; renewal ${when(renewAt, now)}`);
  }

  /** What follows from an attempt's end. */
  #land(job: Job, outcome: Outcome, startedAt: number): void {
    const { id } = job.wanted;
    const now = this.#clock.now();
    if (outcome.kind === 'dropped') return;
    if (outcome.kind === 'busy') {
      const life = this.#shelf.get(id);
      job.busyUntil =
        now + Math.min(busyMs, life === undefined ? busyMs : lifetimeOf(life) / 20) * (1 + this.#random());
      return;
    }
    if (outcome.kind === 'failed') return this.#failed(job, outcome.failure, now);
    job.busyUntil = 0;
    const certificate = this.#shelf.get(id);
    const state = this.#states.get(id);
    if (state !== undefined && state.forcedAt > 0 && state.forcedAt <= startedAt)
      this.#states.change(id, { forcedAt: 0 });
    if (certificate !== undefined) this.#answer(job, { certificate });
    else if (state?.lastFailure) this.#answer(job, { failure: state.lastFailure, nextTryAt: this.#dueAt(job) });
  }

  #failed(job: Job, failure: IssueFailure, now: number): void {
    const { id } = job.wanted;
    const failures = (this.#states.get(id)?.failures ?? 0) + 1;
    const notBefore = nextAttempt(failures, failure, this.#shelf.get(id), now, this.#random());
    this.#states.change(id, { failures, lastFailure: failure, notBefore, forcedAt: 0 });
    const nextTryAt = this.#dueAt(job);
    this.#options.log(failureLine(id, failure, nextTryAt, now));
    this.#options.onEvent?.({ type: 'failed', id, failure, nextTryAt });
    this.#answer(job, { failure, nextTryAt });
    // On demand, the next visitor asks again; a list of whatever strangers have asked for serves nobody.
    if (job.onDemand && this.#shelf.get(id) === undefined) this.#jobs.delete(id);
  }

  #pauseFor(failure: IssueFailure): void {
    if (failure.retryAfter <= this.#clock.now() || !isForAll(failure)) return;
    this.#paused.set(failure.directory, Math.min(failure.retryAfter, this.#clock.now() + 7 * day));
  }

  #answer(job: Job, outcome: RenewOutcome): void {
    for (const waiter of job.waiters) waiter(outcome);
    job.waiters.clear();
    job.listeners.clear();
    this.#closeUnasked(job);
  }

  // ---- on demand

  async #findNow(name: string): Promise<boolean> {
    if (this.#shared && (await this.#shelf.poll().catch(() => false))) await this.#shelf.publish();
    return this.#shelf.covering(name) !== undefined;
  }

  async #orderNow(name: string): Promise<boolean> {
    const id = certificateIdOf(name, this.#keyType);
    if (this.#stopped || (this.#states.get(id)?.notBefore ?? 0) > this.#clock.now()) return false;
    const by = isLocalName(name) ? 'local' : 'acme';
    const job = this.#openJob({ id, names: [name], keyType: this.#keyType, by, routes: [] }, true);
    const done = new Promise<RenewOutcome>((resolve) => job.waiters.add(resolve));
    this.#wake();
    return 'certificate' in (await done);
  }

  // ---- the rest

  #statusOf(id: string): CertificateStatus {
    const certificate = this.#shelf.get(id);
    const state = this.#states.get(id);
    const job = this.#jobs.get(id);
    const nextTryAt = job === undefined ? 0 : this.#dueAt(job);
    const renewAt =
      certificate === undefined || job === undefined ? 0 : this.#states.renewalOf(certificate, this.#random);
    const hasWindow = state !== undefined && state.windowEnd > 0 && state.renewSerial === certificate?.serial;
    return {
      id,
      names: certificate?.names ?? job?.wanted.names ?? [],
      keyType: certificate?.keyType ?? job?.wanted.keyType ?? this.#keyType,
      source: certificate?.source ?? job?.wanted.by ?? 'acme',
      certificate,
      stored: certificate !== undefined && this.#shelf.isStored(id),
      routes: job?.wanted.routes ?? [],
      wanted: job !== undefined,
      failures: state?.failures ?? 0,
      lastFailure: state?.lastFailure ?? null,
      nextTryAt: Number.isFinite(nextTryAt) ? nextTryAt : 0,
      renewAt,
      window: hasWindow ? { start: state.windowStart, end: state.windowEnd, explanationUrl: state.windowUrl } : null,
      running: job?.running?.progress ?? null,
    };
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work);
    const gone = () => {
      this.#work.delete(work);
    };
    work.then(gone, gone);
    return work;
  }
}

function stopping(at: number): IssueFailure {
  const hint = 'What is missing is ordered at the next start.';
  return { at, step: 'lease', directory: '', message: 'this server stops', hint, problem: '', retryAfter: 0 };
}

/** What to order for a certificate that is there. */
function wantedAgain({ id, names, keyType, source }: Certificate): Wanted {
  return { id, names, keyType, by: source === 'local' ? 'local' : 'acme', routes: [] };
}
