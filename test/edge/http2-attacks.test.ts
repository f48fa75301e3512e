import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { tickMs } from '../../src/edge/clock.ts';
import * as frames from '../../src/http2/frames.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import type { RawClient } from '../helpers/client.ts';
import { connect } from '../helpers/client.ts';
import { front } from '../helpers/front.ts';
import { answerOf, connectHttp2, type Http2Pair, rawHttp2, request, withSession } from '../helpers/http2.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import {
  block,
  data,
  describe,
  type Field,
  get as fieldsOf,
  frame,
  headers,
  ping,
  post,
  preface,
  reset,
  settings,
  update,
} from '../http2/wire.ts';

const attacks = suite('HTTP/2 attacks');
attacks.after.each(cleanUp);

/** The same, with the scheme of the listener. */
const schemed = (fields: Field[]): Field[] =>
  fields.map(([name, value]) => [name, name === ':scheme' && !front.tls ? 'http' : value]);
const get = (path = '/', ...more: Field[]): Field[] => schemed(fieldsOf(path, ...more));
const ids = (count: number) => Array.from({ length: count }, (_, i) => 2 * i + 1);

/** Another client gets its answer, and soon. */
async function expectHealthy({ h2 }: Http2Pair): Promise<void> {
  const session = connectHttp2(h2);
  const answer = await within(request(session, { ':path': '/healthy' }), 'an answer to another client', 2_000);
  assert.is(answer.body.toString(), 'healthy');
  session.destroy();
}

const healthy = ({ line }: { line: string }) => (line.includes('/healthy') ? reply('healthy') : undefined);

/** Waits for the end of the connection. @returns the code of its GOAWAY; what came last may be cut off */
async function goawayOf(client: RawClient): Promise<number> {
  await client.gone();
  const at = client.bytes.lastIndexOf(Buffer.from([frames.GOAWAY, 0, 0, 0, 0, 0]));
  return at < 0 ? -1 : client.bytes.readUInt32BE(at + 10);
}

function attack(
  name: string,
  send: (client: RawClient, pair: Http2Pair) => unknown,
  expected: readonly number[],
  options?: Parameters<typeof withSession>[2],
): void {
  attacks(`${name}: the connection ends, its upstream work as well, and nobody else notices`, () =>
    withSession(
      { request: healthy },
      async (_, pair) => {
        global.gc?.();
        const before = process.memoryUsage().rss;
        const client = rawHttp2(pair.h2);
        await send(client, pair);
        const code = await goawayOf(client);
        assert.ok(expected.includes(code), `GOAWAY with ${code}`);
        await expectHealthy(pair);
        await until(() => pair.origin.requests.length >= 1 && pair.edge.upstreams.size <= 1, 'the work to end');
        const grown = process.memoryUsage().rss - before;
        assert.ok(grown < 64_000_000, `grown by ${grown} bytes`);
      },
      options,
    ),
  );
}

// ---- 33

const rapidReset = Buffer.concat(ids(20_000).flatMap((id) => [headers(id, get()), reset(id, 8)]));
attack(
  'rapid reset, 20,000 times [33]',
  (client) => {
    for (let at = 0; at < rapidReset.length; at += 65_536) client.send(rapidReset.subarray(at, at + 65_536));
  },
  [frames.ENHANCE_YOUR_CALM],
);

attack(
  'streams that we must reset, by WINDOW_UPDATE 0 [33]',
  (client) => client.send(Buffer.concat(ids(2_000).flatMap((id) => [headers(id, get()), update(id, 0)]))),
  [frames.ENHANCE_YOUR_CALM],
);

attack(
  'more streams than may be open, again and again [33]',
  (client) => client.send(Buffer.concat(ids(5_000).map((id) => headers(id, get())))),
  [frames.ENHANCE_YOUR_CALM],
);

