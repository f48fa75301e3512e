import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ClientConnection } from '../../src/edge/client.ts';
import { echoLine, expectRefused } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const limits = suite('limits');
limits.after.each(cleanUp);

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

limits('of a head, its fields and its target: at the limit all is well, past it 431 or 414', () =>
  withPair(
    echoLine,
    async (pair) => {
      const fields = (count: number) => 'a: b\r\n'.repeat(count - 1);
      assert.is((await ask(pair.port, get('/x', fields(10)))).status, 200);
      await expectRefused(pair, 'fields', get('/x', fields(11)), 431);
      const sized = (bytes: number) => get('/x', `X-A: ${'b'.repeat(bytes - get('/x', 'X-A: \r\n').length)}\r\n`);
      assert.is(sized(2_000).length, 2_000);
      assert.is((await ask(pair.port, sized(2_000))).status, 200);
      await expectRefused(pair, 'bytes', sized(2_001), 431);
      const target = (bytes: number) => get(`/${'a'.repeat(bytes - 1)}`);
      assert.is((await ask(pair.port, target(100))).status, 200);
      await expectRefused(pair, 'target', target(101), 414);
      const slow = connect(pair.port);
      for (let sent = 0; sent < 2_100 && slow.ended === ''; sent += 300) {
        slow.send(sized(100_000).slice(sent, sent + 300));
        await sleep(2);
      }
      assert.is((await slow.response()).status, 431);
      slow.close();
    },
    { settings: { maxFields: 10, maxHeadBytes: 2_000, maxTargetBytes: 100 } },
  ),
);

limits('maxBodyBytes, by its length: 413 before anything is forwarded', () =>
  withPair(
    echoLine,
    async (pair) => {
      const post = (bytes: number) =>
        `POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`;
      const client = connect(pair.port).send(post(1_000));
      assert.is((await client.response()).status, 200);
      client.close();
      await expectRefused(pair, '1,001 bytes', post(1_001), 413);
      await expectRefused(
        pair,
        'announced',
        'POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 99999999999\r\n\r\n',
        413,
      );
    },
    { route: { maxBodyBytes: 1_000 } },
  ),
);

limits('maxBodyBytes, in chunks: 413, and the upstream never sees an end', () =>
  withPair(
    echoLine,
    async ({ port, origin }) => {
      const head = 'POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n';
      const chunk = `64\r\n${'x'.repeat(100)}\r\n`;
      assert.is((await ask(port, `${head}${chunk.repeat(10)}0\r\n\r\n`)).status, 200);
      assert.is(origin.requests[0].body.length, 1_000);
      const client = connect(port).send(head);
      for (let i = 0; i < 11; i++) {
        client.send(chunk);
        await sleep(2);
      }
      client.send(`0\r\n\r\n${get('/smuggled')}`);
      const answer = await client.response();
      assert.is(answer.status, 413);
      await client.gone();
      assert.is(client.text, '');
      assert.is(origin.requests.length, 1);
      await until(
        () => origin.connections.every(({ ended, requests }) => requests.length > 0 || ended !== ''),
        'the cut',
      );
      assert.not.match(origin.text, 'smuggled');
      client.close();
    },
    { route: { maxBodyBytes: 1_000 } },
  ),
);

limits('maxUpstreamConnections: 503 past it, and none is lost', () =>
  withPair(
    { request: ({ line }) => (line.includes('/hold') ? undefined : reply(line)) },
    async ({ port, origin }) => {
      const held = [connect(port).send(get('/hold1')), connect(port).send(get('/hold2'))];
      await origin.got(2);
      const answer = await ask(port, get());
      assert.is(answer.status, 503);
      assert.is(answer.get('x-oo-code'), 'OO_OVERLOADED');
      assert.is(answer.get('retry-after'), '1');
      origin.connections[0].send(reply('released'));
      assert.is((await held[0].response()).text, 'released');
      assert.is((await ask(port, get())).status, 200);
      held[1].close();
      await until(() => origin.connections[1].ended !== '', 'the second to go');
      for (let i = 0; i < 5; i++) assert.is((await ask(port, get())).status, 200);
      held[0].close();
    },
    { settings: { maxUpstreamConnections: 2 }, route: { limits: { maxWaiting: 0 } } },
  ),
);

limits('a request that may not reuse a connection replaces an idle one at the limit', () =>
  withPair(
    echoLine,
    async ({ port, origin }) => {
      assert.is((await ask(port, get())).status, 200);
      await sleep(1_600);
      const posted = await ask(port, 'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
      assert.is(posted.text, 'POST /p HTTP/1.1');
      assert.is(origin.connections.length, 2);
      await until(() => origin.connections[0].ended !== '', 'the idle one to go');
    },
    { settings: { maxUpstreamConnections: 1 } },
  ),
);

limits('a body slower than it may be is cut after its grace, however steadily it comes', () =>
  withPair({}, async ({ port, edge }) => {
    const client = connect(port).send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\nx');
    await until(() => edge.clients.size === 1, 'the client');
    await sleep(50);
    const [connection] = edge.clients as Set<ClientConnection>;
    // 31 s later, with a byte a second: the clock is an argument.
    connection.deadline = 0;
    connection.onTick(performance.now() + 29_000);
    await sleep(30);
    assert.is(client.text, '');
    connection.onTick(performance.now() + 31_000);
    assert.is((await client.response()).status, 408);
    client.close();
  }),
);

limits.run();
