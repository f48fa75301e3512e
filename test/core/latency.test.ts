import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bucketBound, latencyBucket, latencyBuckets, percentile } from '../../src/core/latency.ts';
import { seeded } from './balancing.ts';

const latency = suite('latency');

const countsOf = (samples: readonly number[]) => {
  const counts = new Array<number>(latencyBuckets).fill(0);
  for (const sample of samples) counts[latencyBucket(sample)]++;
  return counts;
};

latency('a bucket counts what is over the bound before it, up to its own', () => {
  for (let bucket = 1; bucket < latencyBuckets - 1; bucket++) {
    assert.is(latencyBucket(bucketBound(bucket) * 0.9999), bucket);
    assert.is(latencyBucket(bucketBound(bucket) * 1.0001), bucket + 1);
  }
});

latency('whatever comes has a bucket', () => {
  for (const [ms, bucket] of [
    [0, 0],
    [-5, 0],
    [Number.NaN, 0],
    [0.01, 0],
    [1e9, latencyBuckets - 1],
    [Number.POSITIVE_INFINITY, latencyBuckets - 1],
  ])
    assert.is(latencyBucket(ms), bucket, String(ms));
});

latency('it reaches from a twentieth of a millisecond to over a minute', () => {
  assert.ok(bucketBound(0) <= 0.05);
  assert.ok(bucketBound(latencyBuckets - 2) > 60_000);
});

latency('percentiles are true to a bucket', () => {
  const random = seeded(7);
  const samples = Array.from({ length: 5_000 }, () => 0.1 * 2 ** (random() * 16)).sort((a, b) => a - b);
  for (const part of [0.01, 0.5, 0.9, 0.99, 0.999]) {
    const exact = samples[Math.ceil(part * samples.length) - 1];
    const found = percentile(countsOf(samples), part)!;
    assert.ok(found > exact / 1.27 && found < exact * 1.27, `${part}: ${found} for ${exact}`);
  }
});

latency('the ends, one sample, and none', () => {
  assert.is(percentile(countsOf([]), 0.5), undefined);
  assert.is(percentile([], 0.5), undefined);
  const one = percentile(countsOf([10]), 0.5)!;
  assert.ok(one > 10 / 1.27 && one < 10 * 1.27);
  assert.is(percentile(countsOf([10, 20, 1_000]), 1), bucketBound(latencyBucket(1_000)));
  assert.ok(percentile(countsOf([10, 20, 1_000]), 0)! < 10);
  assert.is(percentile(countsOf([10, 1_000]), 7), bucketBound(latencyBucket(1_000)));
});

latency('one slow answer of a hundred is the 99.5th percentile, not the median', () => {
  const counts = countsOf([...new Array<number>(99).fill(2), 3_000]);
  assert.ok(percentile(counts, 0.5)! < 3);
  assert.ok(percentile(counts, 0.995)! > 2_000);
});

latency.run();
