import { randomUUID } from 'node:crypto';
import type net from 'node:net';
import { decidePath } from '../core/decide.ts';
import { type FailureCode, failures } from '../core/failure.ts';
import { mayRetry } from '../core/retry.ts';
import { findHosts, type HostMatch, type RouteTable } from '../core/table.ts';
import type { CompiledRoute } from '../core/types.ts';
import { BAD_BODY, ChunkedBody } from '../http1/chunked.ts';
import { leaveOut } from '../http1/lines.ts';
import { BAD, FORM_ASTERISK, METHOD_HEAD, MORE, type RequestScanner } from '../http1/scan.ts';
import { clock } from './clock.ts';
import { withCut } from './cuts.ts';
import type { Edge } from './edge.ts';
import { keepRoom, landing, nextBuffer, returnBig, room, takeBig } from './memory.ts';
import { failureResponse, optionsResponse } from './reply.ts';
import { requestHeadBound, writeRequestHead } from './request-head.ts';
import { lingerMs, maxStashBytes } from './settings.ts';
import type { UpstreamConnection } from './upstream.ts';

/** What the bytes are that the client sends next. */
const READ_HEAD = 0;
const READ_BODY = 1;
/** The request is complete, its response is not. */
const WAIT = 2;
const TUNNEL = 3;
/** A last answer is out: what still comes is thrown away, so that the client gets to read it. */
const LINGER = 4;
const CLOSED = 5;

const slowBodyGraceMs = 30_000;
/** A request that can't be repeated goes to a connection that rested for less than this, or to a new one. */
const freshEnoughMs = 1_000;
const empty: Buffer = Buffer.alloc(0);
const spareCuts = new Int32Array(4 * 1024);

export type ClientSocket = net.Socket & { owner: ClientConnection };

/**
 * One HTTP/1.1 client connection: reads requests one after another, forwards each over an upstream connection, and
 * writes the responses in order. Pipelined requests wait, unread, until the one before is answered.
 */
export class ClientConnection {
  route: CompiledRoute | null = null;
  isHead = false;
  private readonly edge: Edge;
  private readonly socket: net.Socket;
  private readonly peer: string;
  private readonly localPort: number;
  private readonly trusted: boolean;
  private readonly scanner: RequestScanner;
  private state = READ_HEAD;
  private deadline: number;
  private up: UpstreamConnection | null = null;
  /** Bytes that were read too early: a partial head, or the next requests. */
  private stash: Buffer | null = null;
  /** A body is read into a buffer of its own, so that it can be written without a copy. */
  private own: Buffer | null = null;
  private parsing = false;
  private paused = false;
  private writePending = false;
  private keep = true;
  private minor = 1;
  // What the last request resolved to: the next one on this connection mostly has the same host.
  private table: RouteTable | null = null;
  private authority = '';
  private hosts: HostMatch | undefined;
  private lines: Buffer = empty;
  // The request in progress.
  private idempotent = false;
  private upgrading = false;
  private expecting = false;
  private answered = false;
  private attempt = 0;
  private accept = '';
  private bodyLeft = 0;
  private chunks: ChunkedBody | null = null;
  private bodyBytes = 0;
  private bodySince = 0;
  private pausedAt = 0;
  /** The first body bytes, until an upstream connection has opened and taken them. */
  private unsent: Buffer | null = null;
  private replayable = true;
  // The response in progress: the head is held back to leave with the first body bytes, in one write.
  private headFrom = -1;
  private headTo = 0;
  private headCopy: Buffer | null = null;
  private status = 0;
  private sentBytes = 0;
  private startedAt = 0;
  private logLine = '';

  constructor(edge: Edge, socket: net.Socket, peer: string, localPort: number) {
    this.edge = edge;
    this.socket = socket;
    this.peer = peer.startsWith('::ffff:') ? peer.slice(7) : peer;
    this.localPort = localPort;
    this.trusted = edge.isTrusted(this.peer);
    this.scanner = this.trusted ? edge.trustedScanner : edge.scanner;
    this.deadline = clock.now + edge.settings.headTimeoutMs;
    (socket as ClientSocket).owner = this;
    socket.on('end', onEnd);
    socket.on('error', onGone);
    socket.on('close', onGone);
    edge.clients.add(this);
  }

  // ---- reading

