// time limit: 90 s
import { createHash, type Hash } from 'node:crypto';
import type net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { withPair } from '../helpers/proxy.ts';
import { connectionsOf } from '../helpers/upstreams.ts';
import { sleep, until } from '../helpers/wait.ts';

const large = suite('large bodies');
large.after.each(cleanUp);

const total = 200_000_000;
const partBytes = 500_000;
const part = Buffer.alloc(partBytes);
for (let at = 0; at < partBytes; at += 4) part.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);

/** Sends the whole body at the pace of its reader. */
async function sendAll(socket: net.Socket): Promise<void> {
  for (let sent = 0; sent < total && !socket.destroyed; sent += partBytes)
    if (!socket.write(part)) await new Promise<void>((resolve) => socket.once('drain', () => resolve()));
}

/** Reads in bursts, and stops in between. */
function readSlowly(socket: net.Socket, onChunk: (chunk: Buffer) => void): void {
  let since = 0;
  socket.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    since += chunk.length;
    if (since < 4_000_000) return;
    since = 0;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
}

/** The most that the process, and the sockets of `edge`, hold while `work` runs, in bytes. */
async function watch(sockets: () => net.Socket[], work: Promise<void>): Promise<{ grown: number; queued: number }> {
  global.gc?.();
  const { rss } = process.memoryUsage();
  let most = rss;
  let queued = 0;
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  while (!over) {
    most = Math.max(most, process.memoryUsage().rss);
    for (const socket of sockets()) queued = Math.max(queued, socket.writableLength);
    await sleep(10);
  }
  await ended;
  return { grown: most - rss, queued };
}

function expected(): string {
  const hash = createHash('sha1');
  for (let sent = 0; sent < total; sent += partBytes) hash.update(part);
  return hash.digest('hex');
}

/** Hashes what comes behind a head. */
function bodyHash(): { hash: Hash; take: (chunk: Buffer) => void; length: () => number } {
  const hash = createHash('sha1');
  let inBody = false;
  let length = 0;
  const take = (chunk: Buffer) => {
    const body = inBody ? chunk : chunk.subarray(chunk.indexOf('\r\n\r\n') + 4);
    inBody = true;
    length += body.length;
    hash.update(body);
  };
  return { hash, take, length: () => length };
}

large('200 MB down to a slow reader: every byte, and memory stays flat', () =>
  withPair(
    {
      request: (_, connection) => {
        connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
        void sendAll(connection.socket);
      },
    },
    async ({ port, edge }) => {
      const client = connect(port);
      client.socket.removeAllListeners('data');
      const got = bodyHash();
      readSlowly(client.socket, got.take);
      client.send('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
      const done = until(() => got.length() === total, '200 MB', 30_000);
      const { grown, queued } = await watch(() => [...edge.clients].map(({ socket }) => socket), done);
      assert.is(got.hash.digest('hex'), expected());
      assert.ok(queued <= 512 * 1024, `${queued} bytes queued for the client`);
      assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
      client.close();
    },
  ),
);

large('200 MB up to a slow upstream: every byte, and memory stays flat', async () => {
  const got = bodyHash();
  await withPair(
    {
      connected: (connection) => {
        connection.record = false;
        readSlowly(connection.socket, (chunk) => {
          got.take(chunk);
          if (got.length() === total) connection.send('HTTP/1.1 204 No Content\r\n\r\n');
        });
      },
    },
    async ({ port, edge }) => {
      const client = connect(port);
      client.send(`PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
      const done = Promise.all([sendAll(client.socket), client.response({ ms: 30_000 })]).then(([, { status }]) =>
        assert.is(status, 204),
      );
      const { grown, queued } = await watch(() => connectionsOf(edge).map(({ socket }) => socket), done);
      assert.is(got.hash.digest('hex'), expected());
      assert.ok(queued <= 512 * 1024, `${queued} bytes queued for the upstream`);
      assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
      client.close();
    },
  );
});

large.run();
