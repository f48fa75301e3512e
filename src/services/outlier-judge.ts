import {
  defaultOutlierSettings,
  type Ejection,
  judgeEjection,
  Outlier,
  type OutlierCause,
  type OutlierSettings,
} from '../core/outlier.ts';
import { addressOf } from './pool-health.ts';

/** What nobody has named for so long is forgotten, ms. */
const forgetMs = 3_600_000;

export interface OutlierJudgeOptions {
  /** Whether probes have found it down, by its key. */
  readonly isDown: (key: string) => boolean;
  /** The keys in each pool that an instance is in, as this process knows them; empty where it does not. */
  readonly poolsOf: (key: string) => readonly (readonly string[])[];
  /** Tells the workers. */
  readonly publish: (change: OutlierChange) => void;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
  /** Ms of a steady clock. */
  readonly steady: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

export interface OutlierChange {
  readonly ejected?: readonly (readonly [key: string, ejection: Ejection])[];
  readonly lifted?: readonly string[];
}

/** An ejection that is on. */
export interface Ejected {
  readonly cause: OutlierCause;
  /** How long it still lasts, ms. */
  readonly leftMs: number;
  /** 1 for the first time, more for one that does badly again and again. */
  readonly level: number;
}

interface Judged {
  readonly outlier: Outlier;
  /** When a worker named it last. */
  namedAt: number;
}

/** Ejects instances for what requests of all workers have met: it alone does, so that no pool loses more than its share. */
export class OutlierJudge {
  readonly #options: OutlierJudgeOptions;
  readonly #judged = new Map<string, Judged>();
  /** Those that are, or were a moment ago, ejected. */
  readonly #out = new Set<string>();

  constructor(options: OutlierJudgeOptions) {
    this.#options = options;
  }

  /** Takes in what workers have counted since the last time: `[key, requests, failures]`. */
  outcomes(counts: readonly (readonly [key: string, total: number, failed: number])[]): void {
    const now = this.#options.steady();
    for (const [key, total, failed] of counts) this.#of(key, now)?.counts.add(total, failed, now);
    // Each worker sees a part of the requests: what is too little for one of them can be enough in all.
    for (const [key, , failed] of counts) {
      const outlier = failed > 0 ? this.#judged.get(key)?.outlier : undefined;
      if (outlier?.suspectsByRate(now)) this.#judge(key, outlier, 'rate', this.#options.poolsOf(key), now);
    }
  }

  /** Judges a worker's suspicion. @param pools the keys in each pool that it is in */
  suspect({
    key,
    cause,
    pools,
  }: {
    readonly key: string;
    readonly cause: OutlierCause;
    readonly pools: readonly (readonly string[])[];
  }): void {
    const now = this.#options.steady();
    const outlier = this.#of(key, now);
    if (outlier !== undefined) this.#judge(key, outlier, cause, pools, now);
  }

  /** A probe has reached it: that ends an ejection for being unreachable. */
  reached(key: string): void {
    if (!this.#out.has(key)) return;
    if (this.#judged.get(key)?.outlier.lift(this.#options.steady()) !== true) return;
    this.#out.delete(key);
    this.#options.publish({ lifted: [key] });
    this.#options.log(`health: ${addressOf(key)} is used again: a check reaches it`);
  }

  /** @returns undefined for one that is not ejected */
  get(key: string): Ejected | undefined {
    const now = this.#options.steady();
    const outlier = this.#judged.get(key)?.outlier;
    if (outlier?.isEjected(now) !== true) return undefined;
    return { cause: outlier.cause, leftMs: outlier.ejectedUntil - now, level: outlier.level };
  }

  /** What is left of each ejection, for a worker that starts. */
  ejections(): [key: string, ejection: Ejection][] {
    const found: [string, Ejection][] = [];
    for (const key of this.#out) {
      const ejected = this.get(key);
      if (ejected === undefined) this.#out.delete(key);
      else found.push([key, { cause: ejected.cause, forMs: Math.ceil(ejected.leftMs), level: ejected.level }]);
    }
    return found;
  }

  /** To be called now and then: forgets what nobody has named for an hour. */
  tidy(): void {
    const now = this.#options.steady();
    for (const [key, { namedAt, outlier }] of this.#judged) {
      if (now - namedAt < forgetMs || outlier.isEjected(now)) continue;
      this.#judged.delete(key);
      this.#out.delete(key);
    }
  }

  get size(): number {
    return this.#judged.size;
  }

  #judge(key: string, outlier: Outlier, cause: OutlierCause, pools: readonly (readonly string[])[], now: number): void {
    const { isDown, random, publish, log } = this.#options;
    const members = pools.map((keys) =>
      keys.flatMap((each) => {
        const of = this.#of(each, now);
        return of === undefined ? [] : [{ outlier: of, usable: !isDown(each) }];
      }),
    );
    const { marked, total } = outlier.counts;
    const ejection = judgeEjection(outlier, cause, members, now, random());
    if (ejection === undefined) return;
    this.#out.add(key);
    publish({ ejected: [[key, ejection]] });
    const why = textOf(cause, outlier.settings, `${marked} of ${total}`);
    const times = ejection.level > 1 ? `, the ${ordinal(ejection.level)} time` : '';
    log(`health: ${addressOf(key)} is left out for ${seconds(ejection.forMs)}${times}: ${why}`);
  }

  /** @returns undefined for one that is never ejected */
  #of(key: string, now: number): Outlier | undefined {
    let judged = this.#judged.get(key);
    if (judged === undefined) {
      const settings = outlierSettingsOf(key);
      if (settings === null) return undefined;
      judged = { outlier: new Outlier(settings), namedAt: now };
      this.#judged.set(key, judged);
    }
    judged.namedAt = now;
    return judged.outlier;
  }
}

/**
 * How an instance is judged, as its key says (`InstanceSettings.tag`).
 * @returns null: never
 */
export function outlierSettingsOf(key: string): OutlierSettings | null {
  const at = key.indexOf(' ');
  if (at === -1) return defaultOutlierSettings;
  const { outlier = true } = JSON.parse(key.slice(at + 1)) as { outlier?: boolean | Partial<OutlierSettings> };
  if (typeof outlier === 'boolean') return outlier ? defaultOutlierSettings : null;
  return { ...defaultOutlierSettings, ...outlier };
}

function textOf(cause: OutlierCause, settings: OutlierSettings, counted: string): string {
  switch (cause) {
    case 'failures':
      return `${settings.failures} requests in a row failed`;
    case 'unreachable':
      return `${settings.unreachable} connections in a row could not be opened`;
    case 'rate':
      return `${counted} requests failed`;
    case 'probation':
      return 'it failed again just after its return';
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const ending = tens > 10 && tens < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${ending}`;
}
