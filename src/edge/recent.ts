import type { RequestHead } from '../core/impact.ts';
import type { AskedHost } from './asked-host.ts';
import { tickMs } from './clock.ts';
import type { RequestRegisters } from './request-head.ts';
import { pathText } from './request-text.ts';

/** About so many heads a second are kept of a busy worker's requests. */
const perSecond = 100;
const perTick = Math.round((perSecond * tickMs) / 1_000);
/** Longer ones are no example that helps anybody, and would fill the memory. */
const longestHost = 260;
const longestPath = 512;
/** More requests than come between two ticks; small enough to stay a machine's integer. */
const never = 2 ** 30;
/** Requests that one of those that are kept may stand for. */
const mostStride = 2 ** 20;

/**
 * The heads of the last requests: scheme, method, host and path, for the question what a change of the configuration would do to them. Each
 * request pays for one count-down, and allocates nothing: where there are many, only some are kept, chosen at random so that what
 * clients repeat in turn is met as it comes.
 */
export class RecentHeads {
  /** How many requests pass before the next one is kept: `if (recent.skip-- === 0) recent.note(…)`. */
  skip: number;
  private heads: RequestHead[] = [];
  private size: number;
  /** Where the next one goes, once all places are taken. */
  private next = 0;
  /** One of how many is kept. */
  private stride = 1;
  /** Since the last tick: kept, and how many those stand for. */
  private kept = 0;
  private seen = 0;
  private readonly random: () => number;

  /** @param size how many are kept; 0 for none */
  constructor(size = 0, random: () => number = Math.random) {
    this.size = size;
    this.skip = size > 0 ? 0 : never;
    this.random = random;
  }

  /** Keeps the newest of those that are there. @param size how many are kept from now on; 0 for none */
  resize(size: number): void {
    if (size === this.size) return;
    this.heads = size === 0 ? [] : this.list().slice(-size);
    this.size = size;
    this.next = 0;
    this.skip = size > 0 ? 0 : never;
  }

  /** Keeps the request whose head is in `buffer`; those of the service port, where routes have no say, are passed over. */
  note(asked: AskedHost, buffer: Buffer, head: RequestRegisters): void {
    if (this.size === 0) {
      this.skip = never;
      return;
    }
    this.seen += this.stride;
    // What has begun since the last tick: each time as many again have come, half of them are kept.
    if (++this.kept % perTick === 0 && this.stride < mostStride) this.stride *= 2;
    this.skip = this.stride === 1 ? 0 : Math.floor(this.random() * (2 * this.stride - 1));
    const { authority: host, scheme, service } = asked;
    if (service || host.length > longestHost || head.pathEnd - head.pathStart > longestPath) return;
    const method = buffer.toString('latin1', head.methodStart, head.methodEnd);
    this.put({ scheme, method, host, path: pathText(buffer, head) });
  }

  private put(head: RequestHead): void {
    if (this.heads.length < this.size) {
      this.heads.push(head);
      return;
    }
    this.heads[this.next] = head;
    this.next = (this.next + 1) % this.size;
  }

  /** Called with each tick of the clock: what comes in the next one is taken to be as much as came in the last. */
  onTick(): void {
    if (this.size === 0) {
      this.skip = never;
      return;
    }
    const stride = this.kept > 0 ? Math.ceil(this.seen / perTick) : Math.floor(this.stride / 2);
    this.stride = Math.min(mostStride, Math.max(1, stride));
    this.kept = 0;
    this.seen = 0;
    this.skip = Math.max(0, Math.min(this.skip, 2 * this.stride - 2));
  }

  /** The oldest first. */
  list(): readonly RequestHead[] {
    return [...this.heads.slice(this.next), ...this.heads.slice(0, this.next)];
  }
}
