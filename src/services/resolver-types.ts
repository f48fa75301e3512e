import type { Clock } from './types.ts';

export type Family = 4 | 6;

/** What DNS says of one name and one kind of address. */
export interface AddressAnswer {
  readonly addresses: readonly string[];
  /** The least of all of them, seconds; 0 where there are none. */
  readonly ttlSeconds: number;
}

/** Where names are asked for. */
export interface NameSource {
  /** Addresses of one family; none where the name is there and has none. @throws errors of node:dns; `code` ENOTFOUND: no such name */
  resolve(name: string, family: Family): Promise<AddressAnswer>;
  /**
   * What the system says, with its own files and search domains: for names that DNS does not have.
   * @throws errors of node:dns
   */
  lookUp(name: string): Promise<readonly string[]>;
  /** Addresses that the system's hosts file gives a name, before DNS is asked. Never throws. */
  hosts(name: string): readonly string[];
}

/** What is known of a name now. */
export interface Resolved {
  readonly name: string;
  /** All of them, sorted; no two are equal. Empty: it does not resolve, and `fault` says why. */
  readonly addresses: readonly string[];
  /** Why the last look-up failed; '' if it did not. With addresses, they are those from before. */
  readonly fault: string;
  /** Epoch ms: when it is looked up again. */
  readonly until: number;
}

export interface ResolverOptions {
  readonly source: NameSource;
  /** Told of a name's first addresses, or that it has none, and whenever they are others than before. */
  readonly onChange: (resolved: Resolved) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/**
 * Names and their addresses, each by its own: one that does not resolve, or takes long, holds up nobody else.
 * - Nothing is looked up before somebody asks. After that it is looked up again whenever its TTL is over (held between 1 s and an hour), until
 *   nobody has asked for ten minutes.
 * - While look-ups fail, the addresses from before are served: for a day, or a minute where DNS says that there is no such name.
 * - A failure is kept for a second, then twice as long each time, up to 30 s.
 */
export interface NameResolver {
  /** At once for what is known, else when it is: within 5 s. Never rejects. An address is its own. */
  resolve(name: string): Promise<Resolved>;
  /** What is known now; undefined where a look-up is still under way, which this begins. Counts as asking. */
  peek(name: string): Resolved | undefined;
  /** Nothing is looked up after it, nobody is told. */
  stop(): void;
}
