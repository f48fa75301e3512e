// time limit: 90 s
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Http2Connection } from '../../src/edge/upstream-http2.ts';
import { growthOf, largeBytes, largeHash, readInBursts, sendLarge } from '../helpers/bodies.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2 } from '../helpers/http2.ts';
import { startNode, startRaw } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';
import { data, headers, ok, settings } from '../http2/wire.ts';

const flow = suite('HTTP/2 upstream flow');
flow.after.each(cleanUp);

const burstBytes = 4_000_000;

const route = (port: number) => [{ id: '*', target: `h2c://127.0.0.1:${port}` }];

for (const length of [true, false]) {
  flow(
    `100 MB down to a slow reader, ${length ? 'with a length' : 'in chunks'}: every byte, in little memory`,
    async () => {
      const origin = await startNode((stream) => {
        stream.respond(length ? { 'content-length': String(largeBytes) } : {});
        void sendLarge(stream).then(() => stream.end());
      });
      const edge = await startEdge(route(origin.port));
      const client = connect(edge.port);
      client.socket.removeAllListeners('data');
      const hash = createHash('sha1');
      let bytes = 0;
      let inBody = false;
      let carry: Buffer = Buffer.alloc(0);
      let left = length ? largeBytes : 0;
      const take = (chunk: Buffer) => {
        let rest = carry.length > 0 ? Buffer.concat([carry, chunk]) : chunk;
        if (!inBody) {
          rest = rest.subarray(rest.indexOf('\r\n\r\n') + 4);
          inBody = true;
        }
        for (;;) {
          if (left === 0) {
            const line = rest.indexOf('\r\n', bytes === 0 ? 0 : 2);
            if (length || line < 0) break;
            left = Number.parseInt(rest.toString('latin1', bytes === 0 ? 0 : 2, line), 16);
            rest = rest.subarray(line + 2);
            if (left === 0) break;
          }
          const payload = rest.subarray(0, left);
          hash.update(payload);
          bytes += payload.length;
          left -= payload.length;
          rest = rest.subarray(payload.length);
          if (rest.length === 0) break;
        }
        carry = rest;
      };
      readInBursts(client.socket, burstBytes, take);
      client.send('GET /big HTTP/1.1\r\nHost: a\r\n\r\n');
      const grown = await growthOf(until(() => bytes === largeBytes, '100 MB', 40_000));
      assert.is(hash.digest('hex'), largeHash());
      assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
    },
  );
}

flow('100 MB up to a slow upstream: every byte, in little memory', async () => {
  const hash = createHash('sha1');
  const origin = await startNode((stream) => {
    readInBursts(stream, burstBytes, (chunk) => hash.update(chunk));
    stream.on('end', () => stream.respond({ ':status': 204 }, { endStream: true }));
  });
  const edge = await startEdge(route(origin.port));
  const client = connect(edge.port);
  client.send(`PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: ${largeBytes}\r\n\r\n`);
  const done = Promise.all([sendLarge(client.socket), client.response({ ms: 40_000 })]);
  const grown = await growthOf(done.then(([, { status }]) => assert.is(status, 204)));
  assert.is(hash.digest('hex'), largeHash());
  assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
});

