import type { Upstream } from './downstream.ts';
import type { Instance } from './instance.ts';

const empty: Buffer = Buffer.alloc(0);

/** What encodes a response's body, as the exchange's side of it sees it. */
export interface Encoding {
  /** The client does not take what it is given. */
  pauseEncoding(): void;
  resumeEncoding(): void;
  /** The exchange is over: nothing more of the response is wanted. */
  leave(): void;
}

/**
 * The upstream of an exchange whose response is being encoded. Of the request it passes on what it is given, for as long as the upstream has
 * not ended its response; what stops and ends the response stops and ends the encoding.
 */
export class EncodedUpstream implements Upstream {
  readonly instance: Instance;
  readonly framesItself: boolean;
  readonly connectedAt: number;
  readonly reused: boolean;
  readonly connected = true;
  tryBy = 0;
  outLength = 0;
  readonly out: Buffer = empty;
  /** Null from when it has ended its response: it may be another's then. */
  private inner: Upstream | null;
  private readonly encoding: Encoding;
  /** Why the encoding failed; '' if it was not that. */
  fault = '';

  constructor(inner: Upstream, encoding: Encoding) {
    this.inner = inner;
    this.encoding = encoding;
    this.instance = inner.instance;
    this.framesItself = inner.framesItself;
    this.connectedAt = inner.connectedAt;
    this.reused = inner.reused;
  }

  get cause(): string {
    return this.fault || (this.inner?.cause ?? '');
  }

  /** It has ended its response. */
  release(): void {
    this.inner = null;
  }

  get freed(): boolean {
    return this.inner === null;
  }

  // ---- the upstream's own reading, as the encoding takes it

  pauseReading(): void {
    this.inner?.pause();
  }

  resumeReading(): void {
    this.inner?.resume();
  }

  // ---- the request, as far as it is still under way

  sendBody(view: Buffer): boolean {
    return this.inner === null || this.inner.sendBody(view);
  }

  sendTrailers(lines: Uint8Array): void {
    this.inner?.sendTrailers(lines);
  }

  requestSent(): void {
    this.inner?.requestSent();
  }

  isDrained(): boolean {
    return this.inner === null || this.inner.isDrained();
  }

  sentHead(): Buffer {
    return this.inner === null ? empty : this.inner.sentHead();
  }

  // ---- the response

  view(buffer: Buffer, from: number, to: number): Buffer {
    return buffer.subarray(from, to);
  }

  pause(): void {
    this.encoding.pauseEncoding();
  }

  resume(): void {
    this.encoding.resumeEncoding();
  }

  hasHeard(): boolean {
    return true;
  }

  destroy(): void {
    const { inner } = this;
    this.inner = null;
    this.encoding.leave();
    inner?.destroy();
  }

  // ---- never called once a response is here

  begin(): void {}
  headRoom(bytes: number): Buffer {
    return Buffer.allocUnsafe(bytes);
  }
  sendHead(): void {}
  passBody(): boolean {
    return false;
  }
  endTunnel(): void {}
}
