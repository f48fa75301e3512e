// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect, type RawClient } from '../helpers/client.ts';
import type { Message } from '../helpers/message.ts';
import type { OriginConnection } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { connectionsOf } from '../helpers/upstreams.ts';
import { sleep, until } from '../helpers/wait.ts';

const faults = suite('faults');
faults.after.each(cleanUp);

const bodyOf = (name: string, size: number) => `${name};`.repeat(Math.ceil(size / (name.length + 1))).slice(0, size);
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';

/**
 * Answers with what the request's path and body say, or with less, or more, or not at all. What comes late, after a whole answer,
 * is left out: HTTP/1.1 has no way to tell whether it is the answer to the next request.
 */
function hostile(next: () => number) {
  return (request: Message, connection: OriginConnection): void => {
    const [, name, size] = request.line.split(/[/ ]+/);
    const body = bodyOf(`${name}+${request.text.length}`, Number(size));
    const chunks = `Transfer-Encoding: chunked\r\n\r\n${body && `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`;
    const framed = next() < 0.5 ? chunks : `Content-Length: ${body.length}\r\n\r\n${body}`;
    const bytes = `HTTP/1.1 200 OK\r\nX-Name: ${name}\r\n${framed}`;
    const end = () => (next() < 0.5 ? connection.socket.end() : connection.socket.resetAndDestroy());
    const fate = next();
    if (fate < 0.1) end();
    else if (fate < 0.2) {
      connection.send(bytes.slice(0, Math.floor(next() * bytes.length)));
      setTimeout(end, next() * 5);
    } else if (fate < 0.25) connection.send(bytes + poison);
    else if (fate < 0.35) {
      connection.send(bytes);
      setImmediate(end);
    } else if (fate < 0.38) connection.send('HTTP/1.1 2xx WHAT\r\n\r\n');
    else if (fate < 0.5) {
      const half = Math.floor(next() * bytes.length);
      connection.send(bytes.slice(0, half));
      setTimeout(() => connection.send(bytes.slice(half)), next() * 5);
    } else connection.send(bytes);
  };
}

interface Tally {
  right: number;
  refused: number;
  cut: number;
}

async function talk(port: number, who: number, next: () => number, tally: Tally): Promise<void> {
  let client: RawClient | undefined;
  for (let i = 0; i < 12; i++) {
    if (client === undefined || client.ended !== '') client = connect(port);
    const name = `c${who}r${i}`;
    const size = Math.floor(next() ** 3 * 60_000);
    const body = next() < 0.3 ? bodyOf(name, Math.floor(next() ** 3 * 40_000)) : '';
    const framing = body ? `Content-Length: ${body.length}\r\n\r\n${body}` : '\r\n';
    client.send(`${body ? 'POST' : 'GET'} /${name}/${size} HTTP/1.1\r\nHost: app.test\r\n${framing}`);
    if (next() < 0.1) {
      await sleep(next() * 5);
      client[next() < 0.5 ? 'close' : 'reset']();
      client = undefined;
      continue;
    }
    const answer: Message | string = await client.response({ ms: 10_000 }).catch((error: Error) => error.message);
    if (typeof answer === 'string') {
      assert.match(answer, /^no whole response before the (reset|end)/, name);
      assert.not.match(answer, 'poison');
      tally.cut++;
      client.close();
      client = undefined;
    } else if (answer.status === 200) {
      assert.is(answer.get('x-name'), name);
      assert.ok(answer.text === bodyOf(`${name}+${body.length}`, size), `${name} got another's bytes`);
      tally.right++;
    } else {
      assert.is(answer.status, 502, name);
      tally.refused++;
    }
  }
  client?.close();
}

faults(
  'sixty clients, a hostile upstream, and clients that leave: a whole answer is always the right one',
  async () => {
    const next = random(7);
    const tally: Tally = { right: 0, refused: 0, cut: 0 };
    await withPair({ request: hostile(next) }, async ({ port, edge }) => {
      await Promise.all(Array.from({ length: 60 }, (_, who) => talk(port, who, random(100 + who), tally)));
      await until(() => edge.clients.size === 0, 'all clients to go');
      await until(() => connectionsOf(edge).every(({ client }) => client === null), 'all exchanges to end');
    });
    assert.ok(tally.right > 300 && tally.refused > 20 && tally.cut > 20, JSON.stringify(tally));
  },
);

faults.run();
