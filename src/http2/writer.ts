import { copy } from './bytes.ts';
import {
  CONTINUATION,
  DATA,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER_BYTES,
  HEADERS,
  MAX_FRAME_BYTES,
  writeHeader,
  writeNumber,
} from './frames.ts';
import { HpackEncoder } from './hpack-encode.ts';
import { UNINDEXED } from './hpack-write.ts';
import { DRIBBLE_BYTES, DRIBBLES, STALL_BYTES, UPDATES_PER_DATA } from './limits.ts';
import { type Output, takeOutput } from './output.ts';
import { FrameReader } from './reader.ts';
import type { Stream } from './stream.ts';

/** Past this much output no more DATA is written before it has been taken. */
const MAX_OUTPUT_BYTES = 128 * 1024;

/** Nothing is left out. */
export const NO_CUTS = new Int32Array(0);

/**
 * The sending side of a connection: heads, data and trailers become frames in one output, which the edge writes once a turn. DATA keeps to
 * the peer's windows and to what the edge can write; streams that have more to send wait in line.
 */
export abstract class FrameWriter<S extends Stream> extends FrameReader {
  /** Nothing more can be written for now: `sendData` takes nothing until `resume`. The edge sets it. */
  blocked = false;
  /** What the peer lets us send on the whole connection. */
  protected sendWindow: number = DEFAULT_WINDOW;
  protected readonly encoder: HpackEncoder;
  protected updatesLeft = 0;
  private out: Output | null = null;
  /** Which output it is: frames of earlier ones can't be changed any more. */
  private round = 0;
  private readonly line: S[] = [];

  constructor(isServer: boolean) {
    super(isServer);
    // A client's own connection: what one client is sent it may compare. Ours to an upstream carries many clients' requests.
    this.encoder = new HpackEncoder(isServer);
  }

  /** Output waits to be taken: called once until `takeOutput` has been. */
  protected abstract onOutput(): void;
  /** @returns false if the connection has come to its end by it */
  protected abstract note(kind: number): boolean;
  /** We have sent everything on this stream. */
  protected abstract onLocalEnd(stream: S): void;

  /**
   * Hands over what waits to be written, or null. The caller writes `bytes[0,length)` and gives the output back with `giveOutput`.
   * If the write is still pending it sets `blocked`; else, or when it is done, it calls `resume`.
   */
  takeOutput(): Output | null {
    const { out } = this;
    this.out = null;
    this.round++;
    return out;
  }

  /**
   * Bytes that wait to be taken. While a write is pending and these grow past some 64 KB, the caller stops reading: DATA waits for
   * `resume`, but heads and answers to the peer's own frames do not.
   */
  get waitingBytes(): number {
    return this.out === null ? 0 : this.out.length;
  }

  /** Writing is possible again: streams that wait are told, one after another, as long as it stays so. */
  resume(): void {
    this.blocked = false;
    this.wake();
  }

  /** The output, with room for so many bytes more. */
  protected room(bytes: number): Output {
    let { out } = this;
    if (out === null) {
      out = takeOutput();
      this.out = out;
      this.onOutput();
    }
    out.reserve(bytes);
    return out;
  }

  /** Writes a frame of one number. */
  protected sendNumber(type: number, id: number, value: number): void {
    const out = this.room(13);
    out.length = writeNumber(out.bytes, out.length, type, id, value);
  }

  // ---- heads

  /** Begins a block in the output. @param most bytes that it can need @returns where its fields go in the output's bytes */
  protected beginBlock(most: number): number {
    const out = this.room(FRAME_HEADER_BYTES + most + FRAME_HEADER_BYTES * Math.ceil(most / MAX_FRAME_BYTES));
    return this.encoder.begin(out.bytes, out.length + FRAME_HEADER_BYTES);
  }

  /** Where a block that was begun is written. */
  protected get block(): Uint8Array {
    return (this.out as Output).bytes;
  }

  /** Ends the block that was begun: its last byte is before `at`. */
  protected endBlock(stream: S, at: number, ended: boolean): void {
    const out = this.out as Output;
    const from = out.length + FRAME_HEADER_BYTES;
    const length = at - from;
    stream.frameAt = out.length;
    stream.frameRound = this.round;
    const flags = ended ? END_STREAM : 0;
    if (length <= MAX_FRAME_BYTES) {
      writeHeader(out.bytes, out.length, length, HEADERS, flags | END_HEADERS, stream.id);
      out.length = at;
    } else out.length = this.splitBlock(out.bytes, out.length, length, flags, stream.id);
    if (ended) this.onLocalEnd(stream);
  }

  /** A block larger than a frame goes on in CONTINUATION frames: what follows moves back, the last part first. */
  private splitBlock(bytes: Uint8Array, at: number, length: number, flags: number, id: number): number {
    const from = at + FRAME_HEADER_BYTES;
    const last = Math.ceil(length / MAX_FRAME_BYTES) - 1;
    for (let part = last; part > 0; part--) {
      const start = part * MAX_FRAME_BYTES;
      const size = Math.min(MAX_FRAME_BYTES, length - start);
      const to = from + start + part * FRAME_HEADER_BYTES;
      bytes.copyWithin(to, from + start, from + start + size);
      writeHeader(bytes, to - FRAME_HEADER_BYTES, size, CONTINUATION, part === last ? END_HEADERS : 0, id);
    }
    writeHeader(bytes, at, MAX_FRAME_BYTES, HEADERS, flags, id);
    return from + length + last * FRAME_HEADER_BYTES;
  }

