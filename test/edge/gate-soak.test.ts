import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { connect } from '../helpers/client.ts';
import { connectHttp2, listenHttp2, request, send } from '../helpers/http2.ts';
import { type OriginConnection, reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { random as seeded } from '../helpers/random.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const soak = suite('gates that open and close');
soak.after.each(cleanUp);

soak('nobody gets a wrong answer, or none, and nothing is left behind', async () => {
  const random = seeded(3);
  const script = {
    request: ({ line, body }: { line: string; body: Buffer }, connection: OriginConnection) => {
      setTimeout(() => connection.send(reply(`${line} ${body.length}`)), random() * 8);
    },
  };
  const origins = [await startOrigin(script), await startOrigin(script)];
  const limits = { maxConnections: 3, maxWaitMs: 20_000 };
  const routed = (state: 'open' | 'paused', count: number): Route => ({
    ...{ id: '*', target: origins.slice(0, count).map(({ target }) => target), limits },
    ...(state === 'open' ? {} : { rollout: { gate: { state, maxWaitMs: 20_000 } } }),
  });
  const { edge, port, route } = await startEdge([routed('open', 2)]);
  const h2 = await listenHttp2(edge);
  let running = true;
  const flips = (async () => {
    while (running) {
      route(routed(random() < 0.5 ? 'paused' : 'open', random() < 0.5 ? 1 : 2));
      await sleep(random() * 15);
    }
    route(routed('open', 2));
  })();

  const http1 = async (name: number) => {
    const client = connect(port);
    for (let i = 0; i < 20; i++) {
      const size = Math.floor(random() * 3) * 20_000;
      const path = `/${name}/${i}`;
      if (random() < 0.1) {
        // This one leaves without its answer, wherever it is then.
        const leaver = connect(port).send(`GET /left HTTP/1.1\r\nHost: a\r\n\r\n`);
        setTimeout(() => leaver.close(), random() * 20);
      }
      if (size === 0) client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      else client.send(`PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
      const answer = await client.response({ ms: 20_000 });
      assert.is(answer.text, `${size === 0 ? 'GET' : 'PUT'} ${path} HTTP/1.1 ${size}`);
    }
    client.close();
  };
  const http2 = async (name: number) => {
    const session = connectHttp2(h2);
    const answers = Array.from({ length: 40 }, async (_, i) => {
      await sleep(random() * 200);
      if (random() < 0.2) {
        const leaver = send(session, { ':path': '/left' });
        setTimeout(() => leaver.close(8), random() * 20);
      }
      const size = Math.floor(random() * 3) * 20_000;
      const method = size === 0 ? 'GET' : 'PUT';
      const path = `/${name}/${i}`;
      const answer = request(session, { ':method': method, ':path': path }, size === 0 ? undefined : 'x'.repeat(size));
      const { body } = await within(answer, path, 20_000);
      assert.is(body.toString(), `${method} ${path} HTTP/1.1 ${size}`);
    });
    await Promise.all(answers);
  };
  const clients = [
    ...Array.from({ length: 10 }, (_, i) => http1(i)),
    ...Array.from({ length: 5 }, (_, i) => http2(100 + i)),
  ];
  await Promise.all(clients);
  running = false;
  await flips;
  const { record } = edge.pools.named('route *')!;
  await until(() => record.waiting === 0 && record.inFlight === 0, 'all to be over');
  await until(() => !edge.lines.busy, 'no line to be left');
  for (const { inFlight } of edge.pools.instances.values()) assert.is(inFlight, 0);
  for (const { connections } of origins) assert.ok(connections.filter(({ ended }) => ended === '').length <= 3);
});

soak.run();
