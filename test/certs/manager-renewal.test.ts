import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Certificate, RenewalWindow } from '../../src/certs/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { fakeCertificate, fakeIssuer, refusal } from '../helpers/fake-issuer.ts';
import { manage } from '../helpers/manage.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';

const renewal = suite('certificate manager: renewal');
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

for (const [name, lifetimeMs, runMs] of [
  ['45 days', 45 * day, 32 * day],
  ['6 days', 160 * hour, 112 * hour],
] as const)
  renewal(`a certificate of ${name} is renewed once in two thirds of its life, not before a half of it`, async () => {
    const clock = fakeClock();
    const ca = fakeIssuer(undefined, { lifetimeMs });
    const { it, published } = await manage({ clock, ca, routes: ['a.example.com'] });
    await clock.advance(lifetimeMs / 2);
    assert.is(ca.orders.length, 1);
    const { key } = published.get('a.example.com')!;
    await clock.advance(runMs - lifetimeMs / 2);
    assert.is(ca.orders.length, 2);
    assert.is.not(published.get('a.example.com')?.key, key);
    await it.stop();
  });

renewal(
  '60-second certificates: valid at every moment of two hours, though one order in five fails and each takes 3 seconds',
  async () => {
    const clock = fakeClock();
    const ca = fakeIssuer(undefined, { lifetimeMs: minute });
    let count = 0;
    ca.onIssue = async () => {
      await new Promise<void>((resolve) => clock.after(3 * second, resolve));
      count += 1;
      if (count % 5 === 0) throw refusal();
    };
    const { it, store, published } = await manage({ clock, ca, routes: ['a.example.com', 'b.example.com'] });
    await clock.advance(5 * second);
    for (let i = 0; i < (2 * hour) / (5 * second); i++) {
      for (const id of ['a.example.com', 'b.example.com']) {
        const stored = store.certificates.get(id)!;
        assert.ok(stored.notAfter > clock.now(), `${id} expired after ${i * 5} seconds`);
        assert.is(published.get(id)?.key, stored.key);
      }
      await clock.advance(5 * second);
    }
    assert.ok(ca.orders.length > 300 && ca.orders.length < 700, String(ca.orders.length));
    await it.stop();
  },
);

renewal('a thousand that came together are not renewed together', async () => {
  const clock = fakeClock();
  const now = clock.now();
  const routes = Array.from({ length: 1000 }, (_, i) => `h${i}.example.com`);
  const store = memoryCertificateStore(...routes.map((id) => fakeCertificate({ id, now })));
  const { it } = await manage({ clock, store, routes });
  const times = it.list().map(({ renewAt }) => renewAt);
  assert.ok(Math.max(...times) - Math.min(...times) > 5 * day);
  assert.ok(new Set(times).size > 990);
  await it.stop();
});

renewal('the time chosen outlives a restart', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  const one = await manage({ clock, store, routes: ['a.example.com'] });
  await one.it.settled();
  const { renewAt } = one.it.status('a.example.com')!;
  await one.it.stop();
  const two = await manage({ clock, store, seed: 77, routes: ['a.example.com'] });
  assert.is(two.it.status('a.example.com')?.renewAt, renewAt);
  await two.it.stop();
});

renewal('a machine that slept through renewal renews when it wakes', async () => {
  const clock = fakeClock();
  const { it, ca } = await manage({ clock, routes: ['a.example.com'] });
  await it.settled();
  clock.jump(70 * day);
  await clock.advance(5 * minute);
  assert.is(ca.orders.length, 2);
  await it.stop();
});

/** A CA that says windows. */
function withWindows(answer: (certificate: Certificate, now: number) => RenewalWindow | undefined) {
  const ca = fakeIssuer();
  const asked: number[] = [];
  ca.renewalWindow = async (certificate, now) => {
    asked.push(now);
    return answer(certificate, now);
  };
  return { ca, asked };
}

const windowOf = (start: number, end: number, askAgainAt: number): RenewalWindow => ({
  start,
  end,
  askAgainAt,
  explanationUrl: 'https://ca.example/why',
});

