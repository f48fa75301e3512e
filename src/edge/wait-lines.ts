import type { GateOrder } from '../core/admission-gate.ts';
import type { FailureCode } from '../core/failure.ts';
import type { WorkerPlace } from './messages.ts';
import type { EdgePool } from './pool.ts';
import { type Flushable, flushLater } from './turn.ts';
import { type GateNote, type WaitingRequest, WaitLine } from './wait-line.ts';

/**
 * All requests of a worker that wait. Who waits starts over when it may be its turn: it is decided anew, so that it follows a change of the
 * configuration made in the meantime, such as the other target of a migration.
 */
export class WaitLines implements Flushable {
  private readonly lines = new Map<string, WaitLine>();
  private scheduled = false;

  /** Whether any request waits, or has lately. */
  get busy(): boolean {
    return this.lines.size > 0;
  }

  /** Whether some wait for a place in this pool: who comes now waits behind them. */
  hasQueue({ name }: EdgePool): boolean {
    return (this.lines.get(name)?.queued ?? 0) > 0;
  }

  /**
   * Asks to pass a pool's gate.
   * @returns true: it may; false: it waits; else why it is refused: `note` has more
   */
  pass(pool: EdgePool, order: GateOrder, request: WaitingRequest, place: WorkerPlace): boolean | FailureCode {
    return this.line(pool).pass(pool, order, request, place);
  }

  /** Of a refusal at this pool's gate. */
  note({ name }: EdgePool): GateNote | null {
    return this.lines.get(name)?.note() ?? null;
  }

  /** Waits for a place; parameters and result are those of `WaitLine.join`. */
  join(pool: EdgePool, request: WaitingRequest, isFirst: boolean, place: WorkerPlace): boolean {
    return this.line(pool).join(pool, request, isFirst, place);
  }

  private line(pool: EdgePool): WaitLine {
    let line = this.lines.get(pool.name);
    if (line === undefined) {
      line = new WaitLine(pool);
      this.lines.set(pool.name, line);
    }
    return line;
  }

  /** Routes or services have changed. It costs nothing where nobody waits. */
  onChange(): void {
    if (this.lines.size === 0 || this.scheduled) return;
    this.scheduled = true;
    flushLater(this);
  }

  flush(): void {
    this.scheduled = false;
    for (const line of this.lines.values()) {
      line.recall();
      line.call();
    }
  }

  onTick(now: number): void {
    for (const line of this.lines.values()) {
      line.onTick(now);
      if (line.isEmpty) this.lines.delete(line.name);
    }
  }
}
