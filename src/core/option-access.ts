import { type Cidr, isWithin, parseCidr } from './cidr.ts';
import type { AccessOptions } from './option-types.ts';
import { isMapping, type Kind, proven, type Say, show } from './pool-proof.ts';

/** Which clients are let in. */
export interface CompiledAccess {
  /** Null: all that are not denied. */
  readonly allow: readonly Cidr[] | null;
  readonly deny: readonly Cidr[];
}

const maxRanges = 10_000;

/** A list of addresses and CIDRs; `compileRanges` says more of each. */
export const rangeList: Kind = {
  expected: `a list of 1 to ${maxRanges} addresses and CIDRs such as 10.0.0.0/8`,
  is: (value) => Array.isArray(value) && value.length > 0 && value.length <= maxRanges,
};

/** Proves an option's `access`. @param value anything */
export function compileAccess(value: unknown, say: Say): CompiledAccess | null {
  if (!isMapping(value)) {
    say(`access is ${show(value)}; expected a mapping with allow, deny or both`);
    return null;
  }
  const { allow, deny } = proven(value, 'access', { allow: rangeList, deny: rangeList }, say);
  if (Object.values(value).every((given) => given === undefined)) say('access is empty; expected allow, deny or both');
  return Object.freeze({
    allow: allow === undefined ? null : compileRanges(allow as AccessOptions['allow'], 'access.allow', say),
    deny: compileRanges(deny as AccessOptions['deny'], 'access.deny', say),
  });
}

/** @param list what `rangeList` has proven; undefined for none @param where what it is called in messages */
export function compileRanges(list: readonly unknown[] | undefined, where: string, say: Say): readonly Cidr[] {
  const ranges: Cidr[] = [];
  for (const [index, text] of (list ?? []).entries()) {
    const range = typeof text === 'string' ? parseCidr(text) : `${show(text)} is not an address or a CIDR`;
    if (typeof range === 'string') say(`${where}[${index}]: ${range}`);
    else ranges.push(range);
  }
  return Object.freeze(ranges);
}

/** @param address the client's; what is no address is not in any range */
export function isLetIn({ allow, deny }: CompiledAccess, address: string): boolean {
  return !isWithin(deny, address) && (allow === null || isWithin(allow, address));
}
