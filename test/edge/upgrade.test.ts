import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const upgrade = suite('upgrade');
upgrade.after.each(cleanUp);

const ask101 = (fields = '', host = 'app.test') =>
  `GET /chat HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${fields}\r\n`;
const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: b\r\n\r\n';

upgrade('101 makes a tunnel; bytes right behind both heads are not lost', () =>
  withPair({ request: (_, { socket }) => void socket.write(`${switched}early down`) }, async ({ port, origin }) => {
    const client = connect(port).send(`${ask101()}early up`);
    const answer = await client.response();
    assert.is(answer.status, 101);
    assert.is(answer.get('upgrade'), 'websocket');
    assert.is(answer.get('connection')?.toLowerCase(), 'upgrade');
    assert.is(answer.get('x-a'), 'b');
    await client.has('early down');
    const [connection] = origin.connections;
    await until(() => connection.text.endsWith('early up'), 'the early bytes');
    const [request] = connection.requests;
    assert.is(request.get('upgrade'), 'websocket');
    assert.is(request.get('connection')?.toLowerCase(), 'upgrade');
    assert.is(request.get('sec-websocket-version'), '13');
    // What looks like HTTP is not, in a tunnel.
    client.send('GET /x HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n');
    await until(() => connection.text.endsWith('1.1.1.1\r\n\r\n'), 'the tunneled bytes');
    connection.send('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    await client.has('Connection: close\r\n\r\n');
    assert.is(client.ended, '');
    client.close();
    await until(() => connection.ended !== '', 'the end of the tunnel');
  }),
);

upgrade('30: an upgrade answered 200 is no tunnel: what follows are requests', () =>
  withPair(echoLine, async ({ port, origin }) => {
    const client = connect(port).send(
      `${ask101()}GET /next HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`,
    );
    assert.is((await client.response()).text, 'GET /chat HTTP/1.1');
    assert.is((await client.response()).text, 'GET /next HTTP/1.1');
    assert.not.match(origin.text, '6.6.6.6');
    client.send('not http at all\r\n\r\n');
    assert.is((await client.response()).status, 400);
    assert.not.match(origin.text, 'not http');
    client.close();
  }),
);

upgrade('30: 101 that nobody asked for, or that names no protocol', () =>
  withPair(
    ({ line }) =>
      line.includes('plain')
        ? `${switched}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`
        : line.includes('chat')
          ? 'HTTP/1.1 101 Switching Protocols\r\n\r\npoison'
          : reply(line),
    async ({ port, origin }) => {
      for (const request of ['GET /plain HTTP/1.1\r\nHost: a\r\n\r\n', ask101()]) {
        const client = connect(port).send(request);
        const answer = await client.response();
        assert.is(answer.status, 502);
        assert.is(answer.get('x-oo-code'), 'OO_BAD_RESPONSE');
        client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
        assert.is((await client.response()).text, 'GET /next HTTP/1.1');
        assert.not.match(client.text, 'poison');
        client.close();
      }
      assert.is(origin.connections.filter(({ ended }) => ended === '').length, 1);
    },
  ),
);

upgrade('31: nothing is a tunnel before 101', () =>
  withPair(
    ({ line }) => (line.includes('chat') ? reply('no', '', '426 Upgrade Required') : reply(line)),
    async ({ port, origin }) => {
      const client = connect(port).send(
        `${ask101().replace('13', '777')}GET /private HTTP/1.1\r\nHost: app.test\r\nX-Real-IP: 6.6.6.6\r\n\r\n`,
      );
      assert.is((await client.response()).status, 426);
      assert.is((await client.response()).text, 'GET /private HTTP/1.1');
      assert.is(origin.requests.at(-1)!.get('x-real-ip'), '127.0.0.1');
      client.close();
    },
  ),
);

upgrade('31: while the answer is not there, bytes wait', () =>
  withPair({}, async ({ port, origin }) => {
    const client = connect(port).send(`${ask101()}GET /private HTTP/1.1\r\nHost: app.test\r\n\r\n`);
    await until(() => origin.text.includes('/chat'), 'the request');
    await sleep(50);
    assert.not.match(origin.text, '/private');
    client.close();
    await until(() => origin.connections[0].ended !== '', 'the end');
  }),
);

upgrade('an offer that cannot be taken up is not passed on', () =>
  withPair(echoLine, async ({ port, origin }) => {
    for (const request of [
      ask101().replace('keep-alive, Upgrade', 'keep-alive'),
      ask101().replace('HTTP/1.1', 'HTTP/1.0'),
      ask101('Upgrade: other\r\n'),
      ask101('Content-Length: 2\r\n').concat('hi'),
    ]) {
      assert.is((await ask(port, request)).status, 200);
      assert.is(origin.requests.at(-1)!.get('upgrade'), undefined);
      assert.is(origin.requests.at(-1)!.get('connection'), undefined);
    }
  }),
);

upgrade('32: without a route nothing is connected', async () => {
  const origin = await startOrigin(() => switched);
  const edge = await startEdge([{ id: 'app.test', target: origin.target }]);
  const client = connect(edge.port).send(`${ask101('', 'none.test')}bytes`);
  assert.is((await client.response()).status, 404);
  assert.is(origin.connections.length, 0);
  client.close();
  edge.close();
  origin.close();
});

upgrade('each side can end its half of a tunnel and still be sent to', () =>
  withPair({ request: () => switched }, async ({ port, origin, edge }) => {
    for (const clientFirst of [true, false]) {
      const client = connect(port).send(ask101());
      await client.response();
      const connection = origin.connections.at(-1)!;
      const [first, second] = clientFirst ? [client, connection] : [connection, client];
      first.send('last words');
      first.socket.end();
      await until(() => second.text.endsWith('last words') && second.ended === 'end', 'the first half to end');
      assert.is(first.ended, '');
      const much = 'm'.repeat(3_000_000);
      second.send(much);
      second.socket.end();
      await until(() => first.ended === 'end', 'the second half to end');
      assert.ok(first.text.endsWith(much), 'all that came in the second half');
      await until(() => edge.clients.size === 0 && edge.upstreams.size === 0, 'both connections to go');
    }
  }),
);

upgrade('a side that breaks off takes the other with it', () =>
  withPair({ request: () => switched }, async ({ port, origin, edge }) => {
    const left = connect(port).send(ask101());
    await left.response();
    left.reset();
    await until(() => origin.connections[0].ended !== '', 'the end at the origin');
    const staying = connect(port).send(ask101());
    await staying.response();
    origin.connections[1].socket.resetAndDestroy();
    await staying.gone();
    staying.close();
    await until(() => edge.clients.size === 0 && edge.upstreams.size === 0, 'both connections to go');
  }),
);

upgrade('a silent tunnel is ended after its own time-out, a busy one is not', () =>
  withPair(
    { request: () => switched },
    async ({ port, origin }) => {
      const silent = connect(port).send(ask101());
      const busy = connect(port).send(ask101());
      await silent.response();
      await busy.response();
      const busyConnection = origin.connections[1];
      for (let i = 0; silent.ended === '' && i < 50; i++) {
        // One way at a time: either keeps it alive.
        if (i < 8) busy.send('x');
        else busyConnection.send('y');
        await sleep(100);
      }
      assert.not.equal(silent.ended, '');
      assert.is(busy.ended, '');
      await until(() => origin.connections[0].ended !== '', 'the end at the origin');
      busy.close();
    },
    { settings: { tunnelIdleMs: 1_500, idleTimeoutMs: 100 } },
  ),
);

upgrade('a tunnel holds both sides back: slow readers get every byte, in order', () =>
  withPair(
    {
      request: (_, connection) => {
        connection.record = false;
        connection.send(switched);
        connection.socket.pipe(connection.socket);
      },
    },
    async ({ port }) => {
      const client = connect(port).send(ask101());
      await client.response();
      const sent = createHash('sha1');
      const got = createHash('sha1');
      let total = 0;
      client.socket.removeAllListeners('data').on('data', (chunk: Buffer) => {
        total += chunk.length;
        got.update(chunk);
        client.socket.pause();
        setTimeout(() => client.socket.resume(), 1);
      });
      const size = 12_000_000;
      for (let i = 0; i < size / 100_000; i++) {
        const part = Buffer.alloc(100_000, `part ${i} `);
        sent.update(part);
        if (!client.socket.write(part)) await new Promise((resolve) => client.socket.once('drain', resolve));
      }
      await until(() => total === size, 'the echo', 15_000);
      assert.is(got.digest('hex'), sent.digest('hex'));
      client.close();
    },
  ),
);

upgrade.run();
