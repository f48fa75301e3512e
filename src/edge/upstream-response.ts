import { STATUS_CODES } from 'node:http';
import { DONE } from '../http1/scan.ts';
import type { ResponseHead, Trailers } from '../http2/codec.ts';
import type { ResponseRegisters } from './downstream.ts';
import { Stage, type Staged } from './upstream-stage.ts';
import type { UpstreamStream } from './upstream-stream.ts';

const empty: Buffer = Buffer.alloc(0);
const chunkedLine = Buffer.from('Transfer-Encoding: chunked\r\n\r\n');
const emptyLine = Buffer.from('Content-Length: 0\r\n\r\n');
const noLine = Buffer.from('\r\n');
const lastChunk = Buffer.from('0\r\n');
const DIGITS = Buffer.from('0123456789abcdef');
const CR = 13;
const LF = 10;

/** The codec's line for the status: `HTTP/1.1 200 `, and its end. */
const plainStatusBytes = 15;
const statusLines = new Map<number, Buffer>();

/** A chunk's size in hexadecimal digits and the line's end, at most. */
const prefixBytes = 10;
const firstHeldBytes = 16 * 1024;

/** All responses of a process; what it holds is delivered before another read is handled. */
export const stage: Stage = new Stage();

/**
 * The response on a stream, made into what an HTTP/1.1 upstream would have sent: a head, and a body that is framed by its length, by
 * chunks, or not at all where its client wants it decoded. What a client can't take yet is held here, and the stream's window stays shut.
 */
export class UpstreamResponse implements Staged {
  stage: Buffer = empty;
  from = 0;
  to = 0;
  staged = false;
  /** The upstream has ended it; not all of it need have been delivered. */
  ended = false;
  private readonly stream: UpstreamStream;
  /** How much of what is staged is the head; 0: it has been delivered, or has not come. */
  private headBytes = 0;
  private neverIndexed = false;
  private chunked = false;
  private closeDelimited = false;
  private trailers: Uint8Array | null = null;
  private paused = false;
  /** Payload that was delivered or staged, and that the upstream has not been told to be taken. */
  private owed = 0;
  /** Payload that came while the client took nothing: held[prefixBytes, heldTo). */
  private held: Buffer = empty;
  private heldTo = prefixBytes;

  constructor(stream: UpstreamStream) {
    this.stream = stream;
  }

  // ---- what comes

  /** @param bodiless a HEAD's, 204 or 304 */
  onHead(head: ResponseHead, ended: boolean, bodiless: boolean): void {
    const decoded = this.stream.client?.wantsDecoded() === true;
    const unframed = head.contentLength < 0 && !bodiless;
    this.chunked = unframed && !ended && !decoded;
    this.closeDelimited = unframed && decoded;
    this.neverIndexed = head.neverIndexed;
    const status = statusLine(head.status);
    const line = this.chunked ? chunkedLine : unframed && !decoded ? emptyLine : noLine;
    const fields = head.bytes.subarray(plainStatusBytes, head.end - noLine.length);
    this.headBytes = status.length + fields.length + line.length;
    const at = stage.reserve(this, this.headBytes);
    this.stage.set(status, at);
    this.stage.set(fields, at + status.length);
    this.stage.set(line, at + status.length + fields.length);
    stage.put(this, at + this.headBytes);
    if (ended) this.ended = true;
  }

  onData(buf: Uint8Array, from: number, to: number): void {
    const bytes = to - from;
    if (bytes === 0) return;
    if (!this.paused) {
      const at = stage.reserve(this, bytes + prefixBytes + noLine.length);
      // Room may have cost a delivery.
      if (this.stream.client === null) return;
      if (!this.paused) {
        this.owed += bytes;
        return this.stageData(buf, from, to, at);
      }
    }
    this.hold(buf, from, to);
  }

  /** @param trailers lines and the empty one; null: it has none */
  onEnd(trailers: Trailers | null): void {
    this.ended = true;
    if (trailers !== null && trailers.end > noLine.length)
      this.trailers = Uint8Array.from(trailers.bytes.subarray(0, trailers.end));
    const tail = this.paused ? 0 : this.tailBytes();
    const at = stage.reserve(this, tail);
    if (tail > 0 && !this.paused) stage.put(this, this.putTail(this.stage, at));
  }

  private stageData(buf: Uint8Array, from: number, to: number, at: number): void {
    if (this.chunked) at = putSize(this.stage, at, to - from);
    this.stage.set(buf.subarray(from, to), at);
    at += to - from;
    if (this.chunked) at = putLine(this.stage, at);
    stage.put(this, at);
  }

