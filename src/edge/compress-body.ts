import type { FailureCode } from '../core/failure.ts';
import type { Coding } from '../core/option-compress.ts';
import { BAD_BODY, ChunkedBody } from '../http1/chunked.ts';
import { type BodyEncoder, type EncoderOwner, encodeWhole, StreamEncoder } from './compress-encoder.ts';
import { encodeByHandle, HandleEncoder, hasHandles } from './compress-handles.ts';
import { encodedHead, type HeadText, reframedHead } from './compress-head.ts';
import { type Encodable, giveHead, sendWithHead } from './compress-send.ts';
import { EncodedUpstream, type Encoding } from './compress-upstream.ts';
import type { Upstream } from './downstream.ts';

/** Bodies that are here that soon are encoded at once, and have a length: longer ones would keep others waiting for too long. */
const wholeBytes = 64 * 1024;
/** So long is nothing let out of what has come, in case that more comes; ms. */
const quietMs = 5;
/** So much may wait for the encoder before the upstream is read no more, and so much when it is read again. */
const mostQueuedBytes = 64 * 1024;
const leastQueuedBytes = 16 * 1024;
/** Less than this waits for what follows it, while that is to be had without a flush. */
const leastSentBytes = 1_024;
/** Each holds about 1 MiB at most, and takes its turns among the worker's other requests: about a millisecond for 64 KiB. */
const mostEncoders = 64;

/** What bodies are gathered in: memory made anew for each has V8 collect its garbage again and again. */
const spares: Buffer[] = [];
const mostSpares = 16;
const nothing: Buffer = Buffer.alloc(0);
const lastChunk = Buffer.from('0\r\n');
const crlf = Buffer.from('\r\n');

let encoding = 0;

/** What bodies are encoded with in this process. */
interface Encoders {
  create(coding: Coding, owner: EncoderOwner): BodyEncoder;
  whole(coding: Coding, body: Buffer): Buffer;
}

/** By Node's public interface. */
export const publicEncoders: Encoders = {
  create: (coding, owner) => new StreamEncoder(coding, owner),
  whole: encodeWhole,
};

/** By its own, which costs half as much. */
const handleEncoders: Encoders = {
  create: (coding, owner) => new HandleEncoder(coding, owner),
  whole: encodeByHandle,
};

let encoders: Encoders | undefined;

/** For tests: which are used; undefined for the best that there are. */
export function useEncoders(used: Encoders | undefined): void {
  encoders = used;
}

function encodersOf(): Encoders {
  encoders ??= hasHandles() ? handleEncoders : publicEncoders;
  return encoders;
}

/** Whether another body may be encoded in this process now. */
export function mayEncode(): boolean {
  return encoding < mostEncoders;
}

/** How many bodies are being encoded in this process. */
export function countEncoding(): number {
  return encoding;
}

/** What is known of a body before it comes. */
export interface BodyPlan {
  readonly head: HeadText;
  readonly coding: Coding;
  readonly minBytes: number;
  /** It comes in chunks, which nobody has taken apart. */
  readonly chunked: boolean;
  readonly neverIndexed: boolean;
}

/**
 * The body of a response on its way from an upstream to an exchange, encoded. What has come is gathered for a moment: if that is all of a small
 * body, it is encoded at once; else a stream takes it. The head leaves with the first bytes.
 */
export class EncodedBody implements Encoding, EncoderOwner {
  readonly up: EncodedUpstream;
  private readonly exchange: Encodable;
  private readonly plan: BodyPlan;
  private readonly chunks: ChunkedBody | null;
  /** The client gets chunks. */
  private readonly framing: boolean;
  private encoder: BodyEncoder | null = null;
  /** What has come as long as it may be all: [0, gatheredBytes). */
  private gathered: Buffer | null = null;
  private gatheredBytes = 0;
  /** What waits for the encoder; nobody else's. */
  private queue: Buffer[] = [];
  private queuedBytes = 0;
  private total = 0;
  private outs: Buffer[] = [];
  private outBytes = 0;
  private trailers: Buffer | null = null;
  private headSent = false;
  private ended = false;
  private over = false;
  private quiet: NodeJS.Timeout | undefined;
  /** The time for a flush came while the encoder was busy. */
  private flushDue = false;

  /** Takes the upstream's place in the exchange. */
  constructor(exchange: Encodable, inner: Upstream, plan: BodyPlan) {
    this.exchange = exchange;
    this.plan = plan;
    this.up = new EncodedUpstream(inner, this);
    this.chunks = plan.chunked ? new ChunkedBody(true) : null;
    this.framing = !exchange.wantsDecoded();
    exchange.up = this.up;
    encoding++;
  }

