import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { FLOOD_LIMITS, FLOOD_NAMES } from '../../src/http2/limits.ts';
import { TestServer } from './peers.ts';
import * as wire from './wire.ts';

/** Attacks 33 to 36 and 38: what costs us something is counted, and what is not finished ends. */
const limits = suite('http2 limits');

const hello = [wire.preface, wire.settings()];
const get = (id: number) => wire.headers(id, wire.get());
const post = (id: number) => wire.headers(id, wire.post(), false);
const ENDED = frames.END_HEADERS | frames.END_STREAM;

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
  limits(`attack ${attack}: ${most}, not one more`, () => {
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

limits('attack 33: streams refused again and again', () => {
  const server = new TestServer({ maxConcurrentStreams: 1 });
  server.receive(...hello, get(1));
  for (let i = 1; i <= 1_000; i++) server.receive(get(2 * i + 1));
  assert.not(server.connection.failed);
  server.receive(get(3_001));
  assert.is(server.reasons.at(-1), 'too many streams over the limit');
});

limits('floods are counted in windows of ten seconds', () => {
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

limits('every kind of flood has a limit and a name', () => {
  assert.is(FLOOD_NAMES.length, FLOOD_LIMITS.length);
});

limits('attack 33: a rapid reset of 20,000 ends after 1,001, and all of them have been cancelled', () => {
  const server = new TestServer();
  server.receive(...hello);
  for (let i = 0; i < 20_000; i++) server.receive(get(2 * i + 1), wire.reset(2 * i + 1, 8));
  const requests = server.events.list.filter((event) => /^\d+ request/.test(event)).length;
  const aborts = server.events.list.filter((event) => /^\d+ abort/.test(event)).length;
  assert.equal([requests, aborts], [1_001, 1_001]);
});

limits('attack 34: CONTINUATION without end, empty or not', () => {
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

limits('attack 34: 33 settings in one frame', () => {
  const many = (n: number) => wire.settings(...Array.from({ length: n }, () => [4, 100] as const));
  const says = (n: number) => wire.describe(new TestServer().receive(...hello, many(n)).sent()).at(-1);
  assert.is(says(32), 'SETTINGS ACK');
  assert.is(says(33), 'GOAWAY last=0 code=11');
});

limits('attack 35: a bomb of 4 KB entries by their index is a head too large, and costs no more', () => {
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

limits('attack 38: a preface, or SETTINGS, that never come', () => {
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

limits('attack 34: a head that is never finished, by its frame or by its block', () => {
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

limits('the time of a frame counts from its first byte, however many parts it has', () => {
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

limits('idle is not late', () => {
  const server = new TestServer({ headTimeoutMs: 5_000 });
  server.receive(...hello, post(1));
  server.connection.sweep(server.now + 1_000_000);
  assert.not(server.connection.failed);
});

limits('since when there is no stream', () => {
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

limits.run();
