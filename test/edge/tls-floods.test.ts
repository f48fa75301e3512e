// time limit: 60 s
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { acceptStreams, arrivals } from '../../src/edge/tls-socket.ts';
import { makeServed } from '../helpers/certificate.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { RecordClient } from '../helpers/key-updates.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { startEdge } from '../helpers/proxy.ts';
import { until } from '../helpers/wait.ts';

const floods = suite(arrivals.accept === acceptStreams ? 'TLS floods' : 'TLS floods on handles');
floods.after.each(cleanUp);

const app = makeServed(['app.test']);

async function startTls() {
  const origin = await startOrigin({ request: () => reply('hello') });
  const { edge } = await startEdge([{ id: '*', target: origin.target }]);
  edge.certificates.save([app]);
  return { edge, origin, port: await edge.listenTls({ port: 0, host: '127.0.0.1' }, false) };
}

for (const asks of [false, true])
  floods(
    `44: a flood of key updates is cut${asks ? ', where they ask for others that nobody reads' : ''}`,
    async () => {
      const { edge, port } = await startTls();
      const client = await RecordClient.connect(port, 'app.test');
      assert.is(edge.clients.size, 1);
      // Some 80 KB, and more while it lasts.
      for (let i = 0; i < 30; i++)
        client.raw.write(Buffer.concat(Array.from({ length: 100 }, () => client.keyUpdate(asks))));
      await until(() => edge.clients.size === 0, 'the end', 3_000);
    },
  );

floods('44: a thousand key updates are none', async () => {
  const { edge, port, origin } = await startTls();
  const client = await RecordClient.connect(port, 'app.test');
  for (let i = 0; i < 10; i++)
    client.raw.write(Buffer.concat(Array.from({ length: 100 }, () => client.keyUpdate(true))));
  client.raw.write(client.data('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'));
  await origin.got(1);
  await until(() => [...edge.clients].every((each) => each.isIdle()), 'the answer');
  assert.is(edge.clients.size, 1);
});

floods('data of a byte a record is none', async () => {
  const { edge, port, origin } = await startTls();
  const client = await RecordClient.connect(port, 'app.test');
  const bytes = 9_999;
  client.raw.write(client.data(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${bytes}\r\n\r\n`));
  for (let at = 0; at < bytes; at += 101)
    client.raw.write(Buffer.concat(Array.from({ length: 101 }, () => client.data('x'))));
  await origin.got(1);
  assert.is(origin.requests[0].body.length, bytes);
  assert.is(edge.clients.size, 1);
});

floods.run();
