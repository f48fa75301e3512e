const buckets = 10;

/** Also for numbers below 0, which a clock may begin with. */
function placeOf(bucket: number): number {
  return ((bucket % buckets) + buckets) % buckets;
}

/**
 * Counts events, and of them the marked ones, over the last `windowMs`: failures of requests, say. They expire by tenths of
 * the window, when the next event or reader comes: no timer, no allocation after the constructor, O(1).
 * Times are ms of one steady clock; one that goes back counts into the newest tenth.
 */
export class CountWindow {
  readonly windowMs: number;
  /** Of the whole window, as of the last `expire`. */
  total = 0;
  marked = 0;
  private readonly bucketMs: number;
  private readonly totals = new Float64Array(buckets);
  private readonly marks = new Float64Array(buckets);
  /** The number of the newest tenth, counted from the clock's zero. */
  private newest = Number.NEGATIVE_INFINITY;
  /** Where it is counted, and until when: most events of a busy window find it as the one before has left it. */
  private place = 0;
  private newestUntil = Number.NEGATIVE_INFINITY;
  private sentTotal = 0;
  private sentMarked = 0;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
    this.bucketMs = windowMs / buckets;
  }

  count(now: number): void {
    this.add(1, 0, now);
  }

  mark(now: number): void {
    this.add(0, 1, now);
  }

  /** Adds many at once: what a worker has counted (`takeUnsent`). */
  add(total: number, marked: number, now: number): void {
    this.expire(now);
    this.totals[this.place] += total;
    this.total += total;
    this.sentTotal += total;
    if (marked === 0) return;
    this.marks[this.place] += marked;
    this.marked += marked;
    this.sentMarked += marked;
  }

  /** Drops what is too old; call it before reading. */
  expire(now: number): void {
    if (now < this.newestUntil) return;
    const bucket = Math.floor(now / this.bucketMs);
    if (bucket <= this.newest) return;
    const first = Math.max(this.newest + 1, bucket - buckets + 1);
    for (let each = first; each <= bucket; each++) {
      const at = placeOf(each);
      this.total -= this.totals[at];
      this.marked -= this.marks[at];
      this.totals[at] = 0;
      this.marks[at] = 0;
    }
    this.newest = bucket;
    this.newestUntil = (bucket + 1) * this.bucketMs;
    this.place = placeOf(bucket);
  }

  clear(): void {
    this.totals.fill(0);
    this.marks.fill(0);
    this.total = 0;
    this.marked = 0;
  }

  /** What was counted since the last call, for a message to whoever adds up all workers: `[total, marked]`. */
  takeUnsent(): [total: number, marked: number] {
    const unsent: [number, number] = [this.sentTotal, this.sentMarked];
    this.sentTotal = 0;
    this.sentMarked = 0;
    return unsent;
  }
}