  read(buffer: Buffer, n: number): void {
    switch (this.state) {
      case READ_HEAD:
        this.readHead(buffer, n);
        break;
      case READ_BODY:
        this.readBody(buffer, 0, n);
        break;
      case WAIT:
        this.keepForLater(buffer, 0, n);
        break;
      case TUNNEL:
        this.forwardTunnel(buffer, 0, n);
        break;
    }
    nextBuffer.value = this.own ?? landing;
  }

  private readHead(buffer: Buffer, n: number): void {
    if (this.stash !== null) {
      // Only a new line can complete a head or break a rule about lines: a head sent byte by byte costs no rescans.
      const scan = buffer.subarray(0, n).includes(10) || this.stash.length + n > this.edge.settings.maxHeadBytes;
      this.stash = Buffer.concat([this.stash, buffer.subarray(0, n)]);
      if (scan) this.parseStash();
      return;
    }
    this.parsing = true;
    this.parse(buffer, n);
    this.parsing = false;
    if (this.stash !== null && this.state === READ_HEAD && this.answered) this.parseStash();
  }

  /** Takes up what waits in the stash: one request after another, as long as each is answered at once. */
  private parseStash(): void {
    if (this.parsing || this.writePending) return;
    this.parsing = true;
    while (this.stash !== null && this.state === READ_HEAD && !this.writePending) {
      const stash: Buffer = this.stash;
      this.stash = null;
      if (!this.parse(stash, stash.length)) break;
    }
    this.parsing = false;
    if (this.stash === null || this.stash.length < maxStashBytes) this.resume();
  }

  /** Parses one request from `buffer[0, n)`. Returns false when it is not complete yet; it is stashed then. */
  private parse(buffer: Buffer, n: number): boolean {
    const { scanner, edge } = this;
    const result = scanner.scan(buffer, 0, n);
    if (result === MORE) {
      if (this.answered || this.deadline === 0) this.deadline = clock.now + edge.settings.headTimeoutMs;
      this.answered = false;
      this.stash = Buffer.from(buffer.subarray(0, n));
      return false;
    }
    this.answered = false;
    this.up = null;
    this.route = null;
    this.attempt = 0;
    this.isHead = scanner.method === METHOD_HEAD;
    this.accept = '';
    if (edge.accessLog !== null) this.startedAt = performance.now();
    if (result === BAD) {
      this.keep = false;
      this.isHead = false;
      this.refuse(scanner.fault);
      return true;
    }
    this.keep = scanner.keepAlive && !edge.draining;
    this.minor = scanner.minor;
    this.forward(buffer, n);
    return true;
  }

  private forward(buffer: Buffer, n: number): void {
    const { scanner, edge } = this;
    const bodied = scanner.chunked || scanner.contentLength > 0;
    if (scanner.form === FORM_ASTERISK) return this.answerOptions(buffer, n, bodied);
    const table = edge.table;
    if (table !== this.table || !this.sameAuthority(buffer)) this.resolveHost(buffer, table);
    if (this.hosts === undefined) return this.refuseAt(buffer, n, 'OO_NO_ROUTE', bodied);
    let route = scanner.plainPath ? this.hosts.single : undefined;
    if (route === undefined) {
      const decision = decidePath(this.hosts, pathText(buffer, scanner), scanner.plainPath);
      if (decision.kind === 'reply') return this.refuseAt(buffer, n, decision.code, bodied);
      route = decision.route;
    }
    this.route = route;
    const limit = route.route.maxBodyBytes;
    if (limit !== undefined && scanner.contentLength > limit)
      return this.refuseAt(buffer, n, 'OO_BODY_TOO_LARGE', bodied);
    this.idempotent = scanner.idempotent;
    this.upgrading = scanner.upgradeEnd > 0;
    this.expecting = scanner.expectContinue;
    this.replayable = !bodied;
    if (scanner.acceptEnd > 0) this.accept = buffer.toString('latin1', scanner.acceptStart, scanner.acceptEnd);
    if (edge.accessLog !== null) this.logLine = describe(buffer, scanner);
    const instance = edge.instanceFor(route);
    const fresh = (!this.idempotent || bodied) && !instance.restedLessThan(freshEnoughMs, clock.now);
    const up = instance.acquire(route, fresh);
    if (up === undefined) return this.refuseAt(buffer, n, 'OO_NO_INSTANCE', bodied);
    const lines =
      scanner.captureCount > 0
        ? edge.priorLines(this.peer, 'http', this.authority, this.localPort, buffer)
        : this.lines;
    const out = up.headRoom(requestHeadBound(scanner, route, lines));
    const length = writeRequestHead(out, buffer, scanner, route, lines);
    this.up = up;
    up.begin(this);
    if (!bodied) {
      this.state = WAIT;
      this.deadline = 0;
      if (scanner.end < n) this.keepForLater(buffer, scanner.end, n);
      up.sendHead(length);
      up.requestSent();
    } else {
      this.beginBody(buffer, n, up, length);
    }
  }

