// time limit: 60 s
import http from 'node:http';
import type http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findHosts } from '../../src/core/table.ts';
import type { CompiledRoute } from '../../src/core/types.ts';
import { seededBody, sha1 } from '../helpers/bodies.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { answerOf, connectHttp2, listenHttp2 } from '../helpers/http2.ts';
import { startNode } from '../helpers/http2-origin.ts';
import { startEdge, type TestEdge } from '../helpers/proxy.ts';
import { random } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const isolation = suite('HTTP/2 upstream isolation');
isolation.after.each(cleanUp);

const sizes = [0, 1, 100, 5_000, 16_384, 16_385, 70_000, 262_144, 262_145, 600_000];

/** Sends each body back, while it comes; `/down/SEED/SIZE` answers with that body, `/drop` breaks off, `/leave` ends the connection. */
function startEcho() {
  return startNode(
    (stream, headers, session) => {
      const [, what, seed, size] = (headers[':path'] as string).split('/');
      if (what === 'drop') return void stream.close(2);
      if (what === 'leave') session.close();
      stream.respond({ 'x-seed': seed ?? '', ...(what === 'length' && { 'content-length': String(size) }) });
      if (what === 'down') stream.end(seededBody(seed, Number(size)));
      else stream.pipe(stream);
    },
    // Node counts streams that have ended for a while, and resets those above its limit with an error that does not say so.
    { settings: { maxConcurrentStreams: 400 }, maxSessionMemory: 200 },
  );
}

interface Ask {
  readonly path: string;
  readonly seed: string;
  readonly body: Buffer | null;
  /** Read with pauses. */
  readonly slow: boolean;
}

type Talk = (what: Ask) => Promise<{ seed: string; body: Buffer }>;

function overHttp1(port: number, agent: http.Agent): Talk {
  return ({ path, body, slow }) => {
    const request = http.request({ port, host: '127.0.0.1', agent, path, method: body === null ? 'GET' : 'POST' });
    const answer = new Promise<{ seed: string; body: Buffer }>((resolve, reject) => {
      request.on('error', reject).on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => {
          parts.push(part);
          if (!slow || parts.length % 4 !== 0) return;
          response.pause();
          setTimeout(() => response.resume(), 5);
        });
        response.on('error', reject).on('aborted', () => reject(new Error('aborted')));
        response.on('end', () => resolve({ seed: String(response.headers['x-seed']), body: Buffer.concat(parts) }));
      });
    });
    request.end(body ?? undefined);
    return within(answer, path, 25_000);
  };
}

function overHttp2(session: http2.ClientHttp2Session): Talk {
  return async ({ path, body, slow }) => {
    const method = body === null ? 'GET' : 'POST';
    const stream = session.request({ ':method': method, ':path': path, ':authority': 'a' });
    const answer = answerOf(stream);
    let pieces = 0;
    if (slow)
      stream.on('data', () => {
        if (++pieces % 4 !== 0) return;
        stream.pause();
        setTimeout(() => stream.resume(), 5);
      });
    stream.end(body ?? undefined);
    const { headers, body: got } = await within(answer, path, 25_000);
    return { seed: String(headers['x-seed']), body: got };
  };
}

/** One client's exchanges. @returns how many were answered */
async function talk(say: Talk, who: number, rounds: number): Promise<number> {
  let right = 0;
  for (let round = 0; round < rounds; round++) {
    const seed = `s${who}r${round}`;
    const size = sizes[(who * 7 + round * 3) % sizes.length];
    const slow = who % 4 === 0;
    const kind = (who + round) % 8;
    if (kind === 0) {
      await say({ path: '/drop', seed, body: null, slow }).catch(() => {});
      continue;
    }
    const down = kind % 3 === 0;
    const expected = seededBody(seed, size);
    const path = down ? `/down/${seed}/${size}` : `/${who % 40 === 3 ? 'leave' : 'length'}/${seed}/${size}`;
    const got = await say({ path, seed, body: down ? null : expected, slow });
    // Its connection was about to leave, and the body is too long to be sent again.
    if (got.seed === 'undefined' && !down && size > 64 * 1024) continue;
    assert.is(got.seed, seed, `${path}: ${got.body}`);
    assert.is(sha1(got.body), sha1(expected), `${path}: ${got.body.length} bytes`);
    right++;
  }
  return right;
}

/** Exchanges that the edge's one instance has in hand. */
function inFlight({ edge }: TestEdge): number {
  const route = findHosts(edge.table, 'http', 'a')?.single as CompiledRoute;
  return edge.poolFor(route).main!.members[0].instance.inFlight;
}

function allGone({ edge }: TestEdge): Promise<void> {
  return until(() => edge.clients.size === 0, 'all clients to go');
}

