import { randomUUID } from 'node:crypto';
import { decidePath } from '../core/decide.ts';
import { type FailureCode, failures } from '../core/failure.ts';
import type { CompiledCompress } from '../core/option-compress.ts';
import { stickyCookie } from '../core/sticky.ts';
import type { CompiledRoute } from '../core/types.ts';
import { Attempts } from './attempts.ts';
import { type Choice, chooseFor, plainChoice } from './choice.ts';
import { clock, nowMs } from './clock.ts';
import { Compress } from './compress.ts';
import type { Downstream, ResponseRegisters, Upstream } from './downstream.ts';
import { HandlerTurn, hungCause } from './handler-turn.ts';
import { keepRoom, landing, room } from './memory.ts';
import { whyNoInstance } from './no-instance.ts';
import type { EdgeMember, EdgePool } from './pool.ts';
import { failureReply, type Reply } from './reply.ts';
import type { RequestRegisters } from './request-head.ts';
import { acceptText, pathText } from './request-text.ts';
import { noLines, type ResponseLines } from './response-lines.ts';
import { retargetBound, retargetHead } from './retarget.ts';
import { decideService } from './service-port.ts';

/** A request that can't be repeated goes to a connection that rested for less than this, or to a new one. */
const freshEnoughMs = 1_000;
const untried: readonly EdgeMember[] = [];
const nothing: Buffer = Buffer.alloc(0);

/** Why a request is not forwarded: a failure, or a guard of its route has an answer of its own. */
export type Refusal = FailureCode | 'reply';

/** What a failure's answer says of the request, as far as it is known. */
interface Told {
  readonly accept?: string;
  readonly host?: string;
  readonly path?: string;
  /** For the log. */
  readonly cause?: string;
}

/**
 * One request and its response, as far as it is the same whatever the client speaks: decides, picks, sends to the upstream, repeats, or
 * answers where that fails.
 */
export abstract class Exchange extends HandlerTurn implements Downstream {
  isHead = false;
  trailersWelcome = false;
  neverIndexed = false;
  /** It is gRPC: to an `https://` target it goes over HTTP/2. */
  protected needsHttp2 = false;
  up: Upstream | null = null;
  protected readonly attempts: Attempts = new Attempts();
  /** What of the request decides that. */
  private choice: Choice = plainChoice;
  // The request.
  protected expecting = false;
  private idempotent = false;
  private replayable = true;
  /** The first body bytes, until an upstream connection has opened and taken them; one that frames bodies itself keeps them. */
  protected unsent: Buffer | null = null;
  // The response.
  protected answered = false;
  protected status = 0;
  protected sentBytes = 0;
  protected logLine = '';
  private startedAt = 0;
  private unlogged = false;
  /** Its upstream has broken off in the middle of the response. */
  private broken = false;

  // ---- what the client's protocol does in its own way

  abstract isRequestComplete(): boolean;
  abstract wantsDecoded(): boolean;
  abstract wantsMuch(): boolean;
  abstract isWritePending(): boolean;
  abstract onInterim(buffer: Buffer, start: number, head: ResponseRegisters): void;
  abstract onResponse(buffer: Buffer, start: number, head: ResponseRegisters, closeDelimited: boolean): void;
  abstract onBody(buffer: Buffer, from: number, to: number): void;
  abstract onBodyTail(tail: Uint8Array): void;
  abstract onTrailers(lines: Uint8Array): void;
  abstract onResponseEnd(): void;
  abstract onSwitch(buffer: Buffer, start: number, head: ResponseRegisters): void;
  abstract onTunnelBytes(buffer: Buffer, from: number, to: number): void;
  abstract onTunnelEnd(): void;
  abstract onUpstreamDrain(): void;
  /** Whether a request's body goes on in chunks as it has come. */
  protected abstract isFramed(head: RequestRegisters, up: Upstream): boolean;
  /** Sends a whole answer of ours. @returns its bytes */
  protected abstract sendReply(reply: Reply): number;
  /** The answer has been handed over. */
  protected abstract onEnd(): void;
  /** Cuts the response, so that the client can't take it for a whole one. */
  protected abstract cut(): void;
  /** Takes a response's head back, if that can be done: nothing of it has left. */
  protected abstract takeHeadBack(): boolean;
  /** Ends a tunnel whose upstream is gone. @returns false if there is none */
  protected abstract endTunnel(): boolean;

