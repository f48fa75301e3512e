import { CODES, LENGTHS } from '../../src/http2/huffman.ts';

/** How many bytes buf[start,end) becomes when it is encoded. */
export function huffmanLength(buf: Uint8Array, start: number, end: number): number {
  let bits = 0;
  for (let p = start; p < end; p++) bits += LENGTHS[buf[p]];
  return (bits + 7) >> 3;
}

/** Encodes buf[start,end) to out[at…). @returns the index after it */
export function encodeHuffman(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  let held = 0;
  let bits = 0;
  for (let p = start; p < end; p++) {
    let length = LENGTHS[buf[p]];
    const code = CODES[buf[p]];
    // At most 7 bits are held: with a code of more than 24 some would be lost, so its first bits go before the others.
    if (length > 24) {
      held = (held << (length - 16)) | (code >>> 16);
      for (bits += length - 16; bits >= 8; bits -= 8) out[at++] = held >>> (bits - 8);
      length = 16;
    }
    held = (held << length) | (code & ((1 << length) - 1));
    for (bits += length; bits >= 8; bits -= 8) out[at++] = held >>> (bits - 8);
  }
  if (bits > 0) out[at++] = (held << (8 - bits)) | (0xff >>> bits);
  return at;
}
