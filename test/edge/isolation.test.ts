// time limit: 60 s
import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededBody, sha1 } from '../helpers/bodies.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { front } from '../helpers/front.ts';
import { startOrigin } from '../helpers/origin.ts';
import { startEdge, type TestEdge, withPair } from '../helpers/proxy.ts';
import { connectionsOf } from '../helpers/upstreams.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const isolation = suite('isolation');
isolation.after.each(cleanUp);

const web = front.tls ? https : http;
const trusting = front.tls ? { rejectUnauthorized: false, servername: front.name } : {};

const sizes = [0, 1, 100, 5_000, 16_384, 16_385, 70_000, 262_144, 262_145, 900_000];

/** Sends each body back, while it comes; without a length where the path says so. `/down/SEED/SIZE` answers with that body. */
async function withEcho(test: (edge: TestEdge) => Promise<void>): Promise<void> {
  const server = http.createServer((request, response) => {
    const [, what, seed, size] = request.url!.split('/');
    const length = request.headers['content-length'];
    if (what === 'down') return void response.end(seededBody(seed, Number(size)));
    if (what === 'close') response.shouldKeepAlive = false;
    if (what === 'length' && length !== undefined) response.setHeader('Content-Length', length);
    request.pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const edge = await startEdge([{ id: '*', target: `127.0.0.1:${(server.address() as AddressInfo).port}` }]);
  try {
    await test(edge);
  } finally {
    edge.close();
    server.closeAllConnections();
    server.close();
  }
}

interface Ask {
  readonly port: number;
  readonly agent: http.Agent;
  readonly path: string;
  readonly body?: Buffer;
  readonly chunked?: boolean;
  /** Read with pauses. */
  readonly slow?: boolean;
}

/** One exchange over node:http, which has a parser of its own. */
async function exchange({ port, agent, path, body, chunked, slow }: Ask): Promise<Buffer> {
  const method = body === undefined ? 'GET' : 'POST';
  const headers = chunked || body === undefined ? {} : { 'Content-Length': body.length };
  const request = web.request({ port, host: '127.0.0.1', agent, path, method, headers });
  const answer = new Promise<Buffer>((resolve, reject) => {
    request.on('error', reject).on('response', (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => {
        parts.push(part);
        if (!slow || parts.length % 4 !== 0) return;
        response.pause();
        setTimeout(() => response.resume(), 5);
      });
      response.on('end', () => resolve(Buffer.concat(parts))).on('error', reject);
      response.on('aborted', () => reject(new Error('aborted')));
    });
  });
  if (body === undefined) request.end();
  else {
    const half = body.length >> 1;
    request.write(body.subarray(0, half));
    request.end(body.subarray(half));
  }
  return within(answer, `${method} ${path}`, 25_000);
}

isolation('300 clients at once, up and down, fast and slow, some leaving: each gets its own bytes', () =>
  withEcho(async ({ port, edge }) => {
    const agent = new web.Agent({ keepAlive: true, maxSockets: 150, ...trusting });
    const once = new web.Agent({ keepAlive: false, ...trusting });
    let ended = 0;
    const talker = async (i: number) => {
      for (let round = 0; round < 2; round++) {
        const seed = `s${i}r${round}`;
        const size = sizes[(i * 7 + round * 3) % sizes.length];
        const common = { port, agent: i % 5 === 0 ? once : agent, slow: i % 4 === 0 };
        if (i % 3 === 0) {
          const got = await exchange({ ...common, path: `/down/${seed}/${size}` });
          assert.is(sha1(got), sha1(seededBody(seed, size)), `${seed}, ${size} down`);
        } else {
          const body = seededBody(seed, size);
          const path = `/${['chunks', 'length', 'close'][(i % 7) % 3]}/${seed}`;
          const got = await exchange({ ...common, path, body, chunked: i % 2 === 0 });
          assert.is(sha1(got), sha1(body), `${seed}, ${size} up and down`);
        }
        ended++;
      }
    };
    const leaver = async (i: number) => {
      const client = connect(port);
      const size = 600_000;
      if (i % 2 === 0) client.send(`GET /down/leave${i}/${size} HTTP/1.1\r\nHost: a\r\n\r\n`);
      else
        client
          .send(`POST /length/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
          .send(seededBody(`leave${i}`, size >> 1));
      client.socket.pause();
      await sleep(20 + (i % 10) * 20);
      if (i % 3 === 0) client.reset();
      else client.close();
    };
    await Promise.all([
      ...Array.from({ length: 240 }, (_, i) => talker(i)),
      ...Array.from({ length: 60 }, (_, i) => leaver(i)),
    ]);
    assert.is(ended, 480);
    agent.destroy();
    await until(() => edge.clients.size === 0, 'all clients to go');
    await until(
      () => edge.upstreams.size === connectionsOf(edge).filter(({ client }) => client === null).length,
      'idle',
    );
  }),
);

isolation('what a slow reader is owed is not overwritten by those who come', () =>
  withPair(
    {
      request: ({ line }, connection) => {
        const size = Number(line.split('/')[2]?.split(' ')[0] ?? 0);
        const body = seededBody(line.slice(5, 9), size);
        connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`).send(body);
      },
    },
    async ({ port }) => {
      const size = 12_000_000;
      const slow = Array.from({ length: 3 }, (_, i) =>
        connect(port).send(`GET /slo${i}/${size} HTTP/1.1\r\nHost: a\r\n\r\n`),
      );
      for (const client of slow) client.socket.pause();
      await sleep(200);
      // First reads of new connections, large ones, and refused ones; then ones that are forwarded.
      for (let i = 0; i < 10; i++) {
        const noise = `noise${i}`.repeat(30_000);
        const client = connect(port).send(`GET /${noise} HTTP/1.1\r\nHost: a\r\n\r\n`);
        assert.is((await client.response()).status, 414);
        client.close();
        const body = `POST /none/0 HTTP/1.1\r\nHost: a\r\nContent-Length: ${noise.length}\r\n\r\n${noise}`;
        assert.is((await ask(port, body)).status, 200);
        assert.is((await ask(port, 'GET /some/70000 HTTP/1.1\r\nHost: a\r\n\r\n')).body.length, 70_000);
      }
      for (const [i, client] of slow.entries()) {
        client.socket.resume();
        await until(() => client.total > size, 'the whole', 10_000);
        assert.is(sha1((await client.response()).body), sha1(seededBody(`slo${i}`, size)), `slow reader ${i}`);
        client.close();
      }
    },
  ),
);

isolation('what a slow upstream is owed is not overwritten by those who come', async () => {
  const hashes: Record<number, string> = {};
  const size = 8_000_000;
  const origin = await startOrigin({
    connected: (connection) => {
      connection.record = false;
      const hash = createHash('sha1');
      let head = true;
      let taken = 0;
      connection.socket.on('data', (chunk: Buffer) => {
        const body = head ? chunk.subarray(chunk.indexOf('\r\n\r\n') + 4) : chunk;
        head = false;
        hash.update(body);
        taken += body.length;
        if (taken === size) {
          hashes[connection.index] = hash.digest('hex');
          connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n').send(String(connection.index));
        }
        connection.socket.pause();
        setTimeout(() => connection.socket.resume(), 2);
      });
    },
  });
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  const clients = Array.from({ length: 6 }, (_, i) => {
    const client = connect(edge.port);
    client.send(`PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`).send(seededBody(`up${i}`, size));
    return client;
  });
  for (const [i, client] of clients.entries()) {
    const index = Number((await client.response({ ms: 20_000 })).text);
    assert.is(hashes[index], sha1(seededBody(`up${i}`, size)), `upload ${i}`);
    client.close();
  }
  edge.close();
  origin.close();
});

isolation('a client that asks on and on and reads nothing is held back', () =>
  withPair(
    () => `HTTP/1.1 200 OK\r\nContent-Length: 15000\r\n\r\n${'x'.repeat(15_000)}`,
    async ({ port, edge, origin }) => {
      const client = connect(port);
      client.socket.pause();
      let most = 0;
      let more = 100;
      // Two turns between two requests, so that each is read by itself.
      for (let i = 0; i < 3_000 && more > 0; i++) {
        client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await sleep(0);
        await sleep(0);
        for (const each of edge.clients) {
          most = Math.max(most, each.socket.writableLength, each.isWritePending() ? 1 : 0);
        }
        if (most > 0) more--;
      }
      assert.ok(most > 0, 'the kernel took all: the test shows nothing');
      assert.ok(most < 200_000, `${most} bytes queued`);
      const { length } = origin.requests;
      await sleep(50);
      assert.is(origin.requests.length, length);
      client.close();
    },
  ),
);

isolation('a client that pipelines without end while it waits is not read', () =>
  withPair({ request: () => undefined }, async ({ port, edge }) => {
    const client = connect(port).send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(500_000));
    await until(() => edge.clients.size === 1, 'the client');
    await sleep(300);
    const [{ socket }] = edge.clients;
    assert.ok(socket.bytesRead > 0 && socket.bytesRead < 600_000, `${socket.bytesRead} bytes read`);
    assert.is(edge.upstreams.size, 1);
    client.close();
  }),
);

isolation.run();
