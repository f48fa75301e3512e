import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultOutlierSettings, judgeEjection, Outlier, type OutlierMember } from '../../src/core/outlier.ts';
import type { Outcome } from '../../src/core/outlier-outcome.ts';

const outliers = suite('outlier');
const settings = defaultOutlierSettings;

function poolOf(size: number): { outlier: Outlier; usable: boolean }[] {
  return Array.from({ length: size }, () => ({ outlier: new Outlier(), usable: true }));
}

/** What of `outcomes` (`+` ok, `-` failed, `!` unreachable, `.` ignored) raises a suspicion, by its place. */
function suspicions(outlier: Outlier, outcomes: string, now = 1_000): string {
  const names: Record<string, Outcome> = { '+': 'ok', '-': 'failed', '!': 'unreachable', '.': 'ignored' };
  return [...outcomes]
    .map((outcome, at) => ({ at: at + 1, cause: outlier.observe(names[outcome], now, now) }))
    .filter(({ cause }) => cause !== undefined)
    .map(({ at, cause }) => `${at}:${cause}`)
    .join(' ');
}

const rows: [name: string, outcomes: string, suspicions: string][] = [
  ['five failures in a row', '-----', '5:failures'],
  ['a good one between them', '----+----', ''],
  ['three connections in a row that could not be opened', '!!!', '3:unreachable'],
  ['both kinds together are failures', '!!-!!', '5:failures'],
  ['a client’s cancel counts for nothing: neither as failure nor as success', '--.....--.-', '11:failures'],
  ['cancels alone', '.'.repeat(100), ''],
  ['half of twenty', '+-'.repeat(10), '20:rate'],
  ['half of fewer than twenty', '+-'.repeat(9), ''],
  ['less than half', '++-'.repeat(30), ''],
  ['a suspicion is voiced once, then counted anew', '-'.repeat(12), '5:failures 10:failures'],
];
for (const [name, outcomes, expected] of rows) {
  outliers(name, () => assert.is(suspicions(new Outlier(), outcomes), expected));
}

outliers('after a suspicion the rate rests for a second', () => {
  const outlier = new Outlier();
  assert.is(suspicions(outlier, '+-'.repeat(12), 0), '20:rate');
  assert.is(suspicions(outlier, '+-', 999), '');
  assert.is(suspicions(outlier, '+-', 1_000), '2:rate');
});

outliers('old failures expire', () => {
  const outlier = new Outlier();
  assert.is(suspicions(outlier, '-+'.repeat(9), 0), '');
  assert.is(suspicions(outlier, '-+', settings.windowMs), '');
});

outliers('ejected for a time, doubling up to the longest', () => {
  const [{ outlier }, ...rest] = poolOf(2);
  const pool = [{ outlier, usable: true }, ...rest];
  let now = 0;
  const lasted: number[] = [];
  for (let i = 0; i < 8; i++) {
    const ejection = judgeEjection(outlier, 'failures', [pool], now, 0);
    lasted.push((ejection?.forMs ?? 0) / 1_000);
    now = outlier.ejectedUntil;
    assert.is(outlier.isEjected(now - 1), true);
    assert.is(outlier.isEjected(now), false);
  }
  assert.equal(lasted, [10, 20, 40, 80, 160, 300, 300, 300]);
});

outliers('up to a tenth longer at random, so that not all come back at once', () => {
  const pool = poolOf(2);
  assert.is(judgeEjection(pool[0].outlier, 'failures', [pool], 0, 0.5)?.forMs, 10_500);
});

outliers('good conduct makes the next ejection shorter again', () => {
  const pool = poolOf(2);
  const { outlier } = pool[0];
  judgeEjection(outlier, 'failures', [pool], 0, 0);
  judgeEjection(outlier, 'failures', [pool], 10_000, 0);
  assert.is(outlier.levelAt(30_000), 2);
  assert.is(outlier.levelAt(40_000), 1);
  assert.is(outlier.levelAt(50_000), 0);
  assert.is(judgeEjection(outlier, 'failures', [pool], 50_000, 0)?.forMs, 10_000);
});

outliers('half of a pool at most, and a single instance never', () => {
  for (const [size, most] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [10, 5],
  ]) {
    const pool = poolOf(size);
    const ejected = pool.filter(({ outlier }) => judgeEjection(outlier, 'failures', [pool], 0, 0) !== undefined);
    assert.is(ejected.length, most, `${size}`);
  }
});

outliers('the share is a setting; all is still all but one', () => {
  const all = { ...settings, maxEjectedShare: 1 };
  const pool = [0, 1, 2].map(() => ({ outlier: new Outlier(all), usable: true }));
  const ejected = pool.filter(({ outlier }) => judgeEjection(outlier, 'failures', [pool], 0, 0) !== undefined);
  assert.is(ejected.length, 2);
});

outliers('those that probes cannot reach are no part of the pool that is shared out', () => {
  const pool = poolOf(4);
  pool[0].usable = false;
  pool[1].usable = false;
  assert.ok(judgeEjection(pool[2].outlier, 'failures', [pool], 0, 0));
  assert.is(judgeEjection(pool[3].outlier, 'failures', [pool], 0, 0), undefined);
});

