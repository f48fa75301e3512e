import { noKey } from '../core/balance-pick.ts';
import { hashBytes, hashText } from '../core/hash.ts';
import type { CompiledCanary, PoolSettings, PoolSpec } from '../core/pool-types.ts';
import { cookieValue } from '../core/sticky.ts';
import { findField, found } from './request-field.ts';
import type { RequestRegisters } from './request-head.ts';

/** What of a request decides which instance it gets, as far as its pool asks for it. */
export interface Choice {
  /** For `hash`: `hashText` of the client's address, the header's or the cookie's value; else `noKey`. */
  key: number;
  /** The value of the pool's sticky cookie. */
  token: string | undefined;
  /** It goes to the canary, if there is one. */
  canary: boolean;
}

/** Of pools that ask for nothing. */
export const plainChoice: Choice = Object.freeze({ key: noKey, token: undefined, canary: false });

const cookieName = Buffer.from('cookie');

/** What a pool asks of requests, found out once. */
export interface Asked {
  /** Its canary; null for none. */
  readonly canary: CompiledCanary | null;
  readonly settings: PoolSettings;
  readonly headerName: Buffer;
  readonly headerValue: Buffer;
  readonly hashName: Buffer;
}

/** What a pool asks of requests; null for nothing, as most do. */
export function askedOf({ settings, canary }: PoolSpec): Asked | null {
  const hashes = settings.balancing.policy === 'hash';
  if (!hashes && settings.sticky === '' && canary === null) return null;
  return {
    canary,
    settings,
    headerName: Buffer.from(canary?.headerName ?? ''),
    headerValue: Buffer.from(canary?.headerValue ?? ''),
    hashName: Buffer.from(hashes && settings.hashBy.kind === 'header' ? settings.hashBy.name : ''),
  };
}

/** A pool, as choosing sees it. */
export interface Choosing {
  readonly asked: Asked | null;
  /** Which side a sticky cookie's value is of, if it is good for any. */
  sideOf(token: string): 'main' | 'canary' | undefined;
}

/**
 * Looks into a request for what its pool asks.
 * @param pool its route's: the canary is that one's, if it has any
 * @param picking whose settings count: the service's, where it leads to one; else the same
 * @param peer the client's address
 */
export function chooseFor(
  pool: Choosing,
  picking: Choosing,
  buffer: Buffer,
  head: RequestRegisters,
  peer: string,
  random: () => number = Math.random,
): Choice {
  const { asked } = picking;
  const sticky = asked?.settings.sticky ?? '';
  const token = sticky === '' ? undefined : findCookie(buffer, head, sticky);
  const canaried = pool.asked?.canary ? pool : picking;
  return {
    key: asked?.settings.balancing.policy === 'hash' ? keyOf(asked, buffer, head, peer) : noKey,
    token,
    canary: isForCanary(canaried, buffer, head, token, random),
  };
}

/** Requests without the header or the cookie go by the client's address: all on one instance would be the worst of balances. */
function keyOf({ settings, hashName }: Asked, buffer: Buffer, head: RequestRegisters, peer: string): number {
  const { hashBy } = settings;
  if (hashBy.kind === 'header' && findField(buffer, head, hashName)) return hashBytes(buffer, found.start, found.end);
  const cookie = hashBy.kind === 'cookie' ? findCookie(buffer, head, hashBy.name) : undefined;
  return hashText(cookie ?? peer);
}

function isForCanary(
  pool: Choosing,
  buffer: Buffer,
  head: RequestRegisters,
  token: string | undefined,
  random: () => number,
): boolean {
  if (!pool.asked?.canary) return false;
  const { canary, headerName, headerValue } = pool.asked;
  // Who asks for it by name gets it, wherever a cookie leads.
  if (headerName.length > 0 && hasField(buffer, head, headerName, headerValue)) return true;
  const side = token === undefined ? undefined : pool.sideOf(token);
  return side === undefined ? random() * 100 < canary.percent : side === 'canary';
}

/** @param value empty for any */
function hasField(buffer: Buffer, head: RequestRegisters, name: Buffer, value: Buffer): boolean {
  for (let from = 0; findField(buffer, head, name, from); from = found.end) {
    if (value.length === 0 || buffer.compare(value, 0, value.length, found.start, found.end) === 0) return true;
  }
  return false;
}

/** Several Cookie lines are none that a browser sends (RFC 6265 §5.4), but proxies make them; the first that has the cookie counts. */
function findCookie(buffer: Buffer, head: RequestRegisters, name: string): string | undefined {
  for (let from = 0; findField(buffer, head, cookieName, from); from = found.end) {
    const value = cookieValue(buffer.toString('latin1', found.start, found.end), name);
    if (value !== undefined) return value;
  }
  return undefined;
}
