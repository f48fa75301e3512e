import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const upstream = suite('upstream attacks');
upstream.after.each(cleanUp);

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';

/** Answers `/bad` with `bytes`, and any other path with its own request line. */
const badly =
  (bytes: string | ((connection: OriginConnection) => void)) =>
  ({ line }: { line: string }, connection: OriginConnection) => {
    if (!line.includes('/bad')) return reply(line);
    if (typeof bytes === 'string') return bytes;
    bytes(connection);
    return undefined;
  };

/** On the same connection, if it is kept, and on another one: the next request gets its own answer. */
async function expectOwnAnswers({ port }: Pair, client?: ReturnType<typeof connect>): Promise<void> {
  if (client?.ended === '') {
    client.send(get('/same'));
    assert.is((await client.response()).text, 'GET /same HTTP/1.1');
    assert.is(client.text, '');
  }
  for (let i = 0; i < 3; i++) assert.is((await ask(port, get(`/other${i}`))).text, `GET /other${i} HTTP/1.1`);
}

const behind: [what: string, answer: string, body: string][] = [
  ['a length', `${reply('hello')}${poison}`, 'hello'],
  ['a length of zero', `${reply('')}${poison}`, ''],
  ['the last chunk', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${poison}`, 'hello'],
  ['trailers', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n\r\n${poison}`, ''],
  ['204', `HTTP/1.1 204 No Content\r\n\r\n${poison}`, ''],
  ['304', `HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n${poison}`, ''],
  ['one byte', `${reply('hello')}\n`, 'hello'],
];

for (const [what, bytes, body] of behind)
  upstream(`45: bytes behind ${what} answer nobody`, () =>
    withPair(badly(bytes), async (pair) => {
      const client = connect(pair.port).send(get('/bad'));
      assert.is((await client.response()).text, body);
      await expectOwnAnswers(pair, client);
      assert.not.match(client.text, 'poison');
      assert.not.equal(pair.origin.connections[0].ended, '', 'the connection is discarded');
      client.close();
    }),
  );

upstream('45: a body behind the answer to HEAD', () =>
  withPair(badly(`${reply('hello')}${poison}`), async (pair) => {
    const client = connect(pair.port).send('HEAD /bad HTTP/1.1\r\nHost: app.test\r\n\r\n');
    assert.is((await client.response({ head: true })).get('content-length'), '5');
    await expectOwnAnswers(pair, client);
    assert.is(client.text, '');
    client.close();
  }),
);

upstream('45: bytes that come while nothing is asked', () =>
  withPair(
    badly((connection) => {
      connection.send(reply('hello'));
      setTimeout(() => connection.send(poison), 40);
    }),
    async (pair) => {
      const client = connect(pair.port).send(get('/bad'));
      assert.is((await client.response()).text, 'hello');
      await until(() => pair.origin.connections[0].ended !== '', 'the connection to be discarded');
      await expectOwnAnswers(pair, client);
      client.close();
    },
  ),
);

upstream('45: an answer before the request', () =>
  withPair({ connected: (connection) => void connection.send(poison) }, async ({ port, origin }) => {
    const client = connect(port).send(get('/x'));
    await client.response();
    await sleep(30);
    assert.is(client.text, '', 'one answer at the most');
    client.close();
    assert.ok(origin.connections.length >= 1);
  }),
);

