import { parseRouteId } from '../core/host.ts';
import type { Ask, Clock } from './manager-types.ts';
import { isAddress } from './wanted.ts';

/** How long the ask URL may take, ms: a handshake waits for it. */
const askMs = 5_000;
/** For how long a no is remembered, ms. */
const noMs = 30_000;
const mostNoes = 10_000;
/** Names that are asked about or ordered for at one time; more are answered with no. */
const mostNames = 100;

/**
 * Asks a URL whether a name may have a certificate, by `GET URL?domain=NAME`: 200 is yes, any other answer no, a redirect, too.
 * @param url http or https; a query of its own is kept
 */
export function askUrl(url: string, get: typeof fetch = fetch): Ask {
  return async (name, signal) => {
    const at = new URL(url);
    at.searchParams.set('domain', name);
    const response = await get(at, { redirect: 'manual', signal, headers: { accept: '*/*' } });
    await response.body?.cancel();
    return response.status === 200;
  };
}

export interface OnDemandOptions {
  readonly clock: Clock;
  readonly ask: Ask;
  readonly log: (line: string) => void;
  /** Counts one issuance; false if the limit is used up. */
  readonly count: () => Promise<boolean>;
  /** Whether a certificate for it may be had so, and is not there. */
  readonly mayHave: (name: string) => boolean;
  /** Whether the workers can have one by now. */
  readonly find: (name: string) => Promise<boolean>;
  /** Whether the last attempt failed not long ago: nobody is asked then, and it does not count. */
  readonly rests: (name: string) => boolean;
  /** Orders one; resolves with whether it is published. */
  readonly order: (name: string) => Promise<boolean>;
}

/** Certificates at the first visit: for names that only a wildcard or `*` route serves. */
export class OnDemand {
  readonly #options: OnDemandOptions;
  readonly #noes = new Map<string, number>();
  readonly #running = new Map<string, Promise<boolean>>();
  readonly #loggedAt = new Map<string, number>();
  readonly #stop = new AbortController();

  constructor(options: OnDemandOptions) {
    this.#options = options;
  }

  /** @param name as a client's SNI says it. Resolves with whether it is worth looking again. Never rejects. */
  has(name: string): Promise<boolean> {
    const known = this.#running.get(name);
    if (known !== undefined) return known;
    if (!isOrderable(name) || !this.#options.mayHave(name) || this.#isNo(name) || this.#running.size >= mostNames)
      return Promise.resolve(false);
    const run = this.#get(name)
      .catch((error) => {
        this.#log(name, (error as Error).message);
        return false;
      })
      .finally(() => this.#running.delete(name));
    this.#running.set(name, run);
    return run;
  }

  async #get(name: string): Promise<boolean> {
    const { count, find, order, rests } = this.#options;
    if (await find(name)) return true;
    if (rests(name)) return false;
    if (!(await this.isGranted(name))) return false;
    if (!(await count())) {
      this.#log(name, 'refused: the limit of certificates on demand for an hour is used up');
      return false;
    }
    return order(name);
  }

  /** Asks, or remembers a no. Never rejects: who can't be asked has not said yes. */
  async isGranted(name: string): Promise<boolean> {
    const { clock, ask } = this.#options;
    if (this.#isNo(name) || this.#stop.signal.aborted) return false;
    const late = new AbortController();
    const signal = AbortSignal.any([late.signal, this.#stop.signal]);
    const cancel = clock.after(askMs, () => late.abort(new Error(`no answer within ${askMs / 1000} seconds`)));
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    const yes = await Promise.race([ask(name, signal), ended])
      .catch((error) => {
        if (!this.#stop.signal.aborted) this.#log(name, `refused: the ask URL could not be asked: ${reasonOf(error)}`);
        return false;
      })
      .finally(cancel);
    if (!yes) this.#remember(name);
    return yes;
  }

  /** Each thing once a minute: strangers choose the names, and must not fill the log. */
  #log(name: string, what: string): void {
    const now = this.#options.clock.now();
    if (now < (this.#loggedAt.get(what) ?? 0) + 60_000) return;
    if (this.#loggedAt.size >= 100) this.#loggedAt.clear();
    this.#loggedAt.set(what, now);
    this.#options.log(`certificate ${name}: on demand: ${what}`);
  }

  /** Ends all questions: they are answered with no. */
  stop(): void {
    this.#stop.abort(new Error('this server stops'));
  }

  #isNo(name: string): boolean {
    return (this.#noes.get(name) ?? 0) > this.#options.clock.now();
  }

  #remember(name: string): void {
    if (this.#noes.size >= mostNoes) this.#noes.clear();
    this.#noes.set(name, this.#options.clock.now() + noMs);
  }
}

/** fetch says only `fetch failed`; what happened is in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? `${message}: ${cause.message}` : message;
}

/** Whether it is a name in normal form that a certificate could be for: letters, digits and hyphens, and no address. */
export function isOrderable(name: string): boolean {
  if (isAddress(name) || name.length > 253) return false;
  const id = parseRouteId(name);
  if (typeof id === 'string' || id.host !== name || id.host.startsWith('*')) return false;
  return name.split('.').every((label) => /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label));
}
