import type { FailureCode } from '../core/failure.ts';
import {
  BY_CONNECTION,
  BY_PEER,
  ERROR_NAMES,
  NEVER_INDEXED,
  REFUSED_STREAM,
  type ResponseHead,
  type Trailers,
  UNINDEXED,
} from '../http2/codec.ts';
import { clock } from './clock.ts';
import type { Downstream, Upstream } from './downstream.ts';
import type { Instance } from './instance.ts';
import { maxInterimResponses } from './settings.ts';
import { UpstreamBody } from './upstream-body.ts';
import { giveHead, takeHead } from './upstream-heads.ts';
import type { Http2Connection } from './upstream-http2.ts';
import type { Http2Pool } from './upstream-pool.ts';
import { UpstreamResponse } from './upstream-response.ts';
import { WireStream } from './upstream-wire.ts';

const empty: Buffer = Buffer.alloc(0);

/** Where it stands: it waits for a connection, for the response's head, is in the body, or is over. */
const LINE = 0;
const HEAD = 1;
const BODY = 2;
const OVER = 3;

/** Times that a request is sent anew because an upstream has said that it did not look at it. */
const mostRefusals = 3;

/**
 * One exchange over HTTP/2, which to its client looks like an HTTP/1.1 upstream. It is made for one request, waits in the line of a
 * connection until that opens a stream for it, and moves on to another where the upstream says that it has not looked at the request.
 */
export class UpstreamStream implements Upstream {
  readonly framesItself = true;
  readonly instance: Instance;
  client: Downstream | null = null;
  connection: Http2Connection | null = null;
  /** The codec's stream, while one is open. */
  wire: WireStream | null = null;
  connected = false;
  reused = false;
  cause = '';
  tryBy = 0;
  connectedAt = 0;
  out: Buffer = empty;
  outLength = 0;
  private readonly pool: Http2Pool;
  private readonly response: UpstreamResponse = new UpstreamResponse(this);
  private readonly body = new UpstreamBody();
  private state = LINE;
  /** `clock.now` at which the present step is too late, or 0. */
  private deadline: number;
  private heard = false;
  private interims = 0;
  private refusals = 0;
  private paused = false;
  /** Inside of a call of the client's. */
  private sending = false;
  /** `sendBody` has said that bytes were pending. */
  private owesDrain = false;
  /** Since when none of the body could be sent, though some waits; or 0. */
  private stalledAt = 0;

  constructor(pool: Http2Pool, connectTimeoutMs: number) {
    this.pool = pool;
    this.instance = pool.instance;
    this.deadline = clock.now + connectTimeoutMs;
  }

  // ---- the request

  begin(client: Downstream): void {
    this.client = client;
  }

  headRoom(bytes: number): Buffer {
    this.out = takeHead(bytes);
    return this.out;
  }

  /** It leaves at the end of the turn, when it is known whether a body comes with it. */
  sendHead(length: number): void {
    this.outLength = length;
    this.connection?.schedule();
  }

  sentHead(): Buffer {
    return this.out.subarray(0, this.outLength);
  }

  sendBody(view: Buffer): boolean {
    if (this.state === OVER || this.response.ended) return true;
    this.body.add(view);
    this.sending = true;
    this.pump();
    this.sending = false;
    this.owesDrain = !this.body.isDrained();
    return !this.owesDrain;
  }

  sendTrailers(lines: Uint8Array): void {
    this.body.addTrailers(lines);
  }

  passBody(to: Upstream): boolean {
    const { unsent, trailers } = this.body;
    if (trailers !== null) to.sendTrailers(trailers);
    return unsent !== null && to.sendBody(unsent);
  }

  requestSent(): void {
    this.body.complete = true;
    if (this.wire === null) return;
    this.sending = true;
    this.pump();
    this.sending = false;
    if (this.state === HEAD) this.deadline = clock.now + this.responseTimeoutMs();
  }

  isDrained(): boolean {
    return this.body.isDrained();
  }

