// time limit: 90 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as frames from '../../src/http2/frames.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { type OriginConnection, reply } from '../helpers/origin.ts';
import { withPair } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import {
  block,
  data,
  type Field,
  frame,
  headers,
  ping,
  preface,
  reset,
  settings,
  settingsAck,
  update,
} from '../http2/wire.ts';

const fuzz = suite('HTTP/2 fuzz');
fuzz.after.each(cleanUp);

const fields = (method: string, path: string, ...more: Field[]): Field[] => [
  [':method', method],
  [':scheme', 'http'],
  [':authority', 'app.test'],
  [':path', path],
  ...more,
];

/** Frames as a client may send them, by and large, in an order that may be wrong. */
function conversation(next: () => number): Buffer[] {
  const sent: Buffer[] = [];
  const pick = (n: number) => Math.floor(next() * n);
  let id = 1;
  for (let left = 2 + pick(20); left > 0; left--) {
    const some = 1 + 2 * pick((id + 1) / 2);
    const kind = pick(14);
    if (kind < 4) {
      sent.push(headers(id, fields('GET', `/g${id}`, ['x-a', 'b'.repeat(pick(50))])));
      id += 2;
    } else if (kind < 7) {
      const bytes = pick(300);
      const more: Field[] = next() < 0.5 ? [['content-length', String(bytes)]] : [];
      sent.push(headers(id, fields('POST', `/p${id}`, ...more), false));
      for (let at = 0; at < bytes; at += 100) sent.push(data(id, Buffer.alloc(Math.min(100, bytes - at), 'x')));
      if (next() < 0.8)
        sent.push(
          next() < 0.5
            ? data(id, '', true)
            : frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, id, block([['x-t', '1']])),
        );
      id += 2;
    } else if (kind === 7) sent.push(reset(some, pick(14)));
    else if (kind === 8) sent.push(update(next() < 0.5 ? 0 : some, 1 + pick(100_000)));
    else if (kind === 9) sent.push(ping());
    else if (kind === 10) sent.push(settings([1 + pick(6), pick(100_000)]));
    else if (kind === 11) sent.push(data(some, Buffer.alloc(pick(50)), next() < 0.3));
    else if (kind === 12) sent.push(frame(frames.PRIORITY, 0, some, Buffer.alloc(5)));
    else {
      const upgrade: Field[] = [[':protocol', 'websocket'], ...fields('CONNECT', `/w${id}`)];
      sent.push(headers(id, upgrade, false), data(id, 'hello'));
      id += 2;
    }
  }
  return sent;
}

/** Bytes that are wrong in some way, or in none. */
function broken(next: () => number, sent: Buffer[]): Buffer {
  const pick = (n: number) => Math.floor(next() * n);
  const parts = [preface, settings(), ...sent];
  if (next() < 0.3) parts.splice(2 + pick(parts.length - 1), 0, parts[pick(parts.length)]);
  if (next() < 0.3) parts.splice(2 + pick(parts.length - 2), 1);
  const bytes = Buffer.concat(parts);
  for (let left = next() < 0.6 ? pick(4) : 0; left > 0; left--) bytes[pick(bytes.length)] = pick(256);
  return next() < 0.2 ? bytes.subarray(0, pick(bytes.length)) : bytes;
}

for (const seed of [1, 2, 3]) {
  fuzz(`broken conversations, seed ${seed}: what is forwarded is HTTP/1.1, and nothing is left behind`, async () => {
    const next = random(seed);
    const lines: string[] = [];
    const answer = ({ line, head }: { line: string; head: string }, connection: OriginConnection) => {
      lines.push(line);
      if (/[\0\r\n]/.test(head.replaceAll('\r\n', ''))) lines.push(`bad head ${JSON.stringify(head)}`);
      if (line.includes('/after')) return reply(line);
      if (next() < 0.1) connection.socket.destroy();
      else if (next() < 0.9) return reply('ok');
    };
    await withPair({ request: answer }, async ({ edge, origin }) => {
      const port = await listenHttp2(edge);
      for (let round = 0; round < 150; round++) {
        const bytes = broken(next, conversation(next));
        const client = connect(port);
        for (let at = 0; at < bytes.length; ) {
          const to = next() < 0.6 ? bytes.length : Math.min(bytes.length, at + 1 + Math.floor(next() * 200));
          client.send(bytes.subarray(at, to));
          if (next() < 0.1) await sleep(1);
          at = to;
        }
        client.send(settingsAck);
        await sleep(next() * 6);
        if (next() < 0.5) client.close();
        else client.reset();
      }
      await until(() => edge.clients.size === 0, 'all clients to go');
      for (const line of lines) assert.match(line, /^[A-Z_-]+ \/[!-~]* HTTP\/1\.1$/, line);
      assert.ok(lines.length > 50, `${lines.length} requests`);
      // What is still open waits for another request.
      await until(() => edge.upstreams.size === origin.open, 'the abandoned to end');
      const session = connectHttp2(port);
      for (let i = 0; i < 20; i++) {
        const answer = await within(request(session, { ':path': `/after${i}` }), 'an answer');
        assert.is(answer.body.toString(), `GET /after${i} HTTP/1.1`);
      }
    });
  });
}

fuzz('the end of a body is a frame that comes in two parts, wherever it is cut', () =>
  withPair({ request: ({ body }) => reply(String(body.length)) }, async ({ edge, origin }) => {
    const port = await listenHttp2(edge);
    const end = data(1, '', true);
    for (let cut = 1; cut < end.length; cut++) {
      const client = connect(port).send(Buffer.concat([preface, settings(), headers(1, fields('POST', '/'), false)]));
      client.send(data(1, 'body'));
      await until(() => origin.connections.length > 0 && client.total > 0, 'the connection');
      client.send(end.subarray(0, cut));
      await sleep(5);
      client.send(end.subarray(cut));
      await origin.got(cut);
      assert.is(origin.requests[cut - 1].text, 'body');
      client.close();
    }
  }),
);

fuzz.run();
