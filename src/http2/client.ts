import { copy } from './bytes.ts';
import { Connection, type ConnectionHandler } from './connection.ts';
import * as frames from './frames.ts';
import { HpackEncoder } from './hpack-encode.ts';
import { encodeRequestLine, encodeTrailersWelcome, skipLine, UNINDEXED } from './hpack-write.ts';
import { LATE } from './limits.ts';
import type { ConnectionOptions } from './options.ts';
import type { ResponseHead } from './response.ts';
import type { FieldRules } from './rules.ts';
import * as settings from './settings.ts';
import { BY_PEER, type ClientStream } from './stream.ts';
import type { Trailers } from './trailers.ts';
import { NO_CUTS } from './writer.ts';

/** What a client's connection tells the one who holds its socket. */
export interface ClientHandler extends ConnectionHandler {
  /** `canOpen` may say otherwise now: a stream has ended, or the server has changed what it allows. */
  onRoom(): void;
}

/** What all connections of a client may share: each is used for one block at a time. */
export interface ClientParts {
  readonly rules: FieldRules;
  readonly head: ResponseHead;
  readonly trailers: Trailers;
}

/** What a request is, beyond its head. */
export interface RequestKind {
  /** `:scheme` is https. */
  readonly tls: boolean;
  /** It says `te: trailers`, as gRPC needs it. */
  readonly trailersWelcome: boolean;
  /** No body and no trailers follow. */
  readonly ended: boolean;
  /** It is a HEAD. */
  readonly bodiless: boolean;
  /** `NEVER_INDEXED` where some field of it came so; default `UNINDEXED`. */
  readonly literal?: number;
}

/** Our connection to an upstream (RFC 9113), over bytes. It takes no pushes, and opens no more streams than the server allows. */
export class ClientConnection<S extends ClientStream> extends Connection<S> {
  declare protected readonly handler: ClientHandler;
  private readonly head: ResponseHead;
  private readonly trailers: Trailers;
  private nextId = 1;
  /** GOAWAY has come: no new streams. */
  private leaving = false;

  /** @param now as in `receive`: time-outs count from here */
  constructor(handler: ClientHandler, parts: ClientParts, options: ConnectionOptions, now: number) {
    super(false, handler, parts.rules, options, now);
    this.head = parts.head;
    this.trailers = parts.trailers;
  }

  /** Sends the preface and our SETTINGS (RFC 9113 §3.4); requests may follow at once. */
  start(): void {
    const out = this.room(frames.PREFACE.length);
    out.length = copy(out.bytes, out.length, frames.PREFACE, 0, frames.PREFACE.length);
    this.sendSettings([
      [settings.ENABLE_PUSH, 0],
      [settings.MAX_HEADER_LIST_SIZE, this.head.limits.maxListBytes],
    ]);
  }

  /** Whether a stream can be opened now. */
  canOpen(): boolean {
    if (this.failed || this.leaving || this.draining || this.nextId > frames.MAX_31) return false;
    return this.streams.size < this.peer.maxConcurrentStreams;
  }

  /**
   * Opens a stream with the request whose HTTP/1.1 head is buf[start,end), its empty line included. The caller has asked `canOpen`.
   * Fields of HTTP/1.1 connections are left out by themselves; Host becomes `:authority`.
   */
  sendRequest(stream: S, buf: Uint8Array, start: number, end: number, kind: RequestKind): void {
    const id = this.nextId;
    this.nextId += 2;
    stream.bodiless = kind.bodiless;
    this.addStream(stream, id, true, this.peer.initialWindow);
    const block = this.beginBlock(HpackEncoder.bound(end - start));
    let at = encodeRequestLine(this.block, block, buf, start, end, kind.tls);
    at = this.encoder.lines(this.block, at, buf, skipLine(buf, start), end - 2, NO_CUTS, 0, kind.literal ?? UNINDEXED);
    if (kind.trailersWelcome) at = encodeTrailersWelcome(this.block, at);
    this.endBlock(stream, at, kind.ended);
  }

  protected override isIdle(id: number): boolean {
    return (id & 1) === 0 || id >= this.nextId;
  }

  protected override dataFault(stream: S): string {
    return stream.responded ? '' : 'DATA before the response';
  }

  protected override onClosed(): void {
    super.onClosed();
    if (!this.failed) this.handler.onRoom();
  }

  protected override onPeerSettings(): void {
    this.handler.onRoom();
  }

  /** RFC 9113 §6.8: what is above the last stream has not been looked at, so it may be repeated elsewhere. */
  protected override refuseAbove(lastId: number): void {
    this.leaving = true;
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastId || stream.closed) continue;
      this.closeStream(stream);
      stream.onAbort(frames.REFUSED_STREAM, BY_PEER, 'the peer goes away');
    }
  }

  protected override onBlock(id: number, ends: boolean, buf: Uint8Array, from: number, to: number): void {
    if (this.isIdle(id)) return this.fail(frames.PROTOCOL_ERROR, 'HEADERS on an idle stream');
    const stream = this.streams.get(id);
    const isHead = stream !== undefined && !stream.responded;
    const block = isHead ? this.head : this.trailers;
    block.begin();
    if (!this.decoder.decode(buf, from, to, block))
      return this.fail(frames.COMPRESSION_ERROR, 'field block does not decode');
    // A stream that is no more: we may have reset it, longer ago than is remembered.
    if (stream === undefined) this.note(LATE);
    else if (!stream.receiving) this.streamError(stream, frames.STREAM_CLOSED, 'HEADERS after END_STREAM');
    else if (isHead) this.onHead(stream, ends);
    else this.onTrailers(stream, ends);
  }

  private onHead(stream: S, ends: boolean): void {
    const { head } = this;
    if (!head.finish()) return this.streamError(stream, frames.PROTOCOL_ERROR, head.malformed);
    if (head.over) return this.streamError(stream, frames.CANCEL, 'response head is too large');
    if (head.status < 200) {
      if (ends) return this.streamError(stream, frames.PROTOCOL_ERROR, 'an interim response that ends the stream');
      return stream.onInterim(head);
    }
    const bodiless = stream.bodiless || head.status === 204 || head.status === 304;
    if (ends && head.contentLength > 0 && !bodiless)
      return this.streamError(stream, frames.PROTOCOL_ERROR, 'Content-Length, and no body');
    stream.responded = true;
    stream.expected = bodiless ? 0 : head.contentLength;
    if (ends) stream.receiving = false;
    stream.onResponse(head, ends);
    if (ends) this.settle(stream);
  }

  private onTrailers(stream: S, ends: boolean): void {
    if (!ends) return this.streamError(stream, frames.PROTOCOL_ERROR, 'trailers that do not end the stream');
    if (!this.trailers.finish()) return this.streamError(stream, frames.PROTOCOL_ERROR, this.trailers.malformed);
    if (stream.expected > 0)
      return this.streamError(stream, frames.PROTOCOL_ERROR, 'body is not as long as Content-Length');
    stream.receiving = false;
    stream.onTrailers(this.trailers);
    this.settle(stream);
  }
}