flow('100 MB both ways at once, HTTP/2 on both sides', async () => {
  const origin = await startNode((stream) => {
    stream.respond({});
    stream.pipe(stream);
  });
  const edge = await startEdge(route(origin.port));
  const session = connectHttp2(await listenHttp2(edge.edge));
  const stream = session.request({ ':method': 'POST', ':path': '/both', ':authority': 'a' });
  const hash = createHash('sha1');
  let bytes = 0;
  readInBursts(stream, burstBytes, (chunk) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  const sent = sendLarge(stream).then(() => void stream.end());
  const grown = await growthOf(sent.then(() => until(() => bytes === largeBytes, '100 MB back', 40_000)));
  assert.is(hash.digest('hex'), largeHash());
  assert.ok(grown < 80_000_000, `grown by ${grown} bytes`);
});

flow('clients that take nothing stop their own streams, and nobody else’s', async () => {
  const size = 20_000_000;
  const written = new Map<string, number>();
  const origin = await startNode((stream, fields) => {
    const path = fields[':path'] as string;
    stream.respond({ 'content-length': String(size) });
    const piece = Buffer.alloc(64 * 1024, path.slice(-1));
    let left = size;
    const more = () => {
      while (left > 0 && !stream.destroyed) {
        const bytes = Math.min(left, piece.length);
        left -= bytes;
        written.set(path, size - left);
        if (!stream.write(piece.subarray(0, bytes))) return void stream.once('drain', more);
      }
      if (!stream.destroyed) stream.end();
    };
    more();
  });
  const edge = await startEdge(route(origin.port));
  const idle = Array.from({ length: 30 }, (_, i) => {
    const client = connect(edge.port);
    client.send(`GET /idle${i}x HTTP/1.1\r\nHost: a\r\n\r\n`);
    client.socket.pause();
    return client;
  });
  await until(() => written.size === 30, 'all requests at the origin');
  const before = async () => {
    const sum = () => [...written.values()].reduce((a, b) => a + b, 0);
    let last = -1;
    while (sum() !== last) {
      last = sum();
      await sleep(150);
    }
    return last;
  };
  const stalled = await before();
  assert.ok(stalled < 30 * 12_000_000, `${stalled} bytes left the origin`);
  for (let i = 0; i < 3; i++) {
    const client = connect(edge.port).send(`GET /busy${i}y HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answer = await client.response({ ms: 20_000 });
    assert.is(answer.body.length, size);
    client.close();
  }
  assert.is(origin.sessions.length, 1);
  // They get all of theirs when they want it.
  idle[7].socket.resume();
  const late = await idle[7].response({ ms: 20_000 });
  assert.is(late.body.length, size);
  assert.ok(late.body.every((byte) => byte === 120));
});

flow('what has come for a client that takes nothing is its own when the stream is over', async () => {
  const origin = await startRaw({
    request: (id, connection) => {
      connection.send(headers(id, ok, false));
      for (let i = 0; i < 3; i++) connection.send(data(id, Buffer.alloc(16_000, `${id % 10}`)));
      connection.send(data(id, 'end', true));
    },
  });
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  const clients = Array.from({ length: 20 }, () => connect(edge.port));
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(60)).socket.pause();
  await sleep(300);
  for (const client of clients) {
    client.socket.resume();
    for (let i = 0; i < 60; i++) {
      const { body } = await client.response({ ms: 10_000 });
      assert.is(body.length, 48_003);
      assert.is(new Set(body.subarray(0, 48_000)).size, 1);
    }
  }
  await ask(edge.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.is(origin.connections.length, 1);
});

flow('an upload through windows of a few bytes arrives whole', async () => {
  const origin = await startRaw({
    greeting: settings([4, 7]),
    frame: ({ type, id, payload, flags }, connection) => {
      if (type !== 0) return;
      const more = Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, id, 0, 0, 0, 7]);
      if (payload.length > 0) connection.send(more);
      if ((flags & 1) !== 0) connection.send(headers(id, ok, false), data(id, connection.body(id), true));
    },
  });
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  const body = Array.from({ length: 200 }, (_, i) => `part ${i};`).join('');
  const request = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  assert.is((await ask(edge.port, request)).text, body);
});

for (const [streams, grows] of [
  [1, true],
  [12, false],
] as const)
  flow(
    `what the upstream may send ahead for each of ${streams} streams of one client ${grows ? 'grows' : 'does not grow'}`,
    async () => {
      const origin = await startNode((stream) => {
        stream.respond();
        void sendLarge(stream);
      });
      const { edge } = await startEdge(route(origin.port));
      const settings = { initialWindowSize: 1_000_000 };
      const session = connectHttp2(await listenHttp2(edge), { settings });
      await once(session, 'remoteSettings');
      session.setLocalWindowSize(20_000_000);
      let least = 0;
      const bytes = new Array(streams).fill(0);
      for (let i = 0; i < streams; i++) {
        const stream = session.request({ ':authority': 'app.test' });
        stream.on('error', () => {});
        stream.on('data', (chunk: Buffer) => {
          bytes[i] += chunk.length;
          least = Math.min(...bytes);
        });
      }
      await until(() => least > 1_500_000, 'much of each', 20_000);
      const [upstream] = [...edge.upstreams] as Http2Connection[];
      const windows = [...upstream.wire.streams.values()].map(({ inbound }) => inbound!.window + inbound!.held);
      assert.is(windows.length, streams);
      assert.is(Math.max(...windows) > 200_000, grows, `${windows}`);
    },
  );

flow.run();
