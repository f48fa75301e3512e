import type { FailureCode } from '../core/failure.ts';
import { leaveOut } from '../http1/lines.ts';
import { FORM_ASTERISK, METHOD_HEAD } from '../http1/scan.ts';
import {
  CONNECT_ERROR,
  ENHANCE_YOUR_CALM,
  INTERNAL_ERROR,
  NEVER_INDEXED,
  NO_ERROR,
  type Trailers,
  UNINDEXED,
} from '../http2/codec.ts';
import { clock } from './clock.ts';
import type { ResponseRegisters } from './downstream.ts';
import { Exchange } from './exchange.ts';
import { isGrpc } from './grpc.ts';
import type { Http2Client } from './http2-client.ts';
import type { Http2Stream } from './http2-stream.ts';
import { Upload, type Uploader } from './http2-upload.ts';
import type { EdgePool } from './pool.ts';
import { optionsReply, type Reply, replyHead } from './reply.ts';
import { describe } from './request-text.ts';
import { noLines, withLines } from './response-lines.ts';
import { type Http2Head, KeptHead } from './wait-head.ts';
import { findAccept, webSocketKey } from './websocket.ts';

/** With more streams than this, responses are read in small pieces: what a client does not take waits in memory. */
const maxStreamsOfMuch = 4;

/** Response bytes that the client's windows did not take yet. */
interface Rest {
  readonly buffer: Buffer;
  from: number;
  readonly to: number;
}

/** One request of an HTTP/2 client and its response. */
export class Http2Exchange extends Exchange implements Uploader {
  private readonly client: Http2Client;
  private readonly stream: Http2Stream;
  // The request.
  /** Its body, or what the client says in a tunnel; null where there is neither. */
  private upload: Upload | null = null;
  /** Its head, while it waits, and whether all of it has come with that. */
  private kept: Http2Head | null = null;
  private keptEnded = false;
  /** What an extended CONNECT became the upgrade of, with this key. */
  private key = '';
  private tunnelling = false;
  // The response.
  /** Its head, while it can be taken back: `onBody` follows at once. */
  private head: ResponseRegisters | null = null;
  private headBuffer: Buffer | null = null;
  private headStart = 0;
  private readonly rests: Rest[] = [];
  /** `clock.now` at which the client took some of them last. */
  unreadSince = 0;
  private trailers: Buffer | null = null;
  /** Nothing follows the rests. */
  private ending = false;

  constructor(client: Http2Client, stream: Http2Stream) {
    super(client.edge, client.peer, client.asked);
    this.client = client;
    this.stream = stream;
  }

  // ---- the request

  /**
   * Takes up a request.
   * @param again it has been here before, and has waited since: what has come of its body is in the upload
   */
  start(head: Http2Head, fault: FailureCode | null, ended: boolean, again = false): void {
    this.reset(again);
    if (fault !== null) return this.refuse(fault);
    const buffer = head.bytes as Buffer;
    if (this.edge.accessLog !== null) this.logLine = describe(buffer, head, 'HTTP/2.0');
    if (!again && this.client.putsOff(this)) return this.keep(head, ended);
    this.isHead = head.method === METHOD_HEAD;
    this.trailersWelcome = head.trailersWelcome;
    this.neverIndexed = head.neverIndexed;
    this.needsHttp2 = head.trailersWelcome && isGrpc(buffer, head.methodStart, head.end);
    if (head.form === FORM_ASTERISK) return this.answer(optionsReply);
    this.asked.resolve(buffer, head);
    const route = this.decide(buffer, head, true);
    if (typeof route === 'string') return this.refuseScanned(buffer, head, route);
    const up = this.acquire(route, buffer, head, !ended && head.upgradeEnd === 0);
    if (up === null) return this.keep(head, ended);
    if (typeof up === 'string') return this.refuseScanned(buffer, head, up);
    const length = this.begin(buffer, head, route, up, this.upgrading ? this.keyLine() : undefined);
    if (!ended) {
      this.upload ??= this.newUpload();
      this.upload.begin(head, up, length);
      return again ? this.catchUp(this.upload) : undefined;
    }
    up.sendHead(length);
    up.requestSent();
    this.mirror?.end();
  }

  /** The upload is copied before it is framed. */
  protected override isFramed(): boolean {
    return false;
  }

  private newUpload(): Upload {
    return new Upload(this, this.edge.settings.minBodyRate, this.upgrading);
  }

  /** It waits: its head is kept, and as much of its body as the windows let through. */
  private keep(head: Http2Head, ended: boolean): void {
    this.kept = head instanceof KeptHead ? head : new KeptHead(head);
    this.keptEnded = ended;
    this.upgrading = head.upgradeEnd > 0;
    if (!ended) this.upload ??= this.newUpload();
  }

  protected override restart(): void {
    const { kept } = this;
    // The client may have left in the same turn.
    if (kept === null) return;
    this.kept = null;
    this.start(kept, null, this.keptEnded, true);
  }

  /** All of the read that it came with has been looked at. */
  startLate(): void {
    this.restart();
  }

  /** What has come of the body meanwhile goes on. */
  private catchUp(upload: Upload): void {
    if (this.checkLength(upload)) upload.flush();
  }

