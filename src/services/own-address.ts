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
