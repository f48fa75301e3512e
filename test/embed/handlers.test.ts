import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createEdge, type Handler } from '../../src/node.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { sleep, until } from '../helpers/wait.ts';
import { get, listening, loopback } from './kit.ts';

const handlers = suite('handlers of the edge as a library');
handlers.after.each(cleanUp);

const sockets = () => readdirSync(tmpdir()).filter((name) => /^oo-[0-9a-f]{16}$/.test(name));

const marked =
  (mark: string): Handler =>
  async (_request, next, { route, clientIp }) => {
    const response = await next();
    response.headers.set('x-mark', `${mark} ${route} ${clientIp}`);
    return response;
  };

handlers('a function around forwarding, and one in its place', async () => {
  const origin = await startOrigin((request) => reply(`${request.get('x-forwarded-for')} ${request.text}`));
  const { httpPort } = await listening([
    { id: 'a.test', target: origin.target, handler: marked('a') },
    { id: 'b.test', handler: async (request) => new Response(`own ${await request.text()}`, { status: 201 }) },
    { id: 'c.test', target: origin.target },
  ]);
  const ask = (host: string) => get({ port: httpPort, method: 'POST', headers: { host }, body: 'body' });
  const [a, b, c] = [await ask('a.test'), await ask('b.test'), await ask('c.test')];
  assert.equal([a.status, a.text, a.headers['x-mark']], [200, '127.0.0.1 body', 'a a.test 127.0.0.1']);
  assert.equal([b.status, b.text], [201, 'own body']);
  assert.equal([c.text, c.headers['x-mark']], ['127.0.0.1 body', undefined]);
});

handlers('by a name of handlers, with its own time-out', async () => {
  const late: Handler = () => new Promise(() => {});
  const { httpPort, lines } = await listening(
    [
      { id: 'a.test', handler: { file: './late.mjs', timeoutMs: 50 } },
      {
        id: 'b.test',
        handler: () => {
          throw new Error('of the handler');
        },
      },
    ],
    { handlers: { './late.mjs': late } },
  );
  assert.is((await get({ port: httpPort, headers: { host: 'a.test' } })).status, 504);
  assert.is((await get({ port: httpPort, headers: { host: 'b.test' } })).status, 502);
  assert.ok(
    lines.some((line) => line.includes('OO_HANDLER_FAILED') && line.includes('of the handler')),
    `${lines}`,
  );
});

handlers('one that comes back at once is still there', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const [a, b] = [marked('a'), marked('b')];
  const { edge, httpPort, lines } = await listening([{ id: '*', target: origin.target, handler: a }]);
  const mark = async () => (await get({ port: httpPort })).headers['x-mark'];
  const take = (...row: readonly (Handler | undefined)[]) => {
    for (const handler of row) edge.update([{ id: '*', target: origin.target, handler }]);
  };
  take(b, a);
  assert.is(await mark(), 'a * 127.0.0.1');
  take(undefined, b, undefined, b);
  // Longer than an old one listens.
  await sleep(700);
  assert.is(await mark(), 'b * 127.0.0.1');
  take(undefined);
  await sleep(50);
  take(b);
  await sleep(700);
  assert.is(await mark(), 'b * 127.0.0.1');
  assert.equal(lines, []);
});

handlers('another function takes the place of one, under load, and none fails', async () => {
  const origin = await startOrigin(() => reply('hello'));
  const route = (mark: string) => [{ id: '*', target: origin.target, handler: marked(mark) }];
  const { edge, httpPort } = await listening(route('0'));
  let running = true;
  const seen = new Set<unknown>();
  const ask = async () => {
    while (running) {
      const { status, headers } = await get({ port: httpPort });
      assert.is(status, 200);
      seen.add(headers['x-mark']);
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, ask));
  for (let i = 1; i <= 10; i++) {
    edge.update(route(`${i}`));
    await until(() => seen.has(`${i} * 127.0.0.1`), `version ${i}`);
  }
  running = false;
  await clients;
  edge.update([{ id: '*', target: origin.target }]);
  assert.is((await get({ port: httpPort })).headers['x-mark'], undefined);
});

handlers('nothing is made where there are none, and nothing is left', async () => {
  const before = sockets();
  // Those of the tests before may go meanwhile.
  const news = () => sockets().filter((name) => !before.includes(name));
  const origin = await startOrigin(() => reply('hello'));
  const { edge, httpPort } = await listening([{ id: '*', target: origin.target }]);
  await get({ port: httpPort });
  assert.equal(news(), []);
  edge.update([{ id: '*', target: origin.target, handler: marked('x') }]);
  await until(() => news().length === 1, 'the directory');
  await edge.close({ timeoutMs: 0 });
  assert.equal(news(), []);
});

handlers('refuses what is no function, by its name', () => {
  const make = (handler: unknown) => () =>
    createEdge({ routes: [{ id: 'a.test', handler: handler as Handler }], http: loopback, log: () => {} });
  assert.throws(make('./auth.mjs'), /'a\.test' has the handler '\.\/auth\.mjs', which is not in handlers/);
  assert.throws(make({ source: 'export default 1' }), /oo serve/);
  assert.throws(make(7), /handler is '7'/);
});

handlers.run();
