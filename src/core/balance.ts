/** What picking needs to know of an instance. */
export interface Pickable {
  /** Requests that it is serving now. */
  readonly inFlight: number;
  /** Healthy, not ejected, not full, not draining. */
  readonly available: boolean;
}

/**
 * Picks the least busy available instance; ties break at random. Instances that this request has tried are the last resort:
 * another connection to one of them may still do.
 * A single instance is picked even if it is not available: keeping it out helps no one.
 * @param tried instances already attempted for this request
 * @param random from 0 up to, not including, 1
 * @returns undefined when none is available; the caller replies OO_NO_INSTANCE
 */
export function pickInstance<I extends Pickable>(
  pool: readonly I[],
  tried: readonly I[],
  random: () => number,
): I | undefined {
  if (pool.length === 1) return pool[0];
  const available = pool.filter((instance) => instance.available);
  const fresh = available.filter((instance) => !tried.includes(instance));
  const candidates = fresh.length > 0 ? fresh : available;
  const least = Math.min(...candidates.map((instance) => instance.inFlight));
  const idle = candidates.filter((instance) => instance.inFlight === least);
  return idle[Math.floor(random() * idle.length)];
}
