import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { fastShares } from './balancing.ts';

/** Equal instances that answer in less than a millisecond: what most pools are. */
const fast = suite('balance of fast instances');

const pauses = [
  ['no pauses', 0, 0],
  ['pauses of 8 ms', 500, 8],
  ['pauses of 40 ms', 1_000, 40],
] as const;

for (const policy of ['power-of-two', 'least-requests'] as const)
  for (const weights of [[1, 1], Array<number>(10).fill(1), [1, 2, 7], [100, 1]])
    for (const [what, pauseEveryMs, pauseMs] of pauses)
      fast(`${policy}, weights ${weights.join(':')}, ${what}: within 5 %`, () => {
        for (const clients of [1, 2, 4, 16]) {
          const shares = fastShares({ weights, policy, clients, requests: 20_000, pauseEveryMs, pauseMs });
          for (const share of shares) assert.ok(Math.abs(share - 1) <= 0.05, `${clients} clients: ${shares}`);
        }
      });

fast.run();
