import type { Balanced, Load } from '../core/balance-load.ts';
import { pickFrom } from '../core/balance-pick.ts';
import { compilePool, type Pool } from '../core/balance-pool.ts';
import type { Members, PoolSpec } from '../core/pool-types.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { Choice } from './choice.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import type { Instance } from './instance.ts';

/** An instance in one pool: there it has a path and a weight of its own. */
export class EdgeMember implements Balanced {
  /** Unique in the pool. */
  readonly address: string;
  readonly instance: Instance;
  /** With the path that is put before the request's, and the Host that it may be given. */
  readonly target: Target;

  constructor(instance: Instance, target: Target) {
    this.address = `${instance.key}${target.basePath}`;
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

/** What one route or one service can pick from, in this worker. A change of configuration makes a new one, which takes over what is known. */
export class EdgePool {
  readonly name: string;
  readonly spec: PoolSpec;
  readonly route: CompiledRoute;
  /** Null: the members are a service's. */
  readonly main: Pool<EdgeMember> | null;
  readonly canary: Pool<EdgeMember> | null;
  private readonly edge: Edge;

  constructor(edge: Edge, route: CompiledRoute, before?: EdgePool) {
    const { pool: spec } = route;
    this.edge = edge;
    this.route = route;
    this.spec = spec;
    this.name = spec.name;
    this.main = this.compile(spec, before?.main);
    this.canary = spec.canary === null ? null : this.compile(spec.canary, before?.canary);
  }

  private compile({ service, targets }: Members, before?: Pool<EdgeMember> | null): Pool<EdgeMember> | null {
    if (service !== '') return null;
    const { edge, route, spec } = this;
    const specs = targets.map(({ target, weight, priority }) => {
      const instance = edge.instanceFor(target, route.route.insecureSkipVerify === true, spec.settings.instance);
      return { instance: new EdgeMember(instance, target), weight, priority };
    });
    return compilePool(specs, spec.settings.balancing, clock.now, Math.random, before ?? undefined);
  }

  /**
   * Picks a member for one attempt.
   * @param tried those that this request has been sent to
   * @returns undefined when none can take it now
   */
  pick(_choice: Choice, tried: readonly EdgeMember[]): EdgeMember | undefined {
    if (this.main === null) return undefined;
    return pickFrom(this.main, tried, -1, clock.now, Math.random);
  }
}
