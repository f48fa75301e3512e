import { ascii, COLON, CR, copy, HTAB, LF, LOWER, SP, same, sameWord } from './bytes.ts';
import { NameIndex } from './names.ts';
import * as table from './static-table.ts';

/** How a literal is marked: without indexing, or never to be indexed (RFC 7541 §6.2.2, §6.2.3). */
export const UNINDEXED = 0x00;
export const NEVER_INDEXED = 0x10;

const INDEXED = 0x80;
/** "The dynamic table's size is 0 from now on" (RFC 7541 §6.3). */
const NO_TABLE = 0x20;

/** Fields that HTTP/2 has not (RFC 9113 §8.2.2): never written, whatever they are told to be. */
const DROPPED = ['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host'];
/** The static names, the dropped ones after them; '' where the name is a pseudo-header field's, which no line can have. */
const names = new NameIndex([
  ...table.STATIC_NAMES.map((name) => (name.startsWith(':') || DROPPED.includes(name) ? '' : name)),
  ...DROPPED,
]);
const HOST = ascii('host');
const GET = ascii('GET');
const POST = ascii('POST');
/** For pseudo-header fields and their lengths, beyond the bytes of the request line or status line. */
const PSEUDO_ROOM = 64;

/**
 * The encoder of one connection. It uses the static table and plain literals, so it has no state but one duty: a peer that wants a
 * smaller table is told that there is none (RFC 7541 §4.2).
 */
export class HpackEncoder {
  private owesUpdate = false;
  private tableBytes = 4096;

  /** The peer has set SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    if (bytes < this.tableBytes) this.owesUpdate = true;
    this.tableBytes = Math.min(bytes, this.tableBytes);
  }

  /** Most bytes that a head of `length` bytes of HTTP/1.1 can need. */
  static bound(length: number): number {
    return length * 2 + PSEUDO_ROOM;
  }

  /** Begins a block. @returns the index after what was written */
  begin(out: Uint8Array, at: number): number {
    if (this.owesUpdate) {
      this.owesUpdate = false;
      this.tableBytes = 0;
      out[at++] = NO_TABLE;
    }
    return at;
  }
}

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
  else at = encodeString(out, writeIndex(out, at, UNINDEXED, table.INDEX_GET), buf, start, p);
  out[at++] = INDEXED | (tls ? table.INDEX_HTTPS : table.INDEX_HTTP);
  const path = ++p;
  while (buf[p] !== SP) p++;
  if (p - path === 1 && buf[path] === 47) out[at++] = INDEXED | table.INDEX_PATH;
  else at = encodeString(out, writeIndex(out, at, UNINDEXED, table.INDEX_PATH), buf, path, p);
  for (let line = skipLine(buf, p); line < end && buf[line] !== CR; line = skipLine(buf, line)) {
    if (buf[line + 4] !== COLON || !sameWord(buf, line, line + 4, HOST)) continue;
    let from = line + 5;
    while (buf[from] === SP || buf[from] === HTAB) from++;
    let to = from;
    while (buf[to] !== CR) to++;
    return encodeString(out, writeIndex(out, at, UNINDEXED, table.INDEX_AUTHORITY), buf, from, to);
  }
  return at;
}

/**
 * Writes the field lines buf[start,end) of an HTTP/1.1 head, without its empty line, as literals: names in lower case, values without
 * white space around; what belongs to one connection and Host are left out.
 * @param cuts pairs [start,end) of whole lines that are not to be written, ascending; `cutCount` numbers of it count
 * @param literal one of the two marks above
 */
export function encodeLines(
  out: Uint8Array,
  at: number,
  buf: Uint8Array,
  start: number,
  end: number,
  cuts: Int32Array,
  cutCount: number,
  literal: number,
): number {
  let p = start;
  let cut = 0;
  while (p < end) {
    // Cuts that lie before the lines: a request's head may have some in what was skipped.
    while (cut < cutCount && cuts[cut + 1] <= p) cut += 2;
    if (cut < cutCount && cuts[cut] <= p) {
      p = cuts[cut + 1];
      continue;
    }
    const line = p;
    while (buf[p] !== COLON) p++;
    const nameEnd = p++;
    while (buf[p] === SP || buf[p] === HTAB) p++;
    const value = p;
    while (buf[p] !== CR) p++;
    let valueEnd = p;
    while (valueEnd > value && (buf[valueEnd - 1] === SP || buf[valueEnd - 1] === HTAB)) valueEnd--;
    p += 2;
    const index = names.find(buf, line, nameEnd);
    if (index > table.STATIC_COUNT) continue;
    at = writeIndex(out, at, literal, index < 0 ? 0 : index);
    if (index < 0) at = encodeName(out, at, buf, line, nameEnd);
    at = encodeString(out, at, buf, value, valueEnd);
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

/** The first byte of a literal, with a name of the static table or, at 0, without (RFC 7541 §6.2). */
function writeIndex(out: Uint8Array, at: number, literal: number, index: number): number {
  if (index < 15) {
    out[at] = literal | index;
    return at + 1;
  }
  out[at] = literal | 15;
  out[at + 1] = index - 15;
  return at + 2;
}

function encodeName(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  at = writeLength(out, at, end - start);
  for (let p = start; p < end; p++) out[at++] = LOWER[buf[p]];
  return at;
}

function encodeString(out: Uint8Array, at: number, buf: Uint8Array, start: number, end: number): number {
  return copy(out, writeLength(out, at, end - start), buf, start, end);
}

/** RFC 7541 §5.1 with a prefix of 7 bits, and no Huffman code. */
function writeLength(out: Uint8Array, at: number, length: number): number {
  if (length < 127) {
    out[at] = length;
    return at + 1;
  }
  out[at++] = 127;
  length -= 127;
  for (; length > 127; length >>>= 7) out[at++] = (length & 127) | 128;
  out[at] = length;
  return at + 1;
}
