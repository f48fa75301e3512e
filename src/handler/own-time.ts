/** How long a handler has taken by itself: a clock that stands still while what it has asked for is under way. */
export class OwnTime {
  private leftMs: number;
  private startedAt = 0;
  private others = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly onOver: () => void;

  /** @param onOver called once, when it has taken `limitMs` */
  constructor(limitMs: number, onOver: () => void) {
    this.leftMs = limitMs;
    this.onOver = onOver;
    this.run();
  }

  private run(): void {
    this.startedAt = performance.now();
    this.timer = setTimeout(this.onOver, Math.max(0, this.leftMs));
  }

  /** Something else begins. */
  stop(): void {
    if (this.others++ > 0) return;
    clearTimeout(this.timer);
    this.leftMs -= performance.now() - this.startedAt;
  }

  /** That is over. */
  goOn(): void {
    if (--this.others === 0) this.run();
  }

  /** It has answered. */
  end(): void {
    this.others = Number.POSITIVE_INFINITY;
    clearTimeout(this.timer);
  }
}
