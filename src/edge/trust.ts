import net from 'node:net';

/**
 * Compiles a list of addresses and CIDRs to a test of a peer's address.
 * @throws RangeError naming the entry that is neither
 */
export function createTrust(proxies: readonly string[]): (peer: string) => boolean {
  if (proxies.length === 0) return () => false;
  const list = new net.BlockList();
  for (const entry of proxies) addEntry(list, entry.trim());
  return (peer) => list.check(peer, net.isIPv6(peer) ? 'ipv6' : 'ipv4');
}

function addEntry(list: net.BlockList, entry: string): void {
  const [address, bits, more] = entry.split('/');
  const version = net.isIP(address);
  const family = version === 6 ? 'ipv6' : 'ipv4';
  if (version === 0 || more !== undefined) throw new RangeError(notTrusted(entry));
  if (bits === undefined) return list.addAddress(address, family);
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 6 ? 128 : 32)) throw new RangeError(notTrusted(entry));
  list.addSubnet(address, Number(bits), family);
}

function notTrusted(entry: string): string {
  return `trusted proxy "${entry}": expected an address or a CIDR, such as 10.0.0.0/8 or fd00::/8`;
}
