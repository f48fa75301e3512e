import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

/**
 * Whether an address is one of this machine's: a loopback one, one of its interfaces, or its name.
 * @param host name or address, IPv6 without brackets
 */
export function isOwnHost(host: string): boolean {
  const name = host.toLowerCase();
  if (isIP(name) === 0) return name === 'localhost' || name.endsWith('.localhost') || name === hostname().toLowerCase();
  const bare = name.startsWith('::ffff:') && isIP(name.slice(7)) === 4 ? name.slice(7) : name;
  if (bare.startsWith('127.') || bare === '::1' || bare === '0.0.0.0' || bare === '::') return true;
  return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === bare));
}

/** Whether a name leads to this machine, whatever its addresses are (RFC 6761 §6.3): of both families, and they are one server. */
export function isLocalName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** Without addresses of a kind that this machine has none of itself, unless there are no others: as getaddrinfo's AI_ADDRCONFIG. */
export function reachable(addresses: readonly string[]): readonly string[] {
  if (!addresses.some((address) => isIP(address) === 6)) return addresses;
  const has = (family: string) =>
    Object.values(networkInterfaces()).some((list) =>
      list?.some((own) => own.family === family && !own.internal && !own.address.startsWith('fe80:')),
    );
  // Loopback addresses need no network.
  const usable = addresses.filter((address) => isLoopback(address) || has(isIP(address) === 4 ? 'IPv4' : 'IPv6'));
  return usable.length > 0 ? usable : addresses;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
