import { isIP } from 'node:net';
import { systemClock } from '../clock.ts';
import type { AddressAnswer, Family, NameResolver, NameSource, Resolved, ResolverOptions } from './resolver-types.ts';
import type { Clock } from './types.ts';

const second = 1_000;
const ttlMs = { least: second, most: 3_600 * second };
/** For what comes from the system, which says no TTL. */
const systemTtlMs = 10 * second;
const failureMs = { least: second, most: 30 * second };
/** How long addresses from before serve while look-ups fail, ms; `gone`: while DNS says that there is no such name. */
const staleMs = { failing: 86_400 * second, gone: 60 * second };
/** After which nobody is said to ask any more, ms. */
const idleMs = 600 * second;
/** The longest that anybody waits, ms. The look-up goes on. */
const waitMs = 5 * second;
/** How long one family waits for the other the first time, ms: some servers never answer for AAAA. */
const otherFamilyMs = 300;
const maxNames = 10_000;

interface Entry {
  readonly name: string;
  resolved: Resolved | undefined;
  /** The last good answers. */
  byFamily: Partial<Record<Family, readonly string[]>>;
  /** There has been a good answer. */
  wasGood: boolean;
  /** When the first of the failures in a row was, epoch ms. */
  failingSince: number;
  askedAt: number;
  failures: number;
  flight: Promise<Resolved> | undefined;
  cancel: () => void;
}

/** What one look-up brought. */
type Found =
  | { readonly ttlMs: number; readonly byFamily: Entry['byFamily'] }
  | { readonly fault: string; readonly isGone: boolean };

/** @see NameResolver */
export function createNameResolver(options: ResolverOptions): NameResolver {
  return new LazyResolver(options);
}

