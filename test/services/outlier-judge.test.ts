import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compilePoolSpec, instanceKey } from '../../src/core/pool-compile.ts';
import type { PoolOptions } from '../../src/core/pool-types.ts';
import { type OutlierChange, OutlierJudge, outlierSettingsOf } from '../../src/services/outlier-judge.ts';

const four = ['http://a', 'http://b', 'http://c', 'http://d'];

function make(poolsOf: (key: string) => string[][] = () => []) {
  const state = { now: 1_000, random: 0 };
  const down = new Set<string>();
  const told: OutlierChange[] = [];
  const lines: string[] = [];
  const judge = new OutlierJudge({
    ...{ poolsOf, isDown: (key: string) => down.has(key) },
    publish: (change) => told.push(change),
    log: (line) => lines.push(line),
    steady: () => state.now,
    random: () => state.random,
  });
  return { judge, state, down, told, lines };
}

/** As a pool says it, in a key. */
function keyOf(options: PoolOptions): string {
  const { settings, targets } = compilePoolSpec('route a', 'route', 'http://a', options, (_, message) => {
    throw new Error(message);
  });
  return instanceKey(targets[0].target, false, settings.instance);
}

const judges = suite('outlier judge');

judges('a suspicion ejects once, says why and for how long; workers that start are told what is left', () => {
  const { judge, state, told, lines } = make();
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [four] });
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [four] });
  assert.equal(told, [{ ejected: [['http://a', { cause: 'failures', forMs: 10_000, level: 1 }]] }]);
  assert.equal(lines, ['health: http://a is left out for 10 s: 5 requests in a row failed']);
  state.now += 4_000;
  assert.equal(judge.ejections(), [['http://a', { cause: 'failures', forMs: 6_000, level: 1 }]]);
  assert.equal(judge.get('http://a'), { cause: 'failures', leftMs: 6_000, level: 1 });
  state.now += 6_000;
  assert.equal(judge.ejections(), []);
  assert.is(judge.get('http://a'), undefined);
  judge.suspect({ key: 'http://a', cause: 'probation', pools: [four] });
  assert.is(lines[1], 'health: http://a is left out for 20 s, the 2nd time: it failed again just after its return');
});

judges('never more than half of a pool, of those that probes let be used', () => {
  const { judge, told, down } = make();
  for (const key of four) judge.suspect({ key, cause: 'unreachable', pools: [four] });
  assert.equal(
    told.map(({ ejected }) => ejected![0][0]),
    ['http://a', 'http://b'],
  );
  const other = make();
  for (const key of ['http://c', 'http://d']) other.down.add(key);
  for (const key of four) other.judge.suspect({ key, cause: 'unreachable', pools: [four] });
  assert.equal(other.told.length, 1, 'of two that are up, one');
  assert.is(down.size, 0);
});

judges('a single one never; one that is alone in one pool counts by its others', () => {
  const { judge, told } = make();
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [['http://a']] });
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [] });
  assert.is(told.length, 0);
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [['http://a'], four] });
  assert.is(told.length, 1);
});

judges('what is too little for each worker is enough in all: the rate is judged over their sum', () => {
  const { judge, state, told, lines } = make(() => [four]);
  // Four workers that have seen six requests each.
  for (let worker = 0; worker < 4; worker++)
    judge.outcomes([
      ['http://a', 6, 4],
      ['http://b', 6, 0],
    ]);
  assert.equal(told, [{ ejected: [['http://a', { cause: 'rate', forMs: 10_000, level: 1 }]] }]);
  assert.equal(lines, ['health: http://a is left out for 10 s: 16 of 24 requests failed']);
  const others = make(() => [four]);
  for (let worker = 0; worker < 4; worker++) others.judge.outcomes(four.map((key) => [key, 6, 4]));
  assert.is(others.told.length, 0, 'where all fail alike nobody is an outlier');
  assert.is(state.now, 1_000);
});

judges('a check that reaches it ends an ejection for being unreachable, and no other', () => {
  const { judge, told, lines } = make();
  judge.suspect({ key: 'http://a', cause: 'unreachable', pools: [four] });
  judge.suspect({ key: 'http://b', cause: 'failures', pools: [four] });
  for (const key of four) judge.reached(key);
  judge.reached('http://a');
  assert.equal(told.slice(2), [{ lifted: ['http://a'] }]);
  assert.is(lines.at(-1), 'health: http://a is used again: a check reaches it');
  assert.equal(
    judge.ejections().map(([key]) => key),
    ['http://b'],
  );
});

judges('settings are those in the key: as long as tags are made so', () => {
  const outlier = { failures: 2, ejectionMs: 3_000, statuses: '5xx' } as const;
  const cases: PoolOptions[] = [
    {},
    { outlier },
    { outlier: false },
    { outlier: true, health: '/up' },
    { outlier, limits: { maxWaiting: 1 } },
  ];
  for (const options of cases) {
    const { instance } = compilePoolSpec('route a', 'route', 'http://a', options, () => {}).settings;
    assert.equal(outlierSettingsOf(keyOf(options)), instance.outlier, JSON.stringify(options));
  }
  const never = keyOf({ outlier: false });
  const { judge, told } = make();
  judge.outcomes([[never, 100, 100]]);
  judge.suspect({ key: never, cause: 'failures', pools: [[never, 'http://b', 'http://c']] });
  assert.is(told.length, 0);
});

judges('what nobody has named for an hour is forgotten', () => {
  const { judge, state } = make();
  judge.outcomes(four.map((key) => [key, 10, 0]));
  judge.suspect({ key: 'http://a', cause: 'failures', pools: [four] });
  state.now += 3_000_000;
  judge.outcomes([['http://b', 1, 0]]);
  judge.tidy();
  assert.is(judge.size, 4);
  state.now += 1_000_000;
  judge.tidy();
  assert.is(judge.size, 1);
});

judges.run();
