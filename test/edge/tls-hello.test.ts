import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BAD_HELLO, HELLO, HelloReader, MORE_HELLO, maxHelloBytes, NO_TLS } from '../../src/edge/tls-hello.ts';
import { clientHello, fragment, makeHello, serverNames, two } from '../helpers/hello.ts';
import { random } from '../helpers/random.ts';

const hello = suite('client hello');

function readAll(bytes: Buffer, cuts: readonly number[] = []) {
  const reader = new HelloReader();
  let result = MORE_HELLO;
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    // As with the buffer that all clients share: overwritten as soon as it has been fed.
    const chunk = Buffer.from(bytes.subarray(from, to));
    if (chunk.length > 0 && result === MORE_HELLO) {
      result = reader.feed(chunk);
      if (result === MORE_HELLO) chunk.fill(0xee);
    }
    from = to;
  }
  return { result, hello: reader.hello, bytes: reader.bytes };
}

const real = await clientHello({ servername: 'App.Example.com', ALPNProtocols: ['h2', 'http/1.1'] });

hello("a real client's", () => {
  const read = readAll(real);
  assert.is(read.result, HELLO);
  assert.equal(read.hello, {
    serverName: 'App.Example.com',
    protocols: ['h2', 'http/1.1'],
    ecdsa: true,
    ticketKeys: [],
  });
  assert.ok(read.bytes.equals(real));
});

hello('without a name, without protocols', async () => {
  const read = readAll(await clientHello({ servername: '' })).hello!;
  assert.is(read.serverName, undefined);
  assert.equal(read.protocols, []);
});

hello('without extensions', () => {
  const bare = makeHello([]);
  // As before TLS 1.2: the list is not even there.
  const message = Buffer.from(bare.subarray(0, -2));
  message.writeUInt16BE(message.length - 5, 3);
  message.writeUInt16BE(message.length - 9, 7);
  for (const bytes of [bare, message])
    assert.equal(readAll(bytes).hello, { serverName: undefined, protocols: [], ecdsa: false, ticketKeys: [] });
});

hello('cut at any byte, or into single ones: the same', () => {
  const whole = readAll(real);
  for (let at = 1; at < real.length; at++) assert.equal(readAll(real, [at]), whole);
  const each = Array.from(real, (_, at) => at);
  assert.equal(readAll(real, each), whole);
});

hello('in many records, in any pieces: the same', () => {
  const chance = random(7);
  for (const size of [1, 2, 3, 4, 5, 100, 500]) {
    const cut = fragment(real, size);
    for (let i = 0; i < 20; i++) {
      const cuts = Array.from({ length: i }, () => Math.floor(chance() * cut.length)).sort((a, b) => a - b);
      const read = readAll(cut, cuts);
      assert.is(read.result, HELLO, `records of ${size}`);
      assert.equal(read.hello, readAll(real).hello);
      assert.ok(read.bytes.equals(cut));
    }
  }
});

hello('bytes behind it are handed on', () => {
  const more = Buffer.concat([real, Buffer.from([20, 3, 3, 0, 1, 1])]);
  const read = readAll(more);
  assert.is(read.result, HELLO);
  assert.ok(read.bytes.equals(more));
});

hello('what a client can verify', () => {
  const signs = (...schemes: number[]): [number, Buffer] => [
    13,
    Buffer.concat([two(schemes.length * 2), ...schemes.map(two)]),
  ];
  const table: [number[], number[], boolean][] = [
    [[0x1301], [0x0403], true],
    [[0xc02b], [0x0804, 0x0403], true],
    [[0xcca9], [0x0503], true],
    [[0xc02f], [0x0403], false],
    [[0x1301], [0x0804, 0x0401], false],
    [[0x1301], [], false],
  ];
  for (const [suites, schemes, want] of table)
    assert.is(readAll(makeHello([signs(...schemes)], suites)).hello!.ecdsa, want, `${suites}, ${schemes}`);
  assert.is(readAll(makeHello([], [0x1301])).hello!.ecdsa, false);
});

hello('the keys of its tickets, of either version', () => {
  const name = Buffer.from('0123456789abcdef');
  const ticket = Buffer.concat([name, Buffer.alloc(100)]);
  const identity = Buffer.concat([two(ticket.length), ticket, Buffer.alloc(4)]);
  const identities = Buffer.concat([two(identity.length), identity, two(33), Buffer.alloc(33)]);
  const hex = name.toString('hex');
  assert.equal(readAll(makeHello([[35, ticket]])).hello!.ticketKeys, [hex]);
  assert.equal(readAll(makeHello([[41, identities]])).hello!.ticketKeys, [hex]);
  assert.equal(readAll(makeHello([[35, Buffer.alloc(0)]])).hello!.ticketKeys, []);
  assert.equal(readAll(makeHello([[35, Buffer.alloc(15)]])).hello!.ticketKeys, []);
});

hello('other things than a handshake of TLS', () => {
  for (const text of [
    '\x15\x03\x01\0\x02\x02\0',
    'GET / HTTP/1.1\r\n',
    '\x80\x2e\x01\x00\x02',
    '\x16\x02\x00',
    '\x00',
    'SSH-2.0-x',
  ])
    assert.is(readAll(Buffer.from(text, 'latin1')).result, NO_TLS, JSON.stringify(text));
});

const names = (content: string): [number, Buffer] => [0, Buffer.from(content, 'latin1')];

for (const [what, bytes] of [
  ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
  ['an empty record within it', Buffer.concat([fragment(real, 100).subarray(0, 105), Buffer.from([22, 3, 1, 0, 0])])],
  ['another record within it', Buffer.concat([fragment(real, 100).subarray(0, 105), Buffer.from([20, 3, 1, 0, 1, 1])])],
  ['a record that is too long', Buffer.from([22, 3, 1, 0x40, 1, 1])],
  ['another message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ['a message that is too long', Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
  ['an empty message', Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0])],
  ['an empty name', makeHello([serverNames('')])],
  ['another type of name', makeHello([serverNames('a.test', 1)])],
  ['two names', makeHello([names('\0\x0c\0\0\x03a.b\0\0\x03c.d')])],
  ['a name that leads past its end', makeHello([names('\0\x06\0\0\x09a.b')])],
  ['a list of names that leads past its end', makeHello([names('\0\x09\0\0\x03a.b')])],
  ['protocols that lead past their end', makeHello([[16, Buffer.from('\0\x04\x09abc', 'latin1')]])],
] as const)
  hello(`refused: ${what}`, () => assert.is(readAll(bytes).result, BAD_HELLO));

hello('refused: one that does not end', () => {
  const reader = new HelloReader();
  let result = MORE_HELLO;
  let fed = 0;
  const long = fragment(Buffer.concat([Buffer.alloc(5), Buffer.from([1, 0, 0x7f, 0]), Buffer.alloc(0x7f00)]), 1);
  for (; result === MORE_HELLO && fed < long.length; fed += 100) result = reader.feed(long.subarray(fed, fed + 100));
  assert.is(result, BAD_HELLO);
  assert.ok(fed <= maxHelloBytes + 100, `${fed} bytes`);
});

hello('any byte changed: an answer, and no exception', () => {
  for (let at = 0; at < real.length; at++)
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const changed = Buffer.from(real);
      changed[at] = value;
      assert.ok([MORE_HELLO, HELLO, BAD_HELLO, NO_TLS].includes(readAll(changed).result));
    }
});

hello.run();
