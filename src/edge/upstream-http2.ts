import type net from 'node:net';
import type tls from 'node:tls';
import type { FailureCode } from '../core/failure.ts';
import { CANCEL, ClientConnection, type ClientHandler, defaultOptions, giveOutput } from '../http2/codec.ts';
import { clock } from './clock.ts';
import { direct } from './direct-write.ts';
import type { Edge } from './edge.ts';
import { lingerMs } from './settings.ts';
import type { Http2Pool } from './upstream-pool.ts';
import { stage } from './upstream-response.ts';
import { causeOf, connectTo, isProtocolRefused, type SocketOwner } from './upstream-socket.ts';
import type { UpstreamStream } from './upstream-stream.ts';
import { parts, type WireStream } from './upstream-wire.ts';

const empty: Buffer = Buffer.alloc(0);
/** What all these connections read into: each byte of it is handled, or copied, before the next read. */
const arrivals: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

/** The most streams on one connection, whatever its server allows: more connections spread over more of its processes. */
export const maxStreamsPerConnection = 100;

/** What one stream may make us keep for a client that takes nothing. */
const maxStreamWindow = 512 * 1024;
/**
 * A connection that says nothing for so long after a request was sent over it is asked whether it is there, and given as long to answer.
 * Not again within the longer time, unless it has answered requests: gRPC servers take pings for an attack.
 */
const silenceMs = 10_000;
const pingGapMs = 300_000;
/**
 * Streams that are broken off on one connection, then it is left for another: servers end one on which too many are, with all that is on
 * it (nghttp2 and its kin at 1,000 in short time), and it is clients that go who have us do it.
 */
const mostResets = 400;
/** Past it no streams are opened: the server does not take what there is. */
const mostWaitingBytes = 64 * 1024;

const options = {
  ...defaultOptions,
  maxStreamWindow,
  // It must never be the reason why a stream waits for another one's client.
  connectionWindow: maxStreamWindow * maxStreamsPerConnection,
  maxConnectionWindow: maxStreamWindow * maxStreamsPerConnection,
  // Each stream counts its own time, by its route.
  stallTimeoutMs: Number.POSITIVE_INFINITY,
};

/**
 * One HTTP/2 connection to an instance, which many exchanges share. Requests wait in its line until the server's SETTINGS have come and it
 * may open a stream; all that a turn of the event loop wants to send leaves in one write.
 */
export class Http2Connection implements ClientHandler, SocketOwner {
  readonly wire: ClientConnection<WireStream>;
  /** It has answered a request. */
  hasAnswered = false;
  /** `clock.now` at which a request was sent first since bytes came; 0: none was. */
  private unheardSince = 0;
  /** `clock.now` at which it was last asked whether it is there; 0: it has answered a request since. */
  private pingedAt = 0;
  /** `clock.now` at which bytes came last; until then, at which it was made. */
  heardAt = clock.now;
  /** Why it ended; null: it has not, or by what its server sent. */
  failure: FailureCode | null = null;
  failureCause = '';
  private readonly pool: Http2Pool;
  private readonly edge: Edge;
  private readonly socket: net.Socket;
  private connected = false;
  /** The server's SETTINGS have come. */
  private ready = false;
  /** It takes no new exchanges, and ends with those that it has. */
  private retired = false;
  private dead = false;
  /** Nothing is sent after what is in the output. */
  private ending = false;
  private deadline: number;
  private line: UpstreamStream[] = [];
  private scheduled = false;
  private writing = false;
  /** Streams that were broken off. */
  private resets = 0;

  constructor(pool: Http2Pool, connectTimeoutMs: number) {
    const { edge } = pool.instance;
    this.pool = pool;
    this.edge = edge;
    this.deadline = clock.now + connectTimeoutMs;
    // Until the SETTINGS have come it is our own deadline that counts.
    const headTimeoutMs = Math.max(options.headTimeoutMs, connectTimeoutMs * 2);
    this.wire = new ClientConnection<WireStream>(this, parts, { ...options, headTimeoutMs }, clock.now);
    this.socket = connectTo(pool.instance, 'h2', this, arrivals);
    edge.upstreams.add(this);
  }

