import { type AdmissionLimits, defaultAdmissionLimits } from './admission.ts';
import { type BreakerSettings, defaultBreakerSettings } from './breaker.ts';
import { defaultHealthCheck, type HealthCheck, healthCheckFaults } from './health-check.ts';
import { defaultOutlierSettings, type OutlierSettings } from './outlier.ts';
import type { FailureStatuses } from './outlier-outcome.ts';
import {
  anyNumber,
  anyText,
  isMapping,
  oneOf,
  proven,
  type Say,
  share,
  shared,
  show,
  time,
  whole,
} from './pool-proof.ts';
import type { InstanceSettings, PoolOptions } from './pool-types.ts';
import type { Target } from './types.ts';

/** Who has the options: services' instances are probed by default. */
export type PoolKind = 'route' | 'service';

const day = 86_400_000;
const hour = 3_600_000;
const count = whole(1, 1_000_000);
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

const outlierFields = {
  failures: count,
  unreachable: count,
  failureRate: share,
  minRequests: count,
  windowMs: time(100, hour),
  ejectionMs: time(1, day),
  longestEjectionMs: time(1, day),
  maxEjectedShare: share,
  probation: whole(0, 1_000_000),
};

const breakerFields = {
  failures: count,
  failureRate: share,
  minRequests: count,
  windowMs: time(100, hour),
  openMs: time(1, hour),
  longestOpenMs: time(1, day),
  probes: count,
  successes: count,
};

const limitFields = { maxConnections: count, maxWaiting: whole(0, 1_000_000), maxWaitMs: time(1, 600_000) };
const statusesKind = oneOf(['none', 'gateway', '5xx']);

/** What an instance without options has. */
export const defaultInstanceSettings: InstanceSettings = Object.freeze({
  check: null,
  outlier: Object.freeze(defaultOutlierSettings),
  failureStatuses: 'gateway',
  breaker: null,
  limits: null,
  tag: '',
});

const known = new Map<string, InstanceSettings>();

/** Proves what is said of each instance. Equal settings, however they are written, are one object. */
export function compileInstance(
  kind: PoolKind,
  { health, outlier, breaker, limits }: PoolOptions,
  fault: (field: 'health' | 'outlier' | 'breaker' | 'limits', message: string) => void,
): InstanceSettings {
  const parts = {
    check: compileCheck(kind, health, (message) => fault('health', message)),
    ...compileOutlier(outlier, (message) => fault('outlier', message)),
    breaker: compileBreaker(breaker, (message) => fault('breaker', message)),
    limits: compileLimits(limits, (message) => fault('limits', message)),
  };
  const tag = tagOf(parts);
  return tag === '' ? defaultInstanceSettings : shared(known, tag, Object.freeze({ ...parts, tag }));
}

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

function compileOutlier(
  outlier: PoolOptions['outlier'],
  say: Say,
): Pick<InstanceSettings, 'outlier' | 'failureStatuses'> {
  const plain = { outlier: defaultInstanceSettings.outlier, failureStatuses: 'gateway' as const };
  if (outlier === undefined || outlier === true) return plain;
  if (outlier === false) return { ...plain, outlier: null };
  if (!isMapping(outlier)) {
    say(`outlier is ${show(outlier)}; expected true, false, or a mapping`);
    return plain;
  }
  const { statuses = 'gateway', ...given } = proven(
    outlier,
    'outlier',
    { ...outlierFields, statuses: statusesKind },
    say,
  );
  return {
    outlier: Object.freeze({ ...defaultOutlierSettings, ...given } as OutlierSettings),
    failureStatuses: statuses as FailureStatuses,
  };
}

function compileBreaker(breaker: PoolOptions['breaker'], say: Say): BreakerSettings | null {
  if (breaker === undefined || breaker === false) return null;
  if (breaker !== true && !isMapping(breaker)) {
    say(`breaker is ${show(breaker)}; expected true, false, or a mapping`);
    return null;
  }
  const given = breaker === true ? {} : proven(breaker, 'breaker', breakerFields, say);
  return Object.freeze({ ...defaultBreakerSettings, ...given } as BreakerSettings);
}

function compileLimits(limits: PoolOptions['limits'], say: Say): AdmissionLimits | null {
  if (limits === undefined) return null;
  if (!isMapping(limits)) {
    say(`limits is ${show(limits)}; expected a mapping with ${Object.keys(limitFields).join(', ')}`);
    return null;
  }
  const given = proven(limits, 'limits', limitFields, say);
  return Object.freeze({ ...defaultAdmissionLimits, ...given } as AdmissionLimits);
}

/** What differs from the defaults, always in the same order; '' where nothing does. */
function tagOf({ check, outlier, failureStatuses, breaker, limits }: Omit<InstanceSettings, 'tag'>): string {
  const parts = {
    health: check === null ? undefined : { kind: check.kind, ...changes(check, defaultHealthCheck) },
    outlier: outlier === null ? false : changes(outlier, defaultOutlierSettings),
    statuses: failureStatuses === 'gateway' ? undefined : failureStatuses,
    breaker: breaker === null ? undefined : (changes(breaker, defaultBreakerSettings) ?? true),
    limits: limits === null ? undefined : (changes(limits, defaultAdmissionLimits) ?? true),
  };
  const text = JSON.stringify(parts);
  return text === '{}' ? '' : text;
}

function changes<T extends object>(settings: T, defaults: T): Partial<T> | undefined {
  const fields = (Object.keys(defaults) as (keyof T)[]).filter(
    (field) => JSON.stringify(settings[field]) !== JSON.stringify(defaults[field]),
  );
  return fields.length === 0
    ? undefined
    : (Object.fromEntries(fields.map((one) => [one, settings[one]])) as Partial<T>);
}

/**
 * Names an instance over processes: its address, how it is reached and watched. Pools that have the same share it.
 * @param address one of those that the target's name has; '' where it is not resolved, or is an address itself
 */
export function instanceKey(
  { tls, http2, authority }: Target,
  skipVerify: boolean,
  { tag }: InstanceSettings,
  address = '',
): string {
  const scheme = tls ? (skipVerify ? 'https+insecure' : 'https') : http2 ? 'h2c' : 'http';
  return `${scheme}://${authority}${address === '' ? '' : `@${address}`}${tag === '' ? '' : ` ${tag}`}`;
}
