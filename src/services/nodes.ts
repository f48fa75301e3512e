import { createHash } from 'node:crypto';
import type { RegistrySettings } from './registry-types.ts';
import type { Clock, Node } from './types.ts';
import type { WriteBehind } from './write-behind.ts';

const beatMs = 30_000;
/** After this long without a heartbeat, ms, a machine is taken off the list. */
const forgetMs = 86_400_000;

export interface NodesOptions {
  readonly settings: RegistrySettings;
  readonly clock: Clock;
  readonly writes: WriteBehind;
}

/** The machines that run oo on this database. */
export class Nodes {
  readonly #options: NodesOptions;
  readonly #id: string;
  readonly #others = new Map<string, { node: Node; seenAt: number }>();
  #beatAt = 0;

  constructor(options: NodesOptions) {
    this.#options = options;
    const { id, url } = options.settings.self;
    this.#id = id || `node_${createHash('sha256').update(url).digest('hex').slice(0, 20)}`;
  }

  self(): Node {
    const { url, az = '' } = this.#options.settings.self;
    return { id: this.#id, url, az, lastHeartbeat: this.#options.clock.now() };
  }

  list(): Node[] {
    const others = [...this.#others.values()].map(({ node }) => node);
    return [this.self(), ...others].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  beat(): void {
    this.#beatAt = this.#options.clock.now();
    this.#options.writes.later(`node ${this.#id}`, () => {
      const value = this.self();
      return { do: 'put', row: { kind: 'node', id: value.id, value } };
    });
  }

  /** To be called often. */
  sweep(): void {
    const { clock, settings, writes } = this.#options;
    const now = clock.now();
    if (settings.shared && Math.abs(now - this.#beatAt) >= beatMs) this.beat();
    for (const [id, { seenAt }] of this.#others) {
      if (now - seenAt < forgetMs) continue;
      this.#others.delete(id);
      writes.later(`node ${id}`, () => ({ do: 'remove', kind: 'node', id }));
    }
  }

  /** What the store says of a machine. */
  take(node: Node): void {
    if (node.id === this.#id || this.#others.get(node.id)?.node.lastHeartbeat === node.lastHeartbeat) return;
    this.#others.set(node.id, { node, seenAt: this.#options.clock.now() });
  }

  forget(id: string): void {
    this.#others.delete(id);
  }
}
