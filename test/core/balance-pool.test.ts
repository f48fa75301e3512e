import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLoad, setHealthy } from '../../src/core/balance-load.ts';
import { noKey, pickFrom } from '../../src/core/balance-pick.ts';
import { compilePool, invalidatePool, policies } from '../../src/core/balance-pool.ts';
import { hashText } from '../../src/core/hash.ts';
import { countPicks, FakeInstance, instances, seeded, weighted } from './balancing.ts';

const pools = suite('balance pool');

pools('never an unavailable one while another can be had; tried ones last; nothing at weight 0', () => {
  const one = fc.record({
    weight: fc.nat(3),
    priority: fc.nat(2),
    healthy: fc.boolean(),
    full: fc.boolean(),
    tried: fc.boolean(),
    inFlight: fc.nat(4),
  });
  fc.assert(
    fc.property(
      fc.array(one, { minLength: 2, maxLength: 7 }),
      fc.constantFrom(...policies),
      fc.constantFrom(0, 0.25),
      fc.constantFrom(0, 1.25),
      fc.nat(),
      (specs, policy, panicThreshold, boundedLoad, seed) => {
        const all = instances(specs.length);
        const members = specs.map(({ weight, priority, healthy, full, inFlight }, i) => {
          Object.assign(all[i], { full, inFlight, load: createLoad(healthy, 0) });
          return { instance: all[i], weight, priority };
        });
        const random = seeded(seed);
        const pool = compilePool(members, { policy, panicThreshold, boundedLoad }, 0, random);
        const tried = all.filter((_, i) => specs[i].tried);
        const panic = pool.state === 'panic';
        const possible = all.filter((_, i) => {
          const { weight, healthy, full } = specs[i];
          return weight > 0 && !full && (healthy || panic);
        });
        const fresh = possible.filter((each) => !tried.includes(each));
        const first = fresh.filter((each) => pool.active.some((member) => member.instance === each));
        const expected = first.length > 0 ? first : fresh.length > 0 ? fresh : possible;
        for (let i = 0; i < 5; i++) {
          const picked = pickFrom(pool, tried, i === 0 ? noKey : Math.floor(random() * 0x100000000), 0, random);
          if (expected.length === 0) assert.is(picked, undefined);
          else assert.ok(expected.includes(picked!), `${policy}: ${picked?.address}`);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

pools('a pool of one is used whatever its state, unless it is drained', () => {
  for (const policy of policies) {
    const [only] = instances(1);
    setHealthy(only.load, false, 1);
    only.full = true;
    const pool = compilePool([{ instance: only }], { policy, panicThreshold: 0 }, 1, seeded(1));
    assert.is(pickFrom(pool, [only], noKey, 1, seeded(1)), only);
    const drained = compilePool([{ instance: only, weight: 0 }], { policy }, 1, seeded(1));
    assert.is(pickFrom(drained, [], noKey, 1, seeded(1)), undefined);
  }
});

pools('an empty pool has nothing to give', () => {
  const pool = compilePool<FakeInstance>([], {}, 1, seeded(1));
  assert.is(pickFrom(pool, [], noKey, 1, seeded(1)), undefined);
  assert.is(pool.state, 'none');
});

pools('a retry goes to a healthy standby before it goes back to the one that failed', () => {
  for (const policy of policies) {
    const [main, standby, other] = instances(3);
    const members = [{ instance: main }, { instance: standby, priority: 1 }, { instance: other, priority: 1 }];
    const pool = compilePool(members, { policy }, 0, seeded(1));
    assert.is(pickFrom(pool, [], 5, 0, seeded(1)), main);
    assert.is.not(pickFrom(pool, [main], 5, 0, seeded(1)), main);
    assert.is(pickFrom(pool, [main, standby, other], 5, 0, seeded(1)), main);
  }
});

pools('health is looked at again when it is told to, not before', () => {
  const members = weighted([1, 1, 1]);
  const pool = compilePool(members, { policy: 'round-robin' }, 0, seeded(1));
  assert.is(pool.healthy, 3);
  const gone = members[0].instance;
  setHealthy(gone.load, false, 5);
  invalidatePool(pool);
  const counts = countPicks(pool, 100, () => pickFrom(pool, [], noKey, 5, seeded(1)));
  assert.is(counts.get(gone), 0);
  assert.is(pool.healthy, 2);
  assert.is(pool.refreshAt, Number.POSITIVE_INFINITY);
});

pools('panic is said, and uses all', () => {
  const members = weighted([1, 1, 1, 1, 1]);
  for (const { instance } of members.slice(1)) setHealthy(instance.load, false, 1);
  const pool = compilePool(members, {}, 1, seeded(1));
  assert.is(pool.state, 'panic');
  assert.is(pool.healthy, 1);
  const counts = countPicks(pool, 1_000, () => pickFrom(pool, [], noKey, 1, Math.random));
  assert.ok([...counts.values()].every((count) => count > 0));
});

pools('what stays in a changed pool keeps its turn', () => {
  const members = weighted([1, 1, 1, 1]);
  const pool = compilePool(members, { policy: 'round-robin' }, 0, () => 0);
  const order = [0, 1, 2].map(() => pickFrom(pool, [], noKey, 0, () => 0)!.address);
  assert.equal(
    order,
    members.slice(0, 3).map(({ instance }) => instance.address),
  );
  const next = compilePool(members, { policy: 'round-robin' }, 0, () => 0, pool);
  assert.is(
    pickFrom(next, [], noKey, 0, () => 0),
    members[3].instance,
  );
});

pools('a change of weights leaves nobody to make up for the old ones', () => {
  const all = instances(3);
  const heavy = compilePool(
    all.map((instance) => ({ instance, weight: 1_000 })),
    { policy: 'round-robin' },
    0,
    seeded(3),
  );
  pickFrom(heavy, [], noKey, 0, seeded(1));
  const light = compilePool(
    all.map((instance) => ({ instance })),
    { policy: 'round-robin' },
    0,
    seeded(4),
    heavy,
  );
  const counts = countPicks(light, 30, () => pickFrom(light, [], noKey, 0, seeded(1)));
  for (const count of counts.values()) assert.ok(Math.abs(count - 10) <= 3, [...counts.values()].join());
});

pools('the order of configuration changes nothing, and a double is one member', () => {
  const all = instances(6);
  const forth = compilePool(
    all.map((instance) => ({ instance })),
    { policy: 'hash' },
    0,
    seeded(1),
  );
  const back = compilePool(all.map((instance) => ({ instance })).reverse(), { policy: 'hash' }, 0, seeded(2));
  for (let i = 0; i < 500; i++) {
    const key = hashText(`key ${i}`);
    assert.is(pickFrom(forth, [], key, 0, seeded(1)), pickFrom(back, [], key, 0, seeded(1)));
  }
  const double = new FakeInstance(all[0].address);
  const pool = compilePool([{ instance: all[0] }, { instance: double, weight: 2 }], {}, 0, seeded(1));
  assert.equal(
    pool.members.map((member) => member.weight),
    [3],
  );
});

for (const policy of ['round-robin', 'random', 'least-requests', 'power-of-two'] as const) {
  pools(`slow start, ${policy}: from a tenth of its share to all of it`, () => {
    const members = weighted([1, 1, 1, 1]);
    const start = 1_700_000_000_000;
    const pool = compilePool(members, { policy, slowStartMs: 10_000 }, start, seeded(5));
    const late = members[3].instance;
    setHealthy(late.load, false, start);
    invalidatePool(pool);
    setHealthy(late.load, true, start);
    invalidatePool(pool);
    const random = seeded(6);
    const shareAt = (age: number) => {
      const counts = countPicks(pool, 4_000, () => pickFrom(pool, [], noKey, start + age, random));
      return counts.get(late)! / 4_000;
    };
    for (const [age, weight] of [
      [0, 0.1],
      [5_000, 0.5],
      [20_000, 1],
    ]) {
      const share = shareAt(age);
      assert.ok(Math.abs(share - weight / (3 + weight)) < 0.02, `${share} at ${age} ms`);
    }
    assert.is(pool.refreshAt, Number.POSITIVE_INFINITY);
  });
}

pools.run();
