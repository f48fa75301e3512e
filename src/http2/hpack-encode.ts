import { COLON, CR, copy, HTAB, LF, LOWER, SP } from './bytes.ts';
import { DynamicTable, ENTRY_OVERHEAD, LINE_EXTRA, MAX_TABLE_BYTES } from './dynamic-table.ts';
import { INCREMENTAL, INDEXED, UNINDEXED, UPDATE, writeInteger, writeLiteral } from './hpack-write.ts';
import { NameIndex } from './names.ts';
import * as table from './static-table.ts';

/** Fields that HTTP/2 has not (RFC 9113 §8.2.2): never written, whatever they are told to be. */
const DROPPED = ['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'host'];
/** The static names, the dropped ones after them; '' where the name is a pseudo-header field's, which no line can have. */
const names = new NameIndex([
  ...table.STATIC_NAMES.map((name) => (name.startsWith(':') || DROPPED.includes(name) ? '' : name)),
  ...DROPPED,
]);
/** For pseudo-header fields and their lengths, beyond the bytes of the request line or status line. */
const PSEUDO_ROOM = 64;

/**
 * Fields whose values are not put into a table: secrets, which nobody may find out by trying (RFC 7541 §7.1), and what differs from
 * response to response. The filter below finds out about others by itself.
 */
const UNLEARNED = new Uint8Array(table.STATIC_COUNT + 1);
table.STATIC_NAMES.forEach((name, i) => {
  if (/^(?:authorization|proxy-auth.*|cookie|set-cookie|content-length|content-range|age|date|expires)$/.test(name))
    UNLEARNED[i] = 1;
});

/** Longer lines are rarely worth their place. */
const MAX_LEARNED_BYTES = 1024;
const SLOTS = 128;
const PLACES = 32;
const scratch = new Uint8Array(MAX_LEARNED_BYTES);

/**
 * The encoder of one connection: static table, plain literals, and, towards one client, a dynamic table of the lines that it was sent at
 * least twice. Sending such a line by its index costs no more than copying it.
 */
export class HpackEncoder {
  private readonly learns: boolean;
  private readonly learned = new DynamicTable(MAX_TABLE_BYTES);
  /** How many entries have ever been put in; the newest has this number. */
  private added = 0;
  /** By hash: the number of an entry; and the hash of a line that was sent once. */
  private entries: Int32Array | null = null;
  private seen: Int32Array | null = null;
  /** By its place among the lines of a head: the number of the entry that stood there the last time. */
  private places: Int32Array | null = null;
  private place = 0;
  private next = 0;
  /** What the peer's settings have come to, and were at least, since the last block. */
  private capacity: number = MAX_TABLE_BYTES;
  private least: number = MAX_TABLE_BYTES;

  /** @param learns whether it may use a dynamic table. Never where requests of several clients share a connection (RFC 7541 §7.1) */
  constructor(learns: boolean) {
    this.learns = learns;
  }

  /** The peer has set SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    this.capacity = Math.min(bytes, MAX_TABLE_BYTES);
    this.least = Math.min(this.least, this.capacity);
  }

  /** Most bytes that a head of `length` bytes of HTTP/1.1 can need. */
  static bound(length: number): number {
    return length * 2 + PSEUDO_ROOM;
  }

  /** Begins a block, with what the peer must be told of the table (RFC 7541 §4.2). @returns the index after what was written */
  begin(out: Uint8Array, at: number): number {
    const { learned } = this;
    if (this.least < learned.capacity) {
      learned.resize(this.least);
      at = writeInteger(out, at, UPDATE, 31, this.least);
    }
    if (this.capacity !== learned.capacity) {
      learned.resize(this.capacity);
      at = writeInteger(out, at, UPDATE, 31, this.capacity);
    }
    this.least = MAX_TABLE_BYTES;
    return at;
  }

  /**
   * Writes the field lines buf[start,end) of an HTTP/1.1 head, without its empty line: names in lower case, values without white space
   * around; what belongs to one connection and Host are left out.
   * @param cuts pairs [start,end) of whole lines that are not to be written, ascending; `cutCount` numbers of it count
   * @param literal `UNINDEXED`, or `NEVER_INDEXED` for fields that came so (RFC 7541 §7.1.3)
   * @returns the index after what was written
   */
  lines(
    out: Uint8Array,
    at: number,
    buf: Uint8Array,
    start: number,
    end: number,
    cuts: Int32Array,
    cutCount: number,
    literal: number,
  ): number {
    const learns = this.learns && literal === UNINDEXED;
    this.place = 0;
    let p = start;
    let cut = 0;
    while (p < end) {
      if (cut < cutCount && cuts[cut] <= p) {
        p = Math.max(p, cuts[cut + 1]);
        cut += 2;
        continue;
      }
      const line = p;
      if (learns) {
        at = this.guess(out, at, buf, line);
        if (this.next > 0) {
          p = this.next;
          continue;
        }
      }
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
      if (learns && (index < 0 || UNLEARNED[index] === 0))
        at = this.line(out, at, buf, line, nameEnd, value, valueEnd, index);
      else at = writeLiteral(out, at, literal, buf, line, nameEnd, value, valueEnd, index);
    }
    return at;
  }

  /**
   * Heads that follow one another are much alike: the line that stood at this place the last time is looked at first, which costs less
   * than reading this one. Sets `next` to the index after the line, or 0.
   */
  private guess(out: Uint8Array, at: number, buf: Uint8Array, line: number): number {
    const { learned } = this;
    this.next = 0;
    this.place = (this.place + 1) & (PLACES - 1);
    if (this.places === null) return at;
    const entry = this.added - this.places[this.place];
    if (entry >= learned.count) return at;
    const { bytes } = learned;
    let p = line;
    let from = learned.place(entry);
    const end = from + learned.lineLength(entry);
    const nameEnd = from + learned.nameLength(entry);
    while (from < nameEnd) if (bytes[from++] !== LOWER[buf[p++]]) return at;
    while (from < end) if (bytes[from++] !== buf[p++]) return at;
    this.next = p;
    return writeInteger(out, at, INDEXED, 127, table.STATIC_COUNT + 1 + entry);
  }

  /** Writes a line by its index, if it was learned; or learns it, if it comes a second time; or only remembers its hash. */
  private line(
    out: Uint8Array,
    at: number,
    buf: Uint8Array,
    line: number,
    nameEnd: number,
    value: number,
    valueEnd: number,
    index: number,
  ): number {
    this.entries ??= new Int32Array(SLOTS);
    this.seen ??= new Int32Array(SLOTS);
    this.places ??= new Int32Array(PLACES);
    const { learned } = this;
    const hash = hashOf(
      buf,
      value,
      valueEnd,
      (nameEnd - line) * 31 + (index < 0 ? buf[line] * 67 + buf[nameEnd - 1] : index),
    );
    let slot = hash & (SLOTS - 1);
    let entry = this.added - this.entries[slot];
    if (entry >= learned.count || !this.isEntry(entry, buf, line, nameEnd, value, valueEnd)) {
      slot = (hash >>> 8) & (SLOTS - 1);
      entry = this.added - this.entries[slot];
      if (entry >= learned.count || !this.isEntry(entry, buf, line, nameEnd, value, valueEnd)) entry = -1;
    }
    this.places[this.place] = entry < 0 ? 0 : this.added - entry;
    if (entry >= 0) return writeInteger(out, at, INDEXED, 127, table.STATIC_COUNT + 1 + entry);
    const length = nameEnd - line + valueEnd - value + LINE_EXTRA;
    const fits = length <= MAX_LEARNED_BYTES && length - LINE_EXTRA + ENTRY_OVERHEAD <= learned.capacity;
    if (!fits || this.seen[slot] !== hash) {
      this.seen[slot] = hash;
      return writeLiteral(out, at, UNINDEXED, buf, line, nameEnd, value, valueEnd, index);
    }
    this.learn(buf, line, nameEnd, value, valueEnd);
    this.entries[slot] = this.added;
    this.places[this.place] = this.added;
    return writeLiteral(out, at, INCREMENTAL, buf, line, nameEnd, value, valueEnd, index);
  }

  private isEntry(i: number, buf: Uint8Array, line: number, nameEnd: number, value: number, valueEnd: number): boolean {
    const { learned } = this;
    const nameLength = nameEnd - line;
    if (learned.nameLength(i) !== nameLength) return false;
    if (learned.lineLength(i) !== nameLength + valueEnd - value + LINE_EXTRA) return false;
    const { bytes } = learned;
    let at = learned.place(i);
    for (let p = line; p < nameEnd; p++) if (bytes[at++] !== LOWER[buf[p]]) return false;
    at += 2;
    for (let p = value; p < valueEnd; p++) if (bytes[at++] !== buf[p]) return false;
    return true;
  }

  private learn(buf: Uint8Array, line: number, nameEnd: number, value: number, valueEnd: number): void {
    let at = 0;
    for (let p = line; p < nameEnd; p++) scratch[at++] = LOWER[buf[p]];
    scratch[at] = COLON;
    scratch[at + 1] = SP;
    at = copy(scratch, at + 2, buf, value, valueEnd);
    scratch[at] = CR;
    scratch[at + 1] = LF;
    this.learned.add(scratch, 0, at + 2, nameEnd - line, 0);
    this.added++;
  }
}

/** A number for a value; four bytes at a time, since this is done for each field. */
function hashOf(buf: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed + end - start;
  let p = start;
  for (; p + 4 <= end; p += 4) {
    hash = Math.imul(hash ^ (buf[p] | (buf[p + 1] << 8) | (buf[p + 2] << 16) | (buf[p + 3] << 24)), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; p < end; p++) hash = Math.imul(hash ^ buf[p], 0x01000193);
  return hash ^ (hash >>> 13);
}
