import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isForAll, nextAttempt } from '../../src/certs/backoff.ts';
import type { IssueFailure } from '../../src/certs/types.ts';
import { refusal } from '../helpers/fake-issuer.ts';

const backoff = suite('backoff');
const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const now = Date.UTC(2026, 10, 23);

const failure = (over: Partial<IssueFailure> = {}) => refusal(over).failure;
const wait = (failures: number, over: Partial<IssueFailure> = {}, random = 0, notAfter?: number, lifetime = 90 * day) =>
  nextAttempt(
    failures,
    failure(over),
    notAfter === undefined ? undefined : { notBefore: notAfter - lifetime, notAfter },
    now,
    random,
  ) - now;

backoff('a minute, then three times as long each, up to a day', () => {
  assert.equal(
    [1, 2, 3, 4, 5, 6].map((failures) => wait(failures) / minute),
    [1, 3, 9, 27, 81, 243],
  );
  assert.ok(wait(50, {}, 0.999) <= day && wait(50) >= 0.75 * day);
  assert.ok(wait(1000) <= day);
});

backoff('up to a quarter more, at random', () => {
  assert.is(wait(1, {}, 0.5), 1.125 * minute);
  assert.ok(wait(3, {}, 0.999) < 1.25 * 9 * minute);
});

backoff('where the name is not at fault, a quarter of an hour at most', () => {
  for (const step of ['lease', 'directory', 'store'] as const)
    assert.ok(wait(20, { step }, 0.999) <= 15 * minute, step);
  // The CA was not reached, though its directory was known from before.
  for (const step of ['account', 'order'] as const)
    assert.ok(wait(20, { step, problem: '' }, 0.999) <= 15 * minute, step);
  for (const [step, problem] of [
    ['order', 'rejectedIdentifier'],
    ['challenge', ''],
    ['finalize', ''],
  ] as const)
    assert.ok(wait(20, { step, problem }) > 12 * hour, `${step} ${problem}`);
});

backoff('the CA’s wish is obeyed, and not by all in the same moment', () => {
  const retryAfter = now + 3 * hour;
  assert.is(wait(1, { retryAfter }), 3 * hour);
  assert.is(wait(1, { retryAfter }, 0.5), 3 * hour + minute / 2);
  assert.ok(wait(1, { retryAfter: now + 1000 }) >= minute, 'it never makes us faster');
  assert.ok(wait(1, { retryAfter: now + 4000 * day }) <= 8 * day + minute, 'nor lets us wait for ever');
});

backoff('the nearer the expiry, the sooner; but at most every quarter of an hour', () => {
  assert.ok(wait(9, {}, 0, now + 6 * hour) <= 2 * hour);
  assert.ok(wait(9, {}, 0.999, now + 30 * minute) <= 15 * minute);
  assert.ok(wait(9, {}, 0, now + 30 * minute) >= 10 * minute);
  assert.is(wait(2, {}, 0, now + 60 * day), 3 * minute, 'far from it, nothing is different');
});

backoff('a 60-second certificate is tried for again within its life, and once it has expired once a minute', () => {
  for (let failures = 1; failures < 30; failures++) {
    assert.ok(wait(failures, {}, 0.999, now + 20_000, minute) <= 6_000);
    const late = wait(failures, {}, 0, now - 1, minute);
    assert.ok(late >= 0.75 * minute && late <= minute, String(late));
  }
});

backoff('property: between a second and a day, or as the CA wishes; ever later', () => {
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const left = fc.option(fc.integer({ min: -100 * day, max: 90 * day }), { nil: undefined });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      share,
      left,
      fc.integer({ min: 0, max: 7 * day }),
      (failures, random, rest, wish) => {
        const notAfter = rest === undefined ? undefined : now + rest;
        const plain = wait(failures, {}, random, notAfter);
        assert.ok(plain >= 1_000 && plain <= day);
        assert.ok(wait(failures + 1, {}, random, notAfter) >= plain);
        assert.ok(wait(failures, { retryAfter: now + wish }, random, notAfter) >= wish);
      },
    ),
  );
});

backoff('which refusals are for every name', () => {
  const limited = (message: string) => failure({ step: 'order', problem: 'rateLimited', message });
  assert.ok(isForAll(limited('too many new orders (300) from this account in the last 3h0m0s')));
  assert.ok(isForAll(failure({ step: 'account', problem: 'rateLimited' })));
  assert.ok(isForAll(failure({ step: 'directory', problem: '' })));
  assert.not(isForAll(limited('too many certificates (5) already issued for this exact set of domains')));
  assert.not(isForAll(limited('too many failed authorizations (5) for "a.example.com" in the last 1h0m0s')));
  assert.not(isForAll(failure()));
});

backoff.run();
