import type { GateOrder } from '../core/admission-gate.ts';
import type { Canary, TargetSpec } from '../core/pool-types.ts';
import type { By } from './store.ts';

export type RolloutKind = 'route' | 'service';

/** How long new targets are waited for and old ones are watched; `force`: without a check. */
export interface RolloutTimes {
  /** Default 30 s; of a rollback 10 s: what it leads to should be running still. */
  readonly deadlineMs?: number;
  /** Default 30 s; 0: not watched. */
  readonly drainMs?: number;
  /** Default false. */
  readonly force?: boolean;
}

export interface DeployRequest extends RolloutTimes {
  /** A route's id or a service's slug; see `RolloutNames`. */
  readonly name: string;
  /** Where its requests shall go. May be left out, to give the canary that is there another part of them. */
  readonly targets?: readonly string[];
  /** With one of these two it is a canary: only a part of the requests goes there. Of all requests, 0 to 100. */
  readonly percent?: number;
  /** `name=value`, or `name` for any value. */
  readonly header?: string;
  /** Routes that shall lead to the service; they are made. */
  readonly hosts?: readonly string[];
  /** Another path to be asked for than the pool's check has. */
  readonly health?: string;
}

export interface RollbackRequest extends RolloutTimes {
  readonly name: string;
}

export interface PauseRequest {
  readonly name: string;
  /** Defaults: `openGate`. */
  readonly maxWaitMs?: number;
  readonly maxWaiting?: number;
}

export interface StopRequest {
  readonly name: string;
  /** Default: oo's own words. */
  readonly message?: string;
  /** Default: until it is resumed. */
  readonly forMs?: number;
}

/** What a deploy or a rollback does now. */
export interface RolloutStep {
  /** ISO 8601. */
  readonly at: string;
  /** `waiting`: a check failed, it is tried again. `note`: what else one should know. */
  readonly step: 'check' | 'waiting' | 'healthy' | 'swap' | 'drain' | 'note';
  /** Which target; '' where it is about all. */
  readonly target: string;
  readonly detail: string;
}

/** An old instance that others have requests on still. */
export interface LeftOver {
  readonly target: string;
  /** Requests and connections (WebSockets, event streams, downloads) that run on it. */
  readonly inFlight: number;
}

/** How a deploy or a rollback ended well: all workers go by it. */
export interface RolloutOutcome {
  readonly name: string;
  readonly kind: RolloutKind;
  /** There was no such route or service before. */
  readonly created: boolean;
  /** False: it was so already. */
  readonly changed: boolean;
  /** Null: a service's registered instances. */
  readonly target: TargetSpec | null;
  readonly canary: Canary | null;
  /** Where `oo rollback` leads; `service://` and its own slug for a service's registered instances. */
  readonly previous: TargetSpec | null;
  /** Ids of routes to the service that were made. */
  readonly hosts: readonly string[];
  /** Old targets on which nothing runs any more. */
  readonly drained: readonly string[];
  /** Those on which something does, after the drain time; nothing is cut. */
  readonly left: readonly LeftOver[];
  /** Old targets that other routes or services have, too: they go on getting requests. */
  readonly shared: readonly string[];
}

/** A deploy or a rollback that has begun. */
export interface RolloutRun {
  /** Rejects with a RolloutRefusal, or a StoreFailure; until the step `swap` nothing is changed then. */
  readonly done: Promise<RolloutOutcome>;
}

export interface GateOutcome {
  readonly name: string;
  readonly kind: RolloutKind;
  /** Null: it is open. */
  readonly gate: GateOrder | null;
  /** False: it was so already. */
  readonly changed: boolean;
  /** What else one should know; each one line. */
  readonly notes: readonly string[];
}

export type OnStep = (step: RolloutStep) => void;

/**
 * Deploys without a failed request, for routes and services. Methods reject with a RolloutRefusal for what can't be, or a StoreFailure.
 *
 * A deploy: new targets are checked each second until they pass → they take the traffic in one revision → all workers have it → the
 * old ones' requests are watched until none runs. One at a time for a name.
 */
export interface Rollouts {
  /**
   * Resolves when it has begun.
   * @param signal ends it: before the swap nothing is changed, after it the old ones are not watched any longer
   */
  deploy(request: DeployRequest, by: By, onStep: OnStep, signal: AbortSignal): Promise<RolloutRun>;
  /** With a canary: takes it away. Else: back to the target before the last deploy; rolling back once more returns. */
  rollback(request: RollbackRequest, by: By, onStep: OnStep, signal: AbortSignal): Promise<RolloutRun>;
  /** Requests wait. Resolves when all workers go by it; so do the next two. */
  pause(request: PauseRequest, by: By): Promise<GateOutcome>;
  resume(request: { readonly name: string }, by: By): Promise<GateOutcome>;
  /** Requests get the maintenance page. */
  stop(request: StopRequest, by: By): Promise<GateOutcome>;
}

/** What can't be done, and why. The code is API. */
export class RolloutRefusal extends Error {
  override readonly name = 'RolloutRefusal';
  readonly status: 400 | 404 | 409;
  readonly code: string;
  readonly hint: string;

  constructor(status: 400 | 404 | 409, code: string, message: string, hint: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }
}
