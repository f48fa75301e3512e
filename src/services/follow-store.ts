import type { Registry } from './registry-types.ts';
import type { Clock, RegistryStore } from './types.ts';

/** How often a store that can't be watched is read, ms. */
const pollMs = 500;

export interface FollowOptions {
  readonly registry: Pick<Registry, 'poll' | 'heard' | 'version'>;
  readonly store: Pick<RegistryStore, 'watch'>;
  readonly clock: Clock;
  /** One line for a person, without a time. */
  readonly log: (line: string) => void;
}

/** Keeps a registry up with what other servers write. @returns ends it */
export function followStore({ registry, store, clock, log }: FollowOptions): () => void {
  const onError = (error: Error) => log(`registry: what other servers change is not seen: ${error.message}`);
  if (store.watch !== undefined)
    return store.watch(
      () => registry.version,
      () => registry.poll(),
      onError,
      () => registry.heard(),
    );
  let cancel = () => {};
  let stopped = false;
  const next = () => {
    if (!stopped) cancel = clock.after(pollMs, () => void registry.poll().then(next));
  };
  next();
  return () => {
    stopped = true;
    cancel();
  };
}
