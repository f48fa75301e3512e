// time limit: 90 s
import type http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, listenHttp2 } from '../helpers/http2.ts';
import type { Message } from '../helpers/message.ts';
import { type OriginConnection, startOrigin } from '../helpers/origin.ts';
import { startEdge, withPair } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const soak = suite('HTTP/2 soak');
soak.after.each(cleanUp);

/** Bytes that no other name has: each run of 16 says whose it is, and where. */
function bytesOf(name: string, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at += 16)
    bytes.write(`${name.slice(0, 8).padEnd(8, '.')}${String(at).padStart(8, '0')}`, at, 'latin1');
  return bytes;
}

const chunk = (bytes: Buffer) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/**
 * Answers `/NAME/SIZE` with that many bytes of NAME, framed in some way, in some pieces, some time later; or, for some of them, with a
 * fault. What it received must be the name's own.
 */
function hostile(next: () => number, wrong: string[]) {
  return (message: Message, connection: OriginConnection) => {
    const [, name, size] = message.line.split(/[/ ]+/);
    if (!message.body.equals(bytesOf(`up${name}`, message.body.length))) wrong.push(`${name}: another's request body`);
    const body = bytesOf(name, Number(size));
    const head = `HTTP/1.1 200 OK\r\nX-Name: ${name}\r\nX-Got: ${message.body.length}\r\n`;
    const how = next();
    const whole =
      how < 0.5
        ? [Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]
        : [
            Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`),
            ...Array.from({ length: Math.ceil(body.length / 5_000) }, (_, i) =>
              chunk(body.subarray(i * 5_000, i * 5_000 + 5_000)),
            ),
            Buffer.from(`0\r\nX-Trailer: ${name}\r\n\r\n`),
          ];
    const bytes = Buffer.concat(whole);
    const fault = next();
    const end = fault < 0.06 ? Math.floor(next() * bytes.length) : bytes.length;
    void (async () => {
      if (fault >= 0.06 && fault < 0.1) bytes.write('garbage', 0);
      for (let at = 0; at < end; ) {
        const to = next() < 0.3 ? end : Math.min(end, at + 1 + Math.floor(next() * 9_000));
        connection.send(Buffer.from(bytes.subarray(at, to)));
        at = to;
        if (next() < 0.2) await sleep(next() * 4);
      }
      if (end < bytes.length) connection.socket[next() < 0.5 ? 'end' : 'resetAndDestroy']();
    })();
  };
}

interface Tally {
  right: number;
  refused: number;
  cut: number;
  left: number;
}

/** One stream, from its request to the end of its answer. */
async function converse(
  session: http2.ClientHttp2Session,
  name: string,
  next: () => number,
  tally: Tally,
): Promise<void> {
  const size = Math.floor(next() ** 3 * 120_000);
  const up = next() < 0.4 ? Math.floor(next() ** 3 * 60_000) : 0;
  const length: http2.OutgoingHttpHeaders = up > 0 && next() < 0.5 ? { 'content-length': up } : {};
  const stream = session.request(
    { ':method': up > 0 ? 'POST' : 'GET', ':path': `/${name}/${size}`, ':authority': 'app.test', ...length },
    { endStream: up === 0 },
  );
  const answer = answerOf(stream).catch((error: Error) => error);
  if (up > 0) {
    const body = bytesOf(`up${name}`, up);
    const half = Math.floor(next() * up);
    stream.write(body.subarray(0, half));
    if (next() < 0.3) await sleep(next() * 5);
    stream.end(body.subarray(half));
  }
  if (next() < 0.08) {
    await sleep(next() * 6);
    stream.close(8);
    await answer;
    tally.left++;
    return;
  }
  if (next() < 0.2) {
    stream.pause();
    await sleep(next() * 20);
    stream.resume();
  }
  const got = await within(answer, `the answer to ${name}`, 20_000);
  if (got instanceof Error) {
    tally.cut++;
  } else if (got.status === 200) {
    assert.is(got.headers['x-name'], name);
    assert.is(got.headers['x-got'], String(up));
    assert.ok(got.body.equals(bytesOf(name, size)), `${name} got another's bytes, or not all of its own`);
    if (got.trailers['x-trailer'] !== undefined) assert.is(got.trailers['x-trailer'], name);
    tally.right++;
  } else {
    assert.ok(got.status === 502, `${name}: ${got.status}`);
    tally.refused++;
  }
}

for (const window of [65_535, 2_000]) {
  soak(`a thousand streams over ten connections, windows of ${window}: nobody gets another's bytes`, async () => {
    const next = random(window);
    const wrong: string[] = [];
    const tally: Tally = { right: 0, refused: 0, cut: 0, left: 0 };
    await withPair({ request: hostile(next, wrong) }, async ({ edge }) => {
      const port = await listenHttp2(edge);
      await Promise.all(
        Array.from({ length: 10 }, async (_, who) => {
          const session = connectHttp2(port, { settings: { initialWindowSize: window } });
          const mine = random(who + window);
          await Promise.all(
            Array.from({ length: 10 }, async (_, line) => {
              for (let i = 0; i < 10; i++) await converse(session, `${who}-${line}-${i}`, mine, tally);
            }),
          );
          session.close();
        }),
      );
      assert.equal(wrong, []);
      await until(() => edge.clients.size === 0, 'all clients to go');
      await until(() => edge.upstreams.size <= 100, 'all exchanges to end');
    });
    assert.ok(tally.right > 600 && tally.refused > 10 && tally.cut > 10 && tally.left > 30, JSON.stringify(tally));
  });
}

soak('a drain under load fails no request', async () => {
  const origin = await startOrigin(({ line }, connection) => {
    setTimeout(() => connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${line.length}\r\n\r\n${line}`), 20);
  });
  const edges = [
    await startEdge([{ id: '*', target: origin.target }]),
    await startEdge([{ id: '*', target: origin.target }]),
  ];
  const ports = await Promise.all(edges.map(({ edge }) => listenHttp2(edge)));
  let port = ports[0];
  let over = false;
  let done = 0;
  const failed: string[] = [];
  /** What a client does: a connection that says GOAWAY gets no new streams, another is opened. */
  const client = async (who: number) => {
    let session = connectHttp2(port);
    let leaving = false;
    const renew = () => {
      session.on('goaway', () => {
        leaving = true;
      });
    };
    renew();
    for (let i = 0; !over; i++) {
      if (leaving || session.closed || session.destroyed) {
        session.close();
        session = connectHttp2(port);
        leaving = false;
        renew();
      }
      const path = `/${who}-${i}`;
      const stream = session.request({ ':path': path, ':authority': 'app.test' });
      const got = await answerOf(stream).catch((error: Error) => error);
      if (got instanceof Error) {
        // RFC 9113 §8.7: refused streams have not been looked at, and are repeated.
        if (!/REFUSED_STREAM|reset with 7/.test(got.message)) failed.push(`${path}: ${got.message}`);
      } else if (got.status !== 200 || !got.body.toString().includes(path)) failed.push(`${path}: ${got.status}`);
      else done++;
    }
    session.close();
  };
  const clients = Array.from({ length: 20 }, (_, who) => client(who));
  await sleep(300);
  [, port] = ports;
  await within(edges[0].edge.drain(10_000), 'the drain');
  await sleep(200);
  over = true;
  await Promise.all(clients);
  assert.equal(failed, []);
  assert.ok(done > 100, `${done} requests`);
});

soak('a drain waits for long answers, and ends what is idle', async () => {
  const origin = await startOrigin((_, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!');
    setTimeout(() => connection.send('later'), 1_500);
  });
  const { edge } = await startEdge([{ id: '*', target: origin.target }]);
  const port = await listenHttp2(edge);
  const [idle, busy] = [connectHttp2(port), connectHttp2(port)];
  const answer = answerOf(busy.request({ ':path': '/', ':authority': 'app.test' }));
  await until(() => origin.requests.length === 1, 'the request');
  const drained = edge.drain(10_000);
  await until(() => idle.destroyed, 'the idle connection to end', 1_200);
  assert.is((await within(answer, 'the answer')).body.toString(), 'five!later');
  await within(drained, 'the drain', 2_000);
  assert.is(edge.clients.size, 0);
});

soak('a drain has its limit', async () => {
  const origin = await startOrigin(() => undefined);
  const { edge } = await startEdge([{ id: '*', target: origin.target }]);
  const session = connectHttp2(await listenHttp2(edge));
  const answer = answerOf(session.request({ ':path': '/', ':authority': 'app.test' })).catch((error: Error) => error);
  await until(() => origin.requests.length === 1, 'the request');
  await within(edge.drain(600), 'the drain', 2_000);
  const got = await within(answer, 'the end of the stream');
  assert.ok(got instanceof Error || got.status === 0);
  await until(() => origin.open === 0, 'the upstream connection to end');
});

soak.run();
