import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Challenge } from '../../src/certs/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { fakeCertificate, fakeIssuer, refusal } from '../helpers/fake-issuer.ts';
import { type Managed, type ManageOptions, manage, routesOf } from '../helpers/manage.ts';
import { type MemoryCertificateStore, memoryCertificateStore } from '../helpers/memory-certificate-store.ts';

const shared = suite('certificate managers on one store');
const second = 1_000;
const minute = 60 * second;
const day = 1440 * minute;

/** Servers on one store, with one CA that takes a second for each order. */
async function servers(count: number, options: ManageOptions = {}) {
  const clock = options.clock ?? fakeClock();
  const store = options.store ?? memoryCertificateStore();
  const ca = options.ca ?? fakeIssuer();
  ca.onIssue ??= () => new Promise<void>((resolve) => clock.after(second, resolve));
  const settings = { shared: true, ...options.settings };
  const all = await Promise.all(
    Array.from({ length: count }, (_, i) => manage({ ...options, settings, clock, store, ca, seed: i + 1 })),
  );
  const run = async (ms: number) => {
    for (let left = ms; left > 0; left -= second / 2) {
      await clock.advance(second / 2);
      await Promise.all(all.map(({ it }) => it.poll().catch(() => {})));
    }
  };
  return { all, clock, store, ca, run, stop: () => Promise.all(all.map(({ it }) => it.stop())) };
}

const served = ({ published }: Managed) => [...published.values()].map(({ id, key }) => `${id} ${key}`).sort();

shared('one issuance a name, and all serve it', async () => {
  const routes = Array.from({ length: 20 }, (_, i) => `h${i}.example.com`);
  const { all, ca, run, store, stop } = await servers(3, { routes });
  await run(30 * second);
  assert.is(ca.orders.length, 20);
  assert.is(served(all[0]).length, 20);
  assert.equal(served(all[1]), served(all[0]));
  assert.equal(served(all[2]), served(all[0]));
  assert.is(store.leases.size, 0);
  await stop();
});

shared('one renewal, too', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore(fakeCertificate({ id: 'a.example.com', now: clock.now() - 80 * day }));
  const { all, ca, run, stop } = await servers(2, { clock, store, routes: ['a.example.com'] });
  await run(20 * second);
  assert.is(ca.orders.length, 1);
  assert.equal(served(all[0]), served(all[1]));
  await stop();
});

shared('a failure of one is the other’s, too: it does not try at once', async () => {
  const ca = fakeIssuer();
  ca.onIssue = () => {
    throw refusal();
  };
  const { all, run, stop } = await servers(2, { ca, routes: ['a.example.com'] });
  await run(50 * second);
  assert.is(ca.orders.length, 1);
  assert.is(all[0].it.status('a.example.com')?.failures, 1);
  assert.is(all[1].it.status('a.example.com')?.failures, 1);
  await stop();
});

shared(
  'what failed here is over when another server has got the certificate: neither status nor database speaks of it',
  async () => {
    const [clock, store] = [fakeClock(), memoryCertificateStore()];
    const bad = fakeIssuer(undefined, {
      onIssue: () => {
        throw refusal({ at: clock.now() });
      },
    });
    const here = { clock, store, routes: ['a.example.com'], settings: { shared: true } };
    const one = await manage({ ...here, ca: bad });
    await one.it.settled();
    assert.is(one.it.status('a.example.com')?.failures, 1);
    const two = await manage(here);
    await clock.advance(second);
    const renewal = await two.it.renew('a.example.com');
    assert.ok(renewal.kind === 'begun' && 'certificate' in (await renewal.done));
    await one.it.poll();
    const { failures, lastFailure, certificate } = one.it.status('a.example.com')!;
    assert.ok(certificate);
    assert.equal([failures, lastFailure], [0, null]);
    await clock.advance(6 * minute);
    assert.equal(
      (await store.states()).map((state) => [state.failures, state.lastFailure]),
      [[0, null]],
    );
    await Promise.all([one.it.stop(), two.it.stop()]);
  },
);

shared('what one saves or removes, the other serves or does not', async () => {
  const { all, run, clock, stop } = await servers(2);
  const [one, two] = all;
  await one.it.save(fakeCertificate({ id: 'own.example.com', source: 'saved', now: clock.now(), directory: '' }));
  await run(second);
  assert.is(two.published.size, 1);
  assert.equal(
    two.events.map((event) => event.type === 'saved' && event.by),
    ['store'],
  );
  await two.it.remove('own.example.com');
  await run(second);
  assert.is(one.published.size, 0);
  await stop();
});

shared('a store that does not know any more what has changed is read anew', async () => {
  const { all, run, store, clock, stop } = await servers(2);
  const [one, two] = all;
  await one.it.save(fakeCertificate({ id: 'a', source: 'saved', now: clock.now(), directory: '' }));
  await run(second);
  store.forgets = true;
  await one.it.save(fakeCertificate({ id: 'b', source: 'saved', now: clock.now(), directory: '' }));
  store.certificates.delete('a');
  await run(second);
  assert.equal([...two.published.keys()], ['b']);
  await stop();
});

shared('a lost lease: who has lost it stops, the other gets it', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  let aborted = 0;
  ca.onIssue = (_request, { signal }) => {
    if (ca.orders.length > 1) return undefined;
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        aborted += 1;
        reject(new Error('aborted'));
      });
    });
  };
  const { all, store, run, stop } = await servers(2, { clock, ca, routes: ['a.example.com'] });
  await run(2 * second);
  // As if this server had slept, and another had come.
  store.leases.set('certificate a.example.com', { holder: 'a third', until: clock.now() + 5 * minute });
  await run(15 * second);
  assert.is(aborted, 1);
  assert.ok(all.some(({ it }) => /lost its lease/.test(it.status('a.example.com')?.lastFailure?.message ?? '')));
  store.leases.delete('certificate a.example.com');
  await run(2 * minute);
  assert.is(ca.orders.length, 2);
  assert.equal(served(all[0]), served(all[1]));
  await stop();
});

