import type { Outcome } from './outlier-outcome.ts';
import { CountWindow } from './outlier-window.ts';

/** When an instance is ejected by what its real requests meet, and for how long. */
export interface OutlierSettings {
  /** Failures in a row. */
  readonly failures: number;
  /** Connections in a row that could not be opened: surer, so fewer are enough. */
  readonly unreachable: number;
  /** The part of its requests that fails, from 0 to 1; looked at from `minRequests` in the window on. */
  readonly failureRate: number;
  readonly minRequests: number;
  readonly windowMs: number;
  /** The first ejection; each further one takes twice as long, up to the longest. */
  readonly ejectionMs: number;
  readonly longestEjectionMs: number;
  /** The most of a pool that is ejected at one time, from 0 to 1. */
  readonly maxEjectedShare: number;
  /** Requests that must go well after its return; a failure among them ejects it again. */
  readonly probation: number;
}

export const defaultOutlierSettings: OutlierSettings = {
  failures: 5,
  unreachable: 3,
  failureRate: 0.5,
  minRequests: 20,
  windowMs: 10_000,
  ejectionMs: 10_000,
  longestEjectionMs: 300_000,
  maxEjectedShare: 0.5,
  probation: 5,
};

/** Why an instance is held for an outlier. */
export type OutlierCause = 'failures' | 'unreachable' | 'rate' | 'probation';

/** After a suspicion its rate is not looked at again for so long. */
const restMs = 1_000;

/**
 * The passive health of one address, in one process. Fixed shape; `observe` allocates nothing.
 *
 * Many workers: each counts its own outcomes, and on a suspicion asks the main process, which alone ejects (`judgeEjection`), since
 * only it can hold the share over all; it tells all workers (`apply`, `lift`). Once a second, and with each suspicion, a worker sends
 * `counts.takeUnsent()`; the main process adds that to its own Outlier (`counts.add`) and looks at the rate over all workers
 * (`suspectsByRate`). An embedder with one process does both in place.
 * Times are ms of that process's steady clock, so messages carry durations.
 */
export class Outlier {
  readonly settings: OutlierSettings;
  /** Requests, and of them those that failed. */
  readonly counts: CountWindow;
  failuresInRow = 0;
  unreachableInRow = 0;
  /** How often it was ejected, less what good conduct took off: each ejection's time that it stays takes one. */
  level = 0;
  /** Not picked before; 0 when it is not ejected. */
  ejectedUntil = 0;
  /** Why it is, or was last, ejected. */
  cause: OutlierCause = 'failures';
  /** Good requests that are still missing after its return. */
  probationLeft = 0;
  /** When it came, or will come, back: what began before is not held against it. -Infinity if it was never away. */
  returnedAt = Number.NEGATIVE_INFINITY;
  private quietUntil = Number.NEGATIVE_INFINITY;

  constructor(settings: OutlierSettings = defaultOutlierSettings) {
    this.settings = settings;
    this.counts = new CountWindow(settings.windowMs);
  }

  isEjected(now: number): boolean {
    return now < this.ejectedUntil;
  }

  /**
   * Takes in how one attempt went.
   * @param startedAt when the attempt began: of before its last ejection's end it says nothing new
   * @returns a suspicion, to be judged by `judgeEjection`; undefined for none
   */
  observe(outcome: Outcome, startedAt: number, now: number): OutlierCause | undefined {
    if (outcome === 'ignored' || startedAt < this.returnedAt) return undefined;
    this.counts.add(1, outcome === 'ok' ? 0 : 1, now);
    if (outcome === 'ok') {
      this.failuresInRow = 0;
      this.unreachableInRow = 0;
      if (this.probationLeft > 0) this.probationLeft--;
      return undefined;
    }
    this.failuresInRow++;
    this.unreachableInRow = outcome === 'unreachable' ? this.unreachableInRow + 1 : 0;
    const cause = this.suspicion(now);
    if (cause !== undefined) this.restart(now);
    return cause;
  }

  private suspicion(now: number): OutlierCause | undefined {
    if (this.probationLeft > 0) return 'probation';
    if (this.unreachableInRow >= this.settings.unreachable) return 'unreachable';
    if (this.failuresInRow >= this.settings.failures) return 'failures';
    return this.suspectsByRate(now) ? 'rate' : undefined;
  }

