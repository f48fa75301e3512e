// time limit: 120 s
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { growthOf, largeBytes, largeHash, readInBursts, sendLarge } from '../helpers/bodies.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, withSession } from '../helpers/http2.ts';
import { until, within } from '../helpers/wait.ts';

const large = suite('HTTP/2 large bodies');
large.after.each(cleanUp);

const burstBytes = 2_000_000;

const framings: [name: string, framing: string][] = [
  ['of a known length', `Content-Length: ${largeBytes}\r\n\r\n`],
  ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n'],
];
for (const [name, framing] of framings) {
  large(`100 MB ${name} down to a slow reader, by small windows: every byte, and memory stays flat`, () =>
    withSession(
      {
        request: (_, { socket }) => {
          socket.write(`HTTP/1.1 200 OK\r\n${framing}`);
          if (framing.startsWith('Content')) return void sendLarge(socket);
          void sendLarge(socket, true).then(() => socket.end('0\r\n\r\n'));
        },
      },
      async (session) => {
        const hash = createHash('sha1');
        let length = 0;
        const stream = session.request({ ':path': '/', ':authority': 'app.test' });
        readInBursts(stream, burstBytes, (chunk) => {
          hash.update(chunk);
          length += chunk.length;
        });
        const grown = await growthOf(until(() => length === largeBytes && stream.closed, '100 MB', 40_000));
        assert.is(hash.digest('hex'), largeHash());
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
            if (got === largeBytes) connection.send('HTTP/1.1 204 No Content\r\n\r\n');
          };
          readInBursts(connection.socket, burstBytes, (chunk) => {
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
        const headers = length ? { 'content-length': largeBytes } : {};
        const stream = session.request({ ':method': 'PUT', ':path': '/', ':authority': 'app.test', ...headers });
        const answer = within(answerOf(stream), 'an answer', 40_000);
        const sent = sendLarge(stream).then(() => stream.end());
        const grown = await growthOf(Promise.all([sent, answer]));
        assert.is((await answer).status, 204);
        assert.is(hash.digest('hex'), largeHash());
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
        readInBursts(stream, burstBytes, (chunk) => {
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
