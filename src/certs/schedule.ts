import type { Route } from '../core/types.ts';
import type { Attempts } from './attempts.ts';
import type { Job, Jobs } from './jobs.ts';
import type { Shelf } from './manager-shelf.ts';
import type { Clock } from './manager-types.ts';
import { lifetimeOf, longestWait, within } from './renewal.ts';
import type { States } from './states.ts';
import type { Windows } from './windows.ts';

const minute = 60_000;
/** How often what could not be stored or published is tried again, ms. */
const repairMs = 2_000;
const shortestWaitMs = 50;
const longestWaitMs = 5 * minute;
/** With very many routes, bringing the jobs in line takes this part of the time at most. */
const replanShare = 1 / 20;
const mostReplanCostMs = 3_000;
/** What costs no more than this is done at once for who asks. */
const promptReplanMs = 200;

export interface ScheduleOptions {
  readonly jobs: Jobs;
  readonly shelf: Shelf;
  readonly states: States;
  readonly attempts: Attempts;
  readonly windows: Windows;
  readonly clock: Clock;
  /** How many attempts may be under way. */
  readonly parallel: number;
  /** What is done at every look besides certificates. */
  readonly chores: () => void;
  /** Told of everything that is begun. */
  readonly track: (work: Promise<unknown>) => void;
}

/** Begins what is due, in time, and no more than may be under way. Does nothing before `start` and after `stop`. */
export class Schedule {
  readonly #options: ScheduleOptions;
  #routes: readonly Route[] = [];
  #isRunning = false;
  /** Set while the jobs don't follow the routes yet. */
  #isStale = false;
  #replannedAt = 0;
  #replanCostMs = 0;
  /** What was due at the last look and has not begun, the most urgent last. */
  #due: Job[] = [];
  #windowsDue: Job[] = [];
  #lookAt = 0;
  #wakeQueued = false;
  #cancelTimer = () => {};

  constructor(options: ScheduleOptions) {
    this.#options = options;
  }

  /** Whether a look is about to begin. */
  get isWaking(): boolean {
    return this.#wakeQueued;
  }

  start(routes: Iterable<Route>): void {
    this.#isRunning = true;
    this.follow(routes);
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer();
  }

  follow(routes: Iterable<Route>): void {
    this.#routes = [...routes];
    this.replan();
  }

