import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { TestServer } from './peers.ts';
import * as wire from './wire.ts';

/** RFC 9113 §6.8: an end without loss. */
const drain = suite('http2 drain');

const get = (id: number) => wire.headers(id, wire.get());
const post = (id: number) => wire.headers(id, wire.post(), false);

function said(pieces: Uint8Array[], server: TestServer): void {
  server.connection.start();
  server.receive(wire.preface, wire.settings(), ...pieces);
  server.sent();
}

const drainPing = wire.frame(frames.PING, 0, 0, 'oo drain');

drain('§6.8: drain: a warning, the last stream named when it has arrived, and the end', () => {
  const server = new TestServer();
  said([post(1)], server);
  server.connection.drain();
  server.connection.drain();
  const sent = server.sent();
  assert.equal(wire.describe(sent), ['GOAWAY last=2147483647 code=0', 'PING']);
  assert.equal(sent.subarray(-17), drainPing);
  // On its way when GOAWAY was sent: it is served.
  server.receive(get(3), wire.ping('oo drain', true));
  assert.equal(wire.describe(server.sent()), ['GOAWAY last=3 code=0']);
  // RFC 9113 §6.8: ignored, but for the state that all streams share.
  const late = wire.frame(frames.HEADERS, frames.END_HEADERS, 5, wire.block([...wire.post(), ['late', 'x']], true));
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

drain('§6.8: an idle connection drains as soon as its PING is back', () => {
  const server = new TestServer();
  said([], server);
  server.connection.drain();
  server.receive(wire.ping('oo drain', true));
  assert.equal(server.events.list, ['drained']);
});

drain('§6.8: an error after that names no higher stream', () => {
  const server = new TestServer();
  said([get(1)], server);
  server.connection.drain();
  server.receive(wire.ping('oo drain', true));
  server.receive(get(3), get(5), wire.update(0, 0));
  assert.is(wire.describe(server.sent()).at(-1), 'GOAWAY last=1 code=1');
});

drain.run();
