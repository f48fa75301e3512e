import { defaultAdmissionLimits } from './admission.ts';
import { gateFault, openGate } from './admission-gate.ts';
import { defaultBalancing, policies } from './balance-pool.ts';
import { defaultBreakerSettings } from './breaker.ts';
import { defaultHealthCheck, type HealthCheck, healthCheckFaults } from './health-check.ts';
import { defaultOutlierSettings } from './outlier.ts';
import type {
  BalanceOptions,
  Canary,
  CompiledCanary,
  HashBy,
  HealthOptions,
  InstanceSettings,
  Members,
  PoolOptions,
  PoolSettings,
  PoolSpec,
  PoolTarget,
  Rollout,
  TargetSpec,
} from './pool-types.ts';
import { defaultRetryPolicy } from './retry.ts';
import { defaultRetryBudget } from './retry-budget.ts';
import { parseTarget } from './target.ts';
import type { Target } from './types.ts';

/** Tells of a fault: which option, what it is and what was expected. */
export type Fault = (field: keyof PoolOptions | 'target', message: string) => void;

const serviceForm = /^service:\/\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/?$/;
const maxTargets = 1_000;
const stickyName = 'oo_sticky';
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** A deploy waits for this where a pool has no check of its own: any answer that is no server error. */
export const deployCheck: HealthCheck = Object.freeze({
  ...defaultHealthCheck,
  kind: 'http',
  statuses: [[100, 499]] as const,
  intervalMs: 1_000,
  timeoutMs: 5_000,
  rise: 1,
});

const noInstanceOptions: InstanceSettings = Object.freeze({
  check: null,
  outlier: defaultOutlierSettings,
  failureStatuses: 'gateway',
  breaker: null,
  limits: null,
  tag: '',
});

/** What a pool without options has. */
export const defaultPoolSettings: PoolSettings = Object.freeze({
  balancing: defaultBalancing,
  hashBy: Object.freeze({ kind: 'ip' }),
  sticky: '',
  instance: noInstanceOptions,
  retry: defaultRetryPolicy,
  retryBudget: defaultRetryBudget.ratio,
});

const optionNames = ['balance', 'health', 'outlier', 'breaker', 'limits', 'retry'] as const;

/**
 * Proves what a route or a service says of its pool.
 * @param name `route app.example.com`, `service user-svc`
 * @param kind services are probed by default, and have the members that register where `target` is undefined
 * @param fault is told of each fault; what is returned is of use only if it never was
 * @param targets parsed targets by text, so that equal ones share an object; is added to
 */
export function compilePoolSpec(
  name: string,
  kind: 'route' | 'service',
  target: TargetSpec | undefined,
  options: PoolOptions,
  fault: Fault,
  targets = new Map<string, Target>(),
): PoolSpec {
  const own = kind === 'service' ? name.slice('service '.length) : '';
  const members = target === undefined ? { service: own, targets: [] } : compileMembers(target, fault, targets);
  if (kind === 'service' && target !== undefined && members.service !== '')
    fault('target', 'target is a service; expected an address, or none for the instances that register');
  if (kind === 'route' && members.service !== '') {
    for (const field of ['balance', 'health', 'outlier', 'breaker', 'limits'] as const)
      if (options[field] !== undefined)
        fault(field, `${field} is the service's to say; expected it in the definition of ${members.service}`);
  }
  const hasOptions = kind === 'service' || optionNames.some((field) => options[field] !== undefined);
  const settings = hasOptions ? compileSettings(kind, options, fault) : defaultPoolSettings;
  const { gate, canary } = compileRollout(options.rollout, fault, targets);
  return Object.freeze({ name, ...members, settings, canary, gate });
}

function compileMembers(spec: TargetSpec, fault: Fault, known: Map<string, Target>): Members {
  if (typeof spec === 'string') {
    const service = serviceForm.exec(spec)?.[1];
    if (service !== undefined) return { service, targets: [] };
    if (spec.startsWith('service:'))
      fault('target', `target '${shorten(spec)}' is no service; expected such as service://user-svc`);
    else return { service: '', targets: compileTargets([spec], fault, known) };
    return { service: '', targets: [] };
  }
  if (!Array.isArray(spec) || spec.length === 0 || spec.length > maxTargets) {
    fault(
      'target',
      `target is '${shorten(JSON.stringify(spec))}'; expected an address, or a list of 1 to ${maxTargets}`,
    );
    return { service: '', targets: [] };
  }
  return { service: '', targets: compileTargets(spec, fault, known) };
}

