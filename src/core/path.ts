/**
 * The path policy: what is matched is what is forwarded, and nobody upstream may read another route's path in it
 * (test/core/path.test.ts; attacks with `%2F`, `..`, `;`, `\` and `//`).
 *
 * - Refused always: dot segments in any spelling (`.`, `..`, `%2e`, with `;params`, next to `\`, `%5c` or `%2f`), `%00`,
 *   a raw `\`, bad escapes, overlong UTF-8 escapes, and characters that no path has raw (controls, space, non-ASCII).
 * - Any other path with more than one reading is refused only if one of the readings belongs to another route;
 *   else it is forwarded as it came. So `/files/a%2Fb` works, unless `/files/a` is a route of its own.
 *
 * Escapes are decoded once: `%252e` reads as `%2e`, a name with a percent sign.
 */

/** How many readings a path has: one, several, or one that no client needs. */
export type Ambiguity = 'none' | 'several' | 'refused';

const slash = 0x2f;
const percent = 0x25;
const semicolon = 0x3b;
const backslash = 0x5c;

// Each of these takes linear time: a path may be long and hostile.
const badEscape = /%(?![0-9A-Fa-f]{2})/;
const escapes = /%[0-9A-Fa-f]{2}/g;
// C0 and C1 start nothing valid; after E0, F0, F8 and FC the first continuation byte has a lower bound (RFC 3629 §3).
const nulOrOverlong = /[\0\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|\xf8[\x80-\x87]|\xfc[\x80-\x83]/;
const params = /[;?#][^/\\]*/g;
const paramsBeforeDecoding = /(?:;|%3[BbFf]|%23)[^/]*/g;
const escapedSeparator = /%(?:2[Ff]|5[Cc])/;
const separators = /[/\\]+/g;
const dotSegment = /\/\.\.?(?:\/|$)/;

const charOf = new Map<string, string>();
for (let byte = 0; byte < 256; byte++) {
  const hex = byte.toString(16).padStart(2, '0');
  const [high, low] = hex;
  for (const digits of [hex, hex.toUpperCase(), high.toUpperCase() + low, high + low.toUpperCase()])
    charOf.set(`%${digits}`, String.fromCharCode(byte));
}

/** Says which part of the policy a path (no query) falls under. An empty path has one reading. */
export function ambiguity(path: string): Ambiguity {
  if (path === '') return 'none';
  if (path.charCodeAt(0) !== slash) return 'refused';
  let several = false;
  let before = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    // '?' and '#' end a path: here they mean that the caller did not cut it there.
    if (code <= 0x20 || code >= 0x7f || code === backslash || code === 0x3f || code === 0x23) return 'refused';
    if (code === percent || code === semicolon || (before === slash && (code === slash || code === 0x2e)))
      several = true;
    before = code;
  }
  if (!several) return 'none';
  const decoded = decodeOnce(path);
  if (decoded === undefined) return 'refused';
  const reading = lenient(decoded);
  if (dotSegment.test(reading)) return 'refused';
  return reading === path ? 'none' : 'several';
}

/**
 * The other paths that an upstream may read in one whose ambiguity is 'several': decoded once, `\` as `/`, everything
 * after a `;` (or an escaped `;`, `?` or `#`) in a segment dropped, slashes merged. There may be two: an upstream can split at
 * escaped separators before it drops the params, or after. Bytes beyond ASCII are one character each.
 */
export function otherReadings(path: string): readonly string[] {
  const reading = lenient(decodeOnce(path) ?? '');
  if (!escapedSeparator.test(path)) return [reading];
  const paramsFirst = lenient(decodeOnce(path.replace(paramsBeforeDecoding, '')) ?? '');
  return paramsFirst === reading ? [reading] : [reading, paramsFirst];
}

function lenient(decoded: string): string {
  return decoded.replace(params, '').replace(separators, '/');
}

/** Percent-decoded once, one character a byte; undefined for bad escapes, NUL and overlong UTF-8. */
function decodeOnce(path: string): string | undefined {
  if (!path.includes('%')) return path;
  if (badEscape.test(path)) return undefined;
  const decoded = path.replace(escapes, (escaped) => charOf.get(escaped)!);
  return nulOrOverlong.test(decoded) ? undefined : decoded;
}
