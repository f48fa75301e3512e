import { Gate } from '../core/admission-gate.ts';
import {
  type Balanced,
  createLoad,
  type Load,
  observeCancel,
  observeFailure,
  observeReply,
  observeStart,
} from '../core/balance-load.ts';
import { noKey, pickFrom } from '../core/balance-pick.ts';
import { compilePool, type Pool } from '../core/balance-pool.ts';
import { hashText } from '../core/hash.ts';
import type { HashBy, Members } from '../core/pool-types.ts';
import { RetryBudget } from '../core/retry-budget.ts';
import { cookieValue } from '../core/sticky.ts';
import type { CompiledRoute, Target } from '../core/types.ts';

/** A target with what this program has seen of it. */
export class ProxyMember implements Balanced {
  readonly target: Target;
  readonly address: string;
  readonly load: Load = createLoad(true, 0);
  inFlight = 0;
  /** `fetch` takes any number. */
  readonly full = false;

  constructor(target: Target) {
    this.target = target;
    this.address = target.href;
  }

  /** A request goes out: one of the others follows. In flight is what waits for a response's head: what follows is the runtime's. */
  start(now: number): void {
    this.inFlight++;
    observeStart(this.load, now);
  }

  reply(latencyMs: number, now: number): void {
    this.inFlight--;
    observeReply(this.load, latencyMs, now);
  }

  failure(now: number): void {
    this.inFlight--;
    observeFailure(this.load, now);
  }

  cancel(): void {
    this.inFlight--;
    observeCancel(this.load);
  }
}

/** What one request tells of itself, for picking. */
export interface Picking {
  readonly headers: Headers;
  /** '' where it is not known. */
  readonly clientIp: string;
  readonly now: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** What one route can pick from, for as long as the route is the same; the next one takes over what is known of targets that stay. */
export class ProxyPool {
  readonly route: CompiledRoute;
  readonly budget: RetryBudget;
  readonly gate = new Gate();
  private readonly main: Pool<ProxyMember>;
  private readonly canary: Pool<ProxyMember> | null;

  /** @param route its pool has targets, no service */
  constructor(route: CompiledRoute, before: ProxyPool | undefined, now: number, random: () => number) {
    const { pool } = route;
    this.route = route;
    this.budget = before?.budget ?? new RetryBudget();
    if (pool.gate !== null) this.gate.obey(pool.gate);
    const known = new Map(
      [before?.main, before?.canary]
        .flatMap((one) => one?.members ?? [])
        .map(({ instance }) => [instance.address, instance]),
    );
    const compiled = ({ targets }: Members, last: Pool<ProxyMember> | null | undefined) => {
      const members = targets.map(({ target, weight, priority }) => {
        const instance = known.get(target.href) ?? new ProxyMember(target);
        known.set(target.href, instance);
        return { instance, weight, priority };
      });
      return compilePool(members, pool.settings.balancing, now, random, last ?? undefined);
    };
    this.main = compiled(pool, before?.main);
    this.canary = pool.canary === null ? null : compiled(pool.canary, before?.canary);
  }

  /** Whether this request is one of the canary's. Ask once for each. */
  isCanary({ headers, random }: Picking): boolean {
    const { canary } = this.route.pool;
    if (canary === null) return false;
    const value = canary.headerName === '' ? null : headers.get(canary.headerName);
    if (value !== null && (canary.headerValue === '' || canary.headerValue === value)) return true;
    return canary.percent > 0 && random() * 100 < canary.percent;
  }

  /**
   * Picks a target for one attempt. Where all of the canary were tried, the others are asked.
   * @param tried those that this request was sent to
   * @returns undefined where all are drained
   */
  pick(picking: Picking, canary: boolean, tried: readonly ProxyMember[]): ProxyMember | undefined {
    const { now, random } = picking;
    const { balancing, hashBy } = this.route.pool.settings;
    const key = balancing.policy === 'hash' ? keyOf(hashBy, picking) : noKey;
    const of = (pool: Pool<ProxyMember>) => pickFrom(pool, tried, key, now, random);
    const first = canary && this.canary !== null ? of(this.canary) : undefined;
    return first !== undefined && !tried.includes(first) ? first : (of(this.main) ?? first);
  }
}

function keyOf(by: HashBy, { headers, clientIp }: Picking): number {
  if (by.kind === 'ip') return clientIp === '' ? noKey : hashText(clientIp);
  const value = by.kind === 'header' ? headers.get(by.name) : cookieValue(headers.get('cookie') ?? '', by.name);
  return value === null || value === undefined ? noKey : hashText(value);
}
