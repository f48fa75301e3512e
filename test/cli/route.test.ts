import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createProgram } from '../../cli/program.ts';
import { clearSocket } from '../../cli/state.ts';
import { openDatabase } from '../../db/database.ts';
import { acquireLock } from '../../db/lock.ts';
import { createAdminApp } from '../../src/admin/app.ts';
import { createConfiguration } from '../../src/admin/configuration.ts';
import type { RouteChange } from '../../src/core/types.ts';
import { memoryIo } from '../helpers/memory-io.ts';
import { temporary } from '../helpers/temporary.ts';

const route = suite('cli: oo route');

/** A server as `oo serve` has it, as far as the CLI sees: locks, database, admin API on the socket. */
async function serve(dir: string) {
  const lock = acquireLock(join(dir, 'oo.lock'), `The state directory ${dir}`);
  const database = await openDatabase({ url: join(dir, 'oo.db') });
  const published: RouteChange[] = [];
  const configuration = await createConfiguration({
    store: database.configuration,
    publish: async (change) => void published.push(change),
  });
  const app = createAdminApp({ configuration, version: '1' });
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  await new Promise<void>((resolve) => server.listen(clearSocket(dir), resolve));
  return {
    configuration,
    published,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await configuration.close();
      database.close();
      lock.release();
    },
  };
}

/** Runs `oo` with OO_STATE_DIR. */
function at(dir: string) {
  return async (line: string | readonly string[], input = '') => {
    const io = memoryIo({ OO_STATE_DIR: dir, USER: 'ann' }, input);
    const code = await createProgram(io, '1').run(typeof line === 'string' ? line.split(' ') : line);
    return { code, ...io.said };
  };
}

async function started() {
  const dir = temporary();
  const server = await serve(dir);
  return { dir, server, oo: at(dir) };
}

route("the seed's two files, by the running server, in force before the command ends", async () => {
  const { dir, server, oo } = await started();
  writeFileSync(join(dir, 'routeA.yaml'), '# routeA.yaml\nid: "127.0.0.1"\ntarget: "127.0.0.1:4200"\n');
  writeFileSync(join(dir, 'routeB.yaml'), '# routeB.yaml\nid: "localhost"\ntarget: "127.0.0.1:4201"\n');
  assert.equal(await oo(`route save ${dir}/routeA.yaml`), {
    code: 0,
    out: 'created 127.0.0.1\n',
    err: '1 created; revision 1\n',
  });
  assert.is(server.published.length, 1);
  assert.is((await oo(`route save ${dir}/routeB.yaml`)).out, 'created localhost\n');
  const list = 'ROUTE ID    TARGET\n127.0.0.1   127.0.0.1:4200\nlocalhost   127.0.0.1:4201\n';
  assert.equal(await oo('routes list'), { code: 0, out: list, err: '' });
  await server.stop();
});

route('singular, plural and short words are one', async () => {
  const { server, oo } = await started();
  await oo('routes s --id b --target t');
  await oo('r save --id=a --target=t');
  for (const line of ['route list', 'routes list', 'r list', 'route ls', 'routes ls', 'r ls']) {
    assert.is((await oo(`${line} -q`)).out, 'a\nb\n', line);
  }
  assert.is((await oo('routes remove a')).out, 'removed a\n');
  assert.is((await oo('r rm b')).code, 0);
  assert.is((await oo('route list -o json')).out, '[]\n');
  await server.stop();
});

