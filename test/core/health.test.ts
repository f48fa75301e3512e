import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Health, type HealthFlip, isUsable, observeProbe, startHealth } from '../../src/core/health.ts';
import type { ProbeVerdict } from '../../src/core/health-probe.ts';

const healths = suite('health');
const check = { rise: 2, fall: 3 };
const verdicts: Record<string, ProbeVerdict> = {
  '+': { passed: true, slow: false, reason: '' },
  '~': { passed: true, slow: true, reason: 'slow' },
  '-': { passed: false, slow: false, reason: 'no connection' },
};

/** Probes one a second; what flips, as `at:state`. */
function run(probes: string, health: Health = startHealth(undefined, 0)): string {
  const flips: HealthFlip[] = [];
  [...probes].forEach((probe, at) => {
    const flip = observeProbe(health, check, verdicts[probe], (at + 1) * 1_000);
    if (flip !== undefined) flips.push(flip);
  });
  return flips.map(({ at, to }) => `${at / 1_000}:${to}`).join(' ');
}

const known = (state: Health['state']): Health => startHealth({ state, since: 7, reason: 'then' }, 0);

const cases: [name: string, health: () => Health, probes: string, flips: string][] = [
  ['Unknown believes the first probe, good', () => startHealth(undefined, 0), '+', '1:Healthy'],
  ['Unknown believes the first probe, slow', () => startHealth(undefined, 0), '~', '1:Degraded'],
  ['Unknown believes the first probe, failed', () => startHealth(undefined, 0), '-', '1:Unreachable'],
  ['falls after three in a row', () => known('Healthy'), '---', '3:Unreachable'],
  ['a good one between them starts the count anew', () => known('Healthy'), '--+--+--', ''],
  ['rises after two in a row', () => known('Unreachable'), '++', '2:Healthy'],
  ['a failure between them starts the count anew', () => known('Unreachable'), '+-+-+', ''],
  ['comes back slow', () => known('Unreachable'), '+~', '2:Degraded'],
  ['slow three times is degraded', () => known('Healthy'), '~~~', '3:Degraded'],
  ['slow now and then is not', () => known('Healthy'), '~~+~~+', ''],
  ['fast twice is healthy again', () => known('Degraded'), '++', '2:Healthy'],
  ['fast once is not', () => known('Degraded'), '+~+~', ''],
  ['degraded falls too', () => known('Degraded'), '---', '3:Unreachable'],
  ['slow ones are not failures', () => known('Healthy'), '--~--', ''],
  ['there and back', () => known('Healthy'), '---++', '3:Unreachable 5:Healthy'],
];
for (const [name, health, probes, flips] of cases) healths(name, () => assert.is(run(probes, health()), flips));

healths('tells since when and why', () => {
  const health = known('Healthy');
  run('---', health);
  assert.equal([health.since, health.reason, isUsable(health)], [3_000, 'no connection', false]);
  const flip = [1, 2].map((at) => observeProbe(health, check, verdicts['+'], 4_000 + at)).pop();
  assert.equal(flip, { from: 'Unreachable', to: 'Healthy', at: 4_002, reason: '2 good checks in a row' });
  assert.equal([health.since, health.reason], [4_002, '']);
  assert.is(observeProbe(known('Unreachable'), { ...check, rise: 1 }, verdicts['+'], 1)!.reason, 'a good check');
});

healths('the reason is the newest one of the same kind', () => {
  const health = known('Unreachable');
  observeProbe(health, check, { ...verdicts['-'], reason: 'another' }, 1);
  assert.equal([health.reason, health.since], ['another', 7]);
  observeProbe(health, check, verdicts['~'], 2);
  assert.equal([health.reason, health.lastReason], ['another', 'slow']);
});

healths('a start trusts the last known state, until a probe has spoken and then by the usual counts', () => {
  const health = known('Unreachable');
  assert.equal([health.state, health.since, health.reason, health.restored], ['Unreachable', 7, 'then', true]);
  run('+', health);
  assert.equal([health.state, health.restored], ['Unreachable', false]);
});

healths('without a known state it is Unknown, and used', () => {
  const health = startHealth(undefined, 5);
  assert.equal([health.state, health.since, health.restored, isUsable(health)], ['Unknown', 5, false, true]);
});

healths('property: it never flips on fewer opposite results than the counts say', () => {
  const probes = fc.array(fc.constantFrom('+', '~', '-'), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(probes, (all) => {
      const health = known('Healthy');
      all.forEach((probe, at) => {
        const flip = observeProbe(health, check, verdicts[probe], at);
        if (flip === undefined) return;
        const needed = flip.to === 'Unreachable' ? check.fall : isUsable({ state: flip.from }) ? 2 : check.rise;
        const last = all.slice(Math.max(0, at + 1 - needed), at + 1);
        assert.is(last.length, needed);
        assert.ok(last.every((one) => (one === '-') === (flip.to === 'Unreachable')));
      });
    }),
    { numRuns: 200 },
  );
});

healths.run();