  /** Whether too many of its requests fail; the others of its pool are not compared yet. */
  suspectsByRate(now: number): boolean {
    if (now < this.quietUntil || this.isEjected(now)) return false;
    const { counts, settings } = this;
    counts.expire(now);
    return counts.total >= settings.minRequests && counts.marked >= counts.total * settings.failureRate;
  }

  /** Ejects it: what was judged here, or told a worker. Counts start anew when it comes back, on probation. */
  apply(ejection: Ejection, now: number): void {
    this.level = ejection.level;
    this.cause = ejection.cause;
    this.ejectedUntil = now + ejection.forMs;
    this.returnedAt = this.ejectedUntil;
    this.restart(now);
    this.probationLeft = this.settings.probation;
    this.counts.clear();
  }

  /**
   * Ends an ejection before its time, since a probe has reached it again. Only one for being unreachable: of failing requests a
   * probe knows nothing. Probation stays.
   * @returns whether it was ejected, so that all workers are told
   */
  lift(now: number): boolean {
    if (!this.isEjected(now) || this.cause !== 'unreachable') return false;
    this.ejectedUntil = now;
    this.returnedAt = now;
    return true;
  }

  /** How long its next ejection would be counted as, less its good conduct. */
  levelAt(now: number): number {
    if (this.level === 0 || this.isEjected(now)) return this.level;
    const behaved = Math.floor((now - this.returnedAt) / this.settings.ejectionMs);
    return Math.max(0, this.level - behaved);
  }

  /**
   * Begins to count anew. A suspicion is voiced once, whatever becomes of it: where it is refused, neither a message nor a walk over
   * the pool is spent on each failure that follows.
   */
  restart(now: number): void {
    this.failuresInRow = 0;
    this.unreachableInRow = 0;
    this.probationLeft = 0;
    this.quietUntil = now + restMs;
  }
}

/** An ejection, as it is told to all workers: with the address, one message. */
export interface Ejection {
  readonly cause: OutlierCause;
  /** How long from its arrival on, ms. */
  readonly forMs: number;
  /** The first is 1. */
  readonly level: number;
}

/** What judging needs to know of each instance of a pool. */
export interface OutlierMember {
  readonly outlier: Outlier;
  /** Whether active health lets it be used (`isUsable`). */
  readonly usable: boolean;
}

/**
 * Judges a suspicion, and ejects if that leaves enough: of the usable instances of each pool at most `maxEjectedShare`, rounded
 * down, so a single one never. A failure rate must also be at least twice that of the rest: where all fail alike, no one is an
 * outlier. Goes over the pools, only on suspicion.
 * @param pools all that the instance is in; those that have only it are no obstacle, since picking never heeds ejections there
 * @param random from 0 up to 1: lengthens by up to a tenth, so that not all come back at once
 * @returns what happened to `outlier`, for the message to the workers; undefined if it stays (or is out already)
 */
export function judgeEjection(
  outlier: Outlier,
  cause: OutlierCause,
  pools: readonly (readonly OutlierMember[])[],
  now: number,
  random: number,
): Ejection | undefined {
  if (outlier.isEjected(now)) return undefined;
  const shared = pools.filter((pool) => pool.length > 1);
  const may = shared.length > 0 && shared.every((pool) => maySpare(outlier, cause, pool, now));
  if (!may) {
    outlier.restart(now);
    return undefined;
  }
  const { ejectionMs, longestEjectionMs } = outlier.settings;
  const level = outlier.levelAt(now) + 1;
  const lasts = Math.min(ejectionMs * 2 ** Math.min(level - 1, 30), longestEjectionMs);
  const ejection = { cause, forMs: Math.ceil(lasts * (1 + random / 10)), level };
  outlier.apply(ejection, now);
  return ejection;
}

function maySpare(outlier: Outlier, cause: OutlierCause, pool: readonly OutlierMember[], now: number): boolean {
  let usable = 0;
  let ejected = 0;
  let total = 0;
  let failed = 0;
  for (const member of pool) {
    if (!member.usable) continue;
    usable++;
    if (member.outlier === outlier) continue;
    if (member.outlier.isEjected(now)) ejected++;
    const { counts } = member.outlier;
    counts.expire(now);
    total += counts.total;
    failed += counts.marked;
  }
  // Not one more than is left, whatever the share.
  const most = Math.min(Math.floor(usable * outlier.settings.maxEjectedShare), usable - 1);
  if (ejected >= most) return false;
  if (cause !== 'rate' || total === 0) return true;
  return outlier.counts.marked / outlier.counts.total >= (2 * failed) / total;
}
