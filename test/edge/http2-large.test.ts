// time limit: 120 s
import { createHash } from 'node:crypto';
import type http2 from 'node:http2';
import type net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, withSession } from '../helpers/http2.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const large = suite('HTTP/2 large bodies');
large.after.each(cleanUp);

const total = 100_000_000;
const partBytes = 500_000;
const part = Buffer.alloc(partBytes);
for (let at = 0; at < partBytes; at += 4) part.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);

function expected(): string {
  const hash = createHash('sha1');
  for (let sent = 0; sent < total; sent += partBytes) hash.update(part);
  return hash.digest('hex');
}

/** Sends the whole body at the pace of its reader. */
async function sendAll(to: net.Socket | http2.ClientHttp2Stream): Promise<void> {
  for (let sent = 0; sent < total && !to.destroyed; sent += partBytes)
    if (!to.write(part)) await new Promise<void>((resolve) => to.once('drain', () => resolve()));
}

/** Reads in bursts, and stops in between. */
function readSlowly(from: net.Socket | http2.ClientHttp2Stream, onChunk: (chunk: Buffer) => void): void {
  let since = 0;
  from.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    since += chunk.length;
    if (since < 2_000_000) return;
    since = 0;
    from.pause();
    setTimeout(() => from.resume(), 20);
  });
}

/** How much larger the process is at the most while `work` runs than before, in bytes. */
async function growth(work: Promise<unknown>): Promise<number> {
  global.gc?.();
  const { rss } = process.memoryUsage();
  let most = rss;
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  while (!over) {
    most = Math.max(most, process.memoryUsage().rss);
    await sleep(10);
  }
  await ended;
  return most - rss;
}

const framings: [name: string, framing: string][] = [
  ['of a known length', `Content-Length: ${total}\r\n\r\n`],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n'],
];
for (const [name, framing] of framings) {
  large(`100 MB ${name} down to a slow reader, by small windows: every byte, and memory stays flat`, () =>
    withSession(
      {
        request: (_, { socket }) => {
          socket.write(`HTTP/1.1 200 OK\r\n${framing}`);
          if (framing.startsWith('Content')) return void sendAll(socket);
          const size = `${partBytes.toString(16)}\r\n`;
          void (async () => {
            for (let sent = 0; sent < total && !socket.destroyed; sent += partBytes) {
              socket.write(size);
              socket.write(part);
              if (!socket.write('\r\n')) await new Promise<void>((resolve) => socket.once('drain', () => resolve()));
            }
            socket.end('0\r\n\r\n');
          })();
        },
      },
      async (session) => {
        const hash = createHash('sha1');
        let length = 0;
        const stream = session.request({ ':path': '/', ':authority': 'app.test' });
        readSlowly(stream, (chunk) => {
          hash.update(chunk);
          length += chunk.length;
        });
        const grown = await growth(until(() => length === total && stream.closed, '100 MB', 40_000));
        assert.is(hash.digest('hex'), expected());
        assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
      },
    ),
  );
}

for (const length of [true, false]) {
  large(`100 MB ${length ? 'of a known length' : 'in chunks'} up to a slow upstream: every byte, memory flat`, () => {
    const hash = createHash('sha1');
    let got = 0;
    return withSession(
      {
        connected: (connection) => {
          connection.record = false;
          connection.socket.removeAllListeners('data');
          let rest: Buffer = Buffer.alloc(0);
          let inBody = false;
          const take = (bytes: Buffer) => {
            hash.update(bytes);
            got += bytes.length;
            if (got === total) connection.send('HTTP/1.1 204 No Content\r\n\r\n');
          };
          readSlowly(connection.socket, (chunk) => {
            rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
            if (!inBody) {
              const end = rest.indexOf('\r\n\r\n');
              if (end < 0) return;
              inBody = true;
              rest = rest.subarray(end + 4);
            }
            if (length) {
              take(rest);
              rest = Buffer.alloc(0);
              return;
            }
            for (;;) {
              const line = rest.indexOf('\r\n');
              if (line < 0) return;
              const size = Number.parseInt(rest.toString('latin1', 0, line), 16);
              if (rest.length < line + 2 + size + 2) return;
              if (size > 0) take(rest.subarray(line + 2, line + 2 + size));
              rest = rest.subarray(line + 2 + size + 2);
            }
          });
        },
      },
      async (session) => {
        const headers = length ? { 'content-length': total } : {};
        const stream = session.request({ ':method': 'PUT', ':path': '/', ':authority': 'app.test', ...headers });
        const answer = within(answerOf(stream), 'an answer', 40_000);
        const sent = sendAll(stream).then(() => stream.end());
        const grown = await growth(Promise.all([sent, answer]));
        assert.is((await answer).status, 204);
        assert.is(hash.digest('hex'), expected());
        assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
      },
    );
  });
}

large('thirty downloads of 5 MB at once by slow readers on one connection', () =>
  withSession(
    ({ line }, connection) => {
      const name = line.split(/[/ ]+/)[1];
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n');
      connection.send(Buffer.alloc(5_000_000, name));
    },
    async (_, { h2 }) => {
      const session = connectHttp2(h2);
      const work = Array.from({ length: 30 }, async (_, i) => {
        const stream = session.request({ ':path': `/n${i}n`, ':authority': 'app.test' });
        const hash = createHash('sha1');
        let length = 0;
        readSlowly(stream, (chunk) => {
          hash.update(chunk);
          length += chunk.length;
        });
        await until(() => length === 5_000_000, `the answer to ${i}`, 40_000);
        assert.is(
          hash.digest('hex'),
          createHash('sha1')
            .update(Buffer.alloc(5_000_000, `n${i}n`))
            .digest('hex'),
        );
      });
      await Promise.all(work);
    },
  ),
);

large.run();
