import { setHealthy } from '../core/balance-load.ts';
import { noKey, pickFrom } from '../core/balance-pick.ts';
import { compilePool, invalidatePool, type Pool } from '../core/balance-pool.ts';
import { type GateOrder, openGate } from '../core/gate-order.ts';
import { hashText } from '../core/hash.ts';
import { judgeEjection, type Outlier } from '../core/outlier.ts';
import type { Outcome } from '../core/outlier-outcome.ts';
import type { HashBy, Members } from '../core/pool-types.ts';
import { RetryBudget } from '../core/retry-budget.ts';
import { cookieValue } from '../core/sticky.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type PoolClock, ProxyMember } from './member.ts';
import { tell } from './reply.ts';
import type { HealthChange } from './types.ts';

/** What one request tells of itself, for picking. */
export interface Picking {
  readonly headers: Headers;
  /** '' where it is not known. */
  readonly clientIp: string;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** What the pools of a program share. */
export interface PoolParts {
  readonly random: () => number;
  readonly onHealth: ((change: HealthChange) => void) | undefined;
}

/** What one route can pick from, for as long as the route is the same; the next one takes over what is known of targets that stay. */
export class ProxyPool {
  readonly route: CompiledRoute;
  readonly budget: RetryBudget;
  readonly gate: GateOrder;
  readonly main: Pool<ProxyMember>;
  readonly canary: Pool<ProxyMember> | null;
  /** In its place by now: what requests of before an update still meet is judged there. */
  heir: ProxyPool | null = null;
  requests = 0;
  retries = 0;
  private readonly parts: PoolParts;
  private readonly clock: PoolClock;
  /** When the first of those that are ejected comes back. There is no timer: runtimes allow none outside of a request. */
  private returnAt = Number.POSITIVE_INFINITY;

  /** @param route its pool has targets, no service */
  constructor(route: CompiledRoute, before: ProxyPool | undefined, now: number, parts: PoolParts) {
    const { pool } = route;
    this.route = route;
    this.parts = parts;
    this.clock = before?.clock ?? { now };
    this.clock.now = now;
    this.budget = before?.budget ?? new RetryBudget();
    this.requests = before?.requests ?? 0;
    this.retries = before?.retries ?? 0;
    this.gate = pool.gate ?? openGate;
    const known = new Map(before?.everyone.map((member) => [member.address, member]));
    const judged = pool.targets.length > 1 || (pool.canary?.targets.length ?? 0) > 1;
    const compiled = ({ targets }: Members, last: Pool<ProxyMember> | null | undefined) => {
      const members = targets.map(({ target, weight, priority }) => ({
        instance: this.member(known, target, judged),
        ...{ weight, priority },
      }));
      return compilePool(members, pool.settings.balancing, now, parts.random, last ?? undefined);
    };
    this.main = compiled(pool, before?.main);
    this.canary = pool.canary === null ? null : compiled(pool.canary, before?.canary);
    this.noteReturns(now);
  }

  private member(known: Map<string, ProxyMember>, target: ProxyMember['target'], judged: boolean): ProxyMember {
    const { instance } = this.route.pool.settings;
    const before = known.get(target.href);
    const same = before?.settings === instance && (before.outlier !== null) === (judged && instance.outlier !== null);
    const member =
      before !== undefined && same ? before : new ProxyMember(target, instance, judged, this.clock, before);
    known.set(target.href, member);
    return member;
  }

  /** All members of both parts, each once. */
  get everyone(): ProxyMember[] {
    const members = [...this.main.members, ...(this.canary?.members ?? [])];
    return [...new Set(members.map(({ instance }) => instance))];
  }

  /** Whether this request is one of the canary's. Ask once for each. */
  isCanary({ headers, random }: Picking): boolean {
    const { canary } = this.route.pool;
    if (canary === null) return false;
    return this.isCanaryByField(headers) || (canary.percent > 0 && random() * 100 < canary.percent);
  }

  /** Whether a field of the request sends it to the canary. */
  isCanaryByField(headers: Headers): boolean {
    const { canary } = this.route.pool;
    if (canary === null || canary.headerName === '') return false;
    const value = headers.get(canary.headerName);
    return value !== null && (canary.headerValue === '' || canary.headerValue === value);
  }

