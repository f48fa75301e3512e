import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createTokenDesk } from '../../src/admin/token-desk.ts';
import { hashOf, isSameHash, isSlug, isTokenForm } from '../../src/admin/tokens.ts';
import { slugFault } from '../../src/services/registration.ts';
import { memoryTokenStore } from '../helpers/memory-token-store.ts';

const desk = suite('admin: tokens');
const start = Date.UTC(2026, 10, 23);

function made() {
  const store = memoryTokenStore();
  const clock = { now: start };
  return { store, clock, tokens: createTokenDesk(store, () => clock.now) };
}

const wrong = (i: number) => `oo_${String(i).padStart(43, 'x')}`;

desk('a token is 32 random bytes; only its hash is stored', async () => {
  const { store, tokens } = made();
  const first = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc', note: 'n' });
  const second = await tokens.create({ scopes: ['admin'], slug: '' });
  assert.match(first.token, /^oo_[A-Za-z0-9_-]{43}$/);
  assert.is(Buffer.from(first.token.slice(3), 'base64url').length, 32);
  assert.not.equal(first.token, second.token);
  assert.not.match(JSON.stringify([...store.rows.values()]), first.token);
  assert.is(store.rows.get(first.id)?.hash, createHash('sha256').update(first.token).digest('hex'));
  assert.is(await hashOf(first.token), store.rows.get(first.id)?.hash);
  const { token: _, ...kept } = first;
  assert.equal(kept, {
    id: first.id,
    scopes: ['instances:read', 'instance:write'],
    slug: 'user-svc',
    note: 'n',
    createdAt: start,
    expiresAt: 0,
  });
  assert.equal(
    await tokens.list(),
    [...store.rows.values()].map(({ token }) => token),
  );
});

desk('who has one is known by it; nothing, nonsense, unknown and expired ones are told apart', async () => {
  const { clock, tokens } = made();
  const { token, id } = await tokens.create({ scopes: ['admin'], slug: '', expiresAt: start + 60_000 });
  assert.is(((await tokens.identify(token, 's')) as { id: string }).id, id);
  for (const text of [undefined, '']) assert.equal(await tokens.identify(text, 's'), { why: 'none' });
  for (const text of ['guess', wrong(1), `${token}x`, token.slice(0, -1)])
    assert.equal(await tokens.identify(text, 's'), { why: 'unknown' }, text);
  clock.now += 59_999;
  assert.is(((await tokens.identify(token, 's')) as { id: string }).id, id);
  clock.now += 1;
  assert.equal(await tokens.identify(token, 's'), { why: 'expired' });
});

desk('a removed token works no more: at once here, within seconds on other servers', async () => {
  const { store, clock, tokens } = made();
  const other = createTokenDesk(store, () => clock.now);
  const { token, id } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  for (const one of [tokens, other]) assert.not.ok('why' in (await one.identify(token, 's')));
  assert.is(await tokens.remove(id), true);
  assert.is(await tokens.remove(id), false);
  assert.equal(await tokens.identify(token, 's'), { why: 'unknown' });
  clock.now += 5_000;
  assert.equal(await other.identify(token, 's'), { why: 'unknown' });
});

desk('a token that is removed while it is being looked up is not remembered', async () => {
  const { store, tokens } = made();
  const { token, id } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  const { find } = store;
  let answer = () => {};
  store.find = async (hash) => {
    const found = await find(hash);
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return found;
  };
  const late = tokens.identify(token, 's');
  await new Promise((resolve) => setTimeout(resolve, 20));
  await tokens.remove(id);
  answer();
  await late;
  store.find = find;
  assert.equal(await tokens.identify(token, 's'), { why: 'unknown' });
});

desk('heartbeats do not ask the database each time, and go on while it is away', async () => {
  const { store, clock, tokens } = made();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  for (let i = 0; i < 50; i++) assert.not.ok('why' in (await tokens.identify(token, 's')));
  assert.is(store.asked.length, 1);
  store.down = 'gone';
  clock.now += 3_600_000;
  assert.not.ok('why' in (await tokens.identify(token, 's')));
  const error = await tokens.identify(wrong(1), 's').catch((one) => one);
  assert.is(error.code, 'OO_STORE_UNREACHABLE');
});