  // ---- the request

  /** Makes it ready for a request. @param again for one that starts over */
  protected reset(again = false): void {
    this.answered = false;
    this.route = null;
    this.member = null;
    this.choice = plainChoice;
    this.resetOptions(again);
    this.resetHandler();
    this.resetTurn(again);
    this.unsent = null;
    this.logLine = '';
    this.status = 0;
    this.sentBytes = 0;
    this.unlogged = true;
    this.broken = false;
    if (!again) this.startedAt = nowMs();
  }

  /**
   * Where a request goes whose host has been resolved, or why nowhere.
   * @param named its target says a scheme
   */
  protected decide(buffer: Buffer, head: RequestRegisters, named: boolean): CompiledRoute | FailureCode {
    const { asked } = this;
    const { recent } = this.edge;
    if (recent.skip-- === 0) recent.note(asked, buffer, head);
    const { hosts } = asked;
    if (hosts === undefined) return head.authorityEnd === 0 ? 'OO_NO_ROUTE' : 'OO_BAD_HOST';
    if (asked.misdirected || (named && asked.isOtherScheme(head.absoluteTls))) return 'OO_MISDIRECTED';
    if (head.plainPath && hosts.single !== undefined) return hosts.single;
    if (asked.service) return decideService(this.edge, pathText(buffer, head), head.plainPath);
    const decision = decidePath(hosts, pathText(buffer, head), head.plainPath);
    return decision.kind === 'reply' ? decision.code : decision.route;
  }

  /**
   * Takes up the route, and gets an upstream connection for it.
   * @param bodied a body follows, which can't be sent again
   * @returns null: it waits, and its head has to be kept for `restart`
   */
  protected acquire(
    route: CompiledRoute,
    buffer: Buffer,
    head: RequestRegisters,
    bodied: boolean,
  ): Upstream | Refusal | null {
    const limit = route.route.maxBodyBytes;
    this.route = route;
    if (route.options !== null) {
      const said = this.meetOptions(route, route.options, buffer, head);
      if (said !== 'pass') return said === 'wait' ? null : said;
    }
    if (limit !== undefined && head.contentLength > limit) return 'OO_BODY_TOO_LARGE';
    if (route.options !== null && !this.findHandler(route, route.options)) return 'OO_HANDLER_FAILED';
    // A handler may send another path.
    if (this.rewrite?.isRefused && this.handling === null) return 'OO_BAD_PATH';
    this.idempotent = head.idempotent;
    this.upgrading = head.upgradeEnd > 0;
    this.expecting = head.expectContinue;
    this.replayable = !bodied;
    this.hostIsTarget = route.route.hostHeader === 'upstream' || head.authorityEnd === 0;
    const pool = this.handling === null ? this.edge.poolFor(route) : this.handlerPool(this.handling, route);
    const picking = pool.picking ?? pool;
    this.attempts.begin(pool, picking, this.startedAt);
    if (pool.spec.gate !== null || picking.spec.gate !== null) {
      const passes = this.pass(pool, picking);
      if (passes !== true) return passes || null;
    }
    const { lines } = this.edge;
    if (lines.busy && !this.isFirst && lines.hasQueue(picking)) return this.join(picking);
    if (pool.asked !== null || picking.asked !== null) {
      const client = head.captureCount > 0 ? this.edge.clientOf(this.peer, buffer, head) : this.peer;
      this.choice = chooseFor(pool, picking, buffer, head, client);
    }
    const member = pool.pick(this.choice, untried, clock.now);
    if (member === undefined) return this.waitFor(pool, picking);
    const { instance } = member;
    const fresh = (!this.idempotent || bodied) && !instance.restedLessThan(freshEnoughMs, clock.now);
    const up = instance.acquire(route, fresh, this.needsHttp2);
    if (up === undefined) return instance.shut ? 'OO_NO_INSTANCE' : this.join(picking);
    this.member = member;
    this.attempts.start(pool, member, up, this.hasWaited() || this.visit?.hasWaited ? nowMs() : this.startedAt);
    return up;
  }

  /** None can take it now: if that is since they are busy, it waits. */
  private waitFor(pool: EdgePool, picking: EdgePool): FailureCode | null {
    const why = pool.why();
    return why === 'OO_OVERLOADED' ? this.join(picking) : why;
  }

