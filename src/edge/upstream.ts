import type net from 'node:net';
import type { FailureCode } from '../core/failure.ts';
import { BAD_BODY, ChunkedBody } from '../http1/chunked.ts';
import { BAD, MORE } from '../http1/scan.ts';
import { clock } from './clock.ts';
import { direct } from './direct-write.ts';
import type { Downstream, Upstream } from './downstream.ts';
import type { Instance } from './instance.ts';
import { bigBytes, LastView, returnBig, takeBig } from './memory.ts';
import { maxInterimResponses, maxResponseHeadBytes } from './settings.ts';
import { causeOf, connectTo, isProtocolRefused, type SocketOwner } from './upstream-socket.ts';

/** Where the response of the current exchange stands. */
export const IDLE = 0;
export const HEAD = 1;
/** The body ends by its length, by its last chunk, or with the connection. */
const LENGTH = 2;
const CHUNKED = 3;
const CLOSE = 4;
const TUNNEL = 5;
const DEAD = 6;

const smallBytes = 16 * 1024;
const headBytes = 4 * 1024;
const empty: Buffer = Buffer.alloc(0);

/**
 * One connection to an instance. It carries one exchange at a time: it reads the response, frames it, and hands bytes
 * to its client, which writes them from this connection's own read buffer, without a copy. It is not read again before
 * the client has written them.
 */
export class UpstreamConnection implements Upstream, SocketOwner {
  readonly instance: Instance;
  readonly socket: net.Socket;
  client: Downstream | null = null;
  state = IDLE;
  /** The socket is open (and, with TLS, proven): bytes may have left. */
  connected = false;
  reused = false;
  /** `clock.now` at which it was put among the idle ones. */
  idleSince = 0;
  /** `clock.now` at which the present step is too late, or 0. */
  deadline: number;
  tryBy = 0;
  connectedAt = 0;
  /** Request head, as sent: this connection's own, so that a pending write or a repeat can refer to it. */
  out: Buffer = Buffer.allocUnsafeSlow(headBytes);
  outLength = 0;
  /** Why it failed: for the log. */
  cause = '';
  private outView = empty;
  private outViewOf = empty;
  private readonly views = new LastView();
  private small: Buffer = Buffer.allocUnsafeSlow(smallBytes);
  private buffer: Buffer = this.small;
  /** What the socket reads into as things are. */
  private armed: Buffer | null = null;
  private partialHead: Buffer | null = null;
  private left = 0;
  private chunks: ChunkedBody | null = null;
  private reusable = false;
  private idleHintMs = 0;
  private interims = 0;
  private paused = false;
  private writePending = false;
  /** The kernel did not take the head at once; nobody looks whether it has since. */
  private headWaits = false;

  constructor(instance: Instance, connectTimeoutMs: number) {
    this.instance = instance;
    this.deadline = clock.now + connectTimeoutMs;
    this.socket = connectTo(instance, 'http/1.1', this, () => this.nextBuffer());
    instance.open++;
    instance.edge.upstreams.add(this);
  }

  begin(client: Downstream): void {
    this.client = client;
    this.state = HEAD;
    this.interims = 0;
    if (this.connected) this.deadline = 0;
  }

  headRoom(bytes: number): Buffer {
    if (this.out.length < bytes) this.out = Buffer.allocUnsafeSlow(bytes);
    return this.out;
  }

  sendHead(length: number): void {
    this.outLength = length;
    if (length !== this.outView.length || this.outViewOf !== this.out) {
      this.outViewOf = this.out;
      this.outView = this.out.subarray(0, length);
    }
    if (this.connected && !this.instance.target.tls) this.headWaits = !direct.write(this.socket, this.outView);
    else this.socket.write(this.outView);
  }

  sentHead(): Buffer {
    return this.out.subarray(0, this.outLength);
  }

  sendBody(view: Buffer): boolean {
    this.socket.write(view);
    if (this.state > HEAD && !this.paused) this.deadline = clock.now + this.idleTimeoutMs();
    return this.socket.writableLength === 0 || this.awaitWrite();
  }

  /** HTTP/1.1: whoever gives the body has framed it. */
  readonly framesItself = false;
  sendTrailers(): void {}
  passBody(): boolean {
    return false;
  }

  isDrained(): boolean {
    return this.socket.writableLength === 0;
  }

  private awaitWrite(): false {
    if (!this.writePending) {
      this.writePending = true;
      this.socket.setTimeout(this.idleTimeoutMs());
      this.socket.write(empty, () => {
        this.writePending = false;
        if (this.state === DEAD) return;
        if (this.socket.writableLength !== 0) return void this.awaitWrite();
        this.socket.setTimeout(0);
        this.client?.onUpstreamDrain();
      });
    }
    return false;
  }

  requestSent(): void {
    if (this.state === HEAD && this.connected) this.deadline = clock.now + this.responseTimeoutMs();
  }

  view(buffer: Buffer, from: number, to: number): Buffer {
    return this.views.of(buffer, from, to);
  }

