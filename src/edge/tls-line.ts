import { landing } from './memory.ts';
import { isTlsFlood } from './tls-flood.ts';
import type { HandleRequest, Handles, TcpHandle, TlsHandle } from './tls-handles.ts';

type Event = 'end' | 'error' | 'close' | 'timeout';
type Done = () => void;

const noop = (): void => {};

/**
 * A TLS connection on its handles, as clients use a `net.Socket`: of its interface it has what they call, and each event has
 * one listener. It has no streams: what is read lands in the buffer that all share, and what is written is encrypted, and
 * given to the kernel, at once.
 */
export class TlsLine {
  /** As a TLS socket of Node's says it. */
  readonly encrypted = true;
  owner!: { read(buffer: Buffer, n: number): void };
  destroyed = false;
  writableEnded = false;
  readableEnded = false;
  /** Bytes that have been written, and not yet been taken, or not been told to be. */
  writableLength = 0;
  private readonly handles: Handles;
  private readonly tcp: TcpHandle;
  private readonly tls: TlsHandle;
  private onEnd: Done = noop;
  private onClose: Done = noop;
  private onTimeout: Done = noop;
  /** Bytes of the write under way: OpenSSL's stream takes one at a time. 0: none. */
  private writing = 0;
  private afterWrite: Done | undefined;
  /** What follows it: bytes, and who is told when they have left. */
  private readonly queue: { readonly view: Buffer; readonly done: Done | undefined }[] = [];
  private reading = true;
  private isShut = false;
  private afterShut: Done | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Bytes that the kernel had not taken when the time was last looked at. */
  private waiting = 0;
  /** What the client had sent when it was last looked whether it floods. */
  private looked = 0;

  constructor(handles: Handles, tcp: TcpHandle, tls: TlsHandle) {
    this.handles = handles;
    this.tcp = tcp;
    this.tls = tls;
    tls.line = this;
    tls.onread = onRead;
    tls.useUserBuffer(landing);
  }

  /** Takes one listener an event. There is no 'error': what goes wrong ends in 'close'. */
  on(event: Event, listener: Done): this {
    if (event === 'end') this.onEnd = listener;
    else if (event === 'close') this.onClose = listener;
    else if (event === 'timeout') this.onTimeout = listener;
    return this;
  }

  // ---- reading

  /** Decrypted ones. */
  get bytesRead(): number {
    return this.tls.bytesRead;
  }

  /** Something has been read: bytes into `landing`, or an end. */
  received(): void {
    const n = this.handles.state[this.handles.readIndex];
    if (this.destroyed || n === 0) return;
    if (n > 0) return this.owner.read(landing, n);
    if (n !== this.handles.endOfStream) return void this.destroy();
    if (this.readableEnded) return;
    this.readableEnded = true;
    this.onEnd();
    if (this.isShut) this.destroy();
  }

  pause(): this {
    if (this.reading && !this.destroyed) {
      this.reading = false;
      this.tls.readStop();
    }
    return this;
  }

  resume(): this {
    if (!this.reading && !this.destroyed) {
      this.reading = true;
      this.tls.readStart();
    }
    return this;
  }

  // ---- writing

  /** Writes behind what was written before; without bytes it only tells when that has left. */
  write(view: Buffer, done?: Done): boolean {
    if (this.destroyed || this.writableEnded) return false;
    this.writableLength += view.length;
    if (this.writing > 0 || this.queue.length > 0) this.queue.push({ view, done });
    else this.send(view, done);
    return false;
  }

  /** See `Write`. Encryption copies bytes: they may be overwritten even while they are pending, unless they wait behind others. */
  writeNow(view: Buffer): boolean {
    if (this.destroyed || this.writableEnded || view.length === 0) return true;
    this.writableLength += view.length;
    if (this.writing > 0 || this.queue.length > 0) {
      this.queue.push({ view, done: undefined });
      return false;
    }
    this.send(view, undefined);
    this.waiting = this.tcp.writeQueueSize;
    return this.waiting === 0;
  }

  private send(view: Buffer, done: Done | undefined): void {
    // Not told at once: a chain of such writes would all be done in one turn, and nobody else had theirs.
    if (view.length === 0) {
      if (done !== undefined) setImmediate(done);
      return;
    }
    const request = new this.handles.WriteWrap();
    request.line = this;
    request.oncomplete = onWritten;
    this.writing = view.length;
    this.afterWrite = done;
    if (this.tls.writeBuffer(request, view) !== 0) this.destroy();
  }

  /** OpenSSL's stream can take the next. */
  written(): void {
    const { afterWrite } = this;
    this.writableLength -= this.writing;
    this.writing = 0;
    this.afterWrite = undefined;
    while (this.writing === 0 && this.queue.length > 0 && !this.destroyed) {
      const { view, done } = this.queue.shift()!;
      this.send(view, done);
    }
    if (this.writing === 0 && this.writableEnded) this.shut();
    afterWrite?.();
  }

  /** Ends this side, properly, behind what was written. */
  end(done?: Done): this {
    if (this.writableEnded || this.destroyed) return this;
    this.writableEnded = true;
    this.afterShut = done;
    if (this.writing === 0) this.shut();
    return this;
  }

  private shut(): void {
    if (this.destroyed || this.isShut) return;
    const request = new this.handles.ShutdownWrap();
    request.line = this;
    request.oncomplete = onShut;
    if (this.tls.shutdown(request) < 0) this.destroy();
  }

  wasShut(): void {
    this.isShut = true;
    this.afterShut?.();
    if (this.readableEnded) this.destroy();
  }

  // ---- the end

  /** Whether the client sends much for the sake of TLS alone. To be asked a few times a second. */
  isFlooded(): boolean {
    if (this.destroyed || this.tcp.bytesRead === this.looked) return false;
    this.looked = this.tcp.bytesRead;
    return isTlsFlood(this.looked, this.tls.bytesRead, this.tls.writeQueueSize, this.writing);
  }

  /** Has 'timeout' told when the kernel takes nothing of what waits for so long; 0: no more. */
  setTimeout(ms: number): this {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (ms > 0 && !this.destroyed) this.timer = setTimeout(onTime, ms, this).unref();
    return this;
  }

  timeUp(): void {
    const now = this.tcp.writeQueueSize;
    const moved = now !== this.waiting;
    this.waiting = now;
    if (moved) this.timer?.refresh();
    else this.onTimeout();
  }

  /** Ends it at once, without TLS's word of a proper end. */
  destroy(): this {
    if (this.leave()) this.tcp.close(() => this.closed());
    return this;
  }

  resetAndDestroy(): this {
    if (!this.leave()) return this;
    const closed = () => this.closed();
    if (this.tcp.reset(closed) !== 0) this.tcp.close(closed);
    return this;
  }

  private leave(): boolean {
    if (this.destroyed) return false;
    this.destroyed = true;
    clearTimeout(this.timer);
    this.queue.length = 0;
    return true;
  }

  private closed(): void {
    // Not before: it may have been OpenSSL that called us.
    this.tls.destroySSL();
    this.onClose();
  }
}

function onRead(this: TlsHandle): void {
  this.line.received();
}

function onWritten(this: HandleRequest, status: number): void {
  if (status < 0) this.line.destroy();
  else if (!this.line.destroyed) this.line.written();
}

function onShut(this: HandleRequest, status: number): void {
  if (this.line.destroyed) return;
  if (status < 0) this.line.destroy();
  else this.line.wasShut();
}

function onTime(line: TlsLine): void {
  line.timeUp();
}