const cut: [what: string, ends: 'end' | 'reset', bytes: string][] = [];
for (const ends of ['end', 'reset'] as const) {
  cut.push(
    ['a length', ends, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['a length, with no byte of the body', ends, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n'],
    ['a chunk', ends, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf'],
    ['between chunks', ends, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['the last chunk', ends, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n'],
  );
}
cut.push(['a body that only the end ends', 'reset', 'HTTP/1.1 200 OK\r\n\r\nhalf']);

for (const minor of [1, 0])
  upstream(`46: a body that is cut short is cut for an HTTP/1.${minor} client too`, async () => {
    for (const [what, ends, bytes] of cut) {
      const breaks = (connection: OriginConnection) => {
        connection.send(bytes);
        setTimeout(() => (ends === 'end' ? connection.socket.end() : connection.socket.resetAndDestroy()), 30);
      };
      await withPair(badly(breaks), async (pair) => {
        const client = connect(pair.port).send(get('/bad').replace('HTTP/1.1', `HTTP/1.${minor}`));
        assert.is(await client.gone(), 'reset', `${what}, ${ends}`);
        assert.not.match(client.text, '\r\n0\r\n\r\n');
        client.close();
        await expectOwnAnswers(pair);
      });
    }
  });

const firstChunkWrong = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n0\r\n\r\n';

upstream('46: a chunk that turns out broken ends the answer', () =>
  withPair(
    badly((connection) => {
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      setTimeout(() => connection.send('+5\r\nworld\r\n0\r\n\r\n'), 30);
    }),
    async (pair) => {
      const client = connect(pair.port).send(get('/bad'));
      assert.is(await client.gone(), 'reset');
      assert.not.match(client.text, 'world');
      client.close();
      await expectOwnAnswers(pair);
    },
  ),
);

const refused: [what: string, bytes: string][] = [
  ['a field of 1 MB', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(1_000_000)}\r\n\r\n`],
  ['5,000 fields', `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(5_000)}\r\n`],
  ['2,000 interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(2_000)],
  ['a status of two digits', 'HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 1000 High\r\nContent-Length: 0\r\n\r\n'],
  ['a status of 099', 'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n'],
  ['a status of 600', 'HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n'],
  ['garbage', 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'],
  ['HTTP/0.9', '<html>hello</html>'],
  ['HTTP/2', 'HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n'],
  ['NUL', 'HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 0\r\n\r\n'],
  ['bare LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
  ['bare LF in a field', 'HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 5\r\n\r\nhello'],
  ['bare CR in a field', 'HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 5\r\n\r\nhello'],
  ['bare CR in the reason', 'HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello'],
  ['no colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['chunks twice', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
  ['two lengths in other case', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nCONTENT-LENGTH: 6\r\n\r\nhello!'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello'],
  ['a length list', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!'],
  ['204 with a body', `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello`],
  ['chunks from HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a broken first chunk', firstChunkWrong],
  ['a request', get('/')],
  ['101 unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
];

upstream('47, 48: what is no valid response is a 502, and its connection is not used again', async () => {
  for (const [what, bytes] of refused)
    await withPair(badly(bytes), async (pair) => {
      const client = connect(pair.port).send(get('/bad'));
      let answer = await client.response();
      while (answer.status < 200) answer = await client.response();
      assert.is(answer.status, 502, what);
      assert.is(answer.get('x-oo-code'), 'OO_BAD_RESPONSE', what);
      await until(() => pair.origin.connections[0].ended !== '', `${what}: the connection to be discarded`);
      assert.is(pair.origin.requests.length, 1, `${what}: asked once`);
      await expectOwnAnswers(pair, client);
      assert.is(client.text, '', what);
      client.close();
    });
});

upstream('47: one on a connection that was used before is not asked for again', () =>
  withPair(badly('HTTP/1.1 2OO OK\r\n\r\n'), async (pair) => {
    const client = connect(pair.port).send(get('/good'));
    await client.response();
    client.send(get('/bad'));
    assert.is((await client.response()).status, 502);
    assert.is(pair.origin.requests.filter(({ line }) => line.includes('bad')).length, 1);
    client.close();
  }),
);

upstream('response splitting: what looks like a head inside a value or a body is neither', () =>
  withPair(
    badly(reply('HTTP/1.1 200 OK\r\nSet-Cookie: x=y\r\n\r\n', 'X-A: HTTP/1.1 200 OK Set-Cookie: x=y\r\n')),
    async (pair) => {
      const client = connect(pair.port).send(get('/bad') + get('/next'));
      const answer = await client.response();
      assert.is(answer.get('set-cookie'), undefined);
      assert.match(answer.text, 'Set-Cookie: x=y');
      assert.is((await client.response()).text, 'GET /next HTTP/1.1');
      client.close();
    },
  ),
);

upstream('48: a coding of the content is none of our business', () =>
  withPair(
    () => reply('\x1f\x8b not really', 'Content-Encoding: gzip, gzip\r\nVary: Accept-Encoding\r\n'),
    async ({ port, origin }) => {
      const answer = await ask(port, 'GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n');
      assert.is(answer.text, '\x1f\x8b not really');
      assert.is(answer.get('content-encoding'), 'gzip, gzip');
      assert.is(origin.requests[0].get('accept-encoding'), 'gzip, br');
    },
  ),
);

upstream('an answer that comes byte by byte is whole', () =>
  withPair(
    badly((connection) => {
      const bytes = `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: x-b\r\nX-B: c\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n`;
      let at = 0;
      const timer = setInterval(() => (at < bytes.length ? connection.send(bytes[at++]) : clearInterval(timer)), 1);
    }),
    async (pair) => {
      const client = connect(pair.port).send(get('/bad'));
      assert.is((await client.response()).status, 103);
      const answer = await client.response();
      assert.is(answer.text, 'hello');
      assert.equal(answer.trailers, ['X-A: b']);
      assert.is(answer.get('x-b'), undefined);
      await expectOwnAnswers(pair, client);
      client.close();
    },
  ),
);

upstream.run();
