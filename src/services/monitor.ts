import { systemClock } from '../clock.ts';
import { type Health, type HealthFlip, observeProbe, type StoredHealth, startHealth } from '../core/health.ts';
import type { HealthCheck } from '../core/health-check.ts';
import { judgeProbe } from '../core/health-probe.ts';
import { ProbeSchedule, type ProbeTurn } from '../core/health-schedule.ts';
import type { Probe, ProbeTarget } from './probe-types.ts';
import type { Clock } from './types.ts';

/** Probes at one time: those that wait for an answer cost a socket and no time. */
const defaultParallel = 500;
/** How much later than due a probe may begin, ms, so that one timer starts many. Never sooner. */
const tickMs = 20;
/** How soon one that is not known at all is probed for the first time, at most, ms. */
const firstProbeMs = 1_000;
/** Where there are many of those, one in so many ms, up to a whole interval: what begins together comes together ever after. */
const firstEachMs = 5;

/** An address to be probed. Whoever has the same `key` shares its probes and its health. */
export interface MonitorItem extends ProbeTarget {
  /** As `healthKey` makes it; says all that is in `check` and where it is asked. */
  readonly key: string;
  readonly check: HealthCheck;
  /** The last known state, where this process has none: it is trusted until probes say otherwise. */
  readonly known?: StoredHealth;
}

export interface MonitorOptions {
  readonly probe: Probe;
  /** Told of each change of state. */
  readonly onFlip: (key: string, flip: HealthFlip) => void;
  /** Told of each good probe, after `onFlip`. */
  readonly onPass?: (key: string) => void;
  /** Default 500. */
  readonly parallel?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Ms of a steady clock: what is due must not wait for an hour where the clock was put back by one. Default performance.now. */
  readonly steady?: () => number;
  /** From 0 up to 1. Default Math.random. */
  readonly random?: () => number;
}

export interface MonitorStats {
  /** Addresses under a check. */
  readonly items: number;
  readonly running: number;
  /** Probes that were judged, since the start. */
  readonly probes: number;
  readonly failures: number;
  /** Probes that this machine could not even try. */
  readonly untried: number;
  /** How late the next one is, ms: over 0 for long, there are more than `parallel` can do. */
  readonly lagMs: number;
}

interface Watched {
  readonly item: MonitorItem;
  readonly health: Health;
  /** It was not known, and waits for its first probe. */
  isNew: boolean;
  /** It has been up, or may have been. One that never was may have registered before it listens: its first good probe is believed. */
  wasUp: boolean;
  /** Who wants it. */
  readonly owners: Set<string>;
}

/** Probes all addresses that routes and services have, each at its own pace: the one prober of a server. */
export class HealthMonitor {
  readonly #options: MonitorOptions;
  readonly #clock: Clock;
  readonly #steady: () => number;
  readonly #random: () => number;
  readonly #parallel: number;
  readonly #schedule = new ProbeSchedule<MonitorItem>();
  readonly #watched = new Map<string, Watched>();
  /** Which keys an owner has. */
  readonly #owned = new Map<string, ReadonlySet<string>>();
  readonly #stop = new AbortController();
  #running = 0;
  /** How many are new. */
  #new = 0;
  #probes = 0;
  #failures = 0;
  #untried = 0;
  #wakeAt = Number.POSITIVE_INFINITY;
  #cancel = () => {};
  readonly #work = new Set<Promise<void>>();

  constructor(options: MonitorOptions) {
    const { clock = systemClock, random = Math.random, parallel = defaultParallel } = options;
    const { steady = () => performance.now() } = options;
    this.#options = options;
    this.#clock = clock;
    this.#steady = steady;
    this.#random = random;
    this.#parallel = parallel;
  }

  /**
   * All that an owner wants probed from now on, in place of what it wanted before. What others want as well goes on as it is.
   * @param owner a route or a service, `service user-svc`
   */
  follow(owner: string, items: readonly MonitorItem[]): void {
    const before = this.#owned.get(owner) ?? new Set<string>();
    const keys = new Set(items.map(({ key }) => key));
    for (const item of items) this.#add(owner, item);
    for (const key of before) if (!keys.has(key)) this.#leave(owner, key);
    if (keys.size > 0) this.#owned.set(owner, keys);
    else this.#owned.delete(owner);
    this.#wake();
  }