attacks('no more requests reach the upstream than streams may be open', () =>
  withSession({ request: healthy }, async (_, { h2, origin, edge }) => {
    const client = rawHttp2(h2).send(Buffer.concat(ids(300).map((id) => headers(id, get()))));
    await until(() => origin.requests.length === 128, '128 requests');
    await sleep(100);
    assert.is(origin.requests.length, 128);
    assert.is(edge.upstreams.size, 128);
    assert.is(describe(client.bytes).filter((each) => / 7$/.test(each)).length, 172);
  }),
);

// ---- 34

const flood = (name: string, ...parts: Buffer[]) =>
  attack(`a flood of ${name} [34]`, (client) => client.send(Buffer.concat(parts)), [frames.ENHANCE_YOUR_CALM]);
const times = (count: number, part: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => part));

flood('PING', times(20_000, ping()));
flood('SETTINGS', times(20_000, settings([3, 100])));
flood('empty DATA', headers(1, post(), false), times(20_000, data(1, '')));
flood('PRIORITY', times(20_000, frame(frames.PRIORITY, 0, 1, Buffer.alloc(5))));
flood('frames that nobody knows', times(20_000, frame(0xfe, 0, 0, 'x')));
flood('WINDOW_UPDATE', times(200_000, update(0, 1)));
flood(
  'CONTINUATION',
  frame(frames.HEADERS, frames.END_STREAM, 1, block(get())),
  times(20_000, frame(frames.CONTINUATION, 0, 1, block([['x-a', 'b']]))),
);
flood(
  'empty CONTINUATION',
  frame(frames.HEADERS, frames.END_STREAM, 1, block(get())),
  times(20_000, frame(frames.CONTINUATION, 0, 1)),
);
flood('RST_STREAM for streams that are gone', headers(1, get()), times(20_000, reset(1, 8)));

// ---- 35

attacks('an HPACK bomb is refused before it has grown, and the connection serves on [35]', () =>
  withSession({ request: healthy }, async (_, pair) => {
    const client = rawHttp2(pair.h2);
    const big = block([['x-bomb', 'b'.repeat(4_000)]], true);
    // The entry is the newest of the dynamic table: index 62, a byte each.
    const head = Buffer.concat([block(get()), big, Buffer.alloc(16_000 - big.length - 200, 0x80 | 62)]);
    client.send(frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, head));
    client.send(headers(3, get('/healthy')));
    await until(() => client.text.includes('healthy'), 'the second answer');
    const [first] = describe(client.bytes).filter((each) => each.startsWith('HEADERS 1'));
    assert.ok(first !== undefined);
    assert.is(pair.origin.requests.length, 1);
  }),
);

attacks('cookie crumbs without end are refused [35]', () =>
  withSession({ request: healthy }, async (session, { origin }) => {
    const answer = await request(session, { ':path': '/', cookie: Array.from({ length: 1_000 }, (_, i) => `c${i}=1`) });
    assert.is(answer.status, 431);
    assert.is(origin.connections.length, 0);
  }),
);

/** One for all, so that what grows is not the origin's. */
const half = Buffer.alloc(500_000);