  /** Brings the jobs in line with the routes and with what is there: at once, unless that has just been done at great cost. */
  replan(): void {
    if (!this.#isRunning) return;
    const { clock } = this.#options;
    const now = clock.now();
    this.#isStale = now < this.#mayReplanAt();
    if (!this.#isStale) this.#replanNow(now);
    this.wake();
  }

  /** Who asks for a name that was just saved is not told that nobody wants it. Costs once a change, however many ask. */
  catchUp(): void {
    if (!this.#isStale || !this.#isRunning || this.#replanCostMs > promptReplanMs) return;
    this.#isStale = false;
    this.#replanNow(this.#options.clock.now());
    this.wake();
  }

  #replanNow(now: number): void {
    const { jobs, clock } = this.#options;
    jobs.replan(this.#routes);
    this.#replannedAt = clock.now();
    this.#replanCostMs = Math.min(this.#replannedAt - now, mostReplanCostMs);
  }

  /** Has everything looked at in this turn, once, whatever calls for it. */
  wake(): void {
    if (this.#wakeQueued || !this.#isRunning) return;
    this.#wakeQueued = true;
    queueMicrotask(() => {
      this.#wakeQueued = false;
      this.#tick();
    });
  }

  /** Looks at everything, begins what is due, and sets the timer for the next look. */
  #tick(): void {
    if (!this.#isRunning) return;
    const { jobs, clock, chores } = this.#options;
    const now = clock.now();
    if ((this.#isStale || now >= jobs.planEndsAt) && now >= this.#mayReplanAt()) return this.replan();
    chores();
    const { next, shortest } = this.#look(now);
    this.#fill();
    const replanAt = this.#isStale ? this.#mayReplanAt() : Number.POSITIVE_INFINITY;
    const most = this.#isBehind() ? repairMs : longestWaitMs;
    const wait = Math.min(longestWait(shortest), Math.min(next, replanAt) - now, most);
    this.#lookAgainAt(now + Math.max(shortestWaitMs, wait));
  }

  #mayReplanAt(): number {
    const at = this.#replannedAt + this.#replanCostMs / replanShare;
    return within(at, this.#options.clock.now(), mostReplanCostMs / replanShare);
  }

  #isBehind(): boolean {
    return this.#options.shelf.isBehind || this.#options.states.isBehind;
  }

  #lookAgainAt(at: number): void {
    const { clock } = this.#options;
    this.#cancelTimer();
    this.#lookAt = at;
    this.#cancelTimer = clock.after(at - clock.now(), () => this.#tick());
  }

  /** Finds what is due now. @returns when something will be, and the shortest lifetime of what is kept */
  #look(now: number): { next: number; shortest: number } {
    const { jobs, shelf, windows } = this.#options;
    let next = Math.min(jobs.planEndsAt, shelf.expiresAt);
    let shortest = Number.POSITIVE_INFINITY;
    const due: [job: Job, urgency: number][] = [];
    this.#windowsDue = [];
    for (const job of jobs.values()) {
      const certificate = shelf.get(job.wanted.id);
      if (certificate !== undefined) shortest = Math.min(shortest, lifetimeOf(certificate));
      if (job.running !== undefined) continue;
      const at = jobs.dueAt(job);
      // A person's or a visitor's wish first, then what is missing, then what expires first.
      if (at <= now) due.push([job, job.waiters.size > 0 ? -1 : (certificate?.notAfter ?? 0)]);
      else next = Math.min(next, at);
      const askAt = windows.dueAt(job);
      if (askAt <= now) this.#windowsDue.push(job);
      else next = Math.min(next, askAt);
    }
    this.#due = due.sort(([, a], [, b]) => b - a).map(([job]) => job);
    return { next, shortest };
  }

  /** Begins as much of what is due as there may be at one time. */
  #fill(): void {
    const { jobs, attempts, windows, clock, parallel, track } = this.#options;
    const now = clock.now();
    while (this.#isRunning && attempts.running < parallel) {
      const job = this.#due.pop();
      if (job === undefined) break;
      if (jobs.get(job.wanted.id) !== job || job.running !== undefined || jobs.dueAt(job) > now) continue;
      track(attempts.begin(job).finally(() => this.#landed(job)));
    }
    while (this.#isRunning && !windows.isBusy) {
      const job = this.#windowsDue.pop();
      if (job === undefined) break;
      if (windows.dueAt(job) <= now) track(windows.ask(job).finally(() => this.#landed(job)));
    }
  }

  /**
   * After an attempt or a question: the next ones, and a look in time for what is due for this job then. The others have not
   * changed, and looking at all of them after each would take hours with 10,000.
   */
  #landed(job: Job): void {
    if (!this.#isRunning) return;
    const { jobs, windows, clock } = this.#options;
    const now = clock.now();
    const isThere = jobs.get(job.wanted.id) === job;
    if (isThere && job.running === undefined && windows.dueAt(job) <= now) this.#windowsDue.push(job);
    this.#fill();
    const at = Math.min(
      isThere ? this.#nextOf(job, now) : this.#lookAt,
      this.#isBehind() ? now + repairMs : this.#lookAt,
    );
    if (at < this.#lookAt) this.#lookAgainAt(Math.max(now + shortestWaitMs, at));
  }

  /** When something is due for a job of which nothing is under way or waiting for its turn. */
  #nextOf(job: Job, now: number): number {
    const { jobs, windows } = this.#options;
    const askAt = windows.dueAt(job);
    const dueAt = job.running === undefined ? jobs.dueAt(job) : this.#lookAt;
    return Math.min(dueAt, askAt > now ? askAt : this.#lookAt);
  }
}
