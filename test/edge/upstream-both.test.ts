// time limit: 60 s
import http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { echo, startNode, startRaw } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until } from '../helpers/wait.ts';
import { data, headers, ok, reset } from '../http2/wire.ts';

const both = suite('HTTP/2 on both sides');
both.after.each(cleanUp);

const post = { ':method': 'POST', ':path': '/x' };

/** A session to an edge before the target. */
async function sessionTo(target: string, settings = {}) {
  const edge = await startEdge([{ id: '*', target }], settings);
  return { edge, session: connectHttp2(await listenHttp2(edge.edge)) };
}

both('requests and answers, with bodies and trailers either way', async () => {
  const origin = await startNode((stream, fields) => {
    const parts: Buffer[] = [];
    let sent: http2.IncomingHttpHeaders = {};
    stream.on('trailers', (trailers: http2.IncomingHttpHeaders) => {
      sent = trailers;
    });
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => {
      stream.respond({ 'x-te': fields.te ?? '' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-got': JSON.stringify(sent) }));
      stream.end(Buffer.concat(parts));
    });
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  const plain = await request(session, post, 'hello');
  assert.is(plain.status, 200);
  assert.is(plain.body.toString(), 'hello');
  assert.is(plain.headers['x-te'], '');
  assert.is(plain.headers['transfer-encoding'], undefined);
  assert.is(plain.trailers['grpc-status'], '0');
  const trailed = await request(session, { ...post, te: 'trailers' }, 'hello', { 'x-sum': '5' });
  assert.is(trailed.headers['x-te'], 'trailers');
  assert.is(trailed.body.toString(), 'hello');
  assert.equal(JSON.parse(String(trailed.trailers['x-got'])), { 'x-sum': '5' });
  const empty = await request(session, post, undefined, { 'x-sum': '0' });
  assert.equal(JSON.parse(String(empty.trailers['x-got'])), { 'x-sum': '0' });
  assert.is(empty.body.length, 0);
});

both('heads alone: HEAD, 204, 304, trailers-only', async () => {
  const origin = await startNode((stream, fields) => {
    const path = fields[':path'] as string;
    const status = { '/204': 204, '/304': 304 }[path] ?? 200;
    stream.respond(
      { ':status': status, 'grpc-status': '5', ...(path === '/head' && { 'content-length': '7' }) },
      { endStream: true },
    );
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  for (const path of ['/204', '/304', '/only']) {
    const answer = await request(session, { ':path': path });
    assert.is(answer.status, path === '/only' ? 200 : Number(path.slice(1)));
    assert.is(answer.headers['grpc-status'], '5');
    assert.is(answer.body.length, 0);
  }
  const head = await request(session, { ':method': 'HEAD', ':path': '/head' });
  assert.is(head.headers['content-length'], '7');
});

both('interim responses', async () => {
  const origin = await startNode((stream, fields, session) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' });
    echo(stream, fields, session);
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  const answer = await request(session, { ':path': '/' });
  assert.is(answer.status, 200);
  assert.equal(
    answer.interims.map((interim) => interim.link),
    ['</a>'],
  );
});

both('what came never to be indexed goes on so', async () => {
  const seen: string[][] = [];
  const origin = await startNode((stream, fields) => {
    seen.push((fields as unknown as Record<symbol, string[]>)[http2.sensitiveHeaders]);
    stream.respond({ 'x-secret': 'b', [http2.sensitiveHeaders]: ['x-secret'] } as http2.OutgoingHttpHeaders);
    stream.end();
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  const answer = await request(session, {
    ':path': '/',
    'x-token': 'a',
    [http2.sensitiveHeaders]: ['x-token'],
  } as http2.OutgoingHttpHeaders);
  assert.ok(seen[0].includes('x-token'));
  assert.ok((answer.headers as unknown as Record<symbol, string[]>)[http2.sensitiveHeaders].includes('x-secret'));
});

both('both ways, message by message, on many streams at once', async () => {
  const origin = await startNode((stream) => {
    stream.respond({});
    stream.on('data', (chunk: Buffer) => stream.write(`<${chunk}>`));
    stream.on('end', () => stream.end('.'));
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  await Promise.all(
    Array.from({ length: 30 }, async (_, who) => {
      const stream = session.request({ ...post, ':authority': 'a' });
      let got = '';
      stream.on('data', (chunk: Buffer) => {
        got += chunk;
      });
      const answer = answerOf(stream);
      let expected = '';
      for (let i = 0; i < 20; i++) {
        stream.write(`${who}:${i}`);
        expected += `<${who}:${i}>`;
        await until(() => got === expected, `message ${i} of ${who}`);
      }
      stream.end();
      assert.is((await answer).body.toString(), `${expected}.`);
    }),
  );
  assert.is(origin.sessions.length, 1);
});

both('a reset goes on to the other side, and to no other stream', async () => {
  const origin = await startRaw({
    request: (id, connection) => void connection.send(headers(id, ok, false), data(id, `${id}`)),
  });
  const { edge, session } = await sessionTo(origin.target);
  const open = Array.from({ length: 3 }, () => session.request({ ':path': '/', ':authority': 'a' }));
  const got = ['', '', ''];
  const codes: (number | undefined)[] = [];
  for (const [i, stream] of open.entries()) {
    stream
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        got[i] += chunk;
      });
    stream.on('close', () => {
      codes[i] = stream.rstCode;
    });
  }
  await until(() => got.every((text) => text !== ''), 'three answers');
  const [connection] = origin.connections;
  // From the upstream, with the last words before it.
  connection.send(data(Number(got[0]), ' and last'), reset(Number(got[0]), 2));
  await until(() => codes[0] !== undefined, 'the end of the first');
  assert.match(got[0], / and last$/);
  assert.is(codes[0], 2);
  // From the client.
  open[1].close(http2.constants.NGHTTP2_CANCEL);
  await until(() => connection.of(3, Number(got[1])).length === 1, 'RST_STREAM at the origin');
  assert.is(connection.of(3, Number(got[1]))[0].payload.readUInt32BE(0), 8);
  connection.send(data(Number(got[2]), ' whole', true));
  await until(() => codes[2] !== undefined, 'the end of the third');
  assert.is(codes[2], 0);
  assert.match(got[2], / whole$/);
  assert.is(origin.connections.length, 1);
  assert.is(edge.errors.length, 1);
});

both('clients that cancel downloads do not disturb the others', async () => {
  const origin = await startNode((stream, fields) => {
    stream.respond({});
    const piece = Buffer.alloc(16_000, 'x');
    let left = fields[':path'] === '/steady' ? 400 : 1_000;
    const more = () => {
      while (left-- > 0 && !stream.destroyed) if (!stream.write(piece)) return void stream.once('drain', more);
      if (!stream.destroyed) stream.end();
    };
    more();
  });
  const { session, edge } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  const steady = request(session, { ':path': '/steady' });
  for (let i = 0; i < 200; i++) {
    const stream = session.request({ ':path': '/cancelled', ':authority': 'a' });
    stream.on('error', () => {}).on('data', () => stream.close(8));
    if (i % 10 === 0) await sleep(5);
  }
  assert.is((await steady).body.length, 400 * 16_000);
  assert.is(origin.sessions.length <= 3, true, String(origin.sessions.length));
  assert.equal(edge.errors, []);
});

both('an answer before the request has ended, and a request that goes on after it', async () => {
  const origin = await startNode((stream) => {
    stream.respond({ ':status': 200 });
    stream.end('early');
    stream.resume();
  });
  const { session } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  const stream = session.request({ ...post, ':authority': 'a' });
  const answer = answerOf(stream);
  stream.write('some');
  const { status, body } = await answer;
  assert.is(status, 200);
  assert.is(body.toString(), 'early');
  assert.is((await request(session, { ':path': '/' })).body.toString(), 'early');
});

both('a client that goes away ends its streams at the upstream', async () => {
  const codes: (number | undefined)[] = [];
  const origin = await startNode((stream) => {
    stream.on('close', () => codes.push(stream.rstCode));
    stream.respond({});
    stream.write('part');
  });
  const { session, edge } = await sessionTo(`h2c://127.0.0.1:${origin.port}`);
  for (let i = 0; i < 5; i++) {
    const stream = session.request({ ...post, ':authority': 'a' });
    stream.on('error', () => {}).on('data', () => {});
    stream.write('open');
  }
  await until(() => origin.sessions.length === 1, 'the upstream');
  await sleep(100);
  session.destroy();
  await until(() => codes.length === 5, 'five resets');
  assert.equal(codes, [8, 8, 8, 8, 8]);
  await until(() => edge.edge.clients.size === 0, 'the client to be gone');
});

both.run();
