import type { FailureCode } from '../core/failure.ts';
import type { CompiledOptions } from '../core/option-compile.ts';
import type { CompiledRoute } from '../core/types.ts';
import type { Upstream } from './downstream.ts';
import { HandlerVisit } from './handler-visits.ts';
import { OptionTurn } from './option-turn.ts';
import type { EdgePool } from './pool.ts';
import { type RequestRegisters, requestHeadBound, writeRequestHead } from './request-head.ts';

export const hungCause = "the handler's process does not react";

/**
 * A request as far as its route's handler has to do with it: it is sent there in the place of an upstream, and comes back by another connection
 * (handler-back.ts) where the handler calls `next`.
 */
export abstract class HandlerTurn extends OptionTurn {
  /** Its way through its route's handler; null where that has none, as with nearly all. */
  protected handling: HandlerVisit | null = null;

  /** Its handler does not react, and is ended. */
  abstract onHandlerHung(): void;

  /** Another request begins, or the same one again. */
  protected resetHandler(): void {
    this.leaveHandler();
    this.handling = null;
  }

  /** Its way leads through its route's handler, if that has one. @returns false if none are run here */
  protected findHandler(route: CompiledRoute, { handler }: CompiledOptions): boolean {
    if (handler === null) return true;
    const place = this.edge.handlers.placeOf(route, handler);
    if (place === undefined) return false;
    this.handling = new HandlerVisit(route, place, this);
    this.handling.requestId = this.rewrite?.requestId ?? '';
    return true;
  }

  protected handlerPool({ place }: HandlerVisit, route: CompiledRoute): EdgePool {
    return this.edge.handlers.poolFor(place, route);
  }

  /** Writes the head as the client has sent it, by the guards' leave: what is changed for upstreams comes later. @returns its length */
  protected writeForHandler(
    buffer: Buffer,
    head: RequestRegisters,
    handling: HandlerVisit,
    up: Upstream,
    more: Buffer,
  ): number {
    const { target } = this.member!;
    const lines = this.edge.handlers.enter(handling, this.asked, buffer, head, more);
    const out = up.headRoom(requestHeadBound(head, target, lines));
    const length = writeRequestHead(out, buffer, head, handling.place.route, target, lines);
    return this.visit?.changesHead ? this.visit.writeCopied(up, length) : length;
  }

  /** What its handler still asks for is for nobody. */
  protected leaveHandler(): void {
    if (this.handling !== null) this.edge.handlers.leave(this.handling);
  }

  /** Its handler has not answered. @returns what that is called, and why it is, for the log */
  protected whyHandlerFailed({ place }: HandlerVisit, { connected, cause }: Upstream): [FailureCode, string] {
    if (this.edge.handlers.isHung(place)) return ['OO_HANDLER_TIMEOUT', hungCause];
    const gone = connected ? 'ended before it answered' : 'is not running';
    return ['OO_HANDLER_FAILED', `the handler's process ${gone} (${cause})`];
  }
}
