import {
  type Balanced,
  createLoad,
  type Load,
  observeCancel,
  observeFailure,
  observeReply,
  observeStart,
  setHealthy,
} from '../core/balance-load.ts';
import { Breaker } from '../core/breaker.ts';
import { Outlier } from '../core/outlier.ts';
import type { Outcome } from '../core/outlier-outcome.ts';
import type { InstanceSettings } from '../core/pool-types.ts';
import type { Target } from '../core/types.ts';

/** The time of the last look at a pool, epoch ms: so that picking asks no clock for each member. */
export interface PoolClock {
  now: number;
}

/** A target with what this program has seen of it. */
export class ProxyMember implements Balanced {
  readonly target: Target;
  readonly address: string;
  readonly settings: InstanceSettings;
  readonly load: Load;
  readonly clock: PoolClock;
  /** Null where nothing is ejected: it is alone, or that was asked for. */
  readonly outlier: Outlier | null;
  readonly breaker: Breaker | null;
  /** No probe says that it is down: there is none. */
  readonly usable = true;
  inFlight = 0;
  requests = 0;
  failures = 0;

  /**
   * @param judged by what requests meet there: it is beside others
   * @param before what was known of it with other settings
   */
  constructor(target: Target, settings: InstanceSettings, judged: boolean, clock: PoolClock, before?: ProxyMember) {
    this.target = target;
    this.address = target.href;
    this.settings = settings;
    this.clock = clock;
    this.load = before?.load ?? createLoad(true, 0);
    // Another judge begins anew.
    setHealthy(this.load, true, clock.now);
    this.outlier = judged && settings.outlier !== null ? new Outlier(settings.outlier) : null;
    this.breaker = settings.breaker === null ? null : new Breaker(settings.breaker);
    this.requests = before?.requests ?? 0;
    this.failures = before?.failures ?? 0;
  }

  /** Its breaker is open. `fetch` takes any number. */
  get full(): boolean {
    return this.breaker !== null && !this.breaker.allows(this.clock.now);
  }

  /** A request goes out: one of the others follows. In flight is what waits for a response's head: what follows is the runtime's. */
  start(now: number): void {
    this.inFlight++;
    this.requests++;
    this.breaker?.enter(now);
    observeStart(this.load, now);
  }

  /** @param outcome of the answer's status */
  reply(outcome: Outcome, startedAt: number, now: number): void {
    if (outcome !== 'ok') return this.failure(outcome, startedAt, now);
    this.inFlight--;
    observeReply(this.load, now - startedAt, now);
    this.breaker?.observe(outcome, startedAt, now);
  }

  failure(outcome: Outcome, startedAt: number, now: number): void {
    this.inFlight--;
    this.failures++;
    observeFailure(this.load, now);
    this.breaker?.observe(outcome, startedAt, now);
  }

  cancel(startedAt: number, now: number): void {
    this.inFlight--;
    observeCancel(this.load);
    this.breaker?.observe('ignored', startedAt, now);
  }
}
