import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { targetText } from '../../cli/route-target.ts';
import type { Rollout, TargetSpec } from '../../src/core/pool-types.ts';

const cells = suite('cli: the target of a route, as a cell of a table');
const now = 1_000_000;

for (const [target, rollout, expected] of [
  ['127.0.0.1:4200', undefined, '127.0.0.1:4200'],
  ['service://user-svc', undefined, 'service://user-svc'],
  [['http://a:1', { url: 'http://b:2' }], undefined, 'http://a:1, http://b:2'],
  [[{ url: 'http://a:1', weight: 3 }, 'http://b:2'], undefined, 'http://a:1 (3), http://b:2'],
  [
    [
      { url: 'a', weight: 0 },
      { url: 'b', priority: 1 },
    ],
    undefined,
    'a (0), b (1, priority 1)',
  ],
  [['a', 'b', 'c', 'd', 'e'], undefined, 'a, b, c, d, e'],
  [['a', 'b', 'c', 'd', 'e', 'f', 'g'], undefined, 'a, b, c, d, e, and 2 more'],
  ['a', {}, 'a'],
  ['a', { previous: 'b' }, 'a'],
  ['a', { gate: { state: 'open' } }, 'a'],
  ['a', { gate: { state: 'paused' } }, 'a [paused]'],
  ['a', { gate: { state: 'paused', until: now } }, 'a'],
  ['a', { gate: { state: 'paused', until: now + 1 } }, 'a [paused]'],
  ['a', { gate: { state: 'stopped', message: 'Back\nat \u001b[1mnine' } }, 'a [stopped: Back at ?[1mnine]'],
  ['a', { canary: { target: 'b', percent: 10 } }, 'a [10% to b]'],
  ['a', { canary: { target: 'b' } }, 'a [0% to b]'],
  ['a', { canary: { target: ['b', 'c'], header: 'x-beta=1' } }, 'a [x-beta=1 to b, c]'],
  [
    'a',
    { gate: { state: 'stopped' }, canary: { target: 'b', percent: 5, header: 'x-beta' } },
    'a [stopped] [5% and x-beta to b]',
  ],
] as [TargetSpec, Rollout | undefined, string][]) {
  cells(expected, () => assert.is(targetText({ id: 'x', target, rollout }, now), expected));
}

cells.run();
