import { ascii, readUint31, readUint32, same } from './bytes.ts';
import { MAX_TABLE_BYTES } from './dynamic-table.ts';
import * as frames from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack-decode.ts';
import * as limits from './limits.ts';
import type { ConnectionOptions } from './options.ts';
import type { FieldRules } from './rules.ts';
import * as settings from './settings.ts';
import { BY_PEER, type Stream } from './stream.ts';
import { StreamKeeper } from './streams.ts';

/** What a connection tells the one who holds its socket. */
export interface ConnectionHandler {
  /** Output waits: take it by the end of this turn with `takeOutput`, and write it. Said once until then. */
  onOutput(): void;
  /**
   * The connection has come to its end, by an error: its GOAWAY is in the output. Write it, and close the socket. All streams have
   * been told already.
   * @param code RFC 9113 §7
   * @param reason for the log
   */
  onFail(code: number, reason: string): void;
  /** GOAWAY has come. Streams that the peer has not looked at have been told. */
  onGoaway(code: number): void;
  /** After `drain`: no stream is left, and none can come. */
  onDrained(): void;
}

/** The PING by which a drain learns that its GOAWAY has arrived. */
const DRAIN_PING = ascii('oo drain');
/** The PING that asks whether the peer is still there. */
const ALIVE_PING = ascii('oo alive');

/** The state machine that server and client share: frames that are not DATA, RFC 9113 §4 to §6. */
export abstract class Connection<S extends Stream> extends StreamKeeper<S> {
  /** GOAWAY has been sent. */
  draining = false;
  readonly peer = new settings.PeerSettings();
  protected readonly handler: ConnectionHandler;
  protected readonly decoder: HpackDecoder;
  /** The highest id of a stream that the peer has opened. */
  protected lastPeerId = 0;
  /** Streams above it are not looked at. */
  protected goawayId: number = frames.MAX_31;
  private readonly isServer: boolean;
  private readonly bornAt: number;
  private readonly meter: limits.FloodMeter;
  private readonly fragments = new HeaderBlock();
  /** The peer's first SETTINGS have come. */
  private greeted = false;
  private unacknowledged = 0;

  constructor(
    isServer: boolean,
    handler: ConnectionHandler,
    rules: FieldRules,
    options: ConnectionOptions,
    now: number,
  ) {
    super(isServer, options, now);
    this.isServer = isServer;
    this.handler = handler;
    this.bornAt = now;
    this.decoder = new HpackDecoder(rules, this.peer.headerTableSize);
    this.meter = new limits.FloodMeter(isServer ? limits.FLOOD_LIMITS : limits.UPSTREAM_FLOOD_LIMITS);
    this.updatesLeft = limits.FIRST_UPDATES;
  }

  /** A whole field block has come: buf[from,to). */
  protected abstract onBlock(id: number, ends: boolean, buf: Uint8Array, from: number, to: number): void;
  /** The peer wants no streams of ours above `lastId`. */
  protected abstract refuseAbove(lastId: number): void;

  /** The peer's SETTINGS have been taken up. */
  protected abstract onPeerSettings(): void;

  /** Sends our SETTINGS, and opens the connection's window. */
  protected sendSettings(list: readonly settings.Setting[]): void {
    const { streamWindow, headerTableSize, connectionWindow } = this.options;
    const all: settings.Setting[] = [...list];
    if (streamWindow !== frames.DEFAULT_WINDOW) all.push([settings.INITIAL_WINDOW_SIZE, streamWindow]);
    if (headerTableSize !== this.decoder.table.capacity) all.push([settings.HEADER_TABLE_SIZE, headerTableSize]);
    const out = this.room(frames.FRAME_HEADER_BYTES + all.length * settings.SETTING_BYTES);
    out.length = settings.writeSettings(out.bytes, out.length, all);
    this.unacknowledged++;
    const more = connectionWindow - frames.DEFAULT_WINDOW;
    if (more > 0) this.sendNumber(frames.WINDOW_UPDATE, 0, more);
  }

  // ---- the end

