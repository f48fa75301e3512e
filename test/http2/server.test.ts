import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { NEVER_INDEXED } from '../../src/http2/hpack-write.ts';
import { BlockReader, fieldsOf, TestServer } from './peers.ts';
import * as wire from './wire.ts';

const server = suite('http2 server');

const get = (id: number) => wire.headers(id, wire.get());
const post = (id: number) => wire.headers(id, wire.post(), false);

function greeted(...settings: (readonly [number, number])[]): TestServer {
  const made = new TestServer();
  made.connection.start();
  made.receive(wire.preface, wire.settings(...settings), wire.settingsAck);
  made.sent();
  return made;
}

/** Answers stream 1 with an HTTP/1.1 head. */
function answer(of: TestServer, head: string, ended = false, literal?: number): void {
  const buf = wire.bytes(`!${head}!`);
  of.connection.sendResponse(of.stream(1), buf, 1, buf.length - 1, undefined, 0, ended, literal);
}

server('a response: its head, its body, its end in the last frame of the body', () => {
  const of = greeted();
  of.receive(get(1));
  answer(of, 'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX-Request-Id: a\r\n\r\n');
  assert.is(of.connection.sendData(of.stream(1), wire.bytes('abc'), 1, 3), 3);
  of.connection.endStream(of.stream(1));
  const sent = of.sent();
  assert.equal(wire.describe(sent), ['HEADERS 1', 'DATA 1 2 END']);
  assert.equal(fieldsOf(sent), [[':status: 404', 'content-type: text/plain', 'x-request-id: a']]);
  assert.is(wire.framesOf(sent)[1].payload.toString(), 'bc');
  assert.is(of.connection.streams.size, 0);
});

server('a head alone ends the stream in its own frame', () => {
  for (const how of ['known', 'later'] as const) {
    const of = greeted();
    of.receive(get(1));
    answer(of, 'HTTP/1.1 204 No Content\r\n\r\n', how === 'known');
    if (how === 'later') of.connection.endStream(of.stream(1));
    assert.equal(wire.describe(of.sent()), ['HEADERS 1 END']);
    assert.is(of.connection.streams.size, 0);
  }
});

server('an end that is known only when the rest has been taken is an empty DATA', () => {
  const of = greeted();
  of.receive(get(1));
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n');
  of.connection.sendData(of.stream(1), wire.bytes('abc'), 0, 3);
  of.sent();
  of.connection.endStream(of.stream(1));
  assert.equal(wire.describe(of.sent()), ['DATA 1 0 END']);
});

server('the end of one stream marks none of another', () => {
  const of = greeted();
  of.receive(get(1), get(3));
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n');
  const head = wire.bytes('HTTP/1.1 200 OK\r\n\r\n');
  of.connection.sendResponse(of.stream(3), head, 0, head.length);
  of.connection.sendData(of.stream(1), wire.bytes('abc'), 0, 3);
  of.connection.sendData(of.stream(3), wire.bytes('abcd'), 0, 4);
  of.connection.endStream(of.stream(1));
  assert.equal(wire.describe(of.sent()), ['HEADERS 1', 'HEADERS 3', 'DATA 1 3 END', 'DATA 3 4']);
});

