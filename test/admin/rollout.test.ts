import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { noAnswer } from '../../src/core/health-probe.ts';
import { by, refused, rolloutBench } from '../helpers/rollouts.ts';

const a = 'http://127.0.0.1:3000';
const b = 'http://127.0.0.1:3001';
const c = 'http://127.0.0.1:3002';

const deploy = suite('admin: deploy');

deploy('a route: checked, swapped, the old target drained; previous is where it was', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a, hsts: true }]);
  bench.inFlight.set(a, 3);
  bench.clock.after(2_000, () => bench.inFlight.set(a, 0));
  const { outcome, steps, tookMs } = await bench.deploy({ name: 'App.test.', targets: [b] });
  assert.equal(bench.route('app.test'), { id: 'app.test', target: b, hsts: true, rollout: { previous: a } });
  assert.equal(outcome, {
    ...{ name: 'app.test', kind: 'route', created: false, changed: true, target: b, canary: null, previous: a },
    ...{ hosts: [], drained: [a], left: [], shared: [] },
  });
  assert.equal(steps, [
    `check ${b}: GET /, for up to 30 s`,
    `healthy ${b}: after 0 s`,
    `swap : app.test goes to ${b}`,
    `drain ${a}: 3 under way`,
  ]);
  assert.ok(tookMs >= 2_000 && tookMs < 3_000, `${tookMs}`);
  assert.equal(
    bench.store.commits.map(({ actor }) => actor),
    ['test'],
  );
  assert.equal(bench.logged, [`deploy: route app.test goes to ${b} (test)`]);
});

deploy('a service whose definition has fields of anybody’s, `fault` among them', async () => {
  const bench = await rolloutBench();
  await bench.configuration.saveServices([{ id: 'web', fault: 'none', hint: 'none', target: a }], by);
  const { outcome, error } = await bench.deploy({ name: 'web', targets: [b] });
  assert.is(error, undefined);
  assert.is(outcome?.previous, a);
  assert.equal(bench.registry.definition('web'), {
    ...{ id: 'web', fault: 'none', hint: 'none', target: b },
    rollout: { previous: a },
  });
});

deploy('a definition of a later oo is refused, and says what this one does not know', async () => {
  const bench = await rolloutBench();
  for (const [id, odd] of [
    ['one', { target: 5 }],
    ['two', { target: [null], rollout: null }],
    ['three', { rollout: { gate: null }, health: 'x' }],
  ] as const) {
    bench.store.elsewhere([], [], { services: { save: [{ id, ...odd }], remove: [] } });
    await bench.configuration.refresh();
    for (const call of [
      () => bench.rollouts.pause({ name: id }, by),
      async () => {
        const { error } = await bench.deploy({ name: id, targets: [b] });
        if (error !== undefined) throw error;
      },
    ]) {
      const error = await call().then(
        () => undefined,
        (error: Error) => error,
      );
      assert.is(error?.name, 'RolloutRefusal', `${id}: ${error?.stack}`);
    }
    assert.equal(bench.registry.definition(id), { id, ...odd });
  }
});

deploy('what is paused or stopped stays so, and the deploy says it', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  await bench.rollouts.stop({ name: 'app.test', forMs: 60_000 }, by);
  const notes = async (target: string) =>
    (await bench.deploy({ name: 'app.test', targets: [target] })).steps.filter((step) => step.startsWith('note'));
  assert.equal(await notes(b), ['note : app.test stays stopped: oo resume app.test opens it']);
  assert.is(bench.route('app.test')?.rollout?.gate?.state, 'stopped');
  await bench.clock.advance(60_000);
  assert.equal(await notes(c), []);
});

