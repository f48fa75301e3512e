import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { TicketKeys } from '../../src/certs/ticket-keys.ts';
import type { TicketKey } from '../../src/certs/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';
import { random } from '../helpers/random.ts';

const tickets = suite('session ticket keys');
const minute = 60_000;
const hour = 60 * minute;

function made({ clock = fakeClock(), store = memoryCertificateStore(), shared = false } = {}) {
  const told: (readonly TicketKey[])[] = [];
  const lines: string[] = [];
  const onKeys = (keys: readonly TicketKey[]) => told.push(keys);
  const log = (line: string) => lines.push(line);
  const it = new TicketKeys({ store, clock, shared, random: random(3), log, onKeys });
  const run = async (ms: number) => {
    for (let left = ms; left > 0; left -= 5 * minute) {
      clock.jump(Math.min(left, 5 * minute));
      await it.tick();
    }
  };
  return { it, clock, store, told, lines, run };
}

tickets('made at first start, stored, the same after a restart', async () => {
  const one = made();
  await one.it.tick();
  assert.is(Buffer.from(one.it.keys[0].key, 'base64').length, 48);
  assert.equal(one.store.keys, one.it.keys);
  const two = made({ clock: one.clock, store: one.store });
  await two.it.tick();
  assert.equal(two.told, one.told);
});

tickets('rotated every 12 to 24 hours, the newest first, old ones kept for two days', async () => {
  const { it, told, run, clock } = made();
  await it.tick();
  await run(10 * 24 * hour);
  assert.ok(told.length >= 10 && told.length <= 21, String(told.length));
  for (const [i, keys] of told.entries()) {
    if (i === 0) continue;
    const age = keys[0].createdAt - told[i - 1][0].createdAt;
    assert.ok(age >= 12 * hour && age <= 24 * hour + 5 * minute, String(age / hour));
    assert.is(keys[1].key, told[i - 1][0].key, 'tickets of before are still opened');
  }
  assert.ok(it.keys.length >= 2 && it.keys.length <= 4);
  assert.ok(it.keys.every(({ createdAt }) => clock.now() - createdAt < 72 * hour));
});

tickets('two that rotate at one time agree', async () => {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  const both = [made({ clock, store, shared: true }), made({ clock, store, shared: true })];
  await Promise.all(both.map(({ it }) => it.tick()));
  assert.equal(both[0].it.keys, both[1].it.keys);
  clock.jump(30 * hour);
  await Promise.all(both.map(({ it }) => it.tick()));
  assert.equal(both[0].it.keys, both[1].it.keys);
  assert.is(store.keys.length, 2);
});

tickets('without a database there are keys all the same; those that are shared come when it is back', async () => {
  const { it, store, run, lines } = made();
  store.failure = new Error('gone');
  await it.tick();
  assert.is(it.keys.length, 1);
  await run(30 * minute);
  assert.equal(lines, ['session ticket keys: gone; this is tried again']);
  store.failure = undefined;
  store.keys = [{ key: Buffer.alloc(48, 7).toString('base64'), createdAt: Date.UTC(2026, 10, 22, 23) }];
  await run(5 * minute);
  assert.is(it.keys[0].key, store.keys[0].key);
  assert.ok(it.keys.some(({ key }) => key === Buffer.alloc(48, 7).toString('base64')));
});

tickets('a clock that was years ahead for a while leaves no key that is never rotated', async () => {
  const { it, clock, run } = made();
  const year = 365 * 24 * hour;
  clock.jump(3 * year);
  await it.tick();
  const [ahead] = it.keys;
  clock.jump(-3 * year);
  await it.tick();
  assert.is.not(it.keys[0].key, ahead.key);
  assert.not(it.keys.includes(ahead));
  const [first] = it.keys;
  await run(25 * hour);
  assert.is.not(it.keys[0].key, first.key);
});

tickets.run();
