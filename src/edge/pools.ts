import { setHealthy } from '../core/balance-load.ts';
import type { WorkerFigures } from '../core/figures.ts';
import type { Ejection, OutlierCause } from '../core/outlier.ts';
import { instanceKey } from '../core/pool-compile.ts';
import type { InstanceSettings, ServiceState } from '../core/pool-types.ts';
import { compileService } from '../core/service.ts';
import type { CompiledRoute, Target } from '../core/types.ts';
import type { NameSource } from '../services/resolver-types.ts';
import { clock } from './clock.ts';
import type { Edge } from './edge.ts';
import { Instance } from './instance.ts';
import type { OutcomeCounts, PoolsChange } from './messages.ts';
import { Names } from './names.ts';
import { EdgePool } from './pool.ts';
import { builtInName } from './service-port.ts';

const outcomesMs = 1_000;
/** How often names are asked for, and what nobody uses is looked for. */
const lookMs = 60_000;
/** A pool that had no request for so long is made anew when one comes. */
const forgetMs = 600_000;
/** Pools that a suspicion tells of: of the routes over one instance the first thousand say enough. */
const mostPools = 1_000;

interface Service {
  readonly state: ServiceState;
  /** Made when somebody asks for it. */
  route: CompiledRoute | undefined;
}

/** What an edge knows of pools, instances and services, and of how they are. */
export class Pools {
  /** Signs of sticky cookies, the newest first. */
  secrets: readonly Buffer[] = [];
  /** Those for whose instances somebody waits. */
  readonly waiting = new Set<EdgePool>();
  readonly instances = new Map<string, Instance>();
  private readonly edge: Edge;
  private readonly names: Names;
  private readonly log: (line: string) => void;
  private readonly byRoute = new WeakMap<CompiledRoute, EdgePool>();
  /** The present ones. */
  private readonly byName = new Map<string, EdgePool>();
  private readonly services = new Map<string, Service>();
  private readonly down = new Set<string>();
  /** By instance; what it is told when it is made: it may not be known yet. */
  private readonly ejections = new Map<string, { readonly ejection: Ejection; readonly until: number }>();
  private freed = new Set<Instance>();
  private toldAt = 0;
  private lookedAt = clock.now;

  constructor(edge: Edge, log: (line: string) => void, source?: NameSource) {
    this.edge = edge;
    this.log = log;
    this.names = new Names((name) => this.onName(name), log, source);
  }

  // ---- pools and instances

  /** What a route's requests can be sent to. Instances are kept by their keys, whatever happens to routes. */
  poolFor(route: CompiledRoute): EdgePool {
    const pool = this.byRoute.get(route) ?? this.open(route);
    pool.lastUsed = clock.now;
    return pool;
  }

  /** The pool of a request that is under way, whose route may be gone: never makes one, since that would take the place of the present one. */
  poolOf(route: CompiledRoute): EdgePool | undefined {
    return this.byRoute.get(route) ?? this.byName.get(route.pool.name);
  }

  private open(route: CompiledRoute): EdgePool {
    const pool = new EdgePool(this.edge, route, this.byName.get(route.pool.name));
    this.byRoute.set(route, pool);
    this.byName.set(pool.name, pool);
    return pool;
  }

  /** The present pool of that name: `route app.example.com`, `service user-svc`; undefined where it has not been used. */
  named(name: string): EdgePool | undefined {
    return this.byName.get(name);
  }

  instanceFor(target: Target, skipVerify: boolean, settings: InstanceSettings, address: string): Instance {
    const key = instanceKey(target, skipVerify, settings, address);
    let instance = this.instances.get(key);
    if (instance === undefined) {
      instance = new Instance(this.edge, key, target, skipVerify, settings, address);
      this.instances.set(key, instance);
      this.judge(instance);
    }
    return instance;
  }

  /** @see Names.addressesOf */
  addressesOf(hostname: string): readonly string[] {
    return this.names.addressesOf(hostname);
  }

  get lookup(): Names['lookup'] {
    return this.names.lookup;
  }

  private onName(name: string): void {
    for (const pool of this.byName.values()) if (pool.names.includes(name)) pool.rebuild();
    this.callWaiting();
  }

  // ---- services

  /** The route to a service, as it is now; undefined for one that is not known. */
  serviceRoute(slug: string): CompiledRoute | undefined {
    const service = this.services.get(slug);
    if (service === undefined) return undefined;
    service.route ??= this.compile(service.state);
    return service.route;
  }

  servicePool(slug: string): EdgePool | undefined {
    const route = this.serviceRoute(slug);
    return route === undefined ? undefined : this.poolFor(route);
  }

  private compile(state: ServiceState): CompiledRoute {
    try {
      return compileService(state);
    } catch (error) {
      this.log(`service ${state.slug}: ${(error as Error).message}; it is used without its options`);
      return compileService({ ...state, options: {} });
    }
  }

  // ---- what the main process says

