import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RateLimiter } from '../../src/core/rate-limit.ts';
import { random } from '../helpers/random.ts';

const rate = suite('rate limit');

rate('a burst at once, then one each time that a token comes', () => {
  const limiter = new RateLimiter({ requests: 10, perMs: 1_000, burst: 3 });
  const now = 1e9 + 0.123;
  assert.equal(
    [0, 1, 2].map(() => limiter.take('a', now)),
    [0, 0, 0],
  );
  assert.ok(Math.abs(limiter.take('a', now) - 100) < 0.01);
  assert.ok(limiter.take('a', now + 99) > 0);
  assert.is(limiter.take('a', now + 100), 0);
  assert.ok(limiter.take('a', now + 150) > 0);
  assert.is(limiter.take('b', now), 0);
  // However long it rests, there are no more than three.
  assert.equal(
    [0, 1, 2, 3].map(() => limiter.take('a', now + 1e7) > 0),
    [false, false, false, true],
  );
});

rate('what is refused is not counted: who asks all the time still gets its share', () => {
  const limiter = new RateLimiter({ requests: 1, perMs: 1_000, burst: 1 });
  let allowed = 0;
  for (let now = 0; now < 10_000; now += 7) if (limiter.take('a', now) === 0) allowed++;
  assert.is(allowed, 10);
});

rate('never more than burst + what came in meanwhile, never less than the bucket says', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed);
    const requests = 1 + Math.floor(next() * 50);
    const perMs = 1 + Math.floor(next() * 5_000);
    const burst = 1 + Math.floor(next() * 60);
    const limiter = new RateLimiter({ requests, perMs, burst });
    let tokens = burst;
    let now = next() * 1e9;
    for (let i = 0; i < 500; i++) {
      const passed = next() < 0.3 ? 0 : (next() * perMs * 3) / requests;
      now += passed;
      tokens = Math.min(burst, tokens + (passed * requests) / perMs);
      const waitMs = limiter.take('k', now);
      if (Math.abs(tokens - 1) > 1e-4) assert.is(waitMs === 0, tokens > 1, `seed ${seed}, ${i}: ${tokens} tokens`);
      if (waitMs === 0) tokens -= 1;
      else assert.ok(Math.abs(waitMs - ((1 - tokens) * perMs) / requests) < 0.01);
    }
  }
});

rate('a bounded number of keys: who has not come for longest is forgotten, who is refused is not', () => {
  const limiter = new RateLimiter({ requests: 1, perMs: 1e9, burst: 1 }, 100);
  for (let i = 0; i < 100; i++) limiter.take(`k${i}`, 0);
  assert.ok(limiter.take('k0', 1) > 0);
  limiter.take('new', 2);
  assert.is(limiter.size, 100);
  assert.ok(limiter.take('k0', 3) > 0);
  assert.ok(limiter.take('new', 3) > 0);
  assert.is(limiter.take('k1', 3), 0);
});

rate.run();
