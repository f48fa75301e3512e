import { isIP } from 'node:net';
import { systemClock } from '../clock.ts';
import type { HealthFlip } from '../core/health.ts';
import type { ServiceOptions, ServiceState } from '../core/pool-types.ts';
import { getRoute, type RouteTable, routesOf } from '../core/table.ts';
import type { CompiledRoute, RouteChange } from '../core/types.ts';
import { DownList } from './down-list.ts';
import { followStore } from './follow-store.ts';
import { HealthKeeper } from './health-keeper.ts';
import { routeMembers, serviceMembers } from './health-members.ts';
import { LineLimit } from './line-limit.ts';
import { HealthMonitor } from './monitor.ts';
import { createNameSource } from './name-source.ts';
import { type Ejected, type OutlierChange, OutlierJudge } from './outlier-judge.ts';
import { isLocalName, reachable } from './own-address.ts';
import { type AddressFlip, addressOf, type InstanceHealth, PoolHealth } from './pool-health.ts';
import { type IndexMember, PoolIndex } from './pool-index.ts';
import { createProbe } from './probe.ts';
import type { Probe } from './probe-types.ts';
import { createRegistry } from './registry.ts';
import type { Registry } from './registry-types.ts';
import { createNameResolver } from './resolver.ts';
import type { NameResolver, NameSource } from './resolver-types.ts';
import { ServiceStates } from './service-states.ts';
import type { Clock, Definition, HealthStore, PoolChanges, RegistryStore } from './types.ts';

const askNamesMs = 120_000;
const tidyMs = 600_000;
/** After which stored states that nobody has asked for are forgotten, ms. */
const tidyStoreMs = 3_600_000;

/** What workers are told; a part of the edge's PoolsChange. */
export interface WorkersChange extends OutlierChange {
  readonly services?: readonly ServiceState[];
  readonly gone?: readonly string[];
  readonly down?: readonly string[];
  readonly up?: readonly string[];
}

export interface ServicesOptions {
  readonly stores: { readonly registry: RegistryStore; readonly health: HealthStore };
  /** Takes a change to the workers; resolves when all have it. */
  readonly publish: (change: WorkersChange) => Promise<void>;
  /** The routes as they are now. */
  readonly table: () => RouteTable;
  /** The definitions as they are now; later ones come by the registry's `setDefinitions`. Default none. */
  readonly definitions?: () => readonly Definition[];
  /** What a definition says of its service's pool. @returns a text for one that is refused: why */
  readonly optionsOf: (definition: Definition) => ServiceOptions | string;
  /** This machine, as `oo node ls` shows it. */
  readonly self: { readonly url: string; readonly id?: string; readonly az?: string };
  /** Other servers work on the same database. */
  readonly shared: boolean;
  /** Ports that this server listens on. */
  readonly ownPorts: () => readonly number[];
  /** Slugs that nobody may register. Default none. */
  readonly reserved?: readonly string[];
  /** Told of each address that is in another state. */
  readonly onFlip?: (flip: AddressFlip) => void;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
  /** Default: real ones. */
  readonly clock?: Clock;
  readonly names?: NameSource;
  readonly probe?: Probe;
  /** Ms of a steady clock. Default performance.now. */
  readonly steady?: () => number;
  /** Default Math.random. */
  readonly random?: () => number;
}

/** How one instance is: what probes and requests have found. */
export interface InstanceState extends InstanceHealth {
  /** Its key without settings: `http://10.0.0.2:3000`, `https://web.internal@10.0.0.2`. */
  readonly address: string;
  /** Null: it is not ejected. */
  readonly ejected: Ejected | null;
}

/** Services and health of a running server. */
export interface Services {
  readonly registry: Registry;
  readonly monitor: HealthMonitor;
  /** Probes once: for a deploy. */
  readonly probe: Probe;
  readonly resolver: NameResolver;
  /** To be told after every change of the routes. @param change left out: all may be others */
  routesChanged(change?: Pick<RouteChange, 'save' | 'remove'>): void;
  /** Judges a worker's suspicion. */
  suspect: OutlierJudge['suspect'];
  /** Takes in what workers have counted. */
  outcomes: OutlierJudge['outcomes'];
  /** What is left of each ejection, for a worker that starts. */
  ejections: OutlierJudge['ejections'];
  /** @returns undefined for one that is neither probed nor ejected */
  instanceState(key: string): InstanceState | undefined;
  /** All that are probed or ejected. */
  view(): InstanceState[];
  /** Writes what is left; nobody is told of anything after it. */
  stop(): Promise<void>;
}