  // ---- what comes

  /** Bytes of the body, as the upstream has framed them; they are copied. */
  take(buffer: Buffer, from: number, to: number): void {
    if (this.over) return;
    const { chunks } = this;
    if (chunks !== null) {
      if (chunks.feed(buffer, from, to) === BAD_BODY) return this.fail('malformed chunk');
      if (chunks.tail !== null) this.takeTrailers(chunks.tail);
      from = chunks.from;
      to = chunks.to;
    }
    if (to > from) {
      this.total += to - from;
      if (this.encoder?.isPrompt && !this.encoder.busy && this.queue.length === 0)
        return this.encoder.write(buffer.subarray(from, to));
      if (this.encoder !== null || !this.gather(buffer, from, to)) {
        this.queue.push(Buffer.from(buffer.subarray(from, to)));
        this.queuedBytes += to - from;
      }
    }
    if (this.encoder !== null) this.pump();
    else if (this.total > wholeBytes) this.beginStream();
    else this.quiet ??= setTimeout(() => this.onQuiet(), quietMs);
  }

  /** Puts bytes behind those that are here, while they may be all. @returns false if there is no room: they are not */
  private gather(buffer: Buffer, from: number, to: number): boolean {
    if (this.total > wholeBytes) return false;
    this.gathered ??= spares.pop() ?? Buffer.allocUnsafeSlow(wholeBytes);
    buffer.copy(this.gathered, this.total - (to - from), from, to);
    this.gatheredBytes = this.total;
    return true;
  }

  /** @param lines HTTP/1.1 lines and an empty one */
  takeTrailers(lines: Uint8Array): void {
    const kept = Buffer.from(lines)
      .toString('latin1')
      .replace(/^(?:content-md5|digest|content-digest|repr-digest):[^\n]*\n/gim, '');
    this.trailers = kept === '\r\n' ? null : Buffer.from(kept, 'latin1');
  }

  /** All of it has come, and the upstream is another's. */
  end(): void {
    if (this.over) return;
    this.up.release();
    this.ended = true;
    if (this.encoder === null) this.sendWhole();
    else this.pump();
  }

  /** The upstream has broken off. */
  breakOff(code: FailureCode): void {
    if (this.over) return;
    const { exchange, up } = this;
    // What is held back can still be taken back: then the exchange answers in the upstream's place.
    if (!this.headSent) {
      const head = this.headBytes();
      giveHead(exchange, up, head, head.length, this.plan.neverIndexed, false);
    }
    this.leave();
    exchange.onUpstreamFailed(up, code, true);
  }

  private fail(fault: string): void {
    const { up } = this;
    up.fault = fault;
    // The exchange still asks it for the request's head.
    this.breakOff('OO_INTERNAL');
    up.destroy();
  }

  // ---- all at once

  private sendWhole(): void {
    const { head, coding, minBytes } = this.plan;
    // In memory that is given back: what goes out must be its own.
    const body = this.gathered === null ? nothing : this.gathered.subarray(0, this.gatheredBytes);
    const framing = this.framing && this.trailers !== null ? 'chunked' : null;
    let encoded: Buffer = body;
    let bytes: Buffer;
    if (body.length < minBytes || body.length === 0) bytes = reframedHead(head, framing ?? body.length, false);
    else {
      encoded = this.encode(coding, body);
      if (this.over) return;
      bytes =
        encoded.length < body.length
          ? encodedHead(head, coding, framing ?? encoded.length)
          : reframedHead(head, framing ?? body.length, true);
      if (encoded.length >= body.length) encoded = body;
    }
    this.headSent = true;
    const parts = framing === null ? [encoded] : [...chunkOf([encoded], encoded.length), lastChunk, this.trailers!];
    this.deliver(bytes, parts);
    this.finish();
  }

  private encode(coding: Coding, body: Buffer): Buffer {
    try {
      return encodersOf().whole(coding, body);
    } catch (error) {
      this.onEncoderFailed(error as Error);
      return body;
    }
  }

  // ---- piece by piece

  private onQuiet(): void {
    this.quiet = undefined;
    if (this.over) return;
    if (this.encoder === null) {
      this.flushDue = this.total > 0;
      this.beginStream();
      // The upstream has sent a head, and thinks: the client gets to see it.
      if (this.total === 0 && !this.over) this.send();
    } else if (this.encoder.busy) this.flushDue = true;
    else if (this.encoder.dirty) this.encoder.flush();
  }

