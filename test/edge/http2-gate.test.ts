import { randomBytes } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { front } from '../helpers/front.ts';
import { answerOf, connectHttp2, listenHttp2, rawHttp2, request, send, withSession } from '../helpers/http2.ts';
import { reply } from '../helpers/origin.ts';
import { limited, slowly } from '../helpers/places.ts';
import { type Pair, withPair } from '../helpers/proxy.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { get as fields, headers, reset } from '../http2/wire.ts';

const gate = suite('waiting over HTTP/2');
gate.after.each(cleanUp);

type GateOptions = NonNullable<NonNullable<Route['rollout']>['gate']>;

const closed = (order: Partial<GateOptions> = {}): Partial<Route> => ({
  rollout: { gate: { state: 'paused', ...order } },
});
const order = (pair: Pair, gate?: Partial<GateOptions>) =>
  pair.route({ id: '*', target: pair.origin.target, ...(gate === undefined ? {} : closed(gate)) });
const waiting = ({ edge }: Pair) => edge.pools.named('route *')?.record.waiting ?? 0;
const echo = {
  request: ({ line, body }: { line: string; body: Buffer }) =>
    reply(Buffer.from(`${line} ${body.toString('latin1')}`, 'latin1')),
};

gate('paused: streams of HTTP/2 wait, with their bodies and trailers', () =>
  withSession(
    echo,
    async (session, pair) => {
      const body = randomBytes(150_000);
      const answers = [
        request(session, { ':path': '/get', cookie: 'a=1' }),
        request(session, { ':method': 'POST', ':path': '/post', 'content-length': body.length }, body),
        request(session, { ':method': 'POST', ':path': '/stream' }, body),
        request(session, { ':method': 'POST', ':path': '/trailers' }, 'abc', { 'x-sum': '7' }),
      ];
      const open = send(session, { ':method': 'PUT', ':path': '/later', 'content-length': 4 }, undefined, undefined);
      open.close();
      await until(() => waiting(pair) === 4, 'four to wait');
      assert.is(pair.origin.connections.length, 0);
      order(pair);
      const [got, posted, streamed, trailed] = await within(Promise.all(answers), 'the answers');
      assert.is(got.body.toString(), 'GET /get HTTP/1.1 ');
      const text = body.toString('latin1');
      assert.ok(posted.body.toString('latin1') === `POST /post HTTP/1.1 ${text}`);
      assert.ok(streamed.body.toString('latin1') === `POST /stream HTTP/1.1 ${text}`);
      assert.is(trailed.body.toString(), 'POST /trailers HTTP/1.1 abc');
      const { fields } = pair.origin.requests.find(({ line }) => line.includes('/get'))!;
      assert.equal(
        fields.filter(([name]) => /cookie|host$/i.test(name)).map(([, value]) => value),
        ['app.test', 'a=1', 'app.test'],
      );
    },
    { route: closed() },
  ),
);

gate('paused: HTTP/2 streams that wait too long, or leave', () =>
  withSession(
    echo,
    async (session, pair) => {
      const left = send(session, { ':path': '/left' });
      const late = answerOf(send(session, { ':method': 'POST', ':path': '/late' }, Buffer.alloc(200_000)));
      await until(() => waiting(pair) === 2, 'two to wait');
      left.close(8);
      await until(() => waiting(pair) === 1, 'one to leave');
      const { status, headers } = await within(late, 'the answer');
      assert.is(status, 503);
      assert.is(headers['x-oo-code'], 'OO_PAUSED');
      // The connection's window is whole again.
      order(pair);
      const body = Buffer.alloc(600_000, 'x');
      const sent = await within(request(session, { ':method': 'POST', ':path': '/fine' }, body), 'a large body');
      assert.is(sent.body.length, body.length + 'POST /fine HTTP/1.1 '.length);
    },
    { route: closed({ maxWaitMs: 400 }) },
  ),
);

gate('the same for streams of one HTTP/2 connection, some with bodies', async () => {
  const origin = slowly(5);
  await withSession(
    origin,
    async (session) => {
      const answers = Array.from({ length: 20 }, (_, i) =>
        request(
          session,
          { ':method': i % 2 === 0 ? 'GET' : 'POST', ':path': `/${i}` },
          i % 2 === 0 ? undefined : 'x'.repeat(i * 500),
        ),
      );
      const bodies = (await within(Promise.all(answers), 'the answers')).map(({ body }) => body.toString());
      assert.equal(
        bodies,
        Array.from({ length: 20 }, (_, i) => `${i % 2 === 0 ? 'GET' : 'POST'} /${i} HTTP/1.1`),
      );
      assert.is(origin.most, 2);
    },
    limited(2),
  );
});

