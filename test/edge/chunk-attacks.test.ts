import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { echoLine, expectHealthy } from '../helpers/attack.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const chunked = suite('chunk attacks');
chunked.after.each(cleanUp);

const embedded = 'GET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n';
const head = 'POST /attack HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n';

/**
 * Sends a body whose framing breaks: refused and closed; the origin sees at most a request that never ends, on a
 * connection that does, and the next client gets its own answer.
 * @param apart send head and body in packets of their own, so that the head is under way when the body turns out broken
 */
async function expectBroken(pair: Pair, what: string, body: string | Buffer, apart: boolean): Promise<void> {
  const { port, origin } = pair;
  const before = origin.requests.length;
  const client = connect(port).send(head);
  if (apart) await until(() => origin.text.includes('POST /attack'), `${what}: the head`);
  client.send(body).send(embedded);
  const answer = await client.response().catch((error: Error) => {
    throw new Error(`${what}: ${error.message}`);
  });
  assert.is(answer.status, 400, what);
  assert.is(answer.get('connection'), 'close', what);
  await client.gone();
  assert.is(client.text, '', `${what}: more than one answer`);
  client.close();
  await sleep(5);
  assert.is(origin.requests.length, before, `${what}: the origin saw a whole request`);
  for (const connection of origin.connections.filter(({ text }) => text.includes('POST /attack'))) {
    await until(() => connection.ended !== '', `${what}: the end of the origin's connection`);
    assert.not.match(connection.text, 'smuggled', `${what}: what came behind was forwarded`);
  }
  await expectHealthy(pair, what);
}

const broken: [what: string, body: string | Buffer][] = [
  ...['+5', '-5', '0x5', '5 ', ' 5', '5_0', '5\t', '', 'g', '5.', 'five', '\x005', '5\0'].map(
    (size): [string, string] => [`size ${JSON.stringify(size)}`, `${size}\r\nhello\r\n0\r\n\r\n`],
  ),
  ['size over 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['size of zeros without end', `${'0'.repeat(5000)}5\r\nhello\r\n0\r\n\r\n`],
  ['no CRLF behind the data', '5\r\nhello0\r\n\r\n'],
  ['data longer than the size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['bare LF behind the size', '5\nhello\r\n0\r\n\r\n'],
  ['bare CR behind the size', '5\rhello\r\n0\r\n\r\n'],
  ['bare LF behind the data', '5\r\nhello\n0\r\n\r\n'],
  ['bare LF behind the last size', '5\r\nhello\r\n0\n\r\n'],
  ['bare LF at the end', '5\r\nhello\r\n0\r\n\n'],
  ['CR CR at the end', '5\r\nhello\r\n0\r\n\r\r'],
  ['LF in an extension', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
  ['NUL in an extension', '5;a=\0\r\nhello\r\n0\r\n\r\n'],
  ['CR CR in an extension', '5;\r\r\nhello\r\n0\r\n\r\n'],
  ['CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['an extension of 64 KB', `5;a=${'b'.repeat(65_536)}\r\nhello\r\n0\r\n\r\n`],
  ['extensions without end', '1;aaaaaaaaaaaaaaaa=bbbbbbbbbbbbbbbb\r\nx\r\n'.repeat(5_000)],
  ['a trailer without colon', '0\r\nX-Sum 5\r\n\r\n'],
  ['a folded trailer', '0\r\nX-Sum: 5\r\n 6\r\n\r\n'],
  ['NUL in a trailer', '0\r\nX-Sum: \0\r\n\r\n'],
  ['bare LF behind a trailer', '0\r\nX-Sum: 5\n\r\n'],
  ['a trailer of 100 KB', `0\r\nX-Sum: ${'5'.repeat(100_000)}\r\n\r\n`],
  ['5,000 trailers', `0\r\n${'a: b\r\n'.repeat(5_000)}\r\n`],
];

for (const apart of [false, true])
  chunked(`4, 5: chunks that readers differ over${apart ? ', behind a head that is under way' : ''}`, () =>
    withPair(echoLine, async (pair) => {
      await expectHealthy(pair, 'before');
      for (const [what, body] of broken) await expectBroken(pair, what, body, apart);
    }),
  );

chunked('5: a short extension is taken off, wherever the bytes are cut', () =>
  withPair(echoLine, async ({ port, origin }) => {
    const bytes = `${head}5;name=value\r\nhello\r\n1;q="a;b\\"c"\r\n!\r\n0;last\r\n\r\n`;
    for (let cut = head.length; cut < bytes.length; cut += 3) {
      const client = connect(port).send(bytes.slice(0, cut));
      await sleep(1);
      client.send(bytes.slice(cut));
      assert.is((await client.response()).status, 200);
      client.close();
    }
    for (const request of origin.requests) assert.is(request.text, 'hello!');
    assert.not.match(origin.text, /name|last|q=/);
  }),
);

const refusedTrailers = [
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Host: other.test',
  'Authorization: Basic eDp5',
  'X-Forwarded-For: 1.2.3.4',
  'x-forwarded-PROTO: https',
  'X-Real-IP: 1.2.3.4',
  'Cookie: a=b',
  'Connection: keep-alive',
  'X_Forwarded_For: 1.2.3.4',
];

chunked('10: trailers that frame, route or authenticate are dropped, the others go on', () =>
  withPair(
    (request) =>
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${request.text.length.toString(16)}\r\n${request.text}\r\n0\r\n` +
      `Content-Length: 99\r\nSet-Cookie: a=b\r\nX-Sum: down\r\nLocation: /\r\n\r\n`,
    async ({ port, origin }) => {
      const bytes = `${head}5\r\nhello\r\n0\r\n${refusedTrailers.join('\r\n')}\r\nX-Sum: up\r\nServer-Timing: a;dur=1\r\n\r\n`;
      const answer = await ask(port, bytes);
      const [request] = origin.requests;
      assert.equal(request.trailers, ['X-Sum: up', 'Server-Timing: a;dur=1']);
      assert.is(request.text, 'hello');
      assert.not.match(request.head, /authorization|1\.2\.3\.4|cookie|other\.test/i);
      assert.equal(answer.trailers, ['X-Sum: down']);
      assert.is(answer.text, 'hello');
      assert.is(answer.get('trailer'), 'X-Sum');
    },
  ),
);

chunked('a chunked body comes through byte by byte, and in a thousand chunks', () =>
  withPair(
    (request) => `HTTP/1.1 200 OK\r\nContent-Length: ${request.body.length}\r\n\r\n${request.text}`,
    async ({ port }) => {
      const client = connect(port);
      for (const byte of `${head}5\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n`) {
        client.send(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.is((await client.response()).text, 'hello0123456789');
      const parts = Array.from({ length: 1_000 }, (_, i) => `${i}-`.repeat(i % 50));
      client.send(head + parts.map((part) => (part ? `${part.length.toString(16)}\r\n${part}\r\n` : '')).join(''));
      client.send('0\r\n\r\n');
      assert.is((await client.response()).text, parts.join(''));
      client.close();
    },
  ),
);

chunked.run();
