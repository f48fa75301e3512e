import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { TestClient, TestServer } from './peers.ts';
import * as wire from './wire.ts';

const split = suite('http2 any split gives the same');

/** What may come on a connection: mostly good, in any order, and some of it never. */
/** Streams that are open mostly, and some that are not, or can't be. */
const odd = fc.constantFrom(0, 2, 5, 7, 9);
const id = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(1, 3) }, { weight: 1, arbitrary: odd });
/** For new streams; nothing makes them rise, so some are late. */
const newId = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(5, 7, 9, 11) }, { weight: 1, arbitrary: odd });
const field = fc.tuple(
  fc.constantFrom('x-a', 'accept', 'cookie', 'host', 'te', 'content-length', 'X', 'connection', ':path', 'grpc-status'),
  fc.constantFrom('a', 'trailers', '5', 'a.test', '', 'x'.repeat(300), 'a\nb'),
);
const padding = fc.option(fc.nat(20), { nil: undefined });
const indexed = fc.boolean();

function padded(type: number, flags: number, of: number, payload: Uint8Array, pad: number | undefined): Buffer {
  if (pad === undefined) return wire.frame(type, flags, of, payload);
  return wire.frame(type, flags | frames.PADDED, of, Buffer.concat([Buffer.of(pad), payload, Buffer.alloc(pad)]));
}

const head = fc
  .record({
    id: newId,
    fields: fc.array(field, { maxLength: 4 }),
    post: fc.boolean(),
    ended: fc.boolean(),
    padding,
    indexed,
    parts: fc.nat(3),
  })
  .map((r) => {
    const block = wire.block([...(r.post ? wire.post('/p') : wire.get('/g')), ...r.fields], r.indexed);
    return inParts(block, r.id, r.ended, r.padding, r.parts);
  });
const trailers = fc
  .record({ id, fields: fc.array(field, { maxLength: 3 }), ended: fc.constantFrom(true, true, false), indexed })
  .map((r) => inParts(wire.block(r.fields, r.indexed), r.id, r.ended, undefined, 0));

function inParts(block: Buffer, of: number, ended: boolean, pad: number | undefined, parts: number): Buffer {
  const size = Math.ceil(block.length / (parts + 1)) || 1;
  const flags = (ended ? frames.END_STREAM : 0) | (size >= block.length ? frames.END_HEADERS : 0);
  const out = [padded(frames.HEADERS, flags, of, block.subarray(0, size), pad)];
  for (let at = size; at < block.length; at += size) {
    const last = at + size >= block.length ? frames.END_HEADERS : 0;
    out.push(wire.frame(frames.CONTINUATION, last, of, block.subarray(at, at + size)));
  }
  return Buffer.concat(out);
}

const data = fc
  .record({ id, bytes: fc.uint8Array({ maxLength: 60 }), ended: fc.boolean(), padding })
  .map((r) => padded(frames.DATA, r.ended ? frames.END_STREAM : 0, r.id, r.bytes, r.padding));
const small = fc.oneof(
  fc.constant(wire.ping()),
  fc.tuple(id, fc.constantFrom(1, 1, 100, 100, 0, 0x7fff_ffff)).map(([of, more]) => wire.update(of, more)),
  fc.tuple(id, fc.constantFrom(0, 8)).map(([of, code]) => wire.reset(of, code)),
  fc.constantFrom(
    wire.settings(),
    wire.settings([4, 10], [1, 0]),
    wire.settings([4, 70_000]),
    wire.settingsAck,
    wire.goaway(0, 0),
  ),
  fc
    .tuple(fc.constantFrom(2, 10, 16), id, fc.uint8Array({ maxLength: 12 }))
    .map(([type, of, bytes]) => wire.frame(type, 0, of, bytes)),
  fc
    .tuple(fc.nat(10), fc.nat(255), id, fc.uint8Array({ maxLength: 20 }))
    .map(([type, flags, of, bytes]) => wire.frame(type, flags, of, bytes)),
);
const opening = [wire.headers(1, wire.post(), false), wire.headers(3, wire.post('/', ['te', 'trailers']), false)];
const sequence = fc
  .tuple(
    fc.constantFrom(2, 2, 1, 0),
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: head },
        { weight: 6, arbitrary: data },
        { weight: 3, arbitrary: trailers },
        { weight: 1, arbitrary: small },
      ),
      { maxLength: 14 },
    ),
  )
  .map(([open, parts]) => [...opening.slice(0, open), ...parts]);
