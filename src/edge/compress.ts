import type { FailureCode } from '../core/failure.ts';
import {
  type Coding,
  type CompiledCompress,
  isCompressedType,
  isCompressible,
  pickCoding,
} from '../core/option-compress.ts';
import type { CompiledRoute } from '../core/types.ts';
import { EncodedBody, mayEncode } from './compress-body.ts';
import { knownCodings } from './compress-encoder.ts';
import { encodedHead, type HeadText, readHead, variedHead, weakHead } from './compress-head.ts';
import { type Encodable, giveHead, sendWithHead } from './compress-send.ts';
import type { Downstream, ResponseRegisters, Upstream } from './downstream.ts';
import { findField, found } from './request-field.ts';
import type { RequestRegisters } from './request-head.ts';

const acceptEncoding = Buffer.from('accept-encoding');

/**
 * What stands between an upstream and the exchange of a request whose route has `compress`: once the response's head is here, an `EncodedBody`
 * takes the body, or everything goes on as it comes.
 */
export class Compress implements Downstream {
  private readonly exchange: Encodable;
  private readonly options: CompiledCompress;
  /** What the client takes. */
  private readonly coding: Coding | null;
  private body: EncodedBody | null = null;
  /** The response's head, written anew, until the first bytes of its body are here. */
  private changed: Buffer | null = null;
  private closeDelimited = false;
  private literal = false;
  /** The response's head has not come yet. */
  private open = true;

  /** Made while the request's head is there. */
  constructor(exchange: Encodable, options: CompiledCompress, buffer: Buffer, head: RequestRegisters) {
    this.exchange = exchange;
    this.options = options;
    this.coding = codingFor(options, buffer, head);
  }

  // ---- the response's head

  onResponse(buffer: Buffer, start: number, head: ResponseRegisters, closeDelimited: boolean): void {
    const { exchange } = this;
    this.open = false;
    const text = readHead(buffer, start, head, exchange.responseRewrite);
    const changed = text === null ? null : this.decide(text, head);
    if (changed === null && this.body === null) return exchange.onResponse(buffer, start, head, closeDelimited);
    exchange.rewritten = true;
    this.changed = changed;
    this.closeDelimited = closeDelimited;
    this.literal = head.neverIndexed === true;
  }

  /** Begins to encode, or says with which other head the response goes on; null: as it is. */
  private decide(text: HeadText, head: ResponseRegisters): Buffer | null {
    const { exchange, options, coding } = this;
    const { status, contentLength } = head;
    if (status === 304) return this.validated(text);
    if (!isCompressible(options, { status, contentLength, ...text })) return null;
    const up = exchange.up as Upstream;
    if (coding === null || !mayEncode()) return variedHead(text);
    if (exchange.isHead) return encodedHead(text, coding, 'none');
    const chunked = head.chunked && !exchange.wantsDecoded();
    const neverIndexed = head.neverIndexed === true;
    this.body = new EncodedBody(exchange, up, {
      head: text,
      coding,
      minBytes: options.minBytes,
      chunked,
      neverIndexed,
    });
    return null;
  }

  /** What has an encoded body has it by a weak tag (RFC 9111 §4.3.4: by a strong one it would not find it). */
  private validated(text: HeadText): Buffer | null {
    const { etag, contentType } = text;
    const sent = (this.exchange.up as Upstream).sentHead().toString('latin1');
    const asked = /^if-none-match:[ \t]*([^\r\n]*)/im.exec(sent)?.[1] ?? '';
    if (etag.startsWith('"') && asked.includes(`W/${etag}`)) return weakHead(text);
    return contentType === '' || isCompressedType(this.options, contentType) ? variedHead(text) : null;
  }

  // ---- its body

  onBody(buffer: Buffer, from: number, to: number): void {
    const { body, changed, exchange } = this;
    if (body !== null) return body.take(buffer, from, to);
    if (changed === null) return exchange.onBody(buffer, from, to);
    this.changed = null;
    const parts = to > from ? [buffer.subarray(from, to)] : [];
    sendWithHead(exchange, exchange.up as Upstream, changed, parts, this.literal, this.closeDelimited);
  }

  onBodyTail(tail: Uint8Array): void {
    if (this.body === null) this.exchange.onBodyTail(tail);
    else this.body.takeTrailers(tail);
  }

  onTrailers(lines: Uint8Array): void {
    if (this.body === null) this.exchange.onTrailers(lines);
    else this.body.takeTrailers(lines);
  }

  onResponseEnd(): void {
    if (this.body === null) this.exchange.onResponseEnd();
    else this.body.end();
  }

  onUpstreamFailed(up: Upstream, code: FailureCode, responseStarted: boolean): void {
    const { body, changed, exchange } = this;
    if (body !== null) return body.breakOff(code);
    // The exchange takes it back.
    if (changed !== null) giveHead(exchange, up, changed, changed.length, false, this.closeDelimited);
    exchange.onUpstreamFailed(up, code, responseStarted);
  }

  isWritePending(): boolean {
    return this.body === null && this.exchange.isWritePending();
  }

  /** What is read may wait for the encoder: little is read at once. */
  wantsMuch(): boolean {
    return this.body === null && !this.open && this.exchange.wantsMuch();
  }

  // ---- all else is the exchange's
  get route(): CompiledRoute | null {
    return this.exchange.route;
  }
  get isHead(): boolean {
    return this.exchange.isHead;
  }
  get trailersWelcome(): boolean {
    return this.exchange.trailersWelcome;
  }
  get neverIndexed(): boolean {
    return this.exchange.neverIndexed;
  }
  isRequestComplete(): boolean {
    return this.exchange.isRequestComplete();
  }
  wantsUpgrade(): boolean {
    return this.exchange.wantsUpgrade();
  }
  wantsDecoded(): boolean {
    return this.exchange.wantsDecoded();
  }
  onInterim(buffer: Buffer, start: number, head: ResponseRegisters): void {
    this.exchange.onInterim(buffer, start, head);
  }
  onAnswer(status: number): void {
    this.exchange.onAnswer(status);
  }
  onSwitch(buffer: Buffer, start: number, head: ResponseRegisters): void {
    this.exchange.onSwitch(buffer, start, head);
  }
  onTunnelBytes(buffer: Buffer, from: number, to: number): void {
    this.exchange.onTunnelBytes(buffer, from, to);
  }
  onTunnelEnd(): void {
    this.exchange.onTunnelEnd();
  }
  onUpstreamDrain(): void {
    this.exchange.onUpstreamDrain();
  }
}

/** What a request takes. HTTP/1.0 has no chunks. */
function codingFor({ codings }: CompiledCompress, buffer: Buffer, head: RequestRegisters): Coding | null {
  if (head.minor === 0) return null;
  let accepted = '';
  for (let from = 0; findField(buffer, head, acceptEncoding, from); from = found.end) {
    const value = buffer.toString('latin1', found.start, found.end);
    accepted = accepted === '' ? value : `${accepted},${value}`;
  }
  return pickCoding(accepted, knownCodings(codings));
}
