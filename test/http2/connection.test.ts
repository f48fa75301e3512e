import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { FLOOD_NAMES } from '../../src/http2/limits.ts';
import { TestServer } from './peers.ts';
import * as wire from './wire.ts';

const connection = suite('http2 connection');

const hello = [wire.preface, wire.settings()];
const get = (id: number) => wire.headers(id, wire.get());
const post = (id: number, ...more: wire.Field[]) => wire.headers(id, wire.post('/', ...more), false);
const END_HEADERS = frames.END_HEADERS;
const ENDED = frames.END_HEADERS | frames.END_STREAM;

/** What a server says after the client's preface and SETTINGS, its own and their acknowledgement left out. */
function said(pieces: Uint8Array[], options = {}, server = new TestServer(options)): string[] {
  server.connection.start();
  server.receive(...hello);
  server.sent();
  server.receive(...pieces);
  return wire.describe(server.sent()).filter((frame) => !frame.startsWith('UPDATE'));
}

const P = frames.PROTOCOL_ERROR;
const FLOW = frames.FLOW_CONTROL_ERROR;
const SIZE = frames.FRAME_SIZE_ERROR;
const CLOSED = frames.STREAM_CLOSED;

// ---- connection errors: GOAWAY with this code, and nothing is read any more

const fatal: [rule: string, code: number, pieces: Buffer[]][] = [
  ['§3.4: the first frame is not SETTINGS', P, []],
  ['§4.1: a frame over SETTINGS_MAX_FRAME_SIZE', SIZE, [wire.frame(frames.HEADERS, END_HEADERS, 1, Buffer.alloc(16_385))]],
  ['§4.2: DATA over it', SIZE, [post(1), wire.data(1, Buffer.alloc(16_385))]],
  ['§4.2: one of an unknown type over it', SIZE, [wire.frame(77, 0, 1, Buffer.alloc(16_385))]],
  ['§4.3: a field block that does not decode', frames.COMPRESSION_ERROR, [wire.frame(frames.HEADERS, ENDED, 1, wire.hex('be'))]],
  ['§4.3: trailers that do not decode', frames.COMPRESSION_ERROR, [post(1), wire.frame(frames.HEADERS, ENDED, 1, wire.hex('be'))]],
  ['§4.3: nor those of a stream that we have reset', frames.COMPRESSION_ERROR,
    [post(1, ['x', ' ']), wire.frame(frames.HEADERS, ENDED, 1, wire.hex('be'))]],
  ['§5.1: DATA on an idle stream', P, [wire.data(1, 'x')]],
  ['§5.1: RST_STREAM on an idle stream', P, [wire.reset(1, 0)]],
  ['§5.1: WINDOW_UPDATE on an idle stream', P, [wire.update(1, 1)]],
  ['§5.1: CONTINUATION on an idle stream', P, [wire.frame(frames.CONTINUATION, END_HEADERS, 1)]],
  ['§5.1: HEADERS after the client has reset it', CLOSED, [post(1), wire.reset(1, 8), wire.headers(1, [['a', 'b']])]],
  ['§5.1.1: an even stream', P, [get(2)]],
  ['§5.1.1: a lower stream that was left out', P, [get(5), get(3)]],
  ['§6.1: DATA on stream 0', P, [wire.data(0, 'x')]],
  ['§6.1: as much padding as DATA', P, [post(1), wire.frame(frames.DATA, frames.PADDED, 1, wire.hex('03 6162'))]],
  ['§6.1: padding without its length', SIZE, [post(1), wire.frame(frames.DATA, frames.PADDED, 1)]],
  ['§6.2: HEADERS on stream 0', P, [get(0)]],
  ['§6.2: more padding than HEADERS', P, [wire.frame(frames.HEADERS, ENDED | frames.PADDED, 1, wire.hex('05 8286'))]],
  ['§6.2: padding and no length', SIZE, [wire.frame(frames.HEADERS, ENDED | frames.PADDED, 1)]],
  ['§6.2: too short for its priority', SIZE, [wire.frame(frames.HEADERS, ENDED | frames.PRIORITY_FLAG, 1, wire.hex('8286 84'))]],
  ...[frames.DATA, frames.HEADERS, frames.PRIORITY, frames.RST_STREAM, frames.SETTINGS, frames.PUSH_PROMISE, frames.PING, frames.GOAWAY, frames.WINDOW_UPDATE, 77].map(
    (type): [string, number, Buffer[]] => [`§6.2, §6.10: type ${type} inside of a field block`, P,
      [wire.frame(frames.HEADERS, frames.END_STREAM, 1, wire.hex('82')), wire.frame(type, 0, type === frames.DATA ? 1 : 0, Buffer.alloc(8))]]),
  ['§6.10: CONTINUATION of another stream', P,
    [wire.frame(frames.HEADERS, frames.END_STREAM, 1, wire.hex('82')), wire.frame(frames.CONTINUATION, END_HEADERS, 3)]],
  ['§6.10: CONTINUATION after END_HEADERS', P, [get(1), wire.frame(frames.CONTINUATION, END_HEADERS, 1)]],
  ['§6.10: CONTINUATION on stream 0', P, [wire.frame(frames.CONTINUATION, END_HEADERS, 0)]],
  ['§6.3: PRIORITY on stream 0', P, [wire.frame(frames.PRIORITY, 0, 0, Buffer.alloc(5))]],
  ['§6.3: PRIORITY of 4 bytes on an idle stream', SIZE, [wire.frame(frames.PRIORITY, 0, 1, Buffer.alloc(4))]],
  ['§6.4: RST_STREAM on stream 0', P, [wire.reset(0, 0)]],
  ['§6.4: RST_STREAM of 3 bytes', SIZE, [post(1), wire.frame(frames.RST_STREAM, 0, 1, Buffer.alloc(3))]],
  ['§6.4: RST_STREAM of 5 bytes', SIZE, [post(1), wire.frame(frames.RST_STREAM, 0, 1, Buffer.alloc(5))]],
  ['§6.5: SETTINGS on a stream', P, [wire.frame(frames.SETTINGS, 0, 1)]],
  ['§6.5: SETTINGS of 5 bytes', SIZE, [wire.frame(frames.SETTINGS, 0, 0, Buffer.alloc(5))]],
  ['§6.5: an acknowledgement that says something', SIZE, [wire.frame(frames.SETTINGS, frames.ACK, 0, Buffer.alloc(6))]],
  ['§6.5: more acknowledgements than SETTINGS', P, [wire.settingsAck, wire.settingsAck]],
  ['§6.5.2: ENABLE_PUSH 2', P, [wire.settings([2, 2])]],
  ['§6.5.2: INITIAL_WINDOW_SIZE 2^31', FLOW, [wire.settings([4, 2 ** 31])]],
  ['§6.5.2: MAX_FRAME_SIZE 16383', P, [wire.settings([5, 16_383])]],
  ['§6.5.2: MAX_FRAME_SIZE 2^24', P, [wire.settings([5, 2 ** 24])]],
  ['RFC 8441 §3: ENABLE_CONNECT_PROTOCOL 2', P, [wire.settings([8, 2])]],
  ['RFC 8441 §3: ENABLE_CONNECT_PROTOCOL taken back', P, [wire.settings([8, 1]), wire.settings([8, 0])]],
  ['§6.6, §8.4: PUSH_PROMISE from a client', P, [post(1), wire.frame(frames.PUSH_PROMISE, END_HEADERS, 1, wire.hex('00000002 82'))]],
  ['§6.7: PING on a stream', P, [wire.frame(frames.PING, 0, 1, Buffer.alloc(8))]],
  ['§6.7: PING of 7 bytes', SIZE, [wire.ping('1234567')]],
  ['§6.7: PING of 9 bytes', SIZE, [wire.ping('123456789')]],
  ['§6.8: GOAWAY on a stream', P, [wire.frame(frames.GOAWAY, 0, 1, Buffer.alloc(8))]],
  ['§6.8: GOAWAY of 7 bytes', SIZE, [wire.frame(frames.GOAWAY, 0, 0, Buffer.alloc(7))]],
  ['§6.9: WINDOW_UPDATE of 3 bytes', SIZE, [wire.frame(frames.WINDOW_UPDATE, 0, 0, Buffer.alloc(3))]],
  ['§6.9: WINDOW_UPDATE of 5 bytes on a stream', SIZE, [post(1), wire.frame(frames.WINDOW_UPDATE, 0, 1, Buffer.alloc(5))]],
  ['§6.9: WINDOW_UPDATE 0 on the connection', P, [wire.update(0, 0)]],
  ['§6.9: WINDOW_UPDATE 0 but for its reserved bit', P, [wire.frame(frames.WINDOW_UPDATE, 0, 0, wire.hex('80000000'))]],
  ['§6.9.1: a window over 2^31-1', FLOW, [wire.update(0, 0x7fff_ffff)]],
  ['§6.9.1: added up', FLOW, [wire.update(0, 0x7fff_0000), wire.update(0, 1)]],
  ['§6.9.2: a setting that brings a stream over 2^31-1', FLOW, [post(1), wire.update(1, 0x7fff_0000), wire.settings([4, 65_536])]],
]; // biome-ignore format: one case a line
for (const [rule, code, pieces] of fatal) {
  connection(`${rule}: GOAWAY ${code}`, () => {
    const server = new TestServer();
    server.connection.start();
    server.receive(...(pieces.length === 0 ? [wire.preface, wire.ping()] : [...hello, ...pieces]));
    const last = wire.describe(server.sent()).at(-1)!;
    assert.match(last, new RegExp(`^GOAWAY last=\\d+ code=${code}$`));
    assert.is(server.events.list.at(-1), `fail ${code}`);
    assert.not.equal(server.reasons.at(-1), '');
    assert.is(server.connection.streams.size, 0);
    server.receive(get(101), wire.ping());
    assert.is(server.sent().length, 0);
    assert.is(server.events.list.filter((event) => event.startsWith('fail')).length, 1);
  });
}