  private sameAuthority(buffer: Buffer): boolean {
    const { authority, scanner } = this;
    const start = scanner.authorityStart;
    if (scanner.authorityEnd - start !== authority.length) return false;
    for (let i = 0; i < authority.length; i++) if (buffer[start + i] !== authority.charCodeAt(i)) return false;
    return true;
  }

  private resolveHost(buffer: Buffer, table: RouteTable): void {
    this.authority = buffer.toString('latin1', this.scanner.authorityStart, this.scanner.authorityEnd);
    this.table = table;
    this.hosts = findHosts(table, 'http', this.authority);
    this.lines = this.edge.forwardedLines(this.peer, 'http', this.authority, this.localPort);
  }

  // ---- the request's body

  private beginBody(buffer: Buffer, n: number, up: UpstreamConnection, headLength: number): void {
    const { scanner } = this;
    this.state = READ_BODY;
    this.bodyLeft = scanner.chunked ? -1 : scanner.contentLength;
    if (scanner.chunked) {
      this.chunks ??= new ChunkedBody(false);
      this.chunks.reset(false);
    }
    this.bodyBytes = 0;
    this.bodySince = clock.now;
    this.deadline = clock.now + this.idleTimeoutMs();
    if (this.own === null) this.own = takeBig();
    const { end } = scanner;
    if (end < n && up.connected && this.bodyLeft >= n - end) return this.sendHeadAndBody(buffer, n, up, headLength);
    up.sendHead(headLength);
    if (end < n) this.readBody(buffer, end, n);
  }

  /** A length-framed body that is here with its head leaves with it, in one write. */
  private sendHeadAndBody(buffer: Buffer, n: number, up: UpstreamConnection, headLength: number): void {
    const { end } = this.scanner;
    const view = room(headLength + n - end);
    up.out.copy(view, 0, 0, headLength);
    buffer.copy(view, headLength, end, n);
    this.bodyLeft -= n - end;
    this.bodyBytes += n - end;
    if (this.bodyLeft === 0) this.endBody();
    if (!up.sendBody(view)) {
      keepRoom(view.length);
      this.pause();
    }
  }

  private readBody(buffer: Buffer, start: number, n: number): void {
    const up = this.up;
    if (up === null) return;
    this.deadline = clock.now + this.idleTimeoutMs();
    let from = start;
    let to = n;
    let next = n;
    let done = false;
    if (this.bodyLeft >= 0) {
      to = next = Math.min(n, start + this.bodyLeft);
      this.bodyLeft -= to - start;
      this.bodyBytes += to - start;
      done = this.bodyLeft === 0;
    } else {
      const chunks = this.chunks as ChunkedBody;
      const result = chunks.feed(buffer, start, n);
      if (result === BAD_BODY) return this.failRequest('OO_BAD_FRAMING');
      ({ from, to } = chunks);
      this.bodyBytes = chunks.payload;
      done = result >= 0;
      if (done) next = result;
      const limit = this.route?.route.maxBodyBytes;
      if (limit !== undefined && chunks.payload > limit) return this.failRequest('OO_BODY_TOO_LARGE');
    }
    const tail = done && this.bodyLeft < 0 ? (this.chunks as ChunkedBody).tail : null;
    if (next < n) this.keepForLater(buffer, next, n);
    const taken = this.sendToUpstream(up, buffer, from, to);
    const tailTaken = tail === null || up.sendBody(Buffer.from(tail));
    if (done) this.endBody();
    if (!taken || !tailTaken) this.pause();
  }

