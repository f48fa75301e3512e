import { randomUUID } from 'node:crypto';
import { systemClock } from '../clock.ts';
import type { Route } from '../core/types.ts';
import { Attempts } from './attempts.ts';
import { Expiry } from './expiry.ts';
import { type Job, Jobs, longestWaitMs, wantedAgain } from './jobs.ts';
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
import { within } from './renewal.ts';
import { Schedule } from './schedule.ts';
import { States } from './states.ts';
import { TicketKeys } from './ticket-keys.ts';
import type { Certificate, IssueFailure, KeyType } from './types.ts';
import { certificateIdOf, isLocalName, localRootId } from './wanted.ts';
import { Windows } from './windows.ts';

const minute = 60_000;
/** The longest that a visitor's handshake waits for a certificate that is being got, ms. */
const visitorMs = 25_000;
/** The longest that `stop` waits for what is under way, ms. */
const stopMs = 5_000;
const defaults = { parallel: 10, attemptTimeoutMs: 10 * minute } as const;

/** @see CertificateManager */
export function createCertificateManager(options: ManagerOptions): CertificateManager {
  return new Manager(options);
}

class Manager implements CertificateManager {
  readonly #clock: Clock;
  readonly #keyType: KeyType;
  readonly #random: () => number;
  readonly #shared: boolean;
  readonly #shelf: Shelf;
  readonly #states: States;
  readonly #jobs: Jobs;
  readonly #attempts: Attempts;
  readonly #schedule: Schedule;
  readonly #challenges: Challenges;
  readonly #ticketKeys: TicketKeys;
  readonly #onDemand: OnDemand | undefined;
  readonly #expiry: Expiry;

