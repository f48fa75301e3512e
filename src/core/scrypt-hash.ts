/** A password's hash, taken apart: what scrypt (RFC 7914) needs to make it again, and what has to come out. */
export interface ScryptHash {
  /** The cost, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const form =
  /^\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
const expected = "expected what `oo hash` prints, '$scrypt$ln=15,r=8,p=3$…'";

/**
 * Takes a hash in PHC form apart. Costs are bounded both ways: one that takes no time can be guessed, and one that takes a gigabyte can be used
 * to take all of them.
 * @returns what is wrong and what was expected, if it is none; the text itself is never in there: it may be a password
 */
export function parseScryptHash(text: unknown): ScryptHash | string {
  const parts = typeof text === 'string' && text.length < 300 ? form.exec(text) : null;
  if (parts === null) return `is no hash of a password; ${expected}`;
  const [ln, r, p] = parts.slice(1, 4).map(Number);
  if (ln < 10 || ln > 18 || r < 1 || r > 16 || p < 1 || p > 16 || 2 ** ln * r > 2 ** 20 || 2 ** ln * r * p > 2 ** 22)
    return `has a cost of ln=${ln},r=${r},p=${p}; expected ln from 10 to 18, and no more than 128 MiB: ln=15,r=8,p=3, say`;
  const [salt, hash] = [decode(parts[4]), decode(parts[5])];
  if (salt === undefined || hash === undefined) return `is no hash of a password; ${expected}`;
  return Object.freeze({ n: 2 ** ln, r, p, salt, hash });
}

/** Base64 without padding; undefined for what is not. */
function decode(text: string): Uint8Array | undefined {
  if (text.length % 4 === 1) return undefined;
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