  /** Ends the connection for an error (RFC 9113 §5.4.1). */
  override fail(code: number, reason: string): void {
    if (this.failed) return;
    this.failed = true;
    // RFC 9113 §6.8: never higher than said before.
    this.sendGoaway(Math.min(this.lastPeerId, this.goawayId), code, reason);
    this.closeAll(code, reason);
    this.handler.onFail(code, reason);
  }

  /** The socket is gone: tells all streams. */
  close(): void {
    this.failed = true;
    this.closeAll(frames.CANCEL, 'connection closed');
  }

  /**
   * Takes no new streams, and lets those that run end (RFC 9113 §6.8): a first GOAWAY warns, and when a PING has come back, so that no
   * stream is on its way any more, a second one names the last stream. `onDrained` follows.
   */
  drain(): void {
    if (this.draining || this.failed) return;
    this.draining = true;
    if (!this.isServer) return this.endDrain();
    this.sendGoaway(frames.MAX_31, frames.NO_ERROR, '');
    this.sendPing(DRAIN_PING);
  }

  /** Asks whether the peer is still there: it answers at once, so that bytes come in any case (RFC 9113 §6.7). */
  ping(): void {
    if (!this.failed) this.sendPing(ALIVE_PING);
  }

  private sendPing(payload: Uint8Array): void {
    const out = this.room(frames.FRAME_HEADER_BYTES + payload.length);
    const at = frames.writeHeader(out.bytes, out.length, payload.length, frames.PING, 0, 0);
    out.bytes.set(payload, at);
    out.length = at + payload.length;
  }

  private endDrain(): void {
    this.goawayId = this.lastPeerId;
    this.sendGoaway(this.goawayId, frames.NO_ERROR, '');
    this.onClosed();
  }

  protected override onClosed(): void {
    if (this.goawayId !== frames.MAX_31 && this.streams.size === 0 && !this.failed) this.handler.onDrained();
  }

  private sendGoaway(lastId: number, code: number, reason: string): void {
    const out = this.room(frames.FRAME_HEADER_BYTES + 8 + reason.length);
    out.length = frames.writeGoaway(out.bytes, out.length, lastId, code, ascii(reason));
  }

  /**
   * Looks for what takes too long; to be called a few times a second.
   * @param now as in `receive`
   */
  sweep(now: number): void {
    this.now = now;
    const { headTimeoutMs, stallTimeoutMs } = this.options;
    const began = this.greeted ? (this.fragments.since >= 0 ? this.fragments.since : this.partSince) : this.bornAt;
    if (began >= 0 && now - began > headTimeoutMs) return this.fail(frames.PROTOCOL_ERROR, 'a frame took too long');
    for (let stream = this.stalled(now - stallTimeoutMs); stream; stream = this.stalled(now - stallTimeoutMs))
      this.streamError(stream, frames.CANCEL, 'window not opened in time');
  }

  protected override onOutput(): void {
    this.handler.onOutput();
  }

  protected override note(kind: number): boolean {
    if (this.failed) return false;
    if (this.meter.allows(kind, this.now)) return true;
    this.fail(frames.ENHANCE_YOUR_CALM, `too many ${limits.FLOOD_NAMES[kind]}`);
    return false;
  }

  protected override isIgnored(id: number): boolean {
    return id > this.goawayId;
  }

  // ---- frames

