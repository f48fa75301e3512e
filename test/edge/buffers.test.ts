// time limit: 60 s
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect, type RawClient } from '../helpers/client.ts';
import { type OriginConnection, reply, startOrigin } from '../helpers/origin.ts';
import { type Pair, startEdge, type TestEdge, withPair } from '../helpers/proxy.ts';
import { connectionsOf } from '../helpers/upstreams.ts';
import { sleep, until } from '../helpers/wait.ts';

// The edge reads into buffers that are used again at once, so what is still being written must never be in one of them.
const buffers = suite('buffers');
buffers.after.each(cleanUp);

/** Bytes that no other name has anywhere: each run of 16 says whose it is, and where. */
function bytesOf(name: string, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 16)
    bytes.write(`${name.slice(0, 8).padEnd(8, '.')}${String(at).padStart(8, '0')}`, at, 'latin1');
  return bytes;
}

const sha = (bytes: Buffer) => createHash('sha1').update(bytes).digest('hex');
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n\r\n`;
const isPending = ({ edge }: Pair) => [...edge.clients].some((client) => client.isWritePending());

/** Answers `/NAME/SIZE` with that many bytes of NAME. */
function answer({ line }: { line: string }, connection: OriginConnection): void {
  const [, name, size] = line.split(/[/ ]+/);
  connection.send(
    `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`.concat(bytesOf(name, Number(size)).toString('latin1')),
  );
}

/** Asks for one answer after another without reading, until the kernel takes no more. */
async function askUntilPending(pair: Pair, client: RawClient, path: string): Promise<number> {
  client.socket.pause();
  let sent = 0;
  for (; !isPending(pair); sent++) {
    assert.ok(sent < 3_000, 'the kernel takes all');
    client.send(get(path));
    for (let i = 0; i < 4; i++) await sleep(0);
  }
  return sent;
}

for (const size of [15_000, 200_000])
  buffers(`the end of an answer of ${size} bytes, still to be written, is not in what the next one is read into`, () =>
    withPair({ request: answer }, async (pair) => {
      const slow = connect(pair.port);
      const sent = await askUntilPending(pair, slow, `/slow/${size}`);
      for (let i = 0; i < 20; i++) {
        const { body } = await ask(pair.port, get(`/other${i}/${size}`));
        assert.is(sha(body), sha(bytesOf(`other${i}`, size)));
      }
      slow.socket.resume();
      const head = `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
      const one = Buffer.concat([Buffer.from(head), bytesOf('slow', size)]);
      await until(() => slow.total === sent * one.length, 'all answers', 10_000);
      const all = slow.bytes;
      for (let i = 0; i < sent; i++)
        assert.ok(all.subarray(i * one.length, (i + 1) * one.length).equals(one), `answer ${i} of ${sent}`);
      slow.close();
    }),
  );

/** An origin that reads nothing until `release`, and then answers each body with its hash. */
async function startHolding(sizeOf: (head: string) => number, first = '') {
  const held: OriginConnection[] = [];
  const origin = await startOrigin({
    connected: (connection) => {
      connection.record = false;
      const hash = createHash('sha1');
      let size = -1;
      let taken = 0;
      connection.socket.on('data', (chunk: Buffer) => {
        let body = chunk;
        if (size < 0) {
          const end = chunk.indexOf('\r\n\r\n') + 4;
          size = sizeOf(chunk.toString('latin1', 0, end));
          body = chunk.subarray(end);
          if (first !== '') connection.send(first);
          connection.socket.pause();
          held.push(connection);
        }
        hash.update(body);
        taken += body.length;
        if (taken === size) connection.send(first === '' ? reply(hash.digest('hex')) : hash.digest('hex'));
      });
    },
  });
  const release = () => {
    for (const { socket } of held) socket.resume();
  };
  return { origin, held, release };
}

interface Upload {
  readonly client: RawClient;
  readonly body: Buffer;
}

