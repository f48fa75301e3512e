import { BodyPace } from './body-pace.ts';
import { clock } from './clock.ts';
import type { Upstream } from './downstream.ts';
import { keepRoom, room } from './memory.ts';
import type { MirrorCopy } from './mirror.ts';

const lastChunk = Buffer.from('0\r\n\r\n');
const crlf = '\r\n';
/** Pieces that are smaller wait for the end of what was read: a client may send a body in frames of a byte. */
const smallBytes = 4096;
const firstBacklogBytes = 1024;
const none: Buffer = Buffer.alloc(0);
/**
 * Large backlogs are used again: one made anew for each turn of a large upload is memory outside of V8's heap, which has it collect
 * all of its garbage again and again. That was a quarter of an upload's CPU time.
 */
const spares: Buffer[] = [];
const spareBytes = 64 * 1024;
const leastSpareUse = 8 * 1024;
const mostSpares = 64;

function backlogOf(bytes: number): Buffer {
  const isSpare = bytes >= leastSpareUse && bytes <= spareBytes;
  return (isSpare ? spares.pop() : undefined) ?? Buffer.allocUnsafeSlow(isSpare ? spareBytes : bytes);
}

/** Whose upload it is. */
export interface Uploader {
  readonly up: Upstream | null;
  readonly mirror: MirrorCopy | null;
  idleTimeoutMs(): number;
  /** Sends bytes that may be overwritten. Returns false if they are still pending. */
  sendToUpstream(up: Upstream, buffer: Buffer, from: number, to: number): boolean;
  /** The same for bytes that nobody overwrites. */
  sendView(up: Upstream, view: Buffer): boolean;
  /** So many bytes have been taken: the client may send as many again. */
  consume(bytes: number): void;
  /** `flush` must be called when all that was read now has been looked at. */
  onUploadWaits(): void;
  /** A tunnel's client has said all, and the upstream has been told. */
  onUploadEnd(): void;
}

/**
 * The body of one request of an HTTP/2 client, or what it says in a tunnel, on its way to the upstream: framed as that needs it, in few
 * writes, and no more of it in memory than the client's window.
 */
export class Upload {
  /** Payload bytes so far. */
  bytes = 0;
  /** All of it has come. */
  received = false;
  /** All of it has been handed over. */
  sent = false;
  private readonly uploader: Uploader;
  private readonly pace: BodyPace;
  private readonly tunnel: boolean;
  /** A tunnel is there to be used; anything else always is. */
  private open: boolean;
  /** It goes on in chunks. */
  private chunked = false;
  /** The head's length, while it waits for the first bytes. */
  private heldLength = 0;
  /** What waits for the end of what is read, or for the upstream. */
  private backlog: Buffer = none;
  private backlogLength = 0;
  private trailers: Buffer | null = null;
  /** A write is pending, with so many payload bytes. */
  private pending = false;
  private given = 0;
  private scheduled = false;
  /** `clock.now` at which it is too late for more, or 0. */
  private deadline = 0;

  /** @param minBodyRate see `EdgeSettings` */
  constructor(uploader: Uploader, minBodyRate: number, tunnel: boolean) {
    this.uploader = uploader;
    this.pace = new BodyPace(minBodyRate);
    this.tunnel = tunnel;
    this.open = !tunnel;
  }

  /** Begins with the head, which has been written to `up`; it leaves with the first bytes, if they are already here. */
  begin({ chunked }: { readonly chunked: boolean }, up: Upstream, headLength: number): void {
    if (this.tunnel) {
      up.sendHead(headLength);
      return up.requestSent();
    }
    this.chunked = chunked && !up.framesItself;
    this.deadline = clock.now + this.uploader.idleTimeoutMs();
    this.pace.begin();
    if (up.framesItself || !up.connected) return up.sendHead(headLength);
    this.heldLength = headLength;
    up.outLength = headLength;
    this.schedule();
  }

  /** Takes bytes that have come; they may be overwritten once this returns. */
  take(buffer: Buffer, from: number, to: number, ended: boolean): void {
    const { up } = this.uploader;
    this.bytes += to - from;
    this.received = ended;
    if (!this.pending) this.deadline = clock.now + this.uploader.idleTimeoutMs();
    const isDirect = to - from >= smallBytes && this.open && !this.pending && this.backlogLength === 0;
    if (isDirect && up !== null) return this.send(up, buffer, from, to);
    this.keep(buffer, from, to);
    this.schedule();
  }

