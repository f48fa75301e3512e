import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { NEVER_INDEXED } from '../../src/http2/hpack-write.ts';
import { BlockReader, fieldsOf, TestClient } from './peers.ts';
import * as wire from './wire.ts';

const client = suite('http2 client');

const GET = 'GET /a HTTP/1.1\r\nhost: a.test\r\n\r\n';
const POST = 'POST /a HTTP/1.1\r\nhost: a.test\r\n\r\n';
const status = (id: number, code: string, ended: boolean, ...more: wire.Field[]) =>
  wire.headers(id, [[':status', code], ...more], ended);

/** A client that has sent its preface, and been greeted. */
function greeted(...settings: (readonly [number, number])[]): TestClient {
  const made = new TestClient();
  made.receive(wire.settings(...settings), wire.settingsAck);
  made.sent();
  return made;
}

client('§3.4: the preface, then SETTINGS without push; requests need not wait', () => {
  const made = new TestClient();
  made.request(GET);
  const sent = made.sent();
  assert.equal(sent.subarray(0, 24), wire.preface);
  assert.equal(wire.describe(sent.subarray(24)), ['SETTINGS', 'UPDATE 0 458753', 'HEADERS 1 END']);
  // ENABLE_PUSH 0
  assert.ok(wire.framesOf(sent.subarray(24))[0].payload.includes(wire.hex('0002 00000000')));
});

client('§8.3.1: a request from its HTTP/1.1 head', () => {
  const made = greeted();
  made.request(
    'PUT /a?b HTTP/1.1\r\nAccept: */*\r\nHost: a.test:8\r\nConnection: x\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 1\r\n\r\n',
    { ended: false, tls: false, trailersWelcome: true },
  );
  const sent = made.sent();
  assert.equal(wire.describe(sent), ['HEADERS 1']);
  assert.equal(fieldsOf(sent), [
    [
      ':method: PUT',
      ':scheme: http',
      ':path: /a?b',
      ':authority: a.test:8',
      'accept: */*',
      'x-forwarded-for: 1',
      'te: trailers',
    ],
  ]);
  made.request(GET, { literal: NEVER_INDEXED });
  made.request(GET.replace('\r\n\r\n', '\r\nauthorization: x\r\n\r\n'), { literal: NEVER_INDEXED });
  const reader = new BlockReader();
  const [plain, secret] = wire.framesOf(made.sent());
  reader.read(plain.payload);
  assert.not(reader.neverIndexed);
  reader.read(secret.payload);
  assert.ok(reader.neverIndexed);
});

client('ids are odd and rise', () => {
  const made = greeted();
  made.request(GET);
  made.request(GET);
  made.request(GET);
  assert.equal(wire.describe(made.sent()), ['HEADERS 1 END', 'HEADERS 3 END', 'HEADERS 5 END']);
});

client('a response: interim, final, data, trailers; both sides stream', () => {
  const made = greeted();
  const stream = made.request(POST, { ended: false });
  made.receive(status(1, '103', false, ['link', '</a>']), status(1, '200', false, ['grpc-encoding', 'identity']));
  made.connection.sendData(stream, wire.bytes('up'), 0, 2);
  made.receive(wire.data(1, 'down'));
  made.connection.sendData(stream, wire.bytes('up again'), 0, 8);
  made.receive(wire.data(1, ' again'));
  made.connection.endStream(stream);
  made.receive(wire.headers(1, [['grpc-status', '0']]));
  assert.equal(made.events.list, [
    '1 interim "HTTP/1.1 103 \\r\\nlink: </a>\\r\\n\\r\\n"',
    '1 response "HTTP/1.1 200 \\r\\ngrpc-encoding: identity\\r\\n\\r\\n"',
    '1 data down again',
    '1 trailers "grpc-status: 0\\r\\n\\r\\n"',
  ]);
  assert.equal(wire.describe(made.sent()), ['HEADERS 1', 'DATA 1 2', 'DATA 1 8 END']);
  assert.is(made.connection.streams.size, 0);
});