server('interim responses, then trailers', () => {
  const of = greeted();
  of.receive(get(1));
  answer(of, 'HTTP/1.1 100 Continue\r\n\r\n');
  answer(of, 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
  answer(of, 'HTTP/1.1 200 OK\r\nTrailer: grpc-status\r\nTransfer-Encoding: chunked\r\n\r\n');
  of.connection.sendData(of.stream(1), wire.bytes('abc'), 0, 3);
  const trailers = wire.bytes('!Grpc-Status: 0\r\ngrpc-message:\r\n\r\n');
  of.connection.sendTrailers(of.stream(1), trailers, 1, trailers.length, NEVER_INDEXED);
  const sent = of.sent();
  assert.equal(wire.describe(sent), ['HEADERS 1', 'HEADERS 1', 'HEADERS 1', 'DATA 1 3', 'HEADERS 1 END']);
  assert.equal(fieldsOf(sent), [
    [':status: 100'],
    [':status: 103', 'link: </a>'],
    [':status: 200', 'trailer: grpc-status'],
    ['grpc-status: 0', 'grpc-message: '],
  ]);
  assert.is(of.connection.streams.size, 0);
});

server('trailers of which none is left end the stream', () => {
  const of = greeted();
  of.receive(get(1));
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n');
  of.connection.sendTrailers(of.stream(1), wire.bytes('\r\n'), 0, 2, 0);
  assert.equal(wire.describe(of.sent()), ['HEADERS 1 END']);
});

server('§8.6: 101 becomes 200', () => {
  const of = greeted();
  const fields: wire.Field[] = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':path', '/'],
    [':authority', 'a'],
  ];
  of.receive(wire.headers(1, fields, false));
  answer(
    of,
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: x\r\n\r\n',
  );
  const sent = of.sent();
  assert.equal(fieldsOf(sent), [[':status: 200', 'sec-websocket-protocol: x']]);
  of.receive(wire.data(1, 'to you'));
  of.connection.sendData(of.stream(1), wire.bytes('to me'), 0, 5);
  assert.is(of.events.list.at(-1), '1 data to you');
  // Each side closes for itself.
  of.receive(wire.data(1, '', true));
  of.connection.sendData(of.stream(1), wire.bytes('more'), 0, 4);
  of.connection.endStream(of.stream(1));
  assert.equal(wire.describe(of.sent()), ['DATA 1 5', 'DATA 1 4 END']);
  assert.is(of.connection.streams.size, 0);
});

