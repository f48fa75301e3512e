import { type AdmissionLimits, defaultAdmissionLimits } from './admission.ts';
import { type BreakerSettings, defaultBreakerSettings } from './breaker.ts';
import { defaultHealthCheck } from './health-check.ts';
import type { CheckProver, PoolKind } from './health-options.ts';
import { defaultOutlierSettings, type OutlierSettings } from './outlier.ts';
import type { FailureStatuses } from './outlier-outcome.ts';
import { isMapping, oneOf, proven, type Say, share, shared, show, time, whole } from './pool-proof.ts';
import type { InstanceSettings, PoolOptions } from './pool-types.ts';
import type { Target } from './types.ts';

const day = 86_400_000;
const hour = 3_600_000;
const count = whole(1, 1_000_000);
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

/**
 * Proves what is said of each instance. Equal settings, however they are written, are one object.
 * @param prove what is said of health; null where nothing is probed, and that is not looked at
 */
export function compileInstance(
  kind: PoolKind,
  { health, outlier, breaker, limits }: PoolOptions,
  fault: (field: 'health' | 'outlier' | 'breaker' | 'limits', message: string) => void,
  prove: CheckProver | null,
): InstanceSettings {
  const parts = {
    check: prove === null ? null : prove(kind, health, (message) => fault('health', message)),
    ...compileOutlier(outlier, (message) => fault('outlier', message)),
    breaker: compileBreaker(breaker, (message) => fault('breaker', message)),
    limits: compileLimits(limits, (message) => fault('limits', message)),
  };
  const tag = tagOf(parts);
  return tag === '' ? defaultInstanceSettings : shared(known, tag, Object.freeze({ ...parts, tag }));
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
