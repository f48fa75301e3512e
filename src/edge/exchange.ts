import { randomUUID } from 'node:crypto';
import { pickInstance } from '../core/balance.ts';
import { decidePath } from '../core/decide.ts';
import { type FailureCode, failures } from '../core/failure.ts';
import { mayRetry } from '../core/retry.ts';
import type { CompiledRoute } from '../core/types.ts';
import { leaveOut } from '../http1/lines.ts';
import { FORM_ABSOLUTE, FORM_ASTERISK, METHOD_HEAD } from '../http1/scan.ts';
import { type ClientConnection, READ_BODY, TUNNEL, WAIT } from './client.ts';
import { clock } from './clock.ts';
import type { Downstream, ResponseRegisters, Upstream } from './downstream.ts';
import { HeldHead } from './held-head.ts';
import type { Instance } from './instance.ts';
import { keepRoom, landing, returnBig, room, takeBig } from './memory.ts';
import { failureResponse, optionsResponse } from './reply.ts';
import { RequestBody } from './request-body.ts';
import { requestHeadBound, writeRequestHead } from './request-head.ts';
import { acceptText, describe, pathText } from './request-text.ts';

/** A request that can't be repeated goes to a connection that rested for less than this, or to a new one. */
const freshEnoughMs = 1_000;
const untried: readonly Instance[] = [];

/**
 * One request of an HTTP/1.1 client and its response: decides, picks, forwards both ways, repeats or answers where that
 * fails. There is one object a connection, used again for each request.
 */
export class Exchange implements Downstream {
  route: CompiledRoute | null = null;
  isHead = false;
  readonly trailersWelcome = false;
  readonly neverIndexed = false;
  up: Upstream | null = null;
  readonly body: RequestBody;
  /** The last request has been answered, and nothing of the next one has come. */
  ended = false;
  private readonly connection: ClientConnection;
  // The request.
  private minor = 1;
  private idempotent = false;
  private upgrading = false;
  private expecting = false;
  private replayable = true;
  private attempt = 0;
  /** The first body bytes, until an upstream connection has opened and taken them. */
  private unsent: Buffer | null = null;
  // The response. Its head is held back to leave with the first body bytes, in one write.
  private answered = false;
  private readonly head = new HeldHead();
  private status = 0;
  private sentBytes = 0;
  private startedAt = 0;
  private logLine = '';
  private unlogged = false;

  constructor(connection: ClientConnection) {
    this.connection = connection;
    this.body = new RequestBody(connection.edge.settings.minBodyRate);
  }

  private reset(): void {
    this.ended = false;
    this.answered = false;
    this.route = null;
    this.attempt = 0;
    this.unsent = null;
    this.logLine = '';
    this.status = 0;
    this.sentBytes = 0;
    this.unlogged = true;
    if (this.connection.edge.accessLog !== null) this.startedAt = performance.now();
  }

  // ---- the request

  /** Takes up the request whose head is in the scanner. */
  begin(buffer: Buffer, n: number): void {
    this.reset();
    const { connection } = this;
    const { scanner, edge } = connection;
    const bodied = scanner.chunked || scanner.contentLength > 0;
    this.isHead = scanner.method === METHOD_HEAD;
    this.minor = scanner.minor;
    if (edge.accessLog !== null) this.logLine = describe(buffer, scanner);
    if (scanner.form === FORM_ASTERISK) return this.answerOptions(buffer, n, bodied);
    connection.asked.resolve(buffer, scanner);
    const route = this.decide(buffer);
    if (typeof route === 'string') return this.refuseScanned(buffer, n, route, bodied);
    this.route = route;
    const limit = route.route.maxBodyBytes;
    if (limit !== undefined && scanner.contentLength > limit)
      return this.refuseScanned(buffer, n, 'OO_BODY_TOO_LARGE', bodied);
    this.idempotent = scanner.idempotent;
    this.upgrading = scanner.upgradeEnd > 0;
    this.expecting = scanner.expectContinue;
    this.replayable = !bodied;
    const instance = pickInstance(edge.poolFor(route), untried, Math.random);
    const fresh = (!this.idempotent || bodied) && !instance?.restedLessThan(freshEnoughMs, clock.now);
    const up = instance?.acquire(route, fresh);
    if (up === undefined) return this.refuseScanned(buffer, n, 'OO_NO_INSTANCE', bodied);
    this.forward(buffer, n, route, up, bodied);
  }

  private decide(buffer: Buffer): CompiledRoute | FailureCode {
    const { asked, scanner } = this.connection;
    const { hosts } = asked;
    if (hosts === undefined) return scanner.authorityEnd === 0 ? 'OO_NO_ROUTE' : 'OO_BAD_HOST';
    if (asked.misdirected || asked.isOtherScheme(scanner.absoluteTls, scanner.form === FORM_ABSOLUTE))
      return 'OO_MISDIRECTED';
    if (scanner.plainPath && hosts.single !== undefined) return hosts.single;
    const decision = decidePath(hosts, pathText(buffer, scanner), scanner.plainPath);
    return decision.kind === 'reply' ? decision.code : decision.route;
  }

