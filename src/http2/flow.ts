/**
 * What a peer may still send, to a stream or to a connection (RFC 9113 §5.2). The window is opened again only when bytes have been
 * taken by whoever they are for, so `window + held` bounds what a peer can make us keep. Where they are taken as they come, it grows, so
 * that a long way does not slow an upload down; where they pile up, it shrinks back.
 */
export class ReceiveWindow {
  /** Bytes that the peer may still send. */
  window: number;
  /** Bytes that have come and have not been taken. */
  held = 0;
  private target: number;
  private readonly least: number;
  private readonly most: number;

  /**
   * @param window what the peer may send at first
   * @param target what it is opened to when bytes have been taken
   * @param most what that may grow to
   */
  constructor(window: number, target: number, most: number) {
    this.window = window;
    this.target = target;
    this.least = target;
    this.most = Math.max(target, most);
  }

  /** Bytes have come. @returns false if they were more than allowed */
  take(bytes: number): boolean {
    this.window -= bytes;
    this.held += bytes;
    return this.window >= 0;
  }

  /**
   * Bytes have been taken.
   * @param mayGrow whether the window may become larger than before
   * @returns by how much to open the window, as WINDOW_UPDATE says it, or 0: it is opened by half of it or more
   */
  release(bytes: number, mayGrow = true): number {
    this.held -= Math.min(bytes, this.held);
    if (this.held * 2 > this.target) this.target = Math.max(this.least, this.target >> 1);
    if ((this.target - this.window - this.held) * 2 < this.target) return 0;
    if (mayGrow && this.held * 8 <= this.target) this.target = Math.min(this.most, this.target * 2);
    const more = this.target - this.window - this.held;
    this.window += more;
    return more;
  }
}