/**
 * Starts the registry and all probes. When it resolves, services and the last known states have been published.
 * @throws StoreFailure: nothing is running then
 */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const room = new Room(options);
  await room.start();
  return room;
}

class Room implements Services {
  readonly registry: Registry;
  readonly monitor: HealthMonitor;
  readonly probe: Probe;
  readonly resolver: NameResolver;
  readonly #options: ServicesOptions;
  readonly #clock: Clock;
  readonly #keeper: HealthKeeper;
  readonly #health: PoolHealth;
  readonly #states: ServiceStates;
  readonly #down: DownList;
  readonly #judge: OutlierJudge;
  readonly #index: PoolIndex;
  readonly #lines: LineLimit;
  readonly #cancels = new Set<() => void>();
  /** Routes that have something probed. */
  #routes = new Set<string>();
  #unwatch = () => {};
  #unfollow = () => {};
  #stopped = false;

  constructor(options: ServicesOptions) {
    const { stores, self, shared, ownPorts, reserved, log, clock = systemClock, random = Math.random } = options;
    const steady = options.steady ?? (() => performance.now());
    this.#options = options;
    this.#clock = clock;
    this.registry = createRegistry({
      ...{ store: stores.registry, clock, log, settings: { self, shared, ownPorts, reserved } },
      publish: (changes) => this.#states.publish(changes),
    });
    this.resolver = createNameResolver({
      ...{ source: options.names ?? createNameSource(), clock, log },
      onChange: (resolved) => this.#stopped || this.#health.resolved(resolved),
    });
    this.probe = options.probe ?? createProbe((name) => this.#lookUp(name));
    this.monitor = new HealthMonitor({
      ...{ probe: this.probe, clock, steady, random },
      onFlip: (key, flip) => this.#flipped(key, flip),
      onPass: (key) => this.#passed(key),
    });
    this.#keeper = new HealthKeeper({ store: stores.health, clock, log });
    this.#down = new DownList({
      clock,
      isDown: (key) => this.#health.isDown(key),
      publish: (change) => this.#tell(change),
    });
    this.#lines = new LineLimit(clock, log);
    this.#health = new PoolHealth({
      ...{ monitor: this.monitor, resolver: this.resolver, keeper: this.#keeper, clock },
      log: (line) => this.#lines.say(line),
      onState: (key) => this.#down.touch(key),
      onGone: (key) => this.#down.forget(key),
      onFlip: (flip) => this.#stopped || options.onFlip?.(flip),
      setStatus: (id, status, details) => this.registry.setStatus(id, status, details),
    });
    this.#states = new ServiceStates({
      ...{ optionsOf: options.optionsOf, log },
      definition: (slug) => this.registry.definition(slug),
      // What is down is known with the first message that names it.
      publish: (change) => options.publish({ ...change, ...this.#down.take() }),
    });
    this.#index = new PoolIndex({
      ...{ steady, pools: () => this.#pools() },
      addresses: (name) =>
        isIP(name) !== 0 || isLocalName(name) ? [] : reachable(this.resolver.peek(name)?.addresses ?? []),
    });
    this.#judge = new OutlierJudge({
      ...{ steady, random, log, isDown: (key) => this.#health.isDown(key), poolsOf: (key) => this.#index.of(key) },
      publish: (change) => this.#tell(change),
    });
  }

  async start(): Promise<void> {
    await this.#keeper.load();
    this.#unwatch = this.registry.watch((changes) => this.#servicesChanged(changes));
    await this.registry.setDefinitions(this.#options.definitions?.() ?? []);
    await this.registry.start();
    this.routesChanged();
    this.#down.flush();
    const { shared, stores, log } = this.#options;
    if (shared)
      this.#unfollow = followStore({ registry: this.registry, store: stores.registry, clock: this.#clock, log });
    this.#every(askNamesMs, () => this.#health.askNames());
    this.#every(tidyMs, () => this.#judge.tidy());
    this.#every(tidyStoreMs, () => this.#keeper.tidy((key) => this.monitor.health(key) !== undefined));
  }

  routesChanged(change?: Pick<RouteChange, 'save' | 'remove'>): void {
    if (this.#stopped) return;
    const table = this.#options.table();
    this.#index.changed();
    if (change !== undefined) {
      for (const id of change.remove) this.#followRoute(id, getRoute(table, id));
      for (const { id } of change.save) this.#followRoute(id, getRoute(table, id));
      return;
    }
    const before = this.#routes;
    this.#routes = new Set();
    for (const route of routesOf(table)) this.#followRoute(route.id, route);
    for (const id of before) if (!this.#routes.has(id)) this.#health.follow(`route ${id}`, []);
  }

  suspect: OutlierJudge['suspect'] = (suspicion) => this.#stopped || this.#judge.suspect(suspicion);

  outcomes: OutlierJudge['outcomes'] = (counts) => this.#stopped || this.#judge.outcomes(counts);

  ejections: OutlierJudge['ejections'] = () => this.#judge.ejections();

  instanceState(key: string): InstanceState | undefined {
    const health = this.#health.get(key);
    const ejected = this.#judge.get(key);
    if (health === undefined && ejected === undefined) return undefined;
    return this.#viewOf(health ?? unprobed(key), ejected);
  }

  view(): InstanceState[] {
    const views = [...this.#health.all()].map((health) => this.#viewOf(health, this.#judge.get(health.key)));
    for (const [key] of this.#judge.ejections())
      if (this.#health.get(key) === undefined) views.push(this.#viewOf(unprobed(key), this.#judge.get(key)));
    return views;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unwatch();
    this.#unfollow();
    for (const cancel of this.#cancels) cancel();
    this.#down.stop();
    this.#lines.stop();
    this.resolver.stop();
    await this.monitor.stop();
    await Promise.all([this.registry.stop(), this.#keeper.stop()]);
  }

  #viewOf(health: InstanceHealth, ejected: Ejected | undefined): InstanceState {
    return { ...health, address: addressOf(health.key), ejected: ejected ?? null };
  }

  #servicesChanged({ pools, gone }: PoolChanges): void {
    this.#index.changed();
    for (const pool of pools) {
      const { options, spec } = this.#states.settings(pool.slug);
      this.#health.follow(`service ${pool.slug}`, serviceMembers(pool, spec, options.insecureSkipVerify === true));
    }
    for (const slug of gone) this.#health.follow(`service ${slug}`, []);
  }

  #followRoute(asked: string, route: CompiledRoute | undefined): void {
    const id = route?.id ?? asked;
    const members = route === undefined ? [] : routeMembers(route);
    if (members.length > 0) this.#routes.add(id);
    else this.#routes.delete(id);
    this.#health.follow(`route ${id}`, members);
  }

  #flipped(key: string, flip: HealthFlip): void {
    this.#health.flipped(key, flip);
  }

  #passed(key: string): void {
    for (const instance of this.#health.keysOf(key)) this.#judge.reached(instance);
  }

  #tell(change: WorkersChange): void {
    if (this.#stopped) return;
    this.#options.publish(change).catch((error: Error) => {
      this.#options.log(`health: workers were not told: ${error.message}`);
    });
  }

  async #lookUp(name: string): Promise<readonly string[]> {
    const { addresses, fault } = await this.resolver.resolve(name);
    if (addresses.length === 0) throw new Error(fault);
    return addresses;
  }

  /** All pools with more than one member. */
  *#pools(): Iterable<readonly IndexMember[]> {
    for (const { pool, route } of routesOf(this.#options.table())) {
      if (pool.targets.length > 1) yield indexMembers(pool, route.insecureSkipVerify === true);
      const { canary } = pool;
      if (canary !== null && canary.targets.length > 1)
        yield indexMembers({ ...pool, ...canary }, route.insecureSkipVerify === true);
    }
    for (const pool of this.registry.pools()) {
      const { options, spec } = this.#states.settings(pool.slug);
      const insecureSkipVerify = options.insecureSkipVerify === true;
      if (spec.service === '') yield indexMembers(spec, insecureSkipVerify);
      else yield serviceMembers(pool, { ...spec, canary: null }, insecureSkipVerify);
      if (spec.canary !== null) yield indexMembers({ ...spec, ...spec.canary }, insecureSkipVerify);
    }
  }

  #every(ms: number, run: () => void): void {
    let cancel = () => {};
    const next = () => {
      this.#cancels.delete(cancel);
      cancel = this.#clock.after(ms, () => {
        run();
        next();
      });
      this.#cancels.add(cancel);
    };
    next();
  }
}

function indexMembers(
  { targets, settings }: Pick<CompiledRoute['pool'], 'targets' | 'settings'>,
  insecureSkipVerify: boolean,
): IndexMember[] {
  return targets.map(({ target }) => ({ target, insecureSkipVerify, settings: settings.instance }));
}

function unprobed(key: string): InstanceHealth {
  return { key, state: 'Unknown', since: 0, reason: 'it is not probed', owners: [] };
}
