import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ReceiveWindow } from '../../src/http2/flow.ts';
import * as frames from '../../src/http2/frames.ts';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import { TestServer } from './peers.ts';
import * as wire from './wire.ts';

const flow = suite('http2 flow control');

const post = (id: number) => wire.headers(id, wire.post(), false);
const get = (id: number) => wire.headers(id, wire.get());
const head = wire.bytes('HTTP/1.1 200 OK\r\n\r\n');

/** A server that has been greeted, and has said its own. */
function greeted(options: Partial<ConnectionOptions> = {}, ...settings: (readonly [number, number])[]): TestServer {
  const server = new TestServer(options);
  server.connection.start();
  server.receive(wire.preface, wire.settings(...settings), wire.settingsAck);
  server.sent();
  return server;
}
const sent = (server: TestServer) => wire.describe(server.sent());
const updates = (server: TestServer) => sent(server).filter((frame) => frame.startsWith('UPDATE'));

// ---- what a peer may send

flow('§6.9.1: a stream window holds to the byte', () => {
  const server = greeted({ streamWindow: 1_000 });
  server.taking = false;
  server.receive(post(1), wire.data(1, Buffer.alloc(600)), wire.data(1, Buffer.alloc(400)), wire.data(1, ''));
  assert.equal(sent(server), []);
  server.receive(wire.data(1, 'x'), get(3));
  assert.equal(sent(server), ['RST 1 3']);
  assert.is(server.connection.streams.size, 1);
});

flow('§6.9.1: padding counts', () => {
  const server = greeted({ streamWindow: 1_000 });
  server.taking = false;
  const padded = Buffer.concat([Buffer.of(200), Buffer.alloc(300), Buffer.alloc(200)]);
  server.receive(post(1), wire.frame(frames.DATA, frames.PADDED, 1, padded), wire.data(1, Buffer.alloc(499)));
  // Padding is given back at once, but is too little to say so.
  assert.equal(sent(server), []);
  server.receive(wire.data(1, 'x'));
  assert.equal(sent(server), ['RST 1 3']);
});

flow('§6.9.1: the connection window holds to the byte', () => {
  const server = greeted({ connectionWindow: 70_000, streamWindow: 40_000 });
  server.taking = false;
  server.receive(post(1), post(3));
  for (const id of [1, 3]) for (let i = 0; i < 35; i++) server.receive(wire.data(id, Buffer.alloc(1_000)));
  assert.equal(sent(server), []);
  server.receive(wire.data(1, 'x'));
  assert.equal(sent(server), ['GOAWAY last=3 code=3']);
});

flow('§6.9.2: our setting holds from its acknowledgement on, also for streams that are open', () => {
  const server = new TestServer({ streamWindow: 1_000 });
  server.taking = false;
  server.connection.start();
  server.receive(wire.preface, wire.settings(), post(1), wire.data(1, Buffer.alloc(10_000)));
  server.sent();
  server.receive(wire.settingsAck, post(3), wire.data(3, Buffer.alloc(1_000)));
  assert.equal(sent(server), []);
  server.receive(wire.data(3, 'x'), wire.data(1, 'x'));
  assert.equal(sent(server), ['RST 3 3', 'RST 1 3']);
});

flow('windows are opened when bytes have been taken, not before', () => {
  const server = greeted({
    streamWindow: 10_000,
    maxStreamWindow: 10_000,
    connectionWindow: 100_000,
    maxConnectionWindow: 100_000,
  });
  server.taking = false;
  server.receive(post(1), wire.data(1, Buffer.alloc(9_000)));
  assert.equal(sent(server), []);
  const stream = server.stream(1);
  server.connection.consume(stream, 4_999);
  assert.equal(sent(server), []);
  server.connection.consume(stream, 1);
  assert.equal(sent(server), ['UPDATE 1 5000']);
  server.connection.consume(stream, 4_000);
  assert.equal(sent(server), []);
  server.receive(wire.data(1, Buffer.alloc(1_000), true));
  server.connection.consume(stream, 1_000);
  // It has ended: nobody needs its window any more.
  assert.equal(sent(server), []);
});

flow('consuming more than has come changes nothing', () => {
  const server = greeted({ streamWindow: 1_000, connectionWindow: 65_535 });
  server.taking = false;
  server.receive(post(1), wire.data(1, Buffer.alloc(100)));
  server.connection.consume(server.stream(1), 1_000_000);
  assert.equal(sent(server), []);
});

flow('bytes of a stream that ends are given back to the connection', () => {
  for (const end of ['reset', 'aborted', 'answered', 'in the middle'] as const) {
    const server = greeted({ connectionWindow: 65_535, maxConnectionWindow: 65_535 });
    server.taking = false;
    // Many times the connection window, one stream after another: none of it is taken.
    for (let id = 1; id < 100; id += 2) {
      const piece = wire.data(id, Buffer.alloc(10_000), end === 'answered');
      server.receive(post(id), end === 'in the middle' ? piece.subarray(0, 5_000) : piece);
      const stream = server.stream(id);
      if (end === 'aborted') server.receive(wire.reset(id, 8));
      else if (end === 'answered') server.connection.sendResponse(stream, head, 0, head.length, undefined, 0, true);
      else server.connection.reset(stream, frames.CANCEL);
      if (end === 'in the middle') server.receive(piece.subarray(5_000));
      server.connection.consume(stream, 10_000);
      assert.not(server.connection.failed, `${end}, ${id}: ${server.reasons}`);
    }
    const total = updates(server).reduce((sum, frame) => sum + Number(frame.split(' ')[2]), 0);
    assert.ok(total > 400_000 && total <= 500_000, `${end}: ${total}`);
  }
});

