import { clock } from './clock.ts';

const slowGraceMs = 30_000;

/** Whether a request body comes fast enough. */
export class BodyPace {
  private readonly minRate: number;
  private since = 0;
  private pausedAt = 0;

  /** @param minRate bytes a second, see `EdgeSettings.minBodyRate` */
  constructor(minRate: number) {
    this.minRate = minRate;
  }

  begin(): void {
    this.since = clock.now;
  }

  /** Time in which we do not read does not count against the client. */
  pause(): void {
    this.pausedAt = clock.now;
  }

  resume(): void {
    this.since += clock.now - this.pausedAt;
  }

  /** @param bytes so many have come since `begin` */
  isTooSlow(now: number, bytes: number): boolean {
    const elapsed = now - this.since;
    return elapsed > slowGraceMs && bytes * 1000 < this.minRate * elapsed;
  }
}
