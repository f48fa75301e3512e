import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { front } from '../helpers/front.ts';
import { answerOf, request, withSession } from '../helpers/http2.ts';
import type { Message } from '../helpers/message.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { until, within } from '../helpers/wait.ts';

const websocket = suite('WebSocket over HTTP/2');
websocket.after.each(cleanUp);

const acceptOf = (message: Message) =>
  createHash('sha1')
    .update(`${message.get('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');

const switching = (message: Message, more = '') =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptOf(message)}\r\n${more}\r\n`;

/** Opens a tunnel by extended CONNECT (RFC 8441). */
async function open(session: http2.ClientHttp2Session, headers: http2.OutgoingHttpHeaders = {}) {
  if (!session.remoteSettings?.enableConnectProtocol) await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': front.tls ? 'https' : 'http',
    ':authority': 'app.test',
    ':path': '/chat',
    'sec-websocket-version': '13',
    ...headers,
  });
  stream.on('error', () => {});
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  return { stream, text: () => text };
}

/** Takes up every tunnel, and says back what comes through it. */
const echo = {
  request: (message: Message) => (message.get('upgrade') === undefined ? reply('plain') : switching(message)),
  data: (connection: OriginConnection, chunk: Buffer) => {
    if (connection.requests.length > 0) connection.send(`<${chunk.toString('latin1')}>`);
  },
};

websocket('an extended CONNECT becomes an upgrade, and what it opens is a tunnel', () =>
  withSession(echo, async (session, { origin }) => {
    const { stream, text } = await open(session, { 'sec-websocket-protocol': 'chat', 'sec-websocket-key': 'forged' });
    const [headers] = await within(once(stream, 'response'), 'a response');
    assert.is(headers[':status'], 200);
    assert.is(headers['sec-websocket-accept'], undefined);
    assert.is(headers.upgrade, undefined);
    const [got] = origin.requests;
    assert.is(got.line, 'GET /chat HTTP/1.1');
    assert.is(got.get('connection')?.toLowerCase(), 'upgrade');
    assert.is(got.get('upgrade'), 'websocket');
    assert.is(got.get('sec-websocket-version'), '13');
    assert.is(got.get('sec-websocket-protocol'), 'chat');
    assert.is(Buffer.from(String(got.get('sec-websocket-key')), 'base64').length, 16);
    assert.is(got.get('transfer-encoding'), undefined);
    stream.write('one');
    await until(() => text() === '<one>', 'the first echo');
    stream.write('two');
    await until(() => text() === '<one><two>', 'the second echo');
    // Other streams of the connection are none of its business.
    assert.is((await request(session, { ':path': '/' })).body.toString(), 'plain');
    stream.end();
    const [connection] = origin.connections;
    await until(() => connection.ended === 'end', 'the end at the origin');
    connection.socket.end();
    await within(once(stream, 'close'), 'the end of the stream');
    assert.is(stream.rstCode, 0);
  }),
);

websocket('the upstream may end first', () =>
  withSession({ request: (message) => switching(message) }, async (session, { origin }) => {
    const { stream, text } = await open(session);
    await within(once(stream, 'response'), 'a response');
    origin.connections[0].send('bye').socket.end();
    await within(once(stream, 'end'), 'the end');
    assert.is(text(), 'bye');
    stream.write('still');
    await until(() => origin.connections[0].text.endsWith('still'), 'what came after it');
    stream.end();
    await until(() => origin.connections[0].ended === 'end', 'the end at the origin');
  }),
);

websocket('bytes that come with the 101 are not lost', () =>
  withSession({ request: (message) => `${switching(message)}hello` }, async (session) => {
    const { text } = await open(session);
    await until(() => text() === 'hello', 'the first bytes');
  }),
);