  private sendToUpstream(up: UpstreamConnection, buffer: Buffer, from: number, to: number): boolean {
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
    this.state = WAIT;
    this.deadline = 0;
    const { up } = this;
    this.releaseOwn(up !== null && up.socket.writableLength > 0);
    up?.requestSent();
  }

  private releaseOwn(pending: boolean): void {
    if (this.own !== null && !pending) returnBig(this.own);
    this.own = null;
  }

  requestComplete(): boolean {
    return this.state !== READ_BODY;
  }

  /** The upstream has taken all that was pending. */
  onUpstreamDrain(): void {
    this.unsent = null;
    if (this.stash === null || this.stash.length < maxStashBytes) this.resume();
  }

  private keepForLater(buffer: Buffer, start: number, n: number): void {
    const rest = buffer.subarray(start, n);
    this.stash = this.stash === null ? Buffer.from(rest) : Buffer.concat([this.stash, rest]);
    if (this.stash.length >= maxStashBytes) this.pause();
  }

  private pause(): void {
    if (this.paused || this.state >= LINGER) return;
    this.paused = true;
    this.pausedAt = clock.now;
    this.deadline = 0;
    this.socket.pause();
  }

  private resume(): void {
    if (!this.paused || this.state === CLOSED) return;
    this.paused = false;
    this.bodySince += clock.now - this.pausedAt;
    if (this.state === READ_BODY) this.deadline = clock.now + this.idleTimeoutMs();
    this.socket.resume();
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
    return this.writePending;
  }

  /** An interim response, in the upstream's scanner: passed on, but 100 only to who expects it. */
  onInterim(buffer: Buffer, start: number): void {
    const scanner = this.edge.responseScanner;
    if (this.minor === 0 || (scanner.status === 100 && !this.expecting)) return;
    const from = leaveOut(buffer, start, scanner.end, scanner.cuts, scanner.cutCount);
    this.send(Buffer.from(buffer.subarray(from, scanner.end)));
  }

  onResponse(buffer: Buffer, start: number, closeDelimited: boolean): void {
    const scanner = this.edge.responseScanner;
    this.answered = true;
    this.status = scanner.status;
    this.sentBytes = 0;
    let { cuts, cutCount } = scanner;
    if (this.minor === 0 && scanner.chunked) {
      cutCount = withCut(spareCuts, cuts, cutCount, scanner.codingLineStart, scanner.codingLineEnd);
      cuts = spareCuts;
      closeDelimited = true;
    }
    // A client that still sends its body may never finish it once it has read a refusal.
    const unfinished = this.state === READ_BODY && (scanner.status >= 400 || (this.expecting && this.bodyBytes === 0));
    if (closeDelimited || unfinished || this.edge.draining) this.keep = false;
    const from = cutCount === 0 ? start : leaveOut(buffer, start, scanner.end, cuts, cutCount);
    if (this.keep && this.minor === 1) {
      this.headFrom = from;
      this.headTo = scanner.end;
    } else {
      const line = this.keep ? 'Connection: keep-alive\r\n\r\n' : 'Connection: close\r\n\r\n';
      this.headCopy = Buffer.concat([buffer.subarray(from, scanner.end - 2), Buffer.from(line)]);
    }
  }

  /** Body bytes, framing included; also called with none, to let the head go. */
  onBody(buffer: Buffer, from: number, to: number): void {
    this.sentBytes += to - from;
    if (this.headFrom >= 0) {
      if (to === from) {
        from = this.headFrom;
        to = this.headTo;
      } else if (from === this.headTo) {
        from = this.headFrom;
      } else {
        this.headCopy = buffer.subarray(this.headFrom, this.headTo);
      }
      this.headFrom = -1;
    }
    if (this.headCopy !== null) {
      const head = this.headCopy;
      this.headCopy = null;
      return this.send(to > from ? Buffer.concat([head, buffer.subarray(from, to)]) : head);
    }
    if (to > from) this.send((this.up as UpstreamConnection).view(buffer, from, to));
  }

  /** What ends a chunked body whose trailers were held back. */
  onBodyTail(tail: Uint8Array): void {
    this.send(Buffer.from(tail));
  }

  onResponseEnd(): void {
    this.up = null;
    this.unsent = null;
    this.finish();
  }

