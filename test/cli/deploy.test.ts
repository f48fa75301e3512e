import { request } from 'node:http';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { gateText } from '../../cli/pause.ts';
import { socketPath } from '../../cli/state.ts';
import { openGate } from '../../src/core/admission-gate.ts';
import { rolloutServer } from '../helpers/rollout-cli.ts';
import { type RolloutBench, refused, rolloutBench } from '../helpers/rollouts.ts';
import { sleep, until } from '../helpers/wait.ts';

const a = 'http://127.0.0.1:3000';
const b = 'http://127.0.0.1:3001';

const cli = suite('cli: oo deploy, rollback, pause, resume, stop');

/** A clock that goes on by itself, while a command is under way. */
async function start(...routes: Parameters<typeof rolloutBench>) {
  const bench = await rolloutBench(...routes);
  const server = await rolloutServer(bench.rollouts);
  const timer = setInterval(() => void bench.clock.advance(200), 5);
  const stop = async () => {
    clearInterval(timer);
    await server.stop();
  };
  return { ...server, bench: bench as RolloutBench, stop };
}

cli('deploy: each step, then what is so now', async () => {
  const { oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  bench.clock.after(1_500, () => bench.answers.delete(b));
  const { code, out, err } = await oo(`deploy app.test --target ${b} --reason why`);
  assert.equal([code, out], [0, `deployed app.test: ${b}\nnothing runs any more on ${a}: it can be stopped\n`]);
  assert.equal(err.split('\n'), [
    `checking ${b}: GET /, for up to 30 s`,
    `not yet: ${b}: no connection: connect ECONNREFUSED`,
    `healthy: ${b}, after 2 s`,
    `app.test goes to ${b}`,
    '',
  ]);
  const [{ actor, reason }] = bench.store.commits;
  assert.equal([actor, reason], ['cli:ann', 'why']);
  await stop();
});

cli('deploy: a service with its host in one command; -o json and -q', async () => {
  const { oo, bench, stop } = await start();
  const { code, out } = await oo(`deploy web --target ${a} --target ${b} --host app.test --host www.app.test`);
  assert.equal([code, out], [0, `deployed web: ${a}, ${b}\nmade the routes app.test, www.app.test\n`]);
  assert.equal(bench.route('www.app.test')?.target, 'service://web');
  const json = await oo(`deploy web --target ${b} -o json`);
  const { target, previous, drained } = JSON.parse(json.out);
  assert.equal([target, previous, drained, json.err], [b, [a, b], [a], '']);
  assert.equal(await oo(`deploy web --target ${b} -q`), { code: 0, out: 'web\n', err: '' });
  assert.match((await oo(`deploy web --target ${b}`)).out, /^unchanged web: /);
  await stop();
});

cli('deploy: a failed check is explained, exit code 1, nothing changed', async () => {
  const { oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  const { code, out, err } = await oo(`deploy app.test --target ${b} --deadline 2s`);
  assert.equal([code, out], [1, '']);
  assert.match(
    err,
    /oo: http:\/\/127\.0\.0\.1:3001 is not healthy within 2 s \(2 checks\): no connection: connect ECONNREFUSED; nothing was changed\.\n {4}See its log/,
  );
  assert.is(bench.route('app.test')?.target, a);
  await stop();
});

cli('deploy: connections that stay are said', async () => {
  const { oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  bench.inFlight.set(a, 2);
  const { code, out, err } = await oo(`deploy app.test --target ${b} --drain 1s`);
  assert.is(code, 0);
  assert.match(out, `2 requests or connections run on ${a} still`);
  assert.match(err, `draining ${a}: 2 under way\n`);
  await stop();
});

cli('a canary and how it goes on; rollback takes it away, then goes back', async () => {
  const { oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  const canary = await oo(`deploy app.test --target ${b} --percent 10% --header x-beta=1`);
  assert.equal(canary.out.split('\n'), [
    `deployed app.test: ${a}`,
    `canary: 10% and requests with x-beta=1 to ${b}`,
    `oo deploy app.test --target ${b} gives it all, oo rollback app.test takes it away`,
    '',
  ]);
  await oo('deploy app.test --percent 20');
  assert.equal(bench.route('app.test')?.rollout, { canary: { target: b, percent: 20 } });
  await oo(`deploy app.test --target ${b}`);
  const back = await oo('rollback app.test');
  assert.equal([back.code, back.out.split('\n')[0]], [0, `rolled back app.test: ${a}`]);
  bench.answers.set(b, refused);
  const { code, err } = await oo('rollback app.test --deadline 1s');
  assert.is(code, 1);
  assert.match(err, 'is not healthy within 1 s');
  assert.is((await oo('rollback app.test --force')).code, 0);
  await stop();
});

cli('flags and names that can’t be: exit code 2, or 1 with the nearest', async () => {
  const { oo, stop } = await start([{ id: 'app.test', target: a }]);
  for (const [line, code, expected] of [
    ['deploy app.test', 2, '--target is missing'],
    [`deploy app.test --target ${b} --percent 101`, 2, "--percent is '101'; expected a whole number from 0 to 100"],
    [`deploy app.test --target ${b} --deadline 5`, 2, "--deadline is '5'; expected a time such as"],
    [`deploy app.test --target ${b} --drain 1s --drain 2s`, 2, '--drain is given more than once'],
    ['deploy', 2, 'Missing required args'],
    ['deploy apq.test --percent 5', 1, 'There is no route apq.test.\n    Did you mean app.test?'],
    [`deploy app.test --target ${b} --host x.test`, 1, 'hosts is for services, and app.test is a route.'],
    ['pause nobody', 1, 'There is no service nobody.'],
    ['pause app.test --max-waiting x', 2, "--max-waiting is 'x'"],
    ['rollback app.test', 1, 'has neither a canary nor a previous target'],
    ['stop app.test --for 0s', 2, "--for is '0s'"],
  ] as const) {
    const ran = await oo(line);
    assert.is(ran.code, code, `${line}: ${ran.err}`);
    assert.ok(ran.err.includes(expected), `${line}: ${ran.err}`);
  }
  await stop();
});

cli('pause, stop, resume: what is so now, and how it ends', async () => {
  const { oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  assert.equal(await oo('pause app.test --max-wait 90s --max-waiting 5'), {
    ...{ code: 0, err: '' },
    out: 'paused app.test: up to 5 requests wait, each up to 90s; oo resume app.test serves them\n',
  });
  const stopped = await oo(['stop', 'app.test', '--message', 'Back soon.']);
  assert.is(stopped.out, 'stopped app.test: its requests get the maintenance page, until oo resume app.test\n');
  assert.equal(bench.route('app.test')?.rollout?.gate, { state: 'stopped', message: 'Back soon.' });
  const json = JSON.parse((await oo('stop app.test --for 1h -o json')).out);
  assert.equal([json.gate.state, json.gate.message], ['stopped', '']);
  assert.is((await oo('resume app.test')).out, 'resumed app.test: its requests are served\n');
  assert.is((await oo('resume app.test')).out, 'app.test is open: nothing to resume\n');
  assert.is((await oo('pause app.test -q')).out, 'app.test\n');
  const gate = { ...openGate, state: 'stopped' as const, until: Date.UTC(2026, 0, 2, 3, 4, 5) };
  assert.match(
    gateText({ name: 'x', kind: 'route', gate, changed: true, notes: [] }),
    'until 2026-01-02 03:04:05 UTC, or oo resume x',
  );
  await stop();
});

cli('a client that leaves before the swap: nothing is changed', async () => {
  const { dir, oo, bench, stop } = await start([{ id: 'app.test', target: a }]);
  bench.answers.set(b, refused);
  const body = JSON.stringify({ name: 'app.test', targets: [b], deadlineMs: 3_600_000 });
  const call = request({
    socketPath: socketPath(dir),
    ...{ method: 'POST', path: '/v1/deploy', headers: { 'content-type': 'application/json', host: 'localhost' } },
  });
  call.on('error', () => {});
  let heard = false;
  call.on('response', (response) => {
    response.on('error', () => {});
    response.on('data', () => {
      heard = true;
    });
  });
  call.end(body);
  await until(() => heard, 'the first step');
  call.destroy();
  // It is asked for an hour, so another deploy is refused unless this one has ended.
  let again = { code: 1, out: '', err: 'under way' };
  for (let tries = 0; again.err.includes('under way') && tries < 100; tries++) {
    await sleep(10);
    again = await oo(`deploy app.test --target ${a}`);
  }
  assert.equal([again.code, again.out], [0, `unchanged app.test: ${a}\n`], again.err);
  assert.equal(bench.store.commits, []);
  await stop();
});

cli('the API: bodies are proven, other methods refused', async () => {
  const { app, stop, faults } = await start([{ id: 'app.test', target: a }]);
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await app.request(path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
    return { status: response.status, text: await response.text() };
  };
  for (const [path, body, expected] of [
    ['/v1/deploy', {}, 'name is missing'],
    ['/v1/deploy', { name: 'x', targets: 'y' }, "targets is 'y'; expected a list"],
    ['/v1/deploy', { name: 'x', target: 'y' }, "unknown field 'target'"],
    ['/v1/deploy', { name: 'x', deadlineMs: -1 }, 'deadlineMs'],
    ['/v1/pause', { name: 1 }, 'name is 1; expected a text'],
    ['/v1/stop', { name: 'app.test', forMs: 0 }, 'forMs'],
  ] as const) {
    const { status, text } = await call('POST', path, body);
    assert.is(status, 400, text);
    assert.ok(JSON.parse(text).error.includes(expected), text);
  }
  assert.is((await call('POST', '/v1/deploy', { name: 'none.test', percent: 5 })).status, 404);
  assert.is((await call('GET', '/v1/deploy')).status, 405);
  assert.equal(faults, []);
  await stop();
});

cli.run();
