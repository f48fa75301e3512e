import type { HealthFlip } from '../core/health.ts';
import { type HealthCheck, healthKey } from '../core/health-check.ts';
import { parseTarget } from '../core/target.ts';
import type { HealthMonitor, MonitorItem } from './monitor.ts';
import type { Registry } from './registry-types.ts';
import type { PoolMember, ServicePool } from './types.ts';

export interface ServiceHealthOptions {
  readonly registry: Registry;
  readonly monitor: HealthMonitor;
  /** How the instances of a service are probed; null: not at all. To be followed by `checksChanged` when it is another. */
  readonly checkOf: (slug: string) => HealthCheck | null;
}

/** Keeps the monitor at work on all registered instances, and their states as it finds them. */
export class ServiceHealth {
  readonly #options: ServiceHealthOptions;
  /** Which instances a probe speaks for: two services may have one address. */
  readonly #idsOf = new Map<string, Set<string>>();
  /** What each slug has in it: key by instance id. */
  readonly #followed = new Map<string, ReadonlyMap<string, string>>();
  #unwatch = () => {};

  constructor(options: ServiceHealthOptions) {
    this.#options = options;
  }

  /** To be called when the registry has been started. */
  start(): void {
    const { registry } = this.#options;
    this.#unwatch = registry.watch(({ pools, gone }) => {
      for (const pool of pools) this.#follow(pool);
      for (const slug of gone) this.#follow({ slug, members: [] });
    });
    this.checksChanged();
  }

  /** Probes all services as they are to be probed now. */
  checksChanged(): void {
    for (const pool of this.#options.registry.pools()) this.#follow(pool);
  }

  /** To be told of each flip of the monitor. */
  flipped(key: string, { to, reason }: HealthFlip): void {
    for (const id of this.#idsOf.get(key) ?? [])
      this.#options.registry.setStatus(id, to, to === 'Healthy' ? '' : reason);
  }

  stop(): void {
    this.#unwatch();
  }

  #follow({ slug, members }: ServicePool): void {
    const { monitor, registry, checkOf } = this.#options;
    const check = checkOf(slug);
    const items = check === null ? [] : members.map((member) => itemOf(member, check));
    const before = this.#followed.get(slug);
    const keys = new Map(items.map(({ key }, at) => [members[at].id, key]));
    for (const [id, key] of before ?? []) if (keys.get(id) !== key) this.#forget(id, key);
    if (keys.size > 0) this.#followed.set(slug, keys);
    else this.#followed.delete(slug);
    monitor.follow(`service ${slug}`, items);
    for (const [id, key] of keys) {
      if (before?.get(id) === key) continue;
      this.#idsOf.set(key, (this.#idsOf.get(key) ?? new Set()).add(id));
      // Where another has its address, more may be known than the registry knows.
      const { state, reason } = monitor.health(key)!;
      if (state !== 'Unknown') registry.setStatus(id, state, reason);
    }
  }

  #forget(id: string, key: string): void {
    const ids = this.#idsOf.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.#idsOf.delete(key);
  }
}

function itemOf(member: PoolMember, check: HealthCheck): MonitorItem {
  const target = parseTarget(member.url);
  // The registry keeps urls in normal form only.
  if (typeof target === 'string') throw new TypeError(`${member.url} ${target}`);
  const { status, details, statusSince } = member;
  return {
    ...{ key: healthKey(target.href, check), target, address: '', insecureSkipVerify: false, check },
    known: { state: status, since: statusSince, reason: details },
  };
}