attacks('windows that stay shut hold little, and not for long [35]', () =>
  withSession(
    {
      request: (message, connection: OriginConnection) => {
        if (message.line.includes('/healthy')) return reply('healthy');
        connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n`);
        connection.send(half);
      },
    },
    async (_, pair) => {
      global.gc?.();
      const before = process.memoryUsage();
      const clients = Array.from({ length: 4 }, () =>
        rawHttp2(pair.h2, [4, 0]).send(Buffer.concat(ids(100).map((id) => headers(id, get())))),
      );
      await until(() => pair.origin.requests.length === 400, 'all requests', 10_000);
      await sleep(200);
      const after = process.memoryUsage();
      const grown = after.arrayBuffers - before.arrayBuffers;
      assert.ok(grown < 64_000_000, `grown by ${grown} bytes`);
      await expectHealthy(pair);
      // Each stream is cut when its window has stayed shut for the time that a body may be silent.
      await until(() => pair.edge.upstreams.size <= 1, 'the streams to be cut', 15_000);
      for (const client of clients)
        await until(() => describe(client.bytes).some((each) => each.startsWith('RST 1 ')), 'a reset');
    },
    { route: { idleTimeoutMs: 60_000 }, settings: { idleTimeoutMs: 3_000 } },
  ),
);

attacks('a client that opens its windows and reads nothing is cut [35]', () =>
  withSession(
    {
      request: (message, connection: OriginConnection) => {
        if (message.line.includes('/healthy')) return reply('healthy');
        connection.send(`HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n`);
        connection.send(Buffer.alloc(50_000_000));
      },
    },
    async (_, pair) => {
      const client = rawHttp2(pair.h2, [4, 2 ** 31 - 1]).send(update(0, 2 ** 31 - 1 - 65_535));
      client.socket.pause();
      client.send(headers(1, get()));
      await until(() => pair.edge.clients.size === 2 && pair.origin.requests.length === 1, 'the request');
      await until(() => pair.edge.clients.size === 1, 'the client to be cut', 8_000);
      await until(() => pair.edge.upstreams.size === 0, 'its upstream connection to end');
      await expectHealthy(pair);
    },
    { settings: { idleTimeoutMs: 1_000 } },
  ),
);

attacks('bodies in frames of one byte, for upstreams that take none, cost no more than their bytes', () =>
  withSession({ connected: ({ socket }) => void socket.pause() }, async (_, pair) => {
    const bytes = times(60_000, data(1, 'x'));
    const client = rawHttp2(pair.h2);
    const before = process.memoryUsage();
    // Eight windows of 64 KB are what a connection may have untaken.
    for (let i = 0; i < 8; i++) {
      client.send(headers(2 * i + 1, schemed(post()), false));
      for (let at = 5; at < bytes.length; at += 10) bytes.writeUInt32BE(2 * i + 1, at);
      client.send(Buffer.from(bytes));
    }
    await until(() => pair.edge.upstreams.size === 8, 'the requests');
    await until(() => client.socket.writableLength === 0, 'all to be sent');
    await sleep(100);
    const after = process.memoryUsage();
    const grown = after.heapUsed + after.external - before.heapUsed - before.external;
    assert.ok(grown < 64_000_000, `grown by ${grown} bytes`);
    client.close();
    await until(() => pair.edge.upstreams.size === 0, 'the work to end');
  }),
);

attacks('frames of one byte that come together go on together', () =>
  withSession({ request: () => reply('ok') }, async (session, { h2, origin }) => {
    await request(session, { ':path': '/' });
    let chunks = 0;
    origin.connections[0].socket.on('data', () => chunks++);
    const client = rawHttp2(h2).send(
      Buffer.concat([headers(1, schemed(post()), false), times(1_000, data(1, 'x')), data(1, '', true)]),
    );
    await until(() => origin.requests.length === 2, 'the request');
    assert.is(origin.requests[1].body.length, 1_000);
    assert.ok(chunks < 5, `${chunks} writes`);
    client.close();
  }),
);

attacks('a body slower than it may be is cut after its grace, however steadily it comes', () =>
  withSession({}, async (session, { edge, origin }) => {
    const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'app.test' });
    const answer = answerOf(stream);
    stream.write('x');
    await until(() => origin.connections.length === 1, 'the request');
    const connections = [...edge.clients];
    // The clock is an argument: half a minute later, with less than 240 bytes a second.
    for (const connection of connections) connection.onTick(performance.now() + 29_000);
    await sleep(30);
    assert.is(origin.open, 1);
    for (const connection of connections) connection.onTick(performance.now() + 31_000);
    assert.is((await within(answer, 'an answer')).status, 408);
    await until(() => origin.open === 0, 'the upstream connection to end');
  }),
);

// ---- 36

attack('a connection window over 2^31-1 [36]', (client) => client.send(update(0, 2 ** 31 - 1)), [
  frames.FLOW_CONTROL_ERROR,
]);
attack(
  'broken HPACK [36]',
  (client) => client.send(frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, Buffer.alloc(40, 0xff))),
  [frames.COMPRESSION_ERROR],
);
attack(
  'an index that is not in any table [36]',
  (client) => client.send(frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, Buffer.of(0xff, 0x50))),
  [frames.COMPRESSION_ERROR],
);
attacks('more DATA than the window, for an upstream that takes none: the connection ends [36]', () =>
  withSession({ connected: ({ socket }) => void socket.pause() }, async (_, pair) => {
    const fields = schemed(post());
    const client = rawHttp2(pair.h2).send(headers(1, fields, false));
    await until(() => pair.origin.connections.length === 1, 'the request');
    // What the kernel holds for the upstream counts as taken.
    for (let i = 0; i < 4_000 && client.ended === ''; i++) {
      client.send(data(1, Buffer.alloc(16_384)));
      if (i % 100 === 0) await sleep(5);
    }
    await client.gone();
    await until(() => pair.edge.upstreams.size === 0, 'the upstream connection to end');
  }),
);
attack(
  'a frame larger than may be [36]',
  (client) => client.send(Buffer.from('ffffff0000000000 01'.replace(' ', ''), 'hex')),
  [frames.FRAME_SIZE_ERROR],
);
attack('DATA on a stream that is not there [36]', (client) => client.send(data(1, 'x')), [frames.PROTOCOL_ERROR]);
attack('a stream with an even number [36]', (client) => client.send(headers(2, get())), [frames.PROTOCOL_ERROR]);
attack('HTTP/1.1 in the place of frames [36]', (client) => client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), [
  frames.FRAME_SIZE_ERROR,
  frames.PROTOCOL_ERROR,
]);

// ---- 37

const without = (name: string) => get().filter(([each]) => each !== name);
const malformed: [name: string, fields: Field[], ended?: boolean][] = [
  ['CR LF in a value', get('/', ['x-a', 'b\r\nX-Evil: 1'])],
  ['LF in a value', get('/', ['x-a', 'b\nX-Evil: 1'])],
  ['NUL in a value', get('/', ['x-a', 'b\0'])],
  ['CR LF in a name', get('/', ['x-a\r\nx-evil', '1'])],
  ['a colon in a name', get('/', ['x-a: evil', '1'])],
  ['a space in a name', get('/', ['x a', '1'])],
  ['upper case in a name', get('/', ['X-A', '1'])],
  ['an empty name', get('/', ['', '1'])],
  ['CR LF in :path', get('/ HTTP/1.1\r\nHost: evil\r\n\r\n')],
  ['a space in :path', get('/a b')],
  ['a fragment in :path', get('/a#b')],
  ['CR LF in :method', [[':method', 'GET / HTTP/1.1\r\nx: y'], ...without(':method')]],
  ['a space in :method', [[':method', 'GET /evil'], ...without(':method')]],
  ['CR LF in :authority', [...without(':authority'), [':authority', 'a\r\nx: y']]],
  ['a user in :authority', [...without(':authority'), [':authority', 'a@b']]],
  ['CR LF in :scheme', [...without(':scheme'), [':scheme', 'http\r\n']]],
  ['Transfer-Encoding', get('/', ['transfer-encoding', 'chunked'])],
  ['Connection', get('/', ['connection', 'close'])],
  ['Upgrade', get('/', ['upgrade', 'h2c'])],
  ['Keep-Alive', get('/', ['keep-alive', 'timeout=5'])],
  ['TE of something else', get('/', ['te', 'gzip'])],
  ['Host other than :authority', get('/', ['host', 'evil.test'])],
  ['Host twice', get('/', ['host', 'a.test'], ['host', 'a.test'])],
  ['no :path', without(':path')],
  ['no :method', without(':method')],
  ['no :scheme', without(':scheme')],
  [':path twice', [...get(), [':path', '/evil']]],
  ['a pseudo-header field behind others', [...get('/', ['x-a', '1']).filter(([n]) => n !== ':path'), [':path', '/']]],
  ['a pseudo-header field that nobody knows', [...get(), [':evil', '1']]],
  [':status in a request', [...get(), [':status', '200']]],
  ['a length, and no body', get('/', ['content-length', '5'])],
  ['two lengths', [...get('/', ['content-length', '5'], ['content-length', '5'])], false],
  ['a length that is no number', get('/', ['content-length', '5, 5']), false],
  ['a length with a sign', get('/', ['content-length', '+5']), false],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'a.test:443'],
    ],
  ],
];
for (const [name, fields, ended = true] of malformed) {
  attacks(`${name}: the stream is reset or refused, nothing is forwarded, and the connection carries on [37]`, () =>
    withSession({ request: healthy }, async (_, pair) => {
      const client = rawHttp2(pair.h2)
        .send(headers(1, fields, ended))
        .send(headers(3, get('/healthy')));
      await until(() => client.text.includes('healthy'), 'the next answer');
      const seen = describe(client.bytes);
      const isReset = seen.includes('RST 1 1');
      const isAnswered = seen.some((each) => each.startsWith('HEADERS 1'));
      assert.ok(isReset || isAnswered, seen.join());
      assert.is(pair.origin.requests.length, 1);
      assert.not.match(pair.origin.text, /evil/i);
    }),
  );
}

const lengths: [name: string, ...parts: Buffer[]][] = [
  ['a body shorter than its length', data(1, 'four', true)],
  ['a body longer than its length', data(1, 'sixsix', false), data(1, 'more', true)],
  ['trailers before the length is reached', frame(frames.HEADERS, 5, 1, block([['x-t', '1']]))],
];
for (const [name, ...parts] of lengths) {
  attacks(`${name}: reset, and what the upstream got of it is cut off [37]`, () =>
    withSession({ request: healthy }, async (_, pair) => {
      const fields = schemed(post('/', ['content-length', '5']));
      const client = rawHttp2(pair.h2).send(Buffer.concat([headers(1, fields, false), ...parts]));
      await until(() => describe(client.bytes).includes('RST 1 1'), 'a reset');
      await until(() => pair.origin.open === 0, 'the upstream connection to end');
      assert.is(pair.origin.requests.length, 0);
      await expectHealthy(pair);
    }),
  );
}

// ---- 38

const unfinished: [name: string, sent: Buffer][] = [
  ['nothing at all', Buffer.alloc(0)],
  ['half a preface', preface.subarray(0, 10)],
  ['a preface without SETTINGS', preface],
  ['half a frame', Buffer.concat([preface, settings(), Buffer.from('000010', 'hex')])],
  ['half a field block', Buffer.concat([preface, settings(), frame(frames.HEADERS, 0, 1, block(get()))])],
  ['half a HEADERS frame', Buffer.concat([preface, settings(), headers(1, get()).subarray(0, 20)])],
];
for (const [name, sent] of unfinished) {
  attacks(`${name}, and no more: the header time-out applies [38]`, () =>
    withSession(
      { request: healthy },
      async (_, pair) => {
        const client = connect(pair.h2).send(sent);
        const started = performance.now();
        await client.gone();
        // Times are precise to a tick of the clock.
        assert.ok(performance.now() - started >= 400 - tickMs, 'too early');
        assert.is(pair.origin.connections.length, 0);
        await expectHealthy(pair);
      },
      { settings: { headTimeoutMs: 400 } },
    ),
  );
}

attacks('a client that trickles its head is cut as well [38]', () =>
  withSession(
    { request: healthy },
    async (_, pair) => {
      const client = rawHttp2(pair.h2);
      const head = headers(1, get());
      for (let i = 0; i < head.length - 1 && client.ended === ''; i++) {
        client.send(head.subarray(i, i + 1));
        await sleep(20);
      }
      await client.gone();
    },
    { settings: { headTimeoutMs: 400 } },
  ),
);

attacks('an idle connection is told goodbye, and ends', () =>
  withSession(
    { request: healthy },
    async (session, { edge }) => {
      await request(session, { ':path': '/healthy' });
      let code = -1;
      session.on('goaway', (errorCode) => {
        code = errorCode;
      });
      await until(() => session.destroyed, 'the end');
      assert.is(code, 0);
      await until(() => edge.clients.size === 0, 'the edge to forget it');
    },
    { settings: { keepAliveTimeoutMs: 300 } },
  ),
);

attacks.run();
