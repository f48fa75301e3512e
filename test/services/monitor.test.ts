import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck, healthKey } from '../../src/core/health-check.ts';
import { noAnswer, type ProbeResult } from '../../src/core/health-probe.ts';
import { parseTarget } from '../../src/core/target.ts';
import type { Target } from '../../src/core/types.ts';
import { HealthMonitor, type MonitorItem } from '../../src/services/monitor.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { random } from '../helpers/random.ts';

const check = { ...defaultHealthCheck, intervalMs: 10_000, rise: 2, fall: 3 };

function item(port: number, known?: MonitorItem['known']): MonitorItem {
  const target = parseTarget(`http://10.0.0.1:${port}`) as Target;
  return { key: healthKey(target.href, check), target, address: '', insecureSkipVerify: false, check, known };
}

/** What a probe does now: a result, or a promise that the test settles. */
type Does = (port: number) => Partial<ProbeResult> | undefined | Promise<Partial<ProbeResult>>;

function make(does: Does, parallel?: number) {
  const clock = fakeClock();
  const probes: { port: number; at: number }[] = [];
  const flips: string[] = [];
  let running = 0;
  const most = { running: 0 };
  const monitor = new HealthMonitor({
    async probe(_check, { target }, signal) {
      probes.push({ port: target.port, at: clock.now() });
      running += 1;
      most.running = Math.max(most.running, running);
      const stopped = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined)));
      const result = await Promise.race([does(target.port), stopped]);
      running -= 1;
      return result === undefined ? undefined : { ...noAnswer, tookMs: 1, ...result };
    },
    onFlip: (key, { from, to }) => flips.push(`${key.split(' ')[0].split(':')[2]} ${from} ${to}`),
    ...{ parallel, clock, steady: clock.steady, random: random(1) },
  });
  return { monitor, clock, probes, flips, most };
}

const refused = { error: 'refused' } as const;

const monitors = suite('monitor');

monitors('goes on at its pace where the clock is put back or forward', async () => {
  const { monitor, clock, probes } = make(() => ({}));
  monitor.follow('route a', [item(1)]);
  await clock.advance(30_000);
  for (const jump of [-3_600_000, 7_200_000]) {
    clock.jump(jump);
    const before = probes.length;
    await clock.advance(60_000);
    const count = probes.length - before;
    assert.ok(count >= 5 && count <= 6, `${count} probes in the minute after a jump by ${jump} ms`);
  }
  await monitor.stop();
});

monitors('an instance that comes and goes is not probed faster', async () => {
  const { monitor, clock, probes } = make(() => ({}));
  for (let second = 0; second < 60; second++) {
    monitor.follow('service a', second % 2 === 0 ? [item(1)] : []);
    await clock.advance(1_100);
  }
  assert.ok(probes.length >= 2 && probes.length <= 7, `${probes.length} probes in a minute`);
  await monitor.stop();
});

monitors('never faster than stated, and never all at once', async () => {
  const { monitor, clock, probes } = make(() => ({}));
  const items = Array.from({ length: 50 }, (_, i) => item(i + 1));
  monitor.follow('route a', items);
  await clock.advance(60_000);
  for (const { target } of items) {
    const times = probes.filter(({ port }) => port === target.port).map(({ at }) => at);
    assert.ok(times.length >= 5 && times.length <= 6, `${times.length} probes in a minute`);
    for (let i = 1; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= 10_000);
  }
  const first = new Set(probes.slice(0, 50).map(({ at }) => at));
  assert.ok(first.size > 20, `the first ones at ${first.size} times`);
  assert.is(monitor.stats().probes, probes.length);
});

monitors('one that is not known is probed within a second, others in their interval', async () => {
  const { monitor, clock, probes } = make(() => ({}));
  const known = { state: 'Healthy', since: 0, reason: '' } as const;
  monitor.follow(
    'a',
    Array.from({ length: 20 }, (_, i) => item(100 + i, known)),
  );
  monitor.follow('b', [item(1)]);
  await clock.advance(1_100);
  assert.is(probes.filter(({ port }) => port === 1).length, 1);
  assert.ok(probes.length < 10, `${probes.length} probes`);
  await clock.advance(9_500);
  assert.is(new Set(probes.map(({ port }) => port)).size, 21);
});

