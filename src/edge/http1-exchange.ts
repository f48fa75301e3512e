import type { FailureCode } from '../core/failure.ts';
import { leaveOut } from '../http1/lines.ts';
import { FORM_ABSOLUTE, FORM_ASTERISK, METHOD_HEAD } from '../http1/scan.ts';
import { type ClientConnection, READ_BODY, TUNNEL, WAIT } from './client.ts';
import { clock } from './clock.ts';
import type { ResponseRegisters, Upstream } from './downstream.ts';
import { Exchange, type Refusal } from './exchange.ts';
import { HeldHead } from './held-head.ts';
import { keepRoom, returnBig, room, takeBig } from './memory.ts';
import { askForChallenge, decidePlain } from './plain-http.ts';
import { optionsReply, type Reply, replyHead } from './reply.ts';
import { RequestBody } from './request-body.ts';
import type { RequestRegisters } from './request-head.ts';
import { describe } from './request-text.ts';
import { noLines, withLines } from './response-lines.ts';

/** One request of an HTTP/1.1 client and its response. There is one object a connection, used again for each request. */
export class Http1Exchange extends Exchange {
  readonly body: RequestBody;
  /** The last request has been answered, and nothing of the next one has come. */
  ended = false;
  private readonly connection: ClientConnection;
  private minor = 1;
  /** HTTPS is served as well: plain HTTP leads there. */
  private readonly leadsAway: boolean;
  /** The request's head, while it waits. */
  private kept: Buffer | null = null;
  /** The response's head is held back to leave with the first body bytes, in one write. */
  private readonly head = new HeldHead();

  constructor(connection: ClientConnection) {
    super(connection.edge, connection.peer, connection.asked);
    this.connection = connection;
    this.body = new RequestBody(connection.edge.settings.minBodyRate);
    const { asked, edge } = connection;
    this.leadsAway = asked.scheme === 'http' && !asked.service && edge.settings.https !== null;
  }

  // ---- the request