  /** Begins the exchange with `up`, and writes the head for it. @returns the head's length */
  protected begin(buffer: Buffer, head: RequestRegisters, route: CompiledRoute, up: Upstream, more = nothing): number {
    const { handling } = this;
    const { options } = route;
    const length =
      handling === null
        ? this.writeForUpstream(buffer, head, route, up, more)
        : this.writeForHandler(buffer, head, handling, up, more);
    this.up = up;
    if (options !== null && this.compresses(options))
      this.between = new Compress(this, options.compress as CompiledCompress, buffer, head);
    up.begin(this.between ?? this);
    if (options !== null && options.mirror !== null && handling === null)
      this.copyTo(options.mirror, route, up.out.subarray(0, length), head, this.isFramed(head, up));
    return length;
  }

  /** Sends bytes that may be overwritten. Returns false if they are still pending. */
  sendToUpstream(up: Upstream, buffer: Buffer, from: number, to: number): boolean {
    if (from === to) return true;
    if (!up.connected) return this.sendView(up, Buffer.from(buffer.subarray(from, to)));
    if (buffer !== landing) return this.sendView(up, buffer.subarray(from, to));
    const view = room(to - from);
    buffer.copy(view, 0, from, to);
    const taken = this.sendView(up, view);
    if (!taken) keepRoom(view.length);
    return taken;
  }

  /** The same for bytes that nobody overwrites. */
  sendView(up: Upstream, view: Buffer): boolean {
    if (up.connected || up.framesItself) this.unsent = null;
    else this.unsent = this.unsent === null ? view : Buffer.concat([this.unsent, view]);
    return up.sendBody(view);
  }

  wantsUpgrade(): boolean {
    return this.upgrading;
  }

  /** What the response's head gets from us. */
  protected responseLines(): ResponseLines {
    const hsts = this.hstsLine();
    const cookie = this.choice === plainChoice ? '' : this.cookieLine();
    const rewrite = this.responseRewrite;
    return hsts === '' && cookie === '' && rewrite === null ? noLines : { hsts, cookie, rewrite };
  }

  /**
   * The sticky cookie, where the client has none that leads to whom it got. What it sends goes on to the upstream with the rest of its cookies,
   * as with HAProxy: taking it out would change a line that most upstreams read as a whole.
   */
  private cookieLine(): string {
    const { choice, member, route } = this;
    if (member === null || route === null) return '';
    const pool = this.edge.pools.poolOf(route);
    const sticky = pool === undefined ? '' : (pool.picking ?? pool).spec.settings.sticky;
    const token = sticky === '' ? undefined : pool?.stickyToken(member);
    if (token === undefined || token === choice.token) return '';
    return `Set-Cookie: ${stickyCookie(sticky, token, this.asked.scheme === 'https')}\r\n`;
  }

  idleTimeoutMs(): number {
    return this.route?.route.idleTimeoutMs ?? this.edge.settings.idleTimeoutMs;
  }

  // ---- the end

  /** Answers with a failure in the upstream's place. */
  protected refuse(code: FailureCode, { accept = '', host = '', path = '', cause = '' }: Told = {}): void {
    const { gate, route, handling } = this;
    const requestId = handling?.requestId || (this.rewrite?.requestId ?? randomUUID());
    const pool = route === null || handling !== null ? undefined : this.edge.pools.poolOf(route);
    const nobody = code === 'OO_NO_INSTANCE' && cause === '' && pool !== undefined;
    const why = nobody ? whyNoInstance(pool) : cause;
    // A stopped route's answers are what its operator wants: no failures.
    if (failures[code].status >= 500 && code !== 'OO_STOPPED') this.report(code, requestId, why);
    const detail = nobody && this.asked.service ? why : gate?.message;
    this.answer(failureReply(code, { accept, requestId, host, path, detail }, gate?.retryAfter));
  }

  protected report(code: FailureCode, requestId: string, cause: string): void {
    this.edge.reportFailure(code, requestId, this.route, this.instanceKey(), cause, this.peer);
  }

  /** The same for a request whose head is still there. */
  protected refuseScanned(buffer: Buffer, head: RequestRegisters, code: Refusal): void {
    if (code === 'reply') return this.answer(this.guardReply as Reply);
    const accept = buffer.toString('latin1', head.acceptStart, head.acceptEnd);
    const host = buffer.toString('latin1', head.authorityStart, head.authorityEnd);
    this.refuse(code, { accept, host, path: pathText(buffer, head) });
  }

