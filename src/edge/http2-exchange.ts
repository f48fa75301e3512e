import type { FailureCode } from '../core/failure.ts';
import { leaveOut } from '../http1/lines.ts';
import { FORM_ASTERISK, METHOD_HEAD } from '../http1/scan.ts';
import {
  CONNECT_ERROR,
  INTERNAL_ERROR,
  NEVER_INDEXED,
  NO_ERROR,
  type RequestHead,
  type Trailers,
  UNINDEXED,
} from '../http2/codec.ts';
import { BodyPace } from './body-pace.ts';
import { clock } from './clock.ts';
import type { ResponseRegisters, Upstream } from './downstream.ts';
import { Exchange } from './exchange.ts';
import { isGrpc } from './grpc.ts';
import { withHsts } from './hsts.ts';
import type { Http2Client } from './http2-client.ts';
import type { Http2Stream } from './http2-stream.ts';
import { keepRoom, room } from './memory.ts';
import { optionsReply, type Reply, replyHead } from './reply.ts';
import { describe } from './request-text.ts';
import { findAccept, webSocketKey } from './websocket.ts';

const lastChunk = Buffer.from('0\r\n\r\n');
const crlf = '\r\n';
/** With more streams than this, responses are read in small pieces: what a client does not take waits in memory. */
const maxStreamsOfMuch = 4;

/** Response bytes that the client's windows did not take yet. */
interface Rest {
  readonly buffer: Buffer;
  from: number;
  readonly to: number;
}

/** One request of an HTTP/2 client and its response. */
export class Http2Exchange extends Exchange {
  private readonly client: Http2Client;
  private readonly stream: Http2Stream;
  private readonly pace: BodyPace;
  // The request.
  /** All of it has come. */
  private received = false;
  /** Its body goes on in chunks. */
  private chunked = false;
  private bodyBytes = 0;
  /** Body bytes that the upstream has not taken, so that the client may not send as many again. */
  private untaken = 0;
  /** `clock.now` at which it is too late for more of the body, or 0. */
  private deadline = 0;
  /** The head's length, while it waits for the first body bytes. */
  private heldLength = 0;
  /** What an extended CONNECT became the upgrade of, with this key. */
  private key = '';
  /** What came for the tunnel before it was open. */
  private early: Buffer | null = null;
  private tunnelling = false;
  // The response.
  /** Its head, while it can be taken back: `onBody` follows at once. */
  private head: ResponseRegisters | null = null;
  private headBuffer: Buffer | null = null;
  private headStart = 0;
  private readonly rests: Rest[] = [];
  private trailers: Buffer | null = null;
  /** Nothing follows the rests. */
  private ending = false;

  constructor(client: Http2Client, stream: Http2Stream) {
    super(client.edge, client.peer, client.asked);
    this.client = client;
    this.stream = stream;
    this.pace = new BodyPace(client.edge.settings.minBodyRate);
  }

  // ---- the request

  /** Takes up a request. */
  start(head: RequestHead, fault: FailureCode | null, ended: boolean): void {
    this.reset();
    this.received = ended;
    if (fault !== null) return this.refuse(fault);
    const buffer = head.bytes as Buffer;
    this.isHead = head.method === METHOD_HEAD;
    this.trailersWelcome = head.trailersWelcome;
    this.neverIndexed = head.neverIndexed;
    this.needsHttp2 = head.trailersWelcome && isGrpc(buffer, head.methodStart, head.end);
    if (this.edge.accessLog !== null) this.logLine = describe(buffer, head, 'HTTP/2.0');
    if (head.form === FORM_ASTERISK) return this.answer(optionsReply);
    this.asked.resolve(buffer, head);
    const route = this.decide(buffer, head, true);
    if (typeof route === 'string') return this.refuseScanned(buffer, head, route);
    const bodied = !ended && head.upgradeEnd === 0;
    const up = this.acquire(route, head, bodied);
    if (typeof up === 'string') return this.refuseScanned(buffer, head, up);
    if (this.upgrading) this.key = webSocketKey();
    const more = this.upgrading ? Buffer.from(`Sec-WebSocket-Key: ${this.key}${crlf}`) : undefined;
    const length = this.begin(buffer, head, route, up, more);
    if (bodied) return this.beginBody(head, up, length);
    up.sendHead(length);
    up.requestSent();
  }

  private beginBody(head: RequestHead, up: Upstream, length: number): void {
    this.chunked = head.chunked && !up.framesItself;
    this.deadline = clock.now + this.idleTimeoutMs();
    this.pace.begin();
    if (up.framesItself || !up.connected) return up.sendHead(length);
    this.heldLength = length;
    up.outLength = length;
    this.client.holdHead(this);
  }

  /** Sends the head without any of the body, if it still waits. */
  releaseHead(): void {
    if (this.heldLength === 0) return;
    this.up?.sendHead(this.heldLength);
    this.heldLength = 0;
  }

