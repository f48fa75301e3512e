import { type BlockLimits, FieldBlock, newBytes } from './block.ts';
import { CR, LF } from './bytes.ts';
import * as rules from './rules.ts';

/**
 * Trailers (RFC 9113 §8.1), as they end a chunked body: `bytes[0,end)` is the lines that may go on and the empty one. Without lines it is
 * the empty one alone.
 */
export class Trailers extends FieldBlock {
  /** The index after the empty line. */
  end = 0;
  private fields = 0;

  /** @param allocate makes the buffer: see `FieldBlock` */
  constructor(limits: BlockLimits, allocate = newBytes) {
    super(limits, 0, allocate);
  }

  override begin(): void {
    super.begin();
    this.fields = 0;
  }

  override onField(kind: number, line: number, _nameEnd: number, lineEnd: number): number {
    if ((kind & rules.BAD_NAME) !== 0) return this.refuse('a field name that HTTP/2 does not allow', line);
    if ((kind & rules.BAD_VALUE) !== 0) return this.refuse('a character that no value may hold', line);
    const what = kind & rules.KIND;
    if (what >= rules.METHOD && what <= rules.LAST_PSEUDO)
      return this.refuse('a pseudo-header field in trailers', line);
    if (++this.fields > this.limits.maxFields) this.over = true;
    const kept = (kind & rules.NO_TRAILER) === 0 && what !== rules.DROP && what !== rules.CAPTURE && !this.over;
    return kept ? lineEnd : line;
  }

  /** Ends the section. Trailers over a limit are dropped as a whole. @returns false if they are malformed */
  finish(): boolean {
    if (this.over) this.at = 0;
    this.bytes[this.at] = CR;
    this.bytes[this.at + 1] = LF;
    this.end = this.at + 2;
    return this.malformed === '';
  }
}
