import * as v from 'valibot';
import { defaultAdmissionLimits } from '../../core/admission.ts';
import { maxGateMessage, openGate } from '../../core/admission-gate.ts';
import { defaultBalancing, policies } from '../../core/balance-pool.ts';
import { defaultBreakerSettings } from '../../core/breaker.ts';
import { defaultHealthCheck } from '../../core/health-check.ts';
import { defaultOutlierSettings } from '../../core/outlier.ts';
import { defaultRetryPolicy } from '../../core/retry.ts';
import { about, between, flag, maybe, text, whole } from './common.ts';

const hour = 3_600_000;
const day = 86_400_000;
const share = between(0, 1);
const count = whole(1, 1_000_000);

const address = about(v.pipe(text, v.minLength(1)), 'Where it listens.', { examples: ['http://10.0.0.2:3000'] });

/** One of several targets. */
export const weightedTargetWire = about(
  v.strictObject({
    url: address,
    weight: maybe(whole(0, 1_000), "Its share of the requests next to the others'; 0: drained.", { default: 1 }),
    priority: maybe(whole(0, 100), '0 is asked first; the next number only when too few of those before are healthy.', {
      default: 0,
    }),
  }),
  'One of several targets.',
);

export const targetWire = about(
  v.union([
    v.pipe(text, v.minLength(1)),
    v.pipe(v.array(v.union([v.pipe(text, v.minLength(1)), weightedTargetWire])), v.minLength(1), v.maxLength(1_000)),
  ]),
  'Where requests go: `http://…`, `https://…` or `h2c://…` (without a scheme: `http://`), with or without a path; a list of them; or `service://slug`, the registered instances of a service.',
  { examples: ['http://10.0.0.2:3000', ['http://10.0.0.2:3000', { url: 'http://10.0.0.3:3000', weight: 3 }]] },
);

const policyWire = about(
  v.picklist(policies),
  'power-of-two: of two drawn by weight the less busy and faster one; least-requests: the fewest requests in flight by weight; round-robin: in turn, by weight; random: by weight; hash: the same key, the same instance.',
);

export const balanceWire = about(
  v.union([
    policyWire,
    v.strictObject({
      policy: v.optional(about(policyWire, 'How one is picked.', { default: defaultBalancing.policy })),
      by: maybe(text, 'With hash: whose value decides: ip, header:NAME or cookie:NAME.', { default: 'ip' }),
      sticky: maybe(
        v.union([flag, text]),
        'A cookie keeps a client with its instance: true for the name oo_sticky, or a name.',
        { default: false },
      ),
      slowStartMs: maybe(whole(0, hour), 'How long the weight of an instance that came up grows, ms; 0: not at all.', {
        default: defaultBalancing.slowStartMs,
      }),
      minAvailable: maybe(
        share,
        'How much of the first group, by weight, must be healthy for the second one to stay out, 0 to 1.',
        { default: defaultBalancing.minAvailable },
      ),
      panicThreshold: maybe(share, 'Below which share of healthy members all are used, 0 to 1; 0: never.', {
        default: defaultBalancing.panicThreshold,
      }),
      boundedLoad: maybe(
        between(0, 100),
        'With hash: no instance gets more than so many times its fair share; 0: no bound, else from 1.01.',
        { default: defaultBalancing.boundedLoad },
      ),
    }),
  ]),
  'How requests are shared out among several targets. A policy’s name is short for `{ policy }`.',
  { examples: ['least-requests', { policy: 'hash', by: 'cookie:user' }] },
);

const check = defaultHealthCheck;
export const healthWire = about(
  v.union([
    v.literal(false),
    text,
    v.strictObject({
      kind: maybe(v.picklist(['http', 'tcp', 'grpc']), 'What is asked.', { default: 'http' }),
      path: maybe(text, 'HTTP: path and query.', { default: check.path }),
      method: maybe(v.picklist(['GET', 'HEAD']), 'HTTP.', { default: check.method }),
      host: maybe(text, "The Host that is sent; '' for the target's own.", { default: check.host }),
      port: maybe(whole(0, 65_535), "0 for the instance's own.", { default: check.port }),
      statuses: maybe(text, 'HTTP: which are good.', { default: '200-399', examples: ['200-299,304'] }),
      bodyContains: maybe(text, "HTTP: what the body's first 64 KiB must contain; '' for nothing.", {
        default: check.bodyContains,
      }),
      grpcService: maybe(text, "gRPC: which service; '' for the server.", { default: check.grpcService }),
      intervalMs: maybe(whole(100, day), 'From one probe to the next, ms.', { default: check.intervalMs }),
      timeoutMs: maybe(whole(10, 300_000), 'For a whole probe, ms.', { default: check.timeoutMs }),
      rise: maybe(whole(1, 100), 'Good probes in a row that bring it back.', { default: check.rise }),
      fall: maybe(whole(1, 100), 'Failed probes in a row that take it out.', { default: check.fall }),
      degradedMs: maybe(whole(1, 300_000), 'A good probe that takes longer is slow, ms.', {
        default: check.degradedMs,
      }),
    }),
  ]),
  'How instances are probed: a path is short for `{ path }`; tcp; grpc; false: not at all. Default: routes’ targets are not probed, services’ instances by a TCP connection.',
  { examples: ['/up', { path: '/up', intervalMs: 5_000 }] },
);

