import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openGate } from '../../src/core/admission-gate.ts';
import { defaultBalancing } from '../../src/core/balance-pool.ts';
import { defaultBreakerSettings } from '../../src/core/breaker.ts';
import { defaultHealthCheck } from '../../src/core/health-check.ts';
import { defaultOutlierSettings } from '../../src/core/outlier.ts';
import { compilePoolSpec, defaultPoolSettings, instanceKey } from '../../src/core/pool-compile.ts';
import type { PoolOptions, PoolSpec, TargetSpec } from '../../src/core/pool-types.ts';
import { parseTarget } from '../../src/core/target.ts';
import type { Target } from '../../src/core/types.ts';

const pools = suite('core: pools, compiled');

function compiled(target: unknown, options: unknown = {}, kind: 'route' | 'service' = 'route') {
  const faults: string[] = [];
  const name = kind === 'route' ? 'route a' : 'service user-svc';
  const spec = compilePoolSpec(name, kind, target as TargetSpec, options as PoolOptions, (field, message) =>
    faults.push(`${field}: ${message}`),
  );
  return { spec, faults };
}

function spec(target: unknown, options: unknown = {}, kind: 'route' | 'service' = 'route'): PoolSpec {
  const { spec, faults } = compiled(target, options, kind);
  assert.equal(faults, []);
  return spec;
}

function settings(options: unknown, kind: 'route' | 'service' = 'route') {
  return spec(kind === 'route' ? 'http://a' : undefined, options, kind).settings;
}

function tag(options: unknown, kind: 'route' | 'service' = 'route'): string {
  return settings(options, kind).instance.tag;
}

pools('a single address: weight 1, priority 0, and the settings that all pools without options share', () => {
  const { service, targets, settings, canary, gate, name } = spec('http://a:3000/base');
  assert.equal([service, canary, gate, name], ['', null, null, 'route a']);
  assert.equal(
    targets.map(({ target, weight, priority }) => [target.href, weight, priority]),
    [['http://a:3000/base', 1, 0]],
  );
  assert.is(settings, defaultPoolSettings);
  assert.is(settings.balancing.policy, 'power-of-two');
  assert.is(settings.instance.check, null);
  assert.equal(settings.instance.outlier, defaultOutlierSettings);
  assert.equal([settings.instance.breaker, settings.instance.limits, settings.instance.tag], [null, null, '']);
});

pools('a list: addresses and mappings, with weights and priorities', () => {
  const list = ['a:1', { url: 'https://b', weight: 0 }, { url: 'h2c://c', weight: 1_000, priority: 100 }];
  assert.equal(
    spec(list).targets.map(({ target, weight, priority }) => [target.href, weight, priority]),
    [
      ['http://a:1', 1, 0],
      ['https://b:443', 0, 0],
      ['h2c://c:80', 1_000, 100],
    ],
  );
});

pools('a service: its slug, with or without a slash at the end', () => {
  for (const target of ['service://user-svc', 'service://user-svc/'])
    assert.equal([spec(target).service, spec(target).targets], ['user-svc', []]);
  assert.equal(spec(undefined, {}, 'service').service, 'user-svc', 'a service has those that register');
  const fixed = spec(['http://a', 'http://b'], {}, 'service');
  assert.equal([fixed.service, fixed.targets.length], ['', 2]);
});

pools('equal targets share one object, over all pools that are compiled together', () => {
  const known = new Map<string, Target>();
  const [one, two] = ['route a', 'route b'].map((name) =>
    compilePoolSpec(name, 'route', ['http://a', { url: 'http://b' }], {}, assert.unreachable, known),
  );
  assert.is(one.targets[0].target, two.targets[0].target);
  assert.is(one.targets[1].target, two.targets[1].target);
});

