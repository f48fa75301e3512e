import { findHosts, type HostMatch, type RouteTable } from '../core/table.ts';
import type { Scheme } from '../core/types.ts';

const maxHosts = 2_048;

/**
 * What hosts resolve to in the present table, for those asked for lately: a client that has many hosts on one connection
 * (another proxy) would else pay for a walk through the table with each request. Belongs to one scheme.
 */
export class HostCache {
  private readonly scheme: Scheme;
  private table: RouteTable | null = null;
  private readonly known = new Map<string, HostMatch>();

  constructor(scheme: Scheme) {
    this.scheme = scheme;
  }

  /** As `findHosts`. */
  find(table: RouteTable, authority: string): HostMatch | undefined {
    if (table !== this.table) {
      this.table = table;
      this.known.clear();
    }
    const known = this.known.get(authority);
    if (known !== undefined) return known;
    const found = findHosts(table, this.scheme, authority);
    // Full, it stays as it is until `age`: to put in and take out with each request would cost more than it saves.
    if (found !== undefined && this.known.size < maxHosts) this.known.set(authority, found);
    return found;
  }

  /** Gives room to other hosts, if there is none. */
  age(): void {
    if (this.known.size >= maxHosts) this.known.clear();
  }
}