/** Starts uploads of these sizes to an origin that does not read, and waits until nothing moves any more. */
async function upload({ port }: TestEdge, held: OriginConnection[], host: string, sizes: number[]): Promise<Upload[]> {
  const before = held.length;
  const uploads = sizes.map((size, i) => {
    const body = bytesOf(`slow${before + i}`, size);
    const client = connect(port).send(`PUT /x HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`).send(body);
    return { client, body };
  });
  await until(() => held.length === before + sizes.length, 'all uploads');
  await sleep(300);
  return uploads;
}

/** Uploads that the edge has read to their end, and not yet written to it: sizes about what the kernel takes are tried. */
async function uploadToTheBrim(edge: TestEdge, held: OriginConnection[], host: string): Promise<Upload[]> {
  const pending = () => connectionsOf(edge.edge).filter(({ socket }) => socket.writableLength > 0);
  const isAtBrim = () => pending().some(({ client }) => client?.isRequestComplete());
  let uploads = await upload(edge, held, host, [12_000_000]);
  for (let i = 0; i < 5; i++) {
    const [{ socket }] = pending();
    const taken = socket.bytesWritten - socket.writableLength;
    // While the origin takes nothing the edge does not read its clients, and would not see that they leave.
    for (const connection of held) connection.socket.resetAndDestroy();
    for (const { client } of uploads) client.reset();
    await until(() => edge.edge.clients.size === 0, 'the uploads to end');
    uploads = await upload(
      edge,
      held,
      host,
      Array.from({ length: 10 }, (_, n) => taken + n * 60_000 - 100_000),
    );
    if (isAtBrim()) return uploads;
  }
  throw new Error('no upload ended just where the kernel took no more');
}

buffers('the end of a body, still to be written, is not in what the next one is read into', async () => {
  const { origin, held, release } = await startHolding((head) => Number(/Content-Length: (\d+)/.exec(head)?.[1]));
  const quick = await startOrigin((request) => reply(sha(request.body)));
  const edge = await startEdge([
    { id: 'slow.test', target: origin.target },
    { id: 'quick.test', target: quick.target },
  ]);
  const uploads = await uploadToTheBrim(edge, held, 'slow.test');
  for (let i = 0; i < 10; i++) {
    const noise = bytesOf(`noise${i}`, 400_000);
    const put = Buffer.from(`PUT /x HTTP/1.1\r\nHost: quick.test\r\nContent-Length: ${noise.length}\r\n\r\n`);
    assert.is((await ask(edge.port, Buffer.concat([put, noise]))).text, sha(noise));
  }
  release();
  for (const { client, body } of uploads)
    assert.is((await client.response({ ms: 10_000 })).text, sha(body), `upload of ${body.length}`);
});

buffers('what a tunnel is still to write is not in what other clients are read into', async () => {
  const size = 7_000_000;
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n';
  const { origin, held, release } = await startHolding(() => size, switched);
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  const clients: RawClient[] = [];
  for (let i = 0; i < 6; i++) {
    const client = connect(edge.port).send('GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
    assert.is((await client.response()).status, 101);
    client.send(bytesOf(`tunnel${i}`, size));
    clients.push(client);
  }
  await until(() => held.length === clients.length, 'all tunnels');
  await sleep(400);
  assert.ok(
    connectionsOf(edge.edge).some(({ socket }) => socket.writableLength > 0),
    'the kernel takes all',
  );
  for (let i = 0; i < 10; i++) assert.is((await ask(edge.port, get(`/${'n'.repeat(200_000)}`))).status, 414);
  release();
  for (const [i, client] of clients.entries()) {
    await until(() => client.text.length === 40, `tunnel ${i}`, 10_000);
    assert.is(client.text, sha(bytesOf(`tunnel${i}`, size)), `tunnel ${i}`);
    client.close();
  }
  edge.close();
  origin.close();
});

buffers('an upstream that answers before it has taken the body is not used again', async () => {
  const { origin, held } = await startHolding(() => Number.POSITIVE_INFINITY);
  const edge = await startEdge([{ id: '*', target: origin.target }]);
  const uploads = await uploadToTheBrim(edge, held, 'a');
  for (const connection of held.slice(-uploads.length)) connection.send(reply('early'));
  for (const { client } of uploads) assert.is((await client.response()).text, 'early');
  for (const { socket } of connectionsOf(edge.edge)) assert.is(socket.writableLength, 0);
});

buffers.run();