for (const [name, target, ...expected] of [
  ['a mapping', {}, 'target is a mapping; expected an address such as http://10.0.0.2:3000, or a list of 1 to 1000'],
  ['a number', 7, "target is '7'; expected an address such as http://10.0.0.2:3000, or a list of 1 to 1000"],
  ['null', null, 'target is empty; expected an address such as http://10.0.0.2:3000, or a list of 1 to 1000'],
  ['no text', '', "target '' is empty; expected an address such as http://10.0.0.2:3000"],
  [
    'an empty list',
    [],
    'target is an empty list; expected an address such as http://10.0.0.2:3000, or a list of 1 to 1000',
  ],
  [
    'a long list',
    Array(1_001).fill('http://a'),
    'target is a list of 1001; expected an address such as http://10.0.0.2:3000, or a list of 1 to 1000',
  ],
  [
    'what is no address',
    [null, 7, ['http://a'], {}, { url: 7 }],
    'target[0] is empty; expected an address, or a mapping with url, weight and priority',
    "target[1] is '7'; expected an address, or a mapping with url, weight and priority",
    'target[2] is a list; expected an address, or a mapping with url, weight and priority',
    'target[3].url is missing; expected such as http://10.0.0.2:3000',
    "target[4].url is '7'; expected such as http://10.0.0.2:3000",
  ],
  [
    'wrong fields',
    [
      { url: 'http://a', weight: -1, priority: 101 },
      { url: 'http://b', weight: '3', wieght: 3 },
      { url: 'http://c', weight: 0.5 },
    ],
    "target[0].weight, of http://a, is '-1'; expected a whole number from 0 to 1000",
    "target[0].priority, of http://a, is '101'; expected a whole number from 0 to 100",
    "unknown field 'target[1].wieght'; expected one of url, weight, priority",
    "target[1].weight, of http://b, is '3'; expected a whole number from 0 to 1000",
    "target[2].weight, of http://c, is '0.5'; expected a whole number from 0 to 1000",
  ],
  ['one address twice', ['http://a', 'http://b', 'A:80'], "target 'A:80' is in the list twice; expected each once"],
  ['ftp', ['ftp://x'], "target 'ftp://x' has the unknown scheme 'ftp'; expected http://, https:// or h2c://"],
  ['a service in a list', ['service://a'], "target 'service://a' is in a list; expected a service alone"],
  ['no slug', 'service://User_Svc', "target 'service://User_Svc' is no service; expected such as service://user-svc"],
  [
    'a service with a path',
    'service://a/b',
    "target 'service://a/b' is no service; expected such as service://user-svc",
  ],
] as [string, unknown, ...string[]][]) {
  pools(`target refused: ${name}`, () =>
    assert.equal(
      compiled(target).faults,
      expected.map((message) => `target: ${message}`),
    ),
  );
}

pools('a service over a service is refused, as a target and as a canary', () => {
  assert.equal(compiled('service://b', {}, 'service').faults, [
    'target: target is a service; expected an address, or none for the instances that register',
  ]);
  const rollout = { canary: { target: 'service://b', percent: 1 } };
  assert.equal(compiled(undefined, { rollout }, 'service').faults, [
    'rollout: rollout.canary.target is a service; expected an address',
  ]);
  assert.is(spec('service://a', { rollout }).canary?.service, 'b', 'a route may try another service');
});

pools('a route over a service: what is of the instances is the service’s to say, retries are the route’s', () => {
  const options = { balance: 'hash', health: false, outlier: false, breaker: true, limits: {}, retry: { tries: 2 } };
  assert.equal(
    compiled('service://user-svc', options).faults,
    ['balance', 'health', 'outlier', 'breaker', 'limits'].map(
      (field) => `${field}: ${field} is the service's to say; expected it in the definition of user-svc`,
    ),
  );
  assert.is(spec('service://user-svc', { retry: { tries: 2 } }).settings.retry.tries, 2);
});

pools('balance: a policy, or a mapping; what is left out is by default', () => {
  assert.equal(settings({ balance: 'round-robin' }).balancing, { ...defaultBalancing, policy: 'round-robin' });
  const full = { slowStartMs: 30_000, minAvailable: 0.1, panicThreshold: 0, boundedLoad: 1.25 };
  const { balancing, hashBy, sticky } = settings({
    balance: { policy: 'hash', by: 'header:X-User', sticky: true, ...full },
  });
  assert.equal(balancing, { policy: 'hash', ...full });
  assert.equal([hashBy, sticky], [{ kind: 'header', name: 'x-user' }, 'oo_sticky']);
  assert.equal(settings({ balance: { policy: 'hash', by: 'cookie:Session' } }).hashBy, {
    kind: 'cookie',
    name: 'Session',
  });
  assert.equal(settings({ balance: { policy: 'hash' } }).hashBy, { kind: 'ip' });
  assert.is(settings({ balance: { sticky: 'mine' } }).sticky, 'mine');
  assert.is(settings({ balance: { sticky: false } }).sticky, '');
});

pools('a field that is undefined counts as left out', () => {
  const balance = { policy: undefined, slowStartMs: undefined, by: undefined };
  assert.is(settings({ balance, outlier: { failures: undefined }, retry: { tries: undefined } }), defaultPoolSettings);
  assert.equal(settings({ health: { path: '/up', rise: undefined } }).instance.check?.rise, defaultHealthCheck.rise);
});