connection('§5.1: HEADERS on a stream that both have ended: GOAWAY 5; DATA: RST_STREAM 5', () => {
  const answer = wire.bytes('HTTP/1.1 204 No Content\r\n\r\n');
  const after = (piece: Buffer) => {
    const server = new TestServer();
    server.onRequest = (stream) => server.connection.sendResponse(stream, answer, 0, answer.length, undefined, 0, true);
    return said([get(1), piece], {}, server);
  };
  assert.equal(after(get(1)), ['HEADERS 1 END', 'GOAWAY last=1 code=5']);
  assert.equal(after(wire.data(1, 'x')), ['HEADERS 1 END', 'RST 1 5']);
});

connection('§3.4: a preface that is another one', () => {
  for (const bad of ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\t', 'pri']) {
    const server = new TestServer();
    server.receive(wire.bytes(bad));
    assert.equal(wire.describe(server.sent()), ['GOAWAY last=0 code=1']);
    assert.equal(server.events.list, ['fail 1']);
  }
});

const fragment = (id: number) => wire.frame(frames.HEADERS, 0, id, wire.hex('82'));
const early: [rule: string, pieces: Buffer[]][] = [
  ['§3.4: DATA first', [wire.preface, wire.data(0, '')]],
  ['§3.4: an acknowledgement first', [wire.preface, wire.settingsAck]],
  ['§6.2: a part of HEADERS on stream 0', [...hello, fragment(0)]],
  ['§6.10: a part of CONTINUATION without HEADERS', [...hello, wire.frame(frames.CONTINUATION, 0, 1)]],
  ['§6.10: DATA of an open stream inside of a field block', [...hello, post(1), fragment(3), wire.data(1, '')]],
];
for (const [rule, pieces] of early) {
  connection(`${rule}: GOAWAY 1, at once`, () => {
    const server = new TestServer();
    server.receive(...pieces.slice(0, -1));
    assert.not(server.connection.failed);
    server.receive(pieces.at(-1)!);
    assert.is(server.events.list.at(-1), 'fail 1');
  });
}