  /** Ends an exchange whose answer has been written. */
  private finish(): void {
    this.answered = true;
    if (this.edge.accessLog !== null)
      this.edge.logAccess(this.logLine, this.route, this.status, this.sentBytes, this.peer, this.startedAt);
    if (this.state === READ_BODY || !this.keep) return this.linger();
    this.state = READ_HEAD;
    this.deadline = clock.now + this.edge.settings.keepAliveTimeoutMs;
    if (this.stash !== null) this.parseStash();
    else this.resume();
  }

  private send(view: Buffer): void {
    this.socket.write(view);
    if (this.socket.writableLength !== 0) this.awaitWrite();
  }

  private awaitWrite(): void {
    this.up?.pause();
    if (this.writePending) return;
    this.writePending = true;
    this.socket.setTimeout(this.idleTimeoutMs(), onStall);
    this.socket.write(empty, () => {
      this.writePending = false;
      if (this.state === CLOSED) return;
      if (this.socket.writableLength !== 0) return this.awaitWrite();
      this.socket.setTimeout(0);
      if (this.up !== null) this.up.resume();
      else if (this.state === READ_HEAD) this.parseStash();
    });
  }

  // ---- tunnels

  onSwitch(buffer: Buffer, start: number, end: number): void {
    const scanner = this.edge.responseScanner;
    const upgrade = buffer.toString('latin1', scanner.upgradeStart, scanner.upgradeEnd);
    const from = leaveOut(buffer, start, end, scanner.cuts, scanner.cutCount);
    const head = buffer.toString('latin1', from, end - 2);
    this.answered = true;
    this.status = 101;
    this.state = TUNNEL;
    this.keep = false;
    this.deadline = 0;
    this.send(Buffer.from(`${head}Connection: upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`, 'latin1'));
    const early = this.stash;
    this.stash = null;
    this.resume();
    if (early !== null) this.forwardTunnel(early, 0, early.length);
  }

  private forwardTunnel(buffer: Buffer, from: number, to: number): void {
    if (this.up !== null && !this.sendToUpstream(this.up, buffer, from, to)) this.pause();
  }

  onTunnelBytes(buffer: Buffer, from: number, to: number): void {
    this.sentBytes += to - from;
    this.send((this.up as UpstreamConnection).view(buffer, from, to));
  }

  onTunnelEnd(): void {
    if (this.socket.readableEnded) this.close();
    else this.socket.end();
  }

  // ---- answers of our own

  private refuseAt(buffer: Buffer, n: number, code: FailureCode, bodied: boolean): void {
    const { scanner } = this;
    if (scanner.acceptEnd > 0) this.accept = buffer.toString('latin1', scanner.acceptStart, scanner.acceptEnd);
    if (this.edge.accessLog !== null) this.logLine = describe(buffer, scanner);
    // The body of a refused request is not read: what follows it on this connection is never parsed.
    if (bodied) this.keep = false;
    else if (scanner.end < n) this.keepForLater(buffer, scanner.end, n);
    const host = buffer.toString('latin1', scanner.authorityStart, scanner.authorityEnd);
    this.refuse(code, host, pathText(buffer, scanner));
  }

  private answerOptions(buffer: Buffer, n: number, bodied: boolean): void {
    if (bodied) this.keep = false;
    else if (this.scanner.end < n) this.keepForLater(buffer, this.scanner.end, n);
    this.status = 204;
    this.send(optionsResponse(this.keep));
    this.finish();
  }

  /** Answers the request itself. */
  private refuse(code: FailureCode, host = '', path = '', cause = ''): void {
    const requestId = randomUUID();
    const { status } = failures[code];
    this.status = status;
    if (this.edge.draining) this.keep = false;
    if (this.state === READ_BODY) this.keep = false;
    const response = failureResponse(code, { accept: this.accept, requestId, host, path }, this.isHead, this.keep);
    this.sentBytes = response.length;
    if (status >= 500) this.edge.reportFailure(code, requestId, this.route, cause, this.peer);
    this.send(response);
    this.finish();
  }

  /** The request turned out wrong while its body was under way. */
  private failRequest(code: FailureCode): void {
    this.dropUpstream();
    if (this.answered) return this.abort();
    this.keep = false;
    this.refuse(code);
  }

