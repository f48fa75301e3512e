import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { compileHandler } from '../../src/core/option-handler.ts';
import { cleanUp } from '../helpers/cleanup.ts';
import { ask, connect } from '../helpers/client.ts';
import { handlerSource, startHandlers } from '../helpers/handlers.ts';
import { reply, startOrigin } from '../helpers/origin.ts';
import { sleep, until } from '../helpers/wait.ts';

const processes = suite('handler processes');
processes.after.each(cleanUp);

const get = (path = '/x', host = 'app.test') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const route = (source: string, target = 'http://127.0.0.1:9') => ({ id: 'app.test', target, handler: { source } });
const answering = (text: string) => handlerSource(`return new Response('${text}')`);

function compiled(source: string, more = {}) {
  const handler = compileHandler({ file: './a.mjs', source, ...more }, (message) => assert.unreachable(message));
  assert.ok(handler);
  return handler;
}

function isThere(pid: number | undefined): boolean {
  try {
    // A zombie that nobody has asked for yet is none that runs.
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

processes('what can not run is told, with its place', async () => {
  const { handlers, log } = await startHandlers([]);
  const told: [source: string, message: RegExp, line?: number, column?: number][] = [
    ['export default 1;\nconst a = ;\n', /^SyntaxError: Unexpected token ';'$/, 2, 11],
    ['export default (a => \n', /^SyntaxError: Unexpected end of input$/, 2, undefined],
    ['export default `\n\n', /^SyntaxError: /, 3, undefined],
    ['const a = 1;', /^it has no default export; expected export default/],
    ['export default 5', /^its default export is number/],
    [
      "\nimport x from './x.mjs';\nexport default x;",
      /^it imports "\.\/x\.mjs"; a handler is one file, so bundle it/,
      2,
    ],
    ["import x from 'hono';\nexport default x;", /^it imports "hono"; .*bundle it first/, 1],
    ["import { nope } from 'node:fs';\nexport default nope;", /does not provide an export named 'nope'/, 1],
    ["export default () => {};\n\nthrow new TypeError('at once');", /^TypeError: at once$/, 3],
    ['process.exit(4);\nexport default () => {};', /^its process ended while it loaded \(exit code 4\)$/],
    ['process.exit(4);', /ended while it loaded/],
  ];
  for (const [source, message, line, column] of told) {
    const fault = await handlers.prove(compiled(source), 'app.test');
    assert.match(fault?.message ?? 'no fault', message);
    assert.is(fault?.line, line, source);
    if (column !== undefined) assert.is(fault?.column, column);
  }
  assert.equal(log, []);
});

processes('Node modules, top-level await and other imports at run time', async () => {
  const { handlers } = await startHandlers([]);
  const source =
    "import { createHash } from 'node:crypto';\nawait 1;\nexport default () => new Response(createHash('md5').update('x').digest('hex'));";
  assert.is(await handlers.prove(compiled(source), 'app.test'), undefined);
  const edge = await startHandlers([
    route(source),
    { id: 'late.test', handler: { source: handlerSource("await import('./x.mjs')") } },
  ]);
  assert.is((await ask(edge.port, get())).text, '9dd4e461268c8034f5c8564e155c67a6');
  assert.is((await ask(edge.port, get('/x', 'late.test'))).status, 502);
  await until(() => edge.log.some((line) => /it imports "\.\/x\.mjs"/.test(line)), 'why');
});

processes('what was proven is the process that is published', async () => {
  const edge = await startHandlers([]);
  const source = `let n = 0; ${handlerSource('return new Response(String(process.pid))')}`;
  assert.is(await edge.handlers.prove(compiled(source), 'app.test'), undefined);
  await edge.publish(route(source));
  const pid = edge.handlers.pids().get('app.test');
  assert.is((await ask(edge.port, get())).text, String(pid));
  assert.is(await edge.handlers.prove(compiled(source), 'app.test'), undefined);
  assert.is(edge.handlers.pids().get('app.test'), pid);
});

processes('a new version takes over without a failed request, and the old one ends', async () => {
  const edge = await startHandlers([route(answering('v0'))]);
  const seen = new Set<string>();
  let stopped = false;
  const wrong: number[] = [];
  const load = Array.from({ length: 4 }, async () => {
    const client = connect(edge.port);
    while (!stopped) {
      const { status, text } = await client.send(get()).response();
      if (status !== 200) wrong.push(status);
      seen.add(text);
    }
  });
  const old = edge.handlers.pids().get('app.test');
  for (let i = 1; i <= 3; i++) {
    await edge.publish(route(answering(`v${i}`)));
    assert.is((await ask(edge.port, get())).text, `v${i}`);
    await sleep(700);
  }
  stopped = true;
  await Promise.all(load);
  assert.equal(wrong, []);
  assert.equal([...seen].sort(), ['v0', 'v1', 'v2', 'v3']);
  await until(() => !isThere(old), 'the end of the first one');
  assert.equal(edge.errors, []);
  assert.equal(edge.log, []);
});

processes('a request on an old version ends there', async () => {
  const origin = await startOrigin((_, { socket }) => void setTimeout(() => socket.write(reply('late')), 1_500));
  const slow = handlerSource("const r = await next(); r.headers.set('x-v', 'old'); return r;");
  const edge = await startHandlers([route(slow, origin.target)]);
  const old = edge.handlers.pids().get('app.test');
  const waiting = ask(edge.port, get());
  await origin.got(1);
  await edge.publish(route(answering('new'), origin.target));
  assert.is((await ask(edge.port, get())).text, 'new');
  const answer = await waiting;
  assert.is(answer.get('x-v'), 'old');
  assert.is(answer.text, 'late');
  await until(() => !isThere(old), 'the end of the old one');
});

processes('back and forth between two versions', async () => {
  const edge = await startHandlers([route(answering('a'))]);
  for (const text of ['b', 'a', 'b', 'a']) {
    await edge.publish(route(answering(text)));
    assert.is((await ask(edge.port, get())).text, text);
  }
  await sleep(1_200);
  assert.is((await ask(edge.port, get())).text, 'a');
});

processes('without its route it ends', async () => {
  const edge = await startHandlers([route(answering('a'))]);
  const pid = edge.handlers.pids().get('app.test');
  await edge.publish({ id: 'other.test', target: 'http://127.0.0.1:9' });
  await until(() => !isThere(pid), 'the end of the process');
  assert.is(edge.handlers.pids().size, 0);
});

processes('one that can not start is tried again, and holds up nobody', async () => {
  const edge = await startHandlers([
    { id: 'bad.test', handler: { source: 'throw new Error("not here")' } },
    route(answering('a')),
  ]);
  assert.is((await ask(edge.port, get())).text, 'a');
  assert.is((await ask(edge.port, get('/', 'bad.test'))).status, 502);
  await until(() => edge.log.some((line) => /bad\.test: its process can't start: Error: not here/.test(line)), 'why');
});

processes('it gets no secrets, and is the first to go when memory runs out', async () => {
  process.env.OO_ENCRYPTION_KEY = 'secret';
  process.env.OTHER = 'told';
  const edge = await startHandlers([
    route(
      `import fs from 'node:fs';\n${handlerSource("return Response.json({ key: process.env.OO_ENCRYPTION_KEY, other: process.env.OTHER, cwd: process.cwd(), oom: fs.readFileSync('/proc/self/oom_score_adj', 'utf8').trim() })")}`,
    ),
  ]);
  const told = JSON.parse((await ask(edge.port, get())).text);
  assert.equal(told, { other: 'told', cwd: '/', oom: '1000' });
});

processes.run();
