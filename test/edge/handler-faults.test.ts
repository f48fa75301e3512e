import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Route } from '../../src/core/types.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { type HandlerEdge, handlerSource, startHandlers } from '../helpers/handlers.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { sleep, until } from '../helpers/wait.ts';

const faults = suite('handler faults');
faults.after.each(cleanUp);

const get = (path: string, host = 'bad.test') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const bad = handlerSource(`
  const { pathname } = new URL(request.url);
  if (pathname === '/hang') for (;;);
  if (pathname === '/exit') process.exit(3);
  if (pathname === '/uncaught') setTimeout(() => { throw new Error('nobody catches'); });
  if (pathname === '/unhandled') Promise.reject(new Error('nobody handles'));
  if (pathname === '/heap') { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }
  if (pathname === '/buffers') { const all = []; for (;;) { all.push(Buffer.alloc(4 << 20, 1)); await new Promise((r) => setTimeout(r, 5)); } }
  if (pathname === '/print') for (let i = 0; i < 10_000; i++) console.log('x'.repeat(5_000));
  if (pathname === '/wait') await new Promise((r) => setTimeout(r, 60_000));
  return pathname === '/ok' ? new Response('ok') : next();
`);

interface Both {
  readonly edge: HandlerEdge;
  /** Asks the other route until it is stopped. @returns its answers that were not 200 */
  watchOther(): () => Promise<string[]>;
}

/** A route with a handler that may do anything, and another one beside it. */
async function start(limits: { timeoutMs?: number; memoryMb?: number } = {}): Promise<Both> {
  const origin = await startOrigin((message) => (message.line.includes('/ok') ? reply('ok') : undefined));
  const handler = { file: './bad.mjs', source: bad, timeoutMs: 5_000, ...limits };
  const edge = await startHandlers([
    { id: 'bad.test', target: origin.target, handler },
    { id: 'good.test', target: origin.target, handler: handlerSourceOf('return next()') },
    { id: 'plain.test', target: origin.target },
  ] as Route[]);
  const watchOther = () => {
    let stopped = false;
    const wrong: string[] = [];
    let asked = 0;
    const run = (async () => {
      while (!stopped) {
        for (const host of ['good.test', 'plain.test']) {
          const answer = await ask(edge.port, get('/ok', host));
          asked++;
          if (answer.status !== 200) wrong.push(`${host} ${answer.status}`);
        }
        await sleep(5);
      }
    })();
    return async () => {
      stopped = true;
      await run;
      assert.ok(asked > 0);
      return wrong;
    };
  };
  return { edge, watchOther };
}

function handlerSourceOf(body: string) {
  return { file: './good.mjs', source: handlerSource(body) };
}

async function works(edge: HandlerEdge): Promise<void> {
  for (const end = Date.now() + 8_000; Date.now() < end; await sleep(50)) {
    if ((await ask(edge.port, get('/ok'))).status === 200) return;
  }
  assert.unreachable('it was not started again');
}

for (const [path, status, said] of [
  ['/exit', 502, /ended \(exit code 3\)/],
  ['/uncaught', 502, /nobody has caught: Error: nobody catches, at \.\/bad\.mjs:\d+:\d+/],
  ['/unhandled', 502, /nobody has caught: Error: nobody handles/],
] as const) {
  faults(`${path.slice(1)}: those that wait get ${status}, it is started again, nobody else notices`, async () => {
    const { edge, watchOther } = await start();
    const stop = watchOther();
    const waiting = ask(edge.port, get('/wait'));
    await sleep(100);
    const answer = await ask(edge.port, get(path));
    assert.is(answer.status, status);
    assert.is(answer.get('x-oo-code'), 'OO_HANDLER_FAILED');
    assert.is((await waiting).status, status);
    await works(edge);
    assert.equal(await stop(), []);
    assert.ok(
      edge.log.some((line) => said.test(line)),
      edge.log.join('\n'),
    );
    assert.ok(edge.log.some((line) => line.includes('starting another')));
  });
}

faults('an endless loop: those that wait get 504, it is ended and started again, nobody else notices', async () => {
  const { edge, watchOther } = await start({ timeoutMs: 1_000 });
  const pid = edge.handlers.pids().get('bad.test');
  const stop = watchOther();
  const [answer, other] = await Promise.all([
    ask(edge.port, get('/hang')),
    sleep(200).then(() => ask(edge.port, get('/ok'))),
  ]);
  assert.is(answer.status, 504);
  assert.is(answer.get('x-oo-code'), 'OO_HANDLER_TIMEOUT');
  assert.is(other.status, 504);
  await sleep(2_500);
  await works(edge);
  assert.is.not(edge.handlers.pids().get('bad.test'), pid);
  assert.equal(await stop(), []);
  assert.ok(edge.log.some((line) => /has not reacted for \d+ ms/.test(line)));
  assert.ok(edge.errors.some((line) => line.includes('504 OO_HANDLER_TIMEOUT route=bad.test')));
});

for (const path of ['/heap', '/buffers']) {
  faults(`${path.slice(1)} over its limit: 502, it is started again, nobody else notices`, async () => {
    const { edge, watchOther } = await start({ memoryMb: 32, timeoutMs: 20_000 });
    const stop = watchOther();
    const answer = await ask(edge.port, get(path));
    assert.is(answer.status, 502);
    await works(edge);
    assert.equal(await stop(), []);
    assert.ok(edge.log.some((line) => /bad\.test: its process (has used more|ended)/.test(line)));
  });
}

faults('what it prints is in the log, by lines that are not too long and not too many', async () => {
  const { edge } = await start();
  void ask(edge.port, get('/print')).catch(() => {});
  await until(() => edge.log.length > 90, 'lines');
  assert.ok(edge.log.length < 1_000);
  assert.ok(edge.log.every((line) => line.length < 2_200));
  assert.match(edge.log[0], /^handler of bad\.test: x/);
});

faults.run();
