import type { FailureCode } from '../core/failure.ts';
import type { Edge } from './edge.ts';
import type { EdgePool } from './pool.ts';
import { type GateNote, WaitingRequest, type Waits } from './wait-line.ts';

/** A request as far as it may have to wait for its turn: at the gate of its route or its service, and for a place at an instance. */
export abstract class WaitTurn implements Waits {
  protected readonly edge: Edge;
  /** It was called, and may go before those who still wait. */
  protected isFirst = false;
  /** What a gate said when it refused. */
  protected gate: GateNote | null = null;
  /** Null until it has had to wait. */
  private waiting: WaitingRequest | null = null;

  constructor(edge: Edge) {
    this.edge = edge;
  }

  /** Starts over with the head that it kept when it began to wait; nothing happens if its client has left. */
  protected abstract restart(): void;
  /** Answers a request that has waited in vain; likewise. */
  protected abstract refuseKept(code: FailureCode): void;

  /** Another request begins, or the same one again. */
  protected resetTurn(again: boolean): void {
    this.gate = null;
    if (again) return;
    // A request that follows in the same pipeline may go before nobody.
    this.isFirst = false;
    if (this.waiting !== null) this.waiting.line = null;
  }

  /** @returns true: it may pass the gates of its route and its service; false: it waits; else why it is refused */
  protected pass(pool: EdgePool, picking: EdgePool): boolean | FailureCode {
    const { lines, place } = this.edge;
    for (const each of pool === picking ? [pool] : [pool, picking]) {
      const { gate } = each.spec;
      if (gate === null) continue;
      this.waiting ??= new WaitingRequest(this);
      const passes = lines.pass(each, gate, this.waiting, place);
      if (typeof passes === 'string') this.gate = lines.note(each);
      if (passes !== true) return passes;
    }
    return true;
  }

  /** All instances are full: it waits for a place. @returns null, or why it may not even wait */
  protected join(picking: EdgePool): FailureCode | null {
    const { lines, place } = this.edge;
    this.waiting ??= new WaitingRequest(this);
    return lines.join(picking, this.waiting, this.isFirst, place) ? null : 'OO_OVERLOADED';
  }

  /** It is being tried after a wait. */
  protected hasWaited(): boolean {
    return this.waiting !== null && this.waiting.line !== null;
  }

  /** It waits no more, if it did. */
  protected leaveLine(): void {
    const { waiting } = this;
    if (waiting !== null && waiting.queue !== null) waiting.line!.leave(waiting);
  }

  onTurn(first: boolean): void {
    this.isFirst = first;
    this.restart();
    this.isFirst = false;
  }

  onRefused(code: FailureCode, gate: GateNote | null): void {
    this.gate = gate;
    this.refuseKept(code);
  }

  /** One request at a time is all that an HTTP/1.1 client can have. */
  isModest(): boolean {
    return true;
  }
}