const places = fc.array(fc.nat(), { maxLength: 25 });

function cut(text: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((from, i) => text.subarray(from, ends[i] ?? text.length));
}
const single = (text: Buffer): Buffer[] => Array.from(text, (byte) => Buffer.of(byte));

interface Heard {
  readonly events: readonly string[];
  readonly sent: string;
  readonly open: readonly number[];
}

function heardByServer(pieces: readonly Buffer[]): Heard {
  const server = new TestServer({ streamWindow: 100, maxConcurrentStreams: 3 });
  server.taking = false;
  const answer = wire.bytes('HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n');
  server.onRequest = (stream, _head, _fault, ended) => {
    if (ended) server.connection.sendResponse(stream, answer, 0, answer.length);
    if (ended) server.connection.sendData(stream, answer, 0, answer.length, stream.id !== 5);
  };
  server.connection.start();
  server.receive(...pieces);
  return {
    events: server.events.list,
    sent: server.sent().toString('hex'),
    open: [...server.connection.streams.keys()],
  };
}

function heardByClient(pieces: readonly Buffer[]): Heard {
  const client = new TestClient({ streamWindow: 100 });
  client.taking = false;
  for (let i = 0; i < 4; i++)
    client.request('POST / HTTP/1.1\r\nhost: a\r\n\r\n', { ended: i % 2 === 0, bodiless: i === 3 });
  client.receive(...pieces);
  return {
    events: client.events.list,
    sent: client.sent().toString('hex'),
    open: [...client.connection.streams.keys()],
  };
}

function same(hear: (pieces: readonly Buffer[]) => Heard, text: Buffer, at: readonly number[]): Heard {
  const whole = hear([text]);
  assert.equal(hear(cut(text, at)), whole);
  if (text.length < 1_500) assert.equal(hear(single(text)), whole);
  return whole;
}

split('what a server hears', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(sequence, places, (parts, at) => {
      const { events } = same(heardByServer, Buffer.concat([wire.preface, wire.settings(), ...parts]), at);
      for (const event of events) {
        const kind = event.replace(/^\d+ /, '').split(' ')[0];
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
    }),
    { numRuns: 600 },
  );
  // The sequences do get somewhere.
  for (const kind of ['request', 'data', 'end', 'trailers', 'abort', 'fail', 'malformed'])
    assert.ok((seen.get(kind) ?? 0) > 4, `${kind}: ${seen.get(kind)}`);
});

split('what a server hears when bytes are changed on the way', () => {
  fc.assert(
    fc.property(sequence, places, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (parts, at, changes) => {
      const text = Buffer.concat([wire.preface, wire.settings(), ...parts]);
      for (const [place, value] of changes) text[place % text.length] = value;
      same(heardByServer, text, at);
    }),
    { numRuns: 600 },
  );
});

const status = fc.constantFrom('200', '200', '200', '103', '204', '101', '');
const response = fc
  .record({
    id,
    status,
    fields: fc.array(field, { maxLength: 2 }),
    ended: fc.boolean(),
    padding,
    indexed,
    parts: fc.nat(2),
  })
  .map((r) => inParts(wire.block([[':status', r.status], ...r.fields], r.indexed), r.id, r.ended, r.padding, r.parts));
const answers = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: response },
    { weight: 4, arbitrary: data },
    { weight: 1, arbitrary: trailers },
    { weight: 2, arbitrary: small },
  ),
  { maxLength: 14 },
);

split('what a client hears', () => {
  fc.assert(
    fc.property(answers, places, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }), (parts, at, changes) => {
      const text = Buffer.concat([wire.settings(), ...parts]);
      for (const [place, value] of changes) text[place % text.length] = value;
      same(heardByClient, text, at);
    }),
    { numRuns: 600 },
  );
});

split('noise', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), places, (noise, at) => {
      same(heardByServer, Buffer.concat([wire.preface, wire.settings(), noise]), at);
      same(heardByServer, Buffer.from(noise), at);
      same(heardByClient, Buffer.concat([wire.settings(), noise]), at);
    }),
    { numRuns: 300 },
  );
});

split.run();