function compileTargets(list: readonly (string | Weighted)[], fault: Fault, known: Map<string, Target>): PoolTarget[] {
  const compiled: PoolTarget[] = [];
  const hrefs = new Set<string>();
  for (const item of list) {
    const { url, weight = 1, priority = 0 } = typeof item === 'string' ? { url: item } : item;
    const target = known.get(url) ?? parseTarget(url);
    if (typeof target === 'string') {
      fault('target', `target '${shorten(url)}' ${target}`);
      continue;
    }
    known.set(url, target);
    if (!isWhole(weight, 0, 1_000))
      fault('target', `the weight of ${shorten(url)} is '${shorten(weight)}'; expected 0 to 1000`);
    if (!isWhole(priority, 0, 100))
      fault('target', `the priority of ${shorten(url)} is '${shorten(priority)}'; expected 0 to 100`);
    if (hrefs.has(target.href)) fault('target', `target '${shorten(url)}' is in the list twice; expected each once`);
    hrefs.add(target.href);
    compiled.push(Object.freeze({ target, weight, priority }));
  }
  return compiled;
}

type Weighted = Exclude<TargetSpec, string>[number] & object;

function compileSettings(kind: 'route' | 'service', options: PoolOptions, fault: Fault): PoolSettings {
  const balance: BalanceOptions =
    typeof options.balance === 'string' ? { policy: options.balance } : (options.balance ?? {});
  const { policy = 'power-of-two', by = 'ip', sticky = false, ...rest } = balance;
  const say = (message: string) => fault('balance', message);
  if (!policies.includes(policy)) say(`balance is '${shorten(policy)}'; expected ${policies.join(', ')}`);
  const hashBy = parseHashBy(by);
  if (hashBy === undefined) say(`balance.by is '${shorten(by)}'; expected ip, header:NAME or cookie:NAME`);
  const name = sticky === true ? stickyName : sticky === false ? '' : sticky;
  if (name !== '' && !token.test(name))
    say(`balance.sticky is '${shorten(sticky)}'; expected true, false or a cookie's name`);
  range(rest.slowStartMs, 0, 3_600_000, 'balance.slowStartMs', say);
  range(rest.minAvailable, 0, 1, 'balance.minAvailable', say);
  range(rest.panicThreshold, 0, 1, 'balance.panicThreshold', say);
  if (rest.boundedLoad !== undefined && rest.boundedLoad !== 0)
    range(rest.boundedLoad, 1.01, 100, 'balance.boundedLoad', say);
  const { budget, ...retry } = typeof options.retry === 'object' ? options.retry : {};
  const sayRetry = (message: string) => fault('retry', message);
  range(retry.tries, 1, 10, 'retry.tries', sayRetry, true);
  range(retry.tryTimeoutMs, 0, 3_600_000, 'retry.tryTimeoutMs', sayRetry, true);
  range(retry.totalTimeoutMs, 0, 3_600_000, 'retry.totalTimeoutMs', sayRetry, true);
  range(budget, 0, 1, 'retry.budget', sayRetry);
  return Object.freeze({
    balancing: Object.freeze({ ...defaultBalancing, policy, ...rest }),
    hashBy: Object.freeze(hashBy ?? { kind: 'ip' as const }),
    sticky: name,
    instance: compileInstance(kind, options, fault),
    retry: Object.freeze({ ...defaultRetryPolicy, ...(options.retry === false ? { tries: 1 } : {}), ...retry }),
    retryBudget: budget ?? defaultRetryBudget.ratio,
  });
}

function parseHashBy(by: string): HashBy | undefined {
  if (by === 'ip') return { kind: 'ip' };
  const match = /^(header|cookie):(.+)$/.exec(String(by));
  if (match === null || !token.test(match[2])) return undefined;
  const kind = match[1] as 'header' | 'cookie';
  return { kind, name: kind === 'header' ? match[2].toLowerCase() : match[2] };
}

function compileInstance(kind: 'route' | 'service', options: PoolOptions, fault: Fault): InstanceSettings {
  const { health, outlier, breaker, limits } = options;
  const check = compileCheck(kind, health, fault);
  const { statuses: failureStatuses = 'gateway', ...outlierRest } = typeof outlier === 'object' ? outlier : {};
  const sayOutlier = (message: string) => fault('outlier', message);
  if (!['none', 'gateway', '5xx'].includes(failureStatuses))
    sayOutlier(`outlier.statuses is '${shorten(failureStatuses)}'; expected none, gateway or 5xx`);
  numbers(outlierRest, defaultOutlierSettings, ['failureRate', 'maxEjectedShare'], 'outlier', sayOutlier);
  const asked = typeof breaker === 'object' ? breaker : {};
  numbers(asked, defaultBreakerSettings, ['failureRate'], 'breaker', (message) => fault('breaker', message));
  numbers(limits ?? {}, defaultAdmissionLimits, [], 'limits', (message) => fault('limits', message));
  const given = {
    ...(health === undefined ? {} : { health: check }),
    ...(outlier === undefined ? {} : { outlier }),
    ...(breaker ? { breaker: asked } : {}),
    ...(limits === undefined ? {} : { limits }),
    ...(kind === 'service' && health === undefined ? { health: 'tcp' } : {}),
  };
  return Object.freeze({
    check,
    outlier: outlier === false ? null : Object.freeze({ ...defaultOutlierSettings, ...outlierRest }),
    failureStatuses,
    breaker: breaker ? Object.freeze({ ...defaultBreakerSettings, ...asked }) : null,
    limits: limits === undefined ? null : Object.freeze({ ...defaultAdmissionLimits, ...limits }),
    tag: Object.keys(given).length === 0 ? '' : JSON.stringify(given),
  });
}