  private forward(buffer: Buffer, n: number, route: CompiledRoute, up: Upstream, bodied: boolean): void {
    const { connection } = this;
    const { scanner } = connection;
    const lines = scanner.captureCount > 0 ? connection.asked.priorLines(buffer, scanner) : connection.asked.lines;
    const out = up.headRoom(requestHeadBound(scanner, route, lines));
    const length = writeRequestHead(out, buffer, scanner, route, lines);
    this.up = up;
    up.begin(this);
    if (bodied) return this.beginBody(buffer, n, up, length);
    connection.state = WAIT;
    if (scanner.end < n) connection.keepForLater(buffer, scanner.end, n);
    up.sendHead(length);
    up.requestSent();
  }

  private beginBody(buffer: Buffer, n: number, up: Upstream, headLength: number): void {
    const { connection } = this;
    const { end } = connection.scanner;
    connection.state = READ_BODY;
    this.body.begin(connection.scanner);
    connection.deadline = clock.now + this.idleTimeoutMs();
    if (end < n && up.connected && this.body.covers(n - end)) this.sendHeadAndBody(buffer, n, up, headLength);
    else {
      up.sendHead(headLength);
      if (end < n) this.readBody(buffer, end, n);
    }
    if (connection.state === READ_BODY) connection.own ??= takeBig();
  }

  /** A length-framed body that is here with its head leaves with it, in one write. */
  private sendHeadAndBody(buffer: Buffer, n: number, up: Upstream, headLength: number): void {
    const { end } = this.connection.scanner;
    const view = room(headLength + n - end);
    up.out.copy(view, 0, 0, headLength);
    buffer.copy(view, headLength, end, n);
    up.outLength = headLength;
    const done = this.body.take(buffer, end, n) === true;
    const taken = up.sendBody(view);
    if (!taken) keepRoom(view.length);
    if (done) this.endBody();
    if (!taken) this.connection.pause();
  }

  /** Body bytes have been read; what follows the body is kept for later. */
  readBody(buffer: Buffer, start: number, n: number): void {
    const { connection, body, up } = this;
    if (up === null) return;
    connection.deadline = clock.now + this.idleTimeoutMs();
    const done = body.take(buffer, start, n);
    if (done === undefined) return this.failRequest('OO_BAD_FRAMING');
    if (body.bytes > (this.route?.route.maxBodyBytes ?? Number.POSITIVE_INFINITY))
      return this.failRequest('OO_BODY_TOO_LARGE');
    if (body.next < n) connection.keepForLater(buffer, body.next, n);
    let taken = this.sendToUpstream(up, buffer, body.from, body.to);
    if (body.tail !== null) {
      const tail = Buffer.from(body.tail);
      taken = this.sendToUpstream(up, tail, 0, tail.length) && taken;
    }
    if (done) this.endBody();
    if (!taken) connection.pause();
  }

  /** Returns false if the bytes are still pending. */
  private sendToUpstream(up: Upstream, buffer: Buffer, from: number, to: number): boolean {
    if (from === to) return true;
    if (!up.connected) {
      const copy = Buffer.from(buffer.subarray(from, to));
      this.unsent = this.unsent === null ? copy : Buffer.concat([this.unsent, copy]);
      return up.sendBody(copy);
    }
    this.unsent = null;
    if (buffer !== landing) return up.sendBody(buffer.subarray(from, to));
    const view = room(to - from);
    buffer.copy(view, 0, from, to);
    const taken = up.sendBody(view);
    if (!taken) keepRoom(view.length);
    return taken;
  }

