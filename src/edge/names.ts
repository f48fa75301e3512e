import { isIP, type LookupFunction } from 'node:net';
import { createNameSource } from '../services/name-source.ts';
import { isLocalName, reachable } from '../services/own-address.ts';
import { createNameResolver } from '../services/resolver.ts';
import type { NameResolver, NameSource } from '../services/resolver-types.ts';

/** Of a target that needs none: an address, or a name that is its own machine. */
const itself: readonly string[] = [''];

/** The addresses that targets' names lead to. Nothing is looked up, and nobody to do so is made, before the first name is met. */
export class Names {
  private readonly onChange: (name: string) => void;
  private readonly log: (line: string) => void;
  private readonly source: NameSource | undefined;
  private resolver: NameResolver | undefined;

  /** @param onChange told of a name that leads elsewhere now */
  constructor(onChange: (name: string) => void, log: (line: string) => void, source?: NameSource) {
    this.onChange = onChange;
    this.log = log;
    this.source = source;
  }

  /**
   * What is to be connected to for a target's hostname, at once: each of its addresses; or '', for whichever the look-up of the connection
   * brings, where they are not known (which this then sees to), there are none, or it is an address itself.
   */
  addressesOf(hostname: string): readonly string[] {
    if (!hasAddresses(hostname)) return itself;
    const resolved = this.all().peek(hostname);
    if (resolved === undefined || resolved.addresses.length === 0) return itself;
    return reachable(resolved.addresses);
  }

  /** For connections to a name: never takes a thread that others wait for. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.all()
      .resolve(hostname)
      .then(({ addresses, fault }) => {
        const usable = reachable(addresses).map((address) => ({ address, family: isIP(address) }));
        const fitting = usable.filter(({ family }) => !options.family || family === familyOf(options.family));
        if (fitting.length === 0) {
          const error = new Error(`${hostname} does not resolve: ${fault || 'it has no address of this kind'}`);
          callback(Object.assign(error, { code: 'ENOTFOUND' }), '');
        } else if (options.all) callback(null, fitting);
        else callback(null, fitting[0].address, fitting[0].family);
      });
  };

  private all(): NameResolver {
    this.resolver ??= createNameResolver({
      source: this.source ?? createNameSource(),
      onChange: ({ name }) => this.onChange(name),
      log: this.log,
    });
    return this.resolver;
  }

  stop(): void {
    this.resolver?.stop();
  }
}

/** Whether a target's hostname leads to addresses that are instances of their own. Of localhost both families are tried, each time: they are one. */
export function hasAddresses(hostname: string): boolean {
  return isIP(hostname) === 0 && !isLocalName(hostname);
}

function familyOf(family: number | 'IPv4' | 'IPv6'): number {
  return family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
}
