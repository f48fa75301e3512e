import { type HealthCheck, healthCheckFaults } from '../core/health-check.ts';
import { judgeProbe } from '../core/health-probe.ts';
import { compileCheck, deployCheck } from '../core/pool-compile.ts';
import type { PoolOptions } from '../core/pool-types.ts';
import type { Target } from '../core/types.ts';
import type { Probe } from '../services/probe-types.ts';
import type { Clock } from '../services/types.ts';
import { RolloutRefusal } from './rollout-types.ts';

/** From the start of one check to the start of the next, ms. */
const everyMs = 1_000;
/** A check gets this long at least, ms, however near the deadline is. */
const leastMs = 100;

/**
 * What a deploy waits for: a GET of the path that was named; else the pool's own check; else any answer that is no server error; a
 * connection where the pool wants no check at all.
 * @throws RolloutRefusal for a path that is none
 */
export function checkOf(path: string | undefined, health: PoolOptions['health']): HealthCheck {
  if (path !== undefined) {
    const check: HealthCheck = { ...deployCheck, path, statuses: [[200, 399]] };
    const [fault] = healthCheckFaults(check);
    if (fault === undefined) return check;
    const shown = `'${path.slice(0, 100).replace(/\p{C}/gu, '?')}'`;
    const hint = 'For example --health /up: it must answer with a status from 200 to 399.';
    throw new RolloutRefusal(400, 'OO_BAD_REQUEST', `health is ${shown}; expected ${fault.message}.`, hint);
  }
  if (health === undefined) return deployCheck;
  if (health === false) return { ...deployCheck, kind: 'tcp' };
  return compileCheck('route', health, () => {}) ?? deployCheck;
}

/** `GET /up`, `a connection`: what a check asks for, for people. */
export function checkText({ kind, method, path, grpcService }: HealthCheck): string {
  if (kind === 'tcp') return 'a connection';
  return kind === 'http' ? `${method} ${path}` : `gRPC health${grpcService === '' ? '' : ` of ${grpcService}`}`;
}

/** One that is waited for. */
export interface Awaited {
  readonly target: Target;
  readonly insecureSkipVerify: boolean;
}

export interface WaitOptions {
  readonly probe: Probe;
  readonly clock: Clock;
  readonly check: HealthCheck;
  readonly deadlineMs: number;
  /** `one`: it is enough that one passes, as with a service's instances. */
  readonly need: 'all' | 'one';
  readonly signal: AbortSignal;
  /** Told when the reason is another than before. */
  readonly onFailed: (href: string, reason: string) => void;
  readonly onPassed: (href: string, tookMs: number) => void;
}

/**
 * Checks each of them once a second until it passes, all at the same time.
 * @returns undefined when they have passed, or the first that has not by the deadline, with its last reason. When `signal` has ended it: undefined
 */
export async function waitHealthy(
  list: readonly Awaited[],
  options: WaitOptions,
): Promise<{ readonly href: string; readonly reason: string; readonly tries: number } | undefined> {
  const enough = new AbortController();
  const signal = AbortSignal.any([options.signal, enough.signal]);
  const results = await Promise.all(
    list.map(async (one) => {
      const failure = await waitForOne(one, options, signal);
      if (failure === undefined && options.need === 'one') enough.abort();
      return failure;
    }),
  );
  if (options.need === 'one' && enough.signal.aborted) return undefined;
  return results.find((failure) => failure !== undefined);
}

async function waitForOne({ target, insecureSkipVerify }: Awaited, options: WaitOptions, signal: AbortSignal) {
  const { probe, clock, check, deadlineMs, onFailed, onPassed } = options;
  const { href } = target;
  const startedAt = clock.now();
  const end = startedAt + deadlineMs;
  let reason = '';
  for (let tries = 1; ; tries++) {
    const begunAt = clock.now();
    const timeoutMs = Math.max(leastMs, Math.min(check.timeoutMs, end - begunAt));
    const limited = { ...check, timeoutMs };
    const result = await probe(limited, { target, address: '', insecureSkipVerify }, signal);
    if (signal.aborted) return undefined;
    const verdict =
      result === undefined
        ? { passed: false, reason: 'this machine has no file descriptor or port left to try' }
        : judgeProbe(limited, result);
    if (verdict.passed) {
      onPassed(href, clock.now() - startedAt);
      return undefined;
    }
    if (verdict.reason !== reason) onFailed(href, verdict.reason);
    reason = verdict.reason;
    const next = Math.max(clock.now(), begunAt + everyMs);
    if (next >= end) return { href, reason, tries };
    await pause(clock, next - clock.now(), signal);
    if (signal.aborted) return undefined;
  }
}

/** Resolves after `ms`, or when `signal` ends it. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal.addEventListener('abort', done);
  });
}
