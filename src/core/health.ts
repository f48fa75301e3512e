import type { HealthCheck } from './health-check.ts';
import type { ProbeVerdict } from './health-probe.ts';

/** The seed's four states. Degraded and Unknown ones are used; who picks may prefer the Healthy. */
export type HealthState = 'Healthy' | 'Degraded' | 'Unreachable' | 'Unknown';

/**
 * The active health of one address under one check (`healthKey`). It lives in the main process, which alone probes; workers
 * get each flip as a message, and all states when they start. Changed in place by `observeProbe`.
 */
export interface Health {
  state: HealthState;
  /** Since when it is in this state, epoch ms; kept over a restart. */
  since: number;
  /** Why it is in this state: one line; '' for Healthy. */
  reason: string;
  /** Results in a row, of which at most two are over 0: passed or failed, and of those passed slow or fast. */
  passes: number;
  failures: number;
  slow: number;
  fast: number;
  /** The last probe, epoch ms; 0 before the first. */
  probedAt: number;
  /** How the last probe went: its reason, or ''. It may speak against the state, until there are enough in a row. */
  lastReason: string;
  /** Whether the state is what the process before this one knew, and no probe has spoken yet. */
  restored: boolean;
}

/** What is stored at each flip, and trusted by the next process. */
export type StoredHealth = Pick<Health, 'state' | 'since' | 'reason'>;

/** A change of state: for the log, `oo status`, the store, and the workers. */
export interface HealthFlip {
  readonly from: HealthState;
  readonly to: HealthState;
  /** Epoch ms. */
  readonly at: number;
  readonly reason: string;
}

/**
 * The state before the first probe: the last known one, if there is any, else Unknown. Trusting it means that a restart
 * neither sends requests to a dead instance nor waits for probes before it uses a good one.
 * @param now epoch ms
 */
export function startHealth(known: StoredHealth | undefined, now: number): Health {
  return {
    state: known?.state ?? 'Unknown',
    since: known?.since ?? now,
    reason: known?.reason ?? 'not checked yet',
    passes: 0,
    failures: 0,
    slow: 0,
    fast: 0,
    probedAt: 0,
    lastReason: '',
    restored: known !== undefined && known.state !== 'Unknown',
  };
}

/** Whether requests may be sent to it, as far as probes know. */
export function isUsable({ state }: Pick<Health, 'state'>): boolean {
  return state !== 'Unreachable';
}

/**
 * Takes in one verdict. `fall` failures in a row make it Unreachable and `rise` passes bring it back; of one that answers,
 * `fall` slow answers in a row make it Degraded and `rise` fast ones Healthy. Unknown believes the first probe.
 * @param now epoch ms
 * @returns the flip, if this verdict made one
 */
export function observeProbe(
  health: Health,
  check: Pick<HealthCheck, 'rise' | 'fall'>,
  verdict: ProbeVerdict,
  now: number,
): HealthFlip | undefined {
  const { passed, slow } = verdict;
  health.probedAt = now;
  health.lastReason = verdict.reason;
  health.restored = false;
  health.passes = passed ? health.passes + 1 : 0;
  health.failures = passed ? 0 : health.failures + 1;
  health.slow = passed && slow ? health.slow + 1 : 0;
  health.fast = passed && !slow ? health.fast + 1 : 0;
  const to = nextState(health, check, slow);
  const from = health.state;
  if (to === from) {
    // Another reason for the same state: the newest tells most.
    if (verdict.reason !== '' && (passed ? slow && from === 'Degraded' : from === 'Unreachable'))
      health.reason = verdict.reason;
    return undefined;
  }
  health.state = to;
  health.since = now;
  health.reason = to === 'Healthy' ? '' : verdict.reason;
  const good = health.passes === 1 ? 'a good check' : `${health.passes} good checks in a row`;
  return { from, to, at: now, reason: verdict.reason === '' ? good : verdict.reason };
}

function nextState(health: Health, { rise, fall }: Pick<HealthCheck, 'rise' | 'fall'>, slow: boolean): HealthState {
  const { state, passes, failures } = health;
  const answering = slow ? 'Degraded' : 'Healthy';
  if (state === 'Unknown') return passes > 0 ? answering : 'Unreachable';
  if (state === 'Unreachable') return passes >= rise ? answering : state;
  if (failures >= fall) return 'Unreachable';
  if (state === 'Healthy') return health.slow >= fall ? 'Degraded' : state;
  return health.fast >= rise ? 'Healthy' : state;
}
