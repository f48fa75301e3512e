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
const backslash = 0x5c;

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
    if (code === percent || code === 0x3b || (before === slash && (code === slash || code === 0x2e))) several = true;
    before = code;
  }
  if (!several) return 'none';
  const decoded = decodeOnce(path);
  if (decoded === undefined || segmentsOf(decoded).some((segment) => segment === '.' || segment === '..'))
    return 'refused';
  return decoded === path && !/;|\/\//.test(path) ? 'none' : 'several';
}

/**
 * The other paths that an upstream may read in one whose ambiguity is 'several': decoded once, `\` as `/`, everything
 * after a `;` (or an escaped `;`, `?` or `#`) in a segment dropped, slashes merged. There are two when params hold an escaped
 * separator: an upstream may split before it drops the params, or after. Bytes beyond ASCII are one character each.
 */
export function otherReadings(path: string): readonly string[] {
  const decoded = decodeOnce(path) ?? '';
  const split = `/${segmentsOf(decoded).join('/')}`;
  // Raw slashes first, then params, then the escaped separators in what is left.
  const cut = path.split('/').map((segment) => withoutParams(decodeOnce(segment) ?? ''));
  const cutFirst = `/${segmentsOf(cut.join('/')).join('/')}`;
  return cutFirst === split ? [split] : [split, cutFirst];
}

/** The segments as a lenient upstream sees them: no params, no empty ones. */
function segmentsOf(decoded: string): string[] {
  return decoded.split(/[/\\]/).map(withoutParams).filter(Boolean);
}

function withoutParams(segment: string): string {
  const end = segment.search(/[;?#]/);
  return end === -1 ? segment : segment.slice(0, end);
}

/** Percent-decoded once, one character a byte; undefined for bad escapes, NUL and overlong UTF-8. */
function decodeOnce(path: string): string | undefined {
  if (!path.includes('%')) return path;
  let decoded = '';
  let lead = 0;
  for (let i = 0; i < path.length; i++) {
    let code = path.charCodeAt(i);
    if (code === percent) {
      const byte = path.slice(i + 1, i + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(byte)) return undefined;
      code = Number.parseInt(byte, 16);
      i += 2;
    }
    if (code === 0 || isOverlong(lead, code)) return undefined;
    decoded += String.fromCharCode(code);
    lead = code;
  }
  return decoded;
}

/** C0 and C1 start nothing valid; after E0, F0, F8 and FC the first continuation byte has a lower bound (RFC 3629 §3). */
function isOverlong(lead: number, code: number): boolean {
  if (code === 0xc0 || code === 0xc1) return true;
  if (code < 0x80 || code > 0xbf) return false;
  return (
    (lead === 0xe0 && code < 0xa0) ||
    (lead === 0xf0 && code < 0x90) ||
    (lead === 0xf8 && code < 0x88) ||
    (lead === 0xfc && code < 0x84)
  );
}
