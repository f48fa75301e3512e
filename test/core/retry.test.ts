import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Attempt, isIdempotent, maxAttempts, mayRetry } from '../../src/core/retry.ts';

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

retry.run();
