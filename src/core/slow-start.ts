/** The least share of its weight that an instance has, so that it gets enough requests to warm up by. As Envoy's. */
export const leastRampShare = 0.1;

/** How often the weights of a ramp are made new, ms. */
export const rampStepMs = 100;

/**
 * The weight of an instance that came up a while ago: from a tenth of its own to all of it, in a straight line.
 * @param weight as configured, 0 for drained
 * @param upSince when it came up, epoch ms; 0 for "before we were", which has no ramp
 * @param slowStartMs how long the ramp is; 0 for none
 */
export function rampedWeight(weight: number, upSince: number, slowStartMs: number, now: number): number {
  if (!isRamping(upSince, slowStartMs, now)) return weight;
  // A clock that was set back must not make the ramp longer, nor the weight negative.
  return weight * Math.max(leastRampShare, (now - upSince) / slowStartMs);
}

/** Whether the weight still grows. */
export function isRamping(upSince: number, slowStartMs: number, now: number): boolean {
  return now - upSince < slowStartMs && now >= upSince;
}