route('flags make a route with all its options; get shows them', async () => {
  const { server, oo } = await started();
  const flags =
    '--id A.example.com --target https://10.0.0.1 --host-header upstream --insecure-skip-verify ' +
    '--connect-timeout 1500ms --response-timeout 2m --idle-timeout 250 --max-body 10MiB';
  assert.is((await oo(`route save ${flags}`)).code, 0);
  const expected = {
    id: 'a.example.com',
    target: 'https://10.0.0.1',
    hostHeader: 'upstream',
    insecureSkipVerify: true,
    connectTimeoutMs: 1_500,
    responseTimeoutMs: 120_000,
    idleTimeoutMs: 250,
    maxBodyBytes: 10_485_760,
  };
  assert.equal(server.configuration.list(), [expected]);
  assert.equal(JSON.parse((await oo('route get a.EXAMPLE.com. -o json')).out), expected);
  assert.match(
    (await oo('route get a.example.com')).out,
    /^id: a\.example\.com\ntarget: https:\/\/10\.0\.0\.1\nhostHeader: upstream\n/,
  );
  assert.is(
    (await oo('route get a.example.com -o table')).out,
    'ROUTE ID        TARGET\na.example.com   https://10.0.0.1\n',
  );
  await server.stop();
});

route('a save says what was created, updated and left; as JSON too', async () => {
  const { server, oo } = await started();
  await oo('route save -', '[{"id":"a","target":"t"},{"id":"b","target":"t"}]');
  const input = '[{"id":"c","target":"t"},{"id":"b","target":"new"},{"id":"a","target":"t"}]';
  assert.equal(await oo('route save -', input), {
    code: 0,
    out: 'created c\nupdated b\nunchanged a\n',
    err: '1 created, 1 updated, 1 unchanged; revision 2\n',
  });
  const again = await oo('route save - -o json', input);
  assert.equal(JSON.parse(again.out), { revision: 2, created: [], updated: [], unchanged: ['c', 'b', 'a'] });
  assert.is(again.err, '3 unchanged; revision 2\n');
  assert.is((await oo('route save - -q', input)).out, 'c\nb\na\n');
  await server.stop();
});

route('what list prints as JSON or YAML, save takes', async () => {
  const { server, oo } = await started();
  await oo('route save -', '[{"id":"*.a","target":"t","hostHeader":"upstream"},{"id":"[::1]:80/x","target":"t"}]');
  for (const format of ['json', 'yaml']) {
    const { out } = await oo(`route ls -o ${format}`);
    assert.is((await oo('route save -', out)).out, 'unchanged *.a\nunchanged [::1]:80/x\n');
  }
  await server.stop();
});

route('one fault anywhere, and nothing of the call is saved; all faults are shown with file and line', async () => {
  const { dir, server, oo } = await started();
  mkdirSync(join(dir, 'routes/sub'), { recursive: true });
  writeFileSync(join(dir, 'routes/a.yaml'), 'id: a\ntarget: t\n');
  writeFileSync(join(dir, 'routes/b.yaml'), 'id: b\ntarget: t\nextra: 1\n');
  writeFileSync(join(dir, 'routes/sub/c.json'), '{"id":"A",\n"target":"ftp://x"}');
  const { code, out, err } = await oo(`routes save ${dir}/routes`);
  assert.equal([code, out], [1, '']);
  assert.match(err, `${dir}/routes/b.yaml:3: unknown field 'extra'; oo schema`);
  assert.match(err, `${dir}/routes/sub/c.json:2: target 'ftp://x' has the unknown scheme 'ftp'`);
  assert.match(err, '\noo: 2 faults were found; nothing was saved.\n    Mend it,');
  assert.equal([server.published, server.configuration.table.revision], [[], 0]);
  await server.stop();
});

route('rm: what was there is removed; what was not is an error', async () => {
  const { server, oo } = await started();
  await oo('route save -', '[{"id":"a","target":"t"},{"id":"b/x","target":"t"}]');
  assert.equal(await oo('route rm A b/x/ zz'), {
    code: 1,
    out: 'removed a\nremoved b/x\n',
    err: '2 removed; revision 2\noo: There is no route zz.\n    oo route list shows those that are.\n',
  });
  assert.is((await oo('route get a')).code, 1);
  await server.stop();
});