  /** Answers in the upstream's place. */
  protected answer(reply: Reply): void {
    this.status = reply.status;
    this.answered = true;
    this.attempts.onReply();
    const more = this.replyLines(reply);
    this.sentBytes = this.sendReply(more.length === 0 ? reply : { ...reply, lines: [...reply.lines, ...more] });
    this.end();
  }

  protected end(): void {
    this.dropCopy();
    this.leaveHandler();
    this.log();
    this.attempts.end(this.status >= 500);
    this.onEnd();
  }

  protected log(): void {
    const { edge, peer } = this;
    if (!this.unlogged || edge.accessLog === null) return;
    this.unlogged = false;
    edge.logAccess(this.logLine, this.route, this.instanceKey(), this.status, this.sentBytes, peer, this.startedAt);
  }

  protected instanceKey(): string {
    if (this.handling !== null) return this.handling.instance;
    return this.member === null ? '' : this.member.instance.label;
  }

  /** The client goes, whatever this does: a tunnel over, a response cut, a client gone (499, as with nginx). */
  abandon(): void {
    if (!this.answered) this.status = 499;
    this.log();
    this.drop();
    this.attempts.end(this.answered && (this.broken || this.status >= 500));
  }

  /** Leaves the upstream, whatever it is doing. */
  drop(): void {
    const { up } = this;
    this.up = null;
    this.unsent = null;
    this.leaveLine();
    this.visit?.leave();
    this.attempts.cancel();
    this.leaveHandler();
    up?.destroy();
    this.dropCopy();
  }

  /** The request has turned out wrong, or too slow, while its body was under way. */
  failRequest(code: FailureCode): void {
    const accept = this.up === null ? '' : acceptText(this.up.sentHead());
    this.drop();
    if (this.answered) this.cut();
    else this.refuse(code, { accept });
  }

  onUpstreamFailed(up: Upstream, code: FailureCode, responseStarted: boolean): void {
    if (this.up !== up) return;
    this.up = null;
    this.attempts.onFailure(code, up.reused);
    if (this.endTunnel()) return;
    // A head that has not left yet can still be taken back.
    if (!this.takeHeadBack() && responseStarted) {
      // Of a handler's response who has cut it has said why.
      const cause = `${up.cause}; the response was cut`;
      if (this.handling === null) this.edge.reportFailure(code, '', this.route, this.instanceKey(), cause, this.peer);
      this.broken = true;
      return this.cut();
    }
    if (!responseStarted && this.repeat(up, code)) return;
    const [told, cause] = this.handling === null ? [code, up.cause] : this.whyHandlerFailed(this.handling, up);
    this.refuse(told, { accept: acceptText(up.sentHead()), cause });
  }

  /** Sends the request again over a new connection, if that is safe; to another instance, if there is one. */
  private repeat(failed: Upstream, code: FailureCode): boolean {
    const { route, attempts, member: before } = this;
    if (route === null || before === null) return false;
    const { choice, idempotent, replayable } = this;
    const pool = this.edge.pools.poolOf(this.handling?.place.route ?? route);
    const member = attempts.next(failed, code, { choice, idempotent, replayable });
    const up = member?.instance.acquire(route, true, this.needsHttp2);
    if (pool === undefined || member === undefined || up === undefined) return false;
    attempts.start(pool.present, member, up);
    if (up.framesItself !== failed.framesItself && !replayable) {
      // What is there of the body has been framed for another wire.
      attempts.cancel();
      up.destroy();
      return false;
    }
    attempts.countRetry();
    this.member = member;
    const out = up.headRoom(retargetBound(failed.outLength, member.target));
    const length = retargetHead(out, failed.sentHead(), before.target, member.target, this.hostIsTarget);
    this.up = up;
    up.begin(this.between ?? this);
    up.sendHead(length);
    const given = failed.framesItself ? failed.passBody(up) : this.unsent !== null && up.sendBody(this.unsent);
    if (given) this.onUpstreamDrain();
    return true;
  }

  onHandlerHung(): void {
    const { up } = this;
    if (up === null || this.answered) return;
    const accept = acceptText(up.sentHead());
    this.drop();
    this.refuse('OO_HANDLER_TIMEOUT', { accept, cause: hungCause });
  }

  onAnswer(status: number): void {
    this.attempts.onAnswer(status, this.up);
  }
}
