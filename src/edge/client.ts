import type net from 'node:net';
import { plainIp } from '../core/headers.ts';
import type { Scheme } from '../core/types.ts';
import { BAD, MORE, type RequestScanner } from '../http1/scan.ts';
import { AskedHost } from './asked-host.ts';
import { clock } from './clock.ts';
import { direct } from './direct-write.ts';
import type { Edge } from './edge.ts';
import type { EdgeClient, Served } from './edge-client.ts';
import { Http1Exchange } from './http1-exchange.ts';
import { landing, nextBuffer } from './memory.ts';
import { lingerMs, maxRequestsPerTurn, maxStashBytes } from './settings.ts';

/** What the bytes are that the client sends next. */
export const READ_HEAD = 0;
export const READ_BODY = 1;
/** The request is complete, its response is not. */
export const WAIT = 2;
export const TUNNEL = 3;
/** A last answer is out: what still comes is thrown away, so that the client gets to read it. */
const LINGER = 4;
const CLOSED = 5;

const empty: Buffer = Buffer.alloc(0);

export type ClientSocket = net.Socket & { owner: EdgeClient };
type OwnedSocket = net.Socket & { owner: ClientConnection };

/**
 * One HTTP/1.1 client connection: finds the requests in what it reads, one after another, and lets its exchange answer
 * each. Pipelined requests wait, unread, until the one before is answered.
 */
export class ClientConnection implements EdgeClient {
  readonly edge: Edge;
  readonly socket: net.Socket;
  /** The peer's address. */
  readonly peer: string;
  readonly scanner: RequestScanner;
  state = READ_HEAD;
  /** `clock.now` at which the present step is too late, or 0. */
  deadline: number;
  /** The connection may carry another request. */
  keep = true;
  readonly asked: AskedHost;
  /** What the next read lands in, where that is not the buffer that all clients share. */
  own: Buffer | null = null;
  /** What it lands in as things are. */
  private armed: Buffer = landing;
  private readonly exchange: Http1Exchange;
  /** Bytes that were read too early: a partial head, or the next requests. */
  private stash: Buffer | null = null;
  private parsing = false;
  /** What was the stash, while it is parsed. */
  private parsed: Buffer | null = null;
  private paused = false;
  private writePending = false;
  /** More has been written behind what was pending. */
  private writtenSince = false;

  /**
   * @param service it has come over the service port
   * @param exchangeFor makes what answers its requests
   */
  constructor(
    edge: Edge,
    socket: net.Socket,
    peer: string,
    localPort: number,
    scheme: Scheme,
    served: Served,
    service = false,
    exchangeFor: (connection: ClientConnection) => Http1Exchange = plainExchange,
  ) {
    this.edge = edge;
    this.socket = socket;
    this.peer = plainIp(peer);
    this.asked = new AskedHost(edge, this.peer, localPort, scheme, served, '1.1', service);
    this.scanner = edge.isTrusted(this.peer) ? edge.trustedScanner : edge.scanner;
    this.deadline = clock.now + edge.settings.headTimeoutMs;
    this.exchange = exchangeFor(this);
    (socket as ClientSocket).owner = this;
    socket.on('end', onEnd);
    socket.on('error', onGone);
    socket.on('close', onGone);
    // Armed only while a write is pending.
    socket.on('timeout', onGone);
    edge.clients.add(this);
  }

  // ---- reading

  read(buffer: Buffer, n: number): void {
    switch (this.state) {
      case READ_HEAD:
        this.readHead(buffer, n);
        break;
      case READ_BODY:
        this.exchange.readBody(buffer, 0, n);
        break;
      case WAIT:
        this.keepForLater(buffer, 0, n);
        break;
      case TUNNEL:
        this.exchange.forwardTunnel(buffer, 0, n);
        break;
    }
    const next = this.own ?? landing;
    nextBuffer.value = next === this.armed ? undefined : next;
    this.armed = next;
  }

  private readHead(buffer: Buffer, n: number): void {
    // Who sends requests and does not read the answers gets no more of them. What TLS has decrypted comes even while paused.
    if (this.writePending || this.paused) return this.keepForLater(buffer, 0, n);
    if (this.stash === null) {
      this.parsing = true;
      const answered = this.parse(buffer, n);
      this.parsing = false;
      if (answered && this.stash !== null) this.parseStash();
      return;
    }
    // Only a new line can complete a head or break a rule about lines: a head sent byte by byte costs no rescans.
    const scan = buffer.subarray(0, n).includes(10) || this.stash.length + n > this.edge.settings.maxHeadBytes;
    this.stash = Buffer.concat([this.stash, buffer.subarray(0, n)]);
    if (scan) this.parseStash();
  }

  /** Takes up what waits in the stash: one request after another, as long as each is answered at once, a few a turn. */
  private parseStash(): void {
    if (this.parsing || this.writePending) return;
    this.parsing = true;
    let left = maxRequestsPerTurn;
    while (this.stash !== null && this.state === READ_HEAD && !this.writePending && left-- > 0) {
      const stash: Buffer = this.stash;
      this.stash = null;
      this.parsed = stash;
      if (!this.parse(stash, stash.length)) break;
    }
    this.parsing = false;
    this.parsed = null;
    if (left >= 0) return this.resume();
    this.pause();
    setImmediate(() => this.parseStash());
  }