  /** Body bytes have come, or those of a tunnel. */
  readBody(buffer: Buffer, from: number, to: number, ended: boolean): void {
    const { up } = this;
    const bytes = to - from;
    this.received = ended;
    if (up === null) return this.client.codec.consume(this.stream, bytes);
    if (this.upgrading) return this.readTunnel(up, buffer, from, to);
    this.bodyBytes += bytes;
    if (this.bodyBytes > (this.route?.route.maxBodyBytes ?? Number.POSITIVE_INFINITY))
      return this.failRequest('OO_BODY_TOO_LARGE');
    this.deadline = clock.now + this.idleTimeoutMs();
    this.account(this.forwardBody(up, buffer, from, to), bytes);
    if (ended) up.requestSent();
  }

  /** Lets the client send as much again as the upstream has taken. */
  private account(taken: boolean, bytes: number): void {
    if (taken) return this.client.codec.consume(this.stream, bytes);
    if (this.untaken === 0) this.pace.pause();
    this.untaken += bytes;
    this.deadline = 0;
  }

  /** Returns false if the bytes are still pending. */
  private forwardBody(up: Upstream, buffer: Buffer, from: number, to: number): boolean {
    const bytes = to - from;
    const size = this.chunked && bytes > 0 ? bytes.toString(16) : '';
    const framing = size === '' ? 0 : size.length + 2 * crlf.length;
    const last = this.chunked && this.received ? lastChunk.length : 0;
    const { heldLength } = this;
    if (heldLength + framing + last === 0) return this.sendToUpstream(up, buffer, from, to);
    const length = heldLength + framing + bytes + last;
    const view = up.connected ? room(length) : Buffer.allocUnsafe(length);
    let at = up.out.copy(view, 0, 0, heldLength);
    if (framing > 0) at += view.write(`${size}${crlf}`, at, 'latin1');
    at += buffer.copy(view, at, from, to);
    if (framing > 0) at += view.write(crlf, at, 'latin1');
    if (last > 0) lastChunk.copy(view, at);
    this.heldLength = 0;
    if (!up.connected) return this.sendUnsent(up, view);
    this.unsent = null;
    const taken = up.sendBody(view);
    if (!taken) keepRoom(length);
    return taken;
  }

  /** Trailers have come, and with them the request's end. */
  readTrailers({ bytes, end }: Trailers): void {
    const { up } = this;
    this.received = true;
    if (up === null) return;
    this.releaseHead();
    if (up.framesItself) up.sendTrailers(bytes.subarray(0, end));
    else if (this.chunked) {
      const tail = Buffer.concat([lastChunk.subarray(0, 3), bytes.subarray(0, end)]);
      this.sendToUpstream(up, tail, 0, tail.length);
    }
    up.requestSent();
  }

  isRequestComplete(): boolean {
    return this.received || this.upgrading;
  }

  onUpstreamDrain(): void {
    const { untaken } = this;
    this.unsent = null;
    if (untaken === 0) return;
    this.untaken = 0;
    this.pace.resume();
    if (!this.received) this.deadline = clock.now + this.idleTimeoutMs();
    this.client.codec.consume(this.stream, untaken);
  }

  /** Called a few times a second. */
  onTick(now: number): void {
    if (this.isRequestComplete() || this.up === null || this.untaken > 0) return;
    const late = this.deadline !== 0 && now >= this.deadline;
    if (late || this.pace.isTooSlow(now, this.bodyBytes)) this.failRequest('OO_REQUEST_TIMEOUT');
  }

  // ---- the response

  wantsDecoded(): boolean {
    return true;
  }

  wantsMuch(): boolean {
    return this.client.codec.streams.size <= maxStreamsOfMuch;
  }

  isWritePending(): boolean {
    return this.rests.length > 0;
  }

  onInterim(buffer: Buffer, start: number, head: ResponseRegisters): void {
    if (head.status === 100 && !this.expecting) return;
    this.client.codec.sendResponse(this.stream, buffer, start, head.end, head.cuts, head.cutCount);
  }

  onResponse(buffer: Buffer, start: number, head: ResponseRegisters): void {
    // RFC 8441 §5: to the client it would say that the tunnel is there.
    if (this.upgrading && head.status < 300) return this.refuseUpgrade('did not switch protocols');
    this.answered = true;
    this.status = head.status;
    this.sentBytes = 0;
    this.head = head;
    this.headBuffer = buffer;
    this.headStart = start;
  }

  private sendHead(head: ResponseRegisters): void {
    const { client, stream, headStart } = this;
    const buffer = this.headBuffer as Buffer;
    const literal = head.neverIndexed ? NEVER_INDEXED : UNINDEXED;
    const hsts = this.hstsLine();
    this.head = null;
    this.headBuffer = null;
    if (hsts === '')
      return client.codec.sendResponse(stream, buffer, headStart, head.end, head.cuts, head.cutCount, false, literal);
    const changed = withHsts(buffer, leaveOut(buffer, headStart, head.end, head.cuts, head.cutCount), head.end, hsts);
    client.codec.sendResponse(stream, changed, 0, changed.length, undefined, 0, false, literal);
  }