connection('§6.5: what is not as RFC 9113 assumes is said, and holds when it is acknowledged', () => {
  const server = new TestServer({ streamWindow: 100_000, headerTableSize: 0, connectionWindow: 65_535 });
  server.connection.start();
  const sent = server.sent();
  const { payload } = wire.framesOf(sent)[0];
  assert.ok(payload.includes(wire.hex('0004 000186a0')) && payload.includes(wire.hex('0001 00000000')));
  assert.equal(wire.describe(sent), ['SETTINGS']);
  const indexed = (id: number, block: Buffer) => wire.frame(frames.HEADERS, ENDED, id, block);
  server.receive(...hello, indexed(1, wire.block(wire.get(), true)), wire.settingsAck);
  server.receive(indexed(3, Buffer.concat([wire.hex('20'), wire.block(wire.get())])));
  assert.not(server.connection.failed);
  const deaf = new TestServer({ headerTableSize: 0 });
  deaf.connection.start();
  deaf.receive(...hello, wire.settingsAck, get(1));
  assert.is(deaf.events.list.at(-1), 'fail 9');
});

connection('a stream that another one resets as the connection fails is not told', () => {
  const server = new TestServer();
  said([post(1), post(3)], {}, server);
  const three = server.stream(3);
  server.stream(1).onAbort = () => server.connection.reset(three, 8);
  server.receive(wire.update(0, 0));
  assert.equal(server.events.list.slice(2), ['fail 1']);
});

