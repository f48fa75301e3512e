import type { Balanced } from './balance-load.ts';
import { hashText } from './hash.ts';
import { chooseActive, type PoolState } from './priority.ts';
import { isRamping, rampedWeight, rampStepMs } from './slow-start.ts';

export const policies = ['power-of-two', 'least-requests', 'round-robin', 'random', 'hash'] as const;

/**
 * `power-of-two`: of two instances drawn by weight, the one with the lower latency × requests in flight (peak EWMA);
 * `least-requests`: the fewest requests in flight by weight; `round-robin`: in turn, smoothly by weight, as nginx does;
 * `random`: by weight; `hash`: the same key, the same instance.
 */
export type Policy = (typeof policies)[number];

/** How a pool balances. Every default is in `defaultBalancing`. */
export interface Balancing {
  readonly policy: Policy;
  /** With `hash`: no instance gets more than this many times its fair share of what is in flight; its next keys go on. 0: no bound; else above 1. */
  readonly boundedLoad: number;
  /** How long the weight of an instance that came up grows, ms; 0: not at all. Not with `hash`: keys would change homes all the while. */
  readonly slowStartMs: number;
  /** How much of the first group, by weight, must be healthy for the second one to stay out: see `chooseActive`. */
  readonly minAvailable: number;
  /** Below which share of healthy members all are used: see `chooseActive`. 0: never. */
  readonly panicThreshold: number;
}

export const defaultBalancing: Balancing = {
  policy: 'power-of-two',
  boundedLoad: 0,
  slowStartMs: 0,
  minAvailable: 0.5,
  panicThreshold: 0.25,
};

/** A member as it is configured. */
export interface MemberSpec<I extends Balanced> {
  readonly instance: I;
  /** 0 and up, 1 by default; only the ratios count. 0 is drained: it gets nothing new, but who sticks to it may stay. */
  readonly weight?: number;
  /** Whole, 0 (the first group) by default. */
  readonly priority?: number;
}

/** A member with this pool's state of it. */
export interface Member<I extends Balanced> {
  readonly instance: I;
  readonly weight: number;
  readonly priority: number;
  /** Of its address: `rendezvousScore`. */
  readonly seed: number;
  /** As of the last refresh. */
  healthy: boolean;
  /** In the active ones as of the last refresh. */
  active: boolean;
  /** The weight with its slow start, as of the last refresh. */
  effective: number;
  /** Round robin: how far it is ahead of its turn. */
  current: number;
}

/**
 * The compiled form of a pool, as one data worker has it. Only functions of this room change it.
 *
 * How state is shared between data workers: not at all; each decides by what it has seen itself, and no pick waits for another process.
 * - Power of two and least requests stay sound: the kernel deals connections out at random, so that each worker sees a fair sample of the
 *   requests and evens out its own; a sum of even loads is even. A queue that other workers have built up shows as latency. With less than one
 *   request in flight per worker and instance, ties decide, and break at random: workers don't all begin with the same instance.
 * - Round robin, and the draws of power of two and least requests, start at a random place in each worker, for the same reason.
 * - The hash depends on addresses and weights only: all workers, and all servers, agree on it, also after a restart.
 * - Sticky tokens are worth the same to all who share the secret.
 * - Health, weights and members come as messages from the one process that knows: the same for all, a moment apart. A passive outlier that one
 *   worker has seen reaches the others in this way.
 */
export interface Pool<I extends Balanced> {
  readonly balancing: Balancing;
  /** Sorted by priority, then address: the order in which they were configured changes nothing. */
  readonly members: readonly Member<I>[];
  /** Which of them requests go to. */
  readonly active: Member<I>[];
  /** Which ones those are; `panic` should be said to people. */
  state: PoolState;
  /** How many members are healthy, drained ones left out. */
  healthy: number;
  /** Sums of the active ones' effective weights, from the first on. */
  sums: Float64Array;
  /** The last of them. */
  total: number;
  /** The active ones' effective weight where all have the same one, else 0. */
  uniform: number;
  /** Where the last even draw was, 0 to 1: `nextIndex` of balance-pick.ts. */
  phase: number;
  /** Hash: the active member of each slot, plus 1; 0 while unknown. Null in small pools, which need no memory. */
  slots: Uint16Array | null;
  /** From when on all of this is to be made new, epoch ms. */
  refreshAt: number;
}

