import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { observeReply, observeStart, setHealthy } from '../../src/core/balance-load.ts';
import { noKey, pickFrom } from '../../src/core/balance-pick.ts';
import { compilePool, invalidatePool } from '../../src/core/balance-pool.ts';
import { hashText } from '../../src/core/hash.ts';
import { countPicks, type FakeInstance, seeded, simulate, weighted } from './balancing.ts';

const pick = suite('balance pick');

const picks = 10_000;
const weightings = [
  [1, 1],
  [3, 1],
  [5, 3, 2],
  [100, 50, 25],
  [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  [7, 0, 5],
];

/** Every count is within `tolerance` of its weight's share. */
function assertBalanced(counts: readonly number[], weights: readonly number[], tolerance: number): void {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  weights.forEach((weight, i) => {
    const share = (total * weight) / whole;
    assert.ok(
      Math.abs(counts[i] - share) <= share * tolerance,
      `${counts} for ${weights}: ${counts[i]} is not ${share}`,
    );
  });
}

/** Counts in the order of the members' configuration, which is that of their addresses. */
function spread(weights: readonly number[], policy: 'round-robin' | 'random' | 'least-requests' | 'power-of-two') {
  const random = seeded(11);
  const pool = compilePool(weighted(weights), { policy }, 0, random);
  return [...countPicks(pool, picks, () => pickFrom(pool, [], noKey, 0, random)).values()];
}

for (const policy of ['round-robin', 'random', 'least-requests', 'power-of-two'] as const)
  for (const weights of weightings) {
    pick(`${policy}: ${picks} requests, one after the other, are within 5 % of the weights ${weights}`, () => {
      // Chance leaves ten members up to 12 % off (four standard deviations), so that only the others promise 5 % there.
      assertBalanced(spread(weights, policy), weights, policy === 'random' && weights.length === 10 ? 0.12 : 0.05);
    });
  }

pick('round robin: exact for any weights, to one request each', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 8 }),
      fc.nat(),
      (weights, seed) => {
        const whole = weights.reduce((sum, weight) => sum + weight, 0);
        const pool = compilePool(weighted(weights), { policy: 'round-robin' }, 0, seeded(seed));
        const counts = countPicks(pool, whole * 3, () => pickFrom(pool, [], noKey, 0, seeded(1)));
        weights.forEach((weight, i) => {
          assert.ok(Math.abs([...counts.values()][i] - weight * 3) <= 1);
        });
      },
    ),
  );
});

pick("round robin: smooth, as nginx's", () => {
  const members = weighted([5, 1, 1]);
  const pool = compilePool(members, { policy: 'round-robin' }, 0, () => 0);
  const turns = Array.from({ length: 14 }, () => {
    const picked = pickFrom(pool, [], noKey, 0, () => 0);
    return 'abc'[members.findIndex(({ instance }) => instance === picked)];
  });
  assert.is(turns.join(''), 'aabacaaaabacaa');
});

pick('round robin: workers begin at different places', () => {
  const first = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const pool = compilePool(weighted([1, 1, 1]), { policy: 'round-robin' }, 0, seeded(seed));
    first.add(pickFrom(pool, [], noKey, 0, seeded(1))!.address);
  }
  assert.is(first.size, 3);
});

pick('round robin: the turn of a full one goes to the least busy', () => {
  const members = weighted([1, 1, 1]);
  const pool = compilePool(members, { policy: 'round-robin' }, 0, () => 0);
  const [full, busy, free] = members.map(({ instance }) => instance);
  full.full = true;
  busy.inFlight = 1;
  const counts = countPicks(pool, 30, () => pickFrom(pool, [], noKey, 0, () => 0));
  assert.equal([counts.get(full), counts.get(busy), counts.get(free)], [0, 10, 20]);
});

pick('least requests: [5,3] always picks 3, wherever it stands', () => {
  for (const inFlight of [
    [5, 3],
    [3, 5],
  ])
    for (const random of [0, 0.5, 0.999]) {
      const members = weighted([1, 1]);
      members.forEach(({ instance }, i) => {
        instance.inFlight = inFlight[i];
      });
      const pool = compilePool(members, { policy: 'least-requests' }, 0, seeded(1));
      assert.is(pickFrom(pool, [], noKey, 0, () => random)?.inFlight, 3);
    }
});

pick('least requests: ties break at random, busy or idle', () => {
  for (const tied of [0, 4]) {
    const members = weighted([1, 1, 1, 1]);
    for (const { instance } of members) instance.inFlight = tied;
    members[2].instance.inFlight = 9;
    const random = seeded(3);
    const pool = compilePool(members, { policy: 'least-requests' }, 0, random);
    const counts = [...countPicks(pool, 3_000, () => pickFrom(pool, [], noKey, 0, random)).values()];
    assertBalanced(counts, [1, 1, 0, 1], 0.1);
  }
});

