import { isIP } from 'node:net';
import { parseCidr } from '../src/core/cidr.ts';

/** Each reads the text of a flag or a variable, or throws a RangeError whose message is what was expected. */

export function port(text: string): number {
  return whole(text, 0, 65_535, 'a port from 0 to 65535 (0: any free one)');
}

export function count(least: number, most: number): (text: string) => number {
  return (text) => whole(text, least, most, `a whole number from ${least} to ${most}`);
}

const truths: Record<string, boolean> = {
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
};

export function truth(text: string): boolean {
  const value = truths[text.toLowerCase()];
  if (value === undefined) throw new RangeError('true or false');
  return value;
}

const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Timers take 32 signed bits. */
const longestMs = 2 ** 31 - 1;

/** `500ms`, `30s`, `1.5m`, `2h`, `7d` → ms. @param mostMs default: what a timer can wait, 24 days */
export function duration(leastMs: number, mostMs: number = longestMs): (text: string) => number {
  return (text) => {
    const [, number, unit] = /^(\d{1,10}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
    const ms = Math.round(Number(number) * units[unit]);
    if (ms >= leastMs && ms <= mostMs) return ms;
    const least = leastMs === 0 ? '' : `, ${leastMs}ms or more`;
    const most = ms > mostMs ? `, ${Math.floor(mostMs / units.d)}d at most` : '';
    throw new RangeError(`a time such as 500ms, 30s or 5m${least}${most}`);
  };
}

/** `30000` → `30s`: how a time is shown. */
export function showDuration(ms: number): string {
  const [unit, size] = Object.entries(units).findLast(([, size]) => ms >= size && ms % size === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

const sizes: Record<string, number> = { '': 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** `4096`, `32KiB`, `1MiB` → bytes. */
export function bytes(least: number, most: number): (text: string) => number {
  return (text) => {
    const [, number, unit] = /^(\d{1,15})(B|KiB|MiB|GiB)?$/.exec(text) ?? [];
    const size = Number(number) * sizes[unit ?? ''];
    if (size >= least && size <= most) return size;
    throw new RangeError(`a size such as 16384 or 32KiB, from ${showBytes(least)} to ${showBytes(most)}`);
  };
}

/** `32768` → `32KiB`: how a size is shown. */
export function showBytes(size: number): string {
  const [unit, one] = Object.entries(sizes).findLast(([, one]) => size >= one && size % one === 0) ?? ['', 1];
  return `${size / one}${unit === 'B' ? '' : unit}`;
}

/** An address to bind. */
export function address(text: string): string {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0 || bare === 'localhost') return bare;
  throw new RangeError('an IPv4 or IPv6 address of this machine, or localhost');
}

/** Addresses and CIDRs, between commas or spaces. */
export function networks(text: string): string[] {
  const list = text.split(/[\s,]+/).filter((entry) => entry !== '');
  if (list.some((entry) => typeof parseCidr(entry) === 'string')) {
    throw new RangeError('addresses and CIDRs between commas, such as 10.0.0.0/8,fd00::/8');
  }
  return list;
}

/** Host names, between commas or spaces. */
export function names(text: string): string[] {
  const list = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '');
  if (list.every((entry) => /^[a-z0-9_](?:[a-z0-9._-]{0,252})$/.test(entry))) return list;
  throw new RangeError('host names between commas, such as edge.example.com');
}

/** A libSQL database: a file or a URL. */
export function databaseUrl(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1].toLowerCase() ?? 'file';
  // A database in memory would forget all at the end, and libSQL's forgets its tables even before.
  if (['file', 'libsql', 'http', 'https'].includes(scheme) && !text.includes(':memory:')) return text;
  throw new RangeError('a libSQL database: a path, file:/path/oo.db, libsql://… or https://…');
}

function whole(text: string, least: number, most: number, expected: string): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new RangeError(expected);
}

/** `http://10.0.0.5:11337`, as other machines call it. */
export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === '' && url.search === '' && url.hash === '';
  if (isPlain && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, '');
  throw new RangeError('a URL such as http://10.0.0.5:11337');
}

/** A name of one word. */
export function identifier(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/.test(text)) return text;
  throw new RangeError('a name of letters, digits and ._:-, up to 128');
}
