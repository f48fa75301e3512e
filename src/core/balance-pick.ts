import { type Balanced, isCheaper } from './balance-load.ts';
import { type Member, type Pool, refreshPool } from './balance-pool.ts';
import { rendezvousDraw, rendezvousScore, slotCount, slotOf } from './hash.ts';

/** Pools of more active members remember who has which slot: 128 KB, and no scores to compute. */
const smallPool = 64;
const maxSlotMembers = 0xffff;

/** The key of a request that has none: a hash pool balances it as power of two. */
export const noKey = -1;

const untried: readonly never[] = [];

/**
 * Picks the instance for one attempt of a request, by the pool's policy, among its active members. Allocates nothing.
 *
 * 1. A pool of a single member picks it whatever its state: keeping it out helps no one. Only a drained one (weight 0) gets nothing.
 * 2. What the policy says, unless that one was tried or is full; then, of all members with a weight:
 * 3. active ones that were not tried; 4. healthy ones of other groups that were not tried; 5. and 6. the same that were tried:
 *    another connection to one of them may still do. Never an unhealthy one, but in panic.
 * @param tried instances already attempted for this request
 * @param key for `hash`: `hashText` or `hashBytes` of the client's address, the header's or the cookie's value; else, or without one, `noKey`
 * @param random from 0 up to, not including, 1
 * @returns undefined when none can take it; the caller queues it, or replies OO_NO_INSTANCE
 */
export function pickFrom<I extends Balanced>(
  pool: Pool<I>,
  tried: readonly I[],
  key: number,
  now: number,
  random: () => number,
): I | undefined {
  if (pool.members.length === 1) return pool.members[0].weight > 0 ? pool.members[0].instance : undefined;
  if (now >= pool.refreshAt) refreshPool(pool, now);
  if (pool.active.length === 0) return undefined;
  switch (pool.balancing.policy) {
    case 'round-robin':
      return usable(nextInTurn(pool), pool, tried, random);
    case 'random':
      return usable(pool.active[indexAt(pool, random() * pool.total)], pool, tried, random);
    case 'least-requests':
      return leastRequests(pool, tried, random)?.instance ?? otherwise(pool, tried, random);
    case 'hash':
      if (key >= 0) return byHash(pool, tried, slotOf(key)) ?? otherwise(pool, tried, random);
      return powerOfTwo(pool, tried, now, random);
    default:
      return powerOfTwo(pool, tried, now, random);
  }
}

function isOpen<I extends Balanced>(instance: I, tried: readonly I[]): boolean {
  return !instance.full && (tried.length === 0 || !tried.includes(instance));
}

function usable<I extends Balanced>(
  member: Member<I>,
  pool: Pool<I>,
  tried: readonly I[],
  random: () => number,
): I | undefined {
  return isOpen(member.instance, tried) ? member.instance : otherwise(pool, tried, random);
}

/** When the policy's choice can't be had: steps 3 to 6 of `pickFrom`, in each the least busy. */
function otherwise<I extends Balanced>(pool: Pool<I>, tried: readonly I[], random: () => number): I | undefined {
  return (
    leastBusy(pool.active, tried, false, random) ??
    leastBusy(pool.members, tried, true, random) ??
    (tried.length > 0
      ? (leastBusy(pool.active, untried, false, random) ?? leastBusy(pool.members, untried, true, random))
      : undefined)
  )?.instance;
}

/**
 * The fewest requests in flight by weight, the one to come counted by half: so that what is in flight is shared out by weight, and a weight of 1 does not get
 * each request that meets it idle next to a busy 100 (the rounding of Webster's method). Where that one is idle, all idle ones are as good,
 * and share by weight: so an idle pool is balanced, too. Ties break at random.
 * @param others only healthy ones with a weight that are not active; false: the members as given
 */
