import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createLoad } from '../../src/core/balance-load.ts';
import { noKey, pickFrom } from '../../src/core/balance-pick.ts';
import { compilePool, policies } from '../../src/core/balance-pool.ts';
import { explainPool, type MemberFacts } from '../../src/core/explain-pool.ts';
import { hashText } from '../../src/core/hash.ts';
import { defaultPoolSettings } from '../../src/core/pool-compile.ts';
import { random as randomOf } from '../helpers/random.ts';

const explaining = suite('explain: pools');

function member(address: string, more: Partial<MemberFacts> = {}): MemberFacts {
  return {
    ...{ address, weight: 1, priority: 0, health: 'Healthy', down: false, reason: '', ejected: null, breaker: '' },
    ...{ inFlight: 0, ...more },
  };
}

const settings = (more: Partial<typeof defaultPoolSettings.balancing> = {}) => ({
  balancing: { ...defaultPoolSettings.balancing, ...more },
});
const nothing = { key: noKey, sticky: undefined };

const anyMember = fc.record({
  weight: fc.constantFrom(0, 1, 1, 2, 5),
  priority: fc.constantFrom(0, 0, 0, 1, 2),
  down: fc.boolean(),
  isEjected: fc.constantFrom(true, false, false),
  breaker: fc.constantFrom('', 'closed', 'half-open', 'open'),
});

explaining('those that are picked are those that workers pick: for any pool, policy and key', () => {
  fc.assert(
    fc.property(
      fc.array(anyMember, { minLength: 1, maxLength: 6 }),
      fc.constantFrom(...policies),
      fc.option(fc.string(), { nil: undefined }),
      fc.integer(),
      (list, policy, text, seed) => {
        const facts = list.map(({ isEjected, ...one }, i) =>
          member(`http://10.0.0.${i}`, { ...one, ejected: isEjected ? { cause: 'failures', leftMs: 1_000 } : null }),
        );
        const key = text === undefined ? noKey : hashText(text);
        const told = explainPool(facts, settings({ policy }), { key, sticky: undefined }, false);
        const random = randomOf(seed);
        const specs = facts.map(({ address, weight, priority, down, ejected, breaker }) => {
          const load = createLoad(!down && ejected === null, Number.NEGATIVE_INFINITY);
          return { instance: { address, load, inFlight: 0, full: breaker === 'open' }, weight, priority };
        });
        const pool = compilePool(specs, { policy }, 0, random);
        const picked = new Set<string>();
        let isNobody = false;
        for (let i = 0; i < 300; i++) {
          const one = pickFrom(pool, [], key, 0, random);
          if (one === undefined) isNobody = true;
          else picked.add(one.address);
        }
        const said = told.members.filter((one) => one.picked === 'yes').map(({ address }) => address);
        assert.equal([...picked].sort(), said.sort());
        if (isNobody) assert.is(said.length, 0, 'nobody is picked');
        if (told.chosen !== '') assert.equal([...picked], [told.chosen]);
        assert.is(told.members.length, facts.length);
        for (const one of told.members) assert.ok(one.why !== '', `${one.address} has its reason`);
      },
    ),
    { numRuns: 2_000 },
  );
});

function whys(facts: MemberFacts[], ...rest: [ReturnType<typeof settings>?, typeof nothing?, boolean?]) {
  const [of = settings(), choice = nothing, strict = false] = rest;
  return explainPool(facts, of, choice, strict).members.map(({ picked, why }) => `${picked}: ${why}`);
}

explaining('each instance has its reason', () => {
  const facts = [
    member('a', { weight: 3 }),
    member('b', { down: true, reason: 'connection refused' }),
    member('c', { ejected: { cause: '5 failures in a row', leftMs: 12_400 } }),
    member('d', { weight: 0 }),
    member('e', { priority: 1 }),
    member('f', { breaker: 'open' }),
    member('g', { breaker: 'half-open' }),
  ];
  assert.equal(whys(facts, settings({ minAvailable: 0.3 })), [
    'yes: 60 % by weight',
    'no: probes fail: connection refused',
    'no: ejected for 13 s more: 5 failures in a row',
    'no: it is drained (weight 0): only who sticks to it gets there',
    'no: its priority is 1: it helps when less than 30 % of those before it are healthy',
    'no: its breaker is open: it is spared until it lets one through',
    'yes: 20 % by weight; its breaker lets one at a time through',
  ]);
});

explaining('alone, in panic, with all down', () => {
  const down = { down: true, reason: 'refused' };
  assert.equal(whys([member('a', down)]), ['yes: it is the only one, whatever its state (probes fail: refused)']);
  assert.equal(whys([member('a', down), member('b', down)]), [
    'yes: too few are healthy, so all are used (probes fail: refused)',
    'yes: too few are healthy, so all are used (probes fail: refused)',
  ]);
  const strict = explainPool([member('a', down), member('b', down)], settings(), nothing, true);
  assert.is(strict.state, 'none');
  assert.ok(strict.members.every(({ picked }) => picked === 'no'));
  assert.is(explainPool([], settings(), nothing, true).why, 'it has no instance');
});

explaining('a sticky cookie leads to its instance, also to a drained one, not to one that is down', () => {
  const facts = [member('a', { weight: 0 }), member('b'), member('c', { down: true })];
  const told = (sticky: string) => explainPool(facts, settings(), { key: noKey, sticky }, false);
  assert.is(told('a').chosen, 'a');
  assert.is(told('a').members[0].why, 'the sticky cookie names it');
  assert.is(told('a').members[1].picked, 'fallback');
  assert.is(told('c').chosen, '');
});

explaining('where all that are used are spared by their breakers, others help, and the key decides nothing', () => {
  const facts = [
    member('a', { breaker: 'open' }),
    member('b', { priority: 2 }),
    member('c', { priority: 2, weight: 5 }),
  ];
  const choice = { key: hashText(''), sticky: undefined };
  assert.equal(whys(facts, settings({ policy: 'hash' }), choice), [
    'no: its breaker is open: it is spared until it lets one through',
    'yes: those before it are spared by their breakers: it helps',
    'yes: those before it are spared by their breakers: it helps',
  ]);
  const told = explainPool(facts.slice(0, 2), settings({ policy: 'hash' }), choice, false);
  assert.is(told.chosen, 'b', 'a single helper is certain');
});

explaining('a key has one instance', () => {
  const facts = ['a', 'b', 'c', 'd'].map((name) => member(name));
  const chosen = (text: string) =>
    explainPool(facts, settings({ policy: 'hash' }), { key: hashText(text), sticky: undefined }, false).chosen;
  assert.is(chosen('x'), chosen('x'));
  assert.ok(new Set(Array.from({ length: 50 }, (_, i) => chosen(`user-${i}`))).size > 2);
});

explaining.run();
