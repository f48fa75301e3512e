import { type Cidr, isWithin, parseCidr } from '../core/cidr.ts';

/**
 * Compiles a list of addresses and CIDRs to a test of a peer's address.
 * @throws RangeError naming the entry that is neither
 */
export function createTrust(proxies: readonly string[]): (peer: string) => boolean {
  if (proxies.length === 0) return () => false;
  const ranges = proxies.map(rangeOf);
  return (peer) => isWithin(ranges, peer);
}

function rangeOf(text: string): Cidr {
  const range = parseCidr(text);
  if (typeof range === 'string') throw new RangeError(`Trusted proxies: ${range}`);
  return range;
}
