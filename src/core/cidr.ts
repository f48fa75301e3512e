/** A range of addresses: all that share the first `bits` bits with `bytes`. */
export interface Cidr {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/**
 * Parses an address or a CIDR: `10.0.0.0/8`, `fd00::/8`, `127.0.0.1`.
 * @returns what is wrong and what was expected, as one sentence, if it is neither
 */
export function parseCidr(text: string): Cidr | string {
  const [address, length, more] = text.trim().split('/');
  const bytes = parseAddress(address);
  const most = bytes === undefined ? 0 : bytes.length * 8;
  const bits = length === undefined ? most : /^[0-9]{1,3}$/.test(length) ? Number(length) : -1;
  if (bytes !== undefined && more === undefined && bits >= 0 && bits <= most) return { bytes, bits };
  return `'${text}' is not an address or a CIDR; expected one such as 10.0.0.0/8 or fd00::/8`;
}

/**
 * @param address IPv4, mapped into IPv6 or not, or IPv6 without brackets
 * @returns false for what is not an address
 */
export function isWithin(ranges: readonly Cidr[], address: string): boolean {
  const bytes = parseAddress(address);
  return bytes !== undefined && ranges.some((range) => contains(range, bytes));
}

function contains({ bytes, bits }: Cidr, address: readonly number[]): boolean {
  if (bytes.length !== address.length) return false;
  for (let i = 0; i * 8 < bits; i++) {
    const shift = Math.max(0, 8 - (bits - i * 8));
    if (bytes[i] >> shift !== address[i] >> shift) return false;
  }
  return true;
}

/** 4 or 16 bytes; IPv4 mapped into IPv6 is IPv4. */
function parseAddress(text: string): number[] | undefined {
  if (!text.includes(':')) return parseIpv4(text);
  if (!/^[0-9A-Fa-f:.]+$/.test(text) || !URL.canParse(`http://[${text}]/`)) return undefined;
  const [before, after] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const head = groupsOf(before);
  const tail = groupsOf(after ?? '');
  const groups = [...head, ...Array(8 - head.length - tail.length).fill(0), ...tail];
  const bytes = groups.flatMap((group) => [group >> 8, group & 255]);
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0) ? bytes.slice(12) : bytes;
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function parseIpv4(text: string): number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part))) return undefined;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : undefined;
}

/**
 * Whose an address is: an IPv4 address itself; of an IPv6 address its /64, which is the least that one customer gets.
 * @returns the same text for all of the same; what is no address, cut at 64 characters
 */
export function ownerOf(address: string): string {
  const bytes = parseAddress(address);
  if (bytes === undefined) return address.slice(0, 64);
  if (bytes.length === 4) return bytes.join('.');
  const groups = [0, 2, 4, 6].map((i) => ((bytes[i] << 8) | bytes[i + 1]).toString(16));
  return `${groups.join(':')}::/64`;
}