  /** Its trailers have come, HTTP/1.1 lines and an empty one, and with them its end. */
  end(trailers: Uint8Array): void {
    this.received = true;
    this.trailers = Buffer.from(trailers);
    this.schedule();
  }

  /** The tunnel is there. */
  openTunnel(): void {
    this.open = true;
    this.flush();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.uploader.onUploadWaits();
  }

  private keep(buffer: Buffer, from: number, to: number): void {
    // Where a frame without data ends a stream, the codec may have it in a buffer of its own, which is no Buffer.
    if (from === to) return;
    const length = this.backlogLength + to - from;
    if (length > this.backlog.length) {
      const grown = backlogOf(Math.max(length, this.backlog.length * 2, firstBacklogBytes));
      this.backlog.copy(grown, 0, 0, this.backlogLength);
      this.backlog = grown;
    }
    buffer.copy(this.backlog, this.backlogLength, from, to);
    this.backlogLength = length;
  }

  /** Sends what waits, unless a write is pending. */
  flush(): void {
    this.scheduled = false;
    const { up } = this.uploader;
    if (up === null || this.pending || !this.open || this.sent) return;
    const { backlog, backlogLength } = this;
    this.backlog = none;
    this.backlogLength = 0;
    this.send(up, backlog, 0, backlogLength);
    // What is pending may be written from it still.
    if (!this.pending && backlog.length === spareBytes && spares.length < mostSpares) spares.push(backlog);
  }

  private send(up: Upstream, buffer: Buffer, from: number, to: number): void {
    const { mirror } = this.uploader;
    mirror?.take(buffer, from, to);
    if (!this.write(up, buffer, from, to)) {
      if (!this.pending) this.pace.pause();
      this.pending = true;
      this.deadline = 0;
      this.given += to - from;
    } else if (to > from) this.uploader.consume(to - from);
    if (!this.received || this.sent) return;
    this.sent = true;
    mirror?.end();
    if (this.trailers !== null && up.framesItself) up.sendTrailers(this.trailers);
    if (!this.tunnel) return up.requestSent();
    up.endTunnel();
    this.uploader.onUploadEnd();
  }

  /** Writes head, framing, payload and what ends it, as far as each is due, in one. Returns false if it is still pending. */
  private write(up: Upstream, buffer: Buffer, from: number, to: number): boolean {
    const bytes = to - from;
    const size = this.chunked && bytes > 0 ? `${bytes.toString(16)}${crlf}` : '';
    const tail = this.chunked && this.received ? this.lastBytes() : none;
    const { heldLength, uploader } = this;
    if (heldLength === 0 && size === '' && tail === none) return uploader.sendToUpstream(up, buffer, from, to);
    const length = heldLength + bytes + tail.length + (size === '' ? 0 : size.length + crlf.length);
    const isShared = up.connected;
    const view = isShared ? room(length) : Buffer.allocUnsafe(length);
    let at = up.out.copy(view, 0, 0, heldLength);
    if (size !== '') at += view.write(size, at, 'latin1');
    at += buffer.copy(view, at, from, to);
    if (size !== '') at += view.write(crlf, at, 'latin1');
    tail.copy(view, at);
    this.heldLength = 0;
    const taken = uploader.sendView(up, view);
    if (!taken && isShared) keepRoom(length);
    return taken;
  }

  private lastBytes(): Buffer {
    return this.trailers === null ? lastChunk : Buffer.concat([lastChunk.subarray(0, 3), this.trailers]);
  }

  /** The upstream has taken all that was pending. */
  onDrain(): void {
    if (!this.pending) return;
    const { given } = this;
    this.pending = false;
    this.given = 0;
    this.pace.resume();
    if (!this.received) this.deadline = clock.now + this.uploader.idleTimeoutMs();
    if (given > 0) this.uploader.consume(given);
    this.flush();
  }

  /** Whether it takes too long, by the client's fault. */
  isLate(now: number): boolean {
    if (this.received || this.tunnel || this.pending) return false;
    return (this.deadline !== 0 && now >= this.deadline) || this.pace.isTooSlow(now, this.bytes);
  }
}
