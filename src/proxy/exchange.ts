/** One request on its way. Fixed shape; what is not readonly is filled in as it goes, for hooks. */
export interface Exchange {
  readonly request: Request;
  readonly url: URL;
  readonly id: string;
  /** What the runtime gives with it. */
  readonly env: unknown;
  /** Keeps the runtime at it until the promise is done, where it has a way to; never throws. */
  readonly keep: Keep;
  /** Epoch ms. */
  readonly arrivedAt: number;
  /** The route's id; '' for none. */
  route: string;
  /** Whose response it is; '' for one of ours. */
  target: string;
  attempts: number;
  /** What the upstream got the last time; null before. */
  sent: Headers | null;
}

export type Keep = (promise: Promise<unknown>) => void;

/** What Workers give beside a request; other runtimes have none, or another thing. */
export interface RuntimeContext {
  waitUntil?(promise: Promise<unknown>): void;
}

/** @param contextOf may throw, as Hono's getter does where there is none */
export function keepBy(contextOf: () => unknown): Keep {
  return (promise) => {
    try {
      (contextOf() as RuntimeContext | undefined)?.waitUntil?.(promise);
    } catch {
      // There is none: the promise goes on by itself.
    }
  };
}

/** Of time and chance. @param now epoch ms @param chance from 0 up to, not including, 1 */
export function requestIdOf(now: number, chance: number): string {
  return `${now.toString(36)}${Math.floor(chance * 2 ** 40)
    .toString(36)
    .padStart(8, '0')}`;
}
