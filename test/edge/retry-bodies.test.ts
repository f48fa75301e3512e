import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { type RawHttp2Origin, startRaw } from '../helpers/http2-origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { data, goaway, headers, ok, reset } from '../http2/wire.ts';

const bodies = suite('retries of requests with bodies');
bodies.after.each(cleanUp);

const options = { balance: { minAvailable: 0.1 }, outlier: false } as const;
const DATA = 0;
const HEADERS = 1;
const REFUSED_STREAM = 7;

/** Takes a request and some of its body, then refuses it, and cannot be reached again. */
async function refusing() {
  const origin = await startRaw({
    frame: ({ type, id }, connection) => {
      if (type !== DATA) return;
      origin.server.close();
      connection.send(reset(id, REFUSED_STREAM), goaway(0, 0));
    },
  });
  return origin;
}

const bodyOf = ({ frames }: RawHttp2Origin) =>
  Buffer.concat(frames.filter(({ type }) => type === DATA).map(({ payload }) => payload)).toString();

/** Answers when the request has ended. */
const answering = () =>
  startRaw({
    frame: ({ type, id, flags }, connection) => {
      if (type < 2 && (flags & 1) > 0) connection.send(headers(id, ok, false), data(id, 'ok', true));
    },
  });

bodies('what an upstream refused after it had taken the body goes to another with all of it', async () => {
  const first = await refusing();
  const other = await answering();
  const edge = await startEdge([{ id: '*', target: [first.target, { url: other.target, priority: 1 }], ...options }]);
  const body = 'x'.repeat(100);
  // The connection has to be there already.
  const warm = connect(edge.port).send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n');
  await first.got(1, 1);
  const head = `POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${body.length}\r\n\r\n`;
  const answer = await ask(edge.port, head + body);
  assert.is(answer.status, 200);
  assert.is(bodyOf(other), body);
  warm.close();
});

bodies('likewise what came of it later, and trailers', async () => {
  const first = await refusing();
  const other = await answering();
  const edge = await startEdge([{ id: '*', target: [first.target, { url: other.target, priority: 1 }], ...options }]);
  const warm = connect(edge.port).send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n');
  await first.got(1, 1);
  const client = connect(edge.port).send(
    'POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n',
  );
  await first.got(DATA, 1);
  client.send('4\r\nrest\r\n0\r\nX-Sum: 1\r\n\r\n');
  assert.is((await client.response()).status, 200);
  assert.is(bodyOf(other), 'firstrest');
  // The other request's head, this one's, and the trailers.
  assert.is(other.frames.filter(({ type }) => type === HEADERS).length, 3);
  warm.close();
  client.close();
});

bodies.run();