for (const [line, message] of [
  ['route save', 'There is nothing to save.'],
  ['route save x.yaml --id a --target t', 'Files and --id are given both.'],
  ['route save --id a', '--target: target is missing; expected an address such as http://10.0.0.2:3000'],
  [
    'route save --id http://a --target t',
    "--id: id 'http://a' has a scheme; expected only a host and perhaps a path: app.example.com/api",
  ],
  ['route save --id a --target t --host-header x', "--host-header: hostHeader is 'x'; expected client or upstream"],
  [
    'route save --id a --target t --connect-timeout 5x',
    "--connect-timeout is '5x'; expected a time such as 500ms, 30s or 5m, 1ms or more.",
  ],
  ['route save --id a --id b --target t', '--id is given more than once.'],
  ['route ls -o xml', "-o is 'xml'; expected one of table, json, yaml, name."],
  ['route ls -q -o json', '-o and -q are given both.'],
  ['route get http://x', "'http://x' is no route id."],
  ['route ls --db file:x', '--db is for --offline: a running server has its own.'],
  [
    'route ls --offline --db postgres://x',
    "--db is 'postgres://x'; expected a libSQL database: a path, file:/path/oo.db, libsql://… or https://….",
  ],
] as const) {
  route(`called wrongly, exit code 2: oo ${line}`, async () => {
    const { code, out, err } = await at(temporary())(line);
    assert.equal([code, out], [2, '']);
    assert.is(err.split('\n')[0], `oo: ${message}`);
  });
}

route('files that are not there, or without routes: exit code 1', async () => {
  const dir = temporary();
  const missing = await at(dir)('route save none.yaml --offline');
  assert.equal([missing.code, missing.err.split('\n')[0]], [1, 'oo: none.yaml: there is no such file.']);
  mkdirSync(join(dir, 'empty'));
  const empty = await at(dir)(`route save ${dir}/empty --offline`);
  assert.equal([empty.code, empty.err.split('\n')[0]], [1, `oo: There are no routes in ${dir}/empty.`]);
});

route('no server: one line that says so, and the way without one', async () => {
  const dir = temporary();
  for (const state of [dir, join(dir, 'not/there')]) {
    const { code, out, err } = await at(state)('route ls');
    assert.equal([code, out], [1, '']);
    assert.is(
      err,
      `oo: No server is running on the state directory ${state}.\n` +
        '    Start one with `oo serve`, or add --offline to work on its database directly.\n',
    );
  }
});

route("a killed server's socket is no server; a later one takes its place", async () => {
  const dir = temporary();
  const first = await serve(dir);
  await first.stop();
  // What kill -9 leaves: a socket file that nobody listens on.
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(
    `require('net').createServer().listen(${JSON.stringify(join(dir, 'oo.sock'))}, () => process.exit())`,
    {
      eval: true,
    },
  );
  await new Promise((resolve) => worker.on('exit', resolve));
  assert.match((await at(dir)('route ls')).err, /No server is running/);
  const second = await serve(dir);
  assert.is((await at(dir)('route ls -q')).code, 0);
  await second.stop();
});

route('--offline: the same work on the database itself, kept for the next server', async () => {
  const dir = join(temporary(), 'state');
  const oo = at(dir);
  assert.equal(await oo('route save --id A --target t --offline'), {
    code: 0,
    out: 'created a\n',
    err: '1 created; revision 1\n',
  });
  assert.is(statSync(dir).mode & 0o777, 0o700);
  assert.is((await oo('routes ls --offline -q')).out, 'a\n');
  const server = await serve(dir);
  assert.is((await oo('routes ls -q')).out, 'a\n');
  await server.stop();
});

route('--offline while a server runs: refused, with its pid, and nothing is changed', async () => {
  const { dir, server, oo } = await started();
  assert.equal(await oo('route save --id a --target t --offline'), {
    code: 1,
    out: '',
    err:
      `oo: The state directory ${dir} is held by a running oo, pid ${process.pid}.\n` +
      '    Leave --offline out: the running server takes the change, and it works at once.\n',
  });
  assert.is(server.configuration.table.size, 0);
  await server.stop();
});