  /** The upstream connection has failed; it is gone already. */
  onUpstreamFailed(up: UpstreamConnection, code: FailureCode, responseStarted: boolean): void {
    if (this.up !== up) return;
    this.up = null;
    if (this.state === TUNNEL) return this.close();
    if (responseStarted) {
      this.edge.reportFailure(code, '', this.route, `${up.cause}; the response was cut`, this.peer);
      return this.abort();
    }
    this.attempt++;
    const sentBytes = up.connected;
    const replayable = this.replayable || (!sentBytes && this.state !== CLOSED);
    const { reused } = up;
    const { attempt, idempotent } = this;
    const retry = mayRetry({ attempt, sentBytes, reused, idempotent, replayable, responseStarted });
    if (retry && code !== 'OO_CONNECT_TIMEOUT' && this.repeat(up)) return;
    this.refuse(code, '', '', up.cause);
  }

  /** Sends the request again, over a new connection. */
  private repeat(failed: UpstreamConnection): boolean {
    const route = this.route as CompiledRoute;
    const up = this.edge.instanceFor(route).acquire(route, true);
    if (up === undefined) return false;
    const length = failed.outLength;
    failed.out.copy(up.headRoom(length), 0, 0, length);
    this.up = up;
    up.begin(this);
    up.sendHead(length);
    if (this.unsent !== null) up.sendBody(this.unsent);
    return true;
  }

  // ---- the connection's end

  onTick(now: number): void {
    if (this.deadline !== 0 && now >= this.deadline) return this.onDeadline();
    if (this.state !== READ_BODY || this.paused) return;
    const { minBodyRate } = this.edge.settings;
    const elapsed = now - this.bodySince;
    if (elapsed > slowBodyGraceMs && this.bodyBytes * 1000 < minBodyRate * elapsed)
      this.failRequest('OO_REQUEST_TIMEOUT');
  }

  private onDeadline(): void {
    if (this.state === READ_BODY) return this.failRequest('OO_REQUEST_TIMEOUT');
    if (this.state !== READ_HEAD || this.stash === null) return this.close();
    this.stash = null;
    this.keep = false;
    this.isHead = false;
    this.refuse('OO_REQUEST_TIMEOUT');
  }

  /** The client has ended its side. */
  onEnded(): void {
    if (this.state !== TUNNEL) return this.close();
    if (this.socket.writableEnded) this.close();
    else this.up?.endTunnel();
  }

  /** Nothing more is read; the rest of the answer leaves, then the connection ends. */
  private linger(): void {
    if (this.state === CLOSED) return;
    this.dropUpstream();
    this.releaseOwn(true);
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
  private abort(): void {
    if (this.state === CLOSED) return;
    this.socket.resetAndDestroy();
    this.close();
  }

  private dropUpstream(): void {
    const { up } = this;
    this.up = null;
    up?.destroy();
  }

  /** Whether a drain can end it now: it is between two requests. */
  isIdle(): boolean {
    return this.state === READ_HEAD && this.stash === null && !this.writePending;
  }

  close(): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.dropUpstream();
    this.releaseOwn(true);
    this.edge.clients.delete(this);
    this.socket.destroy();
    this.edge.onClientClosed();
  }

  private idleTimeoutMs(): number {
    return this.route?.route.idleTimeoutMs ?? this.edge.settings.idleTimeoutMs;
  }
}

function pathText(buffer: Buffer, scanner: RequestScanner): string {
  return scanner.pathStart === scanner.pathEnd ? '/' : buffer.toString('latin1', scanner.pathStart, scanner.pathEnd);
}

/** Method, host and target, as JSON members for the access log. */
function describe(buffer: Buffer, scanner: RequestScanner): string {
  const method = buffer.toString('latin1', scanner.methodStart, scanner.methodEnd);
  const host = buffer.toString('latin1', scanner.authorityStart, scanner.authorityEnd);
  const target = buffer.toString('latin1', scanner.targetStart, scanner.targetEnd);
  return `"method":${JSON.stringify(method)},"host":${JSON.stringify(host)},"target":${JSON.stringify(target)}`;
}

function onEnd(this: net.Socket): void {
  (this as ClientSocket).owner.onEnded();
}

function onGone(this: net.Socket): void {
  (this as ClientSocket).owner.close();
}

function onStall(this: net.Socket): void {
  (this as ClientSocket).owner.close();
}
