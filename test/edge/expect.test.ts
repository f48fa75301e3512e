import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine, expectRefused } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { reply } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const expect = suite('expect and interim responses');
expect.after.each(cleanUp);

const go = 'HTTP/1.1 100 Continue\r\n\r\n';
const head = (line: string, fields = '') =>
  `${line} HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n${fields}\r\n`;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;

expect('100-continue goes end to end: the body is held until the upstream wants it', () =>
  withPair(
    {
      data: (connection) => {
        if (connection.text.endsWith('hello')) connection.send(reply('got it'));
      },
    },
    async ({ port, origin }) => {
      const client = connect(port).send(head('POST /x'));
      await until(() => origin.text.includes('\r\n\r\n'), 'the head');
      assert.match(origin.text, /\r\nExpect: 100-continue\r\n/);
      await sleep(50);
      assert.is(client.text, '', 'nobody but the upstream says 100');
      origin.connections[0].send(go);
      assert.is((await client.response()).status, 100);
      client.send('hello');
      assert.is((await client.response()).text, 'got it');
      client.send(get('/next'));
      await until(() => origin.text.includes('/next'), 'the next request');
      assert.is(origin.connections.length, 1, 'a complete exchange is no reason to close');
      client.close();
    },
  ),
);

expect('11: an early final answer: neither connection is used again', () =>
  withPair(
    {
      data: (connection, chunk) => {
        if (chunk.includes('Expect')) connection.send(reply('no', '', '417 Expectation Failed'));
        else if (chunk.includes('GET')) connection.send(reply('next'));
      },
    },
    async ({ port, origin }) => {
      for (const line of ['POST /x', 'GET /x', 'PUT /x']) {
        const client = connect(port).send(head(line));
        const answer = await client.response();
        assert.is(answer.status, 417);
        assert.is(answer.get('connection'), 'close');
        // The withheld body may come now, or another request: neither is taken for the other.
        client.send(get('/smuggled'));
        await client.gone();
        assert.is(client.text, '');
        await until(() => origin.connections.at(-1)!.ended !== '', 'the upstream connection to be discarded');
        assert.not.match(origin.text, 'smuggled');
        client.close();
        assert.is((await ask(port, get('/other'))).text, 'next');
      }
    },
  ),
);

expect('11: an early success without 100: the rest of the connection is not parsed', () =>
  withPair(
    {
      data: (connection, chunk) => {
        if (chunk.includes('Expect')) connection.send(reply('early'));
        else if (chunk.includes('GET')) connection.send(reply('next'));
      },
    },
    async ({ port, origin }) => {
      const client = connect(port).send(head('POST /x'));
      const answer = await client.response();
      assert.is(answer.text, 'early');
      assert.is(answer.get('connection'), 'close');
      client.send(`hello${get('/smuggled')}`);
      await client.gone();
      assert.not.match(origin.text, 'smuggled');
      client.close();
      assert.is((await ask(port, get('/other'))).text, 'next');
    },
  ),
);

expect('11: an Expect that is spelt otherwise, or twice', () =>
  withPair(echoLine, async (pair) => {
    for (const value of [
      '100-continue, x',
      '100 continue',
      'x100-continue',
      '',
      '100-continue;q=1',
      '\v100-continue',
      '200-ok',
    ])
      await expectRefused(
        pair,
        `Expect: ${JSON.stringify(value)}`,
        `POST / HTTP/1.1\r\nHost: app.test\r\nExpect: ${value}\r\nContent-Length: 5\r\n\r\nhello`,
        400,
        417,
      );
    const twice =
      'POST / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nexpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
    await expectRefused(pair, 'twice', twice, 400, 417);
    await expectRefused(
      pair,
      'folded',
      'POST / HTTP/1.1\r\nHost: app.test\r\nExpect:\r\n 100-continue\r\n\r\n',
      400,
      417,
    );
  }),
);

expect('11: in HTTP/1.0, or without a body, it means nothing and goes no further', () =>
  withPair(echoLine, async ({ port, origin }) => {
    await ask(port, 'POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello');
    await ask(port, 'GET / HTTP/1.1\r\nHost: a\r\nEXPECT: 100-Continue\r\n\r\n');
    for (const request of origin.requests) assert.is(request.get('expect'), undefined);
    assert.is(origin.requests.length, 2);
  }),
);

expect('a client that sends the body without waiting', () =>
  withPair(
    {
      data: (connection) => {
        if (connection.text.endsWith('hello')) connection.send(go + reply('got it'));
      },
    },
    async ({ port, origin }) => {
      const client = connect(port).send(`${head('POST /x')}hello${get('/next')}`);
      assert.is((await client.response()).status, 100);
      assert.is((await client.response()).text, 'got it');
      await until(() => origin.text.includes('/next'), 'the next request');
      client.close();
    },
  ),
);

expect('103 and 102 are passed on, each at once; a 100 that nobody waits for is not', () =>
  withPair({ request: () => undefined }, async ({ port, origin }) => {
    const client = connect(port).send(get('/x'));
    await origin.got(1);
    const [connection] = origin.connections;
    connection.send('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-b\r\nX-B: c\r\n\r\n');
    const hints = await client.response();
    assert.is(hints.status, 103);
    assert.is(hints.get('link'), '</a.css>; rel=preload');
    assert.is(hints.get('x-b'), undefined);
    connection.send(`${go}HTTP/1.1 102 Processing\r\n\r\n${reply('done')}`);
    assert.is((await client.response()).status, 102);
    assert.is((await client.response()).text, 'done');
    const old = connect(port).send('GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n');
    await origin.got(2);
    connection.send(`HTTP/1.1 103 Early Hints\r\n\r\n${reply('done')}`);
    assert.is((await old.response()).status, 200, 'HTTP/1.0 knows no interim responses');
    assert.is(origin.connections.length, 1);
    for (const each of [client, old]) each.close();
  }),
);

expect.run();