  protected override refuseKept(code: FailureCode): void {
    const { kept } = this;
    if (kept === null) return;
    this.kept = null;
    this.refuseScanned(kept.bytes as Buffer, kept, code);
  }

  private keyLine(): Buffer {
    this.key = webSocketKey();
    return Buffer.from(`Sec-WebSocket-Key: ${this.key}\r\n`);
  }

  /** Body bytes have come, or those of a tunnel. */
  readBody(buffer: Buffer, from: number, to: number, ended: boolean): void {
    const { upload } = this;
    if (upload === null || (this.up === null && this.kept === null)) return this.consume(to - from);
    upload.take(buffer, from, to, ended);
    // Those who have the places that it waits for may be streams of the same connection, with bodies still to come.
    if (this.kept !== null) this.client.codec.lend(this.stream, to - from);
    this.checkLength(upload);
  }

  /** @returns false if more has come than may: it is refused */
  private checkLength({ bytes }: Upload): boolean {
    const limit = this.route?.route.maxBodyBytes;
    if (limit === undefined || bytes <= limit || this.upgrading) return true;
    // It waits no more, if it did.
    this.kept = null;
    this.failRequest('OO_BODY_TOO_LARGE');
    return false;
  }

  /** Trailers have come, and with them the request's end. */
  readTrailers({ bytes, end }: Trailers): void {
    if (this.up !== null || this.kept !== null) this.upload?.end(bytes.subarray(0, end));
  }

  consume(bytes: number): void {
    this.client.codec.consume(this.stream, bytes);
  }

  onUploadWaits(): void {
    this.client.uploads.push(this.upload as Upload);
  }

  isRequestComplete(): boolean {
    return this.upload === null || this.upload.sent || this.upgrading;
  }

  onUpstreamDrain(): void {
    this.unsent = null;
    this.upload?.onDrain();
  }

  /** Called a few times a second. */
  onTick(now: number): void {
    if (this.up !== null && this.upload?.isLate(now)) this.failRequest('OO_REQUEST_TIMEOUT');
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
    const lines = this.responseLines();
    this.head = null;
    this.headBuffer = null;
    if (lines === noLines)
      return client.codec.sendResponse(stream, buffer, headStart, head.end, head.cuts, head.cutCount, false, literal);
    const from = leaveOut(buffer, headStart, head.end, head.cuts, head.cutCount);
    const changed = withLines(buffer, from, head.end, lines);
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
    if (this.rests.length === 0) this.unreadSince = clock.now;
    this.rests.push({ buffer, from: at, to });
    this.up?.pause();
  }

  /** The client takes more. */
  onWritable(): void {
    const { rests } = this;
    while (rests.length > 0) {
      const rest = rests[0];
      const { from } = rest;
      rest.from = this.client.codec.sendData(this.stream, rest.buffer, from, rest.to);
      if (rest.from > from) this.unreadSince = clock.now;
      if (rest.from < rest.to) return;
      rests.shift();
    }
    if (!this.ending) this.up?.resume();
    else if (this.tunnelling) this.onTunnelEnd();
    else this.onEnd();
  }

  override isModest(): boolean {
    return this.client.isModest();
  }

  /** It holds a place in this pool, and the client has taken nothing of its response since then. */
  isUnread(pool: EdgePool, before: number): boolean {
    const { up } = this;
    return (
      up !== null &&
      !up.freed &&
      !this.tunnelling &&
      this.rests.length > 0 &&
      this.unreadSince <= before &&
      pool.has(up.instance)
    );
  }

  /** Others need its place. */
  giveUp(): void {
    const why = 'others wait, and the client does not read; the response was cut';
    this.edge.reportFailure('OO_OVERLOADED', '', this.route, this.instanceKey(), why, this.peer);
    this.client.codec.reset(this.stream, ENHANCE_YOUR_CALM);
    this.abandon();
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
    this.upload?.openTunnel();
  }

  private refuseUpgrade(why: string): void {
    this.drop();
    this.refuse('OO_BAD_RESPONSE', { cause: why });
  }

  /** The client has ended its side of the tunnel, and the upstream knows. */
  onUploadEnd(): void {
    if (this.tunnelling && this.ending) this.leaveTunnel();
  }

  onTunnelEnd(): void {
    this.ending = true;
    if (this.rests.length > 0) return;
    this.client.codec.endStream(this.stream);
    if (this.upload?.sent) this.leaveTunnel();
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
    // RFC 8441 §5: to a client that wants a tunnel, 2xx would say that it is there.
    const isNoTunnel = this.upgrading && reply.status < 300;
    const head = replyHead(isNoTunnel ? { ...reply, status: 501 } : reply, true);
    const bodiless = this.isHead || reply.body === null;
    codec.sendResponse(this.stream, head, 0, head.length, undefined, 0, bodiless);
    if (bodiless) return 0;
    const body = Buffer.from(reply.body as string | Uint8Array);
    this.send(body, 0, body.length);
    return body.length;
  }

  protected override cut(): void {
    this.client.codec.reset(this.stream, INTERNAL_ERROR);
    this.abandon();
  }

  override abandon(): void {
    this.rests.length = 0;
    this.kept = null;
    super.abandon();
  }

  protected override takeHeadBack(): boolean {
    const isHeld = this.head !== null;
    this.head = null;
    this.headBuffer = null;
    return isHeld;
  }
}
