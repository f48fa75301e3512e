import type { Clock } from './manager-types.ts';
import type { CertificateStore } from './types.ts';

/** How long a lease is taken for, ms; it is extended after a third of it. What a killed server held is free after this. */
export const leaseMs = 30_000;

export interface LeaseOptions {
  readonly store: Pick<CertificateStore, 'takeLease' | 'releaseLease'>;
  readonly clock: Clock;
  readonly holder: string;
}

export interface Lease {
  /** Stops extending it, and gives it back. Never rejects. */
  release(): Promise<void>;
}

/**
 * Takes a lease and keeps extending it.
 * @param onLost called once when another has it, or when it could not be extended in its time
 * @returns undefined: another has it
 * @throws StoreFailure
 */
export async function takeLease(
  { store, clock, holder }: LeaseOptions,
  name: string,
  onLost: () => void,
): Promise<Lease | undefined> {
  let until = clock.now() + leaseMs;
  if (!(await store.takeLease(name, holder, clock.now(), until))) return undefined;
  let ended = false;
  let cancel = () => {};

  async function extend(): Promise<void> {
    const next = clock.now() + leaseMs;
    // A database that is out of reach for a moment takes no lease away; one that is for as long as the lease does.
    const held = await store.takeLease(name, holder, clock.now(), next).then(
      (yes) => {
        if (yes) until = next;
        return yes;
      },
      () => clock.now() < until,
    );
    if (ended) return;
    if (held) schedule();
    else {
      ended = true;
      onLost();
    }
  }

  function schedule(): void {
    cancel = clock.after(Math.min(leaseMs / 3, Math.max(0, until - clock.now())), extend);
  }

  schedule();
  return {
    async release() {
      ended = true;
      cancel();
      await store.releaseLease(name, holder).catch(() => {});
    },
  };
}
