import { randomUUID } from 'node:crypto';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { Mirror } from '../core/option-mirror.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { AskedHost } from './asked-host.ts';
import type { Downstream, Upstream } from './downstream.ts';
import type { Edge } from './edge.ts';
import { guardReply } from './guard-reply.ts';
import { GuardRequest } from './guard-request.ts';
import { GuardVisit } from './guard-visit.ts';
import { beginCopy, type MirrorCopy } from './mirror.ts';
import type { EdgeMember } from './pool-member.ts';
import type { Reply } from './reply.ts';
import { type RequestRegisters, requestHeadBound, writeRequestHead } from './request-head.ts';
import { type Rewrite, rewriteOf, writeRewritten } from './rewrite.ts';
import { WaitTurn } from './wait-turn.ts';

/** A request as far as its route's options have to do with it: who lets it in, what becomes of the heads, who gets a copy. */
export abstract class OptionTurn extends WaitTurn {
  route: CompiledRoute | null = null;
  protected readonly peer: string;
  protected readonly asked: AskedHost;
  /** Whom the present attempt goes to. */
  protected member: EdgeMember | null = null;
  protected upgrading = false;
  /** Its Host is the target's. */
  protected hostIsTarget = false;
  /** What its route's options make of its heads; null where they leave them alone, as with nearly all. */
  protected rewrite: Rewrite | null = null;
  /** The copy for its route's mirror, while its body comes. */
  mirror: MirrorCopy | null = null;
  /** Its way past the guards of its route; null where that has none, as with nearly all. */
  protected visit: GuardVisit | null = null;
  /** What a guard answers. */
  protected guardReply: Reply | null = null;
  /** What its upstream's answer goes through, where the route has `compress`; null: it comes here. */
  protected between: Downstream | null = null;
  /** `rewrite` has been at its head. */
  rewritten = false;

  /** @param peer the client's address in its plain form */
  constructor(edge: Edge, peer: string, asked: AskedHost) {
    super(edge);
    this.peer = peer;
    this.asked = asked;
  }

  /** Another request begins, or the same one again. */
  protected resetOptions(again: boolean): void {
    this.rewrite = null;
    this.rewritten = false;
    this.between = null;
    if (!again) this.visit = null;
  }

  /** What stands between a request and being forwarded. `reply`: a guard answers; `wait`: for what a guard has to find out. */
  protected meetOptions(
    route: CompiledRoute,
    options: CompiledOptions,
    buffer: Buffer,
    head: RequestRegisters,
  ): 'pass' | 'wait' | 'reply' {
    const { edge, asked, peer } = this;
    // While the request's head is there, and before anything is answered.
    this.rewrite ??= rewriteOf(route, buffer, head, { edge, asked, peer });
    if (options.guards.length > 0) return this.askGuards(route, options, buffer, head);
    // Its route has lost its guards while it waited for them.
    this.visit = null;
    return 'pass';
  }

  /** A request that waits for a guard is let in later, and starts over: those that it has passed do not count it again. */
  private askGuards(
    route: CompiledRoute,
    options: CompiledOptions,
    buffer: Buffer,
    head: RequestRegisters,
  ): 'pass' | 'wait' | 'reply' {
    const { edge, peer } = this;
    this.upgrading = head.upgradeEnd > 0;
    // The route has changed while it waited: what the other one's guards said is none of this one's business.
    if (this.visit?.options !== options) this.visit = new GuardVisit(edge, route, options, () => this.restart());
    const request = new GuardRequest(edge, this.asked, peer, buffer, head);
    const said = this.visit.next(request);
    if (typeof said === 'string') return said;
    const requestId = this.rewrite?.requestId ?? randomUUID();
    if (said.cause !== undefined && said.kind === 'refuse')
      edge.reportFailure(said.code, requestId, route, '', said.cause, peer);
    this.guardReply = guardReply(said, request, requestId);
    return 'reply';
  }

  /** Its route's `compress` has its answer go through it. */
  protected compresses(options: CompiledOptions): boolean {
    return options.compress !== null && !this.upgrading;
  }

  /** Writes the head that the upstream of `up` gets. @param more lines of ours beside those that tell of the client @returns its length */
  protected writeForUpstream(
    buffer: Buffer,
    head: RequestRegisters,
    route: CompiledRoute,
    up: Upstream,
    more: Buffer,
  ): number {
    const { asked } = this;
    let lines = head.captureCount > 0 ? asked.priorLines(buffer, head) : asked.lines;
    if (more.length > 0) lines = Buffer.concat([lines, more]);
    const { target } = this.member!;
    const out = up.headRoom(requestHeadBound(head, target, lines));
    const length = writeRequestHead(out, buffer, head, route, target, lines);
    return route.options === null ? length : this.changeHead(up, length, target);
  }

  /** Changes the head that has been written for `up`. @returns its new length */
  private changeHead(up: Upstream, length: number, target: Target): number {
    const { visit, rewrite } = this;
    const copied = visit?.changesHead ? visit.writeCopied(up, length) : length;
    return rewrite?.changesRequest ? writeRewritten(up, rewrite, copied, target) : copied;
  }

  /** Begins the copy for the route's mirror. @param sent the head as the upstream gets it */
  protected copyTo(
    mirror: Mirror,
    route: CompiledRoute,
    sent: Buffer,
    { contentLength }: RequestRegisters,
    framed: boolean,
  ): void {
    if (this.upgrading) return;
    const { hostIsTarget } = this;
    const { target } = this.member!;
    this.mirror = beginCopy(this.edge.mirrors, { route, mirror, sent, target, hostIsTarget, contentLength, framed });
  }

  /** Of a request that will not be complete. */
  protected dropCopy(): void {
    this.mirror?.drop();
    this.mirror = null;
  }

  get responseRewrite(): Rewrite | null {
    return this.rewrite?.changesResponse && !this.rewritten ? this.rewrite : null;
  }

  /** What answers of ours get from the route, without line ends. */
  protected replyLines({ lines }: Reply): readonly string[] {
    const hsts = this.hstsLine();
    if (hsts === '' && this.rewrite === null) return [];
    const more = this.rewrite?.replyLines(lines) ?? [];
    return hsts === '' ? more : [...more, hsts.trim()];
  }

  /** The line of Strict-Transport-Security, or '': over plain HTTP it is never sent (RFC 6797 §7.2). */
  protected hstsLine(): string {
    return this.asked.scheme === 'https' && this.route !== null ? this.route.hstsLine : '';
  }
}
