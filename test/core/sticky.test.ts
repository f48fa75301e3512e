import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { setHealthy } from '../../src/core/balance-load.ts';
import { compilePool, refreshPool } from '../../src/core/balance-pool.ts';
import { compileSticky, cookieValue, pickSticky, stickyCookie } from '../../src/core/sticky.ts';
import { instances, seeded, weighted } from './balancing.ts';

const sticky = suite('sticky');

const sign = (secret: string) => (address: string) =>
  [...`${secret}${address}`].reverse().join('').replaceAll(/\W/g, '_');

function three(before?: readonly string[]) {
  const pool = compilePool(weighted([1, 1, 1]), {}, 0, seeded(1));
  const table = compileSticky(pool, ['new', ...(before ?? [])].map(sign));
  return { pool, table, all: pool.members.map((member) => member.instance) };
}

sticky('a token leads back to its instance, and nothing else does', () => {
  const { pool, table, all } = three();
  for (const instance of all) assert.is(pickSticky(pool, table, table.tokens.get(instance), []), instance);
  assert.is(pickSticky(pool, table, undefined, []), undefined);
  assert.is(pickSticky(pool, table, all[0].address, []), undefined);
  assert.is(pickSticky(pool, table, sign('guessed')(all[0].address), []), undefined);
});

sticky('falls back when it is unhealthy, full, tried, or gone', () => {
  const { pool, table, all } = three();
  const token = table.tokens.get(all[1]);
  assert.is(pickSticky(pool, table, token, [all[1]]), undefined);
  all[1].full = true;
  assert.is(pickSticky(pool, table, token, []), undefined);
  all[1].full = false;
  setHealthy(all[1].load, false, 1);
  assert.is(pickSticky(pool, table, token, []), undefined);
  setHealthy(all[1].load, true, 2);
  assert.is(pickSticky(pool, table, token, []), all[1]);
  const left = compilePool([{ instance: all[0] }, { instance: all[2] }], {}, 0, seeded(1), pool);
  assert.is(pickSticky(left, compileSticky(left, [sign('new')]), token, []), undefined);
});

sticky('in panic health does not matter', () => {
  const { pool, table, all } = three();
  for (const instance of all) setHealthy(instance.load, false, 1);
  refreshPool(pool, 1);
  assert.is(pickSticky(pool, table, table.tokens.get(all[2]), []), all[2]);
});

sticky('a drained instance still serves those who stick to it', () => {
  const pool = compilePool(weighted([1, 0]), {}, 0, seeded(1));
  const table = compileSticky(pool, [sign('new')]);
  const drained = pool.members[1].instance;
  assert.is(pickSticky(pool, table, table.tokens.get(drained), []), drained);
});

sticky('outlives a restart, and cookies of the secret before are taken but renewed', () => {
  const { pool, table, all } = three(['old']);
  const again = three(['old']);
  assert.is(table.tokens.get(all[1]), again.table.tokens.get(again.all[1]));
  const old = sign('old')(all[1].address);
  assert.is(pickSticky(pool, table, old, []), all[1]);
  assert.is.not(table.tokens.get(all[1]), old);
});

sticky('a pool of one keeps its own', () => {
  const [only] = instances(1);
  const pool = compilePool([{ instance: only }], {}, 0, seeded(1));
  const table = compileSticky(pool, [sign('new')]);
  setHealthy(only.load, false, 1);
  assert.is(pickSticky(pool, table, table.tokens.get(only), []), only);
});

const fields: [field: string, expected: string | undefined][] = [
  ['oo=abc', 'abc'],
  ['a=1; oo=abc; b=2', 'abc'],
  ['a=1;oo=abc', 'abc'],
  ['a=1;  oo="abc" ', 'abc'],
  ['oo=first; oo=second', 'first'],
  ['oo=a=b', 'a=b'],
  ['oo=', ''],
  ['oo="', '"'],
  ['oox=1; xoo=2; OO=3', undefined],
  ['a=oo=1', undefined],
  ['oo', undefined],
  ['oo ; oo=1', '1'],
  ['', undefined],
  [' ; ;', undefined],
];
for (const [field, expected] of fields) {
  sticky(`the cookie in ${JSON.stringify(field)}`, () => assert.is(cookieValue(field, 'oo'), expected));
}

sticky('finds what it is given among any other cookies, and ends for any text', () => {
  const name = fc.stringMatching(/^[A-Za-z]{1,4}$/);
  const value = fc.stringMatching(/^[\w.-]{1,8}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), value, fc.string(), (others, mine, text) => {
      const field = [...others, ['_oo', mine]].map(([key, its]) => `${key}=${its}`).join('; ');
      assert.is(cookieValue(field, '_oo'), mine);
      cookieValue(text, '_oo');
    }),
  );
});

sticky('the cookie ends with the session, and keeps off scripts and plain HTTP', () => {
  assert.is(stickyCookie('oo_web', 'T0ken', true), 'oo_web=T0ken; Path=/; HttpOnly; SameSite=Lax; Secure');
  assert.is(stickyCookie('oo_web', 'T0ken', false), 'oo_web=T0ken; Path=/; HttpOnly; SameSite=Lax');
});

sticky.run();