websocket('what the client says before the answer waits for it', () =>
  withSession(
    {
      request: (message, connection) => {
        setTimeout(() => {
          assert.not.match(connection.text, /early/);
          connection.send(switching(message));
        }, 60);
      },
    },
    async (session, { origin }) => {
      const { stream } = await open(session);
      stream.write('early');
      await until(() => origin.connections[0]?.text.endsWith('early') === true, 'it at the origin');
    },
  ),
);

const refusals: [name: string, answer: (message: Message) => string, status: number][] = [
  ['a 404 is passed on', () => reply('none', '', '404 Not Found'), 404],
  ['a 426 is passed on', () => reply('', 'Upgrade: websocket\r\n', '426 Upgrade Required'), 426],
  ['a 200 opens nothing, and would say that it does', () => reply('page'), 502],
  [
    'an accept that answers another key is none',
    () =>
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: c3R1ZmY=\r\n\r\n',
    502,
  ],
  [
    'neither is a missing one',
    () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    502,
  ],
];
for (const [name, answer, status] of refusals) {
  websocket(name, () =>
    withSession({ request: (message) => answer(message) }, async (session, { origin }) => {
      const { stream } = await open(session);
      assert.is((await within(answerOf(stream), 'an answer')).status, status);
      if (status === 502) await until(() => origin.open === 0, 'the upstream connection to end');
    }),
  );
}

websocket('other protocols than websocket are refused', () =>
  withSession(echo, async (session, { origin }) => {
    const { stream } = await open(session, { ':protocol': 'connect-udp' });
    assert.is((await within(answerOf(stream), 'an answer')).status, 405);
    assert.is(origin.connections.length, 0);
  }),
);

websocket('a host without a route connects nothing [attack 32]', () =>
  withSession(
    echo,
    async (session, { origin }) => {
      const { stream } = await open(session, { ':authority': 'other.test' });
      assert.is((await within(answerOf(stream), 'an answer')).status, 404);
      assert.is(origin.connections.length, 0);
    },
    { route: { id: 'app.test' } },
  ),
);

websocket('an upstream that dies resets the stream', () =>
  withSession(echo, async (session, { origin }) => {
    const { stream } = await open(session);
    await within(once(stream, 'response'), 'a response');
    origin.connections[0].socket.resetAndDestroy();
    await until(() => stream.destroyed, 'the end of the stream');
    assert.is(stream.rstCode, 10);
  }),
);

websocket('a client that resets the stream ends the upstream’s side', () =>
  withSession(
    echo,
    async (session, { origin, access }) => {
      const { stream } = await open(session);
      await within(once(stream, 'response'), 'a response');
      stream.close(8);
      await until(() => origin.connections[0].ended !== '', 'the end at the origin');
      assert.is(JSON.parse(access[0]).status, 200);
    },
    { settings: { logAccess: true } },
  ),
);

websocket('10 MB both ways at once', () =>
  withSession(
    {
      request: (message) => switching(message),
      data: (connection, chunk) => {
        connection.record = false;
        if (connection.requests.length > 0) connection.send(chunk);
      },
    },
    async (session) => {
      const { stream } = await open(session);
      await within(once(stream, 'response'), 'a response');
      let got = 0;
      stream.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      for (let i = 0; i < 160; i++) stream.write(Buffer.alloc(65_536, i));
      await until(() => got === 160 * 65_536, 'all of it', 20_000);
    },
  ),
);

websocket('while its route is paused it waits, with what comes early, and opens then', () =>
  withSession(
    echo,
    async (session, { edge, origin, route }) => {
      const { stream, text } = await open(session);
      stream.write('early');
      await until(() => edge.pools.named('route *')?.record.waiting === 1, 'it to wait');
      assert.is(origin.connections.length, 0);
      route({ id: '*', target: origin.target });
      const [headers] = await within(once(stream, 'response'), 'a response');
      assert.is(headers[':status'], 200);
      await until(() => text() === '<early>', 'the first echo');
      stream.write('late');
      await until(() => text() === '<early><late>', 'the second echo');
    },
    { route: { rollout: { gate: { state: 'paused' } } } },
  ),
);

websocket.run();