class LazyResolver implements NameResolver {
  readonly #options: ResolverOptions;
  readonly #source: NameSource;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
    this.#source = options.source;
    this.#clock = options.clock ?? systemClock;
  }

  async resolve(text: string): Promise<Resolved> {
    const known = this.peek(text);
    if (known !== undefined) return known;
    const name = normalize(text);
    const { flight } = this.#entries.get(name)!;
    let cancel = () => {};
    const late = new Promise<Resolved>((resolve) => {
      cancel = this.#clock.after(waitMs, () => resolve(this.#failed(name, 'DNS does not answer')));
    });
    return Promise.race([flight!, late]).finally(() => cancel());
  }

  peek(text: string): Resolved | undefined {
    const name = normalize(text);
    if (isIP(name) !== 0) return { name, addresses: [name], fault: '', until: Number.POSITIVE_INFINITY };
    const entry = this.#entries.get(name) ?? this.#open(name);
    if (entry === undefined) return this.#failed(name, `more than ${maxNames} names are in use`);
    if (this.#stopped && entry.flight === undefined) return entry.resolved ?? this.#failed(name, 'this server stops');
    entry.askedAt = this.#clock.now();
    // A timer may be late, or a machine has slept: what is over is asked for again, and serves until there is an answer.
    if (entry.resolved === undefined || entry.resolved.until <= this.#clock.now()) void this.#refresh(entry);
    return entry.resolved;
  }

  stop(): void {
    this.#stopped = true;
    for (const entry of this.#entries.values()) entry.cancel();
  }

  #open(name: string): Entry | undefined {
    if (this.#entries.size >= maxNames) return undefined;
    const entry: Entry = {
      ...{ name, resolved: undefined, byFamily: {}, wasGood: false, failures: 0, failingSince: 0, flight: undefined },
      askedAt: this.#clock.now(),
      cancel: () => {},
    };
    this.#entries.set(name, entry);
    return entry;
  }

  #failed(name: string, fault: string): Resolved {
    return { name, addresses: [], fault, until: this.#clock.now() };
  }

  #refresh(entry: Entry): Promise<Resolved> {
    entry.flight ??= this.#lookUp(entry).finally(() => {
      entry.flight = undefined;
    });
    return entry.flight;
  }

  async #lookUp(entry: Entry): Promise<Resolved> {
    entry.cancel();
    const found = await this.#find(entry);
    const before = entry.resolved;
    const resolved = 'fault' in found ? this.#noteFailure(entry, found) : this.#noteGood(entry, found);
    entry.resolved = resolved;
    if (this.#stopped) return resolved;
    this.#again(entry, resolved.until - this.#clock.now());
    if (String(before?.addresses) !== String(resolved.addresses)) this.#options.onChange(resolved);
    return resolved;
  }

  #again(entry: Entry, ms: number): void {
    entry.cancel = this.#clock.after(ms, () => {
      if (this.#clock.now() - entry.askedAt < idleMs) void this.#refresh(entry);
      else this.#entries.delete(entry.name);
    });
  }

  #noteGood(entry: Entry, { ttlMs, byFamily }: Extract<Found, { ttlMs: number }>): Resolved {
    if (entry.failures > 0) this.#options.log(`names: ${entry.name} resolves again`);
    const now = this.#clock.now();
    Object.assign(entry, { failures: 0, wasGood: true, byFamily });
    return { name: entry.name, addresses: sorted(Object.values(byFamily).flat()), fault: '', until: now + ttlMs };
  }

  #noteFailure(entry: Entry, { fault, isGone }: Extract<Found, { fault: string }>): Resolved {
    if (entry.failures === 0) this.#options.log(`names: ${entry.name} does not resolve: ${fault}`);
    const now = this.#clock.now();
    const until = now + Math.min(failureMs.least * 2 ** entry.failures, failureMs.most);
    if (entry.failures === 0) entry.failingSince = now;
    entry.failures += 1;
    const isStale = now - entry.failingSince > (isGone ? staleMs.gone : staleMs.failing);
    const addresses = isStale ? [] : (entry.resolved?.addresses ?? []);
    return { name: entry.name, addresses, fault, until };
  }

  async #find(entry: Entry): Promise<Found> {
    const { name } = entry;
    if (name === 'localhost' || name.endsWith('.localhost')) {
      // RFC 6761 §6.3: never asked for. A hosts file may know which of the two the system has.
      const own = this.#source.hosts(name);
      return fromSystem(own.length > 0 ? own : ['127.0.0.1']);
    }
    const fixed = this.#source.hosts(name);
    if (fixed.length > 0) return fromSystem(fixed);
    const found = await this.#askDns(entry);
    if (!('fault' in found)) return found;
    // The system may know more: search domains, mDNS, a container's own names.
    const system = await this.#source.lookUp(name).catch(() => []);
    return system.length > 0 ? fromSystem(system) : found;
  }

  async #askDns(entry: Entry): Promise<Found> {
    const families: readonly Family[] = [4, 6];
    const asked = families.map((family) => this.#source.resolve(entry.name, family).catch((error: Error) => error));
    const answers = entry.wasGood ? await Promise.all(asked) : await this.#inTime(asked);
    const byFamily: Entry['byFamily'] = {};
    let least = ttlMs.most;
    let fault: Error | undefined;
    for (const [at, family] of families.entries()) {
      const answer = answers[at];
      if (answer instanceof Error) {
        fault = fault === undefined || isGone(fault) ? answer : fault;
        // The other family's answer is no word on this one.
        const before = entry.byFamily[family];
        if (before !== undefined && !isGone(answer)) byFamily[family] = before;
      } else if (answer.addresses.length > 0) {
        byFamily[family] = answer.addresses;
        least = Math.min(least, answer.ttlSeconds * second);
      }
    }
    const isAnswered = answers.some((answer) => !(answer instanceof Error) && answer.addresses.length > 0);
    if (isAnswered) return { ttlMs: Math.max(least, ttlMs.least), byFamily };
    if (fault !== undefined && !isGone(fault)) return { fault: textOf(fault), isGone: false };
    return { fault: fault === undefined ? 'it has no address' : textOf(fault), isGone: true };
  }

  /** Both answers, or the one that has addresses and, soon after it, no word of the other. */
  async #inTime(asked: readonly Promise<AddressAnswer | Error>[]): Promise<(AddressAnswer | Error)[]> {
    let cancel = () => {};
    const enough = new Promise<void>((resolve) => {
      for (const one of asked)
        void one.then((answer) => {
          if (!(answer instanceof Error) && answer.addresses.length > 0)
            cancel = this.#clock.after(otherFamilyMs, resolve);
        });
    });
    const late = enough.then(() => new Error('no answer in time'));
    const answers = await Promise.all(asked.map((one) => Promise.race([one, late])));
    cancel();
    return answers;
  }
}

function fromSystem(addresses: readonly string[]): Found {
  return {
    ttlMs: systemTtlMs,
    byFamily: {
      4: addresses.filter((address) => isIP(address) === 4),
      6: addresses.filter((address) => isIP(address) === 6),
    },
  };
}

function normalize(name: string): string {
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name;
  return (bare.endsWith('.') ? bare.slice(0, -1) : bare).toLowerCase();
}

/** Always in the same order: who shuffles its answers has not changed them. */
function sorted(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].sort();
}

function isGone(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOTFOUND';
}

function textOf(error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOTFOUND') return 'there is no such name';
  return code === undefined ? message : `DNS answers ${code}`;
}
