import { ReceiveWindow } from './flow.ts';
import * as frames from './frames.ts';
import { EMPTY_FRAMES, FAULTS, LATE, UPDATES_PER_STREAM } from './limits.ts';
import type { ConnectionOptions } from './options.ts';
import { BY_CONNECTION, BY_US, type Stream } from './stream.ts';
import { FrameWriter } from './writer.ts';

/** More than a peer can have open and not yet know to be reset. */
const RESETS_KEPT = 128;

/** The streams of a connection: how they begin and end, and the DATA that comes to them (RFC 9113 §5, §6.1, §6.9). */
export abstract class StreamKeeper<S extends Stream> extends FrameWriter<S> {
  /** Open streams, by their ids. */
  readonly streams = new Map<number, S>();
  /** Since when there is no stream, as `now` counts; -1 while there is one. */
  idleSince: number;
  protected readonly options: ConnectionOptions;
  /** What the peer takes a new stream's window to be: ours once it has acknowledged our SETTINGS. */
  protected streamWindow: number = frames.DEFAULT_WINDOW;
  private readonly inbound: ReceiveWindow;
  /** Streams that we have reset while the peer still sent: what it sends before it knows is dropped (RFC 9113 §5.1). */
  private resets: Int32Array | null = null;
  private resetCount = 0;
  /** Whose DATA frame is being read; null: nobody's, it is dropped. */
  private dataStream: S | null = null;

  constructor(isServer: boolean, options: ConnectionOptions, now: number) {
    super(isServer);
    this.options = options;
    this.now = now;
    this.idleSince = now;
    const { connectionWindow, maxConnectionWindow } = options;
    this.inbound = new ReceiveWindow(
      Math.max(connectionWindow, frames.DEFAULT_WINDOW),
      connectionWindow,
      maxConnectionWindow,
    );
  }

  /** Whether a stream of this id was never opened. */
  protected abstract isIdle(id: number): boolean;
  /** Whether a stream is not looked at, because GOAWAY said so. */
  protected abstract isIgnored(id: number): boolean;
  /** @returns false, and ends the connection, if no such frame may come now */
  protected abstract admits(type: number, id: number, flags: number): boolean;
  /** Why a stream may not receive DATA yet, or ''. */
  protected abstract dataFault(stream: S): string;
  /** A stream is gone. */
  protected abstract onClosed(): void;

  // ---- beginning and end

  /** Takes up a stream. @param receiving whether the peer may send DATA on it */
  protected addStream(stream: S, id: number, receiving: boolean, sendWindow: number): void {
    stream.id = id;
    stream.receiving = receiving;
    stream.sendWindow = sendWindow;
    if (receiving) {
      const { streamWindow, maxStreamWindow } = this.options;
      stream.inbound = new ReceiveWindow(this.streamWindow, streamWindow, maxStreamWindow);
    }
    this.updatesLeft += UPDATES_PER_STREAM;
    this.streams.set(id, stream);
    this.idleSince = -1;
  }

  /**
   * Breaks a stream off. Its subclass is not told. NO_ERROR, after `endStream` or the like, asks a client to stop sending what nobody
   * reads (RFC 9113 §8.1).
   */
  reset(stream: S, code: number): void {
    if (stream.closed) return;
    if (!this.failed) this.sendReset(stream.id, code, stream.receiving);
    this.closeStream(stream);
  }

  /** Sends RST_STREAM. @param receiving whether the peer may still send on the stream */
  protected sendReset(id: number, code: number, receiving: boolean): void {
    if (receiving) this.rememberReset(id);
    this.sendNumber(frames.RST_STREAM, id, code);
  }

  private rememberReset(id: number): void {
    this.resets ??= new Int32Array(RESETS_KEPT);
    this.resets[this.resetCount++ % RESETS_KEPT] = id;
  }

  /** Whether we have reset it lately, while the peer may have been sending. */
  protected wasReset(id: number): boolean {
    return this.resets?.includes(id) === true;
  }

  /** The peer has done something wrong on one stream (RFC 9113 §5.4.2): it alone ends. */
  protected streamError(stream: S, code: number, reason: string): void {
    this.sendReset(stream.id, code, stream.receiving);
    this.closeStream(stream);
    stream.onAbort(code, BY_US, reason);
    this.note(FAULTS);
  }

  protected closeStream(stream: S): void {
    stream.closed = true;
    stream.receiving = false;
    stream.sending = false;
    this.leaveLine(stream);
    this.streams.delete(stream.id);
    if (stream.inbound !== null) this.releaseConnection(stream.inbound.held - stream.lent);
    if (this.streams.size === 0) this.idleSince = this.now;
    this.onClosed();
  }

