import { instanceKey } from '../core/pool-compile.ts';
import type { InstanceSettings } from '../core/pool-types.ts';
import type { Target } from '../core/types.ts';

/** How often it is made anew at most, ms, while changes go on. */
const remakeMs = 1_000;

/** An instance of a pool; its target's name may stand for several. */
export interface IndexMember {
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
  readonly settings: InstanceSettings;
}

export interface PoolIndexOptions {
  /** All pools that have more than one member, as they are now. */
  readonly pools: () => Iterable<readonly IndexMember[]>;
  /** The addresses of a name; empty where they are not known. */
  readonly addresses: (name: string) => readonly string[];
  /** Ms of a steady clock. */
  readonly steady: () => number;
}

/** Which pools an instance is in. Made when it is asked for, which is rare: a hundred thousand routes need no upkeep. */
export class PoolIndex {
  readonly #options: PoolIndexOptions;
  /** By key without address. */
  #pools: Map<string, (readonly IndexMember[])[]> | undefined;
  #isStale = false;
  #madeAt = 0;

  constructor(options: PoolIndexOptions) {
    this.#options = options;
  }

  /** To be told of every change of routes, services and definitions. */
  changed(): void {
    this.#isStale = true;
  }

  /** The keys in each pool that an instance is in, its own among them. */
  of(key: string): string[][] {
    const base = key.replace(/^([^@ ]+)@[^ ]+/, '$1');
    const pools = this.#current().get(base) ?? [];
    return pools.map((members) => {
      const keys = new Set(members.flatMap((member) => this.#keysOf(member)));
      // A worker may know an address that is not known here.
      if (!keys.has(key)) keys.delete(base);
      return [...keys.add(key)];
    });
  }

  #keysOf({ target, insecureSkipVerify, settings }: IndexMember): string[] {
    const addresses = this.#options.addresses(target.hostname);
    if (addresses.length === 0) return [instanceKey(target, insecureSkipVerify, settings)];
    return addresses.map((address) => instanceKey(target, insecureSkipVerify, settings, address));
  }

  #current(): Map<string, (readonly IndexMember[])[]> {
    const now = this.#options.steady();
    if (this.#pools !== undefined && !(this.#isStale && now - this.#madeAt >= remakeMs)) return this.#pools;
    const pools = new Map<string, (readonly IndexMember[])[]>();
    for (const members of this.#options.pools()) {
      const keys = members.map((one) => instanceKey(one.target, one.insecureSkipVerify, one.settings));
      for (const key of new Set(keys)) {
        const list = pools.get(key);
        if (list === undefined) pools.set(key, [members]);
        else list.push(members);
      }
    }
    this.#pools = pools;
    this.#isStale = false;
    this.#madeAt = now;
    return pools;
  }
}
