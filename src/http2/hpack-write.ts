import { ascii, COLON, CR, copy, HTAB, LF, LOWER, SP, same, sameWord } from './bytes.ts';
import * as table from './static-table.ts';

/** How a literal is marked: without indexing, never to be indexed, or to be put into the table (RFC 7541 §6.2). */
export const UNINDEXED = 0x00;
export const NEVER_INDEXED = 0x10;
export const INCREMENTAL = 0x40;
/** The mark of a field that is in a table, and of a size update (RFC 7541 §6.1, §6.3). */
export const INDEXED = 0x80;
export const UPDATE = 0x20;

const HOST = ascii('host');
const GET = ascii('GET');
const POST = ascii('POST');

/** Writes `:status`; it goes first. */
export function encodeStatus(out: Uint8Array, at: number, status: number): number {
  const index = table.STATUS_INDEX[status];
  if (index !== 0) {
    out[at] = INDEXED | index;
    return at + 1;
  }
  out[at] = table.INDEX_STATUS;
  out[at + 1] = 3;
  out[at + 2] = 48 + Math.floor(status / 100);
  out[at + 3] = 48 + (Math.floor(status / 10) % 10);
  out[at + 4] = 48 + (status % 10);
  return at + 5;
}

/** Writes the pseudo-header fields of the HTTP/1.1 request whose head is buf[start,end): request line, and Host wherever it is. */
export function encodeRequestLine(
  out: Uint8Array,
  at: number,
  buf: Uint8Array,
  start: number,
  end: number,
  tls: boolean,
): number {
  let p = start;
  while (buf[p] !== SP) p++;
  if (same(buf, start, p, GET)) out[at++] = INDEXED | table.INDEX_GET;
  else if (same(buf, start, p, POST)) out[at++] = INDEXED | table.INDEX_POST;
  else at = writeString(out, writeInteger(out, at, UNINDEXED, 15, table.INDEX_GET), buf, start, p);
  out[at++] = INDEXED | (tls ? table.INDEX_HTTPS : table.INDEX_HTTP);
  const path = ++p;
  while (buf[p] !== SP) p++;
  if (p - path === 1 && buf[path] === 47) out[at++] = INDEXED | table.INDEX_PATH;
  else at = writeString(out, writeInteger(out, at, UNINDEXED, 15, table.INDEX_PATH), buf, path, p);
  for (let line = skipLine(buf, p); line < end && buf[line] !== CR; line = skipLine(buf, line)) {
    if (buf[line + 4] !== COLON || !sameWord(buf, line, line + 4, HOST)) continue;
    let from = line + 5;
    while (buf[from] === SP || buf[from] === HTAB) from++;
    let to = from;
    while (buf[to] !== CR) to++;
    return writeString(out, writeInteger(out, at, UNINDEXED, 15, table.INDEX_AUTHORITY), buf, from, to);
  }
  return at;
}

const TRAILERS_WELCOME = ascii('\x00\x02te\x08trailers');

/** Writes `te: trailers`, which HTTP/1.1 heads never have: it is for one hop. */
export function encodeTrailersWelcome(out: Uint8Array, at: number): number {
  return copy(out, at, TRAILERS_WELCOME, 0, TRAILERS_WELCOME.length);
}

/** Where the line after the one at `p` starts. */
export function skipLine(buf: Uint8Array, p: number): number {
  while (buf[p] !== LF) p++;
  return p + 1;
}

/** A literal, with a name of the static table or, below 1, without (RFC 7541 §6.2). */
export function writeLiteral(
  out: Uint8Array,
  at: number,
  mark: number,
  buf: Uint8Array,
  line: number,
  nameEnd: number,
  value: number,
  valueEnd: number,
  index: number,
): number {
  at = writeInteger(out, at, mark, mark === INCREMENTAL ? 63 : 15, index < 0 ? 0 : index);
  if (index < 0) at = writeName(out, at, buf, line, nameEnd);
  return writeString(out, at, buf, value, valueEnd);
}

function writeName(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  at = writeInteger(out, at, 0, 127, end - start);
  for (let p = start; p < end; p++) out[at++] = LOWER[buf[p]];
  return at;
}

/** RFC 7541 §5.2, without Huffman code: it would save a fifth of what is left, and cost more than all the rest. */
function writeString(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  return copy(out, writeInteger(out, at, 0, 127, end - start), buf, start, end);
}

/** RFC 7541 §5.1. @param mark the bits before the prefix @param most the prefix, all ones */
export function writeInteger(out: Uint8Array, at: number, mark: number, most: number, value: number): number {
  if (value < most) {
    out[at] = mark | value;
    return at + 1;
  }
  out[at++] = mark | most;
  value -= most;
  for (; value > 127; value >>>= 7) out[at++] = (value & 127) | 128;
  out[at] = value;
  return at + 1;
}
