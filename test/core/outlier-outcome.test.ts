import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type FailureCode, failures } from '../../src/core/failure.ts';
import { outcomeOfFailure, outcomeOfStatus } from '../../src/core/outlier-outcome.ts';

const outcomes = suite('outlier outcome');

outcomes('statuses: a page that is broken does not make its instance an outlier, a gateway’s failure does', () => {
  for (const status of [101, 200, 304, 404, 429, 499, 500, 501, 505]) assert.is(outcomeOfStatus(status), 'ok');
  for (const status of [502, 503, 504]) assert.is(outcomeOfStatus(status), 'failed');
  assert.is(outcomeOfStatus(500, '5xx'), 'failed');
  assert.is(outcomeOfStatus(499, '5xx'), 'ok');
  assert.is(outcomeOfStatus(503, 'none'), 'ok');
});

outcomes('a client that left never dents health, whatever happened', () => {
  for (const code of Object.keys(failures)) {
    assert.is(outcomeOfFailure(code as FailureCode, true, false), 'ignored');
  }
});

outcomes('only what the instance did counts', () => {
  const counted: Partial<Record<FailureCode, string>> = {
    OO_CONNECT_FAILED: 'unreachable',
    OO_CONNECT_TIMEOUT: 'unreachable',
    OO_UPSTREAM_CLOSED: 'failed',
    OO_UPSTREAM_TIMEOUT: 'failed',
    OO_BAD_RESPONSE: 'failed',
  };
  for (const code of Object.keys(failures) as FailureCode[])
    assert.is(outcomeOfFailure(code, false, false), counted[code] ?? 'ignored', code);
});

outcomes('an idle connection that was closed under a request is ordinary', () => {
  assert.is(outcomeOfFailure('OO_UPSTREAM_CLOSED', false, true), 'ignored');
  assert.is(outcomeOfFailure('OO_UPSTREAM_TIMEOUT', false, true), 'failed');
});

outcomes.run();
