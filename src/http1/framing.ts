import { ascii, COMMA, HTAB, SP, sameWord, TOKEN } from './bytes.ts';

/** Longest Content-Length, digits: 999 TB, and exact in a double. */
const MAX_LENGTH_DIGITS = 15;

export const CODING_CHUNKED = 0;
/** A list of codings that ends in chunked, but has others: 501. */
export const CODING_UNKNOWN = 1;
/** Anything else. A request's length is then unclear (RFC 9112 §6.3): 400. */
export const CODING_GARBAGE = 2;

const CHUNKED = ascii('chunked');

/**
 * The value of a Content-Length in [start,end): 1*DIGIT, at most 15 of them.
 * `5,5` is refused though RFC 9110 §8.6 would let us repair it: only a broken or a hostile sender writes it.
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

/** Judges the value of a Transfer-Encoding in [start,end): see the three CODING constants. */
export function readCoding(buf: Uint8Array, start: number, end: number): number {
  if (end - start === 7 && sameWord(buf, start, CHUNKED)) return CODING_CHUNKED;
  let last = false;
  for (let p = start; p <= end; p++) {
    const from = p;
    while (p < end && TOKEN[buf[p]] !== 0) p++;
    // Chunked twice, or before another coding, can't be read by RFC 9112 §6.1; nor can an empty element or a parameter.
    if (p === from || last) return CODING_GARBAGE;
    last = p - from === 7 && sameWord(buf, from, CHUNKED);
    while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
    if (p < end && buf[p] !== COMMA) return CODING_GARBAGE;
    if (p < end) while (p + 1 < end && (buf[p + 1] === SP || buf[p + 1] === HTAB)) p++;
  }
  return last ? CODING_UNKNOWN : CODING_GARBAGE;
}