deploy('a target that comes up late is waited for, asked once a second', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  bench.clock.after(2_500, () => bench.answers.set(b, { status: 503 }));
  bench.clock.after(3_500, () => bench.answers.delete(b));
  const { outcome, steps } = await bench.deploy({ name: 'app.test', targets: [b] });
  assert.is(outcome?.target, b);
  assert.equal(steps.slice(0, 4), [
    `check ${b}: GET /, for up to 30 s`,
    `waiting ${b}: no connection: connect ECONNREFUSED`,
    `waiting ${b}: / answered 503, expected 100-499`,
    `healthy ${b}: after 4 s`,
  ]);
  assert.equal(
    bench.probes.map((line) => line.split(' at ')[1]),
    ['0', '1000', '2000', '3000', '4000'],
  );
});

deploy('one that never passes: nothing is changed, and why is said', async () => {
  const route = { id: 'app.test', target: a };
  const bench = await rolloutBench([route]);
  bench.answers.set(b, refused);
  const { error, tookMs } = await bench.deploy({ name: 'app.test', targets: [c, b], deadlineMs: 5_000 });
  assert.is(error?.code, 'OO_UNHEALTHY');
  assert.is(
    error?.message,
    `${b} is not healthy within 5 s (5 checks): no connection: connect ECONNREFUSED; nothing was changed.`,
  );
  assert.is(tookMs, 4_000, 'no sixth check would fit');
  assert.equal(bench.route('app.test'), route);
  assert.equal(bench.store.commits, []);
});

deploy('one that hangs is given up at the deadline', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.answers.set(b, 'hangs');
  const { error, tookMs } = await bench.deploy({ name: 'app.test', targets: [b], deadlineMs: 7_000 });
  assert.match(error?.message ?? '', 'no answer in time');
  assert.is(tookMs, 7_000);
});

deploy('which check: --health, else the pool’s own, else any answer; a connection where it wants none', async () => {
  const bench = await rolloutBench([
    { id: 'own.test', target: a, health: '/up' },
    { id: 'none.test', target: a, health: false },
    { id: 'plain.test', target: a },
  ]);
  for (const name of ['own.test', 'none.test', 'plain.test']) await bench.deploy({ name, targets: [b], drainMs: 0 });
  await bench.deploy({ name: 'own.test', targets: [c], health: '/ready', drainMs: 0 });
  assert.equal(
    bench.probes.map((line) => line.split(' at ')[0]),
    [`GET ${b}/up`, `tcp ${b}`, `GET ${b}/`, `GET ${c}/ready`],
  );
  bench.answers.set(b, { ...noAnswer, status: 404 });
  const strict = await bench.deploy({ name: 'plain.test', targets: [b], health: '/up', deadlineMs: 500 });
  assert.match(strict.error?.message ?? '', '/up answered 404, expected 200-399');
  const lenient = await bench.deploy({ name: 'plain.test', targets: [b], deadlineMs: 500 });
  assert.is(lenient.error, undefined);
  const bad = await bench.deploy({ name: 'plain.test', targets: [b], health: 'up' });
  assert.match(bad.error?.message ?? '', /^health is 'up'; expected '\/'/);
});

deploy('--force asks nobody', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  const { outcome } = await bench.deploy({ name: 'app.test', targets: [b], force: true });
  assert.is(outcome?.target, b);
  assert.equal(bench.probes, []);
});

deploy('connections that stay after the drain time are counted, not cut', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: 'http://app:3000' }]);
  bench.inFlight.set('http://app:3000@10.0.0.1', 2).set('http://app:3000@10.0.0.2', 3).set('http://other:3000', 9);
  const { outcome, tookMs } = await bench.deploy({ name: 'app.test', targets: [b], drainMs: 3_000 });
  assert.equal(outcome?.left, [{ target: 'http://app:3000', inFlight: 5 }]);
  assert.equal(outcome?.drained, []);
  assert.is(tookMs, 3_000);
});

deploy('an old target that another route has is not waited for', async () => {
  const bench = await rolloutBench([
    { id: 'app.test', target: a },
    { id: 'b.test', target: '127.0.0.1:3000/base' },
  ]);
  bench.inFlight.set(a, 4);
  const { outcome, tookMs } = await bench.deploy({ name: 'app.test', targets: [b] });
  assert.equal([outcome?.shared, outcome?.drained, outcome?.left], [[a], [], []]);
  assert.is(tookMs, 0);
});

