// time limit: 90 s
import type http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { countEncoding } from '../../src/edge/compress-body.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { decoded, textOf } from '../helpers/encoded.ts';
import { front } from '../helpers/front.ts';
import { connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { startNode } from '../helpers/http2-origin.ts';
import { type OriginConnection, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';

const bodies = suite('compressed bodies');
bodies.after.each(async () => {
  // A listener for HTTP/2 has set it.
  front.protocol = 'http/1.1';
  await cleanUp();
  await until(() => countEncoding() === 0, 'the end of all encoders');
});

/** Numbers from 0 to 1 that are the same in each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/** Half text, half noise: as lengths, and in which pieces they are sent. */
interface Plan {
  readonly body: Buffer;
  readonly pieces: Buffer[];
  /** Which pieces a pause follows. */
  readonly pauses: boolean[];
}

const lengths = [
  0,
  1,
  5,
  1_023,
  1_024,
  1_025,
  8_000,
  32_767,
  32_768,
  32_769,
  65_536,
  200_000,
  700_000,
  2 * 1024 * 1024,
];

function planOf(seed: number): Plan {
  const next = random(seed);
  const length = lengths[seed % lengths.length];
  const body = Buffer.from(textOf(length, seed + 1));
  if (next() < 0.3) for (let i = Math.floor(length / 2); i < length; i++) body[i] = next() * 256;
  const pieces: Buffer[] = [];
  const most = next() < 0.3 ? 1_000_000 : 40_000;
  for (let at = 0; at < length; at += pieces.at(-1)!.length)
    pieces.push(body.subarray(at, at + 1 + Math.floor(next() * next() * most)));
  return { body, pieces, pauses: pieces.map(() => next() < 3 / pieces.length) };
}

const type = 'Content-Type: text/plain\r\n';
const heads = {
  length: (plan: Plan) => `HTTP/1.1 200 OK\r\n${type}Content-Length: ${plan.body.length}\r\n\r\n`,
  chunked: () => `HTTP/1.1 200 OK\r\n${type}Transfer-Encoding: chunked\r\n\r\n`,
  close: () => `HTTP/1.1 200 OK\r\n${type}\r\n`,
};

async function sendPlan(plan: Plan, connection: OriginConnection, framing: keyof typeof heads): Promise<void> {
  connection.send(heads[framing](plan));
  for (const [i, piece] of plan.pieces.entries()) {
    if (framing === 'chunked') connection.send(`${piece.length.toString(16)}\r\n`);
    connection.send(piece);
    if (framing === 'chunked') connection.send('\r\n');
    if (plan.pauses[i]) await sleep(8);
  }
  if (framing === 'chunked') connection.send('0\r\n\r\n');
  if (framing === 'close') connection.socket.end();
}

/** @param path `/framing/seed` */
async function answerHttp1(line: string, connection: OriginConnection): Promise<void> {
  const [, framing, seed] = line.split(' ')[1].split('/');
  await sendPlan(planOf(Number(seed)), connection, framing as keyof typeof heads);
}

async function answerHttp2(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
  const [, framing, seed] = String(headers[':path']).split('/');
  const plan = planOf(Number(seed));
  const { length } = plan.body;
  stream.respond({ 'content-type': 'text/plain', ...(framing === 'length' ? { 'content-length': length } : {}) });
  for (const [i, piece] of plan.pieces.entries()) {
    if (!stream.write(piece)) await Promise.race([new Promise((resolve) => stream.once('drain', resolve)), sleep(500)]);
    if (plan.pauses[i]) await sleep(8);
  }
  stream.end();
}

const codings = ['gzip', 'br', 'zstd'];
const rounds = lengths.length;

/** What came is what was sent; and encoded where it had to be. */
function check(framing: string, seed: number, coding: string, body: Buffer, got: string | undefined): void {
  const plan = planOf(seed);
  assert.ok(decoded(body, got).equals(plan.body), `body ${seed} by ${coding}`);
  // Of a short body that comes slowly nobody knows that it is short.
  if (plan.body.length < 1_024 && framing === 'length') assert.is(got, undefined);
  else if (got !== undefined) assert.is(got, coding);
}

for (const upstream of ['http1', 'http2']) {
  for (const framing of upstream === 'http1' ? ['length', 'chunked', 'close'] : ['length', 'open']) {
    bodies(`${upstream} upstream, ${framing}: every byte, to HTTP/1.1 and HTTP/2`, async () => {
      const target =
        upstream === 'http1'
          ? (await startOrigin(({ line }, connection) => void answerHttp1(line, connection))).target
          : `h2c://127.0.0.1:${(await startNode((stream, headers) => void answerHttp2(stream, headers))).port}`;
      const { port, edge } = await startEdge([{ id: '*', target, compress: true }]);
      const client = connect(port);
      const session = connectHttp2(await listenHttp2(edge));
      const all: Promise<void>[] = [];
      for (let seed = 0; seed < rounds; seed++) {
        const coding = codings[(seed + framing.length) % codings.length];
        const asked = request(session, { ':path': `/${framing}/${seed}`, 'accept-encoding': coding });
        all.push(asked.then((answer) => check(framing, seed, coding, answer.body, answer.headers['content-encoding'])));
        client.send(
          `GET /${framing}/${seed + rounds} HTTP/1.1\r\nHost: app.test\r\nAccept-Encoding: ${coding}\r\n\r\n`,
        );
        const answer = await client.response({ ms: 20_000 });
        check(framing, seed + rounds, coding, answer.body, answer.get('content-encoding'));
      }
      await Promise.all(all);
      assert.is(client.ended, '', 'the connection stays');
    });
  }
}

bodies.run();
