/** What a scan says. MORE: not all bytes are there yet; DONE: the registers are set; BAD: `fault` says why. */
export const MORE = 0;
export const DONE = 1;
export const BAD = 2;

export const HTAB = 9;
export const LF = 10;
export const CR = 13;
export const SP = 32;
export const COMMA = 44;
export const SLASH = 47;
export const COLON = 58;
export const SEMICOLON = 59;
export const QUESTION = 63;
export const UNDERSCORE = 95;

/** RFC 9110 §5.6.2: the lower case of a token byte; 0 for a byte that no token holds. */
export const TOKEN = new Uint8Array(256);
/** A field name's bytes: 0 not a token byte, 1 a token byte, 3 the underscore. */
export const NAME = new Uint8Array(256);
/** RFC 9110 §5.5: 1 for a byte that a field value may hold: HTAB, SP, VCHAR, obs-text. */
export const VALUE = new Uint8Array(256);
/** Digits' values, hexadecimal in either case; 255 for any other byte. */
export const HEX = new Uint8Array(256).fill(255);

for (let c = 0; c < 256; c++) {
  const letter = (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
  if (letter) TOKEN[c] = c | 32;
  else if ((c >= 48 && c <= 57) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(c))) TOKEN[c] = c;
  if (TOKEN[c] !== 0) NAME[c] = c === UNDERSCORE ? 3 : 1;
  if (c === HTAB || (c >= 32 && c !== 127)) VALUE[c] = 1;
}
for (let d = 0; d < 16; d++) {
  const digit = d.toString(16).charCodeAt(0);
  HEX[digit] = d;
  if (d > 9) HEX[digit - 32] = d;
}

/** The bytes of an ASCII string. */
export function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Does `word` (lower case) stand at `start`, in any case? The caller knows that the lengths are equal. */
export function sameWord(buf: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (TOKEN[buf[start + i]] !== word[i]) return false;
  return true;
}

/** As `sameWord`, with underscores taken for hyphens. */
export function sameHyphenated(buf: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) {
    const c = buf[start + i];
    if ((c === UNDERSCORE ? 45 : TOKEN[c]) !== word[i]) return false;
  }
  return true;
}

/** Does `word` stand at `start`, byte for byte? The caller knows that the lengths are equal. */
export function sameBytes(buf: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (buf[start + i] !== word[i]) return false;
  return true;
}
