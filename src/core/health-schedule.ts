/** The most that is added to an interval at random, as a part of it. Never taken off: probes are never faster than stated. */
const jitter = 0.1;

/** How many that were removed are remembered, so that who comes back at once is not probed sooner. */
const mostLeft = 10_000;

/** A probe that is under way. */
export interface ProbeTurn<T> {
  readonly key: string;
  readonly item: T;
}

interface Entry<T> {
  readonly key: string;
  item: T;
  intervalMs: number;
  dueAt: number;
  /** Its probe that is under way: meanwhile it has no place in the heap. */
  turn: ProbeTurn<T> | undefined;
  /** When its last probe began; -Infinity before the first. */
  startedAt: number;
  /** Its place in the heap; -1 for none. */
  at: number;
}

/**
 * When each of many probes is due: a heap, so that 10,000 of them need one timer. First ones are spread over a whole interval,
 * later ones drift by up to a tenth of it, so that they never come together. An item never has two probes at once.
 *
 * Times are ms of one steady clock, which the caller reads: `takeDue`, probe, then `finish`, and again at `nextDueAt`.
 */
export class ProbeSchedule<T> {
  private readonly entries = new Map<string, Entry<T>>();
  private readonly heap: Entry<T>[] = [];
  /** When the last probe of those that were removed began, by key. */
  private readonly left = new Map<string, number>();

  get size(): number {
    return this.entries.size;
  }

  /**
   * Adds an item or changes it; one that is there keeps its place in time, unless its new interval is shorter.
   * @param key `healthKey`
   * @param random from 0 up to 1: where in its first interval the first probe falls; 0 for at once, as a deploy needs it
   */
  save(key: string, item: T, intervalMs: number, now: number, random: number): void {
    const known = this.entries.get(key);
    if (known === undefined) {
      const startedAt = this.left.get(key) ?? -Infinity;
      this.left.delete(key);
      const dueAt = Math.max(now + random * intervalMs, startedAt + intervalMs);
      const entry: Entry<T> = { key, item, intervalMs, dueAt, turn: undefined, startedAt, at: -1 };
      this.entries.set(key, entry);
      this.place(entry);
      return;
    }
    known.item = item;
    known.intervalMs = intervalMs;
    const soonest = Math.max(known.startedAt + intervalMs, now);
    if (known.turn !== undefined || known.dueAt <= soonest + intervalMs) return;
    known.dueAt = soonest + random * intervalMs;
    this.up(known);
  }

  /**
   * Forgets an item, but not its pace: what comes and goes is not probed faster. The result of a probe that is under way is then of no
   * interest: `finish` says so.
   */
  remove(key: string): boolean {
    const entry = this.entries.get(key);
    if (entry === undefined) return false;
    this.entries.delete(key);
    if (entry.at >= 0) this.lift(entry);
    if (entry.startedAt !== -Infinity) this.left.set(key, entry.startedAt);
    if (this.left.size > mostLeft) this.left.delete(this.left.keys().next().value as string);
    return true;
  }

  /** When `takeDue` has something to give; Infinity for never. */
  nextDueAt(): number {
    return this.heap[0]?.dueAt ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Starts what is due: the items of the next `max` probes. After a long pause (a machine that slept) everything is due, and
   * the bound keeps it from starting at once.
   * @returns empty if nothing is due; each turn is ended by `finish`
   */
  takeDue(now: number, max: number): ProbeTurn<T>[] {
    const due: ProbeTurn<T>[] = [];
    while (due.length < max && this.nextDueAt() <= now) {
      const entry = this.heap[0];
      this.lift(entry);
      entry.turn = { key: entry.key, item: entry.item };
      entry.startedAt = now;
      due.push(entry.turn);
    }
    return due;
  }

  /**
   * Notes the end of a probe and plans the next: an interval after its start, never before now.
   * @returns whether its result counts: not if the item has meanwhile been removed, or another has come in its place
   */
  finish(turn: ProbeTurn<T>, now: number, random: number): boolean {
    const entry = this.entries.get(turn.key);
    if (entry === undefined || entry.turn !== turn) return false;
    const counts = entry.item === turn.item;
    entry.turn = undefined;
    entry.dueAt = Math.max(entry.startedAt + entry.intervalMs * (1 + random * jitter), now);
    this.place(entry);
    return counts;
  }

  private place(entry: Entry<T>): void {
    entry.at = this.heap.push(entry) - 1;
    this.up(entry);
  }

  private lift(entry: Entry<T>): void {
    const { heap } = this;
    const last = heap.pop();
    const { at } = entry;
    entry.at = -1;
    if (last === undefined || last === entry) return;
    heap[at] = last;
    last.at = at;
    this.up(last);
    this.down(last);
  }

  private up(entry: Entry<T>): void {
    while (entry.at > 0) {
      const parent = this.heap[(entry.at - 1) >> 1];
      if (parent.dueAt <= entry.dueAt) return;
      this.swap(entry, parent);
    }
  }

  private down(entry: Entry<T>): void {
    const { heap } = this;
    for (;;) {
      const left = heap[2 * entry.at + 1];
      const right = heap[2 * entry.at + 2];
      const child = right !== undefined && right.dueAt < left.dueAt ? right : left;
      if (child === undefined || entry.dueAt <= child.dueAt) return;
      this.swap(entry, child);
    }
  }

  private swap(a: Entry<T>, b: Entry<T>): void {
    const { at } = a;
    a.at = b.at;
    b.at = at;
    this.heap[a.at] = a;
    this.heap[b.at] = b;
  }
}