  /** Takes in what is known of services and instances. @param whole it replaces all that was */
  change({ services, gone, down, up, ejected, lifted }: PoolsChange, whole: boolean): void {
    const touched = new Set([...down, ...up, ...lifted, ...ejected.map(([key]) => key)]);
    const changed = new Set([...gone, ...services.map(({ slug }) => slug)]);
    if (whole) {
      for (const key of [...this.down, ...this.ejections.keys()]) touched.add(key);
      for (const slug of this.services.keys()) changed.add(slug);
      this.down.clear();
      this.ejections.clear();
      this.services.clear();
    }
    for (const slug of gone) this.services.delete(slug);
    for (const state of services) this.services.set(state.slug, { state, route: undefined });
    for (const key of up) this.down.delete(key);
    for (const key of down) this.down.add(key);
    for (const key of lifted) this.ejections.delete(key);
    const now = performance.now();
    for (const [key, ejection] of ejected) this.ejections.set(key, { ejection, until: now + ejection.forMs });
    for (const key of touched) {
      const instance = this.instances.get(key);
      if (instance !== undefined) this.judge(instance);
    }
    for (const slug of changed) this.renew(slug);
    if (touched.size + changed.size > 0) this.callWaiting();
  }

  /** A service that is in use gets its new pool at once, so that its instances are those that are told of. */
  private renew(slug: string): void {
    const pool = this.byName.get(`service ${slug}`);
    if (pool === undefined) return;
    if (this.services.has(slug)) this.servicePool(slug);
    else this.forget(pool);
  }

  /** Has an instance be as the main process says. */
  judge(instance: Instance): void {
    const { key, load } = instance;
    const now = performance.now();
    const out = this.ejections.get(key);
    instance.down = this.down.has(key);
    const { outlier } = instance;
    if (outlier !== null) {
      if (out !== undefined && outlier.ejectedUntil !== out.until)
        outlier.apply({ ...out.ejection, forMs: out.until - now }, now);
      if (out === undefined && outlier.isEjected(now)) {
        outlier.ejectedUntil = now;
        outlier.returnedAt = now;
      }
    }
    const healthy = !instance.down && (out === undefined || now >= out.until);
    if (setHealthy(load, healthy, now)) for (const pool of instance.pools) pool.invalidate();
  }

  // ---- what the main process is told

  /** An instance is held for an outlier. */
  suspect(instance: Instance, cause: OutlierCause): void {
    const pools: string[][] = [];
    const seen = new Set<string>();
    for (const pool of instance.pools)
      for (const keys of pool.keys()) {
        if (pools.length >= mostPools || !keys.includes(instance.key)) continue;
        const text = keys.join('\n');
        if (!seen.has(text)) pools.push(keys);
        seen.add(text);
      }
    if (pools.length === 0) return;
    // What the judge compares must be as new as the suspicion.
    this.tellOutcomes();
    this.edge.onSuspect({ key: instance.key, cause, pools });
  }

  private tellOutcomes(): void {
    const counts: OutcomeCounts[] = [];
    for (const { key, outlier } of this.instances.values()) {
      if (outlier === null) continue;
      const [total, failed] = outlier.counts.takeUnsent();
      if (total > 0) counts.push([key, total, failed]);
    }
    if (counts.length > 0) this.edge.onOutcomes(counts);
  }

  figures(): WorkerFigures {
    const now = performance.now();
    // The service port's own paths are neither a route nor a service.
    const pools = [...this.byName.values()].filter(
      ({ record, name }) => record.requests > 0 && name !== builtInName && record.name === name,
    );
    const instances = [...this.instances.values()].filter(
      ({ requests, inFlight, target }) => requests + inFlight > 0 && target.socketPath === undefined,
    );
    return {
      pools: pools.map((pool) => pool.record.figures(pool.state, pool.weights())),
      instances: instances.map((instance) => instance.figures(now)),
    };
  }

  // ---- room

  /** There may be room at an instance: those who wait are told, when what is being done is done. */
  free(instance: Instance): void {
    if (this.waiting.size === 0) return;
    if (this.freed.size === 0) queueMicrotask(() => this.tellOfRoom());
    this.freed.add(instance);
  }

  private tellOfRoom(): void {
    const { freed } = this;
    this.freed = new Set();
    for (const pool of [...this.waiting]) if ([...freed].some((instance) => pool.has(instance))) pool.onRoom?.();
  }

  /** Whatever has changed, there may be room. */
  private callWaiting(): void {
    for (const pool of [...this.waiting]) pool.onRoom?.();
  }

  // ---- time

  /** Called a few times a second. */
  onTick(now: number): void {
    for (const [key, { until }] of this.ejections) {
      if (now < until) continue;
      this.ejections.delete(key);
      const instance = this.instances.get(key);
      if (instance !== undefined) this.judge(instance);
    }
    // A breaker that lets one through again says nothing.
    this.callWaiting();
    if (now - this.toldAt >= outcomesMs) {
      this.toldAt = now;
      this.tellOutcomes();
    }
    if (now - this.lookedAt < lookMs) return;
    this.lookedAt = now;
    this.look(now);
  }

  /** Keeps the names that are used known, and forgets what is not used. */
  private look(now: number): void {
    for (const pool of this.byName.values()) {
      const { waiting, inFlight } = pool.record;
      if (now - pool.lastUsed > forgetMs && waiting + inFlight === 0) this.forget(pool);
      else for (const name of pool.names) this.names.addressesOf(name);
    }
    for (const [key, instance] of this.instances) if (instance.isForgotten(now)) this.instances.delete(key);
  }

  private forget(pool: EdgePool): void {
    pool.leave();
    this.byRoute.delete(pool.route);
    this.byName.delete(pool.name);
  }

  close(): void {
    this.names.stop();
  }
}