deploy('a target that stays in a list is not drained', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: [a, b] }]);
  const { outcome } = await bench.deploy({ name: 'app.test', targets: [b, c] });
  assert.equal([outcome?.target, outcome?.drained, outcome?.previous], [[b, c], [a], [a, b]]);
});

deploy('the same target again: checked, and nothing is changed; previous stays', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a, rollout: { previous: c } }]);
  const { outcome, steps } = await bench.deploy({ name: 'app.test', targets: [a] });
  assert.equal([outcome?.changed, outcome?.previous], [false, c]);
  assert.equal(steps.at(-1), `swap : app.test goes to ${a}, as before`);
  assert.equal(bench.store.commits, []);
});

deploy('a route that is not there is made, and that is said', async () => {
  const bench = await rolloutBench();
  const { outcome, steps } = await bench.deploy({ name: 'new.test/api', targets: [a] });
  assert.equal([outcome?.created, outcome?.kind, outcome?.previous], [true, 'route', null]);
  assert.ok(steps.includes('note : there was no route new.test/api: it is made'), steps.join('\n'));
  assert.equal(bench.route('new.test/api'), { id: 'new.test/api', target: a });
});

deploy('a service that is not there is made; --host puts it on the air', async () => {
  const bench = await rolloutBench();
  const first = await bench.deploy({ name: 'web', targets: [a], hosts: ['App.test', 'www.app.test'] });
  assert.equal([first.outcome?.created, first.outcome?.kind], [true, 'service']);
  assert.equal(first.outcome?.hosts, ['app.test', 'www.app.test']);
  assert.equal(bench.service('web'), { target: a });
  assert.equal(bench.route('app.test'), { id: 'app.test', target: 'service://web' });
  const second = await bench.deploy({ name: 'web', targets: [b], hosts: ['app.test'] });
  assert.equal([second.outcome?.created, second.outcome?.hosts], [false, []]);
  assert.equal(bench.service('web'), { target: b, rollout: { previous: a } });
});

deploy('--host: a route that leads elsewhere is not taken away', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  const { error } = await bench.deploy({ name: 'web', targets: [b], hosts: ['app.test'] });
  assert.equal([error?.code, error?.message], ['OO_HOST_TAKEN', `The route app.test leads to ${a}.`]);
  assert.equal([bench.service('web'), bench.probes], [undefined, []]);
  const route = await bench.deploy({ name: 'app.test', targets: [b], hosts: ['x.test'] });
  assert.match(route.error?.message ?? '', 'hosts is for services');
  const bad = await bench.deploy({ name: 'web', targets: [b], hosts: ['http://x'] });
  assert.match(bad.error?.message ?? '', "The host 'http://x' is none.");
});

deploy('a service with registered instances: its target replaces them, a rollback brings them back', async () => {
  const bench = await rolloutBench();
  bench.registry.register('web', { url: a });
  bench.registry.register('web', { url: c });
  await bench.clock.advance(100);
  const { outcome, steps } = await bench.deploy({ name: 'web', targets: [b] });
  assert.ok(steps.includes('note : while web has a target, no requests go to what has registered (2)'));
  assert.equal([outcome?.created, outcome?.previous, outcome?.drained], [false, 'service://web', [a, c]]);
  const back = await bench.rollback({ name: 'web' });
  assert.equal([back.outcome?.target, back.outcome?.previous, back.outcome?.drained], [null, b, [b]]);
  assert.equal(bench.service('web'), { rollout: { previous: b } });
  assert.equal(back.steps.at(-1), 'swap : web goes to its registered instances');
});