  private beginStream(): void {
    this.stopQuiet();
    if (this.gatheredBytes > 0) {
      // The encoder may look at it later.
      this.queue.unshift(Buffer.from((this.gathered as Buffer).subarray(0, this.gatheredBytes)));
      this.queuedBytes += this.gatheredBytes;
    }
    this.giveBack();
    try {
      this.encoder = encodersOf().create(this.plan.coding, this);
    } catch (error) {
      return this.onEncoderFailed(error as Error);
    }
    this.pump();
  }

  /** Gives the encoder what waits for it, if it can take it; the upstream is read as fast as that goes. */
  private pump(): void {
    const { encoder, queue, up } = this;
    if (encoder === null || encoder.busy) {
      if (this.queuedBytes > mostQueuedBytes && !this.ended) up.pauseReading();
      return;
    }
    const piece = queue.length <= 1 ? queue[0] : Buffer.concat(queue);
    this.queue = [];
    this.queuedBytes = 0;
    if (this.ended) return encoder.end(piece);
    if (piece !== undefined) encoder.write(piece);
  }

  onEncoderIdle(): void {
    if (this.over || this.encoder === null) return;
    if (this.queuedBytes <= leastQueuedBytes && !this.ended) this.up.resumeReading();
    // What it read while it was not read may have come, or been all.
    if (this.over || this.encoder.busy) return;
    if (this.queue.length > 0 || this.ended) this.pump();
    else if (!this.encoder.dirty) this.send();
    else if (this.flushDue) {
      this.flushDue = false;
      this.stopQuiet();
      this.encoder.flush();
    } else this.quiet ??= setTimeout(() => this.onQuiet(), quietMs);
  }

  onEncoded(bytes: Buffer): void {
    if (this.over) return;
    this.outs.push(bytes);
    this.outBytes += bytes.length;
    if (this.outBytes >= leastSentBytes) this.send();
  }

  onEncodedEnd(): void {
    if (this.over) return;
    this.send(true);
    this.finish();
  }

  onEncoderFailed(error: Error): void {
    if (!this.over) this.fail(`the response could not be encoded: ${error.message}`);
  }

  // ---- what goes

  /** Sends what the encoder has let out, and the head, if it is still here. @param last nothing follows */
  private send(last = false): void {
    const { outs, outBytes, framing } = this;
    this.outs = [];
    this.outBytes = 0;
    const parts = !framing || outBytes === 0 ? outs : chunkOf(outs, outBytes);
    if (last && framing) parts.push(lastChunk, this.trailers ?? crlf);
    if (!this.headSent) return this.deliver(this.headBytes(), parts);
    if (parts.length === 0) return;
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    this.exchange.onBody(bytes, 0, bytes.length);
  }

  private headBytes(): Buffer {
    const { head, coding } = this.plan;
    this.headSent = true;
    return encodedHead(head, coding, this.framing ? 'chunked' : 'none');
  }

  private deliver(head: Buffer, parts: readonly Buffer[]): void {
    sendWithHead(this.exchange, this.up, head, parts, this.plan.neverIndexed);
  }

  private finish(): void {
    if (this.over) return;
    this.leave();
    if (!this.framing && this.trailers !== null) this.exchange.onTrailers(this.trailers);
    this.exchange.onResponseEnd();
  }

  // ---- its client

  pauseEncoding(): void {
    this.encoder?.pause();
  }

  resumeEncoding(): void {
    this.encoder?.resume();
    // It may have been stopped before its response was to be encoded: an interim one was too much for the client.
    if (this.queuedBytes <= leastQueuedBytes && !this.ended) this.up.resumeReading();
  }

  leave(): void {
    if (this.over) return;
    this.over = true;
    encoding--;
    this.stopQuiet();
    this.queue = [];
    this.outs = [];
    this.giveBack();
    this.encoder?.destroy();
    this.encoder = null;
  }

  private giveBack(): void {
    if (this.gathered !== null && spares.length < mostSpares) spares.push(this.gathered);
    this.gathered = null;
    this.gatheredBytes = 0;
  }

  private stopQuiet(): void {
    clearTimeout(this.quiet);
    this.quiet = undefined;
  }
}

/** One chunk of all parts, in as many and a few more. */
function chunkOf(parts: readonly Buffer[], bytes: number): Buffer[] {
  return bytes === 0 ? [] : [Buffer.from(`${bytes.toString(16)}\r\n`, 'latin1'), ...parts, crlf];
}