flow('bytes that are dropped are given back to the connection', () => {
  const server = greeted({ connectionWindow: 65_535, maxConnectionWindow: 65_535 });
  server.taking = false;
  server.receive(post(1));
  server.connection.reset(server.stream(1), frames.CANCEL);
  for (let i = 0; i < 50; i++) server.receive(wire.data(1, Buffer.alloc(10_000)));
  assert.not(server.connection.failed);
  const bad = greeted({ connectionWindow: 65_535, maxConnectionWindow: 65_535 });
  bad.taking = false;
  // Streams in error: too much for their window, or not as long as they said.
  for (let id = 1; id < 80; id += 4) {
    const sized = wire.headers(id + 2, wire.post('/', ['content-length', '5']), false);
    bad.receive(post(id), sized, wire.data(id + 2, Buffer.alloc(16_000)));
    for (let i = 0; i < 3; i++) bad.receive(wire.data(id, Buffer.alloc(16_000)));
    bad.receive(wire.reset(id, 8));
  }
  assert.not(bad.connection.failed, bad.reasons.at(-1));
});

flow('one upstream that takes nothing does not stop the others', () => {
  const server = greeted();
  server.taking = false;
  server.receive(post(1), post(3));
  const fill = (id: number, bytes: number) => {
    for (let left = bytes; left > 0; left -= 16_000)
      server.receive(wire.data(id, Buffer.alloc(Math.min(left, 16_000))));
  };
  fill(1, 65_535);
  for (let round = 0; round < 100; round++) {
    fill(3, 30_000);
    server.connection.consume(server.stream(3), 30_000);
  }
  assert.not(server.connection.failed);
  assert.is(server.connection.streams.size, 2);
});

flow('what a peer can make us keep is bounded, whatever is taken and when', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(20_000), fc.nat(20_000)), { maxLength: 150 }), (steps) => {
      const options = {
        streamWindow: 10_000,
        maxStreamWindow: 40_000,
        connectionWindow: 65_535,
        maxConnectionWindow: 131_070,
      };
      const server = greeted(options);
      server.taking = false;
      const windows = [65_535, 10_000, 10_000, 10_000, 10_000];
      const held = [0, 0, 0, 0, 0];
      server.receive(post(1), post(3), post(5), post(7));
      for (const [at, send, take] of steps) {
        const id = 2 * at + 1;
        // A peer that keeps to its windows, as far as they go.
        let left = Math.min(send, windows[0], windows[at + 1], 16_384);
        left = Math.max(left, 0);
        if (left > 0) server.receive(wire.data(id, Buffer.alloc(left)));
        windows[0] -= left;
        windows[at + 1] -= left;
        held[at + 1] += left;
        const taken = Math.min(take, held[at + 1]);
        held[at + 1] -= taken;
        server.connection.consume(server.stream(id), taken);
        for (const frame of updates(server)) {
          const [, stream, more] = frame.split(' ').map(Number);
          windows[stream === 0 ? 0 : (stream + 1) / 2] += more;
        }
        assert.not(server.connection.failed);
        const all = held.reduce((sum, n) => sum + n, 0);
        assert.ok(windows[0] + all <= 131_070, `connection: ${windows[0]} + ${all}`);
        for (let i = 1; i <= 4; i++) assert.ok(windows[i] + held[i] <= 40_000);
      }
    }),
    { numRuns: 60 },
  );
});

flow('a window grows where bytes are taken as they come, and shrinks where they pile up', () => {
  const window = new ReceiveWindow(1_000, 1_000, 8_000);
  const target = () => window.window + window.held;
  for (let i = 0; i < 40; i++) {
    assert.ok(window.take(500));
    window.release(500);
  }
  assert.ok(target() > 7_000, `${target()}`);
  assert.ok(window.take(window.window));
  for (let i = 0; i < 20; i++) window.release(10);
  assert.is(window.release(0), 0);
  while (window.held > 500) window.release(100);
  window.release(500);
  assert.ok(target() <= 2_000, `${target()}`);
  const held = new ReceiveWindow(1_000, 1_000, 8_000);
  for (let i = 0; i < 40; i++) {
    assert.ok(held.take(500));
    assert.is(held.release(500, false), 500);
  }
  const fixed = new ReceiveWindow(1_000, 1_000, 0);
  for (let i = 0; i < 40; i++) {
    assert.ok(fixed.take(500));
    assert.is(fixed.release(500), 500);
  }
});

flow.run();