deploy('a route to a service: one healthy instance of it is enough, none is not', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.registry.register('web', { url: b });
  bench.registry.register('web', { url: c });
  await bench.clock.advance(100);
  bench.answers.set(b, refused);
  const { outcome, tookMs } = await bench.deploy({ name: 'app.test', targets: ['service://web'] });
  assert.is(outcome?.target, 'service://web');
  assert.ok(tookMs < 2_000);
  const back = await bench.deploy({ name: 'app.test', targets: [a] });
  assert.ok(back.steps.includes('note : app.test went to service://web: the service itself is not changed'));
  assert.equal(back.outcome?.shared, [b, c], 'the service has them still');
  const none = await bench.deploy({ name: 'app.test', targets: ['service://nobody'] });
  assert.match(none.error?.message ?? '', 'service://nobody has no instance');
});

deploy('two at once of one name: the second is refused; of two names, not', async () => {
  const bench = await rolloutBench([
    { id: 'a.test', target: a },
    { id: 'b.test', target: a },
  ]);
  bench.answers.set(b, refused);
  const first = bench.deploy({ name: 'a.test', targets: [b], deadlineMs: 10_000 });
  await bench.clock.flush();
  const [second, other] = [
    await bench.rollouts
      .deploy({ name: 'A.test', targets: [c] }, by, () => {}, new AbortController().signal)
      .catch((e) => e),
    await bench.rollouts.deploy({ name: 'b.test', targets: [c] }, by, () => {}, new AbortController().signal),
  ];
  assert.equal([second.status, second.code], [409, 'OO_BUSY']);
  assert.is((await other.done).target, c);
  assert.is((await first).error?.code, 'OO_UNHEALTHY');
  bench.answers.delete(b);
  assert.is(
    (await bench.deploy({ name: 'a.test', targets: [b] })).outcome?.target,
    b,
    'when it has ended, the next may',
  );
});

deploy('who leaves while it is checked: nothing is changed, and the next deploy may begin', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.answers.set(b, 'hangs');
  const left = new AbortController();
  bench.clock.after(1_500, () => left.abort());
  const { error, tookMs } = await bench.deploy({ name: 'app.test', targets: [b] }, left.signal);
  assert.is(error?.code, 'OO_CANCELLED');
  assert.ok(tookMs < 2_000, `${tookMs}`);
  assert.equal(bench.store.commits, []);
  bench.answers.delete(b);
  assert.is((await bench.deploy({ name: 'app.test', targets: [b] })).outcome?.target, b);
});

deploy('what others change meanwhile is kept: the pause of another, an option', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  bench.clock.after(1_500, () => {
    void bench.rollouts.pause({ name: 'app.test' }, by);
    bench.answers.delete(b);
  });
  await bench.deploy({ name: 'app.test', targets: [b] });
  assert.equal(bench.route('app.test')?.rollout, { gate: { state: 'paused' }, previous: a });
});

deploy('bad requests are refused before anything is asked', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  const messages: string[] = [];
  for (const request of [
    { name: 'app.test', targets: ['ftp://x'] },
    { name: 'app.test', targets: [b, b] },
    { name: 'app.test' },
    { name: 'app.test', targets: [b], percent: 101 },
    { name: 'app.test', targets: [b], header: 'x y=1' },
    { name: 'app.test', targets: [b], percent: 0 },
    { name: 'app.test', percent: 5 },
    { name: 'ap.test', percent: 5 },
    { name: 'web', targets: ['service://other'] },
    { name: 'web', targets: [b], percent: 5 },
    { name: 'Web', targets: [b] },
    { name: 'x.test/../y', targets: [b] },
  ]) {
    const { error } = await bench.deploy(request);
    messages.push(`${error?.code} ${error?.message}`);
  }
  assert.match(messages[0], /^OO_BAD_REQUEST target 'ftp:\/\/x' has the unknown scheme 'ftp'/);
  assert.match(messages[1], 'is in the list twice');
  assert.is(messages[2], 'OO_BAD_REQUEST app.test has no target to deploy to.');
  assert.match(messages[3], 'percent');
  assert.match(messages[4], 'header');
  assert.match(messages[5], 'percent is 0');
  assert.is(messages[6], 'OO_NO_CANARY app.test has no canary yet.');
  assert.is(messages[7], 'OO_UNKNOWN_NAME There is no route ap.test.');
  assert.match(messages[8], 'target is a service');
  assert.is(messages[9], 'OO_UNKNOWN_NAME There is no service web.');
  assert.match(messages[10], /^OO_BAD_NAME 'Web' is neither/);
  assert.match(messages[11], /^OO_BAD_NAME 'x\.test\/\.\.\/y' has a/);
  assert.equal([bench.probes, bench.store.commits], [[], []]);
});

