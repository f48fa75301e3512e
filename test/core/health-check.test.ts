import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck, type HealthCheck, healthCheckFaults, healthKey } from '../../src/core/health-check.ts';

const checks = suite('health check');
const http: HealthCheck = { ...defaultHealthCheck, kind: 'http', path: '/up' };

checks('the default can be used', () => assert.equal(healthCheckFaults(defaultHealthCheck), []));

const wrong: [field: keyof HealthCheck, change: Partial<HealthCheck>][] = [
  ['path', { path: 'up' }],
  ['path', { path: '/up\r\nX: y' }],
  ['path', { path: '/a b' }],
  ['host', { host: 'a\r\nb' }],
  ['port', { port: 65_536 }],
  ['statuses', { statuses: [] }],
  ['statuses', { statuses: [[300, 200]] }],
  ['statuses', { statuses: [[99, 200]] }],
  ['bodyContains', { method: 'HEAD', bodyContains: 'ok' }],
  ['intervalMs', { intervalMs: 99 }],
  ['timeoutMs', { timeoutMs: 0 }],
  ['timeoutMs', { timeoutMs: Number.NaN }],
  ['rise', { rise: 0 }],
  ['fall', { fall: 1.5 }],
  ['degradedMs', { degradedMs: 0 }],
];
for (const [field, change] of wrong) {
  checks(`refuses ${JSON.stringify(change)}, naming the field`, () => {
    assert.equal(
      healthCheckFaults({ ...http, ...change }).map((fault) => fault.field),
      [field],
    );
  });
}

checks('results belong to the address and all that is asked', () => {
  const key = healthKey('http://a:1', http);
  assert.is(healthKey('http://a:1', { ...http }), key);
  assert.is.not(healthKey('http://b:1', http), key);
  const changes: Partial<HealthCheck>[] = [
    ...[{ path: '/x' }, { method: 'HEAD' as const }, { host: 'h' }, { port: 9 }, { bodyContains: 'x' }],
    ...[{ statuses: [[200, 200]] as const }, { intervalMs: 1_000 }, { timeoutMs: 1_000 }, { rise: 9 }, { fall: 9 }],
    ...[{ degradedMs: 9 }, { kind: 'tcp' as const }, { kind: 'grpc' as const }],
  ];
  for (const change of changes)
    assert.is.not(healthKey('http://a:1', { ...http, ...change }), key, JSON.stringify(change));
});

checks('what its kind does not ask for makes no other check', () => {
  const tcp: HealthCheck = { ...http, kind: 'tcp' };
  assert.is(healthKey('a', tcp), healthKey('a', { ...tcp, path: '/other' }));
});

checks.run();