  // ---- exchanges

  /** How many more exchanges it can take. */
  room(): number {
    if (this.retired) return 0;
    if (!this.ready) return this.pool.streamsPerConnection - this.line.length;
    return this.mostStreams() - this.wire.streams.size - this.line.length;
  }

  /** Its server allows no streams. */
  isShut(): boolean {
    return this.ready && !this.retired && this.wire.peer.maxConcurrentStreams === 0;
  }

  private mostStreams(): number {
    return Math.min(this.wire.peer.maxConcurrentStreams, maxStreamsPerConnection);
  }

  /** Puts an exchange into the line. */
  add(stream: UpstreamStream): void {
    stream.connection = this;
    this.line.push(stream);
    this.schedule();
  }

  leaveLine(stream: UpstreamStream): void {
    const at = this.line.indexOf(stream);
    if (at >= 0) this.line.splice(at, 1);
  }

  private openStreams(): void {
    const { wire, line } = this;
    while (line.length > 0 && wire.streams.size < maxStreamsPerConnection && wire.canOpen()) {
      if (this.writing && wire.waitingBytes > mostWaitingBytes) return;
      if (this.unheardSince === 0) this.unheardSince = clock.now;
      line.shift()?.open(this);
    }
  }

  /** Those that it has no room for go elsewhere, if there is a place. */
  private spread(): void {
    if (this.line.length === 0) return;
    const room = Math.max(0, this.mostStreams() - this.wire.streams.size);
    // Of a server that allows none there is no use in having two.
    if (!this.isShut()) for (const stream of this.line.splice(room)) this.pool.place(stream, this);
    this.schedule();
  }

  /** An exchange that was sent at that time has not been answered: without a sign of life since, no others are sent. */
  suspect(since: number): void {
    if (this.heardAt <= since) this.retire();
  }

  /** Breaks a stream off. */
  reset(stream: WireStream): void {
    if (stream.closed) return;
    this.wire.reset(stream, CANCEL);
    if (++this.resets === mostResets) this.retire();
  }

  /** A response has begun. */
  onAnswer(): void {
    this.hasAnswered = true;
    this.pingedAt = 0;
  }

  private retire(): void {
    if (this.retired) return;
    this.retired = true;
    this.pool.retire(this);
    for (const stream of this.line.splice(0)) this.pool.place(stream);
    this.endIfIdle();
  }

  private endIfIdle(): void {
    if (this.retired && this.wire.streams.size === 0) this.wire.drain();
  }

  // ---- what the codec says

  onOutput(): void {
    this.schedule();
  }

  onRoom(): void {
    const { wire } = this;
    if (!this.ready) {
      this.ready = true;
      this.deadline = 0;
    }
    if (wire.peer.maxConcurrentStreams > 0) this.pool.streamsPerConnection = this.mostStreams();
    if (this.retired) return this.endIfIdle();
    // It has used up its ids.
    if (wire.streams.size < wire.peer.maxConcurrentStreams && !wire.canOpen()) return this.retire();
    this.spread();
  }

  onGoaway(): void {
    this.retire();
  }

  onFail(_code: number, reason: string): void {
    this.ending = true;
    this.retired = true;
    this.pool.retire(this);
    const code = this.ready ? 'OO_UPSTREAM_CLOSED' : 'OO_BAD_RESPONSE';
    for (const stream of this.line.splice(0)) stream.fail(code, this.ready ? reason : `speaks no HTTP/2: ${reason}`);
    this.schedule();
  }

  onDrained(): void {
    this.ending = true;
    this.schedule();
  }

  // ---- the socket

  onConnected(): void {
    this.connected = true;
    if (this.pool.instance.target.tls && (this.socket as tls.TLSSocket).alpnProtocol !== 'h2') return this.onRefused();
    this.wire.start();
    this.flush();
  }

  /** Its server did not choose HTTP/2. */
  onRefused(): void {
    this.pool.instance.onlyHttp2 = false;
    this.end('OO_CONNECT_FAILED', 'speaks no HTTP/2 (ALPN)');
  }

  read(buffer: Buffer, n: number): void {
    this.heardAt = clock.now;
    this.unheardSince = 0;
    this.wire.receive(buffer, 0, n, clock.now);
    stage.deliver();
  }

