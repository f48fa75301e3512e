import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const flags = suite('cli: the flags of targets and pools');

function at(dir: string) {
  return async (line: string | readonly string[]) => {
    const io = memoryIo({ OO_STATE_DIR: dir, USER: 'ann' }, '');
    const words = typeof line === 'string' ? line.split(' ') : line;
    const code = await createProgram(io, '1').run([...words, '--offline']);
    return { code, ...io.said };
  };
}

/** The route that these flags save. */
async function saved(...words: string[]): Promise<Record<string, unknown>> {
  const oo = at(temporary());
  const result = await oo(['route', 'save', '--id', 'a', ...words]);
  assert.is(result.code, 0, result.err);
  const { id: _, ...route } = JSON.parse((await oo('route get a -o json')).out);
  return route;
}

flags('--target: one, several, with weights and priorities, a service', async () => {
  assert.equal(await saved('--target', '127.0.0.1:3000'), { target: '127.0.0.1:3000' });
  assert.equal(await saved('--target', 'service://user-svc'), { target: 'service://user-svc' });
  assert.equal(await saved('--target', 'http://a/x=3', '--target=http://b'), { target: ['http://a/x=3', 'http://b'] });
  assert.equal(await saved('--target', 'http://a weight=3', '--target', 'http://b  priority=1 weight=0'), {
    target: [
      { url: 'http://a', weight: 3 },
      { url: 'http://b', priority: 1, weight: 0 },
    ],
  });
});

flags('each option; the short forms where they say all', async () => {
  const a = ['--target', 'a'];
  assert.equal(await saved(...a, '--balance', 'round-robin'), { target: 'a', balance: 'round-robin' });
  assert.equal(
    await saved(...a, ...'--balance hash --hash-by header:x-user --sticky true --slow-start 30s'.split(' ')),
    { target: 'a', balance: { policy: 'hash', by: 'header:x-user', sticky: true, slowStartMs: 30_000 } },
  );
  assert.equal(await saved(...a, '--sticky', 'mine'), { target: 'a', balance: { sticky: 'mine' } });
  assert.equal(await saved(...a, '--health', '/up'), { target: 'a', health: '/up' });
  assert.equal(await saved(...a, '--health', 'off'), { target: 'a', health: false });
  assert.equal(await saved(...a, '--health', 'tcp', '--health-interval', '500'), {
    ...{ target: 'a', health: { kind: 'tcp', intervalMs: 500 } },
  });
  assert.equal(await saved(...a, '--health-timeout=1s', '--health=/up'), {
    ...{ target: 'a', health: { path: '/up', timeoutMs: 1_000 } },
  });
  assert.equal(await saved(...a, '--no-outlier', '--breaker'), { target: 'a', outlier: false, breaker: true });
  assert.equal(await saved(...a, ...'--max-connections 5 --max-waiting 0 --max-wait 250ms'.split(' ')), {
    ...{ target: 'a', limits: { maxConnections: 5, maxWaiting: 0, maxWaitMs: 250 } },
  });
  assert.equal(await saved(...a, ...'--tries 2 --try-timeout 1s'.split(' ')), {
    ...{ target: 'a', retry: { tries: 2, tryTimeoutMs: 1_000 } },
  });
});

for (const [line, expected] of [
  ['--id a --target t --balance fastest', "--balance: balance is 'fastest'; expected power-of-two, least-requests"],
  ['--id a --target t --hash-by ip', '--hash-by: balance.by is for the policy hash'],
  ['--id a --target t --sticky a;b', "--sticky: balance.sticky is 'a;b'; expected true, false or a cookie's name"],
  ['--id a --target t --health up', "--health: health is 'up'; expected false, a path such as /up, tcp, grpc"],
  ['--id a --target t --health-interval 5', "--health-interval: health.intervalMs is '5'; expected from 100 ms"],
  ['--id a --target t --health off --health-interval 5s', '--health off has no times.'],
  ['--id a --target t --max-wait 1x', "--max-wait is '1x'; expected a time such as 500ms, 30s or 5m."],
  ['--id a --target t --tries 11', "--tries is '11'; expected a whole number from 1 to 10."],
  ['--id a --target t --balance random --balance hash', '--balance is given more than once.'],
  [
    '--id a --target service://u --breaker',
    "--breaker: breaker is the service's to say; expected it in the definition",
  ],
  ['--balance random', '--id: id is missing'],
] as const) {
  flags(`refused: ${line}`, async () => {
    const { code, err } = await at(temporary())(`route save ${line}`);
    assert.is(code, 2);
    assert.ok(err.startsWith(`oo: ${expected}`), err);
  });
}

