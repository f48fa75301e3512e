import { randomUUID } from 'node:crypto';
import type { Route } from '../core/types.ts';
import { Attempts } from './attempts.ts';
import { systemClock } from './clock.ts';
import { type Job, Jobs, wantedAgain } from './jobs.ts';
import { Challenges } from './manager-challenges.ts';
import { Shelf } from './manager-shelf.ts';
import { statusOf } from './manager-status.ts';
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
import { lifetimeOf, longestWait } from './renewal.ts';
import { States } from './states.ts';
import { TicketKeys } from './ticket-keys.ts';
import type { Certificate, IssueFailure, KeyType } from './types.ts';
import { certificateIdOf, isLocalName } from './wanted.ts';
import { Windows } from './windows.ts';

const minute = 60_000;
/** How often what could not be stored or published is tried again, ms. */
const repairMs = 2_000;
const shortestWaitMs = 50;
const longestWaitMs = 5 * minute;
/** With very many routes, bringing the jobs in line takes this part of the time at most. */
const replanShare = 1 / 20;
/** The longest that `stop` waits for what is under way, ms. */
const stopMs = 5_000;
const defaults = { parallel: 10, attemptTimeoutMs: 10 * minute } as const;

/** @see CertificateManager */
export function createCertificateManager(options: ManagerOptions): CertificateManager {
  return new Manager(options);
}

class Manager implements CertificateManager {
  readonly #options: ManagerOptions;
  readonly #clock: Clock;
  readonly #keyType: KeyType;
  readonly #random: () => number;
  readonly #shared: boolean;
  readonly #shelf: Shelf;
  readonly #states: States;
  readonly #jobs: Jobs;
  readonly #attempts: Attempts;
  readonly #windows: Windows;
  readonly #challenges: Challenges;
  readonly #ticketKeys: TicketKeys;
  readonly #onDemand: OnDemand | undefined;

  #routes: readonly Route[] = [];
  /** Set while the jobs don't follow the routes yet. */
  #isStale = false;
  #replannedAt = 0;
  #replanCostMs = 0;
  /** What was due at the last look and has not begun, the most urgent last. */
  #due: Job[] = [];
  #windowsDue: Job[] = [];
  #lookAt = 0;
  /** What is under way. */
  readonly #work = new Set<Promise<unknown>>();
  #phase: 'new' | 'running' | 'stopped' = 'new';
  #wakeQueued = false;
  #cancelTimer = () => {};