  private endBody(): void {
    const { connection, up } = this;
    connection.state = WAIT;
    connection.deadline = 0;
    if (connection.own !== null && up !== null && up.isDrained()) returnBig(connection.own);
    connection.own = null;
    up?.requestSent();
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

  wantsUpgrade(): boolean {
    return this.upgrading;
  }

  /** HTTP/1.0 knows no chunks: they are decoded, and the body ends with the connection. */
  wantsDecoded(): boolean {
    return this.minor === 0;
  }

  isWritePending(): boolean {
    return this.connection.isWritePending();
  }

  wantsMuch(): boolean {
    return true;
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
    if (connection.keep && this.minor === 1) {
      this.head.hold(from, head.end);
    } else {
      const line = connection.keep ? 'Connection: keep-alive\r\n\r\n' : 'Connection: close\r\n\r\n';
      this.head.holdCopy(Buffer.concat([buffer.subarray(from, head.end - 2), Buffer.from(line)]));
    }
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

  private end(): void {
    this.ended = true;
    this.log();
    this.connection.onExchangeEnd();
  }

  private log(): void {
    const { edge, peer } = this.connection;
    if (!this.unlogged || edge.accessLog === null) return;
    this.unlogged = false;
    edge.logAccess(this.logLine, this.route, this.status, this.sentBytes, peer, this.startedAt);
  }

  /** The client's connection ends, whatever this does: a tunnel over, a response cut, a client gone (499, as with nginx). */
  abandon(): void {
    if (!this.answered) this.status = 499;
    this.log();
    this.drop();
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

  // ---- answers of our own

  /** Answers a request whose head was not understood, or not received. */
  refuseUnread(code: FailureCode): void {
    this.reset();
    this.isHead = false;
    this.refuse(code);
  }

  private refuseScanned(buffer: Buffer, n: number, code: FailureCode, bodied: boolean): void {
    const { connection } = this;
    const { scanner } = connection;
    this.passBody(buffer, n, bodied);
    const accept = buffer.toString('latin1', scanner.acceptStart, scanner.acceptEnd);
    const host = buffer.toString('latin1', scanner.authorityStart, scanner.authorityEnd);
    this.refuse(code, { accept, host, path: pathText(buffer, scanner) });
  }

  private answerOptions(buffer: Buffer, n: number, bodied: boolean): void {
    this.passBody(buffer, n, bodied);
    this.status = 204;
    this.connection.write(optionsResponse(this.connection.keep));
    this.end();
  }

  /** The body of a request that is not forwarded is not read: what follows it on this connection is never parsed. */
  private passBody(buffer: Buffer, n: number, bodied: boolean): void {
    const { connection } = this;
    const { end } = connection.scanner;
    if (bodied) connection.keep = false;
    else if (end < n) connection.keepForLater(buffer, end, n);
  }

  private refuse(code: FailureCode, { accept = '', host = '', path = '', cause = '' } = {}): void {
    const { connection } = this;
    const { edge, peer } = connection;
    const requestId = randomUUID();
    const { status } = failures[code];
    if (edge.draining || connection.state === READ_BODY) connection.keep = false;
    this.status = status;
    this.answered = true;
    const failed = { accept, requestId, host, path };
    const response = failureResponse(code, failed, this.isHead, connection.keep);
    this.sentBytes = response.length;
    if (status >= 500) edge.reportFailure(code, requestId, this.route, cause, peer);
    connection.write(response);
    this.end();
  }

  /** The request has turned out wrong, or too slow, while its body was under way. */
  failRequest(code: FailureCode): void {
    const accept = this.up === null ? '' : acceptText(this.up.sentHead());
    this.drop();
    if (this.answered) return this.connection.abort();
    this.connection.keep = false;
    this.refuse(code, { accept });
  }

  onUpstreamFailed(up: Upstream, code: FailureCode, responseStarted: boolean): void {
    if (this.up !== up) return;
    const { connection } = this;
    this.up = null;
    if (connection.state === TUNNEL) return connection.close();
    // A head that has not left yet can still be taken back.
    if (responseStarted && !this.head.isHeld()) {
      connection.edge.reportFailure(code, '', this.route, `${up.cause}; the response was cut`, connection.peer);
      return connection.abort();
    }
    this.head.drop();
    if (!responseStarted && this.repeat(up, code)) return;
    this.refuse(code, { accept: acceptText(up.sentHead()), cause: up.cause });
  }

  /** Sends the request again over a new connection, if that is safe. */
  private repeat(failed: Upstream, code: FailureCode): boolean {
    const { route, idempotent } = this;
    if (code !== 'OO_CONNECT_FAILED' && code !== 'OO_UPSTREAM_CLOSED') return false;
    const sentBytes = failed.connected;
    const replayable = this.replayable || !sentBytes;
    const { reused } = failed;
    const responseStarted = failed.hasHeard();
    const attempt = ++this.attempt;
    if (!mayRetry({ attempt, sentBytes, reused, idempotent, replayable, responseStarted })) return false;
    if (route === null) return false;
    const pool = this.connection.edge.poolFor(route);
    const up = pickInstance(pool, [failed.instance], Math.random)?.acquire(route, true);
    if (up === undefined) return false;
    const length = failed.outLength;
    failed.out.copy(up.headRoom(length), 0, 0, length);
    this.up = up;
    up.begin(this);
    up.sendHead(length);
    if (this.unsent !== null) up.sendBody(this.unsent);
    return true;
  }

  /** Leaves the upstream, whatever it is doing. */
  drop(): void {
    const { up } = this;
    this.up = null;
    this.unsent = null;
    up?.destroy();
  }

  idleTimeoutMs(): number {
    return this.route?.route.idleTimeoutMs ?? this.connection.edge.settings.idleTimeoutMs;
  }
}
