import type { Balanced } from './balance-load.ts';
import type { Pool } from './balance-pool.ts';

/**
 * Makes an instance's token: a keyed MAC of its address and of what else tells pools apart (the route's id), in characters that a
 * cookie may have. The caller has the crypto and the secret.
 */
export type SignAddress = (address: string) => string;

/** Which cookie value names which instance of one pool. */
export interface Sticky<I extends Balanced> {
  /** Tokens of all secrets that are still good. */
  readonly instances: ReadonlyMap<string, I>;
  /** What a new cookie says, by instance. */
  readonly tokens: ReadonlyMap<I, string>;
}

/**
 * Makes the tokens of a pool's instances, once per change of the pool. So a request costs one look into a map and no crypto, and still only who has the
 * secret can make a token; it tells nothing of the address. Nobody is kept out by it: the worst that a stolen one does is to choose an instance.
 * @param signs the secret in use first, then those before it, whose cookies are still taken
 */
export function compileSticky<I extends Balanced>(pool: Pool<I>, signs: readonly SignAddress[]): Sticky<I> {
  const instances = new Map<string, I>();
  const tokens = new Map<I, string>();
  for (const { instance } of pool.members)
    for (const sign of signs) {
      const token = sign(instance.address);
      instances.set(token, instance);
      if (!tokens.has(instance)) tokens.set(instance, token);
    }
  return { instances, tokens };
}

/**
 * The instance that the request's cookie names, if it can serve: still in the pool, healthy (in panic that does not matter), not full, not tried.
 * A drained one (weight 0) still serves those who stick to it: that is how its sessions end in peace.
 *
 *     const instance = pickSticky(pool, sticky, token, tried) ?? pickFrom(pool, tried, noKey, now, random);
 *     if (instance && sticky.tokens.get(instance) !== token) the answer gets stickyCookie(…)
 * @param token as `cookieValue` found it
 * @returns undefined: pick by the pool's policy, and set the cookie anew
 */
export function pickSticky<I extends Balanced>(
  pool: Pool<I>,
  sticky: Sticky<I>,
  token: string | undefined,
  tried: readonly I[],
): I | undefined {
  if (token === undefined) return undefined;
  const instance = sticky.instances.get(token);
  if (instance === undefined || instance.full || tried.includes(instance)) return undefined;
  const serves = instance.load.healthy || pool.state === 'panic' || pool.members.length === 1;
  return serves ? instance : undefined;
}

/**
 * The value of a cookie in a Cookie field (RFC 6265 §4.2.1); of two with the same name, the first, which has the longer path.
 * @param name compared as it is: cookie names are case-sensitive
 */
export function cookieValue(field: string, name: string): string | undefined {
  for (let start = 0; start < field.length; ) {
    let end = field.indexOf(';', start);
    if (end < 0) end = field.length;
    while (field[start] === ' ' || field[start] === '\t') start++;
    if (field.startsWith(name, start) && field[start + name.length] === '=') {
      const value = field.slice(start + name.length + 1, end).trim();
      return value.length > 1 && value[0] === '"' && value.endsWith('"') ? value.slice(1, -1) : value;
    }
    start = end + 1;
  }
  return undefined;
}

/**
 * The value of a Set-Cookie field for a session: no expiry, so that it ends with the browser.
 * @param secure false only where the client came over plain HTTP: it would not send it back
 */
export function stickyCookie(name: string, token: string, secure: boolean): string {
  return `${name}=${token}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
}
