import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { WebSocket, WebSocketServer } from 'ws';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type Origin, reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const change = suite('change and drain');
change.after.each(cleanUp);

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;
const chunkedHead = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';

/** An origin that holds `/hold` and streams `/events` until it is told, and names itself otherwise. */
function named(name: string): Promise<Origin> {
  return startOrigin(({ line }) =>
    line.includes('/hold') ? undefined : line.includes('/events') ? chunkedHead : reply(name),
  );
}

async function withTwo(test: (edge: TestEdge, a: Origin, b: Origin) => Promise<void>): Promise<void> {
  const [a, b] = [await named('a'), await named('b')];
  const edge = await startEdge([{ id: '*', target: a.target }]);
  try {
    await test(edge, a, b);
  } finally {
    edge.close();
    a.close();
    b.close();
  }
}

change('a new table: what runs is not cut, what comes goes the new way', () =>
  withTwo(async (edge, a, b) => {
    const held = connect(edge.port).send(get('/hold'));
    const events = connect(edge.port).send(get('/events'));
    const upload = connect(edge.port).send('POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst');
    const idle = connect(edge.port).send(get());
    assert.is((await idle.response()).text, 'a');
    await events.has('\r\n\r\n');
    await until(() => a.text.includes('first') && a.connections.length >= 3, 'all under way');
    edge.route({ id: '*', target: b.target });
    idle.send(get());
    assert.is((await idle.response()).text, 'b', 'the same connection, the new table');
    edge.route({ id: 'other.test', target: b.target });
    assert.is((await ask(edge.port, get())).status, 404);
    upload.send('later');
    await until(() => a.text.includes('firstlater'), 'the rest of the upload');
    for (const connection of a.connections) {
      if (connection.text.includes('/events')) connection.send('5\r\nhello\r\n0\r\n\r\n');
      else if (connection.text.includes('/hold')) connection.send(reply('held'));
    }
    assert.is((await held.response()).text, 'held');
    assert.is((await upload.response()).text, 'held');
    assert.is((await events.response()).text, 'hello');
    for (const client of [held, events, upload, idle]) client.close();
  }),
);

change('a hundred tables while requests run: none fails, and the upstream connections are kept', () =>
  withTwo(async (edge, a) => {
    let stop = false;
    let count = 0;
    const talk = async () => {
      const client = connect(edge.port);
      for (; !stop; count++) {
        client.send(get());
        assert.is((await client.response()).text, 'a');
      }
      client.close();
    };
    const talkers = Array.from({ length: 8 }, talk);
    for (let i = 0; i < 100; i++) {
      const others = Array.from({ length: i % 7 }, (_, n) => ({ id: `h${n}.test`, target: '127.0.0.1:1' }));
      edge.route({ id: '*', target: a.target, responseTimeoutMs: 5_000 + i }, ...others);
      await sleep(2);
    }
    stop = true;
    await Promise.all(talkers);
    assert.ok(count > 100);
    assert.ok(a.connections.length <= 8, `${a.connections.length} connections`);
  }),
);

change('a WebSocket outlives the route it came by', async () => {
  const web = http.createServer();
  const server = new WebSocketServer({ server: web });
  server.on('connection', (socket) => socket.on('message', (data) => socket.send(String(data))));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const edge = await startEdge([{ id: '*', target: `127.0.0.1:${(web.address() as AddressInfo).port}` }]);
  const socket = new WebSocket(`ws://127.0.0.1:${edge.port}/`);
  await within(once(socket, 'open'), 'open');
  edge.route();
  socket.send('still here');
  const [data] = await within(once(socket, 'message'), 'the echo');
  assert.is(String(data), 'still here');
  socket.terminate();
  edge.close();
  server.close();
  web.close();
});

change('drain: running requests end, idle connections close, new ones are refused', () =>
  withTwo(async (edge, a) => {
    const idle = connect(edge.port).send(get());
    await idle.response();
    const held = connect(edge.port).send(get('/hold'));
    const events = connect(edge.port).send(get('/events'));
    await events.has('\r\n\r\n');
    await until(() => a.text.includes('/hold'), 'the held one');
    let drained = false;
    const draining = edge.edge.drain(10_000).then(() => {
      drained = true;
    });
    const refused = connect(edge.port);
    assert.is(await refused.gone(), 'reset');
    // On its way while the drain began: it is answered, and told to come no more.
    idle.send(get());
    assert.is((await idle.response()).get('connection'), 'close');
    assert.is(await idle.gone(), 'end');
    idle.close();
    await until(() => edge.edge.clients.size === 2, 'the idle one to go');
    assert.not.ok(drained);
    // Past the moment that idle ones are given.
    await sleep(1_200);
    for (const connection of a.connections) {
      if (connection.text.includes('/events')) connection.send('5\r\nhello\r\n0\r\n\r\n');
      else if (connection.text.includes('/hold')) connection.send(reply('held'));
    }
    const answer = await held.response();
    assert.is(answer.text, 'held');
    assert.is(answer.get('connection'), 'close');
    assert.is((await events.response()).text, 'hello');
    for (const client of [held, events]) {
      assert.is(await client.gone(2_000), 'end');
      client.close();
    }
    await within(draining, 'the drain', 3_000);
    assert.is(edge.edge.clients.size, 0);
    assert.is(edge.edge.upstreams.size, 0);
  }),
);

change('drain: an idle client is closed after a moment, without waiting for anybody', () =>
  withTwo(async (edge) => {
    const idle = connect(edge.port).send(get());
    const silent = connect(edge.port);
    await idle.response();
    await until(() => edge.edge.clients.size === 2, 'both');
    await within(edge.edge.drain(10_000), 'the drain', 4_000);
    for (const client of [idle, silent]) {
      assert.is(await client.gone(), 'end');
      assert.is(client.text, '');
      client.close();
    }
  }),
);

change('drain: at its end what still runs is cut, and not as if it were whole', () =>
  withTwo(async (edge, a) => {
    const held = connect(edge.port).send(get('/hold'));
    await a.got(1);
    a.connections[0].send('HTTP/1.1 200 OK\r\n\r\nhalf of it');
    await held.has('half');
    await within(edge.edge.drain(300), 'the drain', 2_000);
    assert.is(await held.gone(), 'reset');
    await until(() => a.connections[0].ended !== '', 'the upstream connection to go');
    held.close();
  }),
);

change.run();
