import type { GateOrder } from '../core/admission-gate.ts';
import type { InstanceFigures, PoolFigures, WorkerFigures } from '../core/figures.ts';
import type { HealthState } from '../core/health.ts';
import { compilePoolSpec } from '../core/pool-compile.ts';
import type { Canary, PoolSpec, ServiceOptions, TargetSpec } from '../core/pool-types.ts';
import { serviceFaults } from '../core/service.ts';
import { type RouteTable, routesOf } from '../core/table.ts';
import type { Registry } from '../services/registry-types.ts';
import type { Configuration } from './configuration.ts';
import { specText } from './rollout-plan.ts';
import { type Membership, type Share, sharesOf } from './status-shares.ts';

/** Routes and services that have had no request: past so many they are counted, not shown. */
const maxQuiet = 1_000;

/** How an instance is: what probes and requests have found. */
export interface LiveState {
  readonly key: string;
  readonly state: HealthState;
  /** Epoch ms. */
  readonly since: number;
  /** One line; '' for Healthy. */
  readonly reason: string;
  /** Pools that have it: `service web`. */
  readonly owners: readonly string[];
  /** Null: it is not ejected. */
  readonly ejected: { readonly cause: string; readonly leftMs: number } | null;
}

/** A route or a service as it is now. Counters are those of all workers, since each of them began. */
export interface LivePool {
  /** A route's id, or a slug. */
  readonly name: string;
  readonly kind: 'route' | 'service';
  /** As it was written; of a service without a target: how many have registered. */
  readonly target: string;
  /**
   * `ok`; `spill`: too few of the first group are healthy, others help; `panic`: too few are at all, so all are used; `none`: no instance.
   * Of several workers' the worst.
   */
  readonly state: 'ok' | 'spill' | 'panic' | 'none';
  /** Null: it is open. */
  readonly gate: GateOrder | null;
  /** Of a route to a service: that one's, which requests pass as well. */
  readonly serviceGate: GateOrder | null;
  readonly canary: Canary | null;
  readonly requests: number;
  /** Answered with a status from 500 on, or cut. */
  readonly errors: number;
  readonly retries: number;
  readonly inFlight: number;
  /** For a place, or since it is paused; in `inFlight`, too. */
  readonly waiting: number;
  /** How many took how long to the response's head: see core/latency.ts. */
  readonly latencies: readonly number[];
}

/** An instance that has had requests, is probed, is ejected, or drains. */
export interface LiveInstance {
  readonly key: string;
  /** Its key without settings. */
  readonly address: string;
  /** Unknown: it is not probed. */
  readonly state: HealthState;
  /** Since when, epoch ms; 0: it is not probed. */
  readonly since: number;
  readonly reason: string;
  /** What ejected it, and for how long it still is; null: it is not. */
  readonly ejected: { readonly cause: string; readonly leftMs: number } | null;
  /** Pools that pick it, each with its part of the requests by weight, 0 to 1. -1: the pool has had no request. None: it drains. */
  readonly pools: readonly { readonly name: string; readonly share: number }[];
  readonly requests: number;
  readonly failures: number;
  readonly inFlight: number;
  /** Open connections. */
  readonly open: number;
  /** The worst of all workers: `closed`, `half-open`, `open`; '' without a breaker. */
  readonly breaker: string;
  /** Moving average to the response's head, ms; -1: unknown. */
  readonly latencyMs: number;
}

/** All figures at one time. */
export interface Live {
  /** Epoch ms. */
  readonly at: number;
  readonly revision: number;
  /** How many have answered. */
  readonly workers: number;
  readonly pools: readonly LivePool[];
  readonly instances: readonly LiveInstance[];
  /** Routes and services that are not in `pools`, since they have had no request. */
  readonly quiet: number;
}

export interface LiveOptions {
  readonly configuration: Pick<Configuration, 'table'>;
  readonly registry: Pick<Registry, 'definition' | 'definitions' | 'pools'>;
  /** The figures of each worker. */
  readonly figures: () => Promise<readonly WorkerFigures[]>;
  /** All instances that are probed or ejected. */
  readonly states: () => Iterable<LiveState>;
  /** Epoch ms. */
  readonly now: () => number;
}

/** Reads the figures. @param all also of every route and service that has had no request */
export type ReadLive = (all?: boolean) => Promise<Live>;

