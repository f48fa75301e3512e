import { copy } from './bytes.ts';

/** SETTINGS_HEADER_TABLE_SIZE's default, and the most that oo gives a peer. */
export const MAX_TABLE_BYTES = 4096;
/** RFC 7541 §4.1: what an entry counts beside its name and value. */
export const ENTRY_OVERHEAD = 32;
/** What a stored line has beside its name and value: `: ` and CRLF. */
export const LINE_EXTRA = 4;

const FIRST_BYTES = 512;
const FIRST_ENTRIES = 16;

/** Numbers kept for each entry: where its line starts, the length of its name, of its line, its kind. */
const PLACE = 0;
const NAME_LENGTH = 1;
const LINE_LENGTH = 2;
const KIND = 3;
const NUMBERS = 4;

/**
 * The dynamic table of an HPACK decoder (RFC 7541 §2.3.2). Entries are lines, `name: value CRLF`, one after another in one buffer, so
 * that the oldest ones go by moving its begin. Buffers grow with what is put in: a connection that says little keeps little.
 */
export class DynamicTable {
  /** The lines. */
  bytes: Uint8Array = new Uint8Array(0);
  /** How many entries there are. */
  count = 0;
  /** Their size as RFC 7541 §4.1 counts it. */
  size = 0;
  /** What `size` may be at most. */
  capacity: number;

  private begin = 0;
  private end = 0;
  /** A ring of entries: the newest is at `newest`, older ones after it. */
  private entries = new Int32Array(0);
  private newest = 0;
  private mask = -1;

  /** @param capacity the size that it may have at first */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** Where the line of entry `i` starts in `bytes`; 0 is the newest. */
  place(i: number): number {
    return this.entries[((this.newest + i) & this.mask) * NUMBERS + PLACE];
  }

  nameLength(i: number): number {
    return this.entries[((this.newest + i) & this.mask) * NUMBERS + NAME_LENGTH];
  }

  lineLength(i: number): number {
    return this.entries[((this.newest + i) & this.mask) * NUMBERS + LINE_LENGTH];
  }

  /** What the entry was said to be when it was put in. */
  kind(i: number): number {
    return this.entries[((this.newest + i) & this.mask) * NUMBERS + KIND];
  }

  /** Changes the size that it may have, and drops what is too much (RFC 7541 §4.3). */
  resize(capacity: number): void {
    this.capacity = capacity;
    this.evict(capacity);
  }

  /**
   * Puts the line buf[start,end) in as the newest entry; older ones make room. One that is larger than the whole table empties it
   * (RFC 7541 §4.4). The line may not lie in `bytes`.
   */
  add(buf: Uint8Array, start: number, end: number, nameLength: number, kind: number): void {
    const length = end - start;
    const size = length - LINE_EXTRA + ENTRY_OVERHEAD;
    this.evict(Math.max(0, this.capacity - size));
    if (size > this.capacity) return;
    if (this.count === this.mask + 1) this.growEntries();
    if (this.end + length > this.bytes.length) this.makeRoom(length);
    this.newest = (this.newest - 1) & this.mask;
    const at = this.newest * NUMBERS;
    this.entries[at + PLACE] = this.end;
    this.entries[at + NAME_LENGTH] = nameLength;
    this.entries[at + LINE_LENGTH] = length;
    this.entries[at + KIND] = kind;
    this.end = copy(this.bytes, this.end, buf, start, end);
    this.count++;
    this.size += size;
  }

  private evict(most: number): void {
    while (this.size > most) {
      const length = this.lineLength(this.count - 1);
      this.begin += length;
      this.size -= length - LINE_EXTRA + ENTRY_OVERHEAD;
      this.count--;
    }
    if (this.count === 0) this.begin = this.end = 0;
  }

  private growEntries(): void {
    const grown = new Int32Array(Math.max(FIRST_ENTRIES * NUMBERS, this.entries.length * 2));
    for (let i = 0; i < this.count; i++) {
      const at = ((this.newest + i) & this.mask) * NUMBERS;
      grown.set(this.entries.subarray(at, at + NUMBERS), i * NUMBERS);
    }
    this.entries = grown;
    this.newest = 0;
    this.mask = grown.length / NUMBERS - 1;
  }

  /** Moves the lines to the front, of a larger buffer unless half of this one is free: so that moving stays rare. */
  private makeRoom(length: number): void {
    const live = this.end - this.begin;
    let bytes = Math.max(this.bytes.length, FIRST_BYTES);
    while ((live + length) * 2 > bytes) bytes *= 2;
    const moved = bytes === this.bytes.length ? this.bytes : new Uint8Array(bytes);
    moved.set(this.bytes.subarray(this.begin, this.end));
    for (let i = 0; i < this.count; i++) this.entries[((this.newest + i) & this.mask) * NUMBERS + PLACE] -= this.begin;
    this.bytes = moved;
    this.begin = 0;
    this.end = live;
  }
}