client('a head alone', () => {
  const made = greeted();
  made.request(GET);
  made.receive(status(1, '204', true));
  assert.equal(made.events.list, ['1 response "HTTP/1.1 204 \\r\\n\\r\\n" end']);
  assert.is(made.connection.streams.size, 0);
});

client('TE means nothing in a response', () => {
  const made = greeted();
  made.request(GET);
  made.receive(status(1, '200', true, ['te', 'trailers'], ['a', 'b']));
  assert.equal(made.events.list, ['1 response "HTTP/1.1 200 \\r\\na: b\\r\\n\\r\\n" end']);
});

client('heads may say lengths that no body has: HEAD, 204, 304', () => {
  const made = greeted();
  made.request(GET.replace('GET', 'HEAD'), { bodiless: true });
  made.request(GET);
  made.receive(status(1, '200', true, ['content-length', '5']), status(3, '304', true, ['content-length', '5']));
  assert.is(made.reasons.length, 0);
  assert.is(made.connection.streams.size, 0);
});

// ---- what a server may not

const P = frames.PROTOCOL_ERROR;
const bomb = Buffer.concat([wire.hex('88'), wire.block([['a', 'b'.repeat(2_000)]], true), Buffer.alloc(20, 0xbe)]);
const length5: wire.Field = ['content-length', '5'];
const streamErrors: [rule: string, code: number, pieces: Buffer[], head?: string][] = [
  ['§8.1: no :status', P, [wire.headers(1, [['a', 'b']], false)]],
  ['§8.3.2: two', P, [wire.headers(1, [[':status', '200'], [':status', '200']])]],
  ['§8.3: after others', P, [wire.headers(1, [['a', 'b'], [':status', '200']])]],
  ['§8.3: one of requests', P, [status(1, '200', true, [':path', '/'])]],
  ...['', '20', '2000', 'abc', '099', '600', '-10', '2 0', '20x'].map((s): [string, number, Buffer[]] => [`§8.3.2: :status ${s}`, P, [status(1, s, true)]]),
  ['§8.6: 101', P, [status(1, '101', false)]],
  ['§8.1: an interim response that ends', P, [status(1, '100', true)]],
  ['§8.1: DATA before the head', P, [wire.data(1, 'x')]],
  ['§8.1: DATA after an interim response', P, [status(1, '100', false), wire.data(1, 'x')]],
  ['§8.1: trailers that do not end', P, [status(1, '200', false), wire.headers(1, [['a', 'b']], false)]],
  ['§8.1: a second head', P, [status(1, '200', false), status(1, '200', true)]],
  ['§8.2: an upper-case name', P, [status(1, '200', true, ['Server', 'x'])]],
  ['§8.2.1: LF in a value', P, [status(1, '200', true, ['server', 'x\ny: z'])]],
  ['§8.2.1: white space around', P, [status(1, '200', true, ['server', ' x'])]],
  ...['connection', 'transfer-encoding', 'keep-alive', 'upgrade', 'proxy-connection'].map((name): [string, number, Buffer[]] =>
    [`§8.2.2: ${name}`, P, [status(1, '200', true, [name, 'x'])]]),
  ['§8.1.1: a length and no body', P, [status(1, '200', true, length5)]],
  ['§8.1.1: less than the length', P, [status(1, '200', false, length5), wire.data(1, 'abcd', true)]],
  ['§8.1.1: less, before trailers', P, [status(1, '200', false, length5), wire.data(1, 'abcd'), wire.headers(1, [['a', 'b']])]],
  ['§8.1.1: more', P, [status(1, '200', false, length5), wire.data(1, 'abcdef')]],
  ['§8.1.1: two lengths', P, [status(1, '200', false, length5, length5)]],
  ['§8.1.1: no number', P, [status(1, '200', false, ['content-length', '5,5'])]],
  ['§8.1.1: a body for HEAD', P, [status(1, '200', false), wire.data(1, 'x')], 'HEAD'],
  ['§8.1.1: a body for 304', P, [status(1, '304', false), wire.data(1, 'x')]],
  ['a head over the limit', frames.CANCEL, [wire.frame(frames.HEADERS, frames.END_HEADERS, 1, bomb)]],
  ['129 fields', frames.CANCEL, [status(1, '200', true, ...Array.from({ length: 130 }, (): wire.Field => ['a', 'b']))]],
]; // biome-ignore format: one case a line
for (const [rule, code, pieces, method = 'GET'] of streamErrors) {
  client(`${rule}: RST_STREAM ${code}`, () => {
    const made = greeted();
    made.request(GET.replace('GET', method), { bodiless: method === 'HEAD' });
    made.request(GET);
    made.sent();
    made.receive(...pieces, status(3, '204', true));
    assert.equal(wire.describe(made.sent()), [`RST 1 ${code}`]);
    assert.is(made.events.list.at(-1), '3 response "HTTP/1.1 204 \\r\\n\\r\\n" end');
    assert.ok(made.events.list.includes(`1 abort ${code} us`));
  });
}