monitors(
  'thousands that come at once are spread over their interval, and those after them are probed soon again',
  async () => {
    const { monitor, clock, probes } = make(() => ({}));
    const many = Array.from({ length: 3_000 }, (_, at) => item(1 + at));
    monitor.follow('a', many);
    await clock.advance(1_000);
    assert.ok(probes.length < 800, `${probes.length} probes in the first second`);
    await clock.advance(9_100);
    assert.is(new Set(probes.map(({ port }) => port)).size, 3_000);
    monitor.follow('b', [item(5_000)]);
    await clock.advance(1_100);
    assert.is(probes.filter(({ port }) => port === 5_000).length, 1);
    monitor.follow('a', []);
    monitor.follow('c', many);
    monitor.follow('c', []);
    monitor.follow('d', [item(6_000)]);
    await clock.advance(1_100);
    assert.is(probes.filter(({ port }) => port === 6_000).length, 1, 'those that left are not waited for');
  },
);

monitors('states flip as the machine says; the last known is trusted until then', async () => {
  let answer: Partial<ProbeResult> = refused;
  const { monitor, clock, flips } = make(() => answer);
  const one = item(1, { state: 'Healthy', since: 5, reason: '' });
  monitor.follow('a', [one]);
  assert.is(monitor.health(one.key)!.state, 'Healthy');
  await clock.advance(20_000);
  assert.equal(flips, []);
  await clock.advance(15_000);
  assert.equal(flips, ['1 Healthy Unreachable']);
  answer = {};
  await clock.advance(25_000);
  assert.equal(flips, ['1 Healthy Unreachable', '1 Unreachable Healthy']);
  assert.ok(monitor.stats().failures >= 3);
});

monitors(
  'one that is probed before it listens is up with its first good probe; later it takes as many as its check says',
  async () => {
    let answer: Partial<ProbeResult> = refused;
    const { monitor, clock, flips, probes } = make(() => answer);
    monitor.follow('a', [item(1)]);
    await clock.advance(15_000);
    answer = {};
    await clock.advance(10_000);
    assert.equal(flips, ['1 Unknown Unreachable', '1 Unreachable Healthy']);
    answer = refused;
    await clock.advance(35_000);
    assert.is(flips.length, 3);
    answer = {};
    const before = probes.length;
    while (flips.length === 3 && probes.length - before < 5) await clock.advance(1_000);
    assert.is(probes.length - before, 2);
  },
);

monitors('who shares an address shares its probes; the last who leaves ends them', async () => {
  const { monitor, clock, probes } = make(() => ({}));
  monitor.follow('route a', [item(1)]);
  monitor.follow('service b', [item(1), item(2)]);
  await clock.advance(9_000);
  assert.is(probes.filter(({ port }) => port === 1).length, 1);
  monitor.follow('route a', []);
  assert.ok(monitor.health(item(1).key));
  monitor.follow('service b', [item(2)]);
  assert.is(monitor.health(item(1).key), undefined);
  const before = probes.length;
  await clock.advance(30_000);
  assert.ok(probes.slice(before).every(({ port }) => port === 2));
  assert.is(monitor.stats().items, 1);
});

monitors('a probe that is under way when its address leaves counts for nobody', async () => {
  let answer = (_: Partial<ProbeResult>) => {};
  const { monitor, clock, flips } = make(() => new Promise((resolve) => (answer = resolve)));
  monitor.follow('a', [item(1)]);
  await clock.advance(1_100);
  monitor.follow('a', []);
  monitor.follow('a', [item(1)]);
  answer(refused);
  await clock.flush();
  assert.equal(flips, []);
  assert.is(monitor.health(item(1).key)!.state, 'Unknown');
});

monitors('bounded: those that hang take no more places than there are, and the rest is said to be late', async () => {
  const ends: (() => void)[] = [];
  const { monitor, clock, most } = make(() => new Promise((resolve) => ends.push(() => resolve({}))), 4);
  monitor.follow(
    'a',
    Array.from({ length: 20 }, (_, i) => item(i + 1)),
  );
  await clock.advance(5_000);
  assert.is(most.running, 4);
  assert.is(monitor.stats().running, 4);
  assert.ok(monitor.stats().lagMs >= 4_000);
  for (let i = 0; i < 20; i++) {
    ends.shift()?.();
    await clock.advance(30);
  }
  assert.is(monitor.stats().probes, 20);
  assert.is(most.running, 4);
});

monitors('what this machine could not try says nothing of the instance', async () => {
  const { monitor, clock, flips } = make(() => undefined);
  monitor.follow('a', [item(1, { state: 'Healthy', since: 0, reason: '' })]);
  await clock.advance(60_000);
  assert.equal(flips, []);
  assert.ok(monitor.stats().untried >= 5);
  assert.is(monitor.stats().probes, 0);
});

monitors('stopped: nothing more', async () => {
  const { monitor, clock, probes, flips } = make(() => new Promise(() => {}));
  monitor.follow('a', [item(1)]);
  await clock.advance(1_100);
  await monitor.stop();
  await clock.advance(60_000);
  assert.is(probes.length, 1);
  assert.equal(flips, []);
});

monitors.run();
