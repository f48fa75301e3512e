import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { instanceKey } from '../../src/core/pool-compile.ts';
import type { ServiceState } from '../../src/core/pool-types.ts';
import { compileService } from '../../src/core/service.ts';
import type { PoolsChange } from '../../src/edge/messages.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { countNames, KeepClient, load, startCopies } from '../helpers/copies.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const replaced = suite('pools that are replaced under requests');
replaced.after.each(cleanUp);

const noChange: PoolsChange = { services: [], gone: [], down: [], up: [], ejected: [], lifted: [] };
const state = (slug: string, targets: readonly string[]): ServiceState => ({
  slug,
  options: {},
  members: targets.map((url) => ({ url, weight: 1, priority: 0 })),
});
const keyOf = (url: string) => {
  const { pool } = compileService(state('user-svc', [url]));
  return instanceKey(pool.targets[0].target, false, pool.settings.instance);
};

replaced('a stream of a service that went and came back leaves the new pool its news', async () => {
  const copies = await startCopies(2);
  const targets = copies.map(({ target }) => target);
  const streaming = await startOrigin(() => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
  const { edge } = await startEdge([]);
  const port = await edge.listenService({ host: '127.0.0.1', port: 0 }, false);
  edge.changePools({ ...noChange, services: [state('user-svc', [streaming.target])] }, true);
  const client = closeLater(connect(port).send('GET /user-svc/events HTTP/1.1\r\nHost: a\r\n\r\n'));
  await until(() => client.text.includes('1\r\nx'), 'the stream');
  edge.changePools({ ...noChange, gone: ['user-svc'] }, false);
  edge.changePools({ ...noChange, services: [state('user-svc', targets)] }, false);
  const ask = () => load(port, 20, { clients: 2, path: () => '/user-svc/x' });
  assert.equal(Object.keys(countNames(await ask())).sort(), ['0', '1']);
  streaming.close();
  await until(() => client.ended !== '', 'the cut');
  edge.changePools({ ...noChange, down: [keyOf(targets[0])] }, false);
  assert.equal(countNames(await ask()), { 1: 20 });
});

replaced('who has been tried stays known when instances come and go meanwhile', async () => {
  const dying = await startOrigin((_, { socket }) => {
    edge.edge.changePools({ ...noChange, services: [state('user-svc', [dying.target])] }, false);
    socket.resetAndDestroy();
    return undefined;
  });
  const edge = await startEdge([{ id: 'app.test', target: 'service://user-svc' }]);
  edge.edge.changePools({ ...noChange, services: [state('user-svc', [dying.target])] }, true);
  const client = new KeepClient(edge.port);
  assert.is((await client.ask('/')).status, 502);
  assert.is(dying.requests.length, 1);
});

replaced('a retry goes to an instance of the targets as they are now', async () => {
  const good = await startOrigin(({ line }) => reply(line));
  const dying = await startOrigin((_, { socket }) => {
    edge.route({ id: 'app.test', target: [`${good.target}/new`] });
    // Somebody has asked since.
    const other = new KeepClient(edge.port);
    other.ask('/other').then(() => socket.resetAndDestroy());
    return undefined;
  });
  const edge = await startEdge([{ id: 'app.test', target: [dying.target], outlier: false }]);
  const answer = await new KeepClient(edge.port).ask('/x');
  assert.is(answer.status, 200);
  assert.is(answer.body, 'GET /new/x HTTP/1.1');
});

replaced('a breaker that is tried in its last moment closes again', async () => {
  const [copy] = await startCopies(1);
  copy.status = 503;
  const breaker = { failures: 1, openMs: 1, longestOpenMs: 1, successes: 1 };
  const edge = await startEdge([{ id: '*', target: copy.target, breaker }]);
  await load(edge.port, 4_000, { clients: 8 });
  copy.status = 200;
  const client = new KeepClient(edge.port);
  let status = 0;
  for (let i = 0; i < 200 && status !== 200; i++) status = (await client.ask('/')).status;
  assert.is(status, 200);
});

replaced.run();