for (const target of ['a wieght=3', 'a weight=x', 'a weight=1 weight=2', 'a b', 'a weight=-1']) {
  flags(`refused: --target '${target}'`, async () => {
    const { code, err } = await at(temporary())(['route', 'save', '--id', 'a', '--target', target]);
    assert.is(code, 2);
    assert.ok(
      err.startsWith(`oo: --target is '${target}'; expected an address, perhaps with weight and priority`),
      err,
    );
  });
}

flags('--target with a weight that the core refuses, and one address twice', async () => {
  const oo = at(temporary());
  const heavy = await oo(['route', 'save', '--id', 'a', '--target', 'a weight=1001']);
  assert.match(
    heavy.err,
    /^oo: --target: target\[0\]\.weight, of a, is '1001'; expected a whole number from 0 to 1000/,
  );
  const twice = await oo('route save --id a --target a --target a:80');
  assert.match(twice.err, /^oo: --target: target 'a:80' is in the list twice/);
});

flags('what list and get show, as JSON and as YAML, can be saved again: nothing changes', async () => {
  const dir = temporary();
  const route = {
    id: 'a',
    target: ['[::1]:3000', { url: 'http://b', weight: 3, priority: 1 }],
    balance: { policy: 'hash', by: 'cookie:user', sticky: true, boundedLoad: 1.25 },
    health: { path: '/up', statuses: '200-299,304', intervalMs: 500 },
    outlier: { failures: 3, statuses: '5xx' },
    breaker: { probes: 2 },
    limits: { maxWaiting: 0 },
    retry: false,
    rollout: {
      gate: { state: 'stopped', message: 'Back: at nine.' },
      canary: { target: ['http://c'], percent: 0.5, header: 'x-beta=yes' },
      previous: 'http://d',
    },
  };
  const oo = async (line: string, input = '') => {
    const io = memoryIo({ OO_STATE_DIR: dir, USER: 'ann' }, input);
    return { code: await createProgram(io, '1').run([...line.split(' '), '--offline']), ...io.said };
  };
  assert.is((await oo('route save -', JSON.stringify(route))).out, 'created a\n');
  for (const line of ['route list -o json', 'route list -o yaml', 'route get a', 'route get a -o json']) {
    const { out } = await oo(line);
    assert.is((await oo('route save -', out)).out, 'unchanged a\n', line);
  }
  assert.equal(JSON.parse((await oo('route get a -o json')).out), route);
  assert.is(
    (await oo('route list')).out.split('\n')[1],
    'a          [::1]:3000, http://b (3, priority 1) [stopped: Back: at nine.] [0.5% and x-beta=yes to http://c]',
  );
});

flags('a fault inside a mapping of a file: its path, and the line of its option', async () => {
  const dir = temporary();
  const file = join(dir, 'a.yaml');
  writeFileSync(file, 'id: a\ntarget: [http://a, {url: http://b, weight: 9999}]\nbalance:\n  policy: fastest\n');
  const { code, err } = await at(dir)(['route', 'save', file]);
  assert.is(code, 1);
  const [target, balance] = err.split('\n');
  assert.is(target, `${file}:2: target[1].weight, of http://b, is '9999'; expected a whole number from 0 to 1000`);
  assert.match(balance, `${file}:3: balance.policy is 'fastest'; expected power-of-two, least-requests`);
});

flags('the list shows targets and what is paused; without any option nothing but the address', async () => {
  const oo = at(temporary());
  await oo(['route', 'save', '--id', 'a', '--target', 'http://a:1 weight=3', '--target', 'http://b:2']);
  await oo('route save --id b --target t');
  assert.is((await oo('route ls')).out, 'ROUTE ID   TARGET\na          http://a:1 (3), http://b:2\nb          t\n');
});

flags.run();
