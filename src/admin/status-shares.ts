import { instanceKey } from '../core/pool-compile.ts';
import type { Members, PoolSpec } from '../core/pool-types.ts';
import { parseTarget } from '../core/target.ts';
import { withoutAddress } from './rollout-drain.ts';

/** What a configuration says of the instances of one pool. */
export interface Membership {
  readonly spec: PoolSpec;
  readonly skipVerify: boolean;
  /** Of a service: the urls that have registered. */
  readonly registered: readonly string[];
}

/** An instance's part of the requests of a pool, 0 to 1, as far as weights say. */
export interface Share {
  /** `service web`. */
  readonly name: string;
  readonly share: number;
}

/** Keys of instances without addresses, and the part of the requests that the canary's get. */
interface Sides {
  readonly main: ReadonlySet<string>;
  readonly canary: ReadonlySet<string>;
  readonly part: number;
}

const nobody: Sides = { main: new Set(), canary: new Set(), part: 0 };

/**
 * Which pools pick an instance, by its key. A worker that has had no request since a change has the members from before it: those don't count.
 * @param pools what workers say: effective weights by key, by the pool's name
 * @param membershipOf undefined: there is no such pool any more
 */
export function sharesOf(
  pools: Iterable<readonly [name: string, weights: ReadonlyMap<string, number>]>,
  membershipOf: (name: string) => Membership | undefined,
): Map<string, Share[]> {
  const shares = new Map<string, Share[]>();
  for (const [name, weights] of pools) {
    const { main, canary, part } = sidesOf(name, membershipOf);
    for (const [keys, whole] of [
      [main, 1 - part],
      [canary, part],
    ] as const) {
      const own = [...weights].filter(([key]) => keys.has(withoutAddress(key)));
      const total = own.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [key, weight] of own) {
        const share = { name, share: total > 0 ? (whole * weight) / total : 0 };
        shares.set(key, [...(shares.get(key) ?? []), share]);
      }
    }
  }
  return shares;
}

function sidesOf(name: string, membershipOf: (name: string) => Membership | undefined): Sides {
  const membership = membershipOf(name);
  if (membership === undefined) return nobody;
  const { spec } = membership;
  const { canary } = spec;
  const keys = (members: Members): ReadonlySet<string> => {
    if (members.service === '' || spec.name === `service ${members.service}`) return ownKeys(membership, members);
    const of = sidesOf(`service ${members.service}`, membershipOf);
    return new Set([...of.main, ...of.canary]);
  };
  if (canary !== null) return { main: keys(spec), canary: keys(canary), part: canary.percent / 100 };
  const leads = spec.service !== '' && spec.name !== `service ${spec.service}`;
  return leads ? sidesOf(`service ${spec.service}`, membershipOf) : { ...nobody, main: keys(spec) };
}

function ownKeys({ spec, skipVerify, registered }: Membership, { service, targets }: Members): Set<string> {
  const list = service === '' ? targets.map(({ target }) => target) : registered.map(parseTarget);
  // The registry keeps urls in normal form only.
  const good = list.filter((target) => typeof target !== 'string');
  return new Set(good.map((target) => instanceKey(target, skipVerify, spec.settings.instance)));
}