/** Puts together what workers count and what the main process knows. */
export function createLive({ configuration, registry, figures, states, now }: LiveOptions): ReadLive {
  return async (everything = false) => {
    const workers = await figures();
    const known = [...states()];
    const at = now();
    const counted = mergePools(workers.flatMap(({ pools }) => pools));
    const down = poolsThatAreDown(known);
    const services = [...servicesOf(registry)];
    const total = services.length + configuration.table.size;
    const isAll = everything || total <= maxQuiet;
    const isShown = (pool: string, gate: GateOrder | null, canary: object | null) =>
      isAll || gate !== null || canary !== null || counted.has(pool) || down.has(pool);
    // Of 100,000 routes few have anything to tell: nothing is made for the others.
    const routes = [...routesFor(configuration.table, ({ name, gate, canary }) => isShown(name, gate, canary))];
    const shown = [...services.filter(({ pool, gate, canary }) => isShown(pool, gate, canary)), ...routes];
    shown.sort((a, b) => (a.pool < b.pool ? -1 : 1));
    const byPool = new Map([...services, ...routes].map((said) => [said.pool, said]));
    const serviceOf = (said: Said) => {
      const slug = said.kind === 'route' ? slugOf(said.target) : undefined;
      return slug === undefined ? undefined : (byPool.get(`service ${slug}`) ?? null);
    };
    const stateOf = (said: Said): LivePool['state'] => {
      const service = serviceOf(said);
      if (service !== undefined) return service === null ? 'none' : stateOf(service);
      const isDown = down.has(said.pool);
      if (isEmpty(said) || (isDown && said.kind === 'service')) return 'none';
      return counted.get(said.pool)?.state ?? (isDown ? 'panic' : 'ok');
    };
    const pools = shown.map((said) => {
      const serviceGate = gateAt(serviceOf(said)?.gate ?? null, at);
      return { ...livePool(said, counted.get(said.pool), at), state: stateOf(said), serviceGate };
    });
    const quiet = total - pools.length;
    const weights = [...counted].map(([name, sum]) => [name, sum.weights] as const);
    const shares = sharesOf(weights, (name) => byPool.get(name)?.membership());
    const instances = mergeInstances(workers, known, shares);
    return { at, revision: configuration.table.revision, workers: workers.length, pools, instances, quiet };
  };
}

/** What a configuration says of one pool. */
interface Said {
  readonly name: string;
  readonly kind: 'route' | 'service';
  readonly pool: string;
  readonly target: TargetSpec | undefined;
  readonly gate: GateOrder | null;
  readonly canary: Canary | null;
  readonly membership: () => Membership;
  /** Of a service: how many have registered. */
  readonly registered: number;
}

function* servicesOf(registry: Pick<Registry, 'definition' | 'definitions' | 'pools'>): Iterable<Said> {
  const urls = new Map(registry.pools().map(({ slug, members }) => [slug, members.map(({ url }) => url)]));
  const slugs = new Set([...registry.definitions().map(({ id }) => id), ...urls.keys()]);
  for (const slug of slugs) {
    const options = inForce(slug, registry.definition(slug));
    const { target, rollout } = options;
    const pool = `service ${slug}`;
    const registered = urls.get(slug) ?? [];
    const compiled = () => compilePoolSpec(pool, 'service', target, options, () => {});
    yield {
      ...{ name: slug, kind: 'service', pool, target, registered: registered.length },
      gate: rollout === undefined ? null : compiled().gate,
      canary: rollout?.canary ?? null,
      membership: () => ({ spec: compiled(), skipVerify: options.insecureSkipVerify === true, registered }),
    };
  }
}

function* routesFor(table: RouteTable, isWanted: (spec: PoolSpec) => boolean): Iterable<Said> {
  for (const { id, route, pool: spec } of routesOf(table)) {
    if (!isWanted(spec)) continue;
    const { target, rollout, insecureSkipVerify } = route;
    yield {
      ...{ name: id, kind: 'route', pool: spec.name, target, registered: 0 },
      gate: spec.gate,
      canary: rollout?.canary ?? null,
      membership: () => ({ spec, skipVerify: insecureSkipVerify === true, registered: [] }),
    };
  }
}

/** One that a later oo has stored, and that this one refuses, is not gone by: the defaults hold. */
function inForce(slug: string, definition: object = {}): ServiceOptions {
  return serviceFaults(slug, definition).length === 0 ? definition : {};
}

/** A service that nothing has registered for. */
function isEmpty({ kind, target, registered }: Said): boolean {
  return kind === 'service' && target === undefined && registered === 0;
}

/** The slug of a route's service. */
function slugOf(target: TargetSpec | undefined): string | undefined {
  return typeof target === 'string' ? /^service:\/\/([^/]+)/.exec(target)?.[1] : undefined;
}

/** One that is over is none. */
function gateAt(gate: GateOrder | null, at: number): GateOrder | null {
  return gate !== null && gate.until > 0 && gate.until <= at ? null : gate;
}

