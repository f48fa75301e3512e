import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const gate = suite('gate');
gate.after.each(cleanUp);

type GateOptions = NonNullable<NonNullable<Route['rollout']>['gate']>;

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const closed = (order: Partial<GateOptions> = {}): Partial<Route> => ({
  rollout: { gate: { state: 'paused', ...order } },
});
const order = (pair: Pair, gate?: Partial<GateOptions>) =>
  pair.route({ id: '*', target: pair.origin.target, ...(gate === undefined ? {} : closed(gate)) });
const waiting = ({ edge }: Pair) => edge.pools.named('route *')?.record.waiting ?? 0;
const echo = {
  request: ({ line, body }: { line: string; body: Buffer }) =>
    reply(Buffer.from(`${line} ${body.toString('latin1')}`, 'latin1')),
};

gate('paused: requests of all kinds wait, and are answered as if they had just come', () =>
  withPair(
    echo,
    async (pair) => {
      const { port, origin } = pair;
      const body = randomBytes(200_000).toString('latin1');
      const plain = connect(port).send(get('/plain'));
      const posted = connect(port).send(
        `POST /length HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const chunked = connect(port).send(
        'POST /chunks HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n',
      );
      chunked.send('5\r\nhello\r\n');
      const expecting = connect(port).send(
        'PUT /expect HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n',
      );
      const old = connect(port).send('GET /old HTTP/1.0\r\nHost: app.test\r\n\r\n');
      await until(() => waiting(pair) === 5, 'five to wait');
      chunked.send('6\r\n world\r\n0\r\n\r\n');
      await sleep(50);
      assert.is(origin.connections.length, 0);
      assert.is(plain.total + posted.total + chunked.total + expecting.total + old.total, 0);
      order(pair);
      assert.is((await plain.response()).text, 'GET /plain HTTP/1.1 ');
      const echoed = await posted.response();
      assert.ok(echoed.body.toString('latin1') === `POST /length HTTP/1.1 ${body}`, 'every byte of it');
      assert.is((await chunked.response()).text, 'POST /chunks HTTP/1.1 hello world');
      expecting.send('data');
      assert.is((await expecting.response()).text, 'PUT /expect HTTP/1.1 data');
      assert.is((await old.response()).text, 'GET /old HTTP/1.1 ');
      assert.is(waiting(pair), 0);
      for (const client of [plain, posted, chunked]) {
        assert.is((await client.send(get('/next')).response()).text, 'GET /next HTTP/1.1 ', 'the connection goes on');
        client.close();
      }
    },
    { route: closed() },
  ),
);

gate('paused: pipelined requests are answered in their order', () =>
  withPair(
    echo,
    async (pair) => {
      const client = connect(pair.port).send(get('/1') + get('/2'));
      await until(() => waiting(pair) === 1, 'the first to wait');
      client.send(`POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc${get('/4')}`);
      await sleep(20);
      order(pair);
      for (const text of ['GET /1 HTTP/1.1 ', 'GET /2 HTTP/1.1 ', 'POST /3 HTTP/1.1 abc', 'GET /4 HTTP/1.1 '])
        assert.is((await client.response()).text, text);
      client.close();
    },
    { route: closed() },
  ),
);

gate('paused: what comes after a waiting head is held up to a bound, and the rest left with the client', () =>
  withPair(
    { request: ({ body }) => reply(`${body.length}`) },
    async (pair) => {
      const bytes = 8 * 1024 * 1024;
      const client = connect(pair.port).send(`POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
      client.send(Buffer.alloc(bytes, 'x'));
      await until(() => waiting(pair) === 1, 'it to wait');
      await sleep(200);
      const { bytesRead } = [...pair.edge.clients][0].socket;
      assert.ok(bytesRead < 2 * 1024 * 1024, `${bytesRead} were read`);
      order(pair);
      assert.is((await client.response({ ms: 20_000 })).text, `${bytes}`);
      client.close();
    },
    { route: closed() },
  ),
);

gate('paused: an upgrade waits, and becomes a tunnel', () =>
  withPair(
    {
      request: (_, connection) => {
        connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello');
      },
    },
    async (pair) => {
      const client = connect(pair.port).send(get('/up', 'Connection: upgrade\r\nUpgrade: echo\r\n'));
      await until(() => waiting(pair) === 1, 'it to wait');
      client.send('early');
      await sleep(20);
      order(pair);
      await client.has('hello');
      await until(() => pair.origin.text.endsWith('early'), 'what came early');
      client.close();
    },
    { route: closed() },
  ),
);

gate('paused: those who waited go to the new target', () =>
  withPair(
    () => reply('old'),
    async (pair) => {
      const next = await startOrigin(() => reply('new'));
      const clients = [connect(pair.port).send(get()), connect(pair.port).send(get())];
      await until(() => waiting(pair) === 2, 'two to wait');
      pair.route({ id: '*', target: next.target, ...closed() });
      await sleep(50);
      assert.is(waiting(pair), 2, 'they go on waiting');
      pair.route({ id: '*', target: next.target });
      for (const client of clients) assert.is((await client.response()).text, 'new');
      assert.is(pair.origin.connections.length, 0);
    },
    { route: closed() },
  ),
);

gate('paused, then removed: 404', () =>
  withPair(
    echo,
    async (pair) => {
      const client = connect(pair.port).send(get());
      await until(() => waiting(pair) === 1, 'it to wait');
      pair.route({ id: 'other.test', target: pair.origin.target });
      assert.is((await client.response()).status, 404);
    },
    { route: closed() },
  ),
);

gate('requests that are under way when it closes go on', () =>
  withPair({ request: () => undefined }, async (pair) => {
    const client = connect(pair.port).send(get());
    await pair.origin.got(1);
    order(pair, { state: 'paused' });
    pair.origin.connections[0].send(reply('done'));
    assert.is((await client.response()).text, 'done');
    client.send(get());
    await until(() => waiting(pair) === 1, 'the next to wait');
    client.close();
    await until(() => waiting(pair) === 0, 'it to be out');
  }),
);

gate('paused: too many, 503 at once; the others wait on', () =>
  withPair(
    echo,
    async (pair) => {
      const first = [connect(pair.port).send(get('/1')), connect(pair.port).send(get('/2'))];
      await until(() => waiting(pair) === 2, 'two to wait');
      const third = await ask(pair.port, get('/3'));
      assert.is(third.status, 503);
      assert.is(third.get('x-oo-code'), 'OO_PAUSED');
      assert.is(third.get('retry-after'), '5');
      first[0].close();
      await until(() => waiting(pair) === 1, 'the first to leave');
      const fourth = connect(pair.port).send(get('/4'));
      await until(() => waiting(pair) === 2, 'another in its place');
      order(pair);
      assert.is((await first[1].response()).text, 'GET /2 HTTP/1.1 ');
      assert.is((await fourth.response()).text, 'GET /4 HTTP/1.1 ');
      assert.not.match(pair.origin.text, '/1 ');
    },
    { route: closed({ maxWaiting: 2 }) },
  ),
);

gate('paused: too long, 503; a body that came is thrown away, and the connection ends', () =>
  withPair(
    echo,
    async (pair) => {
      const plain = connect(pair.port).send(get('/a') + get('/b'));
      const posted = connect(pair.port).send('POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello');
      for (const client of [plain, posted]) {
        const answer = await client.response();
        assert.is(answer.status, 503);
        assert.is(answer.get('x-oo-code'), 'OO_PAUSED');
      }
      await posted.gone();
      assert.is((await plain.response()).status, 503, 'the pipelined one has waited as well');
      assert.is(pair.origin.connections.length, 0);
      assert.is(waiting(pair), 0);
    },
    { route: closed({ maxWaitMs: 300 }) },
  ),
);

gate('a pause that has an end opens by itself', () =>
  withPair(
    echo,
    async (pair) => {
      order(pair, { state: 'paused', until: Date.now() + 400 });
      const client = connect(pair.port).send(get());
      await until(() => waiting(pair) === 1, 'it to wait');
      assert.is((await client.response()).status, 200);
      assert.is((await ask(pair.port, get())).status, 200);
    },
    { route: closed() },
  ),
);

gate('stopped: a page that says what the operator says, as HTML, JSON or text', () =>
  withPair(
    echo,
    async (pair) => {
      const html = await ask(pair.port, get('/', 'Accept: text/html\r\n'));
      assert.is(html.status, 503);
      assert.is(html.get('x-oo-code'), 'OO_STOPPED');
      assert.match(html.get('content-type')!, 'text/html');
      assert.match(html.text, 'Back at &#60;noon&#62;');
      const json = await ask(pair.port, get('/', 'Accept: application/json\r\n'));
      assert.is(JSON.parse(json.text).error, 'Back at <noon>');
      assert.is(JSON.parse(json.text).code, 'OO_STOPPED');
      const text = await ask(pair.port, get());
      assert.match(text.text, '503 Down for maintenance: Back at <noon> (OO_STOPPED');
      assert.is(text.get('retry-after'), '5');
      assert.is(pair.origin.connections.length, 0);
      assert.equal(pair.errors, [], 'it is what the operator wants');
      order(pair, { state: 'stopped', message: '', until: Date.now() + 100_000 });
      const known = await ask(pair.port, get());
      assert.match(known.text, 'Please come back later.');
      assert.ok(Number(known.get('retry-after')) > 90, known.get('retry-after'));
      order(pair);
      assert.is((await ask(pair.port, get())).status, 200);
    },
    { route: closed({ state: 'stopped', message: 'Back at <noon>' }) },
  ),
);

gate('paused, then stopped: all who wait get the page', () =>
  withPair(
    echo,
    async (pair) => {
      const clients = [connect(pair.port).send(get()), connect(pair.port).send(get())];
      await until(() => waiting(pair) === 2, 'two to wait');
      order(pair, { state: 'stopped', message: 'closed' });
      for (const client of clients) assert.match((await client.response()).text, 'closed (OO_STOPPED');
    },
    { route: closed() },
  ),
);

gate('a drain ends what still waits when its time is over', () =>
  withPair(
    echo,
    async (pair) => {
      const client = connect(pair.port).send(get());
      await until(() => waiting(pair) === 1, 'it to wait');
      await within(pair.edge.drain(300), 'the drain');
      await client.gone();
      assert.is(waiting(pair), 0);
    },
    { route: closed() },
  ),
);

gate('a drain lets those who wait go on, if they may in time', () =>
  withPair(
    echo,
    async (pair) => {
      const client = connect(pair.port).send(get());
      await until(() => waiting(pair) === 1, 'it to wait');
      const drained = pair.edge.drain(5_000);
      order(pair);
      const answer = await client.response();
      assert.is(answer.status, 200);
      assert.is(answer.get('connection'), 'close');
      await within(drained, 'the drain');
    },
    { route: closed() },
  ),
);

gate.run();