  /** The connection is over, and all its streams with it. */
  protected closeAll(code: number, reason: string): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.closed) continue;
      this.closeStream(stream);
      stream.onAbort(code, BY_CONNECTION, reason);
    }
  }

  protected override onLocalEnd(stream: S): void {
    stream.sending = false;
    this.settle(stream);
  }

  /** Ends the stream if both sides have. */
  protected settle(stream: S): void {
    if (!stream.receiving && !stream.sending && !stream.closed) this.closeStream(stream);
  }

  // ---- what comes

  /**
   * So many bytes that `onData` has given have been taken: the peer may send as many again. Bytes of a stream that has ended count as
   * taken.
   * @param mayGrow whether the stream's window may become larger than before
   */
  consume(stream: S, bytes: number, mayGrow = true): void {
    const { inbound } = stream;
    if (stream.closed || inbound === null) return;
    const taken = Math.min(bytes, inbound.held);
    const lent = Math.min(taken, stream.lent);
    const more = inbound.release(taken, mayGrow);
    stream.lent -= lent;
    if (more > 0 && stream.receiving) this.sendNumber(frames.WINDOW_UPDATE, stream.id, more);
    this.releaseConnection(taken - lent);
  }

  /**
   * So many bytes that `onData` has given wait until other streams have ended: they no longer count for the connection, whose window those others
   * may need to end. The stream's own window stays as it is, and bounds them. `consume` still has to be told of them.
   */
  lend(stream: S, bytes: number): void {
    const { inbound } = stream;
    if (stream.closed || inbound === null) return;
    const lent = Math.min(bytes, inbound.held - stream.lent);
    stream.lent += lent;
    this.releaseConnection(lent);
  }

  private releaseConnection(bytes: number): void {
    const more = this.inbound.release(bytes);
    if (more > 0 && !this.failed) this.sendNumber(frames.WINDOW_UPDATE, 0, more);
  }

  /** Our SETTINGS hold now for what the peer sends (RFC 9113 §6.9.2). */
  protected applyStreamWindow(): void {
    const change = this.options.streamWindow - this.streamWindow;
    this.streamWindow = this.options.streamWindow;
    if (change === 0) return;
    for (const stream of this.streams.values()) if (stream.inbound !== null) stream.inbound.window += change;
  }

  protected override onDataFrame(id: number, length: number, ends: boolean): void {
    this.dataStream = null;
    if (!this.admits(frames.DATA, id, 0)) return;
    if (!this.inbound.take(length)) return this.fail(frames.FLOW_CONTROL_ERROR, 'more DATA than the connection window');
    const stream = this.streams.get(id);
    if (stream === undefined) return this.onLateData(id);
    const fault = this.dataFault(stream);
    if (!stream.receiving) return this.streamError(stream, frames.STREAM_CLOSED, 'DATA after END_STREAM');
    if (!stream.inbound!.take(length)) {
      // Not ours to give back twice: what the frame takes of the connection is given back as it is dropped.
      stream.inbound!.held -= length;
      return this.streamError(stream, frames.FLOW_CONTROL_ERROR, 'more DATA than the stream window');
    }
    if (fault !== '') {
      stream.inbound!.held -= length;
      return this.streamError(stream, frames.PROTOCOL_ERROR, fault);
    }
    this.dataStream = stream;
    if (length === 0 && !ends) this.note(EMPTY_FRAMES);
  }

  /** DATA for a stream that is no more: dropped if we have reset it, else RFC 9113 §6.1 wants an error. */
  private onLateData(id: number): void {
    if (this.isIdle(id)) return this.fail(frames.PROTOCOL_ERROR, 'DATA on an idle stream');
    if (this.isIgnored(id) || !this.note(LATE) || this.wasReset(id)) return;
    this.sendReset(id, frames.STREAM_CLOSED, true);
  }

  protected override onDataLength(bytes: number, padding: number, ends: boolean): void {
    const stream = this.dataStream;
    if (stream === null) return this.releaseConnection(bytes + padding);
    if (padding > 0) this.consume(stream, padding);
    if (bytes === 0 && padding > 0 && !ends && !this.note(EMPTY_FRAMES)) return;
    if (stream.expected < 0) return;
    stream.expected -= bytes;
    if (stream.expected >= 0 && (!ends || stream.expected === 0)) return;
    this.dataStream = null;
    this.streamError(stream, frames.PROTOCOL_ERROR, 'body is not as long as Content-Length');
  }

  protected override onDataBytes(buf: Uint8Array, from: number, to: number, ends: boolean): void {
    const stream = this.dataStream;
    if (stream === null || stream.closed) return;
    if (ends) stream.receiving = false;
    stream.onData(buf, from, to, ends);
    if (ends) this.settle(stream);
  }
}
