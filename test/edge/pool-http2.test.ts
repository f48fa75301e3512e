import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { startRaw } from '../helpers/http2-origin.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';
import { data, goaway, headers, ok } from '../http2/wire.ts';

const pool = suite('pools of HTTP/2 upstreams');
pool.after.each(cleanUp);

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const options = { balance: { minAvailable: 0.1 }, outlier: false } as const;
const HEADERS = 1;

pool('what dies in one goes to another, also over the other protocol, with its path', async () => {
  const dying = await startRaw({ request: (_, { socket }) => void socket.resetAndDestroy() });
  const answering = await startRaw({
    request: (id, connection) => void connection.send(Buffer.concat([headers(id, ok, false), data(id, 'h2', true)])),
  });
  const plain = await startOrigin(({ line }) => `HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\n\r\n${line}`);
  for (const [target, text] of [
    [answering.target, 'h2'],
    [`${plain.target}/base`, 'GET /base/x HTTP/1.1'],
  ]) {
    const edge = await startEdge([{ id: '*', target: [dying.target, { url: target, priority: 1 }], ...options }]);
    const answer = await ask(edge.port, get());
    assert.is(answer.status, 200, target);
    assert.is(answer.text, text);
    const [figures] = edge.edge.figures().pools;
    assert.is(figures.retries, 1);
    assert.is(figures.errors, 0);
    assert.is(figures.inFlight, 0);
    edge.close();
  }
});

pool('a try that takes too long is broken off and made elsewhere', async () => {
  const silent = await startRaw({});
  const plain = await startOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const target = [silent.target, { url: plain.target, priority: 1 }];
  const edge = await startEdge([{ id: '*', target, ...options, retry: { tryTimeoutMs: 200 } }]);
  assert.is((await ask(edge.port, get())).text, 'ok');
  await until(() => silent.connections[0].frames.some(({ type }) => type === 3), 'RST_STREAM');
  assert.is(silent.connections[0].frames.filter(({ type }) => type === HEADERS).length, 1);
});

pool('a limit holds for streams', async () => {
  let most = 0;
  let now = 0;
  const slow = await startRaw({
    request: (id, connection) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        connection.send(Buffer.concat([headers(id, ok, false), data(id, 'ok', true)]));
      }, 30);
    },
  });
  const edge = await startEdge([{ id: '*', target: slow.target, limits: { maxConnections: 3 } }]);
  const answers = await Promise.all(Array.from({ length: 12 }, () => ask(edge.port, get())));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.is(most, 3);
});

pool('a server that leaves after an answer is no outlier', async () => {
  const leaving = () =>
    startRaw({
      request: (id, connection) =>
        void connection.send(Buffer.concat([headers(id, ok, false), data(id, 'ok', true), goaway(id, 0)])),
    });
  const servers = [await leaving(), await leaving()];
  const edge = await startEdge([{ id: '*', target: servers.map(({ target }) => target) }]);
  let suspected = 0;
  edge.edge.onSuspect = () => void suspected++;
  for (let i = 0; i < 30; i++) assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is(suspected, 0);
  assert.is(
    edge.edge.figures().instances.reduce((sum, { failures }) => sum + failures, 0),
    0,
  );
});

pool.run();
