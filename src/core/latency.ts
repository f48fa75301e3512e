/** Of a histogram of latencies. */
export const latencyBuckets = 64;
/** The upper end of the first bucket, ms. */
const firstMs = 0.05;
/** Three buckets for each doubling: the last one begins at 79 s, and none is wider than 26 %. */
const perDoubling = 3;

/** The bucket that counts a latency, 0 up to `latencyBuckets` - 1; the last one has no upper end. */
export function latencyBucket(ms: number): number {
  // Also for what is no number: a clock that went back must not make an index of -1.
  if (!(ms > firstMs)) return 0;
  return Math.min(latencyBuckets - 1, Math.ceil(perDoubling * Math.log2(ms / firstMs)));
}

/** The longest latency that a bucket counts, ms. */
export function bucketBound(bucket: number): number {
  return firstMs * 2 ** (bucket / perDoubling);
}

/**
 * The latency that a part of all stays under, as exactly as the buckets tell: within one, all are taken to be spread evenly.
 * @param counts by bucket; those of several workers are added up
 * @param part 0 to 1: 0.5 for the median, 0.99
 * @returns ms; undefined where nothing has been counted
 */
export function percentile(counts: readonly number[], part: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return undefined;
  const wanted = Math.min(1, Math.max(0, part)) * total;
  let below = 0;
  let last = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    const count = counts[bucket];
    if (count <= 0) continue;
    last = bucket;
    if (below + count >= wanted) {
      const start = bucket === 0 ? 0 : bucketBound(bucket - 1);
      return start + (bucketBound(bucket) - start) * ((wanted - below) / count);
    }
    below += count;
  }
  // A rounding error at the very end.
  return bucketBound(last);
}