server('§4.3, §6.10: a head larger than a frame goes on in CONTINUATION', () => {
  for (const length of [16_370, 16_384, 16_390, 32_768, 50_000]) {
    const of = greeted();
    of.receive(get(1));
    const value = Array.from({ length }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    const half = Math.floor(length / 2);
    answer(of, `HTTP/1.1 200 OK\r\nX-A: ${value.slice(0, half)}\r\nX-B: ${value.slice(half)}\r\nX-C: d\r\n\r\n`, true);
    const sent = of.sent();
    const all = wire.framesOf(sent);
    assert.ok(all.every((frame) => frame.payload.length <= frames.MAX_FRAME_BYTES));
    assert.equal([all[0].type, all[0].flags & frames.END_STREAM], [frames.HEADERS, frames.END_STREAM]);
    assert.ok(all.slice(1).every((frame) => frame.type === frames.CONTINUATION));
    assert.equal(
      all.map((frame) => (frame.flags & frames.END_HEADERS) !== 0),
      all.map((_, i) => i === all.length - 1),
    );
    const block = Buffer.concat(all.map((frame) => frame.payload));
    assert.ok(block.includes(value.slice(0, half)) && block.includes(value.slice(half)));
    assert.ok(all.length === Math.ceil(block.length / frames.MAX_FRAME_BYTES));
  }
});

server('RFC 7541 §4.2: a client that takes no table is told so, once', () => {
  const of = greeted([1, 0]);
  of.receive(get(1));
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n');
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n', true);
  const [first, second] = wire.framesOf(of.sent());
  assert.equal([first.payload.toString('hex'), second.payload.toString('hex')], ['2088', '88']);
});

server('RFC 7541 §7.1.3: what came never to be indexed is sent so', () => {
  const of = greeted();
  of.receive(get(1));
  answer(of, 'HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n\r\n', true, NEVER_INDEXED);
  const [head] = wire.framesOf(of.sent());
  const reader = new BlockReader();
  assert.equal(reader.read(head.payload), [
    [':status', '200'],
    ['set-cookie', 'a'],
  ]);
  assert.ok(reader.neverIndexed);
});

server('§8.1: a response that is complete before its request: RST_STREAM 0, and the rest is dropped', () => {
  const of = greeted();
  of.receive(post(1));
  answer(of, 'HTTP/1.1 413 Too Large\r\n\r\n', true);
  of.connection.reset(of.stream(1), frames.NO_ERROR);
  of.receive(wire.data(1, Buffer.alloc(10_000)), wire.data(1, 'x', true), get(3));
  assert.equal(wire.describe(of.sent()), ['HEADERS 1 END', 'RST 1 0']);
  assert.equal([...of.connection.streams.keys()], [3]);
});

server('§5.1: nothing is sent on a stream that we have ended, or that is reset', () => {
  const of = greeted();
  of.receive(post(1), get(3));
  const one = of.stream(1);
  const three = of.stream(3);
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n', true);
  of.receive(wire.reset(3, 8));
  of.sent();
  for (const stream of [one, three]) {
    const head = wire.bytes('HTTP/1.1 200 OK\r\n\r\n');
    of.connection.sendResponse(stream, head, 0, head.length);
    assert.is(of.connection.sendData(stream, wire.bytes('abc'), 0, 3), 3);
    of.connection.sendTrailers(stream, wire.bytes('a: b\r\n\r\n'), 0, 8, 0);
    of.connection.endStream(stream);
  }
  of.connection.reset(three, 8);
  assert.is(of.sent().length, 0);
});

server('a failure of ours becomes a fault that the edge answers', () => {
  const of = greeted();
  of.receive(wire.headers(1, [...wire.get().slice(0, 2), [':authority', 'a/b'], [':path', '/']]));
  assert.equal(of.events.list, ['1 request OO_BAD_HOST end']);
  answer(of, 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\n');
  of.connection.sendData(of.stream(1), wire.bytes('no'), 0, 2, true);
  const sent = of.sent();
  assert.equal(wire.describe(sent), ['HEADERS 1', 'DATA 1 2 END']);
  assert.equal(fieldsOf(sent), [[':status: 400', 'content-length: 2']]);
});

server('trailers of a request: those that may go on', () => {
  const of = greeted();
  const fields: wire.Field[] = [
    ['x-checksum', 'abc'],
    ['host', 'b'],
    ['content-length', '5'],
    ['x-forwarded-for', '1'],
    ['cookie', 'a'],
    ['te', 'x'],
    ['x_y', 'z'],
    ['grpc-status', '0'],
  ];
  of.receive(post(1), wire.data(1, 'abc'), wire.headers(1, fields));
  assert.equal(of.events.list.slice(1), ['1 data abc', '1 trailers "x-checksum: abc\\r\\ngrpc-status: 0\\r\\n\\r\\n"']);
});

server('trailers over a limit are dropped, and the request goes on', () => {
  const of = greeted();
  const many = Array.from({ length: 129 }, (): wire.Field => ['x-a', 'b']);
  of.receive(post(1), wire.headers(1, many));
  assert.equal(of.events.list.slice(1), ['1 trailers "\\r\\n"']);
});

server('an output is asked for once, until it has been taken', () => {
  const of = new TestServer();
  let asked = 0;
  of.onOutput = () => {
    asked++;
  };
  of.connection.start();
  of.receive(wire.preface, wire.settings(), wire.ping());
  assert.is(asked, 1);
  of.sent();
  assert.is(of.connection.takeOutput(), null);
  of.receive(wire.ping());
  assert.is(asked, 2);
});

server('what waits to be taken, while nothing can be written: heads and answers, no data', () => {
  const of = greeted();
  assert.is(of.connection.waitingBytes, 0);
  of.connection.blocked = true;
  of.receive(get(1), wire.ping());
  answer(of, 'HTTP/1.1 200 OK\r\n\r\n');
  of.connection.sendData(of.stream(1), Buffer.alloc(1_000), 0, 1_000);
  assert.is(of.connection.waitingBytes, 17 + 10);
  of.sent();
  assert.is(of.connection.waitingBytes, 0);
});

server('a stream may be reset, and answered, from inside of what it hears', () => {
  const of = greeted();
  of.onRequest = (stream) => {
    if (stream.id === 1) of.connection.reset(stream, 8);
  };
  of.receive(get(1), post(3), wire.data(3, 'abc'));
  const answering = of.stream(3);
  of.onEnd = (stream) => of.connection.reset(stream, 8);
  of.receive(wire.data(3, 'def', true));
  assert.ok(answering.closed);
  assert.equal(wire.describe(of.sent()), ['RST 1 8', 'RST 3 8']);
  assert.is(of.connection.streams.size, 0);
});

server.run();
