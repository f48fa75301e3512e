import type { Upstream } from './downstream.ts';

/** A response head that waits for the first body bytes, to leave with them in one write. */
export class HeldHead {
  /** Where it lies in the read buffer that the body bytes will be in, too; -1: nowhere. */
  private from = -1;
  private to = 0;
  private copy: Buffer | null = null;

  hold(from: number, to: number): void {
    this.from = from;
    this.to = to;
  }

  /** The same for a head that had to be written anew. */
  holdCopy(head: Buffer): void {
    this.copy = head;
  }

  /** Nothing of it has left yet: it can still be taken back. */
  isHeld(): boolean {
    return this.from >= 0 || this.copy !== null;
  }

  drop(): void {
    this.from = -1;
    this.copy = null;
  }

  /** What is to be written for these body bytes, the head included while it is held; null for nothing. */
  join(up: Upstream, buffer: Buffer, from: number, to: number): Buffer | null {
    if (this.from >= 0) {
      const start = this.from;
      this.from = -1;
      if (to === from) return up.view(buffer, start, this.to);
      if (from === this.to) return up.view(buffer, start, to);
      this.copy = buffer.subarray(start, this.to);
    }
    if (this.copy !== null) {
      const head = this.copy;
      this.copy = null;
      return Buffer.concat([head, buffer.subarray(from, to)]);
    }
    return to > from ? up.view(buffer, from, to) : null;
  }
}