const outlier = defaultOutlierSettings;
export const outlierWire = about(
  v.union([
    flag,
    v.strictObject({
      failures: maybe(count, 'Failures in a row.', { default: outlier.failures }),
      unreachable: maybe(count, 'Connections in a row that could not be opened.', { default: outlier.unreachable }),
      failureRate: maybe(share, 'The part of its requests that fails, 0 to 1.', { default: outlier.failureRate }),
      minRequests: maybe(count, 'The rate counts from so many in the window on.', { default: outlier.minRequests }),
      windowMs: maybe(whole(100, hour), 'The window, ms.', { default: outlier.windowMs }),
      ejectionMs: maybe(whole(1, day), 'The first ejection, ms; each further one takes twice as long.', {
        default: outlier.ejectionMs,
      }),
      longestEjectionMs: maybe(whole(1, day), 'The longest, ms.', { default: outlier.longestEjectionMs }),
      maxEjectedShare: maybe(share, 'The most of a pool that is ejected at one time, 0 to 1.', {
        default: outlier.maxEjectedShare,
      }),
      probation: maybe(whole(0, 1_000_000), 'Requests that must go well after its return.', {
        default: outlier.probation,
      }),
      statuses: maybe(v.picklist(['none', 'gateway', '5xx']), "Which of an instance's own statuses are failures.", {
        default: 'gateway',
      }),
    }),
  ]),
  'When instances are ejected by what real requests meet; false: never.',
  { default: true, examples: [{ failures: 3 }] },
);

const breaker = defaultBreakerSettings;
export const breakerWire = about(
  v.union([
    flag,
    v.strictObject({
      failures: maybe(count, 'Failures in a row that open it.', { default: breaker.failures }),
      failureRate: maybe(share, 'The part of the requests whose failure opens it, 0 to 1.', {
        default: breaker.failureRate,
      }),
      minRequests: maybe(count, 'The rate counts from so many in the window on.', { default: breaker.minRequests }),
      windowMs: maybe(whole(100, hour), 'The window, ms.', { default: breaker.windowMs }),
      openMs: maybe(whole(1, hour), 'How long it is open at first, ms; after each failed probe twice as long.', {
        default: breaker.openMs,
      }),
      longestOpenMs: maybe(whole(1, day), 'The longest, ms.', { default: breaker.longestOpenMs }),
      probes: maybe(count, 'Half-open: requests that may be under way at one time.', { default: breaker.probes }),
      successes: maybe(count, 'Half-open: good ones that close it.', { default: breaker.successes }),
    }),
  ]),
  'A circuit breaker for each instance; true: by the defaults.',
  { default: false },
);

const admission = defaultAdmissionLimits;
export const limitsWire = about(
  v.strictObject({
    maxConnections: maybe(count, 'Requests that one instance serves at one time.', {
      default: admission.maxConnections,
    }),
    maxWaiting: maybe(whole(0, 1_000_000), 'Requests that may wait for it; 0 for none.', {
      default: admission.maxWaiting,
    }),
    maxWaitMs: maybe(whole(1, 600_000), 'How long each may wait, ms.', { default: admission.maxWaitMs }),
  }),
  'How much one instance is given at a time.',
);

const retry = defaultRetryPolicy;
export const retryWire = about(
  v.union([
    flag,
    v.strictObject({
      tries: maybe(whole(1, 10), 'All attempts together, the first included.', { default: retry.tries }),
      tryTimeoutMs: maybe(whole(0, hour), 'From the start of an attempt to its first byte, ms; 0: no limit.', {
        default: retry.tryTimeoutMs,
      }),
      totalTimeoutMs: maybe(whole(0, hour), 'From the first start to a first byte, ms; 0: no limit.', {
        default: retry.totalTimeoutMs,
      }),
      budget: maybe(share, 'Retries as a part of the requests, 0 to 1.', { default: 0.2 }),
    }),
  ]),
  'How often and how long a request is tried; false: once. Only what is safe is tried again.',
  { default: true },
);

export const gateWire = v.strictObject({
  state: v.picklist(['open', 'paused', 'stopped']),
  message: maybe(v.pipe(text, v.maxLength(maxGateMessage)), "Stopped: what the page says; '' for oo's own words.", {
    default: openGate.message,
  }),
  until: maybe(v.pipe(v.number(), v.minValue(0)), 'When it opens by itself, epoch ms; 0: never.', {
    default: openGate.until,
  }),
  maxWaiting: maybe(whole(0, 100_000), 'Paused: requests that may wait.', { default: openGate.maxWaiting }),
  maxWaitMs: maybe(whole(1, 600_000), 'Paused: how long each may wait, ms.', { default: openGate.maxWaitMs }),
});

export const canaryWire = v.strictObject({
  target: targetWire,
  percent: maybe(between(0, 100), 'Of all requests.', { default: 0 }),
  header: maybe(text, 'Requests with this field go there: `name=value`, or `name` for any value.'),
});

export const rolloutWire = about(
  v.strictObject({
    gate: maybe(gateWire, 'Left out: it is open.'),
    canary: maybe(canaryWire, 'A part of the requests goes to another target first.'),
    previous: maybe(targetWire, 'Where `oo rollback` leads.'),
  }),
  'What `oo deploy`, `pause` and `stop` have done. A save without it leaves it as it is.',
);

/** What routes and services can say of their pool. */
export const poolEntries = {
  balance: v.optional(balanceWire),
  health: v.optional(healthWire),
  outlier: v.optional(outlierWire),
  breaker: v.optional(breakerWire),
  limits: v.optional(limitsWire),
  retry: v.optional(retryWire),
  rollout: v.optional(rolloutWire),
};
