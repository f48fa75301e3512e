import { MAX_BLOCK_BYTES } from './block.ts';
import { MAX_CONTINUATIONS } from './limits.ts';

/** Puts a field block together that comes in several frames (RFC 9113 §4.3). Most come in one, and never get here. */
export class HeaderBlock {
  /** The stream of the block that is under way, or 0. */
  id = 0;
  /** Its HEADERS frame ended the stream. */
  ends = false;
  /** Since when it is under way, or -1. */
  since = -1;
  /** What is here of it: bytes[0,length). */
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  private frames = 0;

  /** Takes the fragment of a HEADERS frame. */
  begin(id: number, ends: boolean, now: number): void {
    this.id = id;
    this.ends = ends;
    this.since = now;
    this.length = 0;
    this.frames = 0;
  }

  /** Adds a fragment. @returns false if the block has become too large, or too long a story */
  add(buf: Uint8Array, from: number, to: number): boolean {
    const length = this.length + to - from;
    if (length > MAX_BLOCK_BYTES || ++this.frames > MAX_CONTINUATIONS + 1) return false;
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(buf.subarray(from, to), this.length);
    this.length = length;
    return true;
  }

  /** The block is whole and read: keeps nothing of it. */
  end(): void {
    this.id = 0;
    this.since = -1;
    this.bytes = new Uint8Array(0);
    this.length = 0;
  }
}
