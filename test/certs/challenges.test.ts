import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Challenges } from '../../src/certs/manager-challenges.ts';
import type { Challenge } from '../../src/certs/types.ts';
import { fakeClock } from '../helpers/fake-clock.ts';
import { memoryCertificateStore } from '../helpers/memory-certificate-store.ts';

const challenges = suite('challenges');
const second = 1_000;
const minute = 60 * second;

const http: Challenge = { type: 'http-01', name: 'a.example.com', token: 'tok_-1', content: 'tok.key' };
const alpn: Challenge = { type: 'tls-alpn-01', name: 'a.example.com', token: 't', chain: 'chain', key: 'key' };

function made(shared = true) {
  const clock = fakeClock();
  const store = memoryCertificateStore();
  const workers = new Map<string, Challenge>();
  const calls: string[] = [];
  const publisher = {
    async challenges({ save, remove }: { save: readonly Challenge[]; remove: readonly string[] }) {
      for (const one of save) workers.set(one.token, one);
      calls.push(`${save.map(({ token }) => token)} -${remove}`);
    },
  };
  return { clock, store, workers, calls, it: new Challenges({ store, publisher, clock, shared }) };
}

challenges('present resolves when the database and the workers have it; cleanup takes it from both', async () => {
  const { it, store, calls } = made();
  let stored = () => {};
  store.before = (method) =>
    method === 'putChallenge'
      ? new Promise<void>((resolve) => {
          stored = resolve;
        })
      : undefined;
  let done = false;
  const presented = it.present(http).then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal([done, calls], [false, ['tok_-1 -']]);
  stored();
  await presented;
  assert.ok(store.challenges.has('http-01 tok_-1'));
  await it.cleanup(http);
  assert.equal([store.challenges.size, calls[1]], [0, ' -http-01 tok_-1']);
});

challenges('a database that fails matters only where it is shared', async () => {
  for (const shared of [true, false]) {
    const { it, store, workers } = made(shared);
    store.failure = new Error('full');
    let failed = false;
    await it.present(http).catch(() => {
      failed = true;
    });
    assert.is(failed, shared);
    assert.is(workers.size, 1);
    await it.cleanup(http);
  }
});

challenges('others’ challenges of both kinds are found, and end', async () => {
  const { it, store, clock, workers, calls } = made();
  for (const one of [http, alpn]) await store.putChallenge(one, clock.now() + minute);
  assert.is(await it.ask('http-01 tok_-1'), true);
  assert.is(await it.ask('tls-alpn-01 a.example.com'), true);
  assert.equal([...workers.values()], [http, alpn]);
  await clock.advance(20 * minute);
  await it.sweep();
  assert.is(calls.at(-1), ' -http-01 tok_-1,tls-alpn-01 a.example.com');
});

challenges('one that has expired is none', async () => {
  const { it, store, clock } = made();
  await store.putChallenge(http, clock.now() + minute);
  await clock.advance(minute);
  assert.is(await it.ask('http-01 tok_-1'), false);
});

challenges('an unknown one is looked for once a second, however often it is asked for', async () => {
  const { it, store, clock } = made();
  let looked = 0;
  store.before = (method) => {
    if (method === 'findChallenge') looked += 1;
  };
  await Promise.all(Array.from({ length: 50 }, () => it.ask('http-01 nothing')));
  for (let i = 0; i < 50; i++) assert.is(await it.ask('http-01 nothing'), false);
  assert.is(looked, 1);
  await clock.advance(1.1 * second);
  await store.putChallenge({ ...http, token: 'nothing' }, clock.now() + minute);
  assert.is(await it.ask('http-01 nothing'), true);
});

challenges(
  'what can be no challenge’s key never reaches the database; nor does anything where it is not shared',
  async () => {
    const { it, store } = made();
    let looked = 0;
    store.before = () => {
      looked += 1;
    };
    const keys = [
      '',
      'http-01',
      'http-01 ',
      'http-01 ../x',
      'http-01 a/b',
      `http-01 ${'a'.repeat(300)}`,
      'http-01 a\0b',
      'tls-alpn-01 A',
      'dns-01 x',
    ];
    for (const key of keys) assert.is(await it.ask(key), false, key);
    assert.is(looked, 0);
    const alone = made(false);
    await alone.store.putChallenge(http, alone.clock.now() + minute);
    assert.is(await alone.it.ask('http-01 tok_-1'), false);
  },
);

challenges('a database that hangs is not waited for long, nor asked by everyone', async () => {
  const { it, store, clock } = made();
  let looked = 0;
  store.before = () => {
    looked += 1;
    return new Promise(() => {});
  };
  const answers = Array.from({ length: 200 }, (_, i) => it.ask(`http-01 t${i}`));
  assert.is(await answers[199], false);
  assert.is(looked, 64);
  await clock.advance(6 * second);
  assert.ok((await Promise.all(answers)).every((yes) => !yes));
});

challenges.run();