function leastBusy<I extends Balanced>(
  members: readonly Member<I>[],
  tried: readonly I[],
  others: boolean,
  random: () => number,
): Member<I> | undefined {
  let least: Member<I> | undefined;
  let leastInFlight = 0;
  let ties = 0;
  let idle: Member<I> | undefined;
  let idleWeight = 0;
  for (let i = 0; i < members.length; i++) {
    const member = members[i];
    if (others && (member.active || !member.healthy || member.weight <= 0)) continue;
    if (!isOpen(member.instance, tried)) continue;
    const { inFlight } = member.instance;
    const { effective } = member;
    // Each of those seen so far stays with the chance that it has among them.
    if (inFlight <= 0) {
      idleWeight += effective;
      if (idle === undefined || random() * idleWeight < effective) idle = member;
    }
    const difference =
      least === undefined ? -1 : (inFlight + 0.5) * least.effective - (leastInFlight + 0.5) * effective;
    if (difference > 0) continue;
    ties = difference < 0 ? 1 : ties + 1;
    // Among idle ones the other draw decides.
    if (difference < 0 || (inFlight > 0 && random() * ties < 1)) {
      least = member;
      leastInFlight = inFlight;
    }
  }
  return leastInFlight > 0 ? least : (idle ?? least);
}

/**
 * One is drawn evenly by weight, and stays unless it has too much: then the least busy of all gets it. So with equal weights always one with the fewest in
 * flight, ties by the draw; with others the weights hold also where little is in flight, and the fewest by weight would be no balance: of 1 and 7, one
 * request is more for the 1 than six are for the 7, so that it would get none at all while there are fewer.
 */
function leastRequests<I extends Balanced>(
  pool: Pool<I>,
  tried: readonly I[],
  random: () => number,
): Member<I> | undefined {
  const { active, uniform } = pool;
  const drawn = active[nextIndex(pool)];
  const least = isIdle(drawn, tried) ? drawn : leastBusy(active, tried, false, random);
  if (least === undefined || least === drawn || !isOpen(drawn.instance, tried)) return least;
  let inFlight = 1;
  if (uniform === 0) for (let i = 0; i < active.length; i++) inFlight += active[i].instance.inFlight;
  return hasTooMuch(drawn, least, inFlight, uniform > 0 ? 0 : pool.total) ? least : drawn;
}

function isIdle<I extends Balanced>({ instance }: Member<I>, tried: readonly I[]): boolean {
  return instance.inFlight <= 0 && isOpen(instance, tried);
}

/**
 * Whether a member that the draw says has so much by its weight that another one, with this request, would have no more than that; and, where weights
 * differ, a whole request more than its part of what is in flight: as requests are not fractions, a small weight that has one has more than
 * its part already, and would get a fifth less than its share.
 * @param inFlight of all that are compared, this one included
 * @param total their weights; 0 where those are equal
 */
function hasTooMuch<I extends Balanced>(drawn: Member<I>, other: Member<I>, inFlight: number, total: number): boolean {
  const has = drawn.instance.inFlight;
  if ((other.instance.inFlight + 1) * drawn.effective > has * other.effective) return false;
  return total === 0 || has - 1 >= (inFlight * drawn.effective) / total;
}

/** Smooth weighted round robin: each gains its weight, the one ahead is picked, and gives back what all have gained. */
function nextInTurn<I extends Balanced>(pool: Pool<I>): Member<I> {
  const { active } = pool;
  let ahead = active[0];
  for (let i = 0; i < active.length; i++) {
    const member = active[i];
    member.current += member.effective;
    if (member.current > ahead.current) ahead = member;
  }
  ahead.current -= pool.total;
  return ahead;
}

/** The golden ratio's: its multiples fall more evenly than those of any other number. */
const phaseStep = 0.618033988749895;

/**
 * Draws an active member by weight: in a worker's first 10,000 draws, as in any others, each gets its share to a few requests, where a random draw would leave
 * ten members 3 % off it on average. Workers begin at random places.
 */
function nextIndex<I extends Balanced>(pool: Pool<I>): number {
  const phase = pool.phase + phaseStep;
  pool.phase = phase < 1 ? phase : phase - 1;
  return indexAt(pool, pool.phase * pool.total);
}

/** The member at a place of all weights laid end to end. */
function indexAt<I extends Balanced>(pool: Pool<I>, place: number): number {
  const { sums, uniform } = pool;
  let high = sums.length - 1;
  if (uniform > 0) return Math.min(high, Math.floor(place / uniform));
  let low = 0;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle] > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Draws two by weight, never the same, and keeps the first unless the second clearly is cheaper. As ties go to the first draw, and that is by weight,
 * so are all picks of an idle pool, with any weights.
 */
