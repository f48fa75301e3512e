// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type RawConnection, type RawScript, startRaw } from '../helpers/http2-origin.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';
import * as wire from '../http2/wire.ts';
import { data, frame, goaway, headers, hex, ok, reset, settings, settingsAck, update } from '../http2/wire.ts';

const misbehaving = suite('misbehaving HTTP/2 upstream');
misbehaving.after.each(cleanUp);

const get = (path = '/x') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const route = (target: string) => [{ id: '*', target }];

/** What one request is answered with, and how often the origin was connected to. */
async function answered(script: RawScript, request = get(), settingsOfEdge = {}) {
  const origin = await startRaw(script);
  const edge = await startEdge(route(origin.target), settingsOfEdge);
  const { status, get: field } = await ask(edge.port, request);
  return { status, code: field('x-oo-code'), errors: edge.errors.join(), origin, edge };
}

// ---- connections that never become HTTP/2

const greetings: [name: string, greeting: Buffer, cause: RegExp][] = [
  ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'), /speaks no HTTP\/2/],
  ['garbage', Buffer.alloc(100, 0xff), /speaks no HTTP\/2/],
  ['a frame that is not SETTINGS', Buffer.concat([wire.ping(), settings()]), /first frame is not SETTINGS/],
  ['an acknowledgement first', settingsAck, /first frame is not SETTINGS/],
  ['SETTINGS on a stream', frame(4, 0, 1), /SETTINGS/],
  ['SETTINGS of 5 bytes', frame(4, 0, 0, 'abcde'), /SETTINGS/],
  ['a setting that can’t be', settings([4, 0x8000_0000]), /setting 4 can't be/],
  ['push that is allowed by a server', settings([2, 1]), /setting 2 can't be 1/],
];
for (const [name, greeting, cause] of greetings) {
  misbehaving(`${name} in place of SETTINGS: 502, and no request is sent`, async () => {
    const { status, code, errors, origin, edge } = await answered({ greeting, silent: true });
    assert.is(status, 502);
    assert.is(code, 'OO_BAD_RESPONSE');
    assert.match(errors, cause);
    assert.is(origin.connections.length, 1);
    assert.is(origin.frames.filter(({ type }) => type === 1).length, 0);
    await until(() => edge.edge.upstreams.size === 0, 'the connection to be dropped');
  });
}

misbehaving('an HTTP/1.1 server behind h2c://', async () => {
  const origin = await startOrigin(() => 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  const edge = await startEdge(route(`h2c://127.0.0.1:${origin.port}`), { connectTimeoutMs: 500 });
  const { status } = await ask(edge.port, get());
  assert.ok(status === 502 || status === 504);
  assert.not.match(origin.text, 'GET /x');
});

misbehaving('never SETTINGS: 504 when the time to connect is over', async () => {
  const { status, code, errors, origin, edge } = await answered({ silent: true }, get(), { connectTimeoutMs: 400 });
  assert.is(status, 504);
  assert.is(code, 'OO_CONNECT_TIMEOUT');
  assert.match(errors, /no HTTP\/2 SETTINGS in time/);
  assert.is(origin.connections.length, 1);
  assert.is(edge.edge.upstreams.size, 0);
});

misbehaving('closed before SETTINGS: tried again, then 502', async () => {
  const { status, code, origin } = await answered({
    silent: true,
    connected: ({ socket }) => void setTimeout(() => socket.destroy(), 20),
  });
  assert.is(status, 502);
  assert.is(code, 'OO_UPSTREAM_CLOSED');
  assert.is(origin.connections.length, 3);
});

// ---- what answers one request

type Answer = (id: number, connection: RawConnection) => void;
const send =
  (...parts: Buffer[]): Answer =>
  (_, connection) =>
    void connection.send(...parts);
const field = (name: string, value: string) => headers(1, [...ok, [name, value]]);
const many = (count: number, length: number): Buffer[] => {
  const fields = Array.from({ length: count }, (_, i): wire.Field => [`x-${i}`, 'v'.repeat(length)]);
  const block = wire.block([...ok, ...fields]);
  const parts: Buffer[] = [];
  for (let at = 0; at < block.length; at += 16_384) {
    const last = at + 16_384 >= block.length;
    parts.push(frame(at === 0 ? 1 : 9, (last ? 4 : 0) | (at === 0 ? 1 : 0), 1, block.subarray(at, at + 16_384)));
  }
  return parts;
};

/** Each ends one stream, and leaves the connection to others. */
const streamFaults: [name: string, answer: Answer, code: string, cause: RegExp][] = [
  ['no :status', send(headers(1, [['x-a', 'b']])), 'OO_BAD_RESPONSE', /:status is missing/],
  [':status 99', send(headers(1, [[':status', '99']])), 'OO_BAD_RESPONSE', /bad :status/],
  [':status 1000', send(headers(1, [[':status', '1000']])), 'OO_BAD_RESPONSE', /bad :status/],
  [':status 101', send(headers(1, [[':status', '101']])), 'OO_BAD_RESPONSE', /bad :status/],
  [':status twice', send(headers(1, [...ok, ...ok])), 'OO_BAD_RESPONSE', /:status twice/],
  ['a request’s pseudo-header field', send(headers(1, [...ok, [':path', '/']])), 'OO_BAD_RESPONSE', /field name/],
  ['CR in a value', send(field('x-a', 'a\rSet-Cookie: b')), 'OO_BAD_RESPONSE', /character that no value/],
  ['LF in a value', send(field('x-a', 'a\n\nbody')), 'OO_BAD_RESPONSE', /character that no value/],
  ['NUL in a value', send(field('x-a', 'a\0')), 'OO_BAD_RESPONSE', /character that no value/],
  ['a colon in a name', send(field('x:a', 'b')), 'OO_BAD_RESPONSE', /field name/],
  ['upper case in a name', send(field('X-A', 'b')), 'OO_BAD_RESPONSE', /field name/],
  ['Connection', send(field('connection', 'x')), 'OO_BAD_RESPONSE', /field name/],
  ['Transfer-Encoding', send(field('transfer-encoding', 'chunked')), 'OO_BAD_RESPONSE', /field name/],
  ['a Content-Length that is none', send(field('content-length', '5,5')), 'OO_BAD_RESPONSE', /Content-Length/],
  ['a length without a body', send(field('content-length', '5')), 'OO_BAD_RESPONSE', /Content-Length, and no body/],
  ['a head of 66 KB', send(...many(64, 1_000)), 'OO_BAD_RESPONSE', /response head is too large/],
  ['300 fields', send(...many(300, 1)), 'OO_BAD_RESPONSE', /too large/],
  ['DATA before the head', send(data(1, 'x')), 'OO_BAD_RESPONSE', /DATA before the response/],
  ['an interim response that ends', send(headers(1, [[':status', '103']])), 'OO_BAD_RESPONSE', /interim response/],
  [
    '17 interim responses',
    send(...Array.from({ length: 17 }, () => headers(1, [[':status', '103']], false))),
    'OO_BAD_RESPONSE',
    /too many interim/,
  ],
  ['a reset', send(reset(1, 2)), 'OO_UPSTREAM_CLOSED', /INTERNAL_ERROR/],
  ['a reset without an error', send(reset(1, 0)), 'OO_UPSTREAM_CLOSED', /NO_ERROR/],
  [
    'a reset after an interim response',
    send(headers(1, [[':status', '103']], false), reset(1, 7)),
    'OO_UPSTREAM_CLOSED',
    /refused/,
  ],
  ['a window beyond all', send(update(1, 0x7fff_ffff)), 'OO_BAD_RESPONSE', /window over/],
  ['a window update of 0', send(update(1, 0)), 'OO_BAD_RESPONSE', /WINDOW_UPDATE of 0/],
];
for (const [name, answer, code, cause] of streamFaults) {
  misbehaving(`${name}: 502; the connection serves others`, async () => {
    const origin = await startRaw({
      request: (id, connection) => {
        if (id === 1) answer(id, connection);
        else connection.send(headers(id, ok, false), data(id, 'ok', true));
      },
    });
    const edge = await startEdge(route(origin.target));
    const client = connect(edge.port).send(get());
    let bad = await client.response();
    while (bad.status === 103) bad = await client.response();
    assert.is(bad.status, 502);
    assert.is(bad.get('x-oo-code'), code);
    assert.match(edge.errors.join(), cause);
    assert.is((await ask(edge.port, get())).text, 'ok');
    assert.is(origin.connections.length, 1);
  });
}

/** Each ends the connection. */
const connectionFaults: [name: string, answer: Answer, cause: RegExp][] = [
  ['a field block that does not decode', send(frame(1, 5, 1, hex('ff ff ff ff ff ff'))), /does not decode/],
  ['a frame of 1 MB', send(hex('10 00 00 00 00 00 00 00 01')), /larger than/],
  ['a pushed stream', send(frame(5, 4, 1, hex('00 00 00 02'))), /PUSH_PROMISE/],
  ['HEADERS on stream 0', send(headers(0, ok)), /stream 0/],
  ['HEADERS on a stream that is not open', send(headers(99, ok)), /idle stream/],
  ['HEADERS on an even stream', send(headers(2, ok)), /idle stream/],
  ['DATA on a stream that is not open', send(data(99, 'x')), /idle stream/],
  ['a reset of a stream that is not open', send(reset(99, 0)), /idle stream/],
  ['a frame inside of a field block', send(frame(1, 0, 1, wire.block(ok)), wire.ping()), /inside of a field block/],
  ['an endless field block', send(frame(1, 0, 1), ...Array.from({ length: 40 }, () => frame(9, 0, 1))), /too large/],
  ['a head of 100 KB', send(...many(100, 1_000)), /field block is too large/],
  ['a connection window beyond all', send(update(0, 0x7fff_ffff)), /window over/],
  ['5,000 PINGs', send(...Array.from({ length: 5_000 }, () => wire.ping())), /too many PING/],
  ['5,000 SETTINGS', send(...Array.from({ length: 5_000 }, () => settings())), /too many SETTINGS/],
  ['5,000 unknown frames', send(...Array.from({ length: 5_000 }, () => frame(77, 0, 0))), /unknown frames/],
  ['an answer to SETTINGS that were not sent', send(settingsAck, settingsAck, settingsAck), /acknowledges SETTINGS/],
];
for (const [name, answer, cause] of connectionFaults) {
  misbehaving(`${name}: 502; the connection ends, with a reason`, async () => {
    const origin = await startRaw({
      request: (id, connection) => {
        if (connection.index === 0) answer(id, connection);
        else connection.send(headers(id, ok, false), data(id, 'ok', true));
      },
    });
    const edge = await startEdge(route(origin.target));
    const bad = await ask(edge.port, get());
    assert.is(bad.status, 502);
    assert.is(bad.get('x-oo-code'), 'OO_BAD_RESPONSE');
    assert.match(edge.errors.join(), cause);
    await until(() => origin.connections[0].of(7).length === 1, 'GOAWAY at the origin');
    await until(() => origin.connections[0].ended !== '', 'the end of the connection');
    assert.is((await ask(edge.port, get())).text, 'ok');
    assert.is(origin.connections.length, 2);
  });
}

// ---- after the head

const cuts: [name: string, rest: Buffer[]][] = [
  ['too few bytes', [data(1, 'part', true)]],
  ['too many bytes', [data(1, 'this is more than was said')]],
  ['trailers before all bytes', [data(1, 'part'), headers(1, [['x-a', 'b']])]],
  ['a reset', [data(1, 'part'), reset(1, 8)]],
  ['GOAWAY and an end', [data(1, 'part'), goaway(1, 0)]],
  ['a broken connection', [data(1, 'part'), frame(0, 0, 0, 'x')]],
  ['trailers that do not end the stream', [headers(1, [['x-a', 'b']], false)]],
  ['a pseudo-header field in trailers', [data(1, '0123456789'), headers(1, ok)]],
];
for (const length of [true, false]) {
  for (const [name, rest] of cuts) {
    // Without a length any number of bytes is right.
    if (!length && /bytes/.test(name)) continue;
    misbehaving(
      `${name} in a body ${length ? 'with a length' : 'without one'}: the client’s connection is cut`,
      async () => {
        const fields: wire.Field[] = length ? [...ok, ['content-length', '10']] : ok;
        const origin = await startRaw({
          request: (id, connection) => {
            connection.send(headers(id, fields, false), data(id, ''));
          },
        });
        const edge = await startEdge(route(origin.target));
        const client = connect(edge.port).send(get());
        await client.has('\r\n\r\n');
        const [connection] = origin.connections;
        connection.send(...rest);
        if (/an end/.test(name)) connection.socket.end();
        assert.is(await client.gone(), 'reset');
        assert.not.match(client.text, '\r\n0\r\n');
        assert.match(edge.errors.join(), /the response was cut/);
      },
    );
  }
}

misbehaving('more DATA than the window: the stream ends', async () => {
  const origin = await startRaw({
    request: (id, connection) => void connection.send(headers(id, ok, false), data(id, 'part')),
  });
  const edge = await startEdge(route(origin.target));
  const client = connect(edge.port).send(get());
  await client.has('part');
  const [connection] = origin.connections;
  connection.send(...Array.from({ length: 100 }, () => data(1, Buffer.alloc(16_384, 'x'))));
  assert.is(await client.gone(), 'reset');
  await until(() => connection.of(3).length === 1, 'RST_STREAM at the origin');
  assert.is(connection.of(3)[0].payload.readUInt32BE(0), 3);
  assert.ok(client.total < 1_000_000);
});

misbehaving('DATA after the end, and on a stream that was reset, reaches nobody', async () => {
  const origin = await startRaw({
    request: (id, connection) => {
      if (id === 1) connection.send(headers(1, [...ok, ['content-length', '2']], false), data(1, 'ok', true));
      else connection.send(headers(id, ok, false), data(id, 'next', true));
    },
  });
  const edge = await startEdge(route(origin.target));
  const client = connect(edge.port).send(get());
  assert.is((await client.response()).text, 'ok');
  origin.connections[0].send(data(1, 'POISON'));
  client.send(get());
  assert.is((await client.response()).text, 'next');
  assert.is(client.bytes.length, 0);
  assert.is(origin.connections[0].of(3, 1)[0].payload.readUInt32BE(0), 5);
});

misbehaving.run();
