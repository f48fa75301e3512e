// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import type { OriginConnection } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';

// Bytes come in pieces of any size: whatever the pieces, each side sees the same messages.
const splits = suite('splits');
splits.after.each(cleanUp);

/** A body in one of the framings, as it stands behind the other fields. */
function framed(text: string, next: () => number, closing: boolean): string {
  const way = next();
  if (closing && way < 0.3) return `\r\n${text}`;
  if (way < 0.6) return `Content-Length: ${text.length}\r\n\r\n${text}`;
  let out = 'Transfer-Encoding: chunked\r\n\r\n';
  for (let at = 0; at < text.length; ) {
    const size = 1 + Math.floor(next() ** 3 * (text.length - at));
    const extension = next() < 0.2 ? ';a="b;c"' : '';
    out += `${size.toString(16)}${extension}\r\n${text.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${out}0\r\n${next() < 0.3 ? 'X-Sum: 1\r\nHost: evil\r\n' : ''}\r\n`;
}

/** Sends `bytes` in pieces, mostly small ones, with turns in between. */
async function inPieces(send: (piece: string) => void, bytes: string, next: () => number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + Math.floor(next() ** 4 * Math.min(bytes.length, 40_000));
    send(bytes.slice(at, at + size));
    at += size;
    for (let turns = next() * 3; turns > 1; turns--) await new Promise((resolve) => setImmediate(resolve));
  }
}

const textOf = (name: string, size: number) => `${name}:`.repeat(Math.ceil(size / (name.length + 1))).slice(0, size);

async function converse(seed: number): Promise<void> {
  const next = random(seed);
  const sizes = [0, 1, 20, 500, 5_000, 40_000];
  const pick = () => sizes[Math.floor(next() * sizes.length)];
  const count = 8;
  const asked = Array.from({ length: count }, (_, i) => textOf(`up${seed}.${i}`, next() < 0.5 ? 0 : pick()));
  const answers = Array.from({ length: count }, (_, i) => textOf(`down${seed}.${i}`, pick()));
  const answer = (line: string, connection: OriginConnection) => {
    const i = Number(line.split('/')[1].split(' ')[0]);
    const interim = next() < 0.3 ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n' : '';
    const bytes = `${interim}HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-I: ${i}\r\n`;
    // The last one may end with its connection.
    const body = framed(answers[i], next, i === count - 1);
    const ends = body.startsWith('\r\n');
    void inPieces((piece) => connection.send(piece), bytes + body, next).then(() => ends && connection.socket.end());
  };
  await withPair({ request: ({ line }, connection) => answer(line, connection) }, async ({ port, origin }) => {
    const requests = asked.map((text, i) => {
      const head = `${text ? 'POST' : 'GET'} /${i} HTTP/1.1\r\nHost: app.test\r\nX-I: ${i}\r\nConnection: x-hop\r\nX-Hop: 1\r\n`;
      return head + (text ? framed(text, next, false) : '\r\n');
    });
    const client = connect(port);
    const sent = inPieces((piece) => client.send(piece), requests.join(''), next);
    for (let i = 0; i < count; i++) {
      let message = await client.response();
      if (message.status === 103) message = await client.response();
      assert.is(message.get('x-i'), String(i), `seed ${seed}`);
      assert.is(message.get('x-hop'), undefined);
      assert.ok(message.text === answers[i], `seed ${seed}, answer ${i}`);
      assert.equal(
        message.trailers.filter((line) => line !== 'X-Sum: 1'),
        [],
      );
    }
    await sent;
    assert.is(client.text, '');
    const got = origin.requests.toSorted((a, b) => Number(a.get('x-i')) - Number(b.get('x-i')));
    assert.is(got.length, count, `seed ${seed}`);
    for (const [i, request] of got.entries()) {
      assert.ok(request.text === asked[i], `seed ${seed}, request ${i}`);
      assert.is(request.get('x-hop'), undefined);
      assert.equal(
        request.trailers.filter((line) => line !== 'X-Sum: 1'),
        [],
      );
    }
    client.close();
  });
}

splits('three hundred conversations, cut at random: requests, answers and bodies are the same', async () => {
  for (let seed = 1; seed <= 300; seed++) await converse(seed);
});

splits.run();
