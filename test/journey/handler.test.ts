// time limit: 180 s
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until } from '../helpers/wait.ts';
import { startLoad } from './load.ts';
import { get, type Page, run, type Server, serve, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const journey = suite('handlers, by the executable');
journey.after.each(cleanUp);

/** Text that is found where it should not be. */
const mark = 'marked-7f3a';
const says = (version: string) =>
  `// ${mark}\nexport default async (request, next) => {\n  const response = await next();\n  response.headers.set('x-version', '${version}');\n  return response;\n};\n`;

interface World {
  readonly server: Server;
  readonly dir: string;
  /** Writes the handler of `app.test`, and saves it. */
  save(source: string, more?: object): Promise<void>;
  ask(path?: string, host?: string): Promise<Page>;
}

/** A server with `app.test`, which has a handler, and `plain.test`, which has none. */
function test(name: string, check: (world: World) => Promise<void>, workers = 2): void {
  journey(name, async () => {
    const app = await startUpstream((asked, response) => response.end(`app ${asked.url}`));
    await withServer(
      async (server) => {
        const dir = temporary();
        const save = async (source: string, more: object = {}) => {
          const handler = { file: './h.mjs', ...more };
          writeFileSync(join(dir, 'h.mjs'), source);
          writeFileSync(
            join(dir, 'oo.json'),
            JSON.stringify([
              { id: 'app.test', target: app.target, handler },
              { id: 'plain.test', target: app.target },
            ]),
          );
          await server.ok('apply', join(dir, 'oo.json'));
        };
        const ask = (path = '/', host = 'app.test') => get(server.port, path, { host, ms: 30_000 });
        await check({ server, dir, save, ask });
      },
      { flags: ['--workers', String(workers)] },
    );
  });
}

const isFine = ({ status, error }: { status: number; error: string }) => status === 200 && error === '';

test('saved, changed under load, rolled back: no request is lost', async ({ server, save, ask }) => {
  await save(says('one'));
  const first = await ask('/x');
  assert.equal([first.text, first.headers['x-version']], ['app /x', 'one']);
  const versions: unknown[] = [];
  const load = startLoad(server.port, 100, 'app.test');
  for (const version of ['two', 'three']) {
    await sleep(300);
    await save(says(version));
    versions.push((await ask()).headers['x-version']);
  }
  await server.ok('rollback', '@1');
  versions.push((await ask()).headers['x-version']);
  await sleep(800);
  const samples = await load.stop();
  assert.equal(versions, ['two', 'three', 'one']);
  assert.ok(samples.length > 50, `only ${samples.length}`);
  assert.equal(samples.filter((one) => !isFine(one)).slice(0, 3), []);
});

test('what can not run is refused with its place, and nothing is changed', async ({ server, dir, save, ask }) => {
  await save(says('good'));
  for (const [source, why] of [
    ['export default () => {\n  return new Response(;\n};\n', './h.mjs:2:23: SyntaxError'],
    ['import x from "left-pad";\nexport default x;\n', './h.mjs:1: it imports "left-pad"'],
    ['export const a = 1;\n', './h.mjs: it has no default export'],
    ['throw new Error("at once");\nexport default 1;\n', './h.mjs:1:7: Error: at once'],
  ]) {
    writeFileSync(join(dir, 'h.mjs'), source);
    for (const command of [['apply'], ['apply', '--dry-run'], ['diff'], ['route', 'save']]) {
      const refused = await server.cli(...command, join(dir, 'oo.json'));
      assert.is(refused.code, command[0] === 'diff' ? 2 : 1, refused.err);
      assert.ok(refused.err.startsWith(`${dir}/oo.json:1: handler can't run: ${why}`), refused.err);
    }
  }
  assert.is((await ask()).headers['x-version'], 'good');
  assert.match((await server.ok('history', '-q')).out, /^@1\n$/);
});

test('it throws, hangs, eats memory: its own route says so, the other one notices nothing', async (world) => {
  const { server, save, ask } = world;
  await save(
    `export default async (request, next) => {
      const { pathname } = new URL(request.url);
      if (pathname === '/throw') throw new Error('${mark}');
      if (pathname === '/nothing') return 'text';
      if (pathname === '/late') await new Promise(() => {});
      if (pathname === '/loop') for (;;);
      if (pathname === '/eat') for (const all = []; ; ) all.push(new Array(1e6).fill(Math.random()));
      if (pathname === '/exit') process.exit(3);
      return next();
    };`,
    { timeoutMs: 500, memoryMb: 48 },
  );
  const load = startLoad(server.port, 50, 'plain.test');
  const outcomes: Record<string, string> = {};
  for (const path of ['/throw', '/nothing', '/late', '/loop', '/eat', '/exit']) {
    const { status, headers, text } = await ask(path);
    assert.not.match(text, new RegExp(mark));
    outcomes[path] = `${status} ${headers['x-oo-code']}`;
    // What ends right after a hang is taken for a part of it.
    if (path === '/loop') await sleep(2_500);
    // It is there again.
    const backAgain = async () => (await ask('/fine').catch(() => undefined))?.status === 200;
    const deadline = performance.now() + 20_000;
    while (!(await backAgain())) {
      assert.ok(performance.now() < deadline, `${path}: it is not back; ${server.err()}`);
      await sleep(50);
    }
  }
  const samples = await load.stop();
  const { '/eat': eaten, ...rest } = outcomes;
  // Where collecting garbage takes longer than the heap to fill, it is a hang.
  assert.match(eaten, /^(502 OO_HANDLER_FAILED|504 OO_HANDLER_TIMEOUT)$/);
  assert.equal(rest, {
    '/throw': '502 OO_HANDLER_FAILED',
    '/nothing': '502 OO_HANDLER_FAILED',
    '/late': '504 OO_HANDLER_TIMEOUT',
    '/loop': '504 OO_HANDLER_TIMEOUT',
    '/exit': '502 OO_HANDLER_FAILED',
  });
  assert.ok(samples.length > 50);
  assert.equal(samples.filter((one) => !isFine(one)).slice(0, 3), []);
  assert.match(server.err(), new RegExp(`OO_HANDLER_FAILED route=app\\.test .*: Error: ${mark}, at \\./h\\.mjs:3:`));
});

test('explain, routes, history, audit and events: which version, and never its text where nobody asked', async (world) => {
  const { server, save, ask } = world;
  await save(says('one'));
  const events = get(server.adminPort, '/v1/events?format=ndjson', { host: 'localhost', ms: 1_500 }).catch(
    () => undefined,
  );
  await save(says('two'));
  await ask('/x');
  const told = (await server.ok('explain', 'http://app.test/x')).out;
  const version = /handler asks: h\.mjs @ ([0-9a-f]{8}) runs by itself/.exec(told)?.[1];
  assert.ok(version, told);
  assert.match(
    (await server.ok('routes', 'ls')).out,
    new RegExp(`^app\\.test +\\S+ \\[handler h\\.mjs @ ${version}\\]$`, 'm'),
  );
  assert.match(
    (await server.ok('history', '@2')).out,
    /\n- {2}response\.headers\.set\('x-version', 'one'\);\n\+ {2}.*'two'\);\n/,
  );
  const audit = (await server.ok('audit', '-o', 'json')).out;
  assert.match(audit, /"apply"/);
  assert.not.match(audit, new RegExp(mark));
  assert.not.match((await events)?.text ?? '', new RegExp(mark));
  assert.not.match(server.err(), new RegExp(mark));
});