pools('health: off, a path, a kind, or a mapping; services are probed by default', () => {
  const check = (health: unknown, kind?: 'service') => settings({ health }, kind).instance.check;
  assert.is(check(false), null);
  assert.is(check(false, 'service'), null);
  assert.equal(check(undefined, 'service'), defaultHealthCheck);
  assert.equal(check('/up'), { ...defaultHealthCheck, kind: 'http', path: '/up' });
  assert.equal(check('grpc'), { ...defaultHealthCheck, kind: 'grpc' });
  assert.equal(check('tcp'), defaultHealthCheck);
  const full = {
    ...{ kind: 'http', path: '/up?x', method: 'GET', host: 'a.test', port: 81, bodyContains: 'ok', grpcService: '' },
    ...{ intervalMs: 500, timeoutMs: 100, rise: 1, fall: 1, degradedMs: 50 },
  };
  assert.equal(check({ ...full, statuses: '301, 200-204' }), {
    ...full,
    statuses: [
      [200, 204],
      [301, 301],
    ],
  });
});

pools('outlier, breaker, limits, retry: on, off, or a mapping over the defaults', () => {
  assert.is(settings({ outlier: false }).instance.outlier, null);
  assert.is(settings({ outlier: true }), defaultPoolSettings);
  const outlier = settings({ outlier: { failures: 9, statuses: '5xx' } }).instance;
  assert.equal([outlier.outlier, outlier.failureStatuses], [{ ...defaultOutlierSettings, failures: 9 }, '5xx']);
  assert.equal(settings({ breaker: true }).instance.breaker, defaultBreakerSettings);
  assert.is(settings({ breaker: false }).instance.breaker, null);
  assert.is(settings({ breaker: { probes: 2 } }).instance.breaker?.probes, 2);
  assert.equal(settings({ limits: { maxConnections: 5, maxWaiting: 0 } }).instance.limits, {
    ...{ maxConnections: 5, maxWaiting: 0, maxWaitMs: 5_000 },
  });
  assert.is(settings({ retry: false }).retry.tries, 1);
  assert.is(settings({ retry: true }), defaultPoolSettings);
  const { retry, retryBudget } = settings({ retry: { tries: 10, tryTimeoutMs: 100, totalTimeoutMs: 0, budget: 0 } });
  assert.equal([retry, retryBudget], [{ tries: 10, tryTimeoutMs: 100, totalTimeoutMs: 0 }, 0]);
});

pools('a tag says what is not by default: equal settings have one, and one object, however they are written', () => {
  const one = settings({ health: { path: '/up', intervalMs: 500 }, outlier: { failures: 9, minRequests: 7 } });
  const two = settings({ outlier: { minRequests: 7, failures: 9 }, health: { intervalMs: 500, path: '/up', rise: 2 } });
  assert.is(one, two);
  assert.is(
    one.instance.tag,
    tag({ health: { intervalMs: 500, path: '/up', kind: 'http' }, outlier: { minRequests: 7, failures: 9 } }),
  );
  assert.is(tag({ health: '/up' }), '{"health":{"kind":"http","path":"/up"}}');
  assert.is(tag({ health: { statuses: '304,200-299' } }), tag({ health: { statuses: '200-299,304' } }));
  assert.is(tag({ health: false, outlier: true, breaker: false }), '');
  assert.is(tag({ breaker: true }), tag({ breaker: { ...defaultBreakerSettings } }));
  assert.is(tag({}, 'service'), tag({ health: 'tcp' }), 'a service’s instance is that of a route that is probed alike');
  const balanced = settings({ health: '/up', balance: 'random' });
  assert.is(balanced.instance, settings({ health: { path: '/up' } }).instance);
  assert.is.not(balanced, settings({ health: '/up' }));
});

pools('what differs has another tag', () => {
  const tags = [
    {},
    { health: '/up' },
    { health: '/Up' },
    { health: 'tcp' },
    { health: { path: '/up', host: 'x' } },
    { outlier: false },
    { outlier: { statuses: '5xx' } },
    { outlier: { failures: 6 } },
    { breaker: true },
    { breaker: { failures: 6 } },
    { limits: {} },
    { limits: { maxWaiting: 5 } },
  ].map((options) => tag(options));
  assert.is(new Set(tags).size, tags.length);
});