function powerOfTwo<I extends Balanced>(
  pool: Pool<I>,
  tried: readonly I[],
  now: number,
  random: () => number,
): I | undefined {
  const { active, sums } = pool;
  const at = nextIndex(pool);
  const first = active[at];
  if (active.length === 1) return usable(first, pool, tried, random);
  // The second draw is from what is left when the first one's stretch is cut out.
  const place = random() * (pool.total - first.effective);
  const start = sums[at] - first.effective;
  let other = indexAt(pool, place < start ? place : place + first.effective);
  // A rounding error at the edge of the stretch.
  if (other === at) other = at === 0 ? 1 : at - 1;
  const second = active[other];
  const firstOpen = isOpen(first.instance, tried);
  if (!isOpen(second.instance, tried)) return firstOpen ? first.instance : otherwise(pool, tried, random);
  if (!firstOpen) return second.instance;
  const firstInFlight = first.instance.inFlight;
  const secondInFlight = second.instance.inFlight;
  const firstLoad = (firstInFlight + 1) / first.effective;
  const secondLoad = (secondInFlight + 1) / second.effective;
  // Of two that are as fast, the draw has taken the weights into account.
  const weights = pool.uniform > 0 ? 0 : first.effective + second.effective;
  const lighter = hasTooMuch(first, second, firstInFlight + secondInFlight + 1, weights);
  return isCheaper(second.instance.load, first.instance.load, secondLoad, firstLoad, lighter, now)
    ? second.instance
    : first.instance;
}

/** The slot's owner; if it is tried, full, or over its bound, the one that wants the slot most of the rest. */
function byHash<I extends Balanced>(pool: Pool<I>, tried: readonly I[], slot: number): I | undefined {
  const owner = pool.active[ownerOf(pool, slot)];
  const bound = boundOf(pool);
  if (isOpen(owner.instance, tried) && isWithin(owner, bound)) return owner.instance;
  const next = wantsMost(pool, slot, tried, bound);
  // The bound is no reason to refuse: if all are over it (weights are fractions, requests are not), it is left out.
  return (next < 0 && bound > 0 ? pool.active[wantsMost(pool, slot, tried, 0)] : pool.active[next])?.instance;
}

function ownerOf<I extends Balanced>(pool: Pool<I>, slot: number): number {
  const count = pool.active.length;
  if (count <= smallPool || count >= maxSlotMembers) return wantsMost(pool, slot, null, 0);
  pool.slots ??= new Uint16Array(slotCount);
  const remembered = pool.slots[slot];
  if (remembered > 0) return remembered - 1;
  const owner = wantsMost(pool, slot, null, 0);
  pool.slots[slot] = owner + 1;
  return owner;
}

/**
 * @param tried null: also those that are full
 * @param bound 0 for none
 * @returns its index, or -1
 */
function wantsMost<I extends Balanced>(pool: Pool<I>, slot: number, tried: readonly I[] | null, bound: number): number {
  const { active, uniform } = pool;
  let most = -1;
  let mostScore = -1;
  for (let i = 0; i < active.length; i++) {
    const member = active[i];
    const { seed } = member;
    const score = uniform > 0 ? rendezvousDraw(slot, seed) : rendezvousScore(slot, seed, member.effective);
    if (score <= mostScore) continue;
    if (tried !== null && !(isOpen(member.instance, tried) && isWithin(member, bound))) continue;
    most = i;
    mostScore = score;
  }
  return most;
}

/** How many requests in flight a member may have per unit of its weight, this one counted; 0 for no bound. */
function boundOf<I extends Balanced>(pool: Pool<I>): number {
  const { boundedLoad } = pool.balancing;
  if (boundedLoad <= 0) return 0;
  let inFlight = 1;
  for (let i = 0; i < pool.active.length; i++) inFlight += pool.active[i].instance.inFlight;
  return (boundedLoad * inFlight) / pool.total;
}

function isWithin<I extends Balanced>(member: Member<I>, bound: number): boolean {
  return bound <= 0 || member.instance.inFlight + 1 <= Math.ceil(bound * member.effective);
}
