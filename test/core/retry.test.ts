import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Attempt,
  decideRetry,
  defaultRetryPolicy,
  isIdempotent,
  isSafeToRepeat,
  maxAttempts,
  mayRetry,
  type RetryPolicy,
  tryDeadline,
} from '../../src/core/retry.ts';

const retry = suite('retry');

const first: Attempt = {
  attempt: 1,
  sentBytes: true,
  reused: true,
  idempotent: true,
  replayable: true,
  responseStarted: false,
};
const never = { idempotent: false, replayable: false, reused: false };

const cases: [name: string, change: Partial<Attempt>, may: boolean][] = [
  ['nothing was sent', { ...never, sentBytes: false }, true],
  ['a reused connection died before any byte of the response', {}, true],
  ['a new connection died', { reused: false }, false],
  ['the method is not idempotent', { idempotent: false }, false],
  ['the body is gone', { replayable: false }, false],
  ['the response has started', { responseStarted: true }, false],
  ['the response has started, whatever else', { responseStarted: true, sentBytes: false }, false],
  ['the second attempt', { attempt: 2 }, true],
  ['the third attempt', { attempt: 3 }, false],
  ['the third attempt, nothing sent', { attempt: 3, sentBytes: false }, false],
];
for (const [name, change, may] of cases) {
  retry(`${name}: ${may ? 'once more' : 'no'}`, () => assert.is(mayRetry({ ...first, ...change }), may));
}

retry('ends after two more attempts', () => {
  let attempt = 1;
  while (mayRetry({ ...first, sentBytes: false, attempt })) attempt++;
  assert.is(attempt, maxAttempts);
  assert.is(maxAttempts, 3);
});

retry('idempotent methods, in their own case only', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) assert.ok(isIdempotent(method));
  for (const method of ['POST', 'PATCH', 'get', 'CONNECT', 'PURGE', '']) assert.not(isIdempotent(method));
});

retry('another instance may get what was sent on a new connection, if it is idempotent and replayable', () => {
  const sent = { ...first, reused: false };
  assert.equal([isSafeToRepeat(sent, false), isSafeToRepeat(sent, true)], [false, true]);
  assert.is(isSafeToRepeat({ ...sent, idempotent: false }, true), false);
  assert.is(isSafeToRepeat({ ...sent, replayable: false }, true), false);
  assert.is(isSafeToRepeat({ ...sent, ...never, sentBytes: false }, true), true);
});

retry('never after a byte of the response, whatever else', () => {
  for (const sentBytes of [false, true])
    for (const reused of [false, true])
      for (const elsewhere of [false, true])
        assert.is(isSafeToRepeat({ ...first, sentBytes, reused, responseStarted: true }, elsewhere), false);
});

const timed: RetryPolicy = { tries: 3, tryTimeoutMs: 1_000, totalTimeoutMs: 2_500 };
/** A budget that counts how often it was asked. */
function budgetOf(left: number) {
  return {
    asked: 0,
    spend(): boolean {
      return this.asked++ < left;
    },
  };
}

const decisions: [
  name: string,
  change: Partial<Attempt>,
  now: number,
  left: boolean,
  budget: number,
  verdict: string,
][] = [
  ['all is well', {}, 100, false, 1, 'retry'],
  ['the client has left', {}, 100, true, 1, 'left'],
  ['not idempotent', { idempotent: false }, 100, false, 1, 'unsafe'],
  ['the response has started', { responseStarted: true }, 100, false, 1, 'unsafe'],
  ['the last try', { attempt: 3 }, 100, false, 1, 'exhausted'],
  ['the total time is over', {}, 2_500, false, 1, 'late'],
  ['no budget', {}, 100, false, 0, 'budget'],
];
for (const [name, change, now, left, allowed, verdict] of decisions) {
  retry(`decides: ${name}: ${verdict}`, () => {
    const budget = budgetOf(allowed);
    assert.is(decideRetry(timed, { ...first, ...change }, true, left, 0, now, budget), verdict);
    assert.is(budget.asked, verdict === 'retry' || verdict === 'budget' ? 1 : 0);
  });
}

retry('one try is no retry', () => {
  assert.is(decideRetry({ ...timed, tries: 1 }, first, true, false, 0, 0, budgetOf(1)), 'exhausted');
});

retry('the deadline of a try is its own or the whole’s, whichever comes first', () => {
  assert.is(tryDeadline(timed, 0, 0), 1_000);
  assert.is(tryDeadline(timed, 0, 2_000), 2_500);
  assert.is(tryDeadline({ ...timed, totalTimeoutMs: 0 }, 0, 2_000), 3_000);
  assert.is(tryDeadline({ ...timed, tryTimeoutMs: 0 }, 100, 2_000), 2_600);
  assert.is(tryDeadline(defaultRetryPolicy, 0, 2_000), Number.POSITIVE_INFINITY);
});

retry.run();