function livePool(said: Said, figures: PoolSum | undefined, at: number): Omit<LivePool, 'state' | 'serviceGate'> {
  const { name, kind, target, gate, canary, registered } = said;
  const own = `${registered} registered instance${registered === 1 ? '' : 's'}`;
  return {
    ...{ name, kind, target: target === undefined ? own : specText(target) },
    gate: gateAt(gate, at),
    canary,
    requests: figures?.requests ?? 0,
    errors: figures?.errors ?? 0,
    retries: figures?.retries ?? 0,
    inFlight: figures?.inFlight ?? 0,
    waiting: figures?.waiting ?? 0,
    latencies: figures?.latencies ?? [],
  };
}

interface PoolSum {
  requests: number;
  errors: number;
  retries: number;
  inFlight: number;
  waiting: number;
  latencies: number[];
  state: LivePool['state'];
  /** By key. */
  readonly weights: Map<string, number>;
}

const poolStates = ['ok', 'spill', 'panic', 'none'] as const;

function mergePools(list: readonly PoolFigures[]): Map<string, PoolSum> {
  const sums = new Map<string, PoolSum>();
  for (const { name, state, latencies, members, ...counts } of list) {
    const word = (state === 'first' ? 'ok' : state) as LivePool['state'];
    const sum = sums.get(name);
    if (sum === undefined) {
      sums.set(name, { ...counts, state: word, latencies: [...latencies], weights: new Map(members) });
      continue;
    }
    for (const field of ['requests', 'errors', 'retries', 'inFlight', 'waiting'] as const) sum[field] += counts[field];
    for (const [bucket, count] of latencies.entries()) sum.latencies[bucket] = (sum.latencies[bucket] ?? 0) + count;
    if (poolStates.indexOf(word) > poolStates.indexOf(sum.state)) sum.state = word;
    // Weights are the same in all workers but for slow start.
    for (const [key, weight] of members) if (!sum.weights.has(key)) sum.weights.set(key, weight);
  }
  return sums;
}

/** Pools of which all that is probed is down. */
function poolsThatAreDown(known: readonly LiveState[]): Set<string> {
  const down = new Set<string>();
  const up = new Set<string>();
  for (const { state, owners } of known) for (const owner of owners) (state === 'Unreachable' ? down : up).add(owner);
  for (const owner of up) down.delete(owner);
  return down;
}

type InstanceSum = { -readonly [K in keyof LiveInstance]: LiveInstance[K] };

const breakerStates = ['', 'closed', 'half-open', 'open'];

function mergeInstances(
  workers: readonly WorkerFigures[],
  known: readonly LiveState[],
  shares: ReadonlyMap<string, readonly Share[]>,
): LiveInstance[] {
  const sums = new Map<string, InstanceSum>();
  const of = (key: string) => {
    const sum = sums.get(key) ?? emptyInstance(key);
    sums.set(key, sum);
    return sum;
  };
  for (const { instances } of workers) for (const figures of instances) addFigures(of(figures.key), figures);
  for (const { key, state, since, reason, owners, ejected } of known) {
    const listed = new Set((shares.get(key) ?? []).map(({ name }) => name));
    const others = owners.filter((owner) => !listed.has(owner)).map((name) => ({ name, share: -1 }));
    Object.assign(of(key), { state, since, reason, ejected, pools: others });
  }
  for (const sum of sums.values()) sum.pools = [...(shares.get(sum.key) ?? []), ...sum.pools];
  // One that no pool picks any more is of interest while something runs on it still.
  const shown = [...sums.values()].filter((sum) => sum.pools.length > 0 || sum.ejected !== null || sum.inFlight > 0);
  return shown.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function emptyInstance(key: string): InstanceSum {
  const space = key.indexOf(' ');
  return {
    ...{ key, address: space < 0 ? key : key.slice(0, space) },
    ...{ state: 'Unknown', since: 0, reason: '', ejected: null, pools: [] },
    ...{ requests: 0, failures: 0, inFlight: 0, open: 0, breaker: '', latencyMs: -1 },
  };
}

function addFigures(sum: InstanceSum, figures: InstanceFigures): void {
  const { requests, latencyMs, breaker } = figures;
  // Each worker has its own average: by how much it has seen.
  if (latencyMs >= 0) {
    const before = sum.latencyMs < 0 ? 0 : sum.requests;
    const weight = Math.max(1, requests);
    sum.latencyMs = (Math.max(0, sum.latencyMs) * before + latencyMs * weight) / (before + weight);
  }
  for (const field of ['requests', 'failures', 'inFlight', 'open'] as const) sum[field] += figures[field];
  if (breakerStates.indexOf(breaker) > breakerStates.indexOf(sum.breaker)) sum.breaker = breaker;
}
