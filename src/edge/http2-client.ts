import type net from 'node:net';
import { plainIp } from '../core/headers.ts';
import type { Scheme } from '../core/types.ts';
import { giveOutput, type Output, ServerConnection, type ServerHandler } from '../http2/codec.ts';
import { AskedHost } from './asked-host.ts';
import { clock } from './clock.ts';
import { direct, streamWrite } from './direct-write.ts';
import type { Edge } from './edge.ts';
import type { EdgeClient, Served } from './edge-client.ts';
import { Http2Exchange } from './http2-exchange.ts';
import { http2Parts } from './http2-parts.ts';
import { Http2Stream } from './http2-stream.ts';
import type { Upload } from './http2-upload.ts';
import { nextBuffer } from './memory.ts';
import type { EdgePool } from './pool.ts';
import { lingerMs } from './settings.ts';
import { type Flushable, flushLater } from './turn.ts';

/** Bytes that may wait for the client before no more DATA is made for it, and nothing more is read from it. */
const maxWaitingBytes = 64 * 1024;
/** How long a client may take to see that it is being drained, once nothing of it is under way. */
const farewellMs = 5_000;

/** Streams that any client may have without getting less than others. */
const modestStreams = 8;
/**
 * Requests of one read that are taken up at once. Further ones are when all that was read has been looked at, so that those which are broken off
 * in the same read never get an upstream connection: of a flood of such, only these do.
 */
const startsAtOnce = 32;

const empty: Buffer = Buffer.alloc(0);

const OPEN = 0;
/** The last frames are out; what still comes is not read. */
const ENDING = 1;
const CLOSED = 2;

type OwnedSocket = net.Socket & { owner: Http2Client };

/**
 * One HTTP/2 client connection: gives what it reads to the codec, which tells the exchanges, and writes once a turn what all of them
 * have to say.
 */
export class Http2Client implements EdgeClient, ServerHandler<Http2Stream>, Flushable {
  readonly edge: Edge;
  readonly socket: net.Socket;
  /** The peer's address. */
  readonly peer: string;
  readonly asked: AskedHost;
  readonly codec: ServerConnection<Http2Stream>;
  private state = OPEN;
  /** `clock.now` at which the connection ends, whatever is under way; or 0. */
  private deadline = 0;
  /** What has been given to the socket and not been taken by the kernel, in order. */
  private readonly outputs: Output[] = [];
  private pendingBytes = 0;
  /** Since when nothing of them has been taken, as far as ticks tell; 0: none waits. */
  private stuckSince = 0;
  private scheduled = false;
  private paused = false;
  /** What was read now has something for them. */
  readonly uploads: Upload[] = [];
  private startsLeft = startsAtOnce;
  private readonly starts: Http2Exchange[] = [];
  private readonly onWritten = (): void => this.written();

  /**
   * Takes up a connection that has agreed on `h2`, and sends our SETTINGS.
   * @param served what its certificate is good for; null on plain HTTP
   */
  constructor(edge: Edge, socket: net.Socket, peer: string, localPort: number, scheme: Scheme, served: Served) {
    this.edge = edge;
    this.socket = socket;
    this.peer = plainIp(peer);
    this.asked = new AskedHost(edge, this.peer, localPort, scheme, served, '2.0');
    const parts = http2Parts(edge, edge.isTrusted(this.peer));
    this.codec = new ServerConnection<Http2Stream>(this, parts, parts.options, clock.now);
    (socket as OwnedSocket).owner = this;
    // The client's end of stream means that it has left, as in HTTP/1.1.
    socket.on('end', onGone);
    socket.on('error', onGone);
    socket.on('close', onGone);
    edge.clients.add(this);
    this.codec.start();
    if (edge.draining) this.codec.drain();
  }

  // ---- reading

  read(buffer: Buffer, n: number): void {
    nextBuffer.value = undefined;
    if (this.state !== OPEN) return;
    this.startsLeft = startsAtOnce;
    this.codec.receive(buffer, 0, n, clock.now);
    if (this.starts.length > 0) this.startLate();
    if (this.uploads.length > 0) this.flushUploads();
    if (this.waitingBytes() > maxWaitingBytes) this.pause();
  }

  /** @returns whether a request of this read is to wait for `startLate` */
  putsOff(exchange: Http2Exchange): boolean {
    if (this.startsLeft > 0) {
      this.startsLeft--;
      return false;
    }
    this.starts.push(exchange);
    return true;
  }

  private startLate(): void {
    for (const exchange of this.starts) exchange.startLate();
    this.starts.length = 0;
  }

  createStream(): Http2Stream {
    const stream = new Http2Stream();
    stream.exchange = new Http2Exchange(this, stream);
    return stream;
  }

