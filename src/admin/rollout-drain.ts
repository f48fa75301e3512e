import type { InstanceFigures, WorkerFigures } from '../core/figures.ts';
import type { Clock } from '../services/types.ts';
import { pause } from './rollout-probe.ts';
import type { LeftOver } from './rollout-types.ts';

const lookMs = 250;
/** How often is told what still runs, ms. */
const tellMs = 5_000;

/** An instance as a configuration names it: before its name is resolved. */
export interface Endpoint {
  /** `instanceKey` without an address. */
  readonly key: string;
  /** For people: the target's normal form. */
  readonly href: string;
}

export interface DrainOptions {
  readonly figures: () => Promise<readonly WorkerFigures[]>;
  readonly clock: Clock;
  readonly drainMs: number;
  readonly signal: AbortSignal;
  /** Told at first, and each 5 s, of what still runs. */
  readonly onLeft: (left: readonly LeftOver[]) => void;
}

/**
 * Watches instances that get no new requests until nothing runs on them, or the time is over. Nothing is cut.
 * @returns those on which something runs still
 */
export async function watchDrain(
  endpoints: readonly Endpoint[],
  { figures, clock, drainMs, signal, onLeft }: DrainOptions,
): Promise<LeftOver[]> {
  const end = clock.now() + drainMs;
  let toldAt = Number.NEGATIVE_INFINITY;
  let calm = 0;
  for (;;) {
    const left = leftOn(endpoints, await figures());
    calm = left.length === 0 ? calm + 1 : 0;
    const now = clock.now();
    // A request may be between two tries just then: it is looked at twice.
    if (calm > 1 || now >= end || signal.aborted) return left;
    if (calm === 0 && now - toldAt >= tellMs) {
      toldAt = now;
      onLeft(left);
    }
    await pause(clock, Math.min(lookMs, end - now), signal);
  }
}

function leftOn(endpoints: readonly Endpoint[], workers: readonly WorkerFigures[]): LeftOver[] {
  const running = new Map<string, number>();
  for (const { key, inFlight } of workers.flatMap(({ instances }): readonly InstanceFigures[] => instances)) {
    const base = withoutAddress(key);
    running.set(base, (running.get(base) ?? 0) + inFlight);
  }
  return endpoints
    .map(({ key, href }) => ({ target: href, inFlight: running.get(key) ?? 0 }))
    .filter(({ inFlight }) => inFlight > 0);
}

/** `http://app:3000@10.0.0.2 {…}` → `http://app:3000 {…}`: an instance's key as it is before its name is resolved. */
export function withoutAddress(key: string): string {
  const space = key.indexOf(' ');
  const head = space < 0 ? key : key.slice(0, space);
  const at = head.indexOf('@');
  return at < 0 ? key : head.slice(0, at) + key.slice(head.length);
}
