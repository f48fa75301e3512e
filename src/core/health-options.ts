import { defaultHealthCheck, type HealthCheck, healthCheckFaults } from './health-check.ts';
import { anyNumber, anyText, isMapping, oneOf, proven, type Say, show } from './pool-proof.ts';
import type { PoolOptions } from './pool-types.ts';

/** Who has the options: services' instances are probed by default. */
export type PoolKind = 'route' | 'service';

/** What `compileCheck` is. */
export type CheckProver = (kind: PoolKind, health: PoolOptions['health'], say: Say) => HealthCheck | null;

/** A deploy waits for this where a pool has no check of its own: any answer that is no server error. */
export const deployCheck: HealthCheck = Object.freeze({
  ...defaultHealthCheck,
  kind: 'http',
  statuses: [[100, 499]] as const,
  intervalMs: 1_000,
  timeoutMs: 5_000,
  rise: 1,
});

const checkKinds = ['http', 'tcp', 'grpc'] as const;

const healthFields = {
  kind: oneOf(checkKinds),
  path: anyText,
  method: oneOf(['GET', 'HEAD']),
  host: anyText,
  port: anyNumber,
  statuses: { expected: 'statuses such as 200-299,304', is: (value: unknown) => parseStatuses(value).length > 0 },
  bodyContains: anyText,
  grpcService: anyText,
  intervalMs: anyNumber,
  timeoutMs: anyNumber,
  rise: anyNumber,
  fall: anyNumber,
  degradedMs: anyNumber,
};

/** A health check as it is written in a file. @returns null where there are no probes */
export function compileCheck(kind: PoolKind, health: PoolOptions['health'], say: Say): HealthCheck | null {
  if (health === false) return null;
  if (health === undefined) return kind === 'service' ? Object.freeze(defaultHealthCheck) : null;
  const options = typeof health === 'string' ? shortCheck(health) : health;
  if (!isMapping(options)) {
    say(`health is ${show(health)}; expected false, a path such as /up, tcp, grpc, or a mapping`);
    return null;
  }
  const { statuses, ...given } = proven(options, 'health', healthFields, say);
  const ranges = statuses === undefined ? defaultHealthCheck.statuses : parseStatuses(statuses);
  const check = Object.freeze({ ...defaultHealthCheck, kind: 'http', ...given, statuses: ranges }) as HealthCheck;
  for (const { field, message } of healthCheckFaults(check))
    say(`health.${field} is ${show(check[field])}; expected ${message}`);
  return check;
}

function shortCheck(health: string): object | undefined {
  if (checkKinds.includes(health as HealthCheck['kind'])) return { kind: health };
  return health.startsWith('/') ? { path: health } : undefined;
}

/** In their order. @returns empty where it is none */
function parseStatuses(text: unknown): [number, number][] {
  const ranges: [number, number][] = [];
  for (const part of typeof text === 'string' ? text.split(',') : []) {
    const match = /^\s*([1-5]\d\d)(?:-([1-5]\d\d))?\s*$/.exec(part);
    const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (match === null || from > to) return [];
    ranges.push([from, to]);
  }
  return ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}
