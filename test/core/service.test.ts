import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck } from '../../src/core/health-check.ts';
import type { ServiceOptions } from '../../src/core/pool-types.ts';
import { compileService, serviceFaults } from '../../src/core/service.ts';

const service = suite('core: services');
const members = [
  { url: 'http://10.0.0.1:80', weight: 2, priority: 0 },
  { url: 'https://10.0.0.2:443/base', weight: 1, priority: 1 },
];

service('the members that registered, in a pool with the service’s name, probed by default', () => {
  const { id, prefix, pool, forward } = compileService({ slug: 'user-svc', options: {}, members });
  assert.equal([id, prefix, pool.name, pool.service], ['service user-svc', '/user-svc', 'service user-svc', '']);
  assert.equal(
    pool.targets.map(({ target, weight, priority }) => [target.href, weight, priority]),
    [
      ['http://10.0.0.1:80', 2, 0],
      ['https://10.0.0.2:443/base', 1, 1],
    ],
  );
  assert.equal(pool.settings.instance.check, defaultHealthCheck);
  assert.is(forward.route.pool, pool);
});

service('one that nobody has registered with has no targets', () => {
  assert.equal(compileService({ slug: 'a', options: {}, members: [] }).pool.targets, []);
});

service('targets of its own: those that register are not used', () => {
  const options: ServiceOptions = { target: ['http://a', { url: 'http://b', weight: 5 }] };
  const { pool } = compileService({ slug: 'a', options, members });
  assert.equal(
    pool.targets.map(({ target, weight }) => [target.href, weight]),
    [
      ['http://a:80', 1],
      ['http://b:80', 5],
    ],
  );
});

service('options of the pool and of forwarding; all of it frozen', () => {
  const rollout = { gate: { state: 'stopped' as const }, canary: { target: 'http://c', percent: 5 } };
  const options: ServiceOptions = { balance: 'random', hostHeader: 'upstream', responseTimeoutMs: 5, rollout };
  const compiled = compileService({ slug: 'a', options, members });
  const { route, pool } = compiled;
  assert.equal([route.hostHeader, route.responseTimeoutMs], ['upstream', 5]);
  assert.equal([pool.settings.balancing.policy, pool.gate?.state, pool.canary?.percent], ['random', 'stopped', 5]);
  for (const one of [compiled, route, pool, pool.targets, pool.targets[0], compiled.forward])
    assert.ok(Object.isFrozen(one));
});

service('services with equal options share their settings', () => {
  const [one, two] = ['a', 'b'].map((slug) => compileService({ slug, options: {}, members }).pool.settings);
  assert.is(one, two);
});

service('every fault, under the service’s name; compiling refuses what they refuse', () => {
  const options = { balance: 'fastest', hostHeader: 'mine', target: 'service://b' } as unknown as ServiceOptions;
  const faults = serviceFaults('a', options);
  assert.equal(
    faults.map(({ id, field }) => [id, field]),
    [
      ['a', 'hostHeader'],
      ['a', 'target'],
      ['a', 'balance'],
    ],
  );
  assert.throws(() => compileService({ slug: 'a', options, members }), /^hostHeader is 'mine'|balance is 'fastest'/);
  assert.equal(serviceFaults('a', {}), []);
});

service('whatever the options are, finding their faults does not throw', () => {
  const fields = [
    'target',
    'balance',
    'health',
    'limits',
    'rollout',
    'maxBodyBytes',
    'insecureSkipVerify',
    'hostHeader',
  ];
  for (const value of [null, 7, [], {}, [null], 'x', true, Symbol('s'), { toString: 5 }, [{ toString: 5 }]])
    for (const field of fields) serviceFaults('a', { [field]: value } as ServiceOptions);
  assert.is(serviceFaults('a', { insecureSkipVerify: 7, target: null } as unknown as ServiceOptions).length, 2);
});

service.run();
