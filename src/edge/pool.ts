import type { Pool } from '../core/balance-pool.ts';
import type { FailureCode } from '../core/failure.ts';
import type { PoolSettings, PoolSpec } from '../core/pool-types.ts';
import type { RetryBudget } from '../core/retry-budget.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type Asked, askedOf, type Choice, type Choosing } from './choice.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import type { Instance } from './instance.ts';
import type { EdgeMember } from './pool-member.ts';
import { PoolRecord } from './pool-record.ts';
import { PoolSide } from './pool-side.ts';

export { EdgeMember } from './pool-member.ts';

/** What one route or one service can pick from, in this worker. A change of configuration makes a new one, which takes over what is known. */
export class EdgePool implements Choosing {
  readonly edge: Edge;
  readonly name: string;
  readonly spec: PoolSpec;
  readonly route: CompiledRoute;
  /** What it has to know of each request to choose; null for nothing. */
  readonly asked: Asked | null;
  /** A handler's counts in its route's. */
  record: PoolRecord;
  /** It is a service's own. */
  readonly isService: boolean;
  /** There may be another instance to go to. */
  isShared = false;
  /** `clock.now` at which it was asked for last. */
  lastUsed = clock.now;
  private readonly mainSide: PoolSide;
  private readonly canarySide: PoolSide | null;
  private roomHook: (() => void) | null = null;

  /** @param before the one of the same name that it replaces */
  constructor(edge: Edge, route: CompiledRoute, before?: EdgePool) {
    const { pool: spec } = route;
    this.edge = edge;
    this.route = route;
    this.spec = spec;
    this.name = spec.name;
    this.asked = askedOf(spec);
    this.isService = spec.name.startsWith('service ');
    this.record = before?.record ?? new PoolRecord(spec.name);
    this.mainSide = new PoolSide(this, spec, before?.mainSide);
    this.canarySide = spec.canary === null ? null : new PoolSide(this, spec.canary, before?.canarySide);
    this.join();
    if (before === undefined) return;
    const { onRoom } = before;
    before.leave();
    this.onRoom = onRoom;
  }

  /** Null: the members are a service's. */
  get main(): Pool<EdgeMember> | null {
    return this.mainSide.pool;
  }

  get canary(): Pool<EdgeMember> | null {
    return this.canarySide?.pool ?? null;
  }

  /** Whose members it picks from: itself, or the pool of the service that it leads to; undefined where that is not known. */
  get picking(): EdgePool | undefined {
    return this.mainSide.picking;
  }

  /** Those that count: a service's own for all routes that lead to it. */
  get settings(): PoolSettings {
    return this.picking?.spec.settings ?? this.spec.settings;
  }

  /**
   * Picks a member for one attempt: of the canary where the request is for it and it has one that was not tried; who sticks to one gets that.
   * @param tried those that this request has been sent to
   * @param now ms of the clock of performance.now()
   * @returns undefined when none can take it now: `why` says which failure that is
   */
  pick(choice: Choice, tried: readonly EdgeMember[], now = performance.now()): EdgeMember | undefined {
    const { canarySide } = this;
    if (choice.canary && canarySide !== null) {
      const member = canarySide.pick(choice, tried, now);
      if (member !== undefined && !member.full && !tried.includes(member)) return member;
    }
    return this.mainSide.pick(choice, tried, now);
  }

  /** Whose word counts on retries: the route's own, if it has any. */
  get retrying(): EdgePool {
    return this.route.route.retry === undefined ? (this.picking ?? this) : this;
  }

  /** What its retries may still add; that of a service is one for all routes that lead to it. */
  get budget(): RetryBudget {
    const { record, spec } = this.retrying;
    return record.budget(spec.settings.retryBudget, this.edge.place.count);
  }

  /** The one of its name that has replaced it since; itself, if none has. */
  get present(): EdgePool {
    return this.edge.pools.named(this.name) ?? this;
  }

  /** Why `pick` found none: those that are up are busy, or none is up (or known). */
  why(): FailureCode {
    return this.isBusy() ? 'OO_OVERLOADED' : 'OO_NO_INSTANCE';
  }

  isBusy(): boolean {
    return this.mainSide.isBusy();
  }

  /** What the sticky cookie says of a member that was picked from it; undefined where it has none. */
  stickyToken(member: EdgeMember): string | undefined {
    return this.mainSide.stickyToken(member) ?? this.canarySide?.stickyToken(member);
  }

  /** Which side a sticky cookie's value is of, if it is good for any. */
  sideOf(token: string): 'main' | 'canary' | undefined {
    if (this.mainSide.knows(token)) return 'main';
    return this.canarySide?.knows(token) ? 'canary' : undefined;
  }

  /** Called soon after one of its instances may take a request again. Set it while somebody waits only. */
  get onRoom(): (() => void) | null {
    return this.roomHook;
  }

  set onRoom(hook: (() => void) | null) {
    this.roomHook = hook;
    const { waiting } = this.edge.pools;
    if (hook === null) waiting.delete(this);
    else waiting.add(this);
  }

  /** It may pick this instance. */
  has(instance: Instance): boolean {
    if (instance.pools.has(this)) return true;
    const sides = [this.mainSide.picking, this.canarySide?.picking];
    return sides.some((pool) => pool !== undefined && pool !== this && pool.has(instance));
  }

  // ---- what changes

  /** The health of an instance of it has changed. */
  invalidate(): void {
    this.mainSide.invalidate();
    this.canarySide?.invalidate();
  }

  /** Names lead elsewhere. */
  rebuild(): void {
    this.part();
    this.mainSide.rebuild();
    this.canarySide?.rebuild();
    this.join();
  }

  /** Its instances know of it. */
  private join(): void {
    this.isShared = this.canarySide !== null || (this.main?.members.length ?? 0) > 1;
    for (const pool of [this.main, this.canary])
      for (const { instance } of pool?.members ?? []) instance.instance.join(this, pool!.members.length > 1);
  }

  private part(): void {
    for (const pool of [this.main, this.canary])
      for (const { instance } of pool?.members ?? []) instance.instance.pools.delete(this);
  }

  /** It is replaced, or not used any more. */
  leave(): void {
    this.onRoom = null;
    this.part();
  }

  // ---- what is told

  /** `first`, `spill`, `panic` or `none`. */
  get state(): string {
    return this.mainSide.state;
  }

  weights(): [key: string, weight: number][] {
    return [...this.mainSide.weights(), ...(this.canarySide?.weights() ?? [])];
  }

  /** The keys of its instances, of those beside which one may be ejected. */
  keys(): string[][] {
    return [this.mainSide.keys(), this.canarySide?.keys()].filter((keys) => keys !== undefined);
  }

  /** Hostnames of its targets that lead to addresses. */
  get names(): readonly string[] {
    const { mainSide, canarySide } = this;
    return canarySide === null ? mainSide.names : [...mainSide.names, ...canarySide.names];
  }
}