isolation(
  'clients of both kinds at once, up and down, fast and slow, some leaving: each gets its own bytes',
  async () => {
    const origin = await startEcho();
    const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
    const h2 = await listenHttp2(edge.edge);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 60 });
    const sessions = Array.from({ length: 6 }, () => connectHttp2(h2));
    const leaver = async (i: number) => {
      const client = connect(edge.port);
      if (i % 2 === 0) client.send(`GET /down/leave${i}/600000 HTTP/1.1\r\nHost: a\r\n\r\n`);
      else
        client
          .send('POST /length/x/600000 HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n')
          .send(seededBody(`leave${i}`, 300_000));
      client.socket.pause();
      await sleep(20 + (i % 10) * 20);
      if (i % 3 === 0) client.reset();
      else client.close();
    };
    const canceller = async (i: number) => {
      const stream = sessions[i % sessions.length].request({ ':path': `/down/c${i}/600000`, ':authority': 'a' });
      stream.on('error', () => {}).on('data', () => {});
      await sleep(10 + (i % 10) * 15);
      stream.close(8);
    };
    const rights = await Promise.all([
      ...Array.from({ length: 80 }, (_, i) => talk(overHttp1(edge.port, agent), i, 3)),
      ...Array.from({ length: 80 }, (_, i) => talk(overHttp2(sessions[i % sessions.length]), 100 + i, 3)),
      ...Array.from({ length: 30 }, (_, i) => leaver(i).then(() => 0)),
      ...Array.from({ length: 30 }, (_, i) => canceller(i).then(() => 0)),
    ]);
    assert.ok(rights.reduce((sum, right) => sum + right, 0) > 300, String(rights));
    agent.destroy();
    for (const session of sessions) session.destroy();
    await allGone(edge);
    // Nothing of them is left behind: the instance is idle.
    await until(() => inFlight(edge) === 0, 'no exchange in hand');
  },
);

/** Ends streams and connections in many ways; what it sends of a body is right as far as it goes. */
function startHostile(next: () => number) {
  return startNode((stream, headers, session) => {
    const [, , seed, size] = (headers[':path'] as string).split('/');
    const body = seededBody(seed, Number(size));
    const what = next() % 100;
    if (what === 0) return void session.socket.destroy();
    if (what < 10) return void stream.destroy(new Error('broken off'));
    if (what === 10) session.close();
    if (what === 11) session.goaway(next() % 14, stream.id);
    stream.respond({ 'x-seed': seed, ...(what % 2 === 0 && { 'content-length': size }) });
    if (what < 50) return void stream.end(body);
    stream.write(body.subarray(0, body.length >> 1));
    setTimeout(() => {
      if (stream.destroyed) return;
      if (what < 60) stream.destroy(new Error('broken off'));
      else if (what === 60 && !session.destroyed) session.socket.destroy();
      else stream.end(body.subarray(body.length >> 1));
    }, next() % 30);
  });
}

isolation(
  'servers that end streams and connections as they like: right, or an error; never wrong, never without an end',
  async () => {
    const next = random(7);
    const origin = await startHostile(() => Math.floor(next() * 1_000_000));
    const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
    const h2 = await listenHttp2(edge.edge);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 30 });
    const sessions = Array.from({ length: 4 }, () => connectHttp2(h2));
    const tally = { right: 0, refused: 0, cut: 0 };
    const client = async (who: number) => {
      const say = who % 2 === 0 ? overHttp1(edge.port, agent) : overHttp2(sessions[who % sessions.length]);
      for (let round = 0; round < 8; round++) {
        const seed = `h${who}r${round}`;
        const size = sizes[(who * 7 + round * 3) % sizes.length];
        const upload = (who + round) % 3 === 0;
        const body = upload ? seededBody(seed, (size * 7) % 100_000) : null;
        const got = await say({ path: `/any/${seed}/${size}`, seed, body, slow: who % 5 === 0 }).catch(
          (error: Error) => {
            if (error.message.includes('not within')) throw error;
            return undefined;
          },
        );
        if (got === undefined) tally.cut++;
        else if (got.seed === 'undefined') {
          assert.match(got.body.toString(), /^502 /);
          tally.refused++;
        } else {
          assert.is(got.seed, seed);
          assert.is(sha1(got.body), sha1(seededBody(seed, size)), `${seed}, ${size}`);
          tally.right++;
        }
      }
    };
    await Promise.all(Array.from({ length: 60 }, (_, who) => client(who)));
    assert.ok(tally.right > 200 && tally.refused > 20 && tally.cut > 20, JSON.stringify(tally));
    agent.destroy();
    for (const session of sessions) session.destroy();
    await allGone(edge);
    await until(() => inFlight(edge) === 0, 'no exchange in hand');
  },
);

isolation('clients that go by the thousand do not make the upstream end what it sends to others', async () => {
  const origin = await startNode((stream) => {
    stream.respond();
    stream.write('begun');
  });
  const edge = await startEdge([{ id: '*', target: `h2c://127.0.0.1:${origin.port}` }]);
  const port = await listenHttp2(edge.edge);
  const begun = (stream: http2.ClientHttp2Stream) => {
    stream.on('error', () => {});
    return within(new Promise((resolve) => stream.once('data', resolve)), 'the beginning of an answer');
  };
  const patient = connectHttp2(port).request({ ':authority': 'app.test', ':path': '/long' });
  let ended = false;
  patient.on('close', () => {
    ended = true;
  });
  await begun(patient);
  for (let i = 0; i < 4; i++) {
    const session = connectHttp2(port);
    for (let k = 0; k < 12; k++) {
      const streams = Array.from({ length: 40 }, () => session.request({ ':authority': 'app.test', ':path': '/' }));
      await Promise.all(streams.map(begun));
      for (const stream of streams) stream.close(8);
    }
    session.destroy();
  }
  await sleep(50);
  assert.not(ended);
  assert.equal(edge.errors, []);
  patient.close(8);
});

isolation.run();
