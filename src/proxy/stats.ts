import type { ProxyPool } from './pool.ts';
import type { RouteStats, TargetStats } from './types.ts';

/** What one route's pool has seen. @param now epoch ms */
export function statsOf(pool: ProxyPool, now: number): RouteStats {
  pool.look(now);
  const told = new Set<string>();
  const targets: TargetStats[] = [];
  for (const { instance, weight } of [...pool.main.members, ...(pool.canary?.members ?? [])]) {
    if (told.has(instance.address)) continue;
    told.add(instance.address);
    const { address: target, requests, failures, inFlight, load, outlier } = instance;
    const state = outlier?.isEjected(now) ? 'ejected' : weight === 0 ? 'drained' : 'in use';
    targets.push({ target, weight, requests, failures, inFlight, latencyMs: Math.max(0, load.latencyMs), state });
  }
  return { requests: pool.requests, retries: pool.retries, targets };
}
