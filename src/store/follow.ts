import type { ConfigurationState } from '../admin/resources.ts';
import type { FollowOptions, OnRoutes, RequestContext } from './types.ts';

const defaultWatchMs = 1_000;
const defaultPullMs = 5_000;
/** After failures ever more slowly, up to this, ms. */
const longestMs = 30_000;
const mostMs = 2 ** 31 - 1;

/** Where a follower looks. */
export interface Followed {
  readonly where: string;
  /** What is stored now. @throws StoreError */
  look(): Promise<ConfigurationState>;
}

/** Hands routes on whenever they are others, and tells the first of a row of failures. */
class Follower {
  readonly #followed: Followed;
  readonly #onRoutes: OnRoutes;
  readonly #onError: (error: Error) => unknown;
  #told: number | undefined;
  #failed = false;
  stopped = false;

  constructor(followed: Followed, onRoutes: OnRoutes, { onError }: FollowOptions, known: number | undefined) {
    if (typeof onRoutes !== 'function') throw new TypeError('onRoutes is no function; expected (routes) => …');
    if (onError !== undefined && typeof onError !== 'function')
      throw new TypeError('onError is no function; expected (error) => …');
    this.#followed = followed;
    this.#onRoutes = onRoutes;
    this.#onError =
      onError ?? ((error) => console.error(`oo: routes of ${followed.where} stay as they are: ${error.message}`));
    this.#told = known;
  }

  get hasTold(): boolean {
    return this.#told !== undefined;
  }

  /** @throws whatever `onRoutes` throws, or the store */
  async follow(): Promise<void> {
    const { routes, revision } = await this.#followed.look();
    if (this.stopped || revision === this.#told) return;
    const taking = this.#onRoutes(routes, revision);
    // Not before it is done: a request that is cut short meanwhile would leave these routes untold, and others would go on without any.
    if (isPromise(taking)) await taking;
    this.#told = revision;
  }

  /** Likewise. @returns whether it went well; if not, `onError` was told */
  async tryFollow(): Promise<boolean> {
    try {
      await this.follow();
      this.#failed = false;
      return true;
    } catch (error) {
      if (!this.#failed && !this.stopped) this.#tell(error as Error);
      this.#failed = true;
      return false;
    }
  }

  /** What it throws, or rejects with, ends no watch, and no process. */
  #tell(error: Error): void {
    const failed = (own: unknown) =>
      console.error(`oo: onError of ${this.#followed.where} has thrown ${own}, told of: ${error.message}`);
    try {
      const telling = this.#onError(error);
      if (isPromise(telling)) telling.then(undefined, failed);
    } catch (own) {
      failed(own);
    }
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

export interface Watch {
  /** Looks at once. */
  wake(): void;
  stop(): void;
}

/** Looks by a timer. @param known the revision that need not be told */
export function startWatch(
  followed: Followed,
  onRoutes: OnRoutes,
  options: FollowOptions,
  known: number | undefined,
): Watch {
  const periodMs = proveEveryMs(options.everyMs, defaultWatchMs);
  // Its timers end with the request that starts them.
  if (globalThis.navigator?.userAgent === 'Cloudflare-Workers')
    throw new TypeError('watch has no timer on Workers, which work only within a request; use pull');
  const follower = new Follower(followed, onRoutes, options, known);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let delayMs = periodMs;
  let isLooking = false;
  let again = false;

  async function look(): Promise<void> {
    clearTimeout(timer);
    again = isLooking;
    if (isLooking) return;
    isLooking = true;
    const well = await follower.tryFollow();
    isLooking = false;
    delayMs = well ? periodMs : slower(delayMs, periodMs);
    if (!follower.stopped) schedule(again ? 0 : delayMs);
  }

  function schedule(ms: number): void {
    timer = setTimeout(look, ms);
    letGo(timer);
  }

  schedule(known === undefined ? 0 : periodMs);
  return {
    wake: () => void look(),
    stop() {
      follower.stopped = true;
      clearTimeout(timer);
    },
  };
}

/**
 * Looks when it is called. Requests share no promise: one that is cut short, as a Worker's may be, must hold no other up.
 * @param now ms, of any beginning
 */
export function createPull(followed: Followed, onRoutes: OnRoutes, options: FollowOptions, now: () => number) {
  const everyMs = proveEveryMs(options.everyMs, defaultPullMs);
  const follower = new Follower(followed, onRoutes, options, undefined);
  let lookedAt = 0;
  let delayMs = everyMs;

  return async (context?: RequestContext): Promise<void> => {
    if (!follower.hasTold) {
      lookedAt = now();
      return follower.follow();
    }
    const passedMs = now() - lookedAt;
    // Less than none: the clock was put back.
    if (passedMs >= 0 && passedMs < delayMs) return;
    lookedAt = now();
    const looking = follower.tryFollow().then((well) => {
      delayMs = well ? everyMs : slower(delayMs, everyMs);
    });
    if (context === undefined) await looking;
    else context.waitUntil(looking);
  };
}

/** After a failure. */
function slower(delayMs: number, periodMs: number): number {
  return Math.min(delayMs * 2, Math.max(longestMs, periodMs));
}

function proveEveryMs(everyMs: number | undefined, otherwise: number): number {
  if (everyMs === undefined) return otherwise;
  if (Number.isFinite(everyMs) && everyMs >= 100 && everyMs <= mostMs) return everyMs;
  throw new TypeError(`everyMs is '${everyMs}'; expected milliseconds, 100 or more`);
}

/** A watch alone keeps no process alive. */
function letGo(timer: unknown): void {
  const { Deno } = globalThis as { Deno?: { unrefTimer(id: number): void } };
  if (typeof timer === 'number') Deno?.unrefTimer(timer);
  else (timer as { unref?(): void }).unref?.();
}
