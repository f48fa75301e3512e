import { type Balancing, defaultBalancing, policies } from './balance-pool.ts';
import type { CheckProver, PoolKind } from './health-options.ts';
import { compileInstance, defaultInstanceSettings } from './pool-instance.ts';
import {
  anyText,
  between,
  isMapping,
  oneOf,
  proven,
  type Say,
  share,
  shared,
  shorten,
  show,
  time,
  whole,
} from './pool-proof.ts';
import type { HashBy, PoolOptions, PoolSettings } from './pool-types.ts';
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts';
import { defaultRetryBudget } from './retry-budget.ts';

/** The name of a sticky cookie that has none of its own. */
export const stickyName = 'oo_sticky';

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
const hour = 3_600_000;
const byIp: HashBy = Object.freeze({ kind: 'ip' });

const balanceFields = {
  policy: oneOf(policies),
  by: anyText,
  sticky: {
    expected: "true, false or a cookie's name",
    is: (value: unknown) => typeof value === 'boolean' || (typeof value === 'string' && token.test(value)),
  },
  slowStartMs: time(0, hour),
  minAvailable: share,
  panicThreshold: share,
  boundedLoad: { expected: '0, or a number from 1.01 to 100', is: (value: unknown) => value === 0 || bound.is(value) },
};
const bound = between(1.01, 100);

const retryFields = { tries: whole(1, 10), tryTimeoutMs: time(0, hour), totalTimeoutMs: time(0, hour), budget: share };

/** What a pool without options has. */
export const defaultPoolSettings: PoolSettings = Object.freeze({
  balancing: Object.freeze(defaultBalancing),
  hashBy: byIp,
  sticky: '',
  instance: defaultInstanceSettings,
  retry: Object.freeze(defaultRetryPolicy),
  retryBudget: defaultRetryBudget.ratio,
});

/** By what they are, and by how options without a fault were written: most routes of a large table are written alike, and need no second proof. */
const known = new Map<string, PoolSettings>();
const written = new Map<string, PoolSettings>();

/**
 * Proves all options but `rollout`. Equal settings, however they are written, are one object.
 * @param check as of `compileInstance`
 */
export function compileSettings(
  kind: PoolKind,
  options: PoolOptions,
  fault: (field: keyof PoolOptions, message: string) => void,
  check: CheckProver | null,
): PoolSettings {
  const text = textOf(kind, options, check !== null);
  const before = written.get(text);
  if (before !== undefined) return before;
  let faults = 0;
  const settings = proveSettings(
    kind,
    options,
    (field, message) => {
      faults++;
      fault(field, message);
    },
    check,
  );
  return faults > 0 || text === '' ? settings : shared(written, text, settings);
}

/** '' for what JSON has no words for. What is no number shows as null, which no good option has. */
function textOf(kind: PoolKind, options: PoolOptions, probed: boolean): string {
  const { balance, health, outlier, breaker, limits, retry } = options;
  try {
    return JSON.stringify({ kind, probed, balance, health, outlier, breaker, limits, retry });
  } catch {
    return '';
  }
}

function proveSettings(
  kind: PoolKind,
  options: PoolOptions,
  fault: (field: keyof PoolOptions, message: string) => void,
  check: CheckProver | null,
): PoolSettings {
  const settings: PoolSettings = {
    ...compileBalance(options.balance, (message) => fault('balance', message)),
    instance: compileInstance(kind, options, fault, check),
    ...compileRetry(options.retry, (message) => fault('retry', message)),
  };
  const { balancing, hashBy, sticky, instance, retry, retryBudget } = settings;
  const key = JSON.stringify([balancing, hashBy, sticky, instance.tag, retry, retryBudget]);
  if (key === defaultKey) return defaultPoolSettings;
  return shared(known, key, Object.freeze(settings));
}

const defaultKey = JSON.stringify([defaultBalancing, byIp, '', '', defaultRetryPolicy, defaultRetryBudget.ratio]);

function compileBalance(
  balance: PoolOptions['balance'],
  say: Say,
): Pick<PoolSettings, 'balancing' | 'hashBy' | 'sticky'> {
  const { balancing, hashBy, sticky } = defaultPoolSettings;
  if (balance === undefined) return { balancing, hashBy, sticky };
  if (typeof balance === 'string') {
    if (policies.includes(balance)) return { balancing: withFields({ policy: balance }), hashBy, sticky };
    say(`balance is ${show(balance)}; expected ${balanceFields.policy.expected}, or a mapping`);
    return { balancing, hashBy, sticky };
  }
  if (!isMapping(balance)) {
    say(`balance is ${show(balance)}; expected a policy such as least-requests, or a mapping`);
    return { balancing, hashBy, sticky };
  }
  const { by, sticky: cookie = false, ...given } = proven(balance, 'balance', balanceFields, say);
  // What is asked for and would not be done is a fault, as a wrong value is.
  for (const field of ['by', 'boundedLoad'] as const)
    if (balance[field] !== undefined && given.policy !== 'hash' && balance[field] !== 0)
      say(`balance.${field} is for the policy hash; expected balance.policy hash, or no balance.${field}`);
  return {
    balancing: withFields(given as Partial<Balancing>),
    hashBy: by === undefined ? byIp : parseHashBy(by as string, say),
    sticky: cookie === true ? stickyName : cookie === false ? '' : (cookie as string),
  };
}

/** In the order of the defaults, whatever the order of what is given. */
function withFields(given: Partial<Balancing>): Balancing {
  return Object.freeze({ ...defaultBalancing, ...given });
}

function parseHashBy(by: string, say: Say): HashBy {
  if (by === 'ip') return byIp;
  const [, kind, name] = /^(header|cookie):(.+)$/.exec(by) ?? [];
  if (name !== undefined && token.test(name))
    return Object.freeze(kind === 'header' ? { kind, name: name.toLowerCase() } : { kind: 'cookie' as const, name });
  say(`balance.by is '${shorten(by)}'; expected ip, header:NAME or cookie:NAME`);
  return byIp;
}

function compileRetry(retry: PoolOptions['retry'], say: Say): Pick<PoolSettings, 'retry' | 'retryBudget'> {
  const plain = { retry: defaultPoolSettings.retry, retryBudget: defaultPoolSettings.retryBudget };
  if (retry === undefined || retry === true) return plain;
  if (retry === false) return { ...plain, retry: Object.freeze({ ...defaultRetryPolicy, tries: 1 }) };
  if (!isMapping(retry)) {
    say(`retry is ${show(retry)}; expected true, false, or a mapping`);
    return plain;
  }
  const { budget = plain.retryBudget, ...given } = proven(retry, 'retry', retryFields, say);
  const policy = Object.freeze({ ...defaultRetryPolicy, ...given } as RetryPolicy);
  return { retry: policy, retryBudget: budget as number };
}