gate('HTTP/2 clients that read nothing can have no more than a part of the places', () =>
  withPair(
    { request: ({ line }) => (line.includes('/big') ? reply('x'.repeat(300_000)) : reply(line)) },
    async (pair) => {
      const h2 = await listenHttp2(pair.edge);
      const greedy = Array.from({ length: 4 }, () => connectHttp2(h2, { settings: { initialWindowSize: 0 } }));
      for (const session of greedy) for (let i = 0; i < 100; i++) send(session, { ':path': '/big' });
      await until(() => waiting(pair) === 300, 'those that found no place');
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => request(connectHttp2(h2), { ':path': `/${i}` })),
      );
      assert.equal(new Set(answers.map(({ status }) => status)), new Set([200]));
      // What is left of the greedy ones still is theirs.
      assert.ok(pair.edge.upstreams.size > 20);
    },
    { settings: { maxUpstreamConnections: 100 } },
  ),
);

gate('streams that are reset in the read that they came with get no upstream connection', () =>
  withPair({ request: () => undefined }, async (pair) => {
    const h2 = await listenHttp2(pair.edge);
    const client = rawHttp2(h2);
    const plain = fields().map(([name, value]): [string, string] => [
      name,
      name === ':scheme' && !front.tls ? 'http' : value,
    ]);
    let made = 0;
    const { upstreams } = pair.edge;
    upstreams.add = (upstream) => {
      made++;
      return Set.prototype.add.call(upstreams, upstream) as typeof upstreams;
    };
    const ids = Array.from({ length: 2_000 }, (_, i) => 2 * i + 1);
    client.send(Buffer.concat(ids.flatMap((id) => [headers(id, plain), reset(id, 8)])));
    await sleep(300);
    assert.ok(made > 0 && made < 500, `${made} were made`);
    await until(() => pair.edge.upstreams.size === 0, 'all to go');
  }),
);

gate('more streams in one read than are started at once: all are answered', () =>
  withPair({ request: ({ line, body }) => reply(`${line} ${body.length}`) }, async (pair) => {
    const session = connectHttp2(await listenHttp2(pair.edge));
    const answers = Array.from({ length: 100 }, (_, i) =>
      request(
        session,
        { ':method': i % 3 ? 'GET' : 'POST', ':path': `/${i}` },
        i % 3 ? undefined : 'x'.repeat(i * 100),
      ),
    );
    const bodies = (await within(Promise.all(answers), 'the answers')).map(({ body }) => body.toString());
    assert.equal(
      bodies,
      Array.from({ length: 100 }, (_, i) => (i % 3 ? `GET /${i} HTTP/1.1 0` : `POST /${i} HTTP/1.1 ${i * 100}`)),
    );
  }),
);

gate('paused, then stopped: all streams get the page', () =>
  withSession(
    echo,
    async (session, pair) => {
      const streams = [request(session, { ':path': '/1' }), request(session, { ':path': '/2' })];
      await until(() => waiting(pair) === 2, 'two to wait');
      order(pair, { state: 'stopped', message: 'closed' });
      for (const { body } of await within(Promise.all(streams), 'the page'))
        assert.match(body.toString(), 'closed (OO_STOPPED');
    },
    { route: closed() },
  ),
);

gate('bodies of requests that wait do not keep out the body of the one that they wait for', () =>
  withSession(
    echo,
    async (session, pair) => {
      const headers = { ':authority': 'app.test', ':method': 'POST', ':path': '/first' };
      const first = session.request(headers, { endStream: false });
      const answer = answerOf(first);
      await until(() => pair.edge.upstreams.size === 1, 'its place');
      const body = Buffer.alloc(60_000, 'x');
      const others = Array.from({ length: 30 }, (_, i) =>
        request(session, { ':method': 'POST', ':path': `/${i}` }, body),
      );
      await until(() => waiting(pair) === 30, 'the others to wait');
      await sleep(100);
      first.end(Buffer.alloc(200_000, 'y'));
      assert.is((await within(answer, 'the first answer')).body.length, 200_000 + 'POST /first HTTP/1.1 '.length);
      for (const { body: echoed } of await within(Promise.all(others), 'the other answers', 10_000))
        assert.ok(echoed.length > body.length);
      // And the connection's window is as large as it was.
      const large = Buffer.alloc(3_000_000, 'z');
      const last = await within(request(session, { ':method': 'POST', ':path': '/last' }, large), 'a large body');
      assert.ok(last.body.length > large.length);
    },
    { route: { limits: { maxConnections: 1, maxWaitMs: 20_000 } } },
  ),
);

gate.run();