test('exported, removed and applied again, it is the same; TypeScript too', async ({ server, dir, save, ask }) => {
  await save(says('one'));
  writeFileSync(
    join(dir, 'typed.ts'),
    'export default (request: Request): Response => new Response(request.url as string);\n',
  );
  writeFileSync(join(dir, 'typed.yaml'), 'id: typed.test\nhandler: ./typed.ts\n');
  await server.ok('apply', join(dir, 'typed.yaml'));
  assert.is((await ask('/a', 'typed.test')).text, 'http://typed.test/a');
  const out = join(dir, 'out');
  await server.ok('export', out);
  assert.is(readFileSync(join(out, 'h.mjs'), 'utf8'), says('one'));
  assert.match((await server.ok('apply', out)).err, /^3 unchanged/);
  await server.ok('route', 'rm', 'app.test', 'typed.test');
  assert.is((await ask()).status, 404);
  await server.ok('apply', out);
  assert.is((await ask()).headers['x-version'], 'one');
  assert.is((await ask('/a', 'typed.test')).text, 'http://typed.test/a');
  assert.ok(existsSync(join(out, 'typed.mjs')));
});

test('a restart and a restore have it', async ({ server, dir, save, ask }) => {
  await save(says('one'));
  const backup = join(dir, 'oo.backup');
  await server.ok('backup', backup);
  await save(says('two'));
  await server.ok('restore', backup, '--yes');
  assert.is((await ask()).headers['x-version'], 'one');
  const other = await serve();
  await other.ok('restore', backup, '--yes');
  assert.is((await get(other.port, '/', { host: 'app.test' })).headers['x-version'], 'one');
  const { stateDir } = other;
  assert.is((await other.stop()).code, 0);
  const again = await serve({ stateDir });
  assert.is((await get(again.port, '/', { host: 'app.test' })).headers['x-version'], 'one');
  assert.is((await again.stop()).code, 0);
});

journey('two servers on one database run what one of them was told', async () => {
  const database = await startHrana(join(temporary(), 'shared.db'), 'secret');
  const app = await startUpstream('app');
  const options = { flags: ['--db', database.url, '--workers', '1'], env: { OO_DB_TOKEN: 'secret' } };
  const servers = await Promise.all([serve(options), serve(options)]);
  const dir = temporary();
  const versionOf = async ({ port }: Server) => (await get(port, '/', { host: 'app.test' })).headers['x-version'];
  for (const version of ['one', 'two']) {
    writeFileSync(join(dir, 'h.mjs'), says(version));
    writeFileSync(join(dir, 'oo.yaml'), `id: app.test\ntarget: ${app.target}\nhandler: ./h.mjs\n`);
    const saved = await run(['apply', join(dir, 'oo.yaml'), '--state-dir', servers[0].stateDir]);
    assert.is(saved.code, 0, saved.err);
    assert.is(await versionOf(servers[0]), version);
    const deadline = performance.now() + 10_000;
    while ((await versionOf(servers[1])) !== version) {
      assert.ok(performance.now() < deadline, 'the other server has not got it');
      await sleep(50);
    }
  }
  for (const server of servers) assert.is((await server.stop()).code, 0);
  await database.close();
});

test('when the server ends, no process of a handler is left, whatever it does', async ({ server, save }) => {
  await save('export default () => { for (;;); };\n', { timeoutMs: 60_000 });
  const left = get(server.port, '/', { host: 'app.test', ms: 3_000 }).catch(() => undefined);
  await until(() => server.tree().length > 3, 'the processes', 5_000);
  await left;
});

journey.run();
