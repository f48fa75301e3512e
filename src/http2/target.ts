import { ascii, SLASH, same, sameWord } from './bytes.ts';

/** http1's METHOD constants; the methods that are refused are below 0. */
const NUMBERS: readonly (readonly [name: string, number: number])[] = [
  ['GET', 1],
  ['POST', 3],
  ['HEAD', 2],
  ['PUT', 4],
  ['PATCH', 7],
  ['DELETE', 5],
  ['OPTIONS', 6],
  ['CONNECT', -1],
  ['TRACE', -1],
];
const OTHER = 0;
const IDEMPOTENT: readonly string[] = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'];
const BODIED: readonly string[] = ['POST', 'PUT', 'PATCH'];

const WORDS = NUMBERS.map(([name, number]) => ({ word: ascii(name), number }));
const flags = (names: readonly string[]) =>
  Uint8Array.from({ length: 8 }, (_, i) =>
    names.some((name) => NUMBERS.find((n) => n[0] === name)?.[1] === i) ? 1 : 0,
  );
const idempotent = flags(IDEMPOTENT);
const bodied = flags(BODIED);

/** What is known of methods. */
export const METHODS = {
  connect: ascii('CONNECT'),
  options: ascii('OPTIONS'),
  /** @returns one of http1's METHOD constants, or -1 for those that a gateway refuses */
  find(buf: Uint8Array, start: number, end: number): number {
    for (let i = 0; i < WORDS.length; i++) if (same(buf, start, end, WORDS[i].word)) return WORDS[i].number;
    return OTHER;
  },
  /** RFC 9110 §9.2.2. */
  isIdempotent: (method: number): boolean => idempotent[method] === 1,
  /** RFC 9110 §8.6: a request of these says how long its body is, even if there is none. */
  hasBody: (method: number): boolean => bodied[method] === 1,
};

/** 1 for the bytes of a method: as http1 has it. */
const METHOD_BYTE = new Uint8Array(256);
for (let c = 65; c <= 90; c++) METHOD_BYTE[c] = 1;
METHOD_BYTE[45] = METHOD_BYTE[95] = 1;

export function isMethod(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (METHOD_BYTE[buf[p]] === 0) return false;
  return end > start;
}

const HTTP = ascii('http');
const HTTPS = ascii('https');

export function isScheme(buf: Uint8Array, start: number, end: number): boolean {
  return sameWord(buf, start, end, HTTPS) || sameWord(buf, start, end, HTTP);
}

/** As http1's: 0 for none (also `#`), 1 plain, 2 `/`, 3 `%`, `;`, `\`: readers differ over them in a path; 4 `?`. */
const TARGET = new Uint8Array(256);
for (let c = 33; c < 127; c++) TARGET[c] = 1;
TARGET[35] = 0;
TARGET[SLASH] = 2;
TARGET[37] = TARGET[59] = TARGET[92] = 3;
TARGET[63] = 4;

/**
 * Reads a path with its query.
 * @returns where the path ends: negative if it has several readings, see http1's `plainPath`; 0 if a byte is none of a target's
 */
export function scanTarget(buf: Uint8Array, start: number, end: number): number {
  let p = start;
  let plain = true;
  let k = 0;
  for (; p < end; p++) {
    k = TARGET[buf[p]];
    if (k === 1) continue;
    if (k === 0 || k === 4) break;
    if (k === 3 || (p + 1 < end && (buf[p + 1] === SLASH || buf[p + 1] === 46))) plain = false;
  }
  const pathEnd = p;
  while (p < end && TARGET[buf[p]] !== 0) p++;
  if (p < end) return 0;
  return plain ? pathEnd : -pathEnd;
}
