import { type Balanced, createLoad, type Load, observeReply, observeStart } from '../../src/core/balance-load.ts';
import { noKey, pickFrom } from '../../src/core/balance-pick.ts';
import { type Balancing, compilePool, type MemberSpec, type Policy, type Pool } from '../../src/core/balance-pool.ts';

/** An instance without a network. */
export class FakeInstance implements Balanced {
  readonly address: string;
  readonly load: Load;
  inFlight = 0;
  full = false;

  constructor(address: string, healthy = true) {
    this.address = address;
    this.load = createLoad(healthy, 0);
  }
}

export function instances(count: number): FakeInstance[] {
  return Array.from({ length: count }, (_, i) => new FakeInstance(`http://10.0.0.${i}:3000`));
}

/** Members that have these weights. */
export function weighted(weights: readonly number[]): MemberSpec<FakeInstance>[] {
  return instances(weights.length).map((instance, i) => ({ instance, weight: weights[i] }));
}

/** Mulberry32: the same numbers in each run. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000;
  };
}

/** How many picks each instance got. */
export function countPicks(
  pool: Pool<FakeInstance>,
  picks: number,
  pick: (i: number) => FakeInstance | undefined,
): Map<FakeInstance, number> {
  const counts = new Map(pool.members.map((member) => [member.instance, 0]));
  for (let i = 0; i < picks; i++) {
    const instance = pick(i);
    if (instance !== undefined) counts.set(instance, counts.get(instance)! + 1);
  }
  return counts;
}

export interface Simulation {
  /** Mean service time of each server, ms, exponential; each serves one request at a time, in order. */
  readonly serviceMs: readonly number[];
  readonly weights?: readonly number[];
  readonly requests: number;
  /** Of all workers together; arrivals are Poisson. */
  readonly requestsPerSecond: number;
  /** Each has its own pool, and knows only of its own requests. */
  readonly workers: number;
  readonly balancing: Partial<Balancing>;
}

export interface Simulated {
  readonly p50: number;
  readonly p99: number;
  /** Requests of each server. */
  readonly counts: readonly number[];
}

/** Queues in front of servers, in made-up time. */
export function simulate(simulation: Simulation): Simulated {
  const { serviceMs, requests, requestsPerSecond, workers, balancing } = simulation;
  const random = seeded(7);
  const pools = Array.from({ length: workers }, () =>
    compilePool(weighted(simulation.weights ?? serviceMs.map(() => 1)), balancing, 0, random),
  );
  const index = new Map(pools.flatMap((pool) => pool.members.map(({ instance }, i) => [instance, i])));
  const busyUntil = serviceMs.map(() => 0);
  const counts = serviceMs.map(() => 0);
  const latencies: number[] = [];
  let open: { at: number; from: number; instance: FakeInstance }[] = [];
  let now = 0;
  for (let i = 0; i < requests; i++) {
    now += (-Math.log(1 - random()) * 1000) / requestsPerSecond;
    const done = open.filter((each) => each.at <= now).sort((a, b) => a.at - b.at);
    open = open.filter((each) => each.at > now);
    for (const { at, from, instance } of done) {
      instance.inFlight--;
      // The edge's clock has whole milliseconds.
      observeReply(instance.load, Math.round(at - from), at);
    }
    const instance = pickFrom(pools[Math.floor(random() * workers)], [], noKey, now, random)!;
    const server = index.get(instance)!;
    const at = Math.max(now, busyUntil[server]) - Math.log(1 - random()) * serviceMs[server];
    busyUntil[server] = at;
    counts[server]++;
    latencies.push(at - now);
    instance.inFlight++;
    observeStart(instance.load, now);
    open.push({ at, from: now, instance });
  }
  latencies.sort((a, b) => a - b);
  return { p50: latencies[requests >> 1], p99: latencies[Math.floor(requests * 0.99)], counts };
}

export interface FastLoop {
  readonly weights: readonly number[];
  readonly policy: Policy;
  /** Each asks again as soon as it is answered. */
  readonly clients: number;
  readonly requests: number;
  /** So often all that is under way is late by `pauseMs`: the proxy had something else to do. 0: never. */
  readonly pauseEveryMs: number;
  readonly pauseMs: number;
}

/** Clients before instances that are all as fast, and answer in about 0.3 ms. @returns what each got, over what its weight says */
export function fastShares(loop: FastLoop): number[] {
  const { weights, policy, clients, requests, pauseEveryMs, pauseMs } = loop;
  const random = seeded(11);
  const members = weighted(weights);
  const pool = compilePool(members, { policy }, 0, random);
  const counts = new Map(members.map(({ instance }) => [instance, 0]));
  const open: { at: number; from: number; instance: FakeInstance }[] = [];
  let now = 0;
  let nextPause = pauseEveryMs > 0 ? pauseEveryMs : Number.POSITIVE_INFINITY;
  const start = () => {
    const instance = pickFrom(pool, [], noKey, now, random)!;
    counts.set(instance, counts.get(instance)! + 1);
    instance.inFlight++;
    observeStart(instance.load, now);
    open.push({ at: now + 0.1 - Math.log(1 - random()) * 0.2, from: now, instance });
  };
  for (let i = 0; i < clients; i++) start();
  for (let done = clients; done < requests; ) {
    open.sort((a, b) => b.at - a.at);
    const next = open.at(-1)!;
    if (next.at >= nextPause) {
      for (const each of open) each.at = Math.max(each.at, nextPause) + pauseMs;
      nextPause += pauseEveryMs;
      continue;
    }
    open.pop();
    now = next.at;
    next.instance.inFlight--;
    observeReply(next.instance.load, now - next.from, now);
    start();
    done++;
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return members.map(({ instance }, i) => counts.get(instance)! / ((requests * weights[i]) / total));
}
