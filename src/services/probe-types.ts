import type { HealthCheck } from '../core/health-check.ts';
import type { ProbeResult } from '../core/health-probe.ts';
import type { Target } from '../core/types.ts';

/** Whom a probe asks. */
export interface ProbeTarget {
  readonly target: Target;
  /** The address to connect to, of several that the target's name has; '' to look it up. */
  readonly address: string;
  /** Accept any certificate. */
  readonly insecureSkipVerify: boolean;
}

/**
 * Probes once. Resolves within the check's time-out, and has given up its connection by then. Never rejects.
 * @param signal ends it at once
 * @returns undefined where this machine could not even try (no file descriptor or port left), or was told to stop: that
 *   says nothing of the instance
 */
export type Probe = (check: HealthCheck, target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult | undefined>;

/** What the prober of one protocol works with, over a socket that is connected and has its handshake behind it. */
export interface ProbeContext {
  readonly check: HealthCheck;
  readonly target: Target;
  /** The first call counts; it closes the socket. That the socket closes by itself is seen to. */
  readonly settle: (answer: Partial<ProbeResult>) => void;
  readonly fail: (error: Error) => void;
}

/** What a probe says that it is. */
export const probeAgent = 'oo-health-check';

/** The Host, or :authority. */
export function authorityOf({ check, target }: Pick<ProbeContext, 'check' | 'target'>): string {
  if (check.host !== '') return check.host;
  if (check.port === 0 || check.port === target.port) return target.authority;
  return `${target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname}:${check.port}`;
}
