import { BAD_BODY, ChunkedBody } from '../http1/chunked.ts';
import type { RequestScanner } from '../http1/scan.ts';
import { BodyPace } from './body-pace.ts';

/** Follows one request body through the bytes that are read: where it ends, how long it is, how fast it comes. */
export class RequestBody {
  /** Payload bytes so far. */
  bytes = 0;
  /** After `take`: the range to forward, and the index behind the body's last byte in what was taken. */
  from = 0;
  to = 0;
  next = 0;
  /** After `take`: bytes to send behind the range, because they had to be held back; else null. */
  tail: Uint8Array | null = null;
  /** Bytes still to come, or -1 for a chunked body. */
  private left = 0;
  private chunks: ChunkedBody | null = null;
  readonly pace: BodyPace;

  /** @param minBodyRate bytes a second, see `EdgeSettings` */
  constructor(minBodyRate: number) {
    this.pace = new BodyPace(minBodyRate);
  }

  /** @param decode take chunks apart: the range is payload only, and `tail` trailers */
  begin(scanner: RequestScanner, decode: boolean): void {
    this.bytes = 0;
    this.pace.begin();
    this.left = scanner.chunked ? -1 : scanner.contentLength;
    if (!scanner.chunked) return;
    this.chunks ??= new ChunkedBody(decode);
    this.chunks.reset(decode);
  }

  /** Whether it is framed by a length, all of `bytes` belong to it. */
  covers(bytes: number): boolean {
    return this.left >= bytes;
  }

  /**
   * Takes what was read, `buffer[start, n)`; may move bytes inside that range.
   * @returns whether the body is complete, or undefined if its framing is broken
   */
  take(buffer: Buffer, start: number, n: number): boolean | undefined {
    this.tail = null;
    if (this.left >= 0) {
      this.from = start;
      this.to = this.next = Math.min(n, start + this.left);
      this.left -= this.to - start;
      this.bytes += this.to - start;
      return this.left === 0;
    }
    const chunks = this.chunks as ChunkedBody;
    const result = chunks.feed(buffer, start, n);
    if (result === BAD_BODY) return undefined;
    this.from = chunks.from;
    this.to = chunks.to;
    this.bytes = chunks.payload;
    this.next = result >= 0 ? result : n;
    if (result >= 0) this.tail = chunks.tail;
    return result >= 0;
  }
}
