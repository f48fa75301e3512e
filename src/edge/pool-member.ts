import type { Balanced, Load } from '../core/balance-load.ts';
import type { Target } from '../core/types.ts';
import type { Instance } from './instance.ts';

/** An instance in one pool: there it has a path and a weight of its own. */
export class EdgeMember implements Balanced {
  /** Unique in the pool, and the same whatever the pool's options: hashes and sticky cookies go by it. */
  readonly address: string;
  readonly instance: Instance;
  /** With the path that is put before the request's, and the Host that it may be given. */
  readonly target: Target;

  constructor(instance: Instance, target: Target, address: string) {
    this.address = address;
    this.instance = instance;
    this.target = target;
  }

  get inFlight(): number {
    return this.instance.inFlight;
  }

  get full(): boolean {
    return this.instance.full;
  }

  get load(): Load {
    return this.instance.load;
  }
}
