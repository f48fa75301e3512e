import { createHmac } from 'node:crypto';

/** Characters of a sticky token: 132 bits, more than anybody guesses. */
const tokenLength = 22;

/**
 * What a sticky cookie says for an instance.
 * @param pool the name of its pool: a token of one is nothing to another
 * @param address as the pool knows it
 */
export function stickyToken(secret: Buffer, pool: string, address: string): string {
  return createHmac('sha256', secret).update(`${pool}\0${address}`).digest('base64url').slice(0, tokenLength);
}
