import { MAX_TABLE_BYTES } from './dynamic-table.ts';
import { decodedBound } from './huffman.ts';

/** Compressed bytes of one field block, all its CONTINUATION frames together; past it the connection ends (attack 34). */
export const MAX_BLOCK_BYTES = 64 * 1024;

/** The most that a field block may hold when it is decoded. */
export interface BlockLimits {
  /** Names, values and 32 for each field, as RFC 9113 §6.5.2 counts for SETTINGS_MAX_HEADER_LIST_SIZE. */
  readonly maxListBytes: number;
  readonly maxFields: number;
}

/**
 * Fields as they are decoded: lines, `name: value CRLF`, one after another in a buffer that is used again for every block. One serves
 * any number of connections, one block at a time, and holds until the next.
 */
export abstract class FieldBlock {
  /** The lines; the ranges of a subclass lie in it. */
  readonly bytes: Uint8Array;
  /** Where the decoder writes the next line. It sets it to what `onField` returns. */
  at = 0;
  /** The size so far, as the limit counts it. */
  listBytes = 0;
  /** The block is over a limit: its fields are no longer kept, but the dynamic table is (RFC 9113 §4.3). */
  over = false;
  /** Why the message is malformed (RFC 9113 §8.1.1), or ''. */
  malformed = '';
  /** A field was sent never to be indexed: whoever encodes it again must do so as well (RFC 7541 §7.1.3). */
  neverIndexed = false;
  readonly limits: BlockLimits;

  /**
   * @param head bytes that a subclass needs before the lines
   * @param allocate makes the buffer, for callers who want one of a kind of their own
   */
  constructor(limits: BlockLimits, head: number, allocate: (bytes: number) => Uint8Array) {
    this.limits = limits;
    // What is kept is within the limit; behind it one field of any length must fit, by its literals or from the dynamic table.
    this.bytes = allocate(head + limits.maxListBytes + decodedBound(MAX_BLOCK_BYTES) + MAX_TABLE_BYTES + 64);
  }

  /** Makes it ready for a block. */
  begin(): void {
    this.at = 0;
    this.listBytes = 0;
    this.over = false;
    this.malformed = '';
    this.neverIndexed = false;
  }

  /**
   * Takes one field: its line is bytes[line,lineEnd), its name ends at `nameEnd`, its value is [nameEnd+2,lineEnd-2).
   * @param kind see rules.ts
   * @returns where the next line goes: `lineEnd` if this one is kept
   */
  abstract onField(kind: number, line: number, nameEnd: number, lineEnd: number): number;

  /** Notes the first reason why the message is malformed. @returns `at` */
  protected refuse(reason: string, at: number): number {
    if (this.malformed === '') this.malformed = reason;
    return at;
  }
}

/** What a block's buffer is where nobody wants one of another kind. */
export const newBytes = (bytes: number): Uint8Array => new Uint8Array(bytes);