  /** Bytes that end a chunked body. */
  private tailBytes(): number {
    return this.chunked ? lastChunk.length + (this.trailers?.length ?? noLine.length) : 0;
  }

  private putTail(out: Buffer, at: number): number {
    this.chunked = false;
    out.set(lastChunk, at);
    const lines = this.trailers ?? noLine;
    out.set(lines, at + lastChunk.length);
    return at + lastChunk.length + lines.length;
  }

  private hold(buf: Uint8Array, from: number, to: number): void {
    const need = this.heldTo + to - from;
    // The end must fit, too: see `deliverHeld`.
    if (need + noLine.length > this.held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(firstHeldBytes, this.held.length * 2, need + noLine.length));
      if (this.isHolding()) this.held.copy(grown, prefixBytes, prefixBytes, this.heldTo);
      this.held = grown;
    }
    this.held.set(buf.subarray(from, to), this.heldTo);
    this.heldTo = need;
  }

  // ---- what goes

  /** Payload waits for the client. */
  isHolding(): boolean {
    return this.heldTo > prefixBytes;
  }

  deliver(): void {
    const { stage: buffer, from, to } = this;
    const headEnd = this.headBytes > 0 ? from + this.headBytes : 0;
    this.staged = false;
    this.from = to;
    const { client } = this.stream;
    if (client === null) return;
    if (headEnd > 0) {
      this.headBytes = 0;
      const registers = this.scan(buffer, from, headEnd);
      if (registers === null) return this.stream.fail('OO_BAD_RESPONSE', 'malformed response head');
      this.stream.onHeadDelivered();
      client.onAnswer(registers.status);
      client.onResponse(buffer, from, registers, this.closeDelimited);
      if (this.stream.client === null) return;
      client.onBody(buffer, headEnd, to);
    } else if (to > from) client.onBody(buffer, from, to);
    if (client.isWritePending()) stage.keep(buffer, to);
    if (this.stream.client === null) return;
    if (!this.paused) this.settle();
    if (this.ended && !this.isHolding() && this.tailBytes() === 0) this.finish();
  }

  private scan(buffer: Buffer, from: number, headEnd: number): ResponseRegisters | null {
    const scanner = this.stream.instance.edge.responseScanner;
    if (scanner.scan(buffer, from, headEnd) !== DONE) return null;
    if (!this.neverIndexed) return scanner;
    return Object.assign(Object.create(scanner) as ResponseRegisters, { neverIndexed: true });
  }

  pause(): void {
    this.paused = true;
  }

  /** The client has taken what it was given. */
  resume(): void {
    this.paused = false;
    this.settle();
    if (this.isHolding()) this.deliverHeld();
    if (!this.ended || this.stream.client === null || this.isHolding() || this.staged) return;
    const tail = this.tailBytes();
    if (tail > 0) {
      const out = Buffer.allocUnsafe(tail);
      this.stream.client.onBody(out, 0, this.putTail(out, 0));
    }
    this.finish();
  }

  private deliverHeld(): void {
    const { held, heldTo } = this;
    const bytes = heldTo - prefixBytes;
    // The client may write from it for a while: what comes next is held elsewhere.
    this.held = empty;
    this.heldTo = prefixBytes;
    let from = prefixBytes;
    let to = heldTo;
    if (this.chunked) {
      from -= bytes.toString(16).length + noLine.length;
      putSize(held, from, bytes);
      to = putLine(held, to);
    }
    this.owed += bytes;
    this.stream.client?.onBody(held, from, to);
    if (!this.paused) this.settle();
  }

  /** The client has taken all that it was given: the upstream may send as much again. */
  private settle(): void {
    const { owed } = this;
    this.owed = 0;
    if (owed > 0) this.stream.consume(owed);
  }

  private finish(): void {
    const { client } = this.stream;
    if (client === null) return;
    if (this.trailers !== null && client.wantsDecoded()) client.onTrailers(this.trailers);
    this.stream.finish();
  }
}

/** HTTP/2 has no reason phrase, and HTTP/1.1 could do without; but some clients can't. */
function statusLine(status: number): Buffer {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`);
    statusLines.set(status, line);
  }
  return line;
}

function putLine(out: Buffer, at: number): number {
  out[at] = CR;
  out[at + 1] = LF;
  return at + 2;
}

function putSize(out: Buffer, at: number, bytes: number): number {
  let shift = 0;
  while (bytes >>> (shift + 4) !== 0) shift += 4;
  for (; shift >= 0; shift -= 4) out[at++] = DIGITS[(bytes >>> shift) & 15];
  return putLine(out, at);
}