  /**
   * Takes up the request whose head is in the scanner.
   * @param again it has been here before, and has waited since: what follows the head is in the stash
   */
  start(buffer: Buffer, n: number, again = false): void {
    this.reset(again);
    this.ended = false;
    const { connection } = this;
    const { scanner, edge } = connection;
    const bodied = scanner.chunked || scanner.contentLength > 0;
    this.isHead = scanner.method === METHOD_HEAD;
    this.minor = scanner.minor;
    if (edge.accessLog !== null) this.logLine = describe(buffer, scanner, this.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0');
    if (scanner.form === FORM_ASTERISK) {
      this.passBody(buffer, n, bodied);
      return this.answer(optionsReply);
    }
    connection.asked.resolve(buffer, scanner);
    if (this.leadsAway && this.leadAway(buffer, n, bodied, again)) return;
    const route = this.decide(buffer, scanner, scanner.form === FORM_ABSOLUTE);
    if (typeof route === 'string') return this.refuseStart(buffer, n, route, bodied);
    const up = this.acquire(route, buffer, scanner, bodied);
    if (up === null) return this.keep(buffer, n);
    if (typeof up === 'string') return this.refuseStart(buffer, n, up, bodied);
    const length = this.begin(buffer, scanner, route, up);
    if (bodied) return this.beginBody(buffer, n, up, length);
    connection.state = WAIT;
    if (scanner.end < n) connection.keepForLater(buffer, scanner.end, n);
    up.sendHead(length);
    up.requestSent();
    this.mirror?.end();
  }

  protected override isFramed({ chunked }: RequestRegisters, up: Upstream): boolean {
    return chunked && !up.framesItself;
  }

  /** Over plain HTTP most are told where HTTPS is. @returns false for what is forwarded like any other request */
  private leadAway(buffer: Buffer, n: number, bodied: boolean, again: boolean): boolean {
    const { edge, asked, connection } = this;
    const decision = decidePlain(edge, buffer, connection.scanner, asked, again);
    if (decision.kind === 'forward') return false;
    if (decision.kind === 'ask') this.waitForChallenge(buffer, n, decision.token);
    else if (decision.kind === 'not-found') this.refuseStart(buffer, n, 'OO_NO_ROUTE', bodied);
    else {
      this.route = decision.route;
      this.passBody(buffer, n, bodied);
      this.answer(decision.reply);
    }
    return true;
  }

  /** Another server may have put the challenge into the database: the request, which has no body, is taken up again when that is known. */
  private waitForChallenge(buffer: Buffer, n: number, token: string): void {
    this.keep(buffer, n);
    askForChallenge(this.edge, token).then(() => this.restart());
  }

  /** It waits: its head is kept, and what follows is read into the stash until that is full. */
  private keep(buffer: Buffer, n: number): void {
    const { connection } = this;
    const { methodStart, end } = connection.scanner;
    this.kept = Buffer.from(buffer.subarray(methodStart, end));
    if (end < n) connection.keepForLater(buffer, end, n);
    connection.state = WAIT;
  }

  /** Puts the head that was kept into the scanner. @returns null if the client has left */
  private scanKept(): Buffer | null {
    const { kept } = this;
    this.kept = null;
    if (kept !== null) this.connection.scanner.scan(kept, 0, kept.length);
    return kept;
  }

  override abandon(): void {
    this.kept = null;
    super.abandon();
  }

  protected override restart(): void {
    const { connection } = this;
    const kept = this.scanKept();
    if (kept === null) return;
    this.start(kept, kept.length, true);
    if (connection.state !== READ_BODY) return;
    const body = connection.takeStash();
    if (body === null || this.readBody(body, 0, body.length)) connection.resume();
  }

  protected override refuseKept(code: FailureCode): void {
    const kept = this.scanKept();
    if (kept === null) return;
    const { chunked, contentLength } = this.connection.scanner;
    this.refuseStart(kept, kept.length, code, chunked || contentLength > 0);
  }

  private refuseStart(buffer: Buffer, n: number, code: Refusal, bodied: boolean): void {
    this.passBody(buffer, n, bodied);
    this.refuseScanned(buffer, this.connection.scanner, code);
  }

  private beginBody(buffer: Buffer, n: number, up: Upstream, headLength: number): void {
    const { connection } = this;
    const { end } = connection.scanner;
    connection.state = READ_BODY;
    this.body.begin(connection.scanner, up.framesItself);
    connection.deadline = clock.now + this.idleTimeoutMs();
    if (end < n && up.connected && !up.framesItself && this.body.covers(n - end))
      this.sendHeadAndBody(buffer, n, up, headLength);
    else {
      up.sendHead(headLength);
      if (end < n) this.readBody(buffer, end, n);
    }
    // TLS decrypts into the buffer that all share.
    if (connection.state === READ_BODY && connection.asked.scheme === 'http') connection.own ??= takeBig();
  }

  /** A length-framed body that is here with its head leaves with it, in one write. */
  private sendHeadAndBody(buffer: Buffer, n: number, up: Upstream, headLength: number): void {
    const { end } = this.connection.scanner;
    const view = room(headLength + n - end);
    up.out.copy(view, 0, 0, headLength);
    buffer.copy(view, headLength, end, n);
    up.outLength = headLength;
    const done = this.body.take(buffer, end, n) === true;
    this.mirror?.take(buffer, this.body.from, this.body.to);
    const taken = up.sendBody(view);
    if (!taken) keepRoom(view.length);
    if (done) this.endBody();
    if (!taken) this.connection.pause();
  }

  /** Body bytes have been read; what follows the body is kept for later. @returns false if no more should be read now */
  readBody(buffer: Buffer, start: number, n: number): boolean {
    const { connection, body, up } = this;
    if (up === null) return false;
    connection.deadline = clock.now + this.idleTimeoutMs();
    const done = body.take(buffer, start, n);
    if (done === undefined) return this.failBody('OO_BAD_FRAMING');
    if (body.bytes > (this.route?.route.maxBodyBytes ?? Number.POSITIVE_INFINITY))
      return this.failBody('OO_BODY_TOO_LARGE');
    if (body.next < n) connection.keepForLater(buffer, body.next, n);
    this.mirror?.take(buffer, body.from, body.to);
    let taken = this.sendToUpstream(up, buffer, body.from, body.to);
    if (body.tail !== null) {
      const tail = Buffer.from(body.tail);
      if (up.framesItself) up.sendTrailers(tail);
      else taken = this.sendToUpstream(up, tail, 0, tail.length) && taken;
    }
    if (done) this.endBody();
    if (!taken) connection.pause();
    return taken;
  }

  private failBody(code: FailureCode): false {
    this.failRequest(code);
    return false;
  }

  private endBody(): void {
    const { connection, up } = this;
    connection.state = WAIT;
    connection.deadline = 0;
    if (connection.own !== null && up?.isDrained()) returnBig(connection.own);
    connection.own = null;
    up?.requestSent();
    this.mirror?.end();
  }

  isTooSlow(now: number): boolean {
    return this.body.pace.isTooSlow(now, this.body.bytes);
  }

  /** The response has begun, and not all of it has come. */
  isHalfAnswered(): boolean {
    return this.answered && this.up !== null;
  }

  isRequestComplete(): boolean {
    return this.connection.state !== READ_BODY;
  }

  onUpstreamDrain(): void {
    this.unsent = null;
    this.connection.resume();
  }

  // ---- the response

  /** HTTP/1.0 knows no chunks: they are decoded, and the body ends with the connection. */
  wantsDecoded(): boolean {
    return this.minor === 0;
  }

  wantsMuch(): boolean {
    return true;
  }

  isWritePending(): boolean {
    return this.connection.isWritePending();
  }

  onInterim(buffer: Buffer, start: number, head: ResponseRegisters): void {
    if (this.minor === 0 || (head.status === 100 && !this.expecting)) return;
    const from = leaveOut(buffer, start, head.end, head.cuts, head.cutCount);
    this.connection.write(Buffer.from(buffer.subarray(from, head.end)));
  }

  onResponse(buffer: Buffer, start: number, head: ResponseRegisters, closeDelimited: boolean): void {
    const { connection } = this;
    this.answered = true;
    this.status = head.status;
    this.sentBytes = 0;
    const decoded = this.minor === 0 && head.chunked;
    if (decoded) head.cutAlso(head.codingLineStart, head.codingLineEnd);
    if (closeDelimited || decoded || connection.edge.draining || this.mayStayUnfinished(head.status))
      connection.keep = false;
    const from = leaveOut(buffer, start, head.end, head.cuts, head.cutCount);
    // RFC 9112 §2.3: the version is ours, whatever the upstream speaks.
    buffer[from + 7] = 49;
    const lines = this.responseLines();
    if (lines !== noLines) return this.holdChanged(withLines(buffer, from, head.end, lines));
    if (connection.keep && this.minor === 1) this.head.hold(from, head.end);
    else this.holdChanged(buffer.subarray(from, head.end));
  }

  /** Holds a copy of the head, with the Connection that it needs. */
  private holdChanged(head: Buffer): void {
    const { keep } = this.connection;
    const line = !keep ? 'Connection: close\r\n' : this.minor === 0 ? 'Connection: keep-alive\r\n' : '';
    this.head.holdCopy(Buffer.concat([head.subarray(0, -2), Buffer.from(`${line}\r\n`)]));
  }

  /** A client that still sends its body may never finish it once it has read a refusal. */
  private mayStayUnfinished(status: number): boolean {
    return !this.isRequestComplete() && (status >= 400 || (this.expecting && this.body.bytes === 0));
  }

  onBody(buffer: Buffer, from: number, to: number): void {
    this.sentBytes += to - from;
    const view = this.head.join(this.up as Upstream, buffer, from, to);
    if (view !== null) this.connection.write(view);
  }

  onBodyTail(tail: Uint8Array): void {
    this.connection.write(Buffer.from(tail));
  }

  /** HTTP/1.0 has none. */
  onTrailers(): void {}

  onResponseEnd(): void {
    this.up = null;
    this.unsent = null;
    this.end();
  }

  protected override onEnd(): void {
    this.ended = true;
    this.connection.onExchangeEnd();
  }

  // ---- tunnels

  onSwitch(buffer: Buffer, start: number, { end, upgradeStart, upgradeEnd, cuts, cutCount }: ResponseRegisters): void {
    const { connection } = this;
    const upgrade = buffer.toString('latin1', upgradeStart, upgradeEnd);
    const from = leaveOut(buffer, start, end, cuts, cutCount);
    const head = buffer.toString('latin1', from, end - 2);
    this.answered = true;
    this.status = 101;
    connection.state = TUNNEL;
    connection.keep = false;
    connection.write(Buffer.from(`${head}Connection: upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`, 'latin1'));
    const early = connection.takeStash();
    connection.resume();
    if (early !== null) this.forwardTunnel(early, 0, early.length);
  }

  forwardTunnel(buffer: Buffer, from: number, to: number): void {
    if (this.up !== null && !this.sendToUpstream(this.up, buffer, from, to)) this.connection.pause();
  }

  onTunnelBytes(buffer: Buffer, from: number, to: number): void {
    this.sentBytes += to - from;
    this.connection.write((this.up as Upstream).view(buffer, from, to));
  }

  onTunnelEnd(): void {
    const { connection } = this;
    if (connection.socket.readableEnded) connection.close();
    else connection.socket.end();
  }

  protected override endTunnel(): boolean {
    if (this.connection.state !== TUNNEL) return false;
    this.connection.close();
    return true;
  }

  // ---- answers of our own

  /** Answers a request whose head was not understood, or not received. */
  refuseUnread(code: FailureCode): void {
    this.reset();
    this.ended = false;
    this.isHead = false;
    this.refuse(code);
  }

  /** The body of a request that is not forwarded is not read: what follows it on this connection is never parsed. */
  private passBody(buffer: Buffer, n: number, bodied: boolean): void {
    const { connection } = this;
    const { end } = connection.scanner;
    if (bodied) connection.keep = false;
    else if (end < n) connection.keepForLater(buffer, end, n);
  }

  protected override sendReply(reply: Reply): number {
    const { connection } = this;
    if (connection.edge.draining || connection.state === READ_BODY) connection.keep = false;
    const head = replyHead(reply, connection.keep);
    const bytes = this.isHead || reply.body === null ? head : Buffer.concat([head, Buffer.from(reply.body)]);
    connection.write(bytes);
    return bytes.length;
  }

  protected override cut(): void {
    this.connection.abort();
  }

  override failRequest(code: FailureCode): void {
    this.connection.keep = false;
    super.failRequest(code);
  }

  protected override takeHeadBack(): boolean {
    const { head } = this;
    if (!head.isHeld()) return false;
    head.drop();
    return true;
  }
}