  /** Parses one request from `buffer[0, n)`. Returns false when it is not complete yet; it is stashed then. */
  private parse(buffer: Buffer, n: number): boolean {
    const { scanner, edge } = this;
    const result = scanner.scan(buffer, 0, n);
    if (result === MORE) {
      if (this.exchange.ended) this.deadline = clock.now + edge.settings.headTimeoutMs;
      this.exchange.ended = false;
      this.stash = Buffer.from(buffer.subarray(0, n));
      return false;
    }
    this.deadline = 0;
    this.keep = result !== BAD && scanner.keepAlive && !edge.draining;
    if (result === BAD) this.exchange.refuseUnread(scanner.fault);
    else this.exchange.start(buffer, n);
    return true;
  }

  /** Keeps bytes that belong to what comes after the present request. */
  keepForLater(buffer: Buffer, start: number, n: number): void {
    const rest = buffer.subarray(start, n);
    if (this.stash !== null) this.stash = Buffer.concat([this.stash, rest]);
    // What came out of the stash is nobody else's: with many requests in it, a copy for each would take most of the time.
    else this.stash = buffer === this.parsed ? rest : Buffer.from(rest);
    if (this.stash.length >= maxStashBytes) this.pause();
  }

  /** Hands over what was read too early. */
  takeStash(): Buffer | null {
    const { stash } = this;
    this.stash = null;
    return stash;
  }

  pause(): void {
    if (this.paused || this.state === CLOSED) return;
    this.paused = true;
    this.exchange.body.pace.pause();
    this.deadline = 0;
    this.socket.pause();
  }

  /** Reads on, unless more is stashed than may be. A partial head needs more, however long it is. */
  resume(): void {
    if (!this.paused || this.state === CLOSED) return;
    const waiting = this.state !== READ_HEAD || this.writePending;
    if (waiting && this.stash !== null && this.stash.length >= maxStashBytes) return;
    this.paused = false;
    this.exchange.body.pace.resume();
    if (this.state === READ_BODY) this.deadline = clock.now + this.exchange.idleTimeoutMs();
    this.socket.resume();
  }

  // ---- writing

  /** Writes bytes that nobody overwrites before the write is done: `isWritePending` tells. */
  write(view: Buffer): void {
    if (!direct.write(this.socket, view)) this.awaitWrite();
  }

  isWritePending(): boolean {
    return this.writePending;
  }

  private awaitWrite(): void {
    this.exchange.up?.pause();
    if (this.writePending) {
      this.writtenSince = true;
      return;
    }
    this.writtenSince = false;
    this.writePending = true;
    this.socket.setTimeout(this.exchange.idleTimeoutMs());
    this.socket.write(empty, () => {
      this.writePending = false;
      if (this.state === CLOSED) return;
      if (this.writtenSince) return this.awaitWrite();
      this.socket.setTimeout(0);
      if (this.exchange.up !== null) this.exchange.up.resume();
      if (this.state === READ_HEAD) this.onExchangeEnd();
      else if (this.state === WAIT || this.state === LINGER) this.resume();
    });
  }

  /** The answer has been written: on to the next request, or to the end. */
  onExchangeEnd(): void {
    if (this.state === READ_BODY || !this.keep || this.edge.draining) return this.linger();
    this.state = READ_HEAD;
    this.deadline = this.writePending ? 0 : clock.now + this.edge.settings.keepAliveTimeoutMs;
    if (this.stash !== null) this.parseStash();
    else this.resume();
  }

  // ---- the end

  onTick(now: number): void {
    if (this.deadline !== 0 && now >= this.deadline) return this.onDeadline();
    if (this.state === READ_BODY && !this.paused && this.exchange.isTooSlow(now)) return this.onDeadline();
    // Bytes that come would put off the end of a client that takes none.
    if (this.writePending && this.state !== READ_BODY && this.state !== TUNNEL) this.pause();
  }

  private onDeadline(): void {
    if (this.state === READ_BODY) return this.exchange.failRequest('OO_REQUEST_TIMEOUT');
    if (this.state !== READ_HEAD || this.stash === null) return this.close();
    this.stash = null;
    this.keep = false;
    this.exchange.refuseUnread('OO_REQUEST_TIMEOUT');
  }

  /** The client has ended its side. Outside of a tunnel that means that it has left, as with nginx. */
  onEnded(): void {
    if (this.state !== TUNNEL || this.socket.writableEnded) this.close();
    else this.exchange.up?.endTunnel();
  }

  /** Nothing more is read; the rest of the answer leaves, then the connection ends. */
  private linger(): void {
    if (this.state >= LINGER) return;
    this.exchange.drop();
    this.own = null;
    this.stash = null;
    this.state = LINGER;
    this.deadline = this.writePending ? 0 : clock.now + lingerMs;
    if (this.paused) {
      this.paused = false;
      this.socket.resume();
    }
    this.socket.end(() => {
      this.deadline = clock.now + lingerMs;
    });
  }

  /** Cuts the connection so that the client can't take a partial response for a whole one. */
  abort(): void {
    this.end(true);
  }

  /** Whether a drain can end it now: it is between two requests. */
  isIdle(): boolean {
    return this.state === READ_HEAD && this.stash === null && !this.writePending;
  }

  close(): void {
    // Without a reset, what the kernel still holds of a response would leave, and then end as if it were whole.
    this.end(this.writePending || (this.state !== TUNNEL && this.exchange.isHalfAnswered()));
  }

  protected reset(): void {
    this.socket.resetAndDestroy();
  }

  private end(cut: boolean): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.exchange.abandon();
    this.own = null;
    this.edge.clients.delete(this);
    if (cut) this.reset();
    else this.socket.destroy();
    this.edge.onClientClosed();
  }
}

function plainExchange(connection: ClientConnection): Http1Exchange {
  return new Http1Exchange(connection);
}

function onEnd(this: net.Socket): void {
  (this as OwnedSocket).owner.onEnded();
}

function onGone(this: net.Socket): void {
  (this as OwnedSocket).owner.close();
}
