import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Token } from '../../src/admin/tokens.ts';
import { until } from '../helpers/temporary.ts';
import { places } from './open-store.ts';

const hash = (char: string) => char.repeat(64);
const admin: Token = { id: 'tok_2', scopes: ['admin'], slug: '', note: "Ann's", createdAt: 2, expiresAt: 0 };
const service: Token = {
  id: 'tok_1',
  scopes: ['instances:read', 'instance:write'],
  slug: 'user-svc',
  note: '',
  createdAt: 3,
  expiresAt: 99,
};

for (const [name, start] of places) {
  const tokens = suite(`db: tokens in ${name}`);

  tokens('are found by their hash, listed by age, and removed once', async () => {
    const place = await start();
    const { tokens: store, close } = await place.open();
    assert.equal(await store.all(), { version: 0, tokens: [] });
    await store.add(service, hash('b'));
    await store.add(admin, hash('a'));
    assert.equal(await store.list(), [admin, service]);
    assert.equal(await store.find(hash('b')), { token: service, hash: hash('b') });
    assert.is(await store.find(hash('c')), undefined);
    const all = await store.all();
    assert.is(all.version, 2);
    assert.equal(all.tokens, [
      { ...admin, hash: hash('a') },
      { ...service, hash: hash('b') },
    ]);
    assert.is(await store.remove('tok_1'), true);
    assert.is(await store.remove('tok_1'), false);
    assert.is(await store.find(hash('b')), undefined);
    assert.is((await store.all()).version, 3);
    close();
    await place.end();
  });

  tokens('neither an id nor a hash is taken twice', async () => {
    const place = await start();
    const { tokens: store, close } = await place.open();
    await store.add(admin, hash('a'));
    for (const [token, other] of [
      [admin, 'b'],
      [service, 'a'],
    ] as const) {
      const error = await store.add(token, hash(other)).then(
        () => undefined,
        (failure) => failure,
      );
      assert.is(error?.code, 'OO_STORE_FAILED');
    }
    assert.equal(await store.list(), [admin]);
    assert.equal(await store.find(hash('a')), { token: admin, hash: hash('a') });
    close();
    await place.end();
  });

  tokens.run();
}

const shared = suite('db: tokens behind a URL, many servers');

shared('what one server adds or removes the other sees within 2 s', async () => {
  const place = await places[1][1]();
  const [one, two] = await Promise.all([place.open(), place.open()]);
  let known = 0;
  const errors: Error[] = [];
  const stop = two.tokens.watch?.(
    () => known,
    async () => {
      known = (await two.tokens.all()).version;
    },
    (error) => errors.push(error),
  );
  await one.tokens.add(admin, hash('a'));
  await until(() => known > 0, 2_000);
  const before = known;
  await one.tokens.remove(admin.id);
  await until(() => known > before, 2_000);
  assert.equal(await two.tokens.list(), []);
  assert.equal(errors, []);
  stop?.();
  one.close();
  two.close();
  await place.end();
});

shared('answers that are lost change nothing of what was done', async () => {
  const place = await places[1][1]();
  const { tokens, close } = await place.open();
  place.server?.moods('lose', 'lose');
  await tokens.add(admin, hash('a'));
  assert.equal(await tokens.list(), [admin]);
  place.server?.moods('answer', 'lose', 'lose');
  assert.is(await tokens.remove(admin.id), true, 'it was there');
  assert.equal(await tokens.list(), []);
  close();
  await place.end();
});

shared('a file is watched by nobody: one server has it', async () => {
  const place = await places[0][1]();
  const { tokens, registry, close } = await place.open();
  assert.equal([tokens.watch, registry.watch], [undefined, undefined]);
  close();
});

shared.run();