outliers('all pools that it is in must spare it, but for those that have nothing else', () => {
  const [a, b, c] = poolOf(3);
  assert.is(judgeEjection(a.outlier, 'failures', [[a]], 0, 0), undefined);
  assert.ok(judgeEjection(b.outlier, 'failures', [[b, a]], 0, 0));
  const refused = judgeEjection(a.outlier, 'failures', [[a], [a, b], [a, c]], 0, 0);
  assert.is(refused, undefined);
  assert.ok(judgeEjection(a.outlier, 'failures', [[a], [a, c]], 0, 0));
});

outliers('who is out already is not ejected again', () => {
  const pool = poolOf(4);
  assert.ok(judgeEjection(pool[0].outlier, 'failures', [pool], 0, 0));
  assert.is(judgeEjection(pool[0].outlier, 'failures', [pool], 1, 0), undefined);
  assert.is(pool[0].outlier.level, 1);
});

outliers('by rate only if it is twice as bad as the rest: where all fail alike, no one is an outlier', () => {
  const pool = poolOf(3);
  for (const { outlier } of pool) outlier.counts.add(100, 60, 0);
  assert.is(judgeEjection(pool[0].outlier, 'rate', [pool], 0, 0), undefined);
  pool[0].outlier.counts.add(100, 100, 0);
  pool[1].outlier.counts.add(100, 0, 0);
  pool[2].outlier.counts.add(100, 0, 0);
  assert.ok(judgeEjection(pool[0].outlier, 'rate', [pool], 0, 0));
});

outliers('on its return one failure among the first five ejects it again, for longer', () => {
  const pool = poolOf(2);
  const { outlier } = pool[0];
  judgeEjection(outlier, 'failures', [pool], 0, 0);
  assert.is(suspicions(outlier, '++-', 10_000), '3:probation');
  assert.is(judgeEjection(outlier, 'probation', [pool], 10_000, 0)?.forMs, 20_000);
  assert.is(suspicions(outlier, '+++++-', 30_000), '');
});

outliers('what began before its return is not held against it', () => {
  const pool = poolOf(2);
  const { outlier } = pool[0];
  judgeEjection(outlier, 'failures', [pool], 0, 0);
  assert.is(outlier.observe('failed', 9_999, 20_000), undefined);
  assert.is(outlier.observe('failed', 10_000, 20_000), 'probation');
});

outliers('a probe that reaches it ends an ejection for being unreachable, and no other', () => {
  const pool = poolOf(4);
  const [a, b] = pool.map(({ outlier }) => outlier);
  judgeEjection(a, 'unreachable', [pool], 0, 0);
  judgeEjection(b, 'failures', [pool], 0, 0);
  assert.equal([a.lift(5_000), b.lift(5_000)], [true, false]);
  assert.equal([a.isEjected(5_000), b.isEjected(5_000)], [false, true]);
  assert.is(a.lift(5_001), false);
  assert.is(a.observe('failed', 5_001, 5_001), 'probation');
});

outliers('workers’ counts add up in the main process, whose ejection they obey', () => {
  const workers = [new Outlier(), new Outlier()];
  const pool = poolOf(2);
  const { outlier } = pool[0];
  for (const worker of workers) {
    assert.is(suspicions(worker, '+-'.repeat(5)), '');
    outlier.counts.add(...worker.counts.takeUnsent(), 1_000);
  }
  assert.is(outlier.suspectsByRate(1_000), true);
  const ejection = judgeEjection(outlier, 'rate', [pool], 1_000, 0);
  assert.ok(ejection);
  // A worker's clock is another one.
  for (const worker of workers) {
    worker.apply(ejection, 70_000);
    assert.equal([worker.isEjected(79_999), worker.isEjected(80_000)], [true, false]);
  }
  assert.is(suspicions(workers[0], '-', 80_000), '1:probation');
});

outliers('property: whatever happens, never more than the share is out, and each comes back', () => {
  const event = fc.tuple(
    fc.integer({ min: 0, max: 9 }),
    fc.constantFrom<Outcome>('ok', 'failed', 'unreachable', 'ignored'),
    fc.integer({ min: 0, max: 800 }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.array(event, { maxLength: 400, size: 'max' }), (size, events) => {
      const pool: OutlierMember[] = poolOf(size);
      let now = 0;
      for (const [which, outcome, step] of events) {
        now += step;
        const { outlier } = pool[which % size];
        const cause = outlier.observe(outcome, now, now);
        if (cause !== undefined) judgeEjection(outlier, cause, [pool], now, 0.9);
        assert.ok(pool.filter((member) => member.outlier.isEjected(now)).length <= size / 2);
      }
      now += settings.longestEjectionMs * 1.1;
      assert.is(pool.filter((member) => member.outlier.isEjected(now)).length, 0);
    }),
    { numRuns: 100 },
  );
});

outliers.run();
