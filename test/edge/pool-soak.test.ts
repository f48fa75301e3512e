// time limit: 60 s
import { createHash } from 'node:crypto';
import http2 from 'node:http2';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import type { Edge } from '../../src/edge/edge.ts';
import { seeded } from '../core/balancing.ts';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { listenHttp2 } from '../helpers/http2.ts';
import { type OriginConnection, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const soak = suite('soak of pools');
soak.after.each(cleanUp);

/** What an edge still holds for requests, in words; empty when nothing is under way. */
function leftovers({ pools, lines, upstreams }: Edge): string[] {
  const figures = pools.figures();
  return [
    ...figures.pools.filter((each) => each.inFlight !== 0 || each.waiting !== 0).map((each) => JSON.stringify(each)),
    ...[...pools.instances.values()]
      .filter((each) => each.load.waiting !== 0 || each.inFlight !== 0)
      .map(({ key, load, inFlight }) => `${key}: waiting ${load.waiting}, in flight ${inFlight}`),
    // An hour later it may still be open only if a probe has never come back.
    ...[...pools.instances.values()]
      .filter(({ breaker }) => breaker?.allows(performance.now() + 3_600_000) === false)
      .map(({ key }) => `${key}: its breaker waits for a probe`),
    ...(pools.waiting.size > 0 ? ['somebody is to be told of room'] : []),
    ...(lines.busy ? ['a line is left'] : []),
    ...(upstreams.size > 200 ? [`${upstreams.size} connections`] : []),
  ];
}

/** Bytes that say whose they are, and where they stand. */
function stamped(id: number, bytes: number): string {
  let text = '';
  for (let at = 0; text.length < bytes; at++) text += `<${id}:${at}>`;
  return text.slice(0, bytes);
}

const sum = (text: string) => createHash('sha1').update(text, 'latin1').digest('hex');

soak('every byte reaches whom it is for, and nothing is left, whatever ends requests', async () => {
  const random = seeded(5);
  let mixed = '';
  const answer = (request: { head: string; line: string; text: string }, connection: OriginConnection) => {
    const id = Number(/x-id: (\d+)/i.exec(request.head)?.[1]);
    const length = Number(/x-length: (\d+)/i.exec(request.head)?.[1]);
    const back = Number(/x-back: (\d+)/i.exec(request.head)?.[1]);
    if (request.text !== stamped(id, length)) mixed ||= `request ${id}: ${request.text.length} of ${length} bytes`;
    const fate = random();
    if (fate < 0.04) return void connection.socket.resetAndDestroy();
    const body = stamped(id, back);
    const hint = fate < 0.1 ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' : '';
    const whole = `${hint}HTTP/1.1 200 OK\r\nX-Sum: ${sum(body)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    if (fate < 0.13) {
      connection.socket.write(whole.slice(0, -5));
      setTimeout(() => connection.socket.resetAndDestroy(), 5);
    } else if (fate < 0.5) setTimeout(() => connection.socket.write(whole, 'latin1'), random() * 20);
    else connection.socket.write(whole, 'latin1');
    return undefined;
  };
  const origins = await Promise.all([0, 1, 2].map(() => startOrigin(answer)));
  const route = (gate?: 'paused'): Route => ({
    id: '*',
    target: origins.map(({ target }, i) => ({ url: `${target}/base${i}`, weight: i + 1 })),
    balance: { sticky: true },
    limits: { maxConnections: 3, maxWaiting: 30, maxWaitMs: 2_000 },
    breaker: { failures: 4, openMs: 20, longestOpenMs: 50 },
    outlier: false,
    ...(gate === undefined ? {} : { rollout: { gate: { state: gate } } }),
  });
  const edge = await startEdge([route()]);
  const port2 = await listenHttp2(edge.edge);
  let next = 0;
  let whole = 0;
  const ends = Date.now() + 6_000;
  const fields = (id: number, length: number, back: number) => ({ 'x-id': id, 'x-length': length, 'x-back': back });
  const check = (id: number, status: number, body: string, back: number) => {
    if (status !== 200) return;
    whole++;
    if (body !== stamped(id, back)) mixed ||= `answer ${id}: ${body.length} of ${back} bytes`;
  };
  const one = async () => {
    while (Date.now() < ends && mixed === '') {
      const client = connect(edge.port);
      for (let n = 0; n < 5 && client.ended === ''; n++) {
        const [id, length, back] = [++next, Math.floor(random() ** 3 * 40_000), Math.floor(random() ** 3 * 60_000)];
        const lines = Object.entries(fields(id, length, back)).map(([name, value]) => `${name}: ${value}\r\n`);
        const method = length > 0 ? 'POST' : 'GET';
        const body = stamped(id, length);
        client.send(`${method} /x HTTP/1.1\r\nHost: app.test\r\n${lines.join('')}Content-Length: ${length}\r\n\r\n`);
        const cut = Math.floor(random() * length);
        client.send(body.slice(0, cut));
        if (random() < 0.3) await sleep(random() * 10);
        if (random() < 0.1) break;
        client.send(body.slice(cut));
        if (random() < 0.1) break;
        const answered = async () => {
          for (;;) {
            const message = await client.response();
            if (message.status >= 200) return message;
          }
        };
        const message = await within(answered(), `answer ${id}`, 10_000).catch(() => {
          if (client.ended === '') mixed ||= `answer ${id} never came`;
        });
        if (!message) break;
        check(id, message.status, message.text, back);
      }
      client.close();
    }
  };
  const two = async () => {
    while (Date.now() < ends && mixed === '') {
      const session = closeLater(http2.connect(`http://127.0.0.1:${port2}`));
      session.on('error', () => {});
      const asks = Array.from({ length: 12 }, async () => {
        const [id, length, back] = [++next, Math.floor(random() ** 3 * 40_000), Math.floor(random() ** 3 * 60_000)];
        const leaves = random() < 0.1;
        const stream = session.request({
          // Node's client ends a stream before it resets it: only a length tells that it was not all.
          ...(leaves || id % 2 === 0 ? { 'content-length': length } : {}),
          ':method': 'POST',
          ':authority': 'app.test',
          ':path': '/x',
          ...fields(id, length, back),
        });
        const parts: Buffer[] = [];
        let status = 0;
        stream.on('response', (head) => {
          status = Number(head[':status']);
        });
        stream.on('data', (chunk: Buffer) => parts.push(chunk));
        stream.on('error', () => {});
        const closed = new Promise<void>((resolve) => stream.once('close', resolve));
        const body = stamped(id, length);
        stream.write(body.slice(0, length >> 1));
        await sleep(random() * 10);
        if (leaves) stream.close(8);
        else stream.end(body.slice(length >> 1));
        await within(closed, `stream ${id}`, 10_000).catch((error: Error) => {
          mixed ||= error.message;
        });
        if (stream.rstCode === 0) check(id, status, Buffer.concat(parts).toString('latin1'), back);
      });
      await Promise.all(asks);
      session.destroy();
    }
  };
  const change = async () => {
    for (let i = 0; Date.now() < ends; i++) {
      await sleep(120);
      edge.route(route(i % 5 === 3 ? 'paused' : undefined));
    }
    edge.route(route());
  };
  await Promise.all([...Array.from({ length: 10 }, one), ...Array.from({ length: 3 }, two), change()]);
  assert.is(mixed, '');
  assert.ok(whole > 200, `${whole} of ${next} were whole`);
  await until(() => leftovers(edge.edge).length === 0, 'nothing to be left', 5_000).catch(() => {});
  assert.equal(leftovers(edge.edge), []);
  for (const origin of origins) assert.ok(origin.requests.length > 0);
});

soak.run();