const fatal: [rule: string, code: number, pieces: Buffer[]][] = [
  ['§6.6, §8.4: PUSH_PROMISE', P, [wire.frame(frames.PUSH_PROMISE, 4, 1, wire.hex('00000002 82'))]],
  ['§5.1: HEADERS on an idle stream', P, [status(5, '200', true)]],
  ['§5.1.1: HEADERS on a stream of the server', P, [status(2, '200', true)]],
  ['§5.1: DATA on an idle stream', P, [wire.data(3, 'x')]],
  ['§6.5.2: ENABLE_PUSH 1', P, [wire.settings([2, 1])]],
  ['§4.3: a block that does not decode', frames.COMPRESSION_ERROR, [wire.frame(1, 5, 1, wire.hex('ff'))]],
]; // biome-ignore format: one case a line
for (const [rule, code, pieces] of fatal) {
  client(`${rule}: GOAWAY ${code}`, () => {
    const made = greeted();
    made.request(GET);
    made.sent();
    made.receive(...pieces);
    assert.equal(wire.describe(made.sent()), [`GOAWAY last=0 code=${code}`]);
    assert.equal(made.events.list, [`1 abort ${code} connection`, `fail ${code}`]);
  });
}

client('§3.4: the server must begin with SETTINGS', () => {
  const made = new TestClient();
  made.sent();
  made.receive(wire.ping());
  assert.equal(wire.describe(made.sent()), ['GOAWAY last=0 code=1']);
});

// ---- how many, and the end

client('§5.1.2: no more streams than the server allows', () => {
  const made = greeted([3, 2]);
  made.request(GET);
  assert.ok(made.connection.canOpen());
  made.request(GET);
  assert.not(made.connection.canOpen());
  made.receive(status(1, '204', true));
  assert.ok(made.connection.canOpen());
  assert.is(made.rooms, 2);
  made.receive(wire.settings([3, 0]));
  assert.not(made.connection.canOpen());
  made.receive(wire.settings([3, 100]));
  assert.ok(made.connection.canOpen());
  assert.is(made.rooms, 4);
});

client('§6.8: GOAWAY: streams above the last may be repeated; the others go on; no new ones', () => {
  const made = greeted();
  for (let i = 0; i < 3; i++) made.request(GET);
  made.receive(wire.goaway(3, 0));
  assert.equal(made.events.list, ['5 abort 7 peer', 'goaway 0']);
  assert.not(made.connection.canOpen());
  made.receive(status(3, '204', true), status(1, '204', true));
  assert.is(made.connection.streams.size, 0);
  const two = greeted();
  for (let i = 0; i < 2; i++) two.request(GET);
  two.receive(wire.goaway(0x7fff_ffff, 0), wire.goaway(1, 0));
  assert.equal(two.events.list, ['goaway 0', '3 abort 7 peer', 'goaway 0']);
});

client('§8.7: a refused stream says so', () => {
  const made = greeted();
  made.request(GET);
  made.receive(wire.reset(1, frames.REFUSED_STREAM));
  assert.equal(made.events.list, ['1 abort 7 peer']);
});