  /** Everything that this turn brings leaves at its end. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(flush, this);
  }

  flush(): void {
    this.scheduled = false;
    if (this.dead || !this.connected || this.writing) return;
    if (this.ready) this.openStreams();
    const output = this.wire.takeOutput();
    if (output !== null) {
      const view = Buffer.from(output.bytes.buffer, output.bytes.byteOffset, output.length);
      if (this.write(view)) {
        giveOutput(output);
        this.wire.resume();
      } else this.awaitWrite(() => giveOutput(output));
    }
    if (this.ending && !this.writing) this.endSocket();
  }

  /** Its server has a moment to end its side, too. */
  private endSocket(): void {
    this.socket.end();
    this.deadline = clock.now + lingerMs;
  }

  /** Returns false if bytes are still pending. */
  private write(view: Buffer): boolean {
    if (!this.pool.instance.target.tls) return direct.write(this.socket, view);
    this.socket.write(view);
    return this.socket.writableLength === 0;
  }

  private awaitWrite(done: () => void): void {
    this.writing = true;
    this.wire.blocked = true;
    this.socket.setTimeout(this.edge.settings.idleTimeoutMs);
    this.socket.write(empty, () => {
      if (this.dead) return;
      if (this.socket.writableLength !== 0) return this.awaitWrite(done);
      done();
      this.socket.setTimeout(0);
      this.writing = false;
      this.wire.resume();
      this.flush();
    });
  }

  onTick(now: number): void {
    if (this.deadline !== 0 && now >= this.deadline)
      return this.end(this.ready ? 'OO_UPSTREAM_CLOSED' : 'OO_CONNECT_TIMEOUT', this.lateness());
    this.wire.sweep(now);
    for (const stream of [...this.line]) stream.onTick(now);
    for (const { owner } of this.wire.streams.values()) owner.onTick(now);
    if (this.ready) this.checkLife(now);
    const { idleSince } = this.wire;
    if (!this.ready || this.retired || idleSince < 0 || this.line.length > 0) return;
    if (now - idleSince >= this.edge.settings.upstreamIdleMs) this.retire();
  }

  /** Whether its server is still there: without a network between, nothing would tell. */
  private checkLife(now: number): void {
    const { unheardSince, pingedAt } = this;
    if (this.wire.streams.size === 0 || unheardSince === 0 || now - unheardSince < silenceMs) return;
    if (pingedAt >= unheardSince && now - pingedAt >= silenceMs)
      return this.end('OO_UPSTREAM_TIMEOUT', 'no answer to PING');
    if (pingedAt !== 0 && now - pingedAt < pingGapMs) return;
    this.pingedAt = now;
    this.wire.ping();
  }

  private lateness(): string {
    return this.connected ? 'no HTTP/2 SETTINGS in time' : 'connect timed out';
  }

  onError(error: NodeJS.ErrnoException): void {
    if (isProtocolRefused(error)) this.onRefused();
    else this.lose(causeOf(error));
  }

  onEnded(): void {
    this.lose('closed by the upstream');
  }

  onClosed(): void {
    this.lose('connection closed');
  }

  private lose(cause: string): void {
    this.end(this.connected ? 'OO_UPSTREAM_CLOSED' : 'OO_CONNECT_FAILED', cause);
  }

  /** Armed only while a write is pending. */
  onStalled(): void {
    this.end('OO_UPSTREAM_TIMEOUT', 'does not take what is sent');
  }

  /** Ends it, and all exchanges on it. */
  end(code: FailureCode, cause: string): void {
    if (this.dead) return;
    this.dead = true;
    this.retired = true;
    this.failure = code;
    this.failureCause = cause;
    this.pool.retire(this);
    this.edge.upstreams.delete(this);
    this.socket.destroy();
    this.wire.close();
    for (const stream of this.line.splice(0)) stream.fail(code, cause);
  }

  /** Ends it at once, with the edge. */
  destroy(): void {
    this.end('OO_UPSTREAM_CLOSED', 'closed');
  }
}

function flush(connection: Http2Connection): void {
  connection.flush();
}