  /**
   * Picks a target for one attempt. Where all of the canary were tried, the others are asked.
   * @param tried those that this request was sent to
   * @returns undefined where all are drained, or spared by their breakers
   */
  pick(picking: Picking, canary: boolean, tried: readonly ProxyMember[], now: number): ProxyMember | undefined {
    const { random } = picking;
    const { balancing } = this.route.pool.settings;
    this.look(now);
    const key = balancing.policy === 'hash' ? this.keyOf(picking) : noKey;
    const first = canary && this.canary !== null ? pickFrom(this.canary, tried, key, now, random) : undefined;
    if (first !== undefined && !first.full && !tried.includes(first)) return first;
    const member = pickFrom(this.main, tried, key, now, random) ?? first;
    return member?.full ? undefined : member;
  }

  /** What of a request leads to one target; `noKey` for nothing. */
  keyOf(picking: Pick<Picking, 'headers' | 'clientIp'>): number {
    return keyBy(this.route.pool.settings.hashBy, picking);
  }

  /** For Retry-After, whole seconds: until the first breaker lets a request through. */
  retryAfter(now: number): number {
    const waits = this.main.members.flatMap(({ instance: { breaker } }) =>
      breaker === null ? [] : breaker.waitMs(now),
    );
    return waits.length === 0 ? 1 : Math.max(1, Math.ceil(Math.min(...waits) / 1_000));
  }

  /** Brings back those whose time is over. To be called before anything else is asked. */
  look(now: number): void {
    this.clock.now = now;
    if (now < this.returnAt) return;
    for (const { outlier, load, address } of this.everyone) {
      if (outlier === null || outlier.isEjected(now) || !setHealthy(load, true, now)) continue;
      this.changed({ route: this.route.id, target: address, state: 'back', cause: '', ejectedMs: 0 });
    }
    this.noteReturns(now);
  }

  private noteReturns(now: number): void {
    this.returnAt = Number.POSITIVE_INFINITY;
    for (const { outlier } of this.everyone)
      if (outlier?.isEjected(now)) this.returnAt = Math.min(this.returnAt, outlier.ejectedUntil);
  }

  private changed(change: HealthChange): void {
    invalidatePool(this.main);
    if (this.canary !== null) invalidatePool(this.canary);
    if (this.parts.onHealth !== undefined) tell(this.parts.onHealth, change);
  }

  /** How an attempt went; `member` knows it already. May eject it, if others are left. */
  observe(member: ProxyMember, outcome: Outcome, startedAt: number, now: number): void {
    const cause = member.outlier?.observe(outcome, startedAt, now);
    if (cause === undefined) return;
    let pool: ProxyPool = this;
    while (pool.heir !== null) pool = pool.heir;
    pool.eject(member, cause, now);
  }

  private eject(member: ProxyMember, cause: Outlier['cause'], now: number): void {
    const judgedOf = (pool: Pool<ProxyMember> | null) =>
      (pool?.members ?? []).flatMap(({ instance: { outlier, usable } }) =>
        outlier === null ? [] : [{ outlier, usable }],
      );
    const pools = [judgedOf(this.main), judgedOf(this.canary)].filter((pool) =>
      pool.some(({ outlier }) => outlier === member.outlier),
    );
    const ejection = judgeEjection(member.outlier!, cause, pools, now, this.parts.random());
    if (ejection === undefined) return;
    setHealthy(member.load, false, now);
    this.noteReturns(now);
    const { forMs } = ejection;
    this.changed({ route: this.route.id, target: member.address, state: 'ejected', cause, ejectedMs: forMs });
  }
}

function keyBy(by: HashBy, { headers, clientIp }: Pick<Picking, 'headers' | 'clientIp'>): number {
  if (by.kind === 'ip') return clientIp === '' ? noKey : hashText(clientIp);
  const value = by.kind === 'header' ? headers.get(by.name) : cookieValue(headers.get('cookie') ?? '', by.name);
  return value === null || value === undefined ? noKey : hashText(value);
}
