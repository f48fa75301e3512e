/** The lengths of the Huffman codes of RFC 7541, appendix B: one entry a symbol, 0 to 255, then EOS. */
export const LENGTHS: readonly number[] = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28],
  ...[28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28],
  ...[6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6],
  ...[5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10],
  ...[13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  ...[7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5],
  ...[6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28],
  ...[20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23],
  ...[24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24],
  ...[22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23],
  ...[21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23],
  ...[26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25],
  ...[19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23],
  ...[26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26],
  30,
];
const EOS = 256;
/** Codes are at least so long: eight bits end one symbol or two, four bits one at most. */
const SHORTEST = 5;

/** The codes: they are canonical, so their lengths say all. */
export const CODES: Uint32Array = canonicalCodes();

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(LENGTHS.length);
  let code = 0;
  for (let length = SHORTEST; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) if (LENGTHS[symbol] === length) codes[symbol] = code++;
    code *= 2;
  }
  return codes;
}

/** The decoder is an automaton over half bytes. `TABLE[state * 16 + half]`: next state << 9 | 256 if a symbol ended | symbol; or -1. */
const REFUSED = -1;
const ENDED = 256;
/** Where a string may end: between two symbols, or after up to seven bits of EOS (RFC 7541 §5.2). */
const { table: TABLE, mayEnd: MAY_END } = buildAutomaton();

function buildAutomaton(): { table: Int32Array; mayEnd: Uint8Array } {
  // Nodes of the code's tree: two children each, a node's index, or -2 - symbol.
  const children: number[] = [0, 0];
  const mayEnd = [1];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = LENGTHS[symbol] - 1; bit >= 0; bit--) {
      const at = node * 2 + ((CODES[symbol] >>> bit) & 1);
      if (bit === 0) children[at] = -2 - symbol;
      else if (children[at] === 0) {
        children[at] = children.length / 2;
        children.push(0, 0);
        mayEnd.push(symbol === EOS && LENGTHS[EOS] - bit <= 7 ? 1 : 0);
      } else if (symbol === EOS && LENGTHS[EOS] - bit <= 7) mayEnd[children[at]] = 1;
      node = children[at];
    }
  }
  const table = new Int32Array(mayEnd.length * 16);
  for (let state = 0; state < mayEnd.length; state++) {
    for (let half = 0; half < 16; half++) table[state * 16 + half] = walk(children, state, half);
  }
  return { table, mayEnd: Uint8Array.from(mayEnd) };
}

function walk(children: readonly number[], state: number, half: number): number {
  let ended = 0;
  for (let bit = 3; bit >= 0; bit--) {
    state = children[state * 2 + ((half >> bit) & 1)];
    if (state > 0) continue;
    const symbol = -2 - state;
    // RFC 7541 §5.2: EOS inside a string is an error.
    if (symbol === EOS) return REFUSED;
    ended = ENDED | symbol;
    state = 0;
  }
  return (state << 9) | ended;
}

/** Most bytes that `length` bytes can become. */
export function decodedBound(length: number): number {
  return Math.floor((length * 8) / SHORTEST);
}

/**
 * Decodes buf[start,end) to out[at…), which has room for `decodedBound`.
 * @returns the index after the last byte written, or -1 if it is no such code: EOS inside, padding that is too long or not EOS's
 */
export function decodeHuffman(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  const table = TABLE;
  let state = 0;
  for (let p = start; p < end; p++) {
    const c = buf[p];
    let step = table[(state << 4) | (c >> 4)];
    if (step < 0) return -1;
    if ((step & ENDED) !== 0) out[at++] = step;
    step = table[((step >> 9) << 4) | (c & 15)];
    if (step < 0) return -1;
    if ((step & ENDED) !== 0) out[at++] = step;
    state = step >> 9;
  }
  return MAY_END[state] === 1 ? at : -1;
}