pick('least requests: what is in flight is shared out by weight', () => {
  const weights = [100, 40, 10];
  const members = weighted(weights);
  const random = seeded(4);
  const pool = compilePool(members, { policy: 'least-requests' }, 0, random);
  for (let i = 0; i < 3_000; i++) (pickFrom(pool, [], noKey, 0, random) as FakeInstance).inFlight++;
  assertBalanced(
    members.map(({ instance }) => instance.inFlight),
    weights,
    0.01,
  );
});

pick('least requests: a weight of 1 does not get all that meets it idle next to a busy 100', () => {
  const members = weighted([100, 1]);
  members[0].instance.inFlight = 20;
  const pool = compilePool(members, { policy: 'least-requests' }, 0, seeded(1));
  assert.is(pickFrom(pool, [], noKey, 0, seeded(2)), members[0].instance);
});

pick('power of two: always both of a pool of two, and the better one', () => {
  const members = weighted([1, 1]);
  const [slow, fast] = members.map(({ instance }) => instance);
  for (const [instance, latencyMs] of [
    [slow, 80],
    [fast, 8],
  ] as const) {
    observeStart(instance.load, 0);
    observeReply(instance.load, latencyMs, 0);
  }
  const random = seeded(2);
  const pool = compilePool(members, {}, 0, random);
  assert.is(countPicks(pool, 100, () => pickFrom(pool, [], noKey, 0, random)).get(slow), 0);
  fast.inFlight = 30;
  assert.is(countPicks(pool, 100, () => pickFrom(pool, [], noKey, 0, random)).get(fast), 0);
});

pick('power of two: the busiest of a pool gets nothing', () => {
  const members = weighted([1, 1, 1, 1, 1]);
  members[3].instance.inFlight = 2;
  const random = seeded(2);
  const pool = compilePool(members, {}, 0, random);
  assert.is(countPicks(pool, 1_000, () => pickFrom(pool, [], noKey, 0, random)).get(members[3].instance), 0);
});

pick('power of two: randoms at the very ends are no trouble', () => {
  const ends = [0, Number.EPSILON, 0.3, 0.5, 0.7, 1 - Number.EPSILON / 2];
  for (const weights of [
    [1, 1],
    [0.1, 0.2, 0.3],
    [1, 100],
    [3, 3, 3],
  ])
    for (const a of ends)
      for (const b of ends) {
        const draws = [a, b];
        const pool = compilePool(weighted(weights), {}, 0, () => 0);
        assert.ok(pickFrom(pool, [], noKey, 0, () => draws.shift() ?? 0));
      }
});

const slowOne = { serviceMs: [50, 5, 5, 5, 5, 5, 5, 5, 5, 5], requests: picks, requestsPerSecond: 150 };

for (const workers of [1, 4]) {
  pick(`one of ten instances ten times slower, ${workers} workers: p99 against round robin`, () => {
    const of = (policy: 'round-robin' | 'least-requests' | 'power-of-two') =>
      simulate({ ...slowOne, workers, balancing: { policy } });
    const [turns, least, two] = [of('round-robin'), of('least-requests'), of('power-of-two')];
    const shown = [turns, least, two].map(({ p99, counts }) => `p99 ${p99.toFixed()} ms, slow ${counts[0]}`).join('; ');
    assert.ok(two.p99 < turns.p99 / 4, shown);
    assert.ok(least.p99 < turns.p99, shown);
    assert.ok(Math.abs(turns.counts[0] - picks / 10) <= workers, shown);
    assert.ok(least.counts[0] < turns.counts[0] * 0.95, shown);
    assert.ok(two.counts[0] < picks / 100, shown);
    assert.ok(two.counts[0] > 0, 'it is tried again now and then');
  });

  pick(`equal instances under load get equal shares, ${workers} workers`, () => {
    const even = { ...slowOne, serviceMs: Array(10).fill(5), requestsPerSecond: 900, workers };
    const ones = even.serviceMs.map(() => 1);
    assertBalanced(simulate({ ...even, balancing: { policy: 'round-robin' } }).counts, ones, 0.01);
    assertBalanced(simulate({ ...even, balancing: { policy: 'least-requests' } }).counts, ones, 0.08);
    assertBalanced(simulate({ ...even, balancing: { policy: 'power-of-two' } }).counts, ones, 0.08);
  });

  pick(`weights hold under load when servers are as strong as they say, ${workers} workers`, () => {
    const serviceMs = [4, 20 / 3, 10];
    const strong = { serviceMs, weights: [5, 3, 2], requests: picks, requestsPerSecond: 200, workers };
    assertBalanced(simulate({ ...strong, balancing: { policy: 'round-robin' } }).counts, strong.weights, 0.01);
    assertBalanced(simulate({ ...strong, balancing: { policy: 'least-requests' } }).counts, strong.weights, 0.1);
  });
}

pick('power of two: a canary with weight 1 of 101 stays one, even where it is faster', () => {
  const canary = { serviceMs: [5, 5], weights: [100, 1], requests: picks, requestsPerSecond: 150, workers: 1 };
  const { counts } = simulate({ ...canary, balancing: {} });
  assert.ok(counts[1] > 0 && counts[1] < picks * 0.02, `${counts}`);
});

