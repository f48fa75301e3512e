import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Candidate, chooseActive } from '../../src/core/priority.ts';

const priority = suite('priority');

/** `2:+-/1:+`: a group of two members with weight 2, one of them healthy, then a group of one. */
function parse(text: string): Candidate[] {
  return text.split('/').flatMap((group, at) => {
    const [weight, signs] = group.split(':');
    return [...signs].map((sign) => ({ weight: Number(weight), priority: at, healthy: sign === '+' }));
  });
}

const cases: [groups: string, state: string, chosen: string, why: string][] = [
  ['1:++++/1:++', 'first', '0000', 'all is well'],
  ['1:++--/1:++', 'first', '00', 'half of the first group is enough'],
  ['1:+---/1:++', 'spill', '011', 'a quarter is not: the second group joins, and the healthy one stays'],
  ['1:----/1:++', 'spill', '11', 'the first is down'],
  ['1:----/1:--/1:+', 'spill', '2', 'the first two are down'],
  ['1:+---/1:+/1:++', 'first two', '01', 'the third stays out when the first two have enough'],
  ['4:----/1:+', 'spill', '1', 'a small standby that is up prevents panic: that is what it is for'],
  ['1:++++-/1:--', 'first', '0000', 'a standby that is down matters to nobody'],
  ['1:--', 'panic', '00', 'none healthy'],
  ['1:+----', 'panic', '00000', 'a fifth is too few'],
  ['1:+---', 'first', '0', 'a quarter is not, and there is no other group'],
  ['1:----/1:-----+', 'panic', '0000111111', 'too few everywhere'],
  ['0:++/1:++', 'first', '11', 'a drained group is none: the next one is the first'],
  ['1:++/0:++', 'first', '00', ''],
  ['0:++', 'none', '', 'all drained'],
];
for (const [groups, state, chosen, why] of cases) {
  priority(`${groups} is ${state}: ${why}`, () => {
    const into: Candidate[] = [parse('1:+')[0]];
    const found = chooseActive(parse(groups), 0.5, 0.25, into);
    assert.is(found, state === 'first two' ? 'spill' : state);
    assert.is(into.map((each) => each.priority).join(''), chosen);
  });
}

priority('without a panic threshold none healthy is none, and one of many is used alone', () => {
  const into: Candidate[] = [];
  assert.is(chooseActive(parse('1:---'), 0.5, 0, into), 'none');
  assert.is(into.length, 0);
  assert.is(chooseActive(parse('1:---------+'), 0.5, 0, into), 'first');
  assert.is(into.length, 1);
});

priority('the second group only when the whole first is down, if told so', () => {
  const into: Candidate[] = [];
  assert.is(chooseActive(parse('1:+---/1:++'), 0, 0.25, into), 'first');
  assert.is(chooseActive(parse('1:----/1:++'), 0, 0.25, into), 'spill');
});

priority('only what has a weight; unhealthy ones only in panic; healthy ones of the first group always', () => {
  const member = fc.record({ weight: fc.nat(3), priority: fc.nat(2), healthy: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(member, { maxLength: 12 }),
      fc.constantFrom(0, 0.5, 1),
      fc.constantFrom(0, 0.25, 1),
      (all, min, panic) => {
        const sorted = all.sort((a, b) => a.priority - b.priority);
        const into: Candidate[] = [];
        const state = chooseActive(sorted, min, panic, into);
        const open = sorted.filter((each) => each.weight > 0);
        assert.ok(into.every((each) => open.includes(each as (typeof open)[0])));
        assert.is(new Set(into).size, into.length);
        assert.is(state === 'none', into.length === 0);
        if (state === 'panic') return assert.is(into.length, open.length);
        assert.ok(into.every((each) => each.healthy));
        for (const each of open) if (each.healthy && each.priority === open[0].priority) assert.ok(into.includes(each));
        if (panic === 0) assert.is(state === 'none', !open.some((each) => each.healthy));
      },
    ),
  );
});

priority.run();