  constructor(options: ManagerOptions) {
    const { store, publisher, log, issuers, local, settings = {} } = options;
    const { clock = systemClock, random = Math.random, onEvent = () => {}, onTicketKeys = () => {} } = options;
    const { shared = false, keyType = 'ecdsa', wildcards = false, onDemand = null } = settings;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#keyType = keyType;
    this.#shared = shared;
    const shelf = new Shelf({ store, publisher, clock, log, onEvent });
    const states = new States(store, log);
    const challenges = new Challenges({ store, publisher, clock, shared });
    const wanted = {
      keyType,
      wildcards,
      acme: issuers.length > 0,
      local: local !== undefined,
      onDemand: onDemand !== null,
    };
    const jobs = new Jobs({ shelf, states, issuers, local, settings: wanted, clock, random, log });
    this.#shelf = shelf;
    this.#states = states;
    this.#challenges = challenges;
    this.#jobs = jobs;
    this.#windows = new Windows({ shelf, states, issuers, clock, random, log });
    this.#ticketKeys = new TicketKeys({ store, clock, random, shared, log, onKeys: onTicketKeys });
    this.#attempts = new Attempts({
      ...{ jobs, shelf, states, clock, random, shared, log, onEvent },
      isGranted: (name) => this.#onDemand?.isGranted(name) ?? Promise.resolve(true),
      flight: {
        ...{ store, clock, shared, log },
        holder: settings.holder ?? randomUUID(),
        attemptTimeoutMs: settings.attemptTimeoutMs ?? defaults.attemptTimeoutMs,
        present: challenges.present,
        cleanup: challenges.cleanup,
      },
    });
    this.#onDemand =
      onDemand === null
        ? undefined
        : new OnDemand({
            clock,
            log,
            ask: onDemand.ask,
            count: () => store.countOnDemand(clock.now(), onDemand.perHour),
            mayHave: (name) => jobs.mayOrder(name),
            find: (name) => this.#findNow(name),
            order: (name) => this.#orderNow(name),
          });
  }

  async start(routes: Iterable<Route>): Promise<void> {
    await Promise.all([this.#shelf.load(), this.#states.load()]);
    await Promise.all([this.#shelf.publish(), this.#ticketKeys.tick()]);
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.routesChanged(routes);
  }

  routesChanged(routes: Iterable<Route>): void {
    this.#routes = [...routes];
    this.#replan();
  }

  async poll(): Promise<void> {
    if (this.#phase !== 'running' || !(await this.#shelf.poll())) return;
    await this.#shelf.publish();
    this.#replan();
  }

  async save(certificate: Certificate): Promise<void> {
    await this.#shelf.save(certificate);
    this.#replan();
  }

  async remove(id: string): Promise<boolean> {
    this.#jobs.get(id)?.running?.abort.abort();
    const removed = await this.#shelf.remove(id);
    this.#states.forget(id);
    this.#track(this.#states.save());
    this.#replan();
    return removed;
  }

  async renew(id: string, onStep: (progress: Progress) => void = () => {}): Promise<RenewStart> {
    const certificate = this.#shelf.get(id);
    const known = this.#jobs.get(id);
    if (known === undefined && certificate === undefined) return { kind: 'unknown' };
    if (known === undefined && certificate?.source === 'saved') return { kind: 'own' };
    // Nobody may ask for it any more but a person, once.
    const job = known ?? this.#jobs.open(wantedAgain(certificate!), false);
    if (this.#jobs.issuersFor(job.wanted, Number.POSITIVE_INFINITY).length === 0) {
      this.#jobs.closeIfUnasked(job);
      return { kind: 'off' };
    }
    const done = new Promise<RenewOutcome>((resolve) => job.waiters.add(resolve));
    job.listeners.add(onStep);
    if (job.running !== undefined) onStep(job.running.progress);
    else this.#states.change(id, { forcedAt: this.#clock.now() });
    job.busyUntil = 0;
    this.#wake();
    return { kind: 'begun', done };
  }

  status(id: string): CertificateStatus | undefined {
    if (this.#shelf.get(id) !== undefined || this.#jobs.get(id) !== undefined) return this.#statusOf(id);
    const covering = this.#shelf.covering(id);
    if (covering !== undefined) return this.#statusOf(covering.id);
    for (const { wanted } of this.#jobs.values()) if (wanted.names.includes(id)) return this.#statusOf(wanted.id);
    return undefined;
  }

  list(): CertificateStatus[] {
    const ids = new Set<string>();
    for (const { wanted } of this.#jobs.values()) ids.add(wanted.id);
    for (const { id } of this.#shelf.all()) ids.add(id);
    return [...ids].map((id) => this.#statusOf(id));
  }

  unmet(): readonly Unmet[] {
    return this.#jobs.unmet;
  }

  askOnDemand(name: string): Promise<boolean> {
    if (this.#onDemand === undefined || this.#phase !== 'running') return Promise.resolve(false);
    return this.#track(this.#onDemand.has(name));
  }

  askChallenge(key: string): Promise<boolean> {
    return this.#phase === 'stopped' ? Promise.resolve(false) : this.#track(this.#challenges.ask(key));
  }

  async settled(): Promise<void> {
    do {
      await Promise.allSettled([...this.#work]);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#work.size > 0 || this.#wakeQueued);
  }

  async stop(): Promise<void> {
    this.#phase = 'stopped';
    this.#cancelTimer();
    this.#onDemand?.stop();
    for (const job of this.#jobs.values()) {
      job.running?.abort.abort();
      this.#attempts.answer(job, { failure: stopping(this.#clock.now()), nextTryAt: 0 });
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, stopMs);
    });
    await Promise.race([Promise.allSettled([...this.#work]).then(() => this.#states.save()), late]);
    clearTimeout(timer);
  }

  /** Brings the jobs in line with the routes and with what is there: at once, unless that has just been done at great cost. */
  #replan(): void {
    if (this.#phase !== 'running') return;
    const now = this.#clock.now();
    this.#isStale = now < this.#replannedAt + this.#replanCostMs / replanShare;
    if (!this.#isStale) {
      this.#jobs.replan(this.#routes);
      this.#replannedAt = this.#clock.now();
      this.#replanCostMs = this.#replannedAt - now;
    }
    this.#wake();
  }

  /** Has everything looked at in this turn, once, whatever calls for it. */
  #wake(): void {
    if (this.#wakeQueued || this.#phase !== 'running') return;
    this.#wakeQueued = true;
    queueMicrotask(() => {
      this.#wakeQueued = false;
      this.#tick();
    });
  }

  /** Looks at everything, begins what is due, and sets the timer for the next look. */
  #tick(): void {
    if (this.#phase !== 'running') return;
    const now = this.#clock.now();
    if (this.#isStale || now >= this.#jobs.planEndsAt) {
      this.#replan();
      if (!this.#isStale) return;
    }
    this.#repair();
    const { next, shortest } = this.#look(now);
    this.#fill();
    const isBehind = this.#shelf.isBehind || this.#states.isBehind;
    const replanAt = this.#isStale ? this.#replannedAt + this.#replanCostMs / replanShare : Number.POSITIVE_INFINITY;
    const wait = Math.min(longestWait(shortest), Math.min(next, replanAt) - now, isBehind ? repairMs : longestWaitMs);
    this.#lookAgainAt(now + Math.max(shortestWaitMs, wait));
  }

  #lookAgainAt(at: number): void {
    this.#cancelTimer();
    this.#lookAt = at;
    this.#cancelTimer = this.#clock.after(at - this.#clock.now(), () => this.#tick());
  }

  /** Begins as much of what is due as there may be at one time. */
  #fill(): void {
    const { parallel = defaults.parallel } = this.#options.settings ?? {};
    const now = this.#clock.now();
    while (this.#phase === 'running' && this.#attempts.running < parallel) {
      const job = this.#due.pop();
      if (job === undefined) break;
      if (this.#jobs.get(job.wanted.id) !== job || job.running !== undefined || this.#jobs.dueAt(job) > now) continue;
      this.#track(this.#attempts.begin(job).finally(() => this.#landed(job)));
    }
    while (this.#phase === 'running' && !this.#windows.isBusy) {
      const job = this.#windowsDue.pop();
      if (job === undefined) break;
      if (this.#windows.dueAt(job) <= now) this.#track(this.#windows.ask(job).finally(() => this.#landed(job)));
    }
  }

  /** After an attempt or a question: the next ones, and a look in time for what is due for this job then. No other has changed. */
  #landed(job: Job): void {
    if (this.#phase !== 'running') return;
    const now = this.#clock.now();
    const isThere = this.#jobs.get(job.wanted.id) === job;
    if (isThere && job.running === undefined && this.#windows.dueAt(job) <= now) this.#windowsDue.push(job);
    this.#fill();
    const isBehind = this.#shelf.isBehind || this.#states.isBehind;
    const at = Math.min(isThere ? this.#nextOf(job) : this.#lookAt, isBehind ? now + repairMs : this.#lookAt);
    if (at < this.#lookAt) this.#lookAgainAt(Math.max(now + shortestWaitMs, at));
  }

  /** When something is due for a job of which nothing is under way or waiting for its turn. */
  #nextOf(job: Job): number {
    const now = this.#clock.now();
    const ask = this.#windows.dueAt(job);
    return Math.min(job.running === undefined ? this.#jobs.dueAt(job) : this.#lookAt, ask > now ? ask : this.#lookAt);
  }

  /** What is done at every look besides certificates; each knows whether there is something to do. */
  #repair(): void {
    this.#track(this.#shelf.storeUnsaved());
    this.#track(this.#shelf.publish());
    this.#track(this.#ticketKeys.tick());
    this.#track(this.#challenges.sweep());
    this.#track(this.#states.save());
  }

  /** Finds what is due now. @returns when something will be, and the shortest lifetime of what is kept */
  #look(now: number): { next: number; shortest: number } {
    let next = Math.min(this.#jobs.planEndsAt, this.#shelf.expiresAt);
    let shortest = Number.POSITIVE_INFINITY;
    const due: [job: Job, urgency: number][] = [];
    this.#windowsDue = [];
    for (const job of this.#jobs.values()) {
      const certificate = this.#shelf.get(job.wanted.id);
      if (certificate !== undefined) shortest = Math.min(shortest, lifetimeOf(certificate));
      if (job.running !== undefined) continue;
      const at = this.#jobs.dueAt(job);
      // A person's or a visitor's wish first, then what is missing, then what expires first.
      if (at <= now) due.push([job, job.waiters.size > 0 ? -1 : (certificate?.notAfter ?? 0)]);
      else next = Math.min(next, at);
      const askAt = this.#windows.dueAt(job);
      if (askAt <= now) this.#windowsDue.push(job);
      else next = Math.min(next, askAt);
    }
    this.#due = due.sort(([, a], [, b]) => b - a).map(([job]) => job);
    return { next, shortest };
  }

  async #findNow(name: string): Promise<boolean> {
    if (this.#shared && (await this.#shelf.poll().catch(() => false))) await this.#shelf.publish();
    return this.#shelf.covering(name) !== undefined;
  }

  /** For a visitor. Resolves with whether it is published; false at once after a failure that is not long ago. */
  async #orderNow(name: string): Promise<boolean> {
    const id = certificateIdOf(name, this.#keyType);
    if (this.#phase !== 'running' || (this.#states.get(id)?.notBefore ?? 0) > this.#clock.now()) return false;
    const by = isLocalName(name) ? 'local' : 'acme';
    const job = this.#jobs.open({ id, names: [name], keyType: this.#keyType, by, routes: [] }, true);
    const done = new Promise<RenewOutcome>((resolve) => job.waiters.add(resolve));
    this.#wake();
    return 'certificate' in (await done);
  }

  #statusOf(id: string): CertificateStatus {
    const sources = { jobs: this.#jobs, shelf: this.#shelf, states: this.#states };
    return statusOf(id, { ...sources, keyType: this.#keyType, random: this.#random });
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
