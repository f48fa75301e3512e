import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ConnectionOptions } from '../../src/http2/options.ts';
import { TestServer, type TestServerStream } from './peers.ts';
import * as wire from './wire.ts';

const flow = suite('http2 flow control: what we may send');

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

/** Answers `bytes` of data as windows allow, one stream at a time. */
class Sender {
  readonly server: TestServer;
  private readonly body: Buffer;
  private readonly at = new Map<number, number>();
  constructor(server: TestServer, bytes: number) {
    this.server = server;
    this.body = Buffer.alloc(bytes, 'abcdefghij');
    server.onRequest = (stream) => {
      server.connection.sendResponse(stream, head, 0, head.length);
      this.send(stream);
    };
    server.onWritable = (stream) => this.send(stream);
  }
  private send(stream: TestServerStream): void {
    const from = this.at.get(stream.id) ?? 0;
    this.at.set(stream.id, this.server.connection.sendData(stream, this.body, from, this.body.length, true));
  }
}

flow('§6.9: nothing past a stream window, nor the connection window', () => {
  const server = greeted({}, [4, 100]);
  new Sender(server, 250);
  server.receive(get(1));
  assert.equal(sent(server), ['HEADERS 1', 'DATA 1 100']);
  server.receive(wire.update(1, 60));
  assert.equal(sent(server), ['DATA 1 60']);
  server.receive(wire.update(0, 1_000));
  assert.equal(sent(server), []);
  server.receive(wire.update(1, 1_000));
  assert.equal(sent(server), ['DATA 1 90 END']);
  const wide = greeted({}, [4, 1_000_000]);
  new Sender(wide, 65_545);
  wide.receive(get(1));
  assert.equal(sent(wide), ['HEADERS 1', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16383']);
  wide.receive(get(3));
  assert.equal(sent(wide), ['HEADERS 3']);
  wide.receive(wire.update(1, 5));
  assert.equal(sent(wide), []);
  wide.receive(wire.update(0, 5));
  assert.equal(sent(wide), ['DATA 1 5']);
  wide.receive(wire.update(0, 5));
  assert.equal(sent(wide), ['DATA 3 5']);
  wide.receive(wire.update(0, 5));
  assert.equal(sent(wide), ['DATA 1 5 END']);
});

flow('§4.2: no frame larger than 16,384, whatever the peer takes', () => {
  const server = greeted({}, [4, 1_000_000], [5, 1_000_000]);
  new Sender(server, 40_000);
  server.receive(wire.update(0, 1_000_000), get(1));
  assert.equal(sent(server), ['HEADERS 1', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 7232 END']);
});

flow('§6.9.2: SETTINGS change the windows of open streams, below 0 if need be', () => {
  const server = greeted({}, [4, 100]);
  new Sender(server, 250);
  server.receive(get(1));
  server.sent();
  server.receive(wire.settings([4, 40]));
  assert.equal(sent(server), ['SETTINGS ACK']);
  server.receive(wire.update(1, 60));
  assert.equal(sent(server), []);
  server.receive(wire.update(1, 1));
  assert.equal(sent(server), ['DATA 1 1']);
  server.receive(wire.settings([4, 90]));
  assert.equal(sent(server), ['SETTINGS ACK', 'DATA 1 50']);
  server.receive(wire.settings([4, 0], [4, 1_000_000]), get(3));
  assert.equal(sent(server), ['SETTINGS ACK', 'DATA 1 99 END', 'HEADERS 3', 'DATA 3 250 END']);
});

flow('§6.9.1: a window may become 2^31-1', () => {
  const server = greeted({}, [4, 0]);
  new Sender(server, 3);
  server.receive(get(1), wire.update(1, 0x7fff_ffff), wire.update(0, 0x7fff_ffff - 65_535 + 3));
  assert.equal(sent(server), ['HEADERS 1', 'DATA 1 3 END']);
});

flow('streams that wait take turns', () => {
  const server = greeted({}, [4, 1_000_000]);
  new Sender(server, 450_000);
  server.receive(wire.update(0, 10_000_000), get(1), get(3), get(5));
  const order: string[] = [];
  for (let turn = 0; turn < 30; turn++) {
    const who = new Set(
      sent(server)
        .filter((frame) => frame.startsWith('DATA'))
        .map((frame) => frame.split(' ')[1]),
    );
    if (who.size > 0) order.push([...who].join());
    server.connection.resume();
  }
  assert.is(server.connection.streams.size, 0);
  // About 128 KiB a turn. The first has been served before the others came.
  assert.equal(order.slice(0, 7), ['1', '1', '3', '5', '1', '3', '5']);
});

flow('a stream is told once, and only when it waits and can go on', () => {
  const server = greeted({}, [4, 10]);
  const told = () => server.events.list.filter((event) => event.endsWith('writable')).length;
  server.receive(get(1), wire.update(1, 5), wire.update(0, 5));
  assert.is(told(), 0);
  const stream = server.stream(1);
  server.connection.sendResponse(stream, head, 0, head.length);
  assert.is(server.connection.sendData(stream, Buffer.alloc(20), 0, 20), 15);
  server.connection.blocked = true;
  server.receive(wire.update(1, 5));
  assert.is(told(), 0);
  server.connection.blocked = false;
  // In line still: it waits to be told.
  assert.is(server.connection.sendData(stream, Buffer.alloc(20), 15, 20), 15);
  server.receive(wire.update(1, 1));
  assert.is(told(), 1);
  server.connection.resume();
  server.receive(wire.update(0, 1));
  assert.is(told(), 1);
  assert.is(server.connection.sendData(stream, Buffer.alloc(20), 15, 20), 20);
  assert.is(server.connection.sendData(stream, Buffer.alloc(20), 20, 20, true), 20);
  assert.equal(sent(server), ['HEADERS 1', 'DATA 1 15', 'DATA 1 5 END']);
  assert.is(server.connection.streams.size, 0);
});

flow('a stream is not told before the connection window is open', () => {
  const server = greeted({}, [4, 100_000]);
  new Sender(server, 65_535);
  server.receive(get(1), get(3), wire.update(3, 5));
  assert.is(server.events.list.filter((event) => event.endsWith('writable')).length, 0);
});

flow('nothing is taken while nothing can be written', () => {
  const server = greeted({}, [4, 1_000_000]);
  new Sender(server, 100);
  server.connection.blocked = true;
  server.receive(get(1), get(3), wire.reset(3, 8));
  assert.equal(sent(server), ['HEADERS 1', 'HEADERS 3']);
  server.receive(wire.update(1, 10), wire.update(0, 10));
  assert.equal(sent(server), []);
  server.connection.resume();
  assert.equal(sent(server), ['DATA 1 100 END']);
});

flow('output stays bounded: the rest waits until it has been taken', () => {
  const server = greeted({}, [4, 10_000_000]);
  new Sender(server, 1_000_000);
  server.receive(wire.update(0, 100_000_000), get(1), get(3));
  let largest = 0;
  for (let turn = 0; turn < 40; turn++) {
    largest = Math.max(largest, server.sent().length);
    server.connection.resume();
  }
  assert.is(server.connection.streams.size, 0);
  assert.ok(largest < 160_000, `${largest}`);
});

flow('a stream that is gone leaves the line', () => {
  const server = greeted({}, [4, 0]);
  new Sender(server, 10);
  for (let id = 1; id < 400; id += 2) server.receive(get(id), wire.reset(id, 8));
  server.receive(get(1_001), wire.settings([4, 100]));
  assert.is(sent(server).at(-1), 'DATA 1001 10 END');
});

// ---- attack 35: windows that are not opened

flow('attack 35: a stream whose window stays shut is reset in time, and its upstream freed', () => {
  const server = greeted({ stallTimeoutMs: 10_000 }, [4, 10]);
  new Sender(server, 30);
  server.receive(get(1), get(3));
  server.connection.sweep(server.now + 9_000);
  server.now += 9_000;
  server.receive(wire.update(3, 20));
  server.sent();
  server.connection.sweep(server.now + 1_000);
  assert.equal(sent(server), []);
  server.connection.sweep(server.now + 1_001);
  assert.equal(sent(server), ['RST 1 8']);
  assert.is(server.events.list.at(-1), '1 abort 8 us');
});

flow('attack 35: nor does a byte now and then help', () => {
  const server = greeted({ stallTimeoutMs: 10_000 }, [4, 10]);
  new Sender(server, 3_000);
  server.receive(get(1));
  let seconds = 0;
  for (; server.connection.streams.size > 0 && seconds < 60; seconds++) {
    server.now += 1_000;
    server.receive(wire.update(1, 1));
    server.connection.sweep(server.now);
  }
  assert.ok(seconds >= 10 && seconds <= 12, `${seconds}`);
  // A kilobyte in that time does: the rest comes.
  const slow = greeted({ stallTimeoutMs: 10_000 }, [4, 10]);
  new Sender(slow, 3_000);
  slow.receive(get(1));
  for (let second = 0; second < 60 && slow.connection.streams.size > 0; second++) {
    slow.now += 1_000;
    slow.receive(wire.update(1, 110));
    slow.connection.sweep(slow.now);
  }
  assert.not(slow.events.list.some((event) => event.includes('abort')));
});

flow('attack 35: the connection window counts as well', () => {
  const server = greeted({ stallTimeoutMs: 10_000 }, [4, 100_000]);
  new Sender(server, 70_000);
  server.receive(get(1));
  server.connection.sweep(server.now + 10_001);
  assert.is(server.events.list.at(-1), '1 abort 8 us');
});

flow('a stream that waits for the socket alone is not stalled', () => {
  const server = greeted({ stallTimeoutMs: 10_000 });
  new Sender(server, 100);
  server.connection.blocked = true;
  server.receive(get(1));
  server.connection.sweep(server.now + 100_000);
  assert.is(server.connection.streams.size, 1);
});

flow('attack 35: DATA cut to bytes by tiny windows is counted', () => {
  const server = greeted({}, [4, 1]);
  new Sender(server, 100_000);
  server.receive(get(1));
  let opened = 0;
  while (!server.connection.failed && opened < 20_000) {
    server.receive(wire.update(1, 1));
    opened++;
    if (opened % 1_000 === 0) server.sent();
  }
  assert.is(opened, 10_000);
  assert.is(server.reasons.at(-1), 'too many windows of a few bytes');
});

flow.run();
