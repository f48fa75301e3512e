import type { ClientConnection } from '../http2/codec.ts';
import type { WireStream } from './upstream-wire.ts';

/** So much of a request's body is kept until the upstream has answered, in case that it refuses to look at the request. */
const mostKeptBytes = 64 * 1024;

/**
 * A request's body on its way to a stream. Views that could not be sent yet are kept as they are: their owner does not overwrite them.
 * What has been sent is kept as a copy while it is short, so that a request that the upstream has not looked at can go to another
 * connection.
 */
export class UpstreamBody {
  /** Nothing follows. */
  complete = false;
  /** Everything can still be sent again. */
  replayable = true;
  private queue: Buffer[] = [];
  /** How much of the first view has been sent. */
  private at = 0;
  /** HTTP/1.1 lines and the empty one. */
  trailers: Uint8Array | null = null;
  private ended = false;
  private kept: Buffer[] = [];
  private keptBytes = 0;

  add(view: Buffer): void {
    if (view.length > 0) this.queue.push(view);
  }

  /** @param lines HTTP/1.1 lines and the empty one; they are copied */
  addTrailers(lines: Uint8Array): void {
    this.trailers = Uint8Array.from(lines);
  }

  /** Nothing waits. */
  isDrained(): boolean {
    return this.queue.length === 0;
  }

  /** What waits, as one copy; null for nothing. */
  get unsent(): Buffer | null {
    const [first, ...rest] = this.queue;
    return first === undefined ? null : Buffer.concat([first.subarray(this.at), ...rest]);
  }

  /** The head is all there is. */
  isEmpty(): boolean {
    return this.complete && this.queue.length === 0 && this.kept.length === 0 && this.trailers === null;
  }

  /** Sends what can be sent. @returns how many bytes that were */
  send(wire: ClientConnection<WireStream>, stream: WireStream, literal: number): number {
    let sent = 0;
    while (this.queue.length > 0) {
      const view = this.queue[0];
      const to = wire.sendData(stream, view, this.at, view.length);
      sent += to - this.at;
      this.keep(view, this.at, to);
      this.at = to;
      if (to < view.length) return sent;
      this.queue.shift();
      this.at = 0;
    }
    if (!this.complete || this.ended) return sent;
    this.ended = true;
    if (this.trailers === null) wire.endStream(stream);
    else wire.sendTrailers(stream, this.trailers, 0, this.trailers.length, literal);
    return sent;
  }

  private keep(view: Buffer, from: number, to: number): void {
    if (!this.replayable || from === to) return;
    this.keptBytes += to - from;
    if (this.keptBytes > mostKeptBytes) return this.forget();
    this.kept.push(Buffer.from(view.subarray(from, to)));
  }

  /** The upstream has taken it up: it is not sent again. */
  forget(): void {
    this.replayable = false;
    this.kept = [];
  }

  /** Begins anew, for another stream. */
  rewind(): void {
    const [first, ...rest] = this.queue;
    this.queue = first === undefined ? this.kept : [...this.kept, first.subarray(this.at), ...rest];
    this.at = 0;
    this.kept = [];
    this.keptBytes = 0;
    this.ended = false;
  }
}