connection('§3.4: our SETTINGS are the first that we say, before the client has said anything', () => {
  const server = new TestServer();
  server.connection.start();
  const sent = wire.framesOf(server.sent());
  assert.equal([sent[0].type, sent[0].flags, sent[0].id], [frames.SETTINGS, 0, 0]);
  const settings: Record<number, number> = {};
  for (let at = 0; at < sent[0].payload.length; at += 6)
    settings[sent[0].payload.readUInt16BE(at)] = sent[0].payload.readUInt32BE(at + 2);
  // MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES
  assert.equal(settings, { 3: 128, 6: 32_768, 8: 1, 9: 1 });
});

// ---- stream errors: RST_STREAM, and everything else goes on

const streamErrors: [rule: string, code: number, pieces: Buffer[], request?: boolean][] = [
  ['§5.1: DATA after END_STREAM', CLOSED, [get(1), wire.data(1, 'x')]],
  ['§5.1: HEADERS after END_STREAM', CLOSED, [post(1), wire.data(1, '', true), wire.headers(1, [['a', 'b']])]],
  ['§5.3.2, §6.3: PRIORITY of 4 bytes', SIZE, [post(1), wire.frame(frames.PRIORITY, 0, 1, Buffer.alloc(4))]],
  ['§6.9: WINDOW_UPDATE 0', P, [post(1), wire.update(1, 0)]],
  ['§6.9.1: a window over 2^31-1', FLOW, [post(1), wire.update(1, 0x7fff_ffff)]],
  ['§8.1: trailers that do not end the stream', P, [post(1), wire.headers(1, [['a', 'b']], false)]],
  ['§8.1: a pseudo-header field in trailers', P, [post(1), wire.headers(1, [[':path', '/']])]],
  ['§8.1: an unknown one in trailers', P, [post(1), wire.headers(1, [[':x', '/']])]],
  ['§8.2: an upper-case name in trailers', P, [post(1), wire.headers(1, [['X', 'a']])]],
  ['§8.2.1: CR in trailers', P, [post(1), wire.headers(1, [['x', 'a\rb']])]],
  ['§8.2.2: Connection in trailers', P, [post(1), wire.headers(1, [['connection', 'close']])]],
  ['§8.1.1: less than Content-Length', P, [post(1, ['content-length', '3']), wire.data(1, 'ab', true)]],
  ['§8.1.1: less, in pieces', P, [post(1, ['content-length', '3']), wire.data(1, 'ab'), wire.data(1, '', true)]],
  ['§8.1.1: less, before trailers', P, [post(1, ['content-length', '3']), wire.data(1, 'ab'), wire.headers(1, [['a', 'b']])]],
  ['§8.1.1: more than Content-Length', P, [post(1, ['content-length', '3']), wire.data(1, 'ab'), wire.data(1, 'cd')]],
  ['§8.1.1: more, at the end', P, [post(1, ['content-length', '3']), wire.data(1, 'abcd', true)]],
  ['§8.5: trailers in a tunnel', P,
    [wire.headers(1, [[':method', 'CONNECT'], [':protocol', 'websocket'], [':scheme', 'https'], [':path', '/'], [':authority', 'a']], false),
      wire.headers(1, [['a', 'b']])]],
]; // biome-ignore format: one case a line
for (const [rule, code, pieces] of streamErrors) {
  connection(`${rule}: RST_STREAM ${code}`, () => {
    const server = new TestServer();
    assert.equal(said([...pieces, wire.ping(), get(3)], {}, server), [`RST 1 ${code}`, 'PING ACK']);
    assert.ok(server.events.list.includes(`1 abort ${code} us`), server.events.list.join('\n'));
    assert.match(server.events.list.at(-1)!, /^3 request "GET/);
    assert.equal([...server.connection.streams.keys()], [3]);
  });
}

connection('§8.1.1: a malformed request: RST_STREAM 1, and nobody hears of it', () => {
  const server = new TestServer();
  const bad = wire.headers(1, [...wire.get(), ['Upper', 'a']]);
  const worse = wire.headers(3, [...wire.post(), ['x', 'a\nb']], false);
  assert.equal(said([bad, worse, wire.data(3, 'abc', true), get(5)], {}, server), ['RST 1 1', 'RST 3 1']);
  assert.equal(
    server.events.list.map((event) => event.slice(0, 12)),
    ['malformed', 'malformed', '5 request "G'],
  );
});

connection('§8.1.1: as long as Content-Length: fine', () => {
  for (const pieces of [
    [wire.data(1, 'abc', true)],
    [wire.data(1, 'ab'), wire.data(1, 'c'), wire.data(1, '', true)],
    [wire.data(1, 'abc'), wire.headers(1, [['a', 'b']])],
  ]) {
    const server = new TestServer();
    assert.equal(said([post(1, ['content-length', '3']), ...pieces], {}, server), []);
    assert.ok(server.events.list.includes('1 data abc'));
  }
});

// ---- what is dropped, ignored or answered

connection('§5.1: frames for a stream that we have reset are dropped, and its trailers decoded', () => {
  const server = new TestServer();
  server.onRequest = (stream) => {
    if (stream.id === 1) server.connection.reset(stream, frames.CANCEL);
  };
  const indexed = wire.frame(frames.HEADERS, ENDED, 1, wire.block([['late', 'x']], true));
  const later = wire.frame(frames.HEADERS, ENDED, 3, Buffer.concat([wire.block(wire.get()), wire.hex('be')]));
  const sent = said([post(1), wire.data(1, 'abc'), wire.update(1, 5), indexed, wire.reset(1, 8), later], {}, server);
  assert.equal(sent, ['RST 1 8']);
  assert.match(server.events.list.at(-1)!, /late: x/);
  assert.is(server.events.list.length, 2);
});

connection('§6.1: DATA on a stream that is closed otherwise: RST_STREAM', () => {
  assert.equal(said([post(1), wire.reset(1, 8), wire.data(1, 'x'), wire.data(1, 'y')]), [`RST 1 ${CLOSED}`]);
});

connection('§5.1: WINDOW_UPDATE, RST_STREAM and PRIORITY on a closed stream are ignored', () => {
  const pieces = [post(1), wire.reset(1, 8), wire.update(1, 0), wire.reset(1, 0), wire.frame(2, 0, 1, Buffer.alloc(5))];
  assert.equal(said([...pieces, wire.ping()]), ['PING ACK']);
});

connection('§5.1.2: streams over the limit are refused', () => {
  const server = new TestServer();
  const sent = said([get(1), post(3), get(5), post(7), wire.data(7, 'x', true), wire.reset(1, 8), get(9)], {
    maxConcurrentStreams: 2,
  });
  assert.equal(sent, ['RST 5 7', 'RST 7 7']);
  assert.is(server.connection.streams.size, 0);
});

connection('§5.3.2: priorities are ignored', () => {
  const priority = wire.frame(frames.PRIORITY, 0, 1, wire.hex('80000001 ff'));
  const head = wire.frame(
    frames.HEADERS,
    ENDED | frames.PRIORITY_FLAG,
    1,
    Buffer.concat([wire.hex('80000001 ff'), wire.block(wire.get())]),
  );
  const server = new TestServer();
  assert.equal(said([priority, head, priority], {}, server), []);
  assert.match(server.events.list[0], /^1 request "GET/);
});

connection('§4.1, §5.5: unknown types, flags and the reserved bit are ignored', () => {
  const server = new TestServer();
  const odd = wire.headers(1, wire.get());
  odd[4] |= 0xd2;
  odd[5] |= 0x80;
  const unknown = [wire.frame(16, 255, 1, 'abc'), wire.frame(255, 255, 77, 'abc'), wire.frame(10, 0, 0)];
  assert.equal(said([...unknown, odd, wire.frame(frames.PING, 0xfe, 0, '12345678')], {}, server), ['PING ACK']);
  assert.match(server.events.list[0], /^1 request "GET/);
});

connection('§6.1, §6.2: padding is taken off', () => {
  const server = new TestServer();
  const padded = (type: number, flags: number, payload: Buffer, padding: number) =>
    wire.frame(type, flags | frames.PADDED, 1, Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]));
  const head = padded(frames.HEADERS, END_HEADERS, wire.block(wire.post('/', ['content-length', '6'])), 255);
  const pieces = [
    head,
    padded(frames.DATA, 0, wire.bytes('abc'), 9),
    padded(frames.DATA, 0, wire.bytes(''), 0),
    padded(frames.DATA, 0, wire.bytes(''), 200),
    padded(frames.DATA, frames.END_STREAM, wire.bytes('def'), 0),
  ];
  assert.equal(said(pieces, {}, server), []);
  assert.equal(server.events.list.slice(1), ['1 data abcdef', '1 end']);
});

connection('§6.2, §6.10: a field block in parts', () => {
  const block = wire.block(wire.get('/', ['x-a', 'b'.repeat(40)]));
  const server = new TestServer();
  const parts = [
    wire.frame(frames.HEADERS, frames.END_STREAM, 1, block.subarray(0, 10)),
    wire.frame(frames.CONTINUATION, 0, 1),
    wire.frame(frames.CONTINUATION, 0, 1, block.subarray(10, 11)),
    wire.frame(frames.CONTINUATION, END_HEADERS, 1, block.subarray(11)),
    get(3),
  ];
  assert.equal(said(parts, {}, server), []);
  assert.match(server.events.list[0], /^1 request "GET .*x-a: b{40}.* end$/);
  assert.match(server.events.list[1], /^3 request/);
});

connection('§6.5.3: SETTINGS are acknowledged, in their order', () => {
  assert.equal(said([wire.settings([4, 10]), wire.settings([99, 99]), wire.settingsAck]), [
    'SETTINGS ACK',
    'SETTINGS ACK',
  ]);
});

connection('§6.7: a PING is answered with its bytes; an answer is not', () => {
  const server = new TestServer();
  server.connection.start();
  server.receive(...hello);
  server.sent();
  server.receive(wire.ping('abcdefgh'), wire.ping('abcdefgh', true));
  assert.equal(server.sent(), wire.ping('abcdefgh', true));
});

connection('§6.8: a client that goes away is heard, and its streams go on', () => {
  const server = new TestServer();
  assert.equal(said([post(1), wire.goaway(0, 0), wire.data(1, 'x', true)], {}, server), []);
  assert.equal(server.events.list.slice(1), ['goaway 0', '1 data x', '1 end']);
});

connection('§6.4: a reset by the client: the stream hears of it, once', () => {
  const server = new TestServer();
  assert.equal(said([post(1), wire.reset(1, 8), wire.reset(1, 8)], {}, server), []);
  assert.equal(server.events.list.slice(1), ['1 abort 8 peer']);
});

connection('§5.4.1: all streams hear that the connection has failed, and GOAWAY names the last', () => {
  const server = new TestServer();
  assert.equal(said([post(1), get(3), wire.update(0, 0)], {}, server), ['GOAWAY last=3 code=1']);
  assert.equal(server.events.list.slice(2), ['1 abort 1 connection', '3 abort 1 connection', 'fail 1']);
});

connection('a socket that goes: all streams hear of it, and nothing is sent', () => {
  const server = new TestServer();
  said([post(1), get(3)], {}, server);
  server.connection.close();
  assert.equal(server.events.list.slice(2), ['1 abort 8 connection', '3 abort 8 connection']);
  assert.is(server.sent().length, 0);
});

// ---- §6.8: an end without loss

const drainPing = wire.frame(frames.PING, 0, 0, 'oo drain');

connection('§6.8: drain: a warning, the last stream named when it has arrived, and the end', () => {
  const server = new TestServer();
  said([post(1)], {}, server);
  server.connection.drain();
  server.connection.drain();
  const sent = server.sent();
  assert.equal(wire.describe(sent), ['GOAWAY last=2147483647 code=0', 'PING']);
  assert.equal(sent.subarray(-17), drainPing);
  // On its way when GOAWAY was sent: it is served.
  server.receive(get(3), wire.ping('oo drain', true));
  assert.equal(wire.describe(server.sent()), ['GOAWAY last=3 code=0']);
  // RFC 9113 §6.8: ignored, but for the state that all streams share.
  const late = wire.frame(frames.HEADERS, END_HEADERS, 5, wire.block([...wire.post(), ['late', 'x']], true));
  server.receive(late, wire.data(5, 'abc'), wire.headers(5, [['a', 'b']]), wire.reset(5, 8));
  assert.is(server.events.list.filter((event) => event.startsWith('5 ')).length, 0);
  assert.equal(wire.describe(server.sent()), []);
  const answer = wire.bytes('HTTP/1.1 204 No Content\r\n\r\n');
  server.connection.sendResponse(server.stream(3), answer, 0, answer.length, undefined, 0, true);
  assert.not(server.events.list.includes('drained'));
  server.connection.sendResponse(server.stream(1), answer, 0, answer.length, undefined, 0, true);
  server.receive(wire.data(1, 'x', true));
  assert.is(server.events.list.at(-1), 'drained');
});

connection('§6.8: an idle connection drains as soon as its PING is back', () => {
  const server = new TestServer();
  said([], {}, server);
  server.connection.drain();
  server.receive(wire.ping('oo drain', true));
  assert.equal(server.events.list, ['drained']);
});

connection('§6.8: an error after that names no higher stream', () => {
  const server = new TestServer();
  said([get(1)], {}, server);
  server.connection.drain();
  server.receive(wire.ping('oo drain', true));
  server.receive(get(3), get(5), wire.update(0, 0));
  assert.is(wire.describe(server.sent()).at(-1), 'GOAWAY last=1 code=1');
});

// ---- floods: attacks 33 to 36

const floods: [what: string, kind: string, most: number, make: (i: number) => Buffer[]][] = [
  ['33: rapid reset', 'streams reset', 1_000, (i) => [get(2 * i + 1), wire.reset(2 * i + 1, 8)]],
  ['33: MadeYouReset by WINDOW_UPDATE 0', 'streams in error', 100, (i) => [get(2 * i + 1), wire.update(2 * i + 1, 0)]],
  ['33: by windows over 2^31-1', 'streams in error', 100, (i) => [get(2 * i + 1), wire.update(2 * i + 1, 0x7fff_ffff)]],
  ['33: by DATA after END_STREAM', 'streams in error', 100, (i) => [get(2 * i + 1), wire.data(2 * i + 1, '')]],
  ['33: by PRIORITY of 4 bytes', 'streams in error', 100, (i) => [get(2 * i + 1), wire.frame(2, 0, 2 * i + 1, Buffer.alloc(4))]],
  ['34: empty HEADERS', 'streams in error', 100, (i) => [wire.frame(frames.HEADERS, ENDED, 2 * i + 1)]],
  ['34: malformed requests', 'streams in error', 100, (i) => [wire.headers(2 * i + 1, [[':method', 'GET']])]],
  ['34: PING', 'PING frames', 1_000, () => [wire.ping()]],
  ['34: PING answers', 'PING frames', 1_000, () => [wire.ping('12345678', true)]],
  ['34: SETTINGS', 'SETTINGS frames', 99, () => [wire.settings([4, 100])]],
  ['34: empty SETTINGS', 'SETTINGS frames', 99, () => [wire.settings()]],
  ['34: empty DATA', 'empty DATA frames', 100, (i) => [...(i === 0 ? [post(1)] : []), wire.data(1, '')]],
  ['34: DATA of padding alone', 'empty DATA frames', 100, (i) => [...(i === 0 ? [post(1)] : []), wire.frame(0, 8, 1, wire.hex('02 0000'))]],
  ['34: PRIORITY', 'PRIORITY or unknown frames', 1_000, (i) => [wire.frame(2, 0, 2 * i + 1, Buffer.alloc(5))]],
  ['34: unknown frames', 'PRIORITY or unknown frames', 1_000, () => [wire.frame(200, 0, 0)]],
  ['34: resets of closed streams', 'frames for closed streams', 2_000, (i) => [...(i === 0 ? [get(1), wire.reset(1, 8)] : []), wire.reset(1, 8)]],
  ['34: DATA for closed streams', 'frames for closed streams', 2_000, (i) => [...(i === 0 ? [post(1), wire.reset(1, 8)] : []), wire.data(1, '')]],
  ['34: WINDOW_UPDATE', 'WINDOW_UPDATE frames', 200, () => [wire.update(0, 1)]],
  ['34: WINDOW_UPDATE for closed streams', 'WINDOW_UPDATE frames', 210, (i) => [...(i === 0 ? [get(1), wire.reset(1, 8)] : []), wire.update(1, 1)]],
]; // biome-ignore format: one case a line
for (const [attack, kind, most, make] of floods) {
  connection(`attack ${attack}: ${most}, not one more`, () => {
    const server = new TestServer();
    server.connection.start();
    server.receive(...hello);
    for (let i = 0; i < most; i++) server.receive(...make(i));
    assert.not(server.connection.failed, `failed early: ${server.reasons.at(-1)}`);
    server.receive(...make(most));
    assert.is(server.events.list.at(-1), `fail ${frames.ENHANCE_YOUR_CALM}`);
    assert.is(server.reasons.at(-1), `too many ${kind}`);
    assert.is(server.connection.streams.size, 0);
  });
}

connection('attack 33: streams refused again and again', () => {
  const server = new TestServer({ maxConcurrentStreams: 1 });
  server.receive(...hello, get(1));
  for (let i = 1; i <= 1_000; i++) server.receive(get(2 * i + 1));
  assert.not(server.connection.failed);
  server.receive(get(3_001));
  assert.is(server.reasons.at(-1), 'too many streams over the limit');
});

connection('floods are counted in windows of ten seconds', () => {
  const server = new TestServer();
  server.receive(...hello);
  for (let second = 0; second < 30; second++) {
    for (let i = 0; i < 90; i++) server.receive(wire.ping());
    server.now += 1_000;
  }
  assert.not(server.connection.failed);
  for (let i = 0; i < 1_001; i++) server.receive(wire.ping());
  assert.ok(server.connection.failed);
});

connection('every kind of flood has a name', () => assert.ok(FLOOD_NAMES.every((name) => name.length > 5)));

connection('attack 33: a rapid reset of 20,000 ends after 1,001, and all of them have been cancelled', () => {
  const server = new TestServer();
  server.receive(...hello);
  for (let i = 0; i < 20_000; i++) server.receive(get(2 * i + 1), wire.reset(2 * i + 1, 8));
  const requests = server.events.list.filter((event) => /^\d+ request/.test(event)).length;
  const aborts = server.events.list.filter((event) => /^\d+ abort/.test(event)).length;
  assert.equal([requests, aborts], [1_001, 1_001]);
});

connection('attack 34: CONTINUATION without end, empty or not', () => {
  for (const part of ['', 'x', 'x'.repeat(16_000)]) {
    const server = new TestServer();
    server.receive(...hello, wire.frame(frames.HEADERS, 0, 1, wire.hex('82')));
    let sent = 0;
    while (!server.connection.failed && sent < 100) {
      server.receive(wire.frame(frames.CONTINUATION, 0, 1, part));
      sent++;
    }
    assert.is(sent, part.length > 1 ? 5 : 33);
    assert.is(server.events.list.at(-1), 'fail 11');
  }
});

connection('attack 34: 33 settings in one frame', () => {
  const many = (n: number) => wire.settings(...Array.from({ length: n }, () => [4, 100] as const));
  assert.equal(said([many(32)]), ['SETTINGS ACK']);
  assert.equal(said([many(33)]), ['GOAWAY last=0 code=11']);
});

connection('attack 35: a bomb of 4 KB entries by their index is a head too large, and costs no more', () => {
  const server = new TestServer();
  const big = wire.block([['x-bomb', 'b'.repeat(4_000)]], true);
  const bomb = Buffer.concat([wire.block(wire.get()), big, Buffer.alloc(15_000 - big.length, 0xbe)]);
  const started = performance.now();
  for (let i = 0; i < 50; i++)
    server.receive(...(i === 0 ? hello : []), wire.frame(frames.HEADERS, ENDED, 2 * i + 1, bomb));
  assert.ok(performance.now() - started < 1_000);
  assert.is(server.events.list.filter((event) => event.endsWith('request OO_HEAD_TOO_LARGE end')).length, 50);
});

// ---- time

connection('attack 38: a preface, or SETTINGS, that never come', () => {
  for (const piece of [
    wire.bytes(''),
    wire.preface.subarray(0, 10),
    wire.preface,
    Buffer.concat(hello).subarray(0, 30),
  ]) {
    const server = new TestServer({ headTimeoutMs: 5_000 });
    server.receive(piece);
    server.connection.sweep(server.now + 5_000);
    assert.not(server.connection.failed);
    server.connection.sweep(server.now + 5_001);
    assert.equal(server.events.list, ['fail 1']);
  }
});

connection('attack 34: a head that is never finished, by its frame or by its block', () => {
  const part = wire.frame(frames.HEADERS, 0, 1, wire.hex('82'));
  for (const pieces of [[get(1).subarray(0, 8)], [get(1).subarray(0, 20)], [part], [part, wire.frame(9, 0, 1, 'x')]]) {
    const server = new TestServer({ headTimeoutMs: 5_000 });
    server.receive(...hello);
    server.now += 20_000;
    server.connection.sweep(server.now);
    server.receive(pieces[0]);
    server.now += 4_000;
    server.receive(...pieces.slice(1));
    server.connection.sweep(server.now + 1_000);
    assert.not(server.connection.failed);
    server.connection.sweep(server.now + 1_001);
    assert.equal(server.events.list, ['fail 1']);
  }
});

connection('the time of a frame counts from its first byte, however many parts it has', () => {
  const server = new TestServer({ headTimeoutMs: 5_000 });
  server.receive(...hello);
  for (const [from, to] of [
    [0, 4],
    [4, 9],
    [9, 12],
    [12, 15],
  ]) {
    server.receive(get(1).subarray(from, to));
    server.now += 1_000;
  }
  server.connection.sweep(server.now + 1_000);
  assert.not(server.connection.failed);
  server.connection.sweep(server.now + 1_001);
  assert.ok(server.connection.failed);
});

connection('idle is not late', () => {
  const server = new TestServer({ headTimeoutMs: 5_000 });
  server.receive(...hello, post(1));
  server.connection.sweep(server.now + 1_000_000);
  assert.not(server.connection.failed);
});

connection('since when there is no stream', () => {
  const server = new TestServer();
  assert.is(server.connection.idleSince, 1_000);
  server.receive(...hello, post(1), get(3));
  assert.is(server.connection.idleSince, -1);
  server.now = 5_000;
  server.receive(wire.reset(1, 8));
  assert.is(server.connection.idleSince, -1);
  server.receive(wire.reset(3, 8));
  assert.is(server.connection.idleSince, 5_000);
});

connection.run();