shared('a lease is extended as long as an order takes', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  ca.onIssue = () => new Promise<void>((resolve) => clock.after(5 * minute, resolve));
  const { run, stop } = await servers(2, { clock, ca, routes: ['a.example.com'] });
  await run(6 * minute);
  assert.is(ca.orders.length, 1);
  await stop();
});

shared('a database that is away for less than the lease takes nothing away', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  ca.onIssue = () => new Promise<void>((resolve) => clock.after(minute, resolve));
  const { run, store, all, stop } = await servers(1, { clock, ca, routes: ['a.example.com'] });
  await run(second);
  store.failure = new Error('away');
  await run(15 * second);
  store.failure = undefined;
  await run(minute);
  assert.equal([ca.orders.length, all[0].published.size], [1, 1]);
  await stop();
});

shared('renew on one while the other orders: done by whoever, once', async () => {
  const { all, run, ca, stop } = await servers(2, { routes: ['a.example.com'] });
  await run(second / 2);
  const other = all.find(({ it }) => it.status('a.example.com')?.running === null)!;
  const begun = await other.it.renew('a.example.com');
  await run(10 * second);
  assert.ok(begun.kind === 'begun' && 'certificate' in (await begun.done));
  assert.is(ca.orders.length, 1);
  await stop();
});

shared('a server that is killed in the middle of an order: the other goes on when its lease ends', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  store.leases.set('certificate a.example.com', { holder: 'the dead', until: clock.now() + 30 * second });
  const { all, run, ca, stop } = await servers(2, { clock, store, routes: ['a.example.com'] });
  await run(25 * second);
  assert.is(ca.orders.length, 0);
  await run(15 * second);
  assert.equal([ca.orders.length, all[1].published.size], [1, 1]);
  await stop();
});

// Each place where a kill can come: the store fails for good from the nth call on, and another server starts on what is there.
shared('killed anywhere in an order, the next server gets the certificate, with at most one order more', async () => {
  let calledMost = 0;
  for (let n = 1; n < 30; n++) {
    const clock = fakeClock();
    const store = memoryCertificateStore();
    const ca = fakeIssuer();
    let calls = 0;
    ca.onIssue = async (request, { present, cleanup }) => {
      const challenge: Challenge = { type: 'http-01', name: request.names[0], token: 'tok', content: 'tok.key' };
      await present(challenge);
      await cleanup(challenge);
    };
    // What a killed server asks for has no effect, and never comes back.
    const dying = new Proxy(store, {
      get(target, name: keyof MemoryCertificateStore) {
        const method = target[name] as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          calls += 1;
          return calls >= n ? new Promise(() => {}) : method(...args);
        };
      },
    });
    manage({ clock, store: dying, ca, routes: ['a.example.com'], settings: { shared: true } });
    for (let i = 0; i < 5; i++) await clock.flush();
    const next = await manage({ clock, store, ca, routes: ['a.example.com'], settings: { shared: true } });
    await clock.advance(45 * second);
    assert.is(next.published.size, 1, `killed at call ${n}`);
    assert.ok(ca.orders.length <= 2, `killed at call ${n}: ${ca.orders.length} orders`);
    calledMost = Math.max(calledMost, calls);
    await next.it.stop();
  }
  assert.ok(calledMost < 29, 'the last ones let it live');
});

shared('either answers the other’s challenge, by database and workers, while it lasts', async () => {
  const clock = fakeClock();
  const ca = fakeIssuer();
  let seen: unknown[] = [];
  const challenge: Challenge = { type: 'http-01', name: 'a.example.com', token: 'tok', content: 'tok.key' };
  let all: Managed[] = [];
  ca.onIssue = async (_request, { present, cleanup }) => {
    await present(challenge);
    const there = all.map(({ challenges }) => challenges.has('http-01 tok'));
    const asked = await Promise.all(all.map(({ it }) => it.askChallenge('http-01 tok')));
    seen = [there.sort(), asked, all.map(({ challenges }) => challenges.get('http-01 tok'))];
    await cleanup(challenge);
  };
  const set = await servers(2, { clock, ca });
  all = set.all;
  for (const { it } of all) it.routesChanged(routesOf(['a.example.com']));
  await set.run(5 * second);
  assert.equal(seen, [
    [false, true],
    [true, true],
    [challenge, challenge],
  ]);
  assert.is(set.store.challenges.size, 0);
  await clock.advance(20 * minute);
  assert.equal(
    all.map(({ challenges }) => challenges.size),
    [0, 0],
    'what was borrowed is given back',
  );
  await set.stop();
});

shared('session ticket keys are the same on all, made once, rotated by one', async () => {
  const { all, run, clock, store, stop } = await servers(2);
  assert.equal(all[0].ticketKeys, [all[1].ticketKeys[0]]);
  await clock.advance(25 * 60 * minute);
  await run(2 * minute);
  const last = all.map(({ ticketKeys }) => ticketKeys.at(-1)!.map(({ key }) => key));
  assert.equal(last[0], last[1]);
  assert.is(last[0].length, store.keys.length);
  assert.ok(last[0].length >= 2);
  await stop();
});

shared.run();