deploy('a canary: a part of the requests, another part, then all of them', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  const first = await bench.deploy({ name: 'app.test', targets: [b], percent: 10, header: 'x-beta=1' });
  const canary = { target: b, percent: 10, header: 'x-beta=1' };
  assert.equal(bench.route('app.test'), { id: 'app.test', target: a, rollout: { canary } });
  assert.equal([first.outcome?.target, first.outcome?.canary, first.outcome?.previous], [a, canary, null]);
  assert.equal(
    first.steps.at(-1),
    `swap : app.test goes to ${a}; 10% of the requests and requests with x-beta=1 to ${b}`,
  );
  await bench.deploy({ name: 'app.test', percent: 50 });
  assert.equal(bench.route('app.test')?.rollout, { canary: { target: b, percent: 50 } });
  assert.is(bench.probes.length, 2, 'each time it is asked');
  const all = await bench.deploy({ name: 'app.test', targets: [b] });
  assert.equal(bench.route('app.test'), { id: 'app.test', target: b, rollout: { previous: a } });
  assert.equal(all.outcome?.drained, [a], 'the canary itself goes on');
});

deploy('another canary in place of the first: the first is drained', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a, rollout: { canary: { target: b, percent: 5 } } }]);
  const { outcome } = await bench.deploy({ name: 'app.test', targets: [c], percent: 5 });
  assert.equal([outcome?.drained, outcome?.canary], [[b], { target: c, percent: 5 }]);
});

deploy('another main target while there is a canary: the canary ends, and that is said', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a, rollout: { canary: { target: b, percent: 5 } } }]);
  const { outcome, steps } = await bench.deploy({ name: 'app.test', targets: [c] });
  assert.ok(steps.includes(`note : the canary ${b} ends`), steps.join('\n'));
  assert.equal([outcome?.canary, outcome?.drained], [null, [a, b]]);
});

deploy('a service that is nearly another is made all the same, and both are said', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  const route = await bench.deploy({ name: 'apq.test', targets: [b] });
  assert.ok(route.steps.includes('note : there was no route apq.test: it is made'), 'hosts are alike on purpose');
  await bench.deploy({ name: 'user-svc', targets: [b] });
  const { steps } = await bench.deploy({ name: 'users-svc', targets: [b] });
  assert.ok(steps.includes('note : there was no service users-svc: it is made; user-svc is another'), steps.join('\n'));
});

deploy('a store that takes no routes: the service has its target, and what is missing is said', async () => {
  const bench = await rolloutBench();
  const { commit } = bench.store;
  const failure = Object.assign(new Error('the disk is full'), { code: 'OO_STORE_FULL', hint: 'Make room.' });
  bench.store.commit = (change) => (change.save.length > 0 ? Promise.reject(failure) : commit(change));
  const { error } = await bench.deploy({ name: 'web', targets: [a], hosts: ['app.test'] });
  assert.is(error?.code, 'OO_NO_ROUTES');
  assert.is(error?.message, 'web has its target, but its routes were not made: the disk is full');
  assert.equal(bench.service('web'), { target: a });
});

deploy('a store that takes no route: it is as it was', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  bench.store.failure = Object.assign(new Error('the disk is full'), { code: 'OO_STORE_FULL', hint: 'Make room.' });
  const { error } = await bench.deploy({ name: 'app.test', targets: [b] });
  assert.is(error?.code, 'OO_STORE_FULL');
  assert.equal(bench.route('app.test'), { id: 'app.test', target: a });
});

