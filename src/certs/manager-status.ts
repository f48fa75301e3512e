import type { Jobs } from './jobs.ts';
import type { Shelf } from './manager-shelf.ts';
import type { CertificateStatus } from './manager-types.ts';
import type { States } from './states.ts';
import type { KeyType } from './types.ts';

export interface StatusSources {
  readonly jobs: Jobs;
  readonly shelf: Shelf;
  readonly states: States;
  readonly keyType: KeyType;
  readonly random: () => number;
}

/** All that is known of one id, whether or not there is anything. */
export function statusOf(id: string, { jobs, shelf, states, keyType, random }: StatusSources): CertificateStatus {
  const certificate = shelf.get(id);
  const state = states.get(id);
  const job = jobs.get(id);
  const dueAt = job === undefined ? 0 : jobs.dueAt(job);
  const hasWindow = state !== undefined && state.windowEnd > 0 && state.renewSerial === certificate?.serial;
  return {
    id,
    names: certificate?.names ?? job?.wanted.names ?? [],
    keyType: certificate?.keyType ?? job?.wanted.keyType ?? keyType,
    source: certificate?.source ?? job?.wanted.by ?? 'acme',
    certificate,
    stored: certificate !== undefined && shelf.isStored(id),
    routes: job?.wanted.routes ?? [],
    wanted: job !== undefined,
    failures: state?.failures ?? 0,
    lastFailure:
      state?.lastFailure ?? (certificate === undefined && job ? jobs.pauseOf(job.wanted) : undefined) ?? null,
    nextTryAt: Number.isFinite(dueAt) ? dueAt : 0,
    renewAt: certificate === undefined || job === undefined ? 0 : states.renewalOf(certificate, random),
    window: hasWindow ? { start: state.windowStart, end: state.windowEnd, explanationUrl: state.windowUrl } : null,
    running: job?.running?.progress ?? null,
  };
}
