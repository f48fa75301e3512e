export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const SLASH = 47;
export const COLON = 58;
export const UNDERSCORE = 95;

/**
 * RFC 9113 §8.2.1, and RFC 9110 §5.6.2 on top: 1 for a byte that a field name may hold, 3 for the underscore, 0 for others. Upper
 * case is none.
 */
export const NAME = new Uint8Array(256);
/** 1 for a byte that a field value may hold: HTAB, SP, VCHAR, obs-text. Narrower than RFC 9113 §8.2.1, as HTTP/1.1 needs it. */
export const VALUE = new Uint8Array(256);
/** The lower case of an ASCII letter; any other byte is itself. */
export const LOWER = new Uint8Array(256);

for (let c = 0; c < 256; c++) {
  const upper = c >= 65 && c <= 90;
  LOWER[c] = upper ? c | 32 : c;
  if ((c >= 48 && c <= 57) || (c >= 97 && c <= 122) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(c))) NAME[c] = 1;
  if (c === HTAB || (c >= 32 && c !== 127)) VALUE[c] = 1;
}
NAME[UNDERSCORE] = 3;

/** The bytes of an ASCII string. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** An unsigned number of 32 bits, most significant byte first. */
export function readUint32(buf: Uint8Array, at: number): number {
  return ((buf[at] << 24) | (buf[at + 1] << 16) | (buf[at + 2] << 8) | buf[at + 3]) >>> 0;
}

/** Of 31 bits: the first one is reserved, and ignored (RFC 9113 §4.1). */
export function readUint31(buf: Uint8Array, at: number): number {
  return ((buf[at] & 127) << 24) | (buf[at + 1] << 16) | (buf[at + 2] << 8) | buf[at + 3];
}

/** Writes 32 bits. @returns the index after them */
export function writeUint32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
  return at + 4;
}

/** From so many bytes on a native copy beats a loop: see http1/lines.ts, which measured it. */
const SET_FROM = 48;

/**
 * Copies buf[start,end) to out[at…); the two must be apart.
 * @returns the index after the copy
 */
export function copy(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length >= SET_FROM) out.set(buf.subarray(start, end), at);
  else for (let i = 0; i < length; i++) out[at + i] = buf[start + i];
  return at + length;
}

/** Are buf[start,end) and `word` the same bytes? */
export function same(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (buf[start + i] !== word[i]) return false;
  return true;
}

/** Likewise in any case; `word` is in lower case. */
export function sameWord(buf: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (LOWER[buf[start + i]] !== word[i]) return false;
  return true;
}

/** Are two ranges of one buffer the same, in any case? */
export function sameRanges(buf: Uint8Array, a: number, aEnd: number, b: number, bEnd: number): boolean {
  if (aEnd - a !== bEnd - b) return false;
  while (a < aEnd) if (LOWER[buf[a++]] !== LOWER[buf[b++]]) return false;
  return true;
}

/** Longest Content-Length, digits: 999 TB, and exact in a double. */
const MAX_LENGTH_DIGITS = 15;

/**
 * The value of a Content-Length in [start,end): 1*DIGIT, at most 15 of them; `5,5` is not repaired.
 * @returns -1 if it is anything else
 */
export function readLength(buf: Uint8Array, start: number, end: number): number {
  if (start >= end || end - start > MAX_LENGTH_DIGITS) return -1;
  let length = 0;
  for (let p = start; p < end; p++) {
    const digit = buf[p] - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}
