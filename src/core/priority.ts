/** What choosing needs to know of a member of a pool. */
export interface Candidate {
  /** 0 for drained: it counts for nothing here. */
  readonly weight: number;
  /** Lower ones are used first. */
  readonly priority: number;
  readonly healthy: boolean;
}

/**
 * Which members are used now:
 * `first`: the healthy ones of the first group; `spill`: of later groups too, as the first has too few;
 * `panic`: all, healthy or not, as too few are; `none`: there is none to use.
 */
export type PoolState = 'first' | 'spill' | 'panic' | 'none';

/**
 * Chooses the members that requests go to. Groups are taken by priority until what is healthy of them has, by weight, at least
 * `minAvailable` of the first group's whole weight. The healthy ones of the first group stay in when another one joins them.
 *
 * Panic: where no group has `panicThreshold` of its members healthy, all members are used. Health checks that fail nearly everywhere
 * are more often wrong (a check that is slow under load, a network between us and all of them) than right, and the few that are left
 * would go down under the load of all. A standby group that is up prevents it: that is what it is for.
 * @param members sorted by priority
 * @param minAvailable 0 to 1; a tiny one means "only when the whole first group is down"
 * @param panicThreshold 0 to 1; 0 for never: then none healthy is `none`, and the caller replies 503
 * @param into emptied, and filled with the chosen ones
 */
export function chooseActive<M extends Candidate>(
  members: readonly M[],
  minAvailable: number,
  panicThreshold: number,
  into: M[],
): PoolState {
  into.length = 0;
  let needed = -1;
  let available = 0;
  let holds = false;
  let groups = 0;
  for (let start = 0; start < members.length; ) {
    const { priority } = members[start];
    let count = 0;
    let healthy = 0;
    let weight = 0;
    let end = start;
    for (; end < members.length && members[end].priority === priority; end++) {
      const member = members[end];
      if (member.weight <= 0) continue;
      count++;
      weight += member.weight;
      if (!member.healthy) continue;
      healthy++;
      available += member.weight;
      into.push(member);
    }
    start = end;
    if (count === 0) continue;
    groups++;
    // The first group that is not drained as a whole is the one to live up to.
    if (needed < 0) needed = weight * minAvailable;
    holds ||= healthy >= count * panicThreshold && (healthy > 0 || panicThreshold === 0);
    if (available > 0 && available >= needed) break;
  }
  if (groups === 0) return 'none';
  if (!holds) {
    into.length = 0;
    for (const member of members) if (member.weight > 0) into.push(member);
    return 'panic';
  }
  if (into.length === 0) return 'none';
  return groups > 1 ? 'spill' : 'first';
}
