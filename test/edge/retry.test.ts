import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type OriginConnection, reply, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const retry = suite('retry');
retry.after.each(cleanUp);

const request = (line: string, body?: string) =>
  `${line} HTTP/1.1\r\nHost: app.test\r\n${body === undefined ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body ?? ''}`;

/** Answers the first request of a connection, and does `then` at the second. */
const dyingAtSecond =
  (then: (connection: OriginConnection) => void) =>
  ({ line }: { line: string }, connection: OriginConnection) => {
    if (connection.requests.length === 1) return reply(line);
    then(connection);
    return undefined;
  };

const deaths: Record<string, (connection: OriginConnection) => void> = {
  'a FIN': ({ socket }) => void socket.end(),
  'a reset': ({ socket }) => void socket.resetAndDestroy(),
};

for (const [how, die] of Object.entries(deaths)) {
  retry(`a reused connection that dies by ${how} at the request: the idempotent is repeated`, async () => {
    for (const line of ['GET /2', 'HEAD /2', 'OPTIONS /2', 'PUT /2', 'DELETE /2'])
      await withPair(dyingAtSecond(die), async ({ port, origin }) => {
        const client = connect(port).send(request('GET /1'));
        await client.response();
        client.send(request(line));
        const answer = await client.response({ head: line.startsWith('HEAD') });
        assert.is(answer.status, 200, line);
        assert.equal(
          origin.connections.map(({ requests }) => requests.map((each) => each.line)),
          [['GET /1 HTTP/1.1', `${line} HTTP/1.1`], [`${line} HTTP/1.1`]],
        );
        client.close();
      });
  });

  retry(`a reused connection that dies by ${how}: what is not idempotent, or has a body, is not repeated`, async () => {
    for (const [line, body] of [
      ['POST /2', 'x'],
      ['POST /2', undefined],
      ['PATCH /2', 'x'],
      ['PUT /2', 'x'],
      ['LOCK /2', undefined],
    ])
      await withPair(dyingAtSecond(die), async ({ port, origin }) => {
        const client = connect(port).send(request('GET /1'));
        await client.response();
        client.send(request(line!, body));
        const answer = await client.response();
        assert.is(answer.status, 502, line);
        assert.is(answer.get('x-oo-code'), 'OO_UPSTREAM_CLOSED');
        assert.is(origin.requests.filter((each) => each.line.includes('/2')).length, 1);
        client.send(request('GET /3'));
        assert.is((await client.response()).text, 'GET /3 HTTP/1.1');
        client.close();
      });
  });
}

retry('a fresh connection that dies is not tried again: the upstream has said no', () =>
  withPair(
    (_, { socket }) => void socket.end(),
    async ({ port, origin }) => {
      const answer = await ask(port, request('GET /x'));
      assert.is(answer.status, 502);
      assert.is(origin.requests.length, 1);
    },
  ),
);

for (const part of ['HTTP/1.1 200 OK\r\nX-A', 'HTTP/1.1 103 Early Hints\r\n\r\n'])
  retry(`a request is not repeated once ${JSON.stringify(part)} has come`, () =>
    withPair(
      dyingAtSecond((connection) => {
        connection.send(part);
        setTimeout(() => connection.socket.end(), 20);
      }),
      async ({ port, origin }) => {
        const client = connect(port).send(request('GET /1'));
        await client.response();
        client.send(request('GET /2'));
        let answer = await client.response();
        if (answer.status === 103) answer = await client.response();
        assert.is(answer.status, 502);
        assert.is(origin.requests.length, 2);
        client.close();
      },
    ),
  );

retry('an upstream that closes idle connections, and a hundred requests: none fails', () =>
  withPair(
    ({ line }, connection) => {
      connection.send(reply(line));
      if (connection.requests.length % 3 === 0) setImmediate(() => connection.socket.end());
      return undefined;
    },
    async ({ port, origin }) => {
      const client = connect(port);
      for (let i = 0; i < 100; i++) {
        client.send(request(`GET /${i}`));
        assert.is((await client.response()).text, `GET /${i} HTTP/1.1`);
      }
      assert.ok(origin.connections.length >= 33);
      client.close();
    },
  ),
);

retry('what cannot be repeated goes to a connection that rested for a moment only, or to a new one', () =>
  withPair(echoLine, async ({ port, origin }) => {
    const client = connect(port).send(request('GET /1'));
    await client.response();
    client.send(request('POST /2', 'x'));
    await client.response();
    assert.is(origin.connections.length, 1);
    await sleep(1_600);
    client.send(request('POST /3', 'x'));
    assert.is((await client.response()).status, 200);
    assert.is(origin.connections.length, 2);
    client.close();
  }),
);

retry('nobody listens: 502 for all methods, and the body of one never becomes another request', async () => {
  const dead = await startOrigin();
  const target = dead.target;
  dead.close();
  const origin = await startOrigin(dyingAtSecond(({ socket }) => void socket.end()));
  const edge = await startEdge([
    { id: 'dead.test', target },
    { id: 'app.test', target: origin.target },
  ]);
  const client = connect(edge.port).send(request('GET /1'));
  await client.response();
  const smuggled = request('GET /smuggled');
  client.send(request('POST /x', smuggled).replace('app.test', 'dead.test'));
  const answer = await client.response();
  assert.is(answer.status, 502);
  assert.is(answer.get('x-oo-code'), 'OO_CONNECT_FAILED');
  // This one is repeated, since the origin closes the reused connection.
  client.send(request('GET /2'));
  assert.is((await client.response()).text, 'GET /2 HTTP/1.1');
  client.send(request('GET /3').replace('app.test', 'dead.test'));
  assert.is((await client.response()).status, 502);
  assert.not.match(origin.text, 'smuggled');
  client.close();
  edge.close();
  origin.close();
});

retry('a head sent behind one that left with its body is whole', () =>
  withPair(echoLine, async ({ port }) => {
    const client = connect(port).send(request('GET /a'));
    await client.response();
    const post = request('POST /b', 'hi');
    client.send(post);
    await client.response();
    // As long as the POST's head, and longer than the first one.
    const path = `/${'g'.repeat(post.length - 2 - request('GET /').length)}`;
    client.send(request(`GET ${path}`));
    assert.is((await client.response({ ms: 3_000 })).text, `GET ${path} HTTP/1.1`);
    client.close();
  }),
);

retry('a client that leaves takes its upstream connection with it, wherever it is', () =>
  withPair(
    ({ line }, connection) => {
      if (line.includes('/head')) return;
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart');
    },
    async ({ port, origin, edge }) => {
      for (const path of ['/head', '/body'])
        for (const leave of ['close', 'reset', 'half'] as const) {
          const client = connect(port).send(request(`GET ${path}`));
          const at = origin.connections.length;
          await until(() => (origin.connections[at]?.requests.length ?? 0) > 0, 'the request');
          if (path === '/body') await client.has('part');
          if (leave === 'half') client.socket.end();
          else client[leave]();
          await until(() => origin.connections[at].ended !== '', `the end at the origin: ${path}, ${leave}`, 1_000);
          if (leave === 'half' && path === '/body') assert.is(await client.gone(), 'reset', 'no clean end of a part');
          client.close();
        }
      const upload = connect(port).send('POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart');
      await until(() => origin.connections.at(-1)!.text.endsWith('part'), 'the upload');
      upload.reset();
      await until(() => origin.connections.at(-1)!.ended !== '', 'the end of the upload');
      await until(() => edge.clients.size === 0 && edge.upstreams.size === 0, 'all connections to go');
    },
  ),
);

retry.run();
