import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfiguration, type Refused } from '../../src/admin/configuration.ts';
import { createHandlerProof } from '../../src/admin/handler-proof.ts';
import { systemClock } from '../../src/clock.ts';
import type { HandlerFault } from '../../src/core/handler-proof.ts';
import type { Route } from '../../src/core/types.ts';
import { memoryStore } from '../helpers/memory-store.ts';

const proofs = suite('admin: handlers are proven before they are saved');
const by = { actor: 'test' };
const route = (id: string, source: string, more: object = {}): Route => ({
  id,
  target: 'http://10.0.0.1',
  handler: { file: './h.mjs', source, ...more },
});

/** A prover that finds `bad` texts bad, and writes down what it was asked. */
function prover(delay = 0) {
  const asked: string[] = [];
  const state = { running: 0, most: 0 };
  return {
    asked,
    state,
    async prove({ source }: { source: string }, routeId: string): Promise<HandlerFault | undefined> {
      asked.push(`${routeId}: ${source}`);
      state.most = Math.max(state.most, ++state.running);
      await new Promise((resolve) => setTimeout(resolve, delay));
      state.running--;
      return source.startsWith('bad') ? { message: "Unexpected token ';'.", line: 3, column: 7 } : undefined;
    },
  };
}

async function start(routes: readonly Route[] = [], delay = 0) {
  const one = prover(delay);
  const store = memoryStore([...routes], routes.length > 0 ? 1 : 0);
  const proveHandlers = createHandlerProof({ prover: one, ...systemClock });
  const config = await createConfiguration({ store, publish: async () => {}, proveHandlers });
  return { config, store, ...one };
}

const cannotRun = "handler can't run: ./h.mjs:3:7: Unexpected token ';'";

proofs('a save with a handler that can not run is refused, and says which, where and why', async () => {
  const { config, store, asked } = await start();
  const routes = [{ id: 'plain', target: 'http://t' }, route('a', 'good'), route('b', 'bad')];
  assert.equal(((await config.save(routes, by)) as Refused).faults, [
    { index: 2, id: 'b', field: 'handler', message: cannotRun },
  ]);
  assert.equal(asked, ['a: good', 'b: bad']);
  assert.equal([config.table.revision, store.commits.length], [0, 0]);
});

proofs('apply and dry runs prove likewise, and say the kind', async () => {
  const { config, asked } = await start();
  for (const dryRun of [true, false]) {
    const refused = (await config.apply({ routes: [route('b', 'bad')] }, { ...by, dryRun })) as Refused;
    assert.equal(refused.faults, [{ index: 0, id: 'b', field: 'handler', message: cannotRun, kind: 'route' }]);
  }
  assert.is(asked.length, 2);
  const tried = await config.save([route('b', 'bad')], { ...by, dryRun: true });
  assert.ok('faults' in tried);
});

proofs('only what is new or another one is proven: not what is stored, not for a change beside it', async () => {
  const stored = route('a', 'bad and stored');
  const { config, asked } = await start([stored]);
  assert.equal(config.get('a'), stored);
  await config.save([stored], by);
  await config.save([{ ...stored, target: 'http://10.0.0.9' }], by);
  await config.update('a', (one) => ({ ...one, owner: 'x' }), by);
  assert.equal(asked, []);
  await config.save([route('a', 'good')], by);
  assert.equal(asked, ['a: good']);
  await config.save([route('a', 'good', { timeoutMs: 5 })], by);
  assert.is(asked.length, 2);
});

proofs('from where its text was read is no change', async () => {
  const stored = route('a', 'good');
  const { config } = await start([stored]);
  const moved = { ...stored, handler: { file: '/elsewhere/h.mjs', source: 'good' } };
  const saved = await config.save([moved], by);
  assert.equal('unchanged' in saved && saved.unchanged, ['a']);
  assert.is(config.table.revision, 1);
});

proofs('a rollback to a handler that can not run any more is refused', async () => {
  const { config, asked } = await start();
  await config.save([route('a', 'good')], by);
  await config.save([route('a', 'better')], by);
  const back = await config.rollback(1, by);
  assert.ok(back && 'changes' in back);
  assert.equal(config.get('a')?.handler, { file: './h.mjs', source: 'good' });
  // Each once, though it is planned twice.
  assert.equal(asked, ['a: good', 'a: better', 'a: good']);

  const later = await createConfiguration({
    store: memoryStore([route('a', 'good')], 1),
    publish: async () => {},
    proveHandlers: createHandlerProof({
      prover: { prove: async ({ source }) => (source === 'good' ? { message: 'no such module' } : undefined) },
      ...systemClock,
    }),
  });
  await later.save([route('a', 'better')], by);
  const refused = (await later.rollback(1, by)) as Refused;
  assert.match(refused.faults[0].message, /^handler can't run: \.\/h\.mjs: no such module$/);
  assert.is(later.table.revision, 2);
});

proofs('while a handler starts, others change what they want', async () => {
  const { config } = await start([], 300);
  const order: string[] = [];
  const slow = config.save([route('a', 'good')], by).then(() => order.push('handler'));
  const quick = config.save([{ id: 'b', target: 'http://t' }], by).then(() => order.push('plain'));
  await Promise.all([slow, quick]);
  assert.equal(order, ['plain', 'handler']);
});

proofs('one text of many routes is proven once, and few at a time', async () => {
  const { config, asked, state } = await start([], 5);
  const many = Array.from({ length: 30 }, (_, i) => route(`r${i}`, `good ${i % 6}`));
  await config.save(many, by);
  assert.is(asked.length, 6);
  assert.is(state.most, 2);
  const shared = [route('x', 'bad'), route('y', 'bad')];
  assert.equal(
    ((await config.save(shared, by)) as Refused).faults.map(({ index, id }) => [index, id]),
    [
      [0, 'x'],
      [1, 'y'],
    ],
  );
});

proofs('too many different ones, and one that never starts, are faults', async () => {
  const hanging = { prove: () => new Promise<undefined>(() => {}) };
  const clock = {
    after(ms: number, run: () => void) {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
  const prove = createHandlerProof({ prover: hanging, ...clock, most: 3, eachMs: 20 });
  const [late] = await prove([route('a', 'x')]);
  assert.match(late.message, /^handler can't run: \.\/h\.mjs: it was not ready within 0\.02 s/);
  const [many] = await prove(['1', '2', '3', '4'].map((n) => route(n, n)));
  assert.match(many.message, /^handler is the 4th different one of this change; expected at most 3/);
  assert.is(many.id, '4');
});

proofs.run();
