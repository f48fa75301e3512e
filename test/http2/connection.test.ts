import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
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

connection.run();
