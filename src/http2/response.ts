import { type BlockLimits, FieldBlock, newBytes } from './block.ts';
import { ascii, CR, LF, readLength } from './bytes.ts';
import * as rules from './rules.ts';

const STATUS_LINE = ascii('HTTP/1.1 000 \r\n');
const STATUS_AT = 9;

/**
 * The head of an HTTP/2 response, made into that of an HTTP/1.1 response: `bytes[0,end)`. Whoever reads it frames the body by END_STREAM,
 * not by what it says.
 */
export class ResponseHead extends FieldBlock {
  /** 100 to 599, but not 101. */
  status = 0;
  /** -1: no Content-Length. */
  contentLength = -1;
  /** The index after the empty line. */
  end = 0;
  private fields = 0;
  private inFields = false;

  /** @param allocate makes the buffer: see `FieldBlock` */
  constructor(limits: BlockLimits, allocate = newBytes) {
    super(limits, STATUS_LINE.length, allocate);
    this.bytes.set(STATUS_LINE);
  }

  override begin(): void {
    super.begin();
    this.at = STATUS_LINE.length;
    this.status = 0;
    this.contentLength = -1;
    this.fields = 0;
    this.inFields = false;
  }

  override onField(kind: number, line: number, nameEnd: number, lineEnd: number): number {
    if ((kind & rules.BAD_NAME) !== 0) return this.refuse('a field name that HTTP/2 does not allow', line);
    if ((kind & rules.BAD_VALUE) !== 0) return this.refuse('a character that no value may hold', line);
    if ((kind & rules.KIND) === rules.STATUS) return this.onStatus(line, nameEnd + 2, lineEnd - 2);
    this.inFields = true;
    if ((kind & rules.KIND) === rules.DROP) return line;
    if ((kind & rules.KIND) === rules.CONTENT_LENGTH) {
      const length = readLength(this.bytes, nameEnd + 2, lineEnd - 2);
      if (length < 0 || this.contentLength >= 0) return this.refuse('Content-Length is not one number', line);
      this.contentLength = length;
    }
    if (++this.fields <= this.limits.maxFields) return lineEnd;
    this.over = true;
    return line;
  }

  /** RFC 9113 §8.3.2; and §8.6: 101 is none of HTTP/2. */
  private onStatus(line: number, start: number, end: number): number {
    const { bytes } = this;
    if (this.inFields || this.status !== 0) return this.refuse(':status twice, or after other fields', line);
    const status = readLength(bytes, start, end);
    if (end - start !== 3 || status < 100 || status > 599 || status === 101) return this.refuse('bad :status', line);
    this.status = status;
    for (let i = 0; i < 3; i++) bytes[STATUS_AT + i] = bytes[start + i];
    return line;
  }

  /** Ends the head. @returns false if it is malformed; `over` says whether it is too large */
  finish(): boolean {
    if (this.malformed === '' && !this.over && this.status === 0) this.refuse(':status is missing', 0);
    if (this.malformed !== '') return false;
    this.bytes[this.at] = CR;
    this.bytes[this.at + 1] = LF;
    this.end = this.at + 2;
    return true;
  }
}