/** A health check as a file says it. */
export function compileCheck(
  kind: 'route' | 'service',
  health: PoolOptions['health'],
  fault: Fault,
): HealthCheck | null {
  if (health === false) return null;
  if (health === undefined) return kind === 'service' ? defaultHealthCheck : null;
  const options: HealthOptions = typeof health === 'string' ? { path: health } : health;
  const { statuses, ...rest } = options;
  const ranges = statuses === undefined ? defaultHealthCheck.statuses : parseStatuses(statuses);
  const check: HealthCheck = Object.freeze({ ...defaultHealthCheck, kind: 'http', ...rest, statuses: ranges });
  if (!['http', 'tcp', 'grpc'].includes(check.kind))
    fault('health', `health.kind is '${shorten(check.kind)}'; expected http, tcp or grpc`);
  for (const { field, message } of healthCheckFaults(check))
    fault('health', `health.${field} is '${shorten(options[field as keyof HealthOptions])}'; expected ${message}`);
  return check;
}

/** @returns empty where it is none */
function parseStatuses(text: string): [number, number][] {
  const ranges: [number, number][] = [];
  for (const part of String(text).split(',')) {
    const match = /^\s*(\d{3})(?:-(\d{3}))?\s*$/.exec(part);
    if (match === null) return [];
    ranges.push([Number(match[1]), Number(match[2] ?? match[1])]);
  }
  return ranges;
}

function compileRollout(rollout: Rollout | undefined, fault: Fault, known: Map<string, Target>) {
  const { gate, canary, previous } = rollout ?? {};
  const say: Fault = (_, message) => fault('rollout', message);
  if (previous !== undefined) compileMembers(previous, say, known);
  const order = gate === undefined || gate.state === 'open' ? null : Object.freeze({ ...openGate, ...gate });
  const wrong = order === null ? undefined : gateFault(order);
  if (wrong !== undefined) fault('rollout', `rollout.gate.${wrong.field} is wrong; expected ${wrong.message}`);
  return { gate: order, canary: canary === undefined ? null : compileCanary(canary, fault, known) };
}

function compileCanary(canary: Canary, fault: Fault, known: Map<string, Target>): CompiledCanary {
  const { target, percent = 0, header = '' } = canary;
  const members = compileMembers(target, (_, message) => fault('rollout', `rollout.canary: ${message}`), known);
  const say = (message: string) => fault('rollout', message);
  range(percent, 0, 100, 'rollout.canary.percent', say);
  const at = header.indexOf('=');
  const headerName = (at < 0 ? header : header.slice(0, at)).toLowerCase();
  if (header !== '' && !token.test(headerName))
    say(`rollout.canary.header is '${shorten(header)}'; expected name=value`);
  return Object.freeze({ ...members, percent, headerName, headerValue: at < 0 ? '' : header.slice(at + 1) });
}

/** Each number of `given` is within bounds: shares from 0 to 1, the others whole, from 0 on. */
function numbers(
  given: object,
  all: object,
  shares: readonly string[],
  where: string,
  say: (message: string) => void,
): void {
  for (const [field, value] of Object.entries(given)) {
    if (!Object.hasOwn(all, field)) say(`${where}.${field} is unknown; expected one of ${Object.keys(all).join(', ')}`);
    else if (shares.includes(field)) range(value, 0, 1, `${where}.${field}`, say);
    else range(value, 0, 2 ** 31 - 1, `${where}.${field}`, say, true);
  }
}

function range(
  value: unknown,
  least: number,
  most: number,
  field: string,
  say: (message: string) => void,
  whole = false,
): void {
  if (value === undefined) return;
  const good = typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value));
  if (!good) say(`${field} is '${shorten(value)}'; expected ${whole ? 'a whole number ' : ''}from ${least} to ${most}`);
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}

/** What a message quotes: one line, not too long. */
function shorten(value: unknown): string {
  const text = String(value).replace(/\p{C}/gu, '?');
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
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
