import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../../src/clock.ts';
import type { FakeClock } from '../helpers/fake-clock.ts';
import { fakeIssuer, refusal } from '../helpers/fake-issuer.ts';
import { type Managed, manage } from '../helpers/manage.ts';
import { sleep, until } from '../helpers/wait.ts';
import { places } from './open-store.ts';

// The manager's own tests have a store in memory: here its promises are kept by the real ones.
for (const [name, make] of places) {
  const managers = suite(`certificate managers on ${name}`);

  managers('one state is found, none that is not there', async () => {
    const place = await make();
    const { certificates, close } = await place.open();
    const ca = fakeIssuer();
    ca.onIssue = () => {
      throw refusal();
    };
    const clock = systemClock as FakeClock;
    const { it } = await manage({ real: certificates, ca, clock, routes: ['a.example.com', 'b.example.com'] });
    await it.settled();
    const state = await certificates.findState?.('a.example.com');
    assert.equal([state?.id, state?.failures, state?.lastFailure?.problem], ['a.example.com', 1, 'connection']);
    assert.equal(
      state,
      (await certificates.states()).find(({ id }) => id === 'a.example.com'),
    );
    assert.is(await certificates.findState?.('c.example.com'), undefined);
    await it.stop();
    close();
    await place.end();
  });

  managers('what one has got is there after a restart: nothing is ordered again', async () => {
    const place = await make();
    const clock = systemClock as FakeClock;
    const routes = ['a.example.com', 'b.test'];
    const orders: number[] = [];
    const keys: string[][] = [];
    for (let i = 0; i < 2; i++) {
      const { certificates, close } = await place.open();
      const { it, ca, local, published, ticketKeys } = await manage({ real: certificates, clock, routes });
      await it.settled();
      orders.push(ca.orders.length + local.orders.length);
      keys.push([...published.values()].map(({ id, key }) => `${id} ${key}`).sort(), [ticketKeys[0][0].key]);
      await it.stop();
      close();
    }
    assert.equal(orders, [2, 0]);
    assert.equal(keys[2], keys[0]);
    assert.equal(keys[3], keys[1]);
    await place.end();
  });

  managers.run();
}

const shared = suite('certificate managers on one database');

shared('three servers issue once a name', async () => {
  const place = await places[1][1]();
  const clock = systemClock as FakeClock;
  const ca = fakeIssuer(undefined, { onIssue: () => sleep(20) });
  const routes = Array.from({ length: 15 }, (_, i) => `h${i}.example.com`);
  const stores = await Promise.all([place.open(), place.open(), place.open()]);
  const all: Managed[] = await Promise.all(
    stores.map(({ certificates }) => manage({ real: certificates, ca, clock, routes, settings: { shared: true } })),
  );
  let polling = true;
  const polls = all.map(async ({ it }) => {
    while (polling) {
      await it.poll();
      await sleep(50);
    }
  });
  await until(() => all.every(({ published }) => published.size === routes.length), 'all serve all', 30_000).catch(
    (error) => {
      throw new Error(`${error.message}\n${all.flatMap(({ lines }) => lines).join('\n')}`);
    },
  );
  polling = false;
  await Promise.all(polls);
  const keys = all.map(({ published }) => [...published.values()].map(({ id, key }) => `${id} ${key}`).sort());
  assert.is(ca.orders.length, routes.length);
  assert.equal([keys[1], keys[2]], [keys[0], keys[0]]);
  await Promise.all(all.map(({ it }) => it.stop()));
  for (const { close } of stores) close();
  await place.end();
});

shared.run();