renewal('the CA’s window decides, is asked for as the CA wishes, and kept', async () => {
  const clock = fakeClock();
  const start = clock.now();
  const { ca, asked } = withWindows(({ notBefore }, now) =>
    windowOf(notBefore + 10 * day, notBefore + 11 * day, now + 6 * hour),
  );
  const store = memoryCertificateStore();
  const { it } = await manage({ clock, ca, store, routes: ['a.example.com'] });
  await it.settled();
  await clock.advance(minute);
  const { renewAt, window } = it.status('a.example.com')!;
  assert.ok(renewAt >= start + 10 * day && renewAt < start + 11 * day);
  assert.is(window?.explanationUrl, 'https://ca.example/why');
  await clock.advance(day);
  assert.is(asked.length, 5);
  assert.is(it.status('a.example.com')?.renewAt, renewAt, 'the same window, the same choice');
  assert.is(store.statesById.get('a.example.com')?.windowEnd, start + 11 * day);
  await clock.advance(8.9 * day);
  assert.is(ca.orders.length, 1);
  await clock.advance(1.2 * day);
  assert.is(ca.orders.length, 2);
  assert.is(ca.orders[1].replaces?.id, 'a.example.com');
  await it.stop();
});

renewal('a CA that revokes moves its window to the past: renewed at the next question', async () => {
  const clock = fakeClock();
  const start = clock.now();
  let revoked = false;
  const { ca } = withWindows((certificate, now) =>
    revoked && certificate.notBefore === start
      ? windowOf(now - day, now - hour, now + 6 * hour)
      : windowOf(certificate.notBefore + 60 * day, certificate.notBefore + 61 * day, now + 6 * hour),
  );
  const { it } = await manage({ clock, ca, routes: ['a.example.com'] });
  await clock.advance(10 * day);
  assert.is(ca.orders.length, 1);
  revoked = true;
  await clock.advance(6.1 * hour);
  assert.is(ca.orders.length, 2);
  await clock.advance(10 * day);
  assert.is(ca.orders.length, 2);
  await it.stop();
});

renewal('a CA whose window is always past can’t make us order in a row', async () => {
  const clock = fakeClock();
  const { ca } = withWindows((_, now) => windowOf(now - 2 * day, now - day, now + hour));
  const { it } = await manage({ clock, ca, routes: ['a.example.com'] });
  await clock.advance(2 * day);
  assert.ok(ca.orders.length > 2 && ca.orders.length <= 9, String(ca.orders.length));
  await it.stop();
});

renewal(
  'a CA that has no windows is asked once a day; one that fails, every six hours; the lifetime decides',
  async () => {
    const clock = fakeClock();
    const { ca, asked } = withWindows(() => undefined);
    const { it, lines } = await manage({ clock, ca, routes: ['a.example.com'] });
    await clock.advance(2.5 * day);
    assert.is(asked.length, 3);
    ca.renewalWindow = async (_, now) => {
      asked.push(now);
      throw refusal({ step: 'directory', message: 'no answer' });
    };
    await clock.advance(day);
    assert.is(asked.length, 3 + 3);
    assert.ok(lines.some((line) => line.includes('could not say when to renew: no answer; the lifetime decides')));
    await clock.advance(57 * day);
    assert.is(ca.orders.length, 2);
    await it.stop();
  },
);

renewal('a certificate that another CA gave asks that CA, not the first', async () => {
  const clock = fakeClock();
  const main = withWindows(() => undefined);
  const other = withWindows(() => undefined);
  const issuers = [main.ca, { ...other.ca, directory: 'https://other.example/' }];
  const store = memoryCertificateStore(
    fakeCertificate({ id: 'a.example.com', now: clock.now(), directory: 'https://other.example/' }),
  );
  const { it } = await manage({ clock, store, issuers, routes: ['a.example.com'] });
  await clock.advance(hour);
  assert.equal([main.asked.length, other.asked.length], [0, 1]);
  await it.stop();
});

renewal.run();