pools('a thousand kinds of settings and more: none is taken for another', () => {
  for (let rise = 1; rise <= 100; rise++)
    for (let fall = 1; fall <= 30; fall++) {
      const { check } = settings({ health: { rise, fall } }).instance;
      if (check?.rise !== rise || check.fall !== fall) assert.unreachable(`${rise} ${fall}`);
    }
});

pools('what is written like something good, and is not, is refused all the same', () => {
  for (const options of [{ limits: undefined }, { limits: {} }, { balance: 'random' }, { retry: { budget: 0.1 } }])
    assert.equal(compiled('http://a', options).faults, []);
  for (const options of [
    { limits: null },
    { balance: null },
    { retry: { budget: Number.NaN } },
    { limits: { maxWaiting: 5n } },
  ])
    for (let time = 0; time < 2; time++)
      assert.is(compiled('http://a', options).faults.length, 1, Object.keys(options)[0]);
  const round: Record<string, unknown> = {};
  round.policy = round;
  assert.is(compiled('http://a', { balance: round }).faults.length, 1);
});

pools('frozen, all the way down', () => {
  const rollout = { canary: { target: ['http://c'], percent: 5 }, gate: { state: 'paused' } };
  const options = { balance: { policy: 'hash', by: 'header:x' }, health: '/', outlier: { failures: 2 }, rollout };
  const all = spec(['http://a', 'http://b'], { ...options, breaker: {}, limits: {}, retry: { tries: 2 } });
  for (const one of [all, defaultPoolSettings, spec(undefined, {}, 'service')]) frozen(one);
  function frozen(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    assert.ok(Object.isFrozen(value), JSON.stringify(value));
    for (const [key, inner] of Object.entries(value)) if (key !== 'statuses') frozen(inner);
  }
});