const rollback = suite('admin: rollback');

rollback('a canary is taken away, without a check', async () => {
  const bench = await rolloutBench([
    { id: 'app.test', target: a, rollout: { canary: { target: b, percent: 5 }, previous: c } },
  ]);
  bench.answers.set(a, refused);
  const { outcome } = await bench.rollback({ name: 'app.test' });
  assert.equal(bench.route('app.test'), { id: 'app.test', target: a, rollout: { previous: c } });
  assert.equal([outcome?.drained, bench.probes], [[b], []]);
});

rollback('target and previous change places, after a check; twice is where it began', async () => {
  const bench = await rolloutBench();
  await bench.deploy({ name: 'web', targets: [a] });
  await bench.deploy({ name: 'web', targets: [b] });
  const { outcome } = await bench.rollback({ name: 'web' });
  assert.equal([outcome?.target, outcome?.previous, outcome?.drained], [a, b, [b]]);
  assert.equal(bench.service('web'), { target: a, rollout: { previous: b } });
  await bench.rollback({ name: 'web' });
  assert.equal(bench.service('web'), { target: b, rollout: { previous: a } });
  assert.is(bench.probes.length, 4);
});

rollback('to one that is gone: refused, unless forced', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: b, rollout: { previous: a } }]);
  bench.answers.set(a, refused);
  const { error, tookMs } = await bench.rollback({ name: 'app.test' });
  assert.match(error?.message ?? '', `${a} is not healthy within 10 s`);
  assert.ok(tookMs <= 10_000);
  assert.is(bench.route('app.test')?.target, b);
  const forced = await bench.rollback({ name: 'app.test', force: true });
  assert.is(forced.outcome?.target, a);
});

rollback('nothing to go back to, and names that are not', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: b }]);
  assert.is((await bench.rollback({ name: 'app.test' })).error?.code, 'OO_NO_PREVIOUS');
  const unknown = await bench.rollback({ name: 'aps.test' });
  assert.equal([unknown.error?.status, unknown.error?.hint], [404, 'Did you mean app.test?']);
});

rollback('a deploy of another server while it is checked: refused, nothing is lost', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: b, rollout: { previous: a } }]);
  bench.answers.set(a, refused);
  bench.clock.after(1_500, () => {
    bench.store.elsewhere([{ id: 'app.test', target: c, rollout: { previous: b } }]);
    bench.answers.delete(a);
  });
  const { error } = await bench.rollback({ name: 'app.test' });
  assert.is(error?.code, 'OO_CONFLICT');
  assert.is(bench.route('app.test')?.target, c);
});

const gate = suite('admin: pause, resume, stop');

gate('a route: paused with its bounds, resumed; nothing else changes', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a, rollout: { previous: b } }]);
  const paused = await bench.rollouts.pause({ name: 'app.test', maxWaitMs: 5_000 }, by);
  assert.equal(paused, {
    ...{ name: 'app.test', kind: 'route', changed: true, notes: [] },
    gate: { state: 'paused', message: '', until: 0, maxWaiting: 1_000, maxWaitMs: 5_000 },
  });
  assert.equal(bench.route('app.test')?.rollout, { gate: { state: 'paused', maxWaitMs: 5_000 }, previous: b });
  const open = await bench.rollouts.resume({ name: 'app.test' }, by);
  assert.equal([open.changed, open.gate], [true, null]);
  assert.equal(bench.route('app.test'), { id: 'app.test', target: a, rollout: { previous: b } });
  assert.is((await bench.rollouts.resume({ name: 'app.test' }, by)).changed, false);
  assert.is(bench.store.commits.length, 2);
});

