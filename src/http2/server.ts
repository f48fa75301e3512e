import { Connection, type ConnectionHandler } from './connection.ts';
import * as frames from './frames.ts';
import { HpackEncoder } from './hpack-encode.ts';
import { encodeStatus, skipLine, UNINDEXED } from './hpack-write.ts';
import { FAULTS, LATE, REFUSALS } from './limits.ts';
import type { ConnectionOptions } from './options.ts';
import { MALFORMED, REFUSED, type RequestHead } from './request.ts';
import type { FieldRules } from './rules.ts';
import * as settings from './settings.ts';
import type { ServerStream } from './stream.ts';
import type { Trailers } from './trailers.ts';
import { NO_CUTS } from './writer.ts';

/** What a server's connection asks of the one who holds its socket. */
export interface ServerHandler<S extends ServerStream> extends ConnectionHandler {
  /** Makes the object for a new stream. It hears `onRequest` next. */
  createStream(): S;
  /** A request was malformed (RFC 9113 §8.1.1), and its stream was reset before there was an object for it. @param reason for a log */
  onMalformed(reason: string): void;
}

/** What all connections of a server may share: each is used for one block at a time. */
export interface ServerParts {
  readonly rules: FieldRules;
  readonly head: RequestHead;
  readonly trailers: Trailers;
}

/**
 * A client's connection to us (RFC 9113), over bytes: `receive` takes what it sends, streams hear of it, and what is to be sent
 * waits in the output. Extended CONNECT (RFC 8441) is offered; nothing is pushed; priorities are ignored.
 */
export class ServerConnection<S extends ServerStream> extends Connection<S> {
  declare protected readonly handler: ServerHandler<S>;
  private readonly head: RequestHead;
  private readonly trailers: Trailers;
  /** Ids that the client has left out last: they were never opened, and can't be any more. */
  private skippedFrom = 0;
  private skippedTo = 0;

  /** @param now as in `receive`: time-outs count from here */
  constructor(handler: ServerHandler<S>, parts: ServerParts, options: ConnectionOptions, now: number) {
    super(true, handler, parts.rules, options, now);
    this.head = parts.head;
    this.trailers = parts.trailers;
  }

  /** Sends our SETTINGS: the first thing that a server says, without waiting. */
  start(): void {
    this.sendSettings([
      [settings.MAX_CONCURRENT_STREAMS, this.options.maxConcurrentStreams],
      [settings.MAX_HEADER_LIST_SIZE, this.head.limits.maxListBytes],
      [settings.ENABLE_CONNECT_PROTOCOL, 1],
      [settings.NO_RFC7540_PRIORITIES, 1],
    ]);
  }

  /**
   * Sends a response's head, final or interim, from the HTTP/1.1 head buf[start,end), its empty line included. Fields of HTTP/1.1
   * connections are left out by themselves.
   * @param cuts pairs [start,end) of lines that are not sent on, ascending
   * @param ended no body and no trailers follow. Where that is not known yet, `endStream` costs nothing in the same turn
   * @param literal `NEVER_INDEXED` where some field of it came so
   */
  sendResponse(
    stream: S,
    buf: Uint8Array,
    start: number,
    end: number,
    cuts: Int32Array = NO_CUTS,
    cutCount = 0,
    ended = false,
    literal: number = UNINDEXED,
  ): void {
    if (stream.closed || !stream.sending) return;
    const status = (buf[start + 9] - 48) * 100 + (buf[start + 10] - 48) * 10 + buf[start + 11] - 48;
    // RFC 9113 §8.6: an extended CONNECT that has succeeded says 200, whatever the upgrade said.
    const said = status === 101 ? 200 : status;
    const block = this.beginBlock(HpackEncoder.bound(end - start));
    const at = encodeStatus(this.block, block, said);
    const lines = skipLine(buf, start);
    this.endBlock(stream, this.encoder.lines(this.block, at, buf, lines, end - 2, cuts, cutCount, literal), ended);
  }

  protected override isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.lastPeerId;
  }

  protected override dataFault(): string {
    return '';
  }

  /** We open none, so there is nothing that the client could refuse or make room for. */
  protected override refuseAbove(): void {}
  protected override onPeerSettings(): void {}

  protected override onBlock(id: number, ends: boolean, buf: Uint8Array, from: number, to: number): void {
    if (id > this.lastPeerId && (id & 1) === 1) return this.onHead(id, ends, buf, from, to);
    const stream = this.streams.get(id);
    if (stream === undefined) return this.onLateHead(id, buf, from, to);
    this.trailers.begin();
    if (!this.decoder.decode(buf, from, to, this.trailers)) return this.failBlock();
    if (!stream.receiving) return this.streamError(stream, frames.STREAM_CLOSED, 'HEADERS after END_STREAM');
    if (!ends || stream.tunnel)
      return this.streamError(stream, frames.PROTOCOL_ERROR, 'trailers that do not end the stream');
    if (!this.trailers.finish()) return this.streamError(stream, frames.PROTOCOL_ERROR, this.trailers.malformed);
    if (stream.expected > 0)
      return this.streamError(stream, frames.PROTOCOL_ERROR, 'body is not as long as Content-Length');
    stream.receiving = false;
    stream.onTrailers(this.trailers);
    this.settle(stream);
  }

  private failBlock(): void {
    this.fail(frames.COMPRESSION_ERROR, 'field block does not decode');
  }

  private onHead(id: number, ends: boolean, buf: Uint8Array, from: number, to: number): void {
    if (id > this.lastPeerId + 2) {
      this.skippedFrom = this.lastPeerId + 1;
      this.skippedTo = id - 1;
    }
    this.lastPeerId = id;
    const { head } = this;
    head.begin();
    if (!this.decoder.decode(buf, from, to, head)) return this.failBlock();
    if (this.isIgnored(id)) return;
    if (this.streams.size >= this.options.maxConcurrentStreams) {
      this.sendReset(id, frames.REFUSED_STREAM, !ends);
      this.note(REFUSALS);
      return;
    }
    const result = head.finish(ends);
    if (result === MALFORMED) {
      this.sendReset(id, frames.PROTOCOL_ERROR, !ends);
      this.handler.onMalformed(head.malformed);
      this.note(FAULTS);
      return;
    }
    const stream = this.handler.createStream();
    this.addStream(stream, id, !ends, this.peer.initialWindow);
    stream.expected = ends || result === REFUSED ? -1 : head.contentLength;
    stream.tunnel = head.upgradeEnd > 0;
    stream.onRequest(head, result === REFUSED ? head.fault : null, ends);
  }

  /** A field block for a stream that is no more, or never was. */
  private onLateHead(id: number, buf: Uint8Array, from: number, to: number): void {
    if ((id & 1) === 0) return this.fail(frames.PROTOCOL_ERROR, 'a client opens odd streams only');
    if (!this.wasReset(id) && !this.isIgnored(id)) {
      const skipped = id >= this.skippedFrom && id <= this.skippedTo;
      return this.fail(skipped ? frames.PROTOCOL_ERROR : frames.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    // RFC 9113 §4.3: the compression state must follow it all the same.
    this.trailers.begin();
    if (!this.decoder.decode(buf, from, to, this.trailers)) this.failBlock();
    else this.note(LATE);
  }
}
