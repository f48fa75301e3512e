import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { limited, slowly } from '../helpers/places.ts';
import { type Pair, startEdge, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const wait = suite('wait');
wait.after.each(cleanUp);

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const waiting = ({ edge }: Pick<Pair, 'edge'>) => edge.pools.named('route *')?.record.waiting ?? 0;

wait('one place, ten requests: all are answered, in the order in which they came', async () => {
  const origin = slowly(10);
  await withPair(
    origin,
    async (pair) => {
      const order: number[] = [];
      const clients = [];
      for (let i = 0; i < 10; i++) {
        const client = connect(pair.port).send(get(`/${i}`));
        clients.push(client.response().then(({ text }) => order.push(Number(/\/(\d)/.exec(text)![1]))));
        await until(() => waiting(pair) + pair.edge.upstreams.size + order.length > i, 'it to come');
        await sleep(2);
      }
      await Promise.all(clients);
      assert.equal(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      assert.is(origin.most, 1);
      assert.is(pair.origin.connections.length, 1);
      assert.is(waiting(pair), 0);
    },
    limited(1),
  );
});

wait('the line is full: 503 at once', () =>
  withPair(
    { request: ({ line }) => (line.includes('/hold') ? undefined : reply(line)) },
    async (pair) => {
      const held = connect(pair.port).send(get('/hold'));
      await pair.origin.got(1);
      const queued = [connect(pair.port).send(get('/1')), connect(pair.port).send(get('/2'))];
      await until(() => waiting(pair) === 2, 'two to wait');
      const refused = await ask(pair.port, get('/3'));
      assert.is(refused.status, 503);
      assert.is(refused.get('x-oo-code'), 'OO_OVERLOADED');
      assert.is(refused.get('retry-after'), '1');
      pair.origin.connections[0].send(reply('released'));
      assert.is((await held.response()).text, 'released');
      for (const [i, client] of queued.entries()) assert.is((await client.response()).text, `GET /${i + 1} HTTP/1.1`);
    },
    limited(1, { maxWaiting: 2 }),
  ),
);

wait('too long: 503, and who comes then can have the place', () =>
  withPair(
    { request: ({ line }) => (line.includes('/hold') ? undefined : reply(line)) },
    async (pair) => {
      const held = connect(pair.port).send(get('/hold'));
      await pair.origin.got(1);
      const late = await ask(pair.port, get('/late'));
      assert.is(late.status, 503);
      assert.is(late.get('x-oo-code'), 'OO_OVERLOADED');
      held.close();
      assert.is((await ask(pair.port, get('/next'))).status, 200);
      assert.not.match(pair.origin.text, '/late');
    },
    limited(1, { maxWaitMs: 200 }),
  ),
);

wait('a client that leaves is out of the line at once', () =>
  withPair(
    { request: ({ line }) => (line.includes('/hold') ? undefined : reply(line)) },
    async (pair) => {
      const held = connect(pair.port).send(get('/hold'));
      await pair.origin.got(1);
      const leaver = connect(pair.port).send(get('/leaver'));
      const stayer = connect(pair.port).send(get('/stayer'));
      await until(() => waiting(pair) === 2, 'two to wait');
      leaver.close();
      await until(() => waiting(pair) === 1, 'one to leave');
      held.close();
      assert.is((await stayer.response()).text, 'GET /stayer HTTP/1.1');
      assert.not.match(pair.origin.text, '/leaver');
    },
    limited(1),
  ),
);

wait('more instances, or higher limits, let them go', () =>
  withPair(
    { request: () => undefined },
    async (pair) => {
      const other = await startOrigin(() => reply('other'));
      connect(pair.port).send(get('/hold'));
      await pair.origin.got(1);
      const client = connect(pair.port).send(get());
      await until(() => waiting(pair) === 1, 'it to wait');
      pair.route({ id: '*', target: [pair.origin.target, other.target], limits: { maxConnections: 1 } });
      assert.is((await client.response()).text, 'other');
    },
    limited(1),
  ),
);

wait('places of several instances: each is full, and none has more than it may', async () => {
  const origins = [slowly(5), slowly(5)];
  const [a, b] = [await startOrigin(origins[0]), await startOrigin(origins[1])];
  const pair = await startEdge([{ id: '*', target: [a.target, b.target], limits: { maxConnections: 2 } }]);
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(pair.port, get(`/${i}`))));
  assert.equal(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(
    origins.map(({ most }) => most),
    [2, 2],
  );
});

wait('without options it is the server that limits, and requests wait all the same', async () => {
  const origin = slowly(20);
  await withPair(
    origin,
    async ({ port }) => {
      const answers = await Promise.all(Array.from({ length: 10 }, () => ask(port, get())));
      assert.equal(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.is(origin.most, 2);
    },
    { settings: { maxUpstreamConnections: 2 } },
  );
});

wait('an upstream that dies while others wait: they are told, or go to a new connection', () =>
  withPair(
    {
      request: ({ line }, connection) => {
        if (line.includes('/die')) connection.socket.destroy();
        else return reply(line);
      },
    },
    async (pair) => {
      const dying = connect(pair.port).send('POST /die HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n');
      await until(() => pair.edge.upstreams.size === 1, 'its connection');
      const next = connect(pair.port).send(get('/next'));
      await until(() => waiting(pair) === 1, 'the other to wait');
      dying.send('x');
      assert.is((await dying.response()).status, 502);
      assert.is((await next.response()).text, 'GET /next HTTP/1.1');
    },
    limited(1),
  ),
);

wait.run();