/**
 * Makes a pool of its members. A change of the members or of the policy makes a new pool, given the one before: what stays, by address, keeps its
 * place in the turn; all else that is known of an instance is in its `load`, and so stays anyway.
 * An address that is given twice is one member with both weights.
 * @param random from 0 up to, not including, 1
 */
export function compilePool<I extends Balanced>(
  specs: readonly MemberSpec<I>[],
  balancing: Partial<Balancing>,
  now: number,
  random: () => number,
  before?: Pool<I>,
): Pool<I> {
  const known = new Map(before?.members.map((member) => [member.instance.address, member.current]));
  const members = new Map<string, Member<I>>();
  for (const { instance, weight = 1, priority = 0 } of specs) {
    const { address } = instance;
    const double = members.get(address);
    const whole = weight + (double?.weight ?? 0);
    members.set(address, {
      instance,
      weight: whole,
      priority: double?.priority ?? priority,
      seed: hashText(address),
      healthy: false,
      active: false,
      effective: whole,
      current: known.get(address) ?? random() * whole,
    });
  }
  const pool: Pool<I> = {
    balancing: { ...defaultBalancing, ...balancing },
    members: [...members.values()].sort(
      (a, b) => a.priority - b.priority || (a.instance.address < b.instance.address ? -1 : 1),
    ),
    active: [],
    state: 'none',
    healthy: 0,
    sums: new Float64Array(0),
    total: 0,
    uniform: 0,
    phase: before?.phase ?? random(),
    slots: null,
    refreshAt: 0,
  };
  refreshPool(pool, now);
  return pool;
}

/** To be called when the health of one of its instances has changed: the next pick looks at all of them again. */
export function invalidatePool<I extends Balanced>(pool: Pool<I>): void {
  pool.refreshAt = 0;
}

/** Looks at the health and the ramps of all members again. Picks call it when it is time; who shows a pool's state may, too. */
export function refreshPool<I extends Balanced>(pool: Pool<I>, now: number): void {
  const { members, active, balancing } = pool;
  pool.healthy = 0;
  for (const member of members) {
    member.healthy = member.instance.load.healthy;
    member.active = false;
    if (member.healthy && member.weight > 0) pool.healthy++;
  }
  pool.state = chooseActive(members, balancing.minAvailable, balancing.panicThreshold, active);
  const slowStartMs = balancing.policy === 'hash' ? 0 : balancing.slowStartMs;
  let ramping = false;
  if (pool.sums.length !== active.length) pool.sums = new Float64Array(active.length);
  pool.total = 0;
  pool.uniform = active.length > 0 ? -1 : 0;
  for (let i = 0; i < active.length; i++) {
    const member = active[i];
    const { upSince } = member.instance.load;
    member.active = true;
    member.effective = rampedWeight(member.weight, upSince, slowStartMs, now);
    ramping ||= isRamping(upSince, slowStartMs, now);
    pool.total += member.effective;
    pool.sums[i] = pool.total;
    if (pool.uniform < 0) pool.uniform = member.effective;
    else if (pool.uniform !== member.effective) pool.uniform = 0;
  }
  // Who was away, or had another weight, must not make up for it in one go.
  for (const member of active) member.current = Math.max(-pool.total, Math.min(pool.total, member.current));
  pool.slots?.fill(0);
  pool.refreshAt = ramping ? now + rampStepMs : Number.POSITIVE_INFINITY;
}
