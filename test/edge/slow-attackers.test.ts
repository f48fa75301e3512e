import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect, type RawClient } from '../helpers/client.ts';
import { withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const slow = suite('slow attackers');
slow.after.each(cleanUp);

const crowd = 500;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;

/** Opens the crowd, lets each trickle its piece a few times a second, and asks honestly meanwhile until the crowd is cut. */
async function besiege(
  port: number,
  start: string,
  piece: string,
): Promise<{ answers: Record<string, number>; worstMs: number }> {
  const clients: RawClient[] = [];
  for (let i = 0; i < crowd; i++) {
    clients.push(connect(port).send(start));
    if (i % 50 === 49) await sleep(5);
  }
  const timer = setInterval(() => {
    for (const client of clients) if (client.ended === '') client.send(piece);
  }, 200);
  let worstMs = 0;
  const end = performance.now() + 8_000;
  for (let i = 0; clients.some(({ ended }) => ended === ''); i++) {
    assert.ok(performance.now() < end, `${clients.filter(({ ended }) => ended === '').length} are still there`);
    const started = performance.now();
    const answer = await ask(port, get(`/honest${i}`));
    assert.is(answer.text, `GET /honest${i} HTTP/1.1`);
    worstMs = Math.max(worstMs, performance.now() - started);
    await sleep(20);
  }
  clearInterval(timer);
  const answers: Record<string, number> = {};
  for (const client of clients) {
    const line = client.text.split('\r\n')[0];
    answers[line] = (answers[line] ?? 0) + 1;
    client.close();
  }
  return { answers, worstMs };
}

slow('heads that trickle without end are cut, and nobody else is slowed', () =>
  withPair(
    echoLine,
    async ({ port, edge, origin }) => {
      const { answers, worstMs } = await besiege(port, 'GET / HTTP/1.1\r\nHost: app.test\r\n', 'X-A: b\r\n');
      assert.equal(answers, { 'HTTP/1.1 408 Request Timeout': crowd });
      assert.ok(worstMs < 1_000, `${worstMs} ms`);
      assert.not.ok(origin.requests.some(({ line }) => line === 'GET / HTTP/1.1'));
      await until(() => edge.clients.size === 0, 'all to go');
    },
    { settings: { headTimeoutMs: 1_500 } },
  ),
);

slow('connections that say nothing are cut', () =>
  withPair(
    echoLine,
    async ({ port, edge, origin }) => {
      const { answers } = await besiege(port, '', '');
      assert.equal(answers, { '': crowd });
      assert.ok(origin.connections.length <= 2);
      await until(() => edge.clients.size === 0, 'all to go');
    },
    { settings: { headTimeoutMs: 1_000 } },
  ),
);

slow('bodies that stop are cut, and their upstream connections freed', () =>
  withPair(
    echoLine,
    async ({ port, edge, origin }) => {
      const head = 'POST /slow HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\nx';
      const { answers, worstMs } = await besiege(port, head, '');
      assert.equal(answers, { 'HTTP/1.1 408 Request Timeout': crowd });
      assert.ok(worstMs < 1_000, `${worstMs} ms`);
      await until(() => edge.clients.size === 0 && edge.upstreams.size <= 2, 'all to go');
      assert.not.ok(origin.requests.some(({ line }) => line.includes('/slow')));
    },
    { settings: { idleTimeoutMs: 1_500 } },
  ),
);

slow('bodies that trickle hold only as many upstream connections as there may be', () =>
  withPair(
    echoLine,
    async ({ port, edge, origin, route }) => {
      const limits = { maxWaiting: 0 };
      route(
        { id: 'app.test', target: origin.target, limits },
        { id: 'other.test', target: `localhost:${origin.port}` },
      );
      const clients = Array.from({ length: 60 }, () =>
        connect(port).send('POST /slow HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\nx'),
      );
      await until(() => clients.filter(({ text }) => text.startsWith('HTTP/1.1 503')).length === 20, '20 refused');
      assert.is(edge.upstreams.size, 40);
      const other = await ask(port, get('/fine').replace('app.test', 'other.test'));
      assert.is(other.text, 'GET /fine HTTP/1.1', 'another instance is not concerned');
      for (const client of clients) client.close();
    },
    { settings: { maxUpstreamConnections: 40 } },
  ),
);

slow.run();