  onBody(buffer: Buffer, from: number, to: number): void {
    if (this.up === null) return;
    if (this.head !== null) this.sendHead(this.head);
    if (to > from) this.send(buffer, from, to);
  }

  onTunnelBytes(buffer: Buffer, from: number, to: number): void {
    if (this.up !== null) this.send(buffer, from, to);
  }

  private send(buffer: Buffer, from: number, to: number): void {
    this.sentBytes += to - from;
    const at = this.rests.length > 0 ? from : this.client.codec.sendData(this.stream, buffer, from, to);
    if (at === to || this.stream.closed) return;
    this.rests.push({ buffer, from: at, to });
    this.up?.pause();
  }

  /** The client takes more. */
  onWritable(): void {
    const { rests } = this;
    while (rests.length > 0) {
      const rest = rests[0];
      rest.from = this.client.codec.sendData(this.stream, rest.buffer, rest.from, rest.to);
      if (rest.from < rest.to) return;
      rests.shift();
    }
    if (!this.ending) this.up?.resume();
    else if (this.tunnelling) this.onTunnelEnd();
    else this.onEnd();
  }

  /** Never called: chunks are decoded. */
  onBodyTail(): void {}

  onTrailers(lines: Uint8Array): void {
    this.trailers = Buffer.from(lines);
  }

  onResponseEnd(): void {
    this.up = null;
    this.unsent = null;
    this.end();
  }

  /** Ends our side of the stream once all has been taken, and the client's, if nobody reads what it still sends (RFC 9113 §8.1). */
  protected override onEnd(): void {
    const { client, stream, trailers } = this;
    this.ending = true;
    if (this.rests.length > 0) return;
    if (trailers === null) client.codec.endStream(stream);
    else client.codec.sendTrailers(stream, trailers, 0, trailers.length);
    client.codec.reset(stream, NO_ERROR);
  }

  // ---- tunnels

  onSwitch(buffer: Buffer, start: number, head: ResponseRegisters): void {
    const line = findAccept(buffer, start, head.end, this.key);
    if (line === undefined) return this.refuseUpgrade('did not accept the WebSocket');
    head.cutAlso(line[0], line[1]);
    this.answered = true;
    this.status = 200;
    this.sentBytes = 0;
    this.tunnelling = true;
    this.client.codec.sendResponse(this.stream, buffer, start, head.end, head.cuts, head.cutCount);
    const { early, up } = this;
    this.early = null;
    if (early !== null && up !== null) this.account(this.sendToUpstream(up, early, 0, early.length), early.length);
    if (this.received) this.up?.endTunnel();
  }

  private refuseUpgrade(why: string): void {
    this.drop();
    this.refuse('OO_BAD_RESPONSE', { cause: why });
  }

  private readTunnel(up: Upstream, buffer: Buffer, from: number, to: number): void {
    if (!this.tunnelling) {
      const bytes = buffer.subarray(from, to);
      this.early = this.early === null ? Buffer.from(bytes) : Buffer.concat([this.early, bytes]);
      return;
    }
    this.account(this.sendToUpstream(up, buffer, from, to), to - from);
    if (!this.received) return;
    up.endTunnel();
    if (this.ending) this.leaveTunnel();
  }

  onTunnelEnd(): void {
    this.ending = true;
    if (this.rests.length > 0) return;
    this.client.codec.endStream(this.stream);
    if (this.received) this.leaveTunnel();
  }

  /** Both sides have ended: what the upstream has not taken yet still goes there. */
  private leaveTunnel(): void {
    this.up = null;
    this.abandon();
  }

  protected override endTunnel(): boolean {
    if (!this.tunnelling) return false;
    this.client.codec.reset(this.stream, this.stream.sending ? CONNECT_ERROR : NO_ERROR);
    this.abandon();
    return true;
  }

  // ---- answers of our own

  protected override sendReply(reply: Reply): number {
    const { codec } = this.client;
    const head = replyHead(reply, true);
    const bodiless = this.isHead || reply.body === null;
    codec.sendResponse(this.stream, head, 0, head.length, undefined, 0, bodiless);
    if (bodiless) return 0;
    const body = Buffer.from(reply.body as string);
    this.send(body, 0, body.length);
    return body.length;
  }

  protected override cut(): void {
    this.client.codec.reset(this.stream, INTERNAL_ERROR);
    this.abandon();
  }

  override abandon(): void {
    this.rests.length = 0;
    super.abandon();
  }

  protected override takeHeadBack(): boolean {
    const isHeld = this.head !== null;
    this.head = null;
    this.headBuffer = null;
    return isHeld;
  }
}