  /** Opens a stream for it. The connection has asked `canOpen`. */
  open(connection: Http2Connection): void {
    const { client } = this;
    if (client === null) return;
    const wire = new WireStream(this);
    this.wire = wire;
    this.connected = true;
    this.connectedAt = performance.now();
    this.reused = connection.hasAnswered;
    this.state = HEAD;
    this.deadline = 0;
    if (client.isRequestComplete()) {
      this.body.complete = true;
      this.deadline = clock.now + this.responseTimeoutMs();
    }
    connection.wire.sendRequest(wire, this.out, 0, this.outLength, {
      tls: this.instance.target.tls,
      trailersWelcome: client.trailersWelcome,
      ended: this.body.isEmpty(),
      bodiless: client.isHead,
      literal: this.literal(),
    });
    this.onWritable();
  }

  private literal(): number {
    return this.client?.neverIndexed === true ? NEVER_INDEXED : UNINDEXED;
  }

  /** Sends what can be sent of the body. */
  private pump(): void {
    const { wire, connection, body } = this;
    if (wire === null || connection === null) return;
    const sent = body.send(connection.wire, wire, this.literal());
    if (sent > 0 && this.state === BODY && !this.paused) this.deadline = clock.now + this.idleTimeoutMs();
    if (body.isDrained()) this.stalledAt = 0;
    else if (sent > 0 || this.stalledAt === 0) this.stalledAt = clock.now;
  }

  onWritable(): void {
    this.pump();
    if (!this.owesDrain || !this.body.isDrained()) return;
    this.owesDrain = false;
    this.client?.onUpstreamDrain();
  }

  // ---- the response

  onInterim(head: ResponseHead): void {
    this.hear();
    const { client } = this;
    if (client === null) return;
    if (++this.interims > maxInterimResponses) return this.fail('OO_BAD_RESPONSE', 'too many interim responses');
    const buffer = Buffer.from(head.bytes.subarray(0, head.end));
    const scanner = this.instance.edge.responseScanner;
    if (scanner.scan(buffer, 0, buffer.length) < 0) return this.fail('OO_BAD_RESPONSE', 'malformed response head');
    client.onInterim(buffer, 0, scanner);
  }

  onHead(head: ResponseHead, ended: boolean): void {
    this.hear();
    this.connection?.onAnswer();
    const bodiless = this.client?.isHead === true || head.status === 204 || head.status === 304;
    this.response.onHead(head, ended, bodiless);
  }

  onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    if (!this.paused) this.deadline = clock.now + this.idleTimeoutMs();
    this.response.onData(buf, from, to);
    if (ended && this.client !== null) this.response.onEnd(null);
  }

  onTrailers(trailers: Trailers): void {
    this.response.onEnd(trailers);
  }

  private hear(): void {
    this.heard = true;
    this.body.forget();
  }

  /** From now on the response can't be taken back. */
  onHeadDelivered(): void {
    this.state = BODY;
    this.deadline = this.paused ? 0 : clock.now + this.idleTimeoutMs();
  }

  /** The client has taken so many bytes of payload: the stream's window opens again. */
  consume(bytes: number): void {
    if (this.wire !== null) this.connection?.wire.consume(this.wire, bytes, this.client?.wantsMuch() === true);
  }

  view(buffer: Buffer, from: number, to: number): Buffer {
    return buffer.subarray(from, to);
  }

  pause(): void {
    if (this.paused || this.state === OVER) return;
    this.paused = true;
    if (this.state === BODY) this.deadline = 0;
    this.response.pause();
  }

  resume(): void {
    if (!this.paused || this.state === OVER) return;
    this.paused = false;
    if (this.state === BODY) this.deadline = clock.now + this.idleTimeoutMs();
    this.response.resume();
  }

  hasHeard(): boolean {
    return this.heard;
  }

  /** A tunnel never gets here: requests that want one are sent over HTTP/1.1. */
  endTunnel(): void {
    this.requestSent();
  }

  // ---- the end

  /** The client has been given the whole response. */
  finish(): void {
    const { client } = this;
    this.leave();
    this.returnHead();
    client?.onResponseEnd();
  }

  destroy(): void {
    if (this.state === OVER) return;
    this.leave();
    this.returnHead();
  }

  /** Lets go of client and stream. */
  private leave(): void {
    this.state = OVER;
    this.client = null;
    this.pool.streams--;
    this.instance.edge.pools.free(this.instance);
    // A request that has not been sent whole is broken off, even if its response is.
    if (this.wire !== null) this.connection?.reset(this.wire);
    else this.connection?.leaveLine(this);
    this.wire = null;
  }

  private returnHead(): void {
    giveHead(this.out);
    this.out = empty;
  }

  /** Breaks off, and tells the client, which repeats the request, answers, or aborts. */
  fail(code: FailureCode, cause: string): void {
    if (this.state === OVER) return;
    const { client, state } = this;
    this.cause = cause;
    this.leave();
    client?.onUpstreamFailed(this, code, state === BODY);
    // Not before: the client may send the same head again.
    this.returnHead();
  }

  /** The codec's stream is gone before both sides were done with it. */
  onAbort(code: number, by: number, reason: string): void {
    if (this.response.ended) return;
    // The client is in the middle of giving us its body.
    if (this.sending) return queueMicrotask(() => this.onAbort(code, by, reason));
    // What came before it is for the client still.
    if (this.state === BODY && this.response.staged) this.response.deliver();
    const { connection } = this;
    if (by === BY_PEER && code === REFUSED_STREAM) {
      if (this.isUntouched()) return this.moveOn();
      return this.fail('OO_UPSTREAM_CLOSED', 'refused by the upstream');
    }
    if (by === BY_CONNECTION) {
      const { failure, failureCause } = connection as Http2Connection;
      return this.fail(failure ?? 'OO_BAD_RESPONSE', failureCause || reason);
    }
    if (by !== BY_PEER) return this.fail('OO_BAD_RESPONSE', reason);
    this.fail('OO_UPSTREAM_CLOSED', `${reason} (${ERROR_NAMES[code] ?? code})`);
  }

  /** Nothing of it has been looked at, so all of it can be sent to another connection. */
  private isUntouched(): boolean {
    return !this.heard && this.body.replayable && ++this.refusals <= mostRefusals;
  }

  private moveOn(): void {
    this.wire = null;
    this.connected = false;
    this.state = LINE;
    this.stalledAt = 0;
    this.body.rewind();
    this.deadline = clock.now + this.pool.connectTimeoutMs;
    this.pool.place(this);
  }

  onTick(now: number): void {
    if (this.response.ended) return;
    if (this.tryBy !== 0 && now >= this.tryBy && !this.heard)
      return this.fail(this.connected ? 'OO_UPSTREAM_TIMEOUT' : 'OO_CONNECT_TIMEOUT', 'no response in time for a try');
    if (this.stalledAt !== 0 && now - this.stalledAt >= this.idleTimeoutMs())
      return this.fail('OO_UPSTREAM_TIMEOUT', 'does not take the request body');
    if (this.deadline === 0 || now < this.deadline) return;
    if (this.state === LINE) return this.fail('OO_CONNECT_TIMEOUT', 'no stream in time');
    if (this.state === HEAD) this.connection?.suspect(this.deadline - this.responseTimeoutMs());
    this.fail('OO_UPSTREAM_TIMEOUT', this.state === HEAD ? 'no response in time' : 'silent in the body');
  }

  private responseTimeoutMs(): number {
    return this.client?.route?.route.responseTimeoutMs ?? this.instance.edge.settings.responseTimeoutMs;
  }

  private idleTimeoutMs(): number {
    return this.client?.route?.route.idleTimeoutMs ?? this.instance.edge.settings.idleTimeoutMs;
  }
}
