/** Figures of one pool in one worker, since that began; those of several are added up. */
export interface PoolFigures {
  /** `route app.example.com`, `service user-svc`. */
  readonly name: string;
  readonly requests: number;
  /** Answered with a status from 500 on, or cut. */
  readonly errors: number;
  readonly retries: number;
  /** Requests that are under way. */
  readonly inFlight: number;
  /** Requests that wait: for a place, or since the pool is paused. */
  readonly waiting: number;
  /** How many took how long from their head to the response's head: see `latencyBucket`. */
  readonly latencies: readonly number[];
  /** `first`, `spill`, `panic`, `none`. */
  readonly state: string;
  /** Keys of its instances, with their effective weights. */
  readonly members: readonly (readonly [key: string, weight: number])[];
}

export interface InstanceFigures {
  readonly key: string;
  readonly requests: number;
  readonly failures: number;
  readonly inFlight: number;
  /** Open connections. */
  readonly open: number;
  /** `closed`, `open`, `half-open`; '' without a breaker. */
  readonly breaker: string;
  /** Moving average of the time to a response's head, ms; -1: unknown. */
  readonly latencyMs: number;
}

/** Only what has had requests is in it. */
export interface WorkerFigures {
  readonly pools: readonly PoolFigures[];
  readonly instances: readonly InstanceFigures[];
}