client('drain: no new streams, GOAWAY, and the end when the last stream has ended', () => {
  const made = greeted();
  made.request(GET);
  made.sent();
  made.connection.drain();
  assert.equal(wire.describe(made.sent()), ['GOAWAY last=0 code=0']);
  assert.not(made.connection.canOpen());
  made.receive(status(1, '204', true));
  assert.is(made.events.list.at(-1), 'drained');
});

client('a stream that we have reset: what still comes is dropped, and its head decoded', () => {
  const made = greeted();
  const stream = made.request(GET);
  made.request(GET);
  made.connection.reset(stream, frames.CANCEL);
  made.sent();
  const indexed = (id: number, block: Uint8Array) => wire.frame(1, frames.END_HEADERS, id, block);
  made.receive(
    indexed(
      1,
      wire.block(
        [
          [':status', '200'],
          ['late', 'x'],
        ],
        true,
      ),
    ),
    wire.data(1, 'abc'),
    indexed(3, wire.hex('88 be')),
  );
  assert.equal(made.events.list, ['3 response "HTTP/1.1 200 \\r\\nlate: x\\r\\n\\r\\n"']);
  assert.is(made.sent().length, 0);
});

client('§5.2: the server windows are kept to, and ours are opened as bytes are taken', () => {
  const made = greeted([4, 10]);
  const stream = made.request(POST, { ended: false });
  const body = Buffer.alloc(25);
  assert.is(made.connection.sendData(stream, body, 0, 25, true), 10);
  made.receive(wire.update(1, 10));
  assert.is(made.events.list.at(-1), '1 writable');
  assert.is(made.connection.sendData(stream, body, 10, 25, true), 20);
  made.receive(wire.update(1, 100));
  assert.is(made.connection.sendData(stream, body, 20, 25, true), 25);
  assert.equal(wire.describe(made.sent()), ['HEADERS 1', 'DATA 1 10', 'DATA 1 10', 'DATA 1 5 END']);
  made.taking = false;
  made.receive(status(1, '200', false), ...Array.from({ length: 4 }, () => wire.data(1, Buffer.alloc(16_000))));
  assert.is(made.sent().length, 0);
  made.connection.consume(stream, 64_000);
  assert.match(wire.describe(made.sent())[0], /^UPDATE 1 /);
});

client('§6.7: a PING of ours asks whether the server is there; its answer is nothing to be told of', () => {
  const made = greeted();
  made.connection.ping();
  const [{ type, flags, payload }] = wire.framesOf(made.sent());
  assert.equal([type, flags, payload.length], [frames.PING, 0, 8]);
  made.receive(wire.ping(payload.toString('latin1'), true), wire.ping());
  assert.equal(wire.describe(made.sent()), ['PING ACK']);
  assert.equal(made.events.list, []);
});

client('what a server does wrong on streams that were asked for does not end the others', () => {
  const made = greeted();
  const open = made.request(GET);
  const left = made.request(GET);
  made.connection.reset(left, frames.CANCEL);
  for (let i = 0; i < 5_000; i++) made.receive(wire.data(left.id, 'x'));
  for (let i = 0; i < 500; i++) {
    const wrong = made.request(GET);
    made.receive(wire.headers(wrong.id, [['x-no', 'status']]));
    assert.is(made.events.list.at(-1), `${wrong.id} abort ${frames.PROTOCOL_ERROR} us`);
  }
  made.receive(status(open.id, '200', true));
  assert.match(made.events.list.at(-1) as string, /^1 response/);
  assert.not.ok(made.connection.failed);
});

client('trailers of a request', () => {
  const made = greeted();
  const stream = made.request(POST, { ended: false });
  made.connection.sendData(stream, wire.bytes('abc'), 0, 3);
  made.connection.sendTrailers(stream, wire.bytes('X-Sum: 1\r\n\r\n'), 0, 12, 0);
  const sent = made.sent();
  assert.equal(wire.describe(sent), ['HEADERS 1', 'DATA 1 3', 'HEADERS 1 END']);
  assert.equal(fieldsOf(sent)[1], ['x-sum: 1']);
});

client.run();