  /** Live: it changes with the next probe. */
  health(key: string): Readonly<Health> | undefined {
    return this.#watched.get(key)?.health;
  }

  stats(): MonitorStats {
    return {
      items: this.#watched.size,
      running: this.#running,
      probes: this.#probes,
      failures: this.#failures,
      untried: this.#untried,
      lagMs: Math.max(0, this.#steady() - this.#schedule.nextDueAt()),
    };
  }

  /** Ends all probes. Nobody is told of anything after it. Resolves when their sockets are closed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#cancel();
    await Promise.all(this.#work);
  }

  #add(owner: string, item: MonitorItem): void {
    const known = this.#watched.get(item.key);
    if (known !== undefined) {
      known.owners.add(owner);
      return;
    }
    const now = this.#clock.now();
    const isNew = item.known === undefined || item.known.state === 'Unknown';
    const health = startHealth(item.known, now);
    this.#watched.set(item.key, { item, health, isNew, wasUp: !isNew, owners: new Set([owner]) });
    if (isNew) this.#new += 1;
    // What is known can wait for its turn: a start with 10,000 of them is spread over a whole interval.
    const { intervalMs } = item.check;
    const within = isNew ? Math.min(1, Math.max(firstProbeMs, this.#new * firstEachMs) / intervalMs) : 1;
    this.#schedule.save(item.key, item, intervalMs, this.#steady(), this.#random() * within);
  }

  #leave(owner: string, key: string): void {
    const watched = this.#watched.get(key);
    watched?.owners.delete(owner);
    if (watched === undefined || watched.owners.size > 0) return;
    this.#watched.delete(key);
    this.#schedule.remove(key);
    this.#noteFirst(watched);
  }

  #wake(): void {
    if (this.#stop.signal.aborted || this.#running >= this.#parallel) return;
    const dueAt = this.#schedule.nextDueAt();
    const now = this.#steady();
    // A timer that comes soon enough serves.
    if (this.#wakeAt <= dueAt + tickMs && this.#wakeAt > now) return;
    this.#cancel();
    this.#wakeAt = Number.POSITIVE_INFINITY;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    this.#wakeAt = Math.max(dueAt, now) + tickMs;
    this.#cancel = this.#clock.after(this.#wakeAt - now, () => {
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.#start();
    });
  }

  #start(): void {
    const turns = this.#schedule.takeDue(this.#steady(), this.#parallel - this.#running);
    for (const turn of turns) {
      this.#running += 1;
      const work = this.#run(turn);
      this.#work.add(work);
      void work.finally(() => this.#work.delete(work));
    }
    this.#wake();
  }

  #noteFirst(watched: Watched): void {
    if (watched.isNew) this.#new -= 1;
    watched.isNew = false;
  }

  async #run(turn: ProbeTurn<MonitorItem>): Promise<void> {
    const { check } = turn.item;
    const result = await this.#options.probe(check, turn.item, this.#stop.signal);
    this.#running -= 1;
    const now = this.#clock.now();
    const counts = this.#schedule.finish(turn, this.#steady(), this.#random());
    const watched = this.#watched.get(turn.key);
    if (this.#stop.signal.aborted) return;
    if (counts && watched !== undefined) this.#noteFirst(watched);
    if (result === undefined) this.#untried += 1;
    else if (counts && watched !== undefined) {
      const verdict = judgeProbe(check, result);
      this.#probes += 1;
      if (!verdict.passed) this.#failures += 1;
      const flip = observeProbe(watched.health, watched.wasUp ? check : { rise: 1, fall: check.fall }, verdict, now);
      watched.wasUp ||= verdict.passed;
      if (flip !== undefined) this.#options.onFlip(turn.key, flip);
      if (verdict.passed) this.#options.onPass?.(turn.key);
    }
    this.#wake();
  }
}