  /** The stream has been reset. */
  onMalformed(): void {
    const { edge, peer } = this;
    if (edge.accessLog !== null) edge.logAccess('"protocol":"HTTP/2.0"', null, '', 400, 0, peer, performance.now());
  }

  private flushUploads(): void {
    for (const upload of this.uploads) upload.flush();
    this.uploads.length = 0;
  }

  private pause(): void {
    if (this.paused || this.state !== OPEN) return;
    this.paused = true;
    this.socket.pause();
  }

  // ---- writing

  onOutput(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    flushLater(this);
  }

  flush(): void {
    this.scheduled = false;
    const output = this.codec.takeOutput();
    if (output === null) return;
    if (this.state === CLOSED) return giveOutput(output);
    const view = Buffer.from(output.bytes.buffer, output.bytes.byteOffset, output.length);
    const isDirect = direct.write !== streamWrite && this.outputs.length === 0;
    if (isDirect && direct.write(this.socket, view)) {
      giveOutput(output);
      this.codec.resume();
      return this.readOn();
    }
    this.outputs.push(output);
    this.pendingBytes += output.length;
    // A direct write that has to wait is done when what is behind it is.
    this.socket.write(isDirect ? empty : view, this.onWritten);
    if (this.pendingBytes > maxWaitingBytes) this.codec.blocked = true;
    else this.codec.resume();
  }

  /** The kernel has taken the first of the outputs. */
  private written(): void {
    const output = this.outputs.shift() as Output;
    this.pendingBytes -= output.length;
    giveOutput(output);
    if (this.state === CLOSED) return;
    this.stuckSince = 0;
    if (this.codec.blocked && this.pendingBytes <= maxWaitingBytes / 2) this.codec.resume();
    this.readOn();
  }

  private readOn(): void {
    if (!this.paused || this.waitingBytes() > maxWaitingBytes / 2) return;
    this.paused = false;
    this.socket.resume();
  }

  private waitingBytes(): number {
    return this.codec.waitingBytes + this.pendingBytes;
  }

  isWritePending(): boolean {
    return this.outputs.length > 0 || this.codec.waitingBytes > 0;
  }

  isModest(): boolean {
    return this.codec.streams.size <= modestStreams;
  }

  makeRoom(pool: EdgePool, before: number): void {
    if (this.isModest()) return;
    const unread: Http2Exchange[] = [];
    for (const { exchange } of this.codec.streams.values()) if (exchange.isUnread(pool, before)) unread.push(exchange);
    unread.sort((a, b) => a.unreadSince - b.unreadSince);
    for (const exchange of unread.slice(0, Math.max(0, unread.length - modestStreams))) exchange.giveUp();
  }

  // ---- the end

  onTick(now: number): void {
    const { codec, edge } = this;
    if (this.deadline !== 0 && now >= this.deadline) return this.close();
    if (this.state !== OPEN) return;
    if (this.outputs.length > 0) {
      if (this.stuckSince === 0) this.stuckSince = now;
      else if (now - this.stuckSince >= edge.settings.idleTimeoutMs) return this.close();
    }
    codec.sweep(now);
    if (this.state !== OPEN) return;
    for (const stream of codec.streams.values()) stream.exchange.onTick(now);
    if (edge.draining) codec.drain();
    if (codec.idleSince < 0) {
      this.deadline = 0;
      return;
    }
    if (now - codec.idleSince < edge.settings.keepAliveTimeoutMs && !codec.draining) return;
    codec.drain();
    if (this.deadline === 0) this.deadline = now + farewellMs;
  }

  onGoaway(): void {}

  onFail(): void {
    this.end();
  }

  onDrained(): void {
    this.end();
  }

  /** The last frames leave, and the connection ends when the client has seen them. */
  private end(): void {
    if (this.state !== OPEN) return;
    this.state = ENDING;
    this.deadline = clock.now + lingerMs;
    // What comes now is thrown away, so that the client gets to read it.
    if (this.paused) this.socket.resume();
    setImmediate(() => {
      if (this.state === CLOSED) return;
      this.flush();
      this.socket.end();
    });
  }

  isIdle(): boolean {
    return this.codec.streams.size === 0 && !this.isWritePending();
  }

  close(): void {
    if (this.state === CLOSED) return;
    const cut = this.isWritePending() || this.codec.streams.size > 0;
    this.state = CLOSED;
    this.codec.close();
    this.edge.clients.delete(this);
    const output = this.codec.takeOutput();
    if (output !== null) giveOutput(output);
    if (cut) this.socket.resetAndDestroy();
    else this.socket.destroy();
    this.edge.onClientClosed();
  }
}

function onGone(this: net.Socket): void {
  (this as OwnedSocket).owner.close();
}