for (const [options, expected] of [
  [{ balance: 7 }, "balance: balance is '7'; expected a policy such as least-requests, or a mapping"],
  [{ balance: null }, 'balance: balance is empty; expected a policy such as least-requests, or a mapping'],
  [{ balance: [] }, 'balance: balance is an empty list; expected a policy such as least-requests, or a mapping'],
  [
    { balance: 'fastest' },
    "balance: balance is 'fastest'; expected power-of-two, least-requests, round-robin, random or hash, or a mapping",
  ],
  [
    { balance: { policy: 'fastest' } },
    "balance: balance.policy is 'fastest'; expected power-of-two, least-requests, round-robin, random or hash",
  ],
  [
    { balance: { polciy: 'hash' } },
    "balance: unknown field 'balance.polciy'; expected one of policy, by, sticky, slowStartMs, minAvailable, panicThreshold, boundedLoad",
  ],
  [
    { balance: JSON.parse('{"__proto__":{"policy":"hash"}}') },
    "balance: unknown field 'balance.__proto__'; expected one of policy, by, sticky, slowStartMs, minAvailable, panicThreshold, boundedLoad",
  ],
  [
    { balance: { policy: 'hash', by: 'user' } },
    "balance: balance.by is 'user'; expected ip, header:NAME or cookie:NAME",
  ],
  [
    { balance: { policy: 'hash', by: 'header:a b' } },
    "balance: balance.by is 'header:a b'; expected ip, header:NAME or cookie:NAME",
  ],
  [{ balance: { policy: 'hash', by: 7 } }, "balance: balance.by is '7'; expected a text"],
  [
    { balance: { by: 'cookie:x' } },
    'balance: balance.by is for the policy hash; expected balance.policy hash, or no balance.by',
  ],
  [
    { balance: { boundedLoad: 2 } },
    'balance: balance.boundedLoad is for the policy hash; expected balance.policy hash, or no balance.boundedLoad',
  ],
  [
    { balance: { policy: 'hash', boundedLoad: 1 } },
    "balance: balance.boundedLoad is '1'; expected 0, or a number from 1.01 to 100",
  ],
  [{ balance: { sticky: 'a b' } }, "balance: balance.sticky is 'a b'; expected true, false or a cookie's name"],
  [{ balance: { sticky: '' } }, "balance: balance.sticky is empty; expected true, false or a cookie's name"],
  [
    { balance: { slowStartMs: 3_600_001 } },
    "balance: balance.slowStartMs is '3600001'; expected whole milliseconds from 0 to 3600000",
  ],
  [{ balance: { minAvailable: 1.1 } }, "balance: balance.minAvailable is '1.1'; expected a number from 0 to 1"],
  [{ balance: { panicThreshold: 'x' } }, "balance: balance.panicThreshold is 'x'; expected a number from 0 to 1"],
  [
    { balance: { panicThreshold: Number.NaN } },
    "balance: balance.panicThreshold is 'NaN'; expected a number from 0 to 1",
  ],
  [{ health: [] }, 'health: health is an empty list; expected false, a path such as /up, tcp, grpc, or a mapping'],
  [{ health: true }, "health: health is 'true'; expected false, a path such as /up, tcp, grpc, or a mapping"],
  [{ health: null }, 'health: health is empty; expected false, a path such as /up, tcp, grpc, or a mapping'],
  [{ health: 'up' }, "health: health is 'up'; expected false, a path such as /up, tcp, grpc, or a mapping"],
  [{ health: { kind: 'udp' } }, "health: health.kind is 'udp'; expected http, tcp or grpc"],
  [{ health: { path: 7 } }, "health: health.path is '7'; expected a text"],
  [{ health: { path: 'up' } }, "health: health.path is 'up'; expected '/' and visible ASCII, up to 1024 characters"],
  [{ health: { intervalMs: 99 } }, "health: health.intervalMs is '99'; expected from 100 ms to a day"],
  [{ health: { intervalMs: '5s' } }, "health: health.intervalMs is '5s'; expected a number"],
  [{ health: { timeoutMs: 0 } }, "health: health.timeoutMs is '0'; expected from 10 ms to 5 minutes"],
  [{ health: { statuses: 200 } }, "health: health.statuses is '200'; expected statuses such as 200-299,304"],
  [{ health: { statuses: '299-200' } }, "health: health.statuses is '299-200'; expected statuses such as 200-299,304"],
  [{ health: { statuses: '2xx' } }, "health: health.statuses is '2xx'; expected statuses such as 200-299,304"],
  [
    { health: { method: 'HEAD', bodyContains: 'x' } },
    "health: health.bodyContains is 'x'; expected up to 1024 characters; needs GET",
  ],
  [{ outlier: 'no' }, "outlier: outlier is 'no'; expected true, false, or a mapping"],
  [{ outlier: { statuses: '4xx' } }, "outlier: outlier.statuses is '4xx'; expected none, gateway or 5xx"],
  [{ outlier: { failures: 0 } }, "outlier: outlier.failures is '0'; expected a whole number from 1 to 1000000"],
  [{ outlier: { maxEjectedShare: 2 } }, "outlier: outlier.maxEjectedShare is '2'; expected a number from 0 to 1"],
  [{ outlier: { windowMs: 0 } }, "outlier: outlier.windowMs is '0'; expected whole milliseconds from 100 to 3600000"],
  [
    { outlier: { longestEjectionMs: 2 ** 31 } },
    "outlier: outlier.longestEjectionMs is '2147483648'; expected whole milliseconds from 1 to 86400000",
  ],
  [{ breaker: 'yes' }, "breaker: breaker is 'yes'; expected true, false, or a mapping"],
  [{ breaker: { probes: 0 } }, "breaker: breaker.probes is '0'; expected a whole number from 1 to 1000000"],
  [{ limits: true }, "limits: limits is 'true'; expected a mapping with maxConnections, maxWaiting, maxWaitMs"],
  [
    { limits: { maxConnections: 0 } },
    "limits: limits.maxConnections is '0'; expected a whole number from 1 to 1000000",
  ],
  [
    { limits: { maxConnection: 1 } },
    "limits: unknown field 'limits.maxConnection'; expected one of maxConnections, maxWaiting, maxWaitMs",
  ],
  [{ retry: 3 }, "retry: retry is '3'; expected true, false, or a mapping"],
  [{ retry: { tries: 11 } }, "retry: retry.tries is '11'; expected a whole number from 1 to 10"],
  [{ retry: { tries: 0 } }, "retry: retry.tries is '0'; expected a whole number from 1 to 10"],
  [{ retry: { budget: 1.5 } }, "retry: retry.budget is '1.5'; expected a number from 0 to 1"],
  [{ rollout: 'paused' }, "rollout: rollout is 'paused'; expected a mapping with gate, canary, previous"],
  [{ rollout: { gates: 1 } }, "rollout: unknown field 'rollout.gates'; expected one of gate, canary, previous"],
  [{ rollout: { gate: null } }, 'rollout: rollout.gate is empty; expected a mapping with state'],
  [{ rollout: { gate: {} } }, 'rollout: rollout.gate.state is missing; expected open, paused or stopped'],
  [{ rollout: { gate: { state: 'shut' } } }, "rollout: rollout.gate.state is 'shut'; expected open, paused or stopped"],
  [
    { rollout: { gate: { state: 'paused', maxWaitMs: 0 } } },
    "rollout: rollout.gate.maxWaitMs is '0'; expected from 1 ms to 10 minutes",
  ],
  [{ rollout: { gate: { state: 'stopped', message: 7 } } }, "rollout: rollout.gate.message is '7'; expected a text"],
  [
    { rollout: { canary: { percent: 5 } } },
    'rollout: rollout.canary.target is missing; expected such as http://10.0.0.2:3000',
  ],
  [
    { rollout: { canary: { target: 'http://c', percent: 101 } } },
    "rollout: rollout.canary.percent is '101'; expected a number from 0 to 100",
  ],
  [
    { rollout: { canary: { target: 'http://c', header: '=x' } } },
    "rollout: rollout.canary.header is '=x'; expected name=value, or name",
  ],
  [
    { rollout: { canary: { target: 'ftp://c' } } },
    "rollout: rollout.canary.target: target 'ftp://c' has the unknown scheme 'ftp'; expected http://, https:// or h2c://",
  ],
  [
    { rollout: { previous: [null] } },
    'rollout: rollout.previous: target[0] is empty; expected an address, or a mapping with url, weight and priority',
  ],
] as [PoolOptions, string][]) {
  pools(`refused: ${JSON.stringify(options)}`, () => assert.equal(compiled('http://a', options).faults, [expected]));
}

