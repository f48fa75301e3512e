import { once } from 'node:events';
import http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { answerOf, connectHttp2, listenHttp2, request } from '../helpers/http2.ts';
import { startNode } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';

/** HTTP/2 on both sides: what gRPC needs. */
const through = suite('HTTP/2 through and through');
through.after.each(cleanUp);

type OnStream = Parameters<typeof startNode>[0];

async function start(onStream: OnStream) {
  const origin = await startNode(onStream);
  const { edge, errors } = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const port = await listenHttp2(edge);
  return { origin, edge, errors, session: connectHttp2(port), port };
}

through('a call: te, trailers both ways, a status that only trailers tell', async () => {
  let got: http2.IncomingHttpHeaders = {};
  let sent: http2.IncomingHttpHeaders = {};
  const { session } = await start((stream, headers) => {
    got = headers;
    stream.on('trailers', (trailers: http2.IncomingHttpHeaders) => {
      sent = trailers;
    });
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
    stream.on('end', () => stream.end('answer'));
  });
  const headers = { ':method': 'POST', ':path': '/a.B/C', te: 'trailers', 'content-type': 'application/grpc' };
  const answer = await request(session, headers, 'question', { 'x-sum': '3' });
  assert.is(got.te, 'trailers');
  assert.is(got['transfer-encoding'], undefined);
  assert.is(sent['x-sum'], '3');
  assert.is(answer.body.toString(), 'answer');
  assert.is(answer.trailers['grpc-status'], '0');
  assert.is(answer.trailers['grpc-message'], 'fine');
});

through('an answer of trailers only', async () => {
  const { session } = await start((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
  });
  const headers = { ':method': 'POST', ':path': '/', te: 'trailers', 'content-type': 'application/grpc' };
  const answer = await request(session, headers, 'question');
  assert.is(answer.headers['grpc-status'], '12');
  assert.is(answer.body.length, 0);
});

through('a conversation: each message comes through before the next is said', async () => {
  const { session } = await start((stream) => {
    stream.respond({ ':status': 200 });
    stream.on('data', (chunk: Buffer) => stream.write(`<${chunk}>`));
    stream.on('end', () => stream.end());
  });
  const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'app.test', te: 'trailers' });
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await within(once(stream, 'response'), 'the head, before anything is said');
  for (let i = 0; i < 20; i++) {
    stream.write(`m${i}`);
    await until(() => text.endsWith(`<m${i}>`), `message ${i}`);
  }
  stream.end();
  await within(once(stream, 'end'), 'the end');
});

through('what is reset on one side is reset on the other', async () => {
  let codeThere = -1;
  const { session } = await start((stream, headers) => {
    stream.on('error', () => {});
    if (headers[':path'] === '/reset') return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    stream.respond({ ':status': 200 });
    stream.write('some');
    if (headers[':path'] === '/later') return void setTimeout(() => stream.destroy(new Error('gone wrong')), 30);
    stream.on('close', () => {
      codeThere = stream.rstCode ?? -1;
    });
  });
  const early = await request(session, { ':path': '/reset' }).catch((error: Error) => error);
  assert.ok(early instanceof Error || early.status === 502);
  const later = await request(session, { ':path': '/later' }).catch((error: Error) => error);
  assert.instance(later, Error);
  const left = session.request({ ':path': '/left', ':authority': 'app.test' });
  left.on('error', () => {});
  left.resume();
  await within(once(left, 'response'), 'a response');
  left.close(http2.constants.NGHTTP2_CANCEL);
  await until(() => codeThere === http2.constants.NGHTTP2_CANCEL, 'the reset at the origin');
});

through('streams of several clients share upstream connections and keep their own bytes', async () => {
  const next = random(11);
  const { port, origin } = await start((stream, headers) => {
    const [, name, size] = String(headers[':path']).split('/');
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'x-name': name }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': name }));
    stream.resume();
    const body = Buffer.alloc(Number(size), `${name}|`);
    setTimeout(() => stream.end(body), next() * 20);
  });
  const clients = Array.from({ length: 6 }, () => connectHttp2(port, { settings: { initialWindowSize: 5_000 } }));
  await Promise.all(
    clients.flatMap((session, who) =>
      Array.from({ length: 8 }, async (_, line) => {
        for (let i = 0; i < 6; i++) {
          const name = `${who}-${line}-${i}`;
          const size = Math.floor(next() ** 3 * 200_000);
          const stream = session.request({ ':path': `/${name}/${size}`, ':authority': 'app.test' });
          if (next() < 0.1) {
            stream.on('error', () => {});
            await sleep(next() * 10);
            stream.close(8);
            continue;
          }
          const answer = await within(answerOf(stream), name, 20_000);
          assert.is(answer.headers['x-name'], name);
          assert.ok(answer.body.equals(Buffer.alloc(size, `${name}|`)), `${name} got another's bytes`);
          assert.is(answer.trailers['x-end'], name);
        }
      }),
    ),
  );
  assert.ok(origin.port > 0);
});

through.run();