  pause(): void {
    if (this.paused || this.state === DEAD) return;
    this.paused = true;
    this.deadline = 0;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused || this.state === DEAD) return;
    this.paused = false;
    this.deadline = clock.now + this.idleTimeoutMs();
    this.socket.resume();
  }

  hasHeard(): boolean {
    return this.partialHead !== null || this.interims > 0;
  }

  endTunnel(): void {
    this.socket.end();
  }

  /** Ends the connection at once; its client, if any, hears nothing of it. */
  destroy(): void {
    if (this.state === DEAD) return;
    this.state = DEAD;
    this.client = null;
    this.instance.forget(this);
    this.instance.edge.upstreams.delete(this);
    this.socket.destroy();
  }

  onTick(now: number): void {
    if (this.tryBy !== 0 && now >= this.tryBy) {
      this.tryBy = 0;
      if (this.state === HEAD && !this.hasHeard())
        return this.fail(
          this.connected ? 'OO_UPSTREAM_TIMEOUT' : 'OO_CONNECT_TIMEOUT',
          'no response in time for a try',
        );
    }
    if (this.deadline === 0 || now < this.deadline) return;
    if (this.client === null) return this.destroy();
    if (!this.connected) return this.fail('OO_CONNECT_TIMEOUT', 'connect timed out');
    this.fail('OO_UPSTREAM_TIMEOUT', this.state === HEAD ? 'no response in time' : 'silent in the body');
  }

  onConnected(): void {
    this.connected = true;
    this.connectedAt = performance.now();
    if (this.client === null) return;
    this.deadline = 0;
    if (this.client.isRequestComplete()) this.requestSent();
  }

  /**
   * What the socket reads into next; Node asks after each read, and for each address that it tries to connect to.
   * Undefined where it stays what it is, which saves Node the change.
   */
  private nextBuffer(): Buffer | undefined {
    if (this.connected && this.buffer === this.armed) return undefined;
    this.armed = this.buffer;
    return this.buffer;
  }

  /** Bytes have arrived in `buffer[0, n)`. */
  read(buffer: Buffer, n: number): void {
    // Bytes that nobody asked for: whatever they are, they must not answer the next request [ATTACKS.md 45].
    if (this.client === null) return this.destroy();
    if (this.state === HEAD) this.readHead(buffer, n);
    else this.readBody(this.client, buffer, 0, n);
    if (n === buffer.length && this.client !== null) this.growBuffer();
    // Node hands on what TLS has decrypted already, paused or not: it must not land on what is still being written.
    if (this.paused && this.instance.target.tls) this.buffer = this.small = Buffer.allocUnsafeSlow(smallBytes);
  }

  /** Reads more at once from now on. A TLS record never fills more than the small buffer. */
  private growBuffer(): void {
    if (this.buffer === this.small && !this.instance.target.tls && this.client?.wantsMuch()) this.buffer = takeBig();
  }

  private readHead(buffer: Buffer, n: number): void {
    const client = this.client as Downstream;
    const scanner = this.instance.edge.responseScanner;
    let start = 0;
    if (this.partialHead !== null) {
      buffer = Buffer.concat([this.partialHead, buffer.subarray(0, n)]);
      n = buffer.length;
      this.partialHead = null;
    }
    for (;;) {
      const result = scanner.scan(buffer, start, n);
      if (result === MORE) {
        if (n - start > maxResponseHeadBytes) return this.fail('OO_BAD_RESPONSE', 'response head too large');
        if (n > start) this.partialHead = Buffer.from(buffer.subarray(start, n));
        return;
      }
      if (result === BAD) return this.fail('OO_BAD_RESPONSE', 'malformed response head');
      if (scanner.status >= 200 || scanner.status === 101) break;
      if (++this.interims > maxInterimResponses) return this.fail('OO_BAD_RESPONSE', 'too many interim responses');
      client.onInterim(buffer, start, scanner);
      if (this.client === null) return;
      start = scanner.end;
      if (start === n) return;
    }
    this.beginBody(client, buffer, start, n);
  }

  private beginBody(client: Downstream, buffer: Buffer, start: number, n: number): void {
    const scanner = this.instance.edge.responseScanner;
    const { status, end } = scanner;
    this.reusable = scanner.keepAlive;
    this.idleHintMs = scanner.keepAliveTimeout < 0 ? 0 : Math.max(1, scanner.keepAliveTimeout * 1000 - 1000);
    this.deadline = clock.now + this.idleTimeoutMs();
    this.tryBy = 0;
    client.onAnswer(status);
    if (status === 101) return this.beginTunnel(client, buffer, start, n);
    if (client.isHead || status === 204 || status === 304) {
      this.state = LENGTH;
      this.left = 0;
    } else if (scanner.chunked) {
      this.state = CHUNKED;
      this.chunks ??= new ChunkedBody(client.wantsDecoded());
      this.chunks.reset(client.wantsDecoded());
    } else if (scanner.contentLength >= 0) {
      this.state = LENGTH;
      this.left = scanner.contentLength;
      if (this.left > smallBytes) this.growBuffer();
    } else {
      this.state = CLOSE;
      this.reusable = false;
    }
    client.onResponse(buffer, start, scanner, this.state === CLOSE);
    if (this.client === null) return;
    this.readBody(client, buffer, end, n);
  }

  private beginTunnel(client: Downstream, buffer: Buffer, start: number, n: number): void {
    const scanner = this.instance.edge.responseScanner;
    const { end, upgradeEnd } = scanner;
    if (!client.wantsUpgrade() || upgradeEnd === 0) return this.fail('OO_BAD_RESPONSE', 'switched protocols unasked');
    this.state = TUNNEL;
    this.deadline = clock.now + this.idleTimeoutMs();
    client.onSwitch(buffer, start, scanner);
    if (end < n) client.onTunnelBytes(buffer, end, n);
  }

  private readBody(client: Downstream, buffer: Buffer, start: number, n: number): void {
    this.deadline = clock.now + this.idleTimeoutMs();
    switch (this.state) {
      case LENGTH: {
        const stop = Math.min(n, start + this.left);
        this.left -= stop - start;
        if (stop < n) this.reusable = false;
        client.onBody(buffer, start, stop);
        if (this.left === 0) this.finish(client);
        return;
      }
      case CHUNKED: {
        const chunks = this.chunks as ChunkedBody;
        const result = chunks.feed(buffer, start, n);
        if (result === BAD_BODY) return this.fail('OO_BAD_RESPONSE', 'malformed chunk');
        client.onBody(buffer, chunks.from, chunks.to);
        if (result < 0) return;
        if (result < n) this.reusable = false;
        if (chunks.tail !== null && this.client !== null) {
          if (client.wantsDecoded()) client.onTrailers(chunks.tail);
          else client.onBodyTail(chunks.tail);
        }
        return this.finish(client);
      }
      case CLOSE:
        return client.onBody(buffer, start, n);
      case TUNNEL:
        return client.onTunnelBytes(buffer, start, n);
    }
  }

  /** The response is complete: lets go of the client and waits for the next exchange. */
  private finish(client: Downstream): void {
    // What it was given last may have made it leave.
    if (this.client === null) return;
    this.renewBuffer(client.isWritePending());
    const spoiled = !this.reusable || !client.isRequestComplete() || this.socket.writableLength > 0 || this.headWaits;
    this.client = null;
    this.state = IDLE;
    if (spoiled) this.destroy();
    else this.rest();
    client.onResponseEnd();
  }

  private rest(): void {
    const { settings } = this.instance.edge;
    this.reused = true;
    if (this.paused) {
      this.paused = false;
      this.socket.resume();
    }
    this.idleSince = clock.now;
    const keepMs = this.idleHintMs > 0 ? Math.min(this.idleHintMs, settings.upstreamIdleMs) : settings.upstreamIdleMs;
    this.deadline = clock.now + keepMs;
    this.instance.idle.push(this);
    this.instance.edge.pools.free(this.instance);
  }

  /** A pending write of the client may still refer to the read buffer: then the next exchange gets another. */
  private renewBuffer(pending: boolean): void {
    if (this.buffer.length === bigBytes) {
      if (!pending) returnBig(this.buffer);
      this.buffer = this.small;
    } else if (pending) {
      this.buffer = this.small = Buffer.allocUnsafeSlow(smallBytes);
    }
  }

  onEnded(): void {
    const { client } = this;
    if (client === null) return this.destroy();
    if (this.state === TUNNEL) return client.onTunnelEnd();
    if (this.state === CLOSE) {
      this.state = IDLE;
      this.destroy();
      return client.onResponseEnd();
    }
    this.fail('OO_UPSTREAM_CLOSED', 'closed by the upstream');
  }

  onError(error: NodeJS.ErrnoException): void {
    // It is asked again, over HTTP/2: nothing has been sent.
    if (isProtocolRefused(error)) this.instance.onlyHttp2 = true;
    this.fail(this.connected ? 'OO_UPSTREAM_CLOSED' : 'OO_CONNECT_FAILED', causeOf(error));
  }

  onClosed(): void {
    this.fail(this.connected ? 'OO_UPSTREAM_CLOSED' : 'OO_CONNECT_FAILED', 'connection closed');
  }

  /** Armed only while a write is pending. */
  onStalled(): void {
    this.fail('OO_UPSTREAM_TIMEOUT', 'does not take the request body');
  }

  /** Ends the connection and tells the client, which repeats the request, answers, or aborts. */
  fail(code: FailureCode, cause: string): void {
    if (this.state === DEAD) return;
    const { client, state } = this;
    this.cause = cause;
    this.destroy();
    client?.onUpstreamFailed(this, code, state !== HEAD);
  }

  private responseTimeoutMs(): number {
    if (this.instance.isHandler) return Number.POSITIVE_INFINITY;
    return this.client?.route?.route.responseTimeoutMs ?? this.instance.edge.settings.responseTimeoutMs;
  }

  private idleTimeoutMs(): number {
    if (this.state === TUNNEL) return this.instance.edge.settings.tunnelIdleMs;
    return this.client?.route?.route.idleTimeoutMs ?? this.instance.edge.settings.idleTimeoutMs;
  }
}
