import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createConfiguration } from '../../src/admin/configuration.ts';
import { createRecent, routingAfter, withImpact } from '../../src/admin/recent.ts';
import type { ResourceChange } from '../../src/admin/resources.ts';
import { getRoute } from '../../src/core/table.ts';
import { memoryStore } from '../helpers/memory-store.ts';

const recent = suite('admin: recent requests');
const head = { scheme: 'https', method: 'GET', host: 'app.test', path: '/' } as const;

async function world() {
  const routes = [
    { id: 'app.test', target: 'service://users' },
    { id: 'old.test', target: '10.0.0.1' },
  ];
  const store = memoryStore(routes, 7, [{ id: 'users', target: '10.0.0.5' }]);
  const configuration = await createConfiguration({ store, publish: async () => {} });
  return {
    configuration,
    recent: createRecent({ configuration, heads: async () => [head, { ...head, host: 'old.test' }] }),
  };
}

recent('routes that are saved and removed, services that lead elsewhere', async () => {
  const { recent } = await world();
  const change = (kind: ResourceChange['kind'], id: string, after: ResourceChange['after']) => ({
    kind,
    id,
    before: null,
    after,
  });
  const counts = async (...changes: ResourceChange[]) => (await recent.impact(changes)).retargeted;
  assert.is(await counts(), 0);
  assert.is(await counts(change('route', 'old.test', null)), 1);
  assert.is(await counts(change('route', 'app.test', { id: 'app.test', target: '10.0.0.9' })), 1);
  assert.is(await counts(change('service', 'users', { id: 'users', target: '10.0.0.6' })), 1);
  assert.is(await counts(change('service', 'users', null)), 1, 'those that register take over');
  assert.is(await counts(change('service', 'other', { id: 'other', target: '10.0.0.6' })), 0);
  assert.is(await counts(change('settings', 'server', { recentRequests: 5 })), 0);
});

recent('the present configuration stays as it is', async () => {
  const { configuration } = await world();
  const { table } = configuration;
  const after = routingAfter({ table }, [{ kind: 'route', id: 'old.test', before: null, after: null }]);
  assert.is(getRoute(after.table, 'old.test'), undefined);
  assert.ok(getRoute(table, 'old.test') !== undefined);
  assert.is(configuration.table, table);
});

recent('what is no dry run, or where nobody has seen any, says nothing of it', async () => {
  const { recent } = await world();
  const done: { revision: number; changes?: readonly ResourceChange[] } = { revision: 1 };
  assert.equal(await withImpact(recent, done), { revision: 1 });
  assert.equal(await withImpact(undefined, { changes: [] }), { changes: [] });
  const { impact } = await withImpact(recent, { changes: [] });
  assert.equal(impact, { requests: 2, retargeted: 0, altered: 0, examples: [] });
});

recent.run();