gate('a service, also one that only registers', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: 'service://web' }]);
  bench.registry.register('web', { url: a });
  await bench.clock.advance(100);
  const stopped = await bench.rollouts.stop({ name: 'web', message: 'Back at 9', forMs: 60_000 }, by);
  const until = bench.clock.now() + 60_000;
  assert.equal([stopped.kind, stopped.gate?.until], ['service', until]);
  assert.equal(bench.service('web'), { rollout: { gate: { state: 'stopped', message: 'Back at 9', until } } });
  const route = await bench.rollouts.resume({ name: 'app.test' }, by);
  assert.equal(route.notes, ['its service web is stopped: oo resume web opens that']);
  await bench.rollouts.resume({ name: 'web' }, by);
  assert.equal(bench.service('web'), {});
});

deploy('a service goes back to its registered instances by its own name; there must be one', async () => {
  const bench = await rolloutBench();
  await bench.deploy({ name: 'web', targets: [b] });
  const none = await bench.deploy({ name: 'web', targets: ['service://web'] });
  assert.is(none.error?.message, 'service://web has no instance; nothing was changed.');
  bench.registry.register('web', { url: a });
  const { outcome } = await bench.deploy({ name: 'web', targets: ['service://web'] });
  assert.equal([outcome?.target, outcome?.previous, outcome?.drained], [null, b, [b]]);
  assert.equal(bench.service('web'), { rollout: { previous: b } });
  assert.is((await bench.deploy({ name: 'web', targets: ['service://web'] })).outcome?.changed, false);
  const other = await bench.deploy({ name: 'other', targets: ['service://web'] });
  assert.match(other.error?.message ?? '', 'target is a service; expected an address');
});

deploy('a database that takes nothing: a service is left as it is, and the deploy fails', async () => {
  const bench = await rolloutBench();
  bench.registry.register('web', { url: a });
  await bench.registry.settled();
  bench.store.failure = Object.assign(new Error('the disk is full'), { code: 'OO_STORE_FULL', hint: 'Free some.' });
  const { error } = await bench.deploy({ name: 'web', targets: [b] });
  assert.is(error?.message, 'the disk is full');
  assert.is(bench.configuration.service('web'), undefined);
  bench.store.failure = undefined;
  assert.is((await bench.deploy({ name: 'web', targets: [b] })).error, undefined);
  assert.is(bench.configuration.service('web')?.target, b);
});

gate('what another server has just made of a service is not undone', async () => {
  const bench = await rolloutBench();
  bench.registry.register('web', { url: a });
  await bench.rollouts.stop({ name: 'web' }, by);
  // This one has not read the database since.
  const resumes = () => bench.store.elsewhere([], [], { services: { save: [{ id: 'web' }], remove: [] } });
  resumes();
  await bench.deploy({ name: 'web', targets: [b] });
  assert.equal(bench.service('web'), { target: b, rollout: { previous: 'service://web' } });
  await bench.rollouts.stop({ name: 'web' }, by);
  resumes();
  await bench.rollouts.pause({ name: 'web' }, by);
  assert.equal(bench.service('web'), { rollout: { gate: { state: 'paused' } } });
});

gate('a stop whose time is over is none', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  await bench.rollouts.stop({ name: 'app.test', forMs: 1_000 }, by);
  await bench.clock.advance(1_000);
  assert.is((await bench.rollouts.resume({ name: 'app.test' }, by)).changed, false);
});

gate('bad orders and unknown names are refused', async () => {
  const bench = await rolloutBench([{ id: 'app.test', target: a }]);
  const of = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => `${error.status} ${error.message}`,
    );
  assert.match(await of(bench.rollouts.pause({ name: 'app.test', maxWaitMs: 0 }, by)), /^400 maxWaitMs/);
  assert.match(await of(bench.rollouts.stop({ name: 'app.test', message: 'x'.repeat(1_001) }, by)), /^400 message/);
  assert.is(await of(bench.rollouts.pause({ name: 'none' }, by)), '404 There is no service none.');
  assert.equal(bench.store.commits, []);
});

deploy.run();
rollback.run();
gate.run();
