import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { chooseRenewal, longestWait, nextWindowQuestion, plannedRenewal, settledAt } from '../../src/certs/renewal.ts';
import type { CertificateState } from '../../src/certs/types.ts';
import { fakeCertificate } from '../helpers/fake-issuer.ts';

const renewal = suite('renewal');
const second = 1_000;
const minute = 60 * second;
const day = 1440 * minute;

const lifetimes = { '90 days': 90 * day, '45 days': 45 * day, '6 days': 6.67 * day, '60 seconds': minute };
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const lived = fc
  .record({ notBefore: fc.integer({ min: 0, max: 2e12 }), lifetime: fc.integer({ min: second, max: 3650 * day }) })
  .map(({ notBefore, lifetime }) => ({ notBefore, notAfter: notBefore + lifetime, lifetime }));

for (const [name, lifetime] of Object.entries(lifetimes)) {
  renewal(`${name}: due with a third of it left, at random a little earlier`, () => {
    const certificate = { notBefore: 0, notAfter: lifetime };
    const left = (random: number) => (lifetime - chooseRenewal(certificate, undefined, random)) / lifetime;
    assert.ok(Math.abs(left(0) - 1 / 3) < 1e-9);
    assert.ok(left(0.5) > left(0) && left(0.999) > left(0.5) && left(0.999) < 0.42);
  });
}

renewal('in the CA’s window, uniformly', () => {
  const certificate = { notBefore: 0, notAfter: 90 * day };
  const window = { start: 60 * day, end: 62 * day };
  for (const random of [0, 0.25, 0.5, 0.99])
    assert.is(chooseRenewal(certificate, window, random), (60 + 2 * random) * day);
});

renewal('a window that is past means now: the time chosen is past', () => {
  const certificate = { notBefore: 10 * day, notAfter: 100 * day };
  assert.ok(chooseRenewal(certificate, { start: 11 * day, end: 12 * day }, 0.5) < 13 * day);
});

renewal('a window that ends before it starts is its start', () => {
  assert.is(chooseRenewal({ notBefore: 0, notAfter: 90 * day }, { start: 50 * day, end: 40 * day }, 0.9), 50 * day);
});

renewal('expiry overrides the window', () => {
  const certificate = { notBefore: 0, notAfter: 90 * day };
  for (const random of [0, 0.5, 0.999]) {
    const at = chooseRenewal(certificate, { start: 89 * day, end: 200 * day }, random);
    assert.ok(at <= 81 * day && at > 71 * day, String(at / day));
  }
});

renewal('property: always a time in the life of the certificate that leaves a tenth of it at least', () => {
  const window = fc.option(
    fc.record({ start: fc.integer({ min: -1e13, max: 1e13 }), end: fc.integer({ min: -1e13, max: 1e13 }) }),
    {
      nil: undefined,
    },
  );
  fc.assert(
    fc.property(lived, window, share, (certificate, said, random) => {
      const at = chooseRenewal(certificate, said, random);
      assert.ok(Number.isFinite(at));
      assert.ok(at <= certificate.notAfter - certificate.lifetime / 10 + 1, 'in time');
      if (said === undefined) assert.ok(at >= certificate.notBefore + certificate.lifetime / 2, 'not for nothing');
    }),
  );
});

renewal('property: a certificate is not taken for old as soon as it has come, whatever the window', () => {
  fc.assert(
    fc.property(lived, fc.integer({ min: 0, max: 100 }), (certificate, percent) => {
      const had = certificate.notBefore + (certificate.lifetime * percent) / 200;
      assert.ok(settledAt(certificate, had) > had);
      assert.ok(settledAt(certificate, had) <= had + certificate.lifetime / 10);
    }),
  );
});

renewal(
  'property: how long to wait until the next look: often enough for the shortest life, and for a clock that is put right',
  () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3650 * day }), (lifetime) => {
        const wait = longestWait(lifetime);
        assert.ok(wait >= second && wait <= 5 * minute);
        if (lifetime >= 30 * second) assert.ok(wait <= lifetime / 6);
      }),
    );
    assert.is(longestWait(Number.POSITIVE_INFINITY), 5 * minute);
    assert.is(longestWait(minute), 3 * second);
  },
);

renewal('the window is asked for as the CA wishes, from once a minute to once a day', () => {
  const ninety = { notBefore: 0, notAfter: 90 * day };
  assert.is(nextWindowQuestion(ninety, 6 * 60 * minute, 0), 6 * 60 * minute);
  assert.is(nextWindowQuestion(ninety, 0, 0), minute);
  assert.is(nextWindowQuestion(ninety, 100 * day, 0), day);
  assert.is(nextWindowQuestion({ notBefore: 0, notAfter: 2 * 60 * minute }, day, 0), 20 * minute);
});

renewal('what is planned counts for the very certificate only', () => {
  const certificate = fakeCertificate({ id: 'a', serial: '5' });
  const state = { renewAt: 7, renewSerial: '5' } as CertificateState;
  assert.is(plannedRenewal(certificate, state), 7);
  assert.is(plannedRenewal(certificate, { ...state, renewSerial: '4' }), undefined);
  assert.is(plannedRenewal(certificate, { ...state, renewAt: 0 }), undefined);
  assert.is(plannedRenewal(certificate, undefined), undefined);
});

renewal.run();
