/**
 * Whether a route takes requests: `oo pause`, `oo resume`, `oo stop`. Stored with the route's id, so that a restart does not open
 * a stopped one, and sent to each worker, like a change of routes.
 */
export interface GateOrder {
  readonly state: 'open' | 'paused' | 'stopped';
  /** `stopped`: what the maintenance page says, plain text; '' for oo's own words. Up to `maxGateMessage` characters. */
  readonly message: string;
  /** When it opens by itself, epoch ms; 0 for never: a pause during a migration must not end early. */
  readonly until: number;
  /** `paused`: requests that may wait, in all workers together, and how long each of them may. */
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
}

export const openGate: GateOrder = { state: 'open', message: '', until: 0, maxWaiting: 1_000, maxWaitMs: 30_000 };
export const maxGateMessage = 1_000;

/** Which field of an order is wrong, and what was expected; undefined if it can be used. */
export function gateFault(order: GateOrder): { field: keyof GateOrder; message: string } | undefined {
  const { message, until, maxWaiting, maxWaitMs } = order;
  if (message.length > maxGateMessage) return { field: 'message', message: `up to ${maxGateMessage} characters` };
  if (!(until >= 0)) return { field: 'until', message: 'epoch milliseconds, or 0 for no end' };
  if (!Number.isInteger(maxWaiting) || maxWaiting < 0 || maxWaiting > 100_000)
    return { field: 'maxWaiting', message: 'from 0 to 100000 requests' };
  if (!Number.isInteger(maxWaitMs) || maxWaitMs < 1 || maxWaitMs > 600_000)
    return { field: 'maxWaitMs', message: 'from 1 ms to 10 minutes' };
  return undefined;
}

/** What an order says at a time. @param now epoch ms */
export function gateStateAt({ state, until }: GateOrder, now: number): GateOrder['state'] {
  return until > 0 && now >= until ? 'open' : state;
}

/** For Retry-After: seconds until it opens by itself, from 1 to an hour; `otherwise` if nobody knows. @param now epoch ms */
export function gateRetryAfter({ until }: GateOrder, now: number, otherwise = 5): number {
  if (until <= now) return otherwise;
  return Math.min(3_600, Math.ceil((until - now) / 1_000));
}