route("a database that can't be opened: one line and a hint", async () => {
  const dir = temporary();
  writeFileSync(join(dir, 'oo.db'), 'x'.repeat(5_000));
  const { code, err } = await at(dir)('route ls --offline');
  assert.is(code, 1);
  assert.is(
    err,
    `oo: The database ${dir}/oo.db: it is not an SQLite database, or it is encrypted.\n` +
      '    Name another file, restore a backup, or move this file away to start empty.\n',
  );
});

route("the server's refusals come through, with their hints", async () => {
  const { dir, server, oo } = await started();
  const before = statSync(join(dir, 'oo.sock')).mode;
  await server.stop();
  const refusing = createAdaptorServer({
    fetch: () =>
      Response.json({ error: 'The disk is full.', code: 'OO_STORE_FULL', hint: 'Free some.' }, { status: 503 }),
    overrideGlobalObjects: false,
  }) as Server;
  await new Promise<void>((resolve) => refusing.listen(clearSocket(dir), resolve));
  assert.ok(before);
  assert.equal(await oo('route ls'), { code: 1, out: '', err: 'oo: The disk is full.\n    Free some.\n' });
  refusing.closeAllConnections();
  await new Promise((resolve) => refusing.close(resolve));
});

route('a state directory with a long path: the socket is in it all the same', async () => {
  const dir = join(temporary(), 'x'.repeat(100), 'y'.repeat(100));
  mkdirSync(dir, { recursive: true });
  const server = await serve(dir);
  assert.ok(statSync(join(dir, 'oo.sock')).isSocket());
  assert.is((await at(dir)('route save --id a --target t')).code, 0);
  assert.is(server.configuration.table.size, 1);
  await server.stop();
});

route("a socket that this user may not use: the server's user is to run it", async () => {
  if (process.getuid?.() !== 0) return;
  const { dir, server } = await started();
  chmodSync(dir, 0o700);
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    process.seteuid?.(65_534);
    createConnection(join(dir, 'oo.sock'), () => resolve(undefined)).on('error', resolve);
  });
  const { err } = await at(dir)('route ls');
  process.seteuid?.(0);
  assert.is(error?.code, 'EACCES');
  assert.match(
    err,
    /This user may not use the server's socket in .*\.\n {4}Run the command as the user that runs the server/,
  );
  await server.stop();
});

route('100,000 routes go through the socket in seconds', async () => {
  const { server, oo } = await started();
  const list = Array.from({ length: 100_000 }, (_, i) => ({
    id: `h${i}.example.com`,
    target: `10.0.0.1:${(i % 60_000) + 1}`,
  }));
  const begun = performance.now();
  const { code, out, err } = await oo('route save -', JSON.stringify(list));
  assert.is(code, 0, err);
  assert.is(err, '100000 created; revision 1\n');
  assert.is(out.split('\n').length, 102);
  assert.match(out, /created 99900 more\n$/);
  assert.is((await oo('routes ls -q')).out.split('\n').length, 100_001);
  assert.ok(performance.now() - begun < 30_000, `took ${performance.now() - begun} ms`);
  await server.stop();
});

route('help begins with examples', async () => {
  const said: string[] = [];
  const { info } = console;
  console.info = (text) => void said.push(text);
  try {
    assert.is((await at(temporary())('route save --help')).code, 0);
    assert.is((await at(temporary())('--help')).code, 0);
  } finally {
    console.info = info;
  }
  assert.match(said[0], /^Examples:\n {2}oo route save routes\.yaml/);
  assert.match(said[0], /Usage:\n {2}\$ oo route save \[\.\.\.paths\]/);
  assert.match(said[1], /Commands:\n/);
  assert.match(
    (await at(temporary())('routes -h')).out,
    /^Examples:\n {2}oo route save routes\.yaml[\s\S]*Commands:\n {2}route save/,
  );
});

route.run();