pools('whatever the shape, it never throws, and what is said is one short line', () => {
  const values = [
    null,
    0,
    -1,
    Number.POSITIVE_INFINITY,
    '',
    'x'.repeat(9_999),
    '\n\u001b',
    true,
    [],
    [[]],
    [null],
    {},
    { x: { x: [] } },
    () => {},
    Symbol('s'),
    5n,
  ];
  const inner =
    'policy by sticky slowStartMs kind path statuses rise failures windowMs probes maxWaiting tries budget gate canary previous'.split(
      ' ',
    );
  let faults = 0;
  for (const field of ['balance', 'health', 'outlier', 'breaker', 'limits', 'retry', 'rollout'])
    for (const value of values)
      for (const one of [value, ...inner.map((name) => ({ [name]: value }))]) {
        const found = compiled(value, { [field]: one }).faults;
        faults += found.length;
        for (const fault of found) if (fault.length > 400 || /\p{C}/u.test(fault)) assert.unreachable(fault);
      }
  assert.ok(faults > 1_000);
});

pools('a rollout: gate with its defaults, canary by percent and header, previous proven', () => {
  const { gate, canary } = spec('http://a', {
    rollout: {
      gate: { state: 'stopped', message: 'Back at nine.' },
      canary: { target: [{ url: 'http://c', weight: 2 }], percent: 0.5, header: 'X-Beta=yes=1' },
      previous: 'http://b',
    },
  });
  assert.equal(gate, { ...openGate, state: 'stopped', message: 'Back at nine.' });
  assert.equal(
    [canary?.percent, canary?.headerName, canary?.headerValue, canary?.targets[0].weight],
    [0.5, 'x-beta', 'yes=1', 2],
  );
  const any = spec('http://a', { rollout: { canary: { target: 'http://c', header: 'x-beta' } } }).canary;
  assert.equal([any?.percent, any?.headerName, any?.headerValue], [0, 'x-beta', '']);
  assert.is(spec('http://a', { rollout: { gate: { state: 'open' } } }).gate, null);
  assert.equal(spec('http://a', { rollout: {} }), spec('http://a'));
  assert.is(spec('http://a', { rollout: { previous: 'service://a' } }).settings, defaultPoolSettings);
});

pools('instance keys: how it is reached, which of its addresses, how it is watched', () => {
  const plain = defaultPoolSettings.instance;
  const key = (url: string, skip = false, settings = plain, address = '') =>
    instanceKey(parseTarget(url) as Target, skip, settings, address);
  assert.is(key('http://a:80/base'), 'http://a');
  assert.is(key('https://a', true), 'https+insecure://a');
  assert.is(key('h2c://a:81', true), 'h2c://a:81');
  assert.is(key('http://a:1', false, plain, '10.0.0.1'), 'http://a:1@10.0.0.1');
  assert.is(key('http://a', false, settings({ outlier: false }).instance), 'http://a {"outlier":false}');
});

pools.run();