  /**
   * Sends trailers, and ends our side. All data must have been taken before.
   * @param buf the lines and the empty one, as they end a chunked body: buf[start,end)
   * @param literal `NEVER_INDEXED` where they came so
   */
  sendTrailers(stream: S, buf: Uint8Array, start: number, end: number, literal: number = UNINDEXED): void {
    if (stream.closed || !stream.sending) return;
    if (end - start <= 2) return this.endStream(stream);
    const at = this.beginBlock(HpackEncoder.bound(end - start));
    this.endBlock(stream, this.encoder.lines(this.block, at, buf, start, end - 2, NO_CUTS, 0, literal), true);
  }

  // ---- data

  /**
   * Sends buf[from,to), as far as windows and output allow; the bytes are copied.
   * @param ended nothing follows, and no trailers either
   * @returns the index after what was taken; where that is not `to`, `onWritable` says when the rest can be tried
   */
  sendData(stream: S, buf: Uint8Array, from: number, to: number, ended = false): number {
    if (stream.closed || !stream.sending) return to;
    if (stream.waiting) return from;
    let p = from;
    while (p < to) {
      const window = Math.min(stream.sendWindow, this.sendWindow);
      if (window <= 0) return this.wait(stream, p, true);
      if (this.blocked || (this.out !== null && this.out.length >= MAX_OUTPUT_BYTES))
        return this.wait(stream, p, false);
      const size = Math.min(to - p, window, MAX_FRAME_BYTES);
      if (size < DRIBBLE_BYTES && size < to - p && !this.note(DRIBBLES)) return to;
      this.writeData(stream, buf, p, p + size, ended && p + size === to);
      p += size;
    }
    stream.stalledAt = 0;
    if (ended) {
      if (from === to) this.endStream(stream);
      else this.onLocalEnd(stream);
    }
    return to;
  }

  private writeData(stream: S, buf: Uint8Array, from: number, to: number, ended: boolean): void {
    const size = to - from;
    const out = this.room(FRAME_HEADER_BYTES + size);
    stream.frameAt = out.length;
    stream.frameRound = this.round;
    const at = writeHeader(out.bytes, out.length, size, DATA, ended ? END_STREAM : 0, stream.id);
    out.length = copy(out.bytes, at, buf, from, to);
    stream.sendWindow -= size;
    this.sendWindow -= size;
    this.updatesLeft += UPDATES_PER_DATA;
    stream.stalledBytes += size;
  }

  /**
   * Ends our side, after all data has been taken. If the stream's last frame is still in the output, it is that frame that says so: a
   * response of head and body costs no empty DATA, though nobody knew which piece was the last.
   */
  endStream(stream: S): void {
    if (stream.closed || !stream.sending) return;
    const { out } = this;
    if (out !== null && stream.frameRound === this.round) out.bytes[stream.frameAt + 4] |= END_STREAM;
    else this.writeData(stream, NOTHING, 0, 0, true);
    this.onLocalEnd(stream);
  }

  // ---- waiting

  private wait(stream: S, p: number, stalled: boolean): number {
    stream.waiting = true;
    if (!stream.queued) {
      stream.queued = true;
      this.line.push(stream);
    }
    if (!stalled) stream.stalledAt = 0;
    else if (stream.stalledAt === 0 || stream.stalledBytes >= STALL_BYTES) {
      // 0 means "not stalled".
      stream.stalledAt = this.now || 1;
      stream.stalledBytes = 0;
    }
    return p;
  }

  /** Tells the streams that wait, in the order in which they came, until nothing more can be sent. */
  protected wake(): void {
    for (let left = this.line.length; left > 0 && this.line.length > 0; left--) {
      if (this.blocked || this.sendWindow <= 0 || this.failed) return;
      if (this.out !== null && this.out.length >= MAX_OUTPUT_BYTES) return;
      const stream = this.line.shift() as S;
      stream.queued = false;
      if (!stream.waiting) continue;
      if (stream.sendWindow > 0) this.wakeStream(stream);
      else {
        stream.queued = true;
        this.line.push(stream);
      }
    }
  }

  /** Tells one stream whose own window has been opened. */
  protected wakeStream(stream: S): void {
    if (!stream.waiting || stream.sendWindow <= 0 || this.sendWindow <= 0 || this.blocked) return;
    stream.waiting = false;
    stream.onWritable();
  }

  /** A stream that the peer's windows have held up since before then, if there is one. */
  protected stalled(before: number): S | undefined {
    return this.line.find((stream) => stream.waiting && stream.stalledAt !== 0 && stream.stalledAt < before);
  }

  /** Nobody waits for this stream any more. */
  protected leaveLine(stream: S): void {
    stream.waiting = false;
    if (!stream.queued) return;
    stream.queued = false;
    this.line.splice(this.line.indexOf(stream), 1);
  }
}

const NOTHING = new Uint8Array(0);
