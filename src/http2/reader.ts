import { readUint31 } from './bytes.ts';
import {
  DATA,
  END_STREAM,
  FRAME_HEADER_BYTES,
  FRAME_SIZE_ERROR,
  MAX_FRAME_BYTES,
  PADDED,
  PREFACE,
  PROTOCOL_ERROR,
} from './frames.ts';

const smallCarry = 64;

/** What of a DATA frame comes next. */
const NONE = 0;
const PAD_LENGTH = 1;
const PAYLOAD = 2;
const PADDING = 3;

/**
 * Finds frames in the bytes of a connection, however they were split. DATA is handed on as it comes; any other frame is handed on whole,
 * from where it lies or, if it came in parts, from a buffer that is kept no longer than it takes.
 */
export abstract class FrameReader {
  /** The time of the last `receive` or `sweep`, epoch ms or any other count of ms. */
  now = 0;
  /** The connection is over: what still comes is not read. */
  failed = false;
  /** Since when a part of a frame is here and the rest is not; -1: no part is. */
  protected partSince = -1;
  private prefaceAt: number;
  private carry: Uint8Array | null = null;
  private carried = 0;
  private phase = NONE;
  private dataLeft = 0;
  private paddingLeft = 0;
  private dataEnds = false;

  /** @param expectsPreface a server does (RFC 9113 §3.4) */
  constructor(expectsPreface: boolean) {
    this.prefaceAt = expectsPreface ? 0 : PREFACE.length;
  }

  /** Handles a whole frame that is not DATA; its payload is buf[from,to). */
  protected abstract onFrame(type: number, flags: number, id: number, buf: Uint8Array, from: number, to: number): void;
  /** A DATA frame begins; `length` counts its padding. */
  protected abstract onDataFrame(id: number, length: number, ends: boolean): void;
  /** So many bytes of it are data, and the rest is padding. */
  protected abstract onDataLength(bytes: number, padding: number, ends: boolean): void;
  /** Some of its data; `ends` with the last of it, where the frame ends its stream: then it may be none. */
  protected abstract onDataBytes(buf: Uint8Array, from: number, to: number, ends: boolean): void;
  /** Ends the connection. */
  abstract fail(code: number, reason: string): void;

  /**
   * Takes bytes that have arrived, buf[start,end), and does all that they ask for.
   * @param now ms, never less than before
   */
  receive(buf: Uint8Array, start: number, end: number, now: number): void {
    this.now = now;
    let p = start;
    if (this.prefaceAt < PREFACE.length) p = this.readPreface(buf, p, end);
    while (p < end && !this.failed) {
      if (this.phase !== NONE) p = this.readData(buf, p, end);
      else if (this.carry !== null) p = this.readCarried(this.carry, buf, p, end);
      else if (end - p < FRAME_HEADER_BYTES) p = this.keep(buf, p, end, smallCarry);
      else p = this.readFrame(buf, p, end);
    }
  }

  /** Reads the frame at `p`, whose header is there. @returns the index after what was read of it */
  private readFrame(buf: Uint8Array, p: number, end: number): number {
    const length = (buf[p] << 16) | (buf[p + 1] << 8) | buf[p + 2];
    const type = buf[p + 3];
    const flags = buf[p + 4];
    const id = readUint31(buf, p + 5);
    if (length > MAX_FRAME_BYTES) {
      this.fail(FRAME_SIZE_ERROR, 'frame larger than SETTINGS_MAX_FRAME_SIZE');
      return end;
    }
    const from = p + FRAME_HEADER_BYTES;
    if (type === DATA) {
      this.beginData(flags, id, length, buf, from);
      return from;
    }
    if (end - from < length) return this.keep(buf, p, end, FRAME_HEADER_BYTES + length);
    this.onFrame(type, flags, id, buf, from, from + length);
    return from + length;
  }

  /** Keeps the beginning of a frame until the rest has come. */
  private keep(buf: Uint8Array, p: number, end: number, bytes: number): number {
    const carry = new Uint8Array(bytes);
    carry.set(buf.subarray(p, end));
    this.carry = carry;
    this.carried = end - p;
    if (this.partSince < 0) this.partSince = this.now;
    return end;
  }

  /** Adds to the frame that is kept as much as it still needs, and reads it when it is whole. */
  private readCarried(carry: Uint8Array, buf: Uint8Array, p: number, end: number): number {
    const { carried } = this;
    const need = carried < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : wholeLength(carry);
    const taken = Math.min(need - carried, end - p);
    for (let i = 0; i < taken; i++) carry[carried + i] = buf[p + i];
    this.carried += taken;
    if (this.carried < need) return p + taken;
    const since = this.partSince;
    this.carry = null;
    this.partSince = -1;
    // From a header alone: DATA goes on in `buf`, another frame is kept again, in a buffer of its size.
    this.readFrame(carry, 0, need);
    if (this.carry !== null) this.partSince = since;
    return p + taken;
  }

  private readPreface(buf: Uint8Array, p: number, end: number): number {
    while (p < end && this.prefaceAt < PREFACE.length) {
      if (buf[p++] !== PREFACE[this.prefaceAt++]) {
        this.fail(PROTOCOL_ERROR, 'no HTTP/2 connection preface');
        return end;
      }
    }
    return p;
  }

  // ---- DATA

  private beginData(flags: number, id: number, length: number, buf: Uint8Array, from: number): void {
    const ends = (flags & END_STREAM) !== 0;
    this.onDataFrame(id, length, ends);
    this.dataEnds = ends;
    this.dataLeft = length;
    this.paddingLeft = 0;
    if ((flags & PADDED) !== 0) {
      if (length === 0) return this.fail(FRAME_SIZE_ERROR, 'padded DATA without its pad length');
      this.phase = PAD_LENGTH;
      return;
    }
    this.measured(buf, from);
  }

  /** How much data there is, is known. */
  private measured(buf: Uint8Array, p: number): void {
    const padded = this.phase === PAD_LENGTH;
    this.onDataLength(this.dataLeft, padded ? this.paddingLeft + 1 : 0, this.dataEnds);
    if (this.dataLeft > 0) this.phase = PAYLOAD;
    else {
      this.phase = this.paddingLeft > 0 ? PADDING : NONE;
      if (this.dataEnds) this.onDataBytes(buf, p, p, true);
    }
  }

  private readData(buf: Uint8Array, p: number, end: number): number {
    if (this.phase === PAD_LENGTH) {
      this.paddingLeft = buf[p];
      this.dataLeft -= 1 + this.paddingLeft;
      if (this.dataLeft < 0) this.fail(PROTOCOL_ERROR, 'more padding than DATA');
      else this.measured(buf, p + 1);
      return p + 1;
    }
    if (this.phase === PADDING) {
      const skipped = Math.min(this.paddingLeft, end - p);
      this.paddingLeft -= skipped;
      if (this.paddingLeft === 0) this.phase = NONE;
      return p + skipped;
    }
    const to = Math.min(end, p + this.dataLeft);
    this.dataLeft -= to - p;
    if (this.dataLeft === 0) this.phase = this.paddingLeft > 0 ? PADDING : NONE;
    this.onDataBytes(buf, p, to, this.dataEnds && this.dataLeft === 0);
    return to;
  }
}

/** Header and payload of the frame that begins here. */
function wholeLength(frame: Uint8Array): number {
  return FRAME_HEADER_BYTES + ((frame[0] << 16) | (frame[1] << 8) | frame[2]);
}