desk('many wrong tokens of one source are slowed down; others, and those that are known, are not', async () => {
  const { store, clock, tokens } = made();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  await tokens.identify(token, 'bad');
  for (let i = 0; i < 20; i++) assert.equal(await tokens.identify(wrong(i), 'bad'), { why: 'unknown' }, `try ${i}`);
  const asked = store.asked.length;
  for (let i = 20; i < 40; i++) assert.equal(await tokens.identify(wrong(i), 'bad'), { why: 'often' });
  assert.equal(await tokens.identify('guess', 'bad'), { why: 'often' });
  assert.is(store.asked.length, asked);
  assert.equal(await tokens.identify(wrong(40), 'other'), { why: 'unknown' });
  assert.not.ok('why' in (await tokens.identify(token, 'bad')));
  clock.now += 2_000;
  assert.equal(await tokens.identify(wrong(41), 'bad'), { why: 'unknown' });
  assert.equal(await tokens.identify(wrong(42), 'bad'), { why: 'unknown' });
  assert.equal(await tokens.identify(wrong(43), 'bad'), { why: 'often' });
});

desk('the same wrong token again and again, as a forgotten service sends it, locks nobody out', async () => {
  const { store, tokens } = made();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'a' });
  for (let i = 0; i < 100; i++) assert.equal(await tokens.identify(wrong(1), 'host'), { why: 'unknown' });
  assert.is(store.asked.length, 1);
  assert.not.ok('why' in (await tokens.identify(token, 'host')));
});

desk('a hundred services of one host that come at once are all let in', async () => {
  const { tokens } = made();
  const all = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      tokens.create({ scopes: ['instances:read', 'instance:write'], slug: `s${i}` }),
    ),
  );
  const found = await Promise.all(all.map(({ token }) => tokens.identify(token, 'host')));
  assert.is(found.filter((one) => 'why' in one).length, 0);
});

desk('what it remembers is bounded', async () => {
  const { store, tokens } = made();
  for (let i = 0; i < 6_000; i++) await tokens.identify(wrong(i), `source ${i}`);
  assert.is(store.asked.length, 6_000);
  // The oldest are forgotten: asked anew, while the newest is not.
  await tokens.identify(wrong(0), 'x');
  assert.is(store.asked.length, 6_001);
  await tokens.identify(wrong(5_999), 'x');
  assert.is(store.asked.length, 6_001);
});

desk('a store that finds something else than it was asked for lets nobody in', async () => {
  const { store, tokens } = made();
  const { token } = await tokens.create({ scopes: ['admin'], slug: '' });
  const { find } = store;
  store.find = async (hash) => {
    const found = await find(hash);
    return found && { ...found, hash: `${found.hash.slice(0, -1)}x` };
  };
  assert.equal(await tokens.identify(token, 's'), { why: 'unknown' });
});

desk('hashes are compared as a whole', () => {
  const one = 'a'.repeat(64);
  assert.ok(isSameHash(one, 'a'.repeat(64)));
  for (const other of ['', 'a', `${one}a`, `b${one.slice(1)}`, `${one.slice(1)}b`])
    assert.not.ok(isSameHash(one, other));
});

desk("a token's slug is what the registry takes", () => {
  const texts = [
    'a',
    'user-svc',
    'a1',
    '1a',
    '',
    '-a',
    'a-',
    'A',
    'ä',
    'a_b',
    'a.b',
    'a/b',
    'a\n',
    'x'.repeat(63),
    'x'.repeat(64),
  ];
  for (const text of texts) assert.is(isSlug(text), slugFault(text) === undefined, JSON.stringify(text));
  assert.not.ok(isTokenForm(`${wrong(1)}\n`));
});

desk.run();