  /** What is under way. */
  readonly #work = new Set<Promise<unknown>>();
  #phase: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ManagerOptions) {
    const { store, publisher, log, issuers, local, settings = {} } = options;
    const { clock = systemClock, random = Math.random, hintFor } = options;
    const onEvent = guarded(options.onEvent, log);
    const onTicketKeys = guarded(options.onTicketKeys, log);
    const { shared = false, keyType = 'ecdsa', wildcards = false, onDemand = null } = settings;
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
    const jobs = new Jobs({ shelf, states, issuers, local, settings: wanted, clock, random, log, hintFor });
    this.#shelf = shelf;
    this.#states = states;
    this.#challenges = challenges;
    this.#jobs = jobs;
    this.#ticketKeys = new TicketKeys({ store, clock, random, shared, log, onKeys: onTicketKeys });
    this.#expiry = new Expiry({ clock, log });
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
    this.#schedule = new Schedule({
      ...{ jobs, shelf, states, clock },
      attempts: this.#attempts,
      windows: new Windows({ shelf, states, issuers, clock, random, log }),
      parallel: settings.parallel ?? defaults.parallel,
      chores: () => this.#chores(),
      track: (work) => this.#track(work),
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
            rests: (name) => this.#rests(name),
            find: (name) => this.#findNow(name),
            order: (name) => this.#orderNow(name),
          });
  }

  async start(routes: Iterable<Route>): Promise<void> {
    await Promise.all([this.#shelf.load(), this.#states.load()]);
    await Promise.all([this.#shelf.publish(), this.#ticketKeys.tick()]);
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#schedule.start(routes);
  }

  routesChanged(routes: Iterable<Route>): void {
    this.#schedule.follow(routes);
  }

  async poll(): Promise<void> {
    if (this.#phase !== 'running' || !(await this.#shelf.poll())) return;
    await this.#shelf.publish();
    this.#schedule.replan();
  }

  async save(certificate: Certificate): Promise<void> {
    if (certificate.id === localRootId)
      throw new TypeError(`${localRootId} is the local CA's own: choose another name`);
    await this.#shelf.save(certificate);
    this.#schedule.replan();
  }

  async remove(id: string): Promise<boolean> {
    // Browsers trust the local CA's root: it goes with the database only.
    if (id === localRootId) return false;
    this.#jobs.get(id)?.running?.abort.abort();
    const removed = await this.#shelf.remove(id);
    this.#states.forget(id);
    this.#track(this.#states.save());
    this.#schedule.replan();
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
    this.#schedule.wake();
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
    this.#schedule.catchUp();
    const ids = new Set<string>();
    for (const { wanted } of this.#jobs.values()) ids.add(wanted.id);
    for (const { id } of this.#shelf.all()) ids.add(id);
    return [...ids].map((id) => this.#statusOf(id));
  }

  unmet(): readonly Unmet[] {
    this.#schedule.catchUp();
    return this.#jobs.unmet;
  }

  askOnDemand(name: string): Promise<boolean> {
    if (this.#phase !== 'running') return Promise.resolve(false);
    if (this.#jobs.jobFor(name) === undefined) this.#schedule.catchUp();
    const job = this.#jobs.jobFor(name);
    // One that was had on demand and has expired is had anew in that way.
    const comes = job !== undefined && (!job.onDemand || job.running !== undefined);
    if (comes && this.#shelf.covering(name) === undefined) return this.#track(this.#arrival(job));
    return this.#onDemand === undefined ? Promise.resolve(false) : this.#track(this.#onDemand.has(name));
  }

  /** Whether a certificate that is being got now comes in time for a visitor. */
  async #arrival(job: Job): Promise<boolean> {
    if (job.running === undefined && this.#jobs.dueAt(job) > this.#clock.now()) return false;
    let cancel = () => {};
    const late = new Promise<false>((resolve) => {
      cancel = this.#clock.after(visitorMs, () => resolve(false));
    });
    let leave = () => {};
    const came = new Promise<boolean>((resolve) => {
      const waiter = (outcome: RenewOutcome) => resolve('certificate' in outcome);
      job.waiters.add(waiter);
      leave = () => job.waiters.delete(waiter);
    });
    return Promise.race([came, late]).finally(() => {
      cancel();
      leave();
    });
  }

  askChallenge(key: string): Promise<boolean> {
    return this.#phase === 'stopped' ? Promise.resolve(false) : this.#track(this.#challenges.ask(key));
  }

  async settled(): Promise<void> {
    do {
      await Promise.allSettled([...this.#work]);
      await new Promise((resolve) => setImmediate(resolve));
    } while (this.#work.size > 0 || this.#schedule.isWaking);
  }

  async stop(): Promise<void> {
    this.#phase = 'stopped';
    this.#schedule.stop();
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

  /** Each knows whether there is something to do. */
  #chores(): void {
    this.#track(this.#shelf.storeUnsaved());
    this.#track(this.#shelf.publish());
    this.#track(this.#ticketKeys.tick());
    this.#track(this.#challenges.sweep());
    this.#track(this.#states.save());
    this.#expiry.look(this.#shelf.all());
  }

  async #findNow(name: string): Promise<boolean> {
    if (this.#shared && (await this.#shelf.poll().catch(() => false))) await this.#shelf.publish();
    return this.#shelf.covering(name) !== undefined;
  }

  /** Whether the next attempt for a name is not due yet. */
  #rests(name: string): boolean {
    const { notBefore = 0 } = this.#states.get(certificateIdOf(name, this.#keyType)) ?? {};
    return within(notBefore, this.#clock.now(), longestWaitMs) > this.#clock.now();
  }

  /** For a visitor. Resolves with whether it is published. */
  async #orderNow(name: string): Promise<boolean> {
    const id = certificateIdOf(name, this.#keyType);
    if (this.#phase !== 'running' || this.#rests(name)) return false;
    const by = isLocalName(name) ? 'local' : 'acme';
    const job = this.#jobs.open({ id, names: [name], keyType: this.#keyType, by, routes: [] }, true);
    const done = new Promise<RenewOutcome>((resolve) => job.waiters.add(resolve));
    this.#schedule.wake();
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

/** What those who listen do wrong must not end an attempt. */
function guarded<T>(listener: ((value: T) => void) | undefined, log: (line: string) => void): (value: T) => void {
  return (value) => {
    try {
      listener?.(value);
    } catch (error) {
      log(`certificates: ${(error as Error).message}`);
    }
  };
}

function stopping(at: number): IssueFailure {
  const hint = 'What is missing is ordered at the next start.';
  return { at, step: 'lease', directory: '', message: 'this server stops', hint, problem: '', retryAfter: 0 };
}