const keys = Array.from({ length: picks }, (_, i) => hashText(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));

function homes(members: ReturnType<typeof weighted>): FakeInstance[] {
  const pool = compilePool(members, { policy: 'hash' }, 0, seeded(1));
  return keys.map((key) => pickFrom(pool, [], key, 0, seeded(1))!);
}

for (const count of [2, 3, 10, 80]) {
  pick(
    `hash: of ${count}, one leaves: only its keys move, at most 1/${count} of all; back, they are home again`,
    () => {
      const members = weighted(Array(count).fill(1));
      const before = homes(members);
      for (const gone of [0, count >> 1]) {
        const after = homes(members.filter((_, i) => i !== gone));
        let moved = 0;
        keys.forEach((_, i) => {
          if (after[i] === before[i]) return;
          moved++;
          assert.is(before[i], members[gone].instance);
        });
        const share = picks / count;
        // Which keys there are is chance: four standard deviations.
        assert.ok(moved > 0 && moved <= share + 4 * Math.sqrt(share), `${moved} of ${picks} moved`);
      }
      assert.ok(homes(members).every((home, i) => home === before[i]));
    },
  );
}

pick('hash: keys are shared out by weight', () => {
  for (const weights of weightings) {
    const members = weighted(weights);
    const counts = new Map(members.map(({ instance }) => [instance, 0]));
    for (const home of homes(members)) counts.set(home, counts.get(home)! + 1);
    assertBalanced([...counts.values()], weights, 0.1);
  }
});

pick('hash: more weight only draws keys to it', () => {
  const members = weighted([1, 1, 1]);
  const before = homes(members);
  const after = homes(members.map((member, i) => (i === 0 ? { ...member, weight: 2 } : member)));
  after.forEach((home, i) => {
    assert.ok(home === before[i] || home === members[0].instance);
  });
  assert.ok(after.some((home, i) => home !== before[i]));
});

pick('hash: an unhealthy one is as one that left, and gets its keys back; large pools remember nothing stale', () => {
  for (const count of [5, 80]) {
    const members = weighted(Array(count).fill(1));
    const pool = compilePool(members, { policy: 'hash' }, 0, seeded(1));
    const home = () => keys.slice(0, 2_000).map((key) => pickFrom(pool, [], key, 0, seeded(1))!);
    const before = home();
    const ill = before[0];
    setHealthy(ill.load, false, 1);
    invalidatePool(pool);
    home().forEach((at, i) => {
      assert.ok(before[i] === ill ? at !== ill : at === before[i]);
    });
    setHealthy(ill.load, true, 2);
    invalidatePool(pool);
    assert.ok(home().every((at, i) => at === before[i]));
  }
});

pick('hash: a full or tried home has one stand-in for a key, not a random one', () => {
  const members = weighted([1, 1, 1, 1]);
  const pool = compilePool(members, { policy: 'hash' }, 0, seeded(1));
  for (const key of keys.slice(0, 200)) {
    const home = pickFrom(pool, [], key, 0, seeded(1))!;
    const retried = pickFrom(pool, [home], key, 0, seeded(2));
    home.full = true;
    assert.is.not(retried, home);
    assert.is(pickFrom(pool, [], key, 0, seeded(3)), retried);
    home.full = false;
  }
});

pick('hash: bounded load moves on what would be more than its share', () => {
  const members = weighted([1, 1, 1, 1]);
  const all = members.map(({ instance }) => instance);
  const pool = compilePool(members, { policy: 'hash', boundedLoad: 1.25 }, 0, seeded(1));
  // A single key: without a bound all of it would be on one.
  for (let i = 0; i < 400; i++) pickFrom(pool, [], keys[0], 0, seeded(1))!.inFlight++;
  const most = Math.max(...all.map((each) => each.inFlight));
  assert.is(most, 125);
  const free = compilePool(members, { policy: 'hash' }, 0, seeded(1));
  assert.ok(pickFrom(free, [], keys[0], 0, seeded(1))!.inFlight === 125);
});

pick('hash: without a key it is power of two', () => {
  const random = seeded(8);
  const pool = compilePool(weighted([1, 1, 1]), { policy: 'hash' }, 0, random);
  assertBalanced([...countPicks(pool, picks, () => pickFrom(pool, [], noKey, 0, random)).values()], [1, 1, 1], 0.05);
});

pick('a thousand members, all policies: everyone is reached', () => {
  for (const policy of ['round-robin', 'least-requests', 'power-of-two'] as const) {
    const random = seeded(9);
    const pool = compilePool(weighted(Array(1_000).fill(1)), { policy }, 0, random);
    const counts = countPicks(pool, picks, () => pickFrom(pool, [], noKey, 0, random));
    assert.ok(
      Math.min(...counts.values()) > (policy === 'round-robin' ? 9 : 0),
      `${policy} ${Math.min(...counts.values())}`,
    );
  }
});

pick.run();
