import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type CompiledHandler, compileHandler } from '../../src/core/option-handler.ts';
import type { Route } from '../../src/core/types.ts';
import { handlerSettings } from '../../src/edge/handler-place.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask } from '../helpers/client.ts';
import { type HandlerEdge, handlerSource, startHandlers } from '../helpers/handlers.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { until, within } from '../helpers/wait.ts';

/* What handlers do that is no fault of oo's, and must be none of its troubles either. */

const rough = suite('rough handlers');
rough.after.each(cleanUp);

const get = (path = '/x', fields = '') => `GET ${path} HTTP/1.1\r\nHost: app.test\r\n${fields}\r\n`;

async function start(body: string, answer: string, route: Partial<Route> = {}) {
  const origin = await startOrigin(() => answer);
  const source = handlerSource(body);
  const edge = await startHandlers([
    { id: '*', target: origin.target, handler: { file: './a.mjs', source }, ...route },
  ]);
  return { edge, origin };
}

function socketsOf(edge: HandlerEdge): number {
  const [pid] = edge.handlers.pids().values();
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

rough('what a handler says on the channel of its process is no word of that process', async () => {
  const { edge } = await start(
    `for (const message of [null, 'ready', 7, [], {}, { type: 'log', line: { toString: 1 } }, { type: 'failed' }, { type: 'failed', fault: null }]) process.send(message);
    return new Response('sent');`,
    reply(''),
  );
  assert.is((await ask(edge.port, get())).text, 'sent');
  assert.is((await ask(edge.port, get())).text, 'sent');
  assert.equal(edge.log, []);
});

for (const [what, answer] of [
  ['short', reply('short')],
  ['long', reply('x'.repeat(1_000_000))],
]) {
  rough(`a ${what} response of next that nobody reads holds no connection`, async () => {
    const { edge } = await start("await next(); return new Response('own')", answer);
    await ask(edge.port, get());
    const before = socketsOf(edge);
    for (let i = 0; i < 30; i++) assert.is((await ask(edge.port, get())).text, 'own');
    await until(() => socketsOf(edge) <= before + 4, 'its connections are let go');
  });
}

rough('a tunnel that next has opened is closed where the handler answers something else', async () => {
  let open = 0;
  const origin = await startOrigin({
    request: () => 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  });
  const edge = await startHandlers([
    {
      id: '*',
      target: origin.target,
      handler: { file: './a.mjs', source: handlerSource("await next(); return new Response('own')") },
    },
  ]);
  const ws =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  await ask(edge.port, get());
  const before = socketsOf(edge);
  for (; open < 10; open++) assert.is((await ask(edge.port, get('/ws', ws))).text, 'own');
  await until(() => socketsOf(edge) <= before + 2, 'its tunnels are closed');
});

rough('waitUntil may go on with what next has brought', async () => {
  const { edge } = await start(
    `const response = await next();
    context.waitUntil((async () => { await new Promise((r) => setTimeout(r, 100)); console.log('read ' + (await response.text()).length); })());
    return new Response('own');`,
    reply('x'.repeat(200_000)),
  );
  await ask(edge.port, get());
  await until(() => edge.log.some((line) => line.endsWith('read 200000')), 'it is read');
});

rough('what a handler asks for when its client has its answer is refused, and is no failure for the log', async () => {
  const { edge, origin } = await start(
    `setTimeout(async () => console.log('late: ' + (await next()).headers.get('x-oo-code')), 100);
    return new Response('own');`,
    reply('hello'),
  );
  assert.is((await ask(edge.port, get())).text, 'own');
  await until(() => edge.log.some((line) => line.endsWith('late: OO_HANDLER_FAILED')), 'it is refused');
  assert.is(origin.requests.length, 0);
  assert.equal(edge.errors, []);
});

rough('what a handler makes of content-length is no other length, and no failure', async () => {
  for (const change of [
    "delete('content-length')",
    "set('content-length', '3')",
    "set('content-length', 'abc')",
    "set('content-length', '99')",
  ]) {
    const { edge } = await start(`const r = await next(); r.headers.${change}; return r;`, reply('hello'));
    const answer = await ask(edge.port, get());
    assert.is(answer.text, 'hello', change);
    assert.is(answer.get('content-length'), '5', change);
  }
});

rough('the name of a trailer is left out where there can be none', async () => {
  const { edge, origin } = await start(
    "const r = await next(); return request.url.endsWith('/own') ? new Response(await r.text(), r) : r;",
    'HTTP/1.1 200 OK\r\nTrailer: X-T\r\nContent-Length: 2\r\n\r\nok',
  );
  for (const path of ['/own', '/as-it-is']) {
    const answer = await ask(edge.port, get(path, 'Trailer: X-T\r\n'));
    assert.is(answer.text, 'ok', path);
    assert.is(answer.get('trailer'), undefined);
  }
  assert.is(origin.requests.length, 2);
});

rough('errors that say nothing of themselves are failures like others', async () => {
  const { edge } = await start(
    `if (request.url.endsWith('/getter')) throw new (class extends Error { get message() { throw 1 } get stack() { throw 2 } })();
    if (request.url.endsWith('/proxy')) throw new Proxy({}, { getPrototypeOf() { throw new Error('no') } });
    return new Response('ok');`,
    reply(''),
  );
  for (const path of ['/getter', '/proxy']) {
    const answer = await ask(edge.port, get(path));
    assert.is(answer.status, 502);
    assert.match(answer.head, /^HTTP\/1\.1 502 Bad Gateway/);
  }
  assert.is((await ask(edge.port, get())).text, 'ok');
  assert.is(edge.log.filter((line) => line.includes('says nothing of itself')).length, 2);
});

rough('a long body to a slow reader leaves no listeners behind', async () => {
  const { edge } = await start(
    `let left = 400;
    return new Response(new ReadableStream({ pull(c) { if (left-- === 0) c.close(); else c.enqueue(new Uint8Array(65_536)); } }));`,
    reply(''),
  );
  const answer = await ask(edge.port, get());
  assert.is(answer.body.length, 400 * 65_536);
  assert.equal(edge.log, []);
});

rough('memory that a handler takes while it loads is counted, too', async () => {
  const edge = await startHandlers([]);
  const source = `const all = [];\nfor (let i = 0; i < 60; i++) { all.push(Buffer.alloc(32 << 20, 1)); await new Promise((r) => setTimeout(r, 20)); }\nexport default () => new Response(String(all.length));`;
  const handler = compileHandler({ file: './a.mjs', source, memoryMb: 64 }, () => {});
  const fault = await edge.handlers.prove(handler as CompiledHandler, 'a.test');
  assert.is(fault?.message, 'it has used more than its memoryMb of 64 while it loaded');
});

rough('one that never comes up holds nobody up who has no such patience', async () => {
  const edge = await startHandlers([]);
  const source = 'await new Promise(() => setInterval(() => {}, 1000));\nexport default () => new Response();';
  const save = [{ id: 'a.test', handler: { file: './a.mjs', source } }] as Route[];
  await within(edge.handlers.apply({ save, remove: [] }, 100), 'the start goes on');
  assert.is(edge.handlers.pids().size, 1);
});

rough('where sockets need a shorter path, nothing is made before a handler needs it', () => {
  const { directory } = handlerSettings(`/tmp/${'long/'.repeat(30)}`);
  assert.not(directory.includes('long'));
  assert.throws(() => readFileSync(directory), /ENOENT/);
});

rough.run();
