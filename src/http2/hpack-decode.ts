import type { FieldBlock } from './block.ts';
import { COLON, CR, copy, LF, SP } from './bytes.ts';
import { DynamicTable, ENTRY_OVERHEAD, LINE_EXTRA } from './dynamic-table.ts';
import { decodeHuffman } from './huffman.ts';
import { BAD_VALUE, type FieldRules, isValue } from './rules.ts';
import { STATIC_COUNT, STATIC_LINES, STATIC_NAME_LENGTHS, STATIC_STARTS } from './static-table.ts';

/** Bytes that may follow an integer's first one: 28 bits, more than anything here can need (RFC 7541 §5.1, §7.4). */
const MAX_INTEGER_BYTES = 4;
/** RFC 7541 §4.2: the smallest size in between, and the last one. */
const MAX_UPDATES = 2;

/**
 * The decoder of one connection (RFC 7541). It writes fields as lines into a block, says of each what it is, and allocates nothing
 * but what its table needs to grow.
 */
export class HpackDecoder {
  readonly table: DynamicTable;
  private readonly rules: FieldRules;
  /** What SETTINGS_HEADER_TABLE_SIZE allows. */
  private limit: number;
  /** The next block must begin with a size update (RFC 9113 §4.3.1). */
  private awaitsUpdate = false;
  /** The index after what a private method has read. */
  private next = 0;

  constructor(rules: FieldRules, tableBytes: number) {
    this.rules = rules;
    this.limit = tableBytes;
    this.table = new DynamicTable(tableBytes);
  }

  /** The peer has acknowledged another SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    if (bytes < this.table.capacity) this.awaitsUpdate = true;
    this.limit = bytes;
  }

  /**
   * Decodes the whole block buf[start,end) into `block`, which was told to begin.
   * @returns false for a COMPRESSION_ERROR: the connection can't go on (RFC 9113 §4.3)
   */
  decode(buf: Uint8Array, start: number, end: number, block: FieldBlock): boolean {
    const { table } = this;
    let p = this.readUpdates(buf, start, end);
    while (p >= 0 && p < end) {
      const c = buf[p];
      if (c < 128) {
        p = (c & 0xe0) === 0x20 ? -1 : this.readLiteral(buf, p, end, block);
        continue;
      }
      let index = c & 127;
      p++;
      if (index === 127) {
        index = this.readInteger(buf, p, end, 127);
        p = this.next;
      }
      if (index <= 0 || index > STATIC_COUNT + table.count) return false;
      if (block.over) continue;
      const at = block.at;
      if (index <= STATIC_COUNT) {
        const lineEnd = copy(block.bytes, at, STATIC_LINES, STATIC_STARTS[index], STATIC_STARTS[index + 1]);
        this.emit(block, this.rules.staticKinds[index], at, at + STATIC_NAME_LENGTHS[index], lineEnd);
      } else {
        const i = index - STATIC_COUNT - 1;
        const from = table.place(i);
        const lineEnd = copy(block.bytes, at, table.bytes, from, from + table.lineLength(i));
        this.emit(block, table.kind(i), at, at + table.nameLength(i), lineEnd);
      }
    }
    return p === end;
  }

  private emit(block: FieldBlock, kind: number, line: number, nameEnd: number, lineEnd: number): void {
    block.listBytes += lineEnd - line - LINE_EXTRA + ENTRY_OVERHEAD;
    if (block.listBytes > block.limits.maxListBytes) block.over = true;
    else if (!block.over) block.at = block.onField(kind, line, nameEnd, lineEnd);
  }

  /** Size updates stand at the beginning of a block (RFC 7541 §4.2). @returns the index after them, or -1 */
  private readUpdates(buf: Uint8Array, p: number, end: number): number {
    for (let updates = 0; p < end && (buf[p] & 0xe0) === 0x20; updates++) {
      let size = buf[p++] & 31;
      this.next = p;
      if (size === 31) size = this.readInteger(buf, p, end, 31);
      p = this.next;
      if (size < 0 || size > this.limit || updates === MAX_UPDATES) return -1;
      this.table.resize(size);
      this.awaitsUpdate = false;
    }
    return this.awaitsUpdate ? -1 : p;
  }

  /** RFC 7541 §6.2. @returns the index after it, or -1 */
  private readLiteral(buf: Uint8Array, p: number, end: number, block: FieldBlock): number {
    const { table } = this;
    const out = block.bytes;
    const line = block.at;
    const first = buf[p++];
    const indexed = first >= 64;
    const mask = indexed ? 63 : 15;
    let index = first & mask;
    this.next = p;
    if (index === mask) index = this.readInteger(buf, p, end, mask);
    if (index < 0 || index > STATIC_COUNT + table.count) return -1;
    if ((first & 0xf0) === 0x10) block.neverIndexed = true;
    let kind = 0;
    let at = line;
    if (index === 0) {
      at = this.readString(buf, this.next, end, out, line);
      if (at < 0) return -1;
      kind = this.rules.kindOf(out, line, at);
    } else if (index <= STATIC_COUNT) {
      const from = STATIC_STARTS[index];
      at = copy(out, line, STATIC_LINES, from, from + STATIC_NAME_LENGTHS[index]);
      kind = this.rules.staticKinds[index];
    } else {
      const i = index - STATIC_COUNT - 1;
      const from = table.place(i);
      at = copy(out, line, table.bytes, from, from + table.nameLength(i));
      kind = table.kind(i) & ~BAD_VALUE;
    }
    const nameEnd = at;
    out[at] = COLON;
    out[at + 1] = SP;
    at = this.readString(buf, this.next, end, out, nameEnd + 2);
    if (at < 0) return -1;
    if (!isValue(out, nameEnd + 2, at)) kind |= BAD_VALUE;
    out[at] = CR;
    out[at + 1] = LF;
    if (indexed) table.add(out, line, at + 2, nameEnd - line, kind);
    this.emit(block, kind, line, nameEnd, at + 2);
    return this.next;
  }

  /** RFC 7541 §5.2. @returns the index after what was written to `out`, or -1 */
  private readString(buf: Uint8Array, p: number, end: number, out: Uint8Array, at: number): number {
    if (p >= end) return -1;
    const huffman = buf[p] >= 128;
    let length = buf[p++] & 127;
    this.next = p;
    if (length === 127) length = this.readInteger(buf, p, end, 127);
    const from = this.next;
    if (length < 0 || from + length > end) return -1;
    this.next = from + length;
    return huffman ? decodeHuffman(out, at, buf, from, this.next) : copy(out, at, buf, from, this.next);
  }

  /** The rest of an integer whose prefix is full (RFC 7541 §5.1). @returns -1 if it is cut off or too large */
  private readInteger(buf: Uint8Array, p: number, end: number, prefix: number): number {
    let value = prefix;
    for (let i = 0; i < MAX_INTEGER_BYTES && p < end; i++) {
      const c = buf[p++];
      value += (c & 127) << (i * 7);
      if (c < 128) {
        this.next = p;
        return value;
      }
    }
    return -1;
  }
}
