import { pickFrom } from '../core/balance-pick.ts';
import { compilePool, invalidatePool, type MemberSpec, type Pool, refreshPool } from '../core/balance-pool.ts';
import type { Members, PoolTarget } from '../core/pool-types.ts';
import { compileSticky, pickSticky, type Sticky } from '../core/sticky.ts';
import type { Choice } from './choice.ts';
import { clock } from './clock.ts';
import { hasAddresses } from './names.ts';
import type { EdgePool } from './pool.ts';
import { EdgeMember } from './pool-member.ts';
import { stickyToken } from './sticky-token.ts';

const nothing: readonly string[] = [];

/** The members of a pool, or of its canary: instances of its own, or a service's pool. */
export class PoolSide {
  /** Null: the members are a service's. */
  pool: Pool<EdgeMember> | null = null;
  /** Those of its targets' hostnames that lead to addresses. */
  readonly names: readonly string[];
  private readonly owner: EdgePool;
  private readonly members: Members;
  /** Null until somebody comes with a cookie, or needs one. */
  private sticky: Sticky<EdgeMember> | null = null;

  constructor(owner: EdgePool, members: Members, before?: PoolSide | null) {
    this.owner = owner;
    this.members = members;
    const names = members.targets.map(({ target }) => target.hostname).filter(hasAddresses);
    this.names = names.length === 0 ? nothing : names;
    if (members.service === '') this.rebuild(before?.pool ?? undefined);
  }

  /** Whose members they are: another pool than the owner where they are a service's; undefined where that is not known. */
  get picking(): EdgePool | undefined {
    const { service } = this.members;
    return service === '' ? this.owner : this.owner.edge.pools.servicePool(service);
  }

  /** @see EdgePool.pick */
  pick(choice: Choice, tried: readonly EdgeMember[], now: number): EdgeMember | undefined {
    const { pool, owner } = this;
    if (pool === null) return this.picking?.pick(choice, tried, now);
    if (owner.isService && this.isDown(pool, now)) return undefined;
    if (choice.token !== undefined && owner.spec.settings.sticky !== '') {
      const member = pickSticky(pool, this.stickiness(pool), choice.token, tried);
      if (member !== undefined) return member;
    }
    return pickFrom(pool, tried, choice.key, now, Math.random);
  }

  /** Probes reach none of them. A service says so; a route still tries, as nobody may have asked for probes. */
  private isDown(pool: Pool<EdgeMember>, now: number): boolean {
    if (now >= pool.refreshAt) refreshPool(pool, now);
    return pool.healthy === 0 && pool.members.every(({ instance }) => instance.instance.down);
  }

  /** Some of them would do, if they were not busy. */
  isBusy(): boolean {
    const { pool } = this;
    if (pool === null) return this.picking?.isBusy() === true;
    return pool.active.some(({ instance }) => instance.instance.busy);
  }

  stickyToken(member: EdgeMember): string | undefined {
    const { pool } = this;
    if (pool === null) return this.picking?.stickyToken(member);
    return this.owner.spec.settings.sticky === '' ? undefined : this.stickiness(pool).tokens.get(member);
  }

  /** A sticky cookie's value is of one of its members. */
  knows(token: string): boolean {
    const { pool } = this;
    if (pool === null) return this.picking?.sideOf(token) !== undefined;
    return this.owner.spec.settings.sticky !== '' && this.stickiness(pool).instances.has(token);
  }

  private stickiness(pool: Pool<EdgeMember>): Sticky<EdgeMember> {
    if (this.sticky === null) {
      const { edge, name } = this.owner;
      const signs = edge.pools.secrets.map((secret) => (address: string) => stickyToken(secret, name, address));
      this.sticky = compileSticky(pool, signs);
    }
    return this.sticky;
  }

  /** Looks at its members anew: what their names lead to has changed. What stays keeps its state. */
  rebuild(before = this.pool ?? undefined): void {
    const { owner, members } = this;
    if (members.service !== '') return;
    const known = new Map(before?.members.map(({ instance }) => [instance.address, instance]));
    const specs = members.targets.flatMap((target) => this.expand(target, known));
    this.pool = compilePool(specs, owner.spec.settings.balancing, clock.now, Math.random, before);
    this.sticky = null;
  }

  /** One member; for a name whose addresses are known one for each, which share its weight. */
  private expand(
    { target, weight, priority }: PoolTarget,
    known: ReadonlyMap<string, EdgeMember>,
  ): MemberSpec<EdgeMember>[] {
    const { edge, route, spec } = this.owner;
    const addresses = edge.pools.addressesOf(target.hostname);
    return addresses.map((at) => {
      const address = at === '' ? target.href : `${target.href}@${at}`;
      const instance = edge.pools.instanceFor(
        target,
        route.route.insecureSkipVerify === true,
        spec.settings.instance,
        at,
      );
      const before = known.get(address);
      // Of the same address is of an equal target: who has been tried stays known.
      const member = before?.instance === instance ? before : new EdgeMember(instance, target, address);
      return { instance: member, weight: weight / addresses.length, priority };
    });
  }

  /** The health of one of them has changed. */
  invalidate(): void {
    if (this.pool !== null) invalidatePool(this.pool);
  }

  /** Keys of its instances, where there are several. */
  keys(): string[] | undefined {
    const { pool } = this;
    if (pool === null || pool.members.length < 2) return undefined;
    return pool.members.map(({ instance }) => instance.instance.key);
  }

  /** Its instances' keys with what they weigh now. */
  weights(): [key: string, weight: number][] {
    const { pool } = this;
    if (pool === null) return this.picking?.weights() ?? [];
    if (clock.now >= pool.refreshAt) refreshPool(pool, clock.now);
    return pool.members.map(({ instance, active, effective }) => [instance.instance.key, active ? effective : 0]);
  }

  get state(): string {
    const { pool } = this;
    if (pool === null) return this.picking?.state ?? 'none';
    if (clock.now >= pool.refreshAt) refreshPool(pool, clock.now);
    return pool.state;
  }
}
