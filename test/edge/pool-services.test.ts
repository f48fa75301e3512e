import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { instanceKey } from '../../src/core/pool-compile.ts';
import type { ServiceOptions, ServiceState } from '../../src/core/pool-types.ts';
import { compileService } from '../../src/core/service.ts';
import type { PoolsChange } from '../../src/edge/messages.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { type Copy, countNames, KeepClient, load, startCopies } from '../helpers/copies.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const services = suite('services in pools');
services.after.each(cleanUp);

const noChange: PoolsChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };
const state = (slug: string, copies: readonly Copy[], options: ServiceOptions = {}): ServiceState => ({
  slug,
  options,
  members: copies.map(({ target }) => ({ url: target, weight: 1, priority: 0 })),
});
/** Of a service without options. */
const keys = (copies: readonly Copy[]) => {
  const { pool } = compileService(state('user-svc', copies));
  return pool.targets.map(({ target }) => instanceKey(target, false, pool.settings.instance));
};
const routes = [
  { id: 'app.test', target: 'service://user-svc' },
  { id: 'other.test', target: 'service://user-svc' },
];
const code = (head: string) => /x-oo-code: (\w+)/i.exec(head)?.[1];

services(
  'a route over a service that is not known, has no instance, or none that is up: 503; then it has',
  async () => {
    const copies = await startCopies(2);
    const { edge, port } = await startEdge(routes);
    const client = new KeepClient(port);
    const refused = async (what: string) => {
      const { status, head } = await client.ask('/');
      assert.is(status, 503, what);
      assert.is(code(head), 'OO_NO_INSTANCE', what);
      assert.match(head, /retry-after: \d/i, what);
    };
    await refused('unknown');
    edge.changePools({ ...noChange, services: [state('user-svc', [])] }, true);
    await refused('empty');
    edge.changePools({ ...noChange, services: [state('user-svc', copies)] }, false);
    assert.is((await client.ask('/')).status, 200);
    edge.changePools({ ...noChange, down: keys(copies) }, false);
    await refused('down');
    assert.is(edge.figures().pools.find(({ name }) => name === 'service user-svc')!.state, 'panic');
    edge.changePools({ ...noChange, up: keys(copies.slice(1)) }, false);
    assert.equal(countNames(await load(port, 10)), { 1: 10 });
    edge.changePools({ ...noChange, gone: ['user-svc'] }, false);
    await refused('gone');
    edge.changePools({ ...noChange, services: [state('user-svc', copies)] }, true);
    assert.ok(countNames(await load(port, 40))['0'] > 5, 'all of it anew: nothing is down');
  },
);

services('routes share the instances of a service, and what is known of them', async () => {
  const copies = await startCopies(2);
  const { edge, port } = await startEdge(routes);
  edge.changePools({ ...noChange, services: [state('user-svc', copies)] }, true);
  const clients = ['app.test', 'other.test'].map((host) => ({ host, client: new KeepClient(port) }));
  for (let i = 0; i < 10; i++)
    for (const { client, host } of clients) assert.is((await client.ask('/', '', 'GET', host)).status, 200);
  assert.is(edge.figures().instances.length, 2);
  assert.equal(
    edge.figures().pools.map(({ name, requests }) => [name, requests]),
    [
      ['route app.test', 10],
      ['service user-svc', 20],
      ['route other.test', 10],
    ],
  );
  // A weight that a heartbeat has changed keeps connections and figures.
  const open = edge.upstreams.size;
  const heavier = {
    ...state('user-svc', copies),
    members: copies.map(({ target }) => ({ url: target, weight: 7, priority: 0 })),
  };
  edge.changePools({ ...noChange, services: [heavier] }, false);
  await load(port, 10, { clients: 1 });
  assert.is(edge.upstreams.size, open);
  assert.equal(
    edge
      .figures()
      .pools.find(({ name }) => name === 'service user-svc')!
      .members.map(([, weight]) => weight),
    [7, 7],
  );
});

services('what was said of an instance before anybody asked for it holds', async () => {
  const copies = await startCopies(3);
  const { edge, port } = await startEdge(routes);
  const [, out] = keys(copies);
  const ejected = [[out, { cause: 'failures', forMs: 700, level: 1 }]] as const;
  edge.changePools(
    { ...noChange, services: [state('user-svc', copies)], down: keys(copies.slice(0, 1)), ejected },
    true,
  );
  assert.equal(countNames(await load(port, 20)), { 2: 20 });
  const { members } = edge.pools.named('service user-svc')!.main!;
  await until(() => members.filter(({ instance }) => instance.load.healthy).length === 2, 'the end of the ejection');
  const counts = countNames(await load(port, 40));
  assert.is(counts['1'] + counts['2'], 40);
  assert.ok(counts['1'] > 10);
  // One that is called back before its time.
  edge.changePools({ ...noChange, ejected: [[out, { cause: 'unreachable', forMs: 60_000, level: 1 }]] }, false);
  assert.equal(countNames(await load(port, 20)), { 2: 20 });
  edge.changePools({ ...noChange, lifted: [out] }, false);
  assert.ok(countNames(await load(port, 40))['1'] > 10);
});

services('the retry policy of a service holds for routes that have none of their own', async () => {
  const copies = await startCopies(3);
  for (const copy of copies) copy.cuts = true;
  const seen = () => copies.reduce((sum, { served }) => sum + served, 0);
  const { edge, port } = await startEdge([
    { id: 'app.test', target: 'service://user-svc' },
    { id: 'other.test', target: 'service://user-svc', retry: false },
  ]);
  edge.changePools(
    { ...noChange, services: [state('user-svc', copies, { retry: { tries: 2 }, outlier: false })] },
    true,
  );
  assert.is((await new KeepClient(port).ask('/')).status, 502);
  assert.is(seen(), 2);
  assert.is((await new KeepClient(port).ask('/', '', 'GET', 'other.test')).status, 502);
  assert.is(seen(), 3);
  const { pools } = edge.figures();
  assert.equal(
    pools.map(({ name, errors, retries }) => [name, errors, retries]),
    [
      ['route app.test', 1, 1],
      ['service user-svc', 2, 1],
      ['route other.test', 1, 0],
    ],
  );
});

services('a canary takes its part, and what it can not take goes to the others', async () => {
  const copies = await startCopies(2);
  const canary = { target: copies[1].target, percent: 25, header: 'x-canary=yes' };
  const { edge, port } = await startEdge([{ id: '*', target: copies[0].target, rollout: { canary } }]);
  const counts = countNames(await load(port, 2_000));
  assert.ok(Math.abs(counts['1'] - 500) < 100, JSON.stringify(counts));
  assert.equal(countNames(await load(port, 20, { fields: () => 'X-Canary: yes\r\n' })), { 1: 20 });
  copies[1].kill();
  assert.equal(countNames(await load(port, 100)), { 0: 100 });
  assert.equal(
    edge.figures().pools[0].members.map(([key]) => key),
    copies.map(({ target }) => target),
  );
});

services('a definition that can not be compiled is used without its options, and the log says why', async () => {
  const copies = await startCopies(1);
  const { edge, port, errors } = await startEdge(routes);
  const wrong = { balance: 'best' } as unknown as ServiceOptions;
  edge.changePools({ ...noChange, services: [state('user-svc', copies, wrong)] }, true);
  assert.equal(countNames(await load(port, 3)), { 0: 3 });
  assert.match(errors.join('\n'), /service user-svc: balance is 'best'/);
});

services.run();