  /** RFC 9113 §3.4: SETTINGS come first. §6.10: nothing comes between the parts of a field block. */
  protected override admits(type: number, id: number, flags: number): boolean {
    const { fragments } = this;
    if (!this.greeted && (type !== frames.SETTINGS || (flags & frames.ACK) !== 0))
      this.fail(frames.PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    else if (fragments.id !== 0 && (type !== frames.CONTINUATION || id !== fragments.id))
      this.fail(frames.PROTOCOL_ERROR, 'a frame inside of a field block');
    return !this.failed;
  }

  protected override onFrame(type: number, flags: number, id: number, buf: Uint8Array, from: number, to: number): void {
    if (!this.admits(type, id, flags)) return;
    switch (type) {
      case frames.HEADERS:
        return this.onHeaders(flags, id, buf, from, to);
      case frames.CONTINUATION:
        return this.onContinuation(flags, buf, from, to);
      case frames.WINDOW_UPDATE:
        return this.onWindowUpdate(id, buf, from, to);
      case frames.RST_STREAM:
        return this.onReset(id, buf, from, to);
      case frames.SETTINGS:
        return this.onSettings(flags, id, buf, from, to);
      case frames.PING:
        return this.onPing(flags, id, buf, from, to);
      case frames.GOAWAY:
        if (id !== 0) return this.fail(frames.PROTOCOL_ERROR, 'GOAWAY on a stream');
        if (to - from < 8) return this.fail(frames.FRAME_SIZE_ERROR, 'GOAWAY is too short');
        this.refuseAbove(readUint31(buf, from));
        return this.handler.onGoaway(readUint32(buf, from + 4));
      case frames.PUSH_PROMISE:
        // A client never sends it; a server was told not to by our first frame.
        return this.fail(frames.PROTOCOL_ERROR, 'PUSH_PROMISE');
      case frames.PRIORITY:
        return this.onPriority(id, to - from);
      default:
        this.note(limits.IGNORED);
    }
  }

  private onHeaders(flags: number, id: number, buf: Uint8Array, from: number, to: number): void {
    if (id === 0) return this.fail(frames.PROTOCOL_ERROR, 'HEADERS on stream 0');
    const padded = (flags & frames.PADDED) !== 0;
    const extra = (padded ? 1 : 0) + ((flags & frames.PRIORITY_FLAG) !== 0 ? 5 : 0);
    if (to - from < extra) return this.fail(frames.FRAME_SIZE_ERROR, 'HEADERS is too short');
    if (padded) to -= buf[from];
    from += extra;
    if (to < from) return this.fail(frames.PROTOCOL_ERROR, 'more padding than HEADERS');
    const ends = (flags & frames.END_STREAM) !== 0;
    if ((flags & frames.END_HEADERS) !== 0) return this.onBlock(id, ends, buf, from, to);
    this.fragments.begin(id, ends, this.now);
    this.fragments.add(buf, from, to);
  }

  private onContinuation(flags: number, buf: Uint8Array, from: number, to: number): void {
    const { fragments } = this;
    const { id } = fragments;
    if (id === 0) return this.fail(frames.PROTOCOL_ERROR, 'CONTINUATION without HEADERS');
    if (!fragments.add(buf, from, to)) return this.fail(frames.ENHANCE_YOUR_CALM, 'field block is too large');
    if ((flags & frames.END_HEADERS) === 0) return;
    const { bytes, length, ends } = fragments;
    fragments.end();
    this.onBlock(id, ends, bytes, 0, length);
  }

  private onWindowUpdate(id: number, buf: Uint8Array, from: number, to: number): void {
    if (to - from !== 4) return this.fail(frames.FRAME_SIZE_ERROR, 'WINDOW_UPDATE is not 4 bytes long');
    if (--this.updatesLeft < 0) return this.fail(frames.ENHANCE_YOUR_CALM, 'too many WINDOW_UPDATE frames');
    this.updatesLeft = Math.min(this.updatesLeft, limits.MOST_UPDATES);
    const more = readUint31(buf, from);
    if (id === 0) {
      this.sendWindow += more;
      if (more === 0) return this.fail(frames.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      if (this.sendWindow > frames.MAX_31) return this.fail(frames.FLOW_CONTROL_ERROR, 'window over 2^31-1');
      return this.wake();
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(frames.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (more === 0) return this.streamError(stream, frames.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    stream.sendWindow += more;
    if (stream.sendWindow > frames.MAX_31)
      return this.streamError(stream, frames.FLOW_CONTROL_ERROR, 'window over 2^31-1');
    this.wakeStream(stream);
  }

  private onReset(id: number, buf: Uint8Array, from: number, to: number): void {
    if (to - from !== 4) return this.fail(frames.FRAME_SIZE_ERROR, 'RST_STREAM is not 4 bytes long');
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(frames.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      else this.note(limits.LATE);
      return;
    }
    this.closeStream(stream);
    stream.onAbort(readUint32(buf, from), BY_PEER, 'reset by the peer');
    if (this.isServer) this.note(limits.RESETS);
  }

  private onSettings(flags: number, id: number, buf: Uint8Array, from: number, to: number): void {
    const ack = (flags & frames.ACK) !== 0;
    const fault = settings.settingsFault(id, ack, to - from);
    if (fault !== frames.NO_ERROR) return this.fail(fault, 'malformed SETTINGS');
    if (ack) return this.onAcknowledged();
    this.greeted = true;
    if (!this.note(limits.SETTINGS_FRAMES)) return;
    if (to - from > limits.MAX_SETTINGS * settings.SETTING_BYTES)
      return this.fail(frames.ENHANCE_YOUR_CALM, 'too many settings');
    for (let at = from; at < to && !this.failed; at += settings.SETTING_BYTES) this.onSetting(buf, at);
    if (this.failed) return;
    const out = this.room(frames.FRAME_HEADER_BYTES);
    out.length = frames.writeHeader(out.bytes, out.length, 0, frames.SETTINGS, frames.ACK, 0);
    this.wake();
    this.onPeerSettings();
  }

  private onSetting(buf: Uint8Array, at: number): void {
    const [setting, value] = settings.settingAt(buf, at);
    const window = this.peer.initialWindow;
    const fault = this.peer.set(setting, value, !this.isServer);
    if (fault !== frames.NO_ERROR) return this.fail(fault, `setting ${setting} can't be ${value}`);
    if (setting === settings.HEADER_TABLE_SIZE) this.encoder.limitTable(value);
    if (this.peer.initialWindow === window) return;
    // RFC 9113 §6.9.2: windows of open streams change by the difference, below 0 if need be.
    for (const stream of this.streams.values()) {
      stream.sendWindow += this.peer.initialWindow - window;
      if (stream.sendWindow > frames.MAX_31) return this.fail(frames.FLOW_CONTROL_ERROR, 'window over 2^31-1');
    }
  }

  /** The peer goes by our SETTINGS from here on. */
  private onAcknowledged(): void {
    if (this.unacknowledged === 0) return this.fail(frames.PROTOCOL_ERROR, 'acknowledges SETTINGS that were not sent');
    this.unacknowledged--;
    this.applyStreamWindow();
    if (this.options.headerTableSize !== MAX_TABLE_BYTES) this.decoder.limitTable(this.options.headerTableSize);
  }

  private onPing(flags: number, id: number, buf: Uint8Array, from: number, to: number): void {
    if (id !== 0) return this.fail(frames.PROTOCOL_ERROR, 'PING on a stream');
    if (to - from !== 8) return this.fail(frames.FRAME_SIZE_ERROR, 'PING is not 8 bytes long');
    if (!this.note(limits.PINGS)) return;
    if ((flags & frames.ACK) === 0) {
      const out = this.room(frames.FRAME_HEADER_BYTES + 8);
      out.length = frames.writePingAck(out.bytes, out.length, buf, from);
    } else if (this.draining && this.goawayId === frames.MAX_31 && same(buf, from, to, DRAIN_PING)) this.endDrain();
  }

  /** RFC 9113 §5.3.2: read for its form only. */
  private onPriority(id: number, length: number): void {
    if (id === 0) return this.fail(frames.PROTOCOL_ERROR, 'PRIORITY on stream 0');
    if (!this.note(limits.IGNORED) || length === 5) return;
    const stream = this.streams.get(id);
    if (stream !== undefined) this.streamError(stream, frames.FRAME_SIZE_ERROR, 'PRIORITY is not 5 bytes long');
    else if (this.isIdle(id)) this.fail(frames.FRAME_SIZE_ERROR, 'PRIORITY is not 5 bytes long');
    else this.sendReset(id, frames.FRAME_SIZE_ERROR, false);
  }
}
