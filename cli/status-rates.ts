import type { Live, LiveInstance, LivePool } from '../src/admin/status.ts';
import type { GateOrder } from '../src/core/admission-gate.ts';
import { percentile } from '../src/core/latency.ts';
import type { Canary } from '../src/core/pool-types.ts';

/** A route or a service, as one line of `oo status`. Rates are null before there are two samples, latencies where nothing was answered. */
export interface PoolRow {
  readonly name: string;
  readonly kind: 'route' | 'service';
  readonly target: string;
  /** `ok`, `spill`, `panic`, `no instance`, `paused`, `stopped`, `service paused`; with a canary as well: `ok, canary 10%`. */
  readonly state: string;
  readonly gate: GateOrder | null;
  readonly canary: Canary | null;
  readonly requestsPerSecond: number | null;
  readonly errorsPerSecond: number | null;
  readonly retriesPerSecond: number | null;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly inFlight: number;
  readonly waiting: number;
}

/** An instance, as one line. */
export interface InstanceRow {
  readonly key: string;
  readonly address: string;
  /** `healthy`, `degraded`, `unreachable`, `unknown`, `ejected`, `breaker open`, `draining`; `-`: it is not probed. */
  readonly state: string;
  readonly why: string;
  readonly pools: LiveInstance['pools'];
  readonly requestsPerSecond: number | null;
  readonly failuresPerSecond: number | null;
  readonly inFlight: number;
  readonly open: number;
  readonly latencyMs: number | null;
}

/** What happened between two samples. Rows are sorted by their traffic. */
export interface StatusView {
  /** ISO 8601. */
  readonly at: string;
  /** Between the samples; 0: there is only one. */
  readonly seconds: number;
  readonly revision: number;
  readonly workers: number;
  readonly pools: readonly PoolRow[];
  readonly instances: readonly InstanceRow[];
  /** Routes and services without a request that are not in `pools`. */
  readonly quiet: number;
}

/** @param before null where there is only one sample */
export function ratesOf(before: Live | null, after: Live): StatusView {
  const seconds = before === null ? 0 : Math.max(0, (after.at - before.at) / 1_000);
  const pools = new Map(before?.pools.map((pool) => [`${pool.kind} ${pool.name}`, pool]));
  const instances = new Map(before?.instances.map((instance) => [instance.key, instance]));
  return {
    at: new Date(after.at).toISOString(),
    seconds,
    revision: after.revision,
    workers: after.workers,
    pools: after.pools.map((pool) => poolRow(pools.get(`${pool.kind} ${pool.name}`), pool, seconds)).sort(byTraffic),
    instances: after.instances.map((one) => instanceRow(instances.get(one.key), one, seconds)).sort(byTraffic),
    quiet: after.quiet,
  };
}

function byTraffic(a: PoolRow | InstanceRow, b: PoolRow | InstanceRow): number {
  const traffic = (b.requestsPerSecond ?? 0) - (a.requestsPerSecond ?? 0) || b.inFlight - a.inFlight;
  if (traffic !== 0) return traffic;
  const [one, other] = [a, b].map((row) => ('name' in row ? row.name : row.key));
  return one < other ? -1 : 1;
}

function poolRow(before: LivePool | undefined, now: LivePool, seconds: number): PoolRow {
  // A worker that was started anew counts from 0 again.
  const latencies = now.latencies.map((count, bucket) => Math.max(0, count - (before?.latencies[bucket] ?? 0)));
  const { name, kind, target, gate, canary, inFlight, waiting } = now;
  return {
    ...{ name, kind, target, state: stateText(now), gate, canary },
    requestsPerSecond: rate(before?.requests, now.requests, seconds),
    errorsPerSecond: rate(before?.errors, now.errors, seconds),
    retriesPerSecond: rate(before?.retries, now.retries, seconds),
    p50Ms: seconds === 0 ? null : (percentile(latencies, 0.5) ?? null),
    p99Ms: seconds === 0 ? null : (percentile(latencies, 0.99) ?? null),
    ...{ inFlight, waiting },
  };
}

function instanceRow(before: LiveInstance | undefined, now: LiveInstance, seconds: number): InstanceRow {
  const { key, address, pools, inFlight, open, latencyMs } = now;
  return {
    ...{ key, address, ...condition(now), pools },
    requestsPerSecond: rate(before?.requests, now.requests, seconds),
    failuresPerSecond: rate(before?.failures, now.failures, seconds),
    ...{ inFlight, open, latencyMs: latencyMs < 0 ? null : latencyMs },
  };
}

function rate(before = 0, after: number, seconds: number): number | null {
  return seconds === 0 ? null : Math.max(0, after - before) / seconds;
}

const poolStates = { ok: 'ok', spill: 'spill', panic: 'panic', none: 'no instance' } as const;

function stateText({ state, gate, serviceGate, canary }: LivePool): string {
  const word = gate?.state ?? (serviceGate === null ? poolStates[state] : `service ${serviceGate.state}`);
  return canary === null ? word : `${word}, canary ${canary.percent ? `${canary.percent}%` : canary.header}`;
}

const causes: Readonly<Record<string, string>> = {
  failures: 'it failed several times in a row',
  unreachable: 'no connection, several times in a row',
  rate: 'too many of its requests failed',
  probation: 'it failed again after its return',
};

/** The most pressing first: who gets no requests, and why. */
function condition({ state, since, reason, ejected, breaker, pools }: LiveInstance): { state: string; why: string } {
  if (state === 'Unreachable') return { state: 'unreachable', why: reason };
  if (ejected !== null) {
    const left = `back in ${Math.max(1, Math.ceil(ejected.leftMs / 1_000))} s`;
    return { state: 'ejected', why: `${causes[ejected.cause] ?? ejected.cause}; ${left}` };
  }
  if (breaker === 'open' || breaker === 'half-open')
    return { state: `breaker ${breaker}`, why: 'too many of its requests failed' };
  if (since === 0) return { state: pools.length === 0 ? 'draining' : '-', why: '' };
  return { state: state.toLowerCase(), why: state === 'Healthy' ? '' : reason };
}
