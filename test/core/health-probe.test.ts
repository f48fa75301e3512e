import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultHealthCheck, type HealthCheck } from '../../src/core/health-check.ts';
import { judgeProbe, noAnswer, type ProbeResult } from '../../src/core/health-probe.ts';

const probe = suite('health probe');
const tcp = defaultHealthCheck;
const http: HealthCheck = { ...tcp, kind: 'http', path: '/up', bodyContains: 'fine' };
const grpc: HealthCheck = { ...tcp, kind: 'grpc', grpcService: 'shop' };
const page = { status: 200, body: 'all fine' };
const served = { status: 200, grpcStatus: 0, serving: 1 };

const cases: [check: HealthCheck, result: Partial<ProbeResult>, reason: RegExp | ''][] = [
  [tcp, {}, ''],
  [tcp, { error: 'refused' }, /^no connection$/],
  [tcp, { error: 'refused', detail: 'ECONNREFUSED' }, /no connection: ECONNREFUSED/],
  [tcp, { error: 'unresolved' }, /does not resolve/],
  [tcp, { error: 'timeout' }, /no answer in time \(3000 ms\)/],
  [tcp, { tookMs: 3_001 }, /no answer in time/],
  [tcp, { error: 'tls', detail: 'expired' }, /TLS handshake failed: expired/],
  [http, page, ''],
  [http, { ...page, status: 302 }, ''],
  [http, { ...page, status: 503 }, /\/up answered 503, expected 200-399/],
  [http, { ...page, status: 0 }, /answered 0/],
  [{ ...http, statuses: [[204, 204]] }, page, /expected 204$/],
  [http, { status: 200, body: 'broken' }, /without 'fine' in its body/],
  [http, { status: 200, body: `${'x'.repeat(65_536)}fine` }, /without 'fine'/],
  [grpc, served, ''],
  [grpc, { ...served, status: 404 }, /answered 404 by HTTP/],
  [grpc, { ...served, serving: 2 }, /says NOT_SERVING/],
  [grpc, { ...served, serving: -1 }, /nothing that can be read/],
  [grpc, { ...served, grpcStatus: 12 }, /not implemented/],
  [grpc, { ...served, grpcStatus: 5 }, /no such service/],
  [grpc, { ...served, grpcStatus: 14 }, /ended with 14/],
  [grpc, { ...served, grpcStatus: -1 }, /no grpc-status/],
];
for (const [check, result, reason] of cases) {
  probe(`${check.kind} ${JSON.stringify(result).slice(0, 60)}: ${reason === '' ? 'passes' : reason}`, () => {
    const verdict = judgeProbe(check, { ...noAnswer, ...result });
    assert.is(verdict.passed, reason === '');
    assert.is(verdict.slow, false);
    if (reason === '') assert.is(verdict.reason, '');
    else assert.match(verdict.reason, reason);
  });
}

probe('over a second is slow, but passes', () => {
  assert.is(judgeProbe(tcp, { ...noAnswer, tookMs: 1_000 }).slow, false);
  const verdict = judgeProbe(tcp, { ...noAnswer, tookMs: 1_204.3 });
  assert.equal(verdict, { passed: true, slow: true, reason: 'answered in 1204 ms, over 1000 ms' });
});

probe('what the system says is one line of visible characters', () => {
  const { reason } = judgeProbe(tcp, { ...noAnswer, error: 'tls', detail: `a\r\n\u001b[31mb${'x'.repeat(500)}` });
  assert.is(/\p{Cc}/u.test(reason), false);
  assert.ok(reason.length < 300);
});

probe.run();
