import { createLoad } from './balance-load.ts';
import { noKey, pickFrom } from './balance-pick.ts';
import { compilePool, type Member, type Policy, type Pool } from './balance-pool.ts';
import type { PoolSettings } from './pool-types.ts';

/** What is known of one instance of a pool. */
export interface MemberFacts {
  /** As pools know it: the target, with `@address` where its name has several. */
  readonly address: string;
  readonly weight: number;
  readonly priority: number;
  /** In words: `Healthy`, `Unreachable`; `Unknown`: it is not probed. */
  readonly health: string;
  /** Probes do not reach it. */
  readonly down: boolean;
  /** Why, in one line; '' for nothing to say. */
  readonly reason: string;
  /** Null: it is not ejected. */
  readonly ejected: { readonly cause: string; readonly leftMs: number } | null;
  /** `closed`, `half-open`, `open`; '' without one. */
  readonly breaker: string;
  readonly inFlight: number;
}

/** Whether a request would be sent there. */
export interface MemberView extends MemberFacts {
  /** `yes`: this one, or one of those that share the requests; `no`; `fallback`: only where those that are picked fail or are busy. */
  readonly picked: 'yes' | 'no' | 'fallback';
  /** Its part of the pool's requests, 0 to 1; 0 for none. */
  readonly share: number;
  readonly why: string;
}

/** What of the request leads to one instance. */
export interface MemberChoice {
  /** For `hash`; `noKey` for none. */
  readonly key: number;
  /** Where its sticky cookie leads: a member's address; undefined: nowhere. */
  readonly sticky: string | undefined;
}

/** Which instances of a pool a request may be sent to. */
export interface PoolView {
  readonly policy: Policy;
  /** As `PoolState`: `first`, `spill`, `panic`, `none`. */
  readonly state: string;
  readonly members: readonly MemberView[];
  /** The one that it is sent to, where that is certain; '' where it is drawn. */
  readonly chosen: string;
  /** One line. */
  readonly why: string;
}

interface Candidate {
  readonly address: string;
  readonly inFlight: number;
  readonly full: boolean;
  readonly load: ReturnType<typeof createLoad>;
}

/**
 * Picks as a worker does, with what is known of the instances: by its rules for who is used at all, and where the request decides, by its pick.
 * @param strict all down means none, as with a service; a route's are used all the same
 */
export function explainPool(
  facts: readonly MemberFacts[],
  { balancing }: Pick<PoolSettings, 'balancing'>,
  { key, sticky }: MemberChoice,
  strict: boolean,
): PoolView {
  const specs = facts.map(({ address, weight, priority, down, ejected, breaker, inFlight }) => {
    const load = createLoad(!down && ejected === null, Number.NEGATIVE_INFINITY);
    const instance: Candidate = { address, inFlight, full: breaker === 'open', load };
    return { instance, weight, priority };
  });
  // What is drawn is drawn at random: only what the key decides is told.
  const pool = compilePool(specs, balancing, 0, () => 0.5);
  const allDown = strict && facts.length > 0 && facts.every(({ down }) => down) && pool.healthy === 0;
  const state = allDown ? 'none' : pool.state;
  const stuck = allDown ? undefined : stickTo(pool.members, sticky, state);
  const alone = pool.members.length === 1 && pool.members[0].weight > 0 && !allDown;
  const hashed = balancing.policy === 'hash' && key !== noKey && !allDown;
  const only = stuck ?? (alone ? pool.members[0].instance : hashed ? certainPick(pool, key) : undefined);
  const spared = !allDown && !alone && pool.active.every(({ instance }) => instance.full);
  const views = facts.map((one): MemberView => {
    const member = pool.members.find(({ instance }) => instance.address === one.address)!;
    const isHelper = spared && !member.active && member.healthy && member.weight > 0 && one.breaker !== 'open';
    if (isHelper && stuck === undefined) return { ...one, picked: 'yes', share: 0, why: whyHelper };
    const isActive = member.active && !allDown;
    const share = isActive && pool.total > 0 ? member.effective / pool.total : 0;
    if (only !== undefined && only.address === one.address)
      return { ...one, picked: 'yes', share, why: whyOnly(stuck !== undefined, alone, one) };
    const picked = !isActive || one.breaker === 'open' ? 'no' : only === undefined ? 'yes' : 'fallback';
    return { ...one, picked, share, why: whyNot(one, member, state, balancing.minAvailable, picked, share) };
  });
  return { policy: balancing.policy, state, members: views, chosen: only?.address ?? '', why: whyPool(state, views) };
}

const whyHelper = 'those before it are spared by their breakers: it helps';

/** Where the key's own instance is spared by its breaker, others may be drawn at random: two draws that differ tell that. */
function certainPick(pool: Pool<Candidate>, key: number): Candidate | undefined {
  const first = pickFrom(pool, [], key, 0, () => 0);
  return first === pickFrom(pool, [], key, 0, () => 1 - Number.EPSILON) ? first : undefined;
}

/** As `pickSticky` has it. */
function stickTo(members: readonly Member<Candidate>[], sticky: string | undefined, state: string) {
  const instance = members.find((member) => member.instance.address === sticky)?.instance;
  if (instance === undefined || instance.full) return undefined;
  return instance.load.healthy || state === 'panic' || members.length === 1 ? instance : undefined;
}

function whyOnly(isStuck: boolean, isAlone: boolean, facts: MemberFacts): string {
  if (isStuck) return 'the sticky cookie names it';
  if (!isAlone) return 'the key of the request is its own';
  if (facts.breaker === 'open') return 'it is the only one, but its breaker is open: 503 until it lets one through';
  const trouble = troubleOf(facts);
  return trouble === '' ? 'it is the only one' : `it is the only one, whatever its state (${trouble})`;
}

function troubleOf({ down, ejected, reason }: MemberFacts): string {
  if (down) return `probes fail${reason === '' ? '' : `: ${reason}`}`;
  return ejected === null ? '' : `ejected for ${Math.ceil(ejected.leftMs / 1_000)} s more: ${ejected.cause}`;
}

function whyNot(
  facts: MemberFacts,
  { weight, active, healthy }: Member<Candidate>,
  state: string,
  minAvailable: number,
  picked: MemberView['picked'],
  share: number,
): string {
  const trouble = troubleOf(facts);
  if (facts.breaker === 'open') return 'its breaker is open: it is spared until it lets one through';
  if (weight <= 0) return 'it is drained (weight 0): only who sticks to it gets there';
  if (state === 'panic' && trouble !== '') return `too few are healthy, so all are used (${trouble})`;
  if (!healthy || trouble !== '') return trouble;
  if (!active)
    return `its priority is ${facts.priority}: it helps when less than ${Math.round(minAvailable * 100)} % of those before it are healthy`;
  if (picked === 'fallback') return 'when the one that is picked fails, or is busy';
  const part = `${Math.round(share * 100)} % by weight`;
  return facts.breaker === 'half-open' ? `${part}; its breaker lets one at a time through` : part;
}

function whyPool(state: string, members: readonly MemberView[]): string {
  if (members.length === 0) return 'it has no instance';
  if (state === 'none') return 'none of its instances can be used';
  if (state === 'panic') return 'too few of its instances are healthy: all are used';
  return state === 'spill' ? 'too few of the first group are healthy: others help' : 'its healthy instances are used';
}
