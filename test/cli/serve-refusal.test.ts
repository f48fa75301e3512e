import { chmodSync, chownSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { freePort, get, isFree, lives, type Ran, run, type StartOptions, start, withServer } from '../journey/oo.ts';

const refusal = suite('oo serve refuses');
refusal.after.each(cleanUp);

/** Root becomes nobody, whom rights stop; anyone else stays who they are. */
const asNobody =
  process.getuid?.() === 0 ? ['/usr/bin/setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

/** Runs `oo serve`, which must end by itself, at once, with what and why in one line and how to mend it in the next. */
async function refused(args: string[], options: StartOptions = {}): Promise<Ran & { what: string; hint: string }> {
  const port = args.includes('--http-port') ? [] : ['--http-port', `${await freePort()}`];
  const admin = args.includes('--admin-port') ? [] : ['--admin-port', `${await freePort()}`];
  const ran = await run(['serve', '--test-mode', ...port, ...admin, ...args], options, 10_000);
  const [what, hint, ...rest] = ran.err.split('\n');
  assert.equal(rest, [''], ran.err);
  assert.ok(what.startsWith('oo: '), what);
  assert.ok(hint.startsWith('    '), hint);
  assert.is(ran.out, '');
  return { ...ran, what, hint: hint.trim() };
}

async function occupy(port: number, host?: string): Promise<net.Server> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen({ port, host }, resolve));
  return server;
}

refusal('an HTTP port in use', async () => {
  const port = await freePort();
  const other = await occupy(port);
  const { code, what, hint } = await refused(['--http-port', `${port}`, '--state-dir', temporary()]);
  other.close();
  assert.is(code, 1);
  assert.is(what, `oo: port ${port} is in use by another program (EADDRINUSE).`);
  assert.match(hint, `ss -ltnp 'sport = :${port}'`);
  assert.match(hint, '--http-port');
});

refusal('a port in use at one address only', async () => {
  const port = await freePort();
  const other = await occupy(port, '127.0.0.1');
  const { code, what } = await refused(['--http-port', `${port}`, '--state-dir', temporary()]);
  other.close();
  assert.is(code, 1);
  assert.match(what, `port ${port} is in use`);
});

refusal('a port that another user of SO_REUSEPORT has', async () => {
  const port = await freePort();
  const other = net.createServer();
  await new Promise<void>((resolve) => other.listen({ port, reusePort: true }, resolve));
  const { code, what } = await refused(['--http-port', `${port}`, '--state-dir', temporary()]);
  other.close();
  assert.is(code, 1);
  assert.match(what, `port ${port} is in use`);
});

refusal('an admin port in use', async () => {
  const port = await freePort();
  const other = await occupy(port, '127.0.0.1');
  const { code, what, hint } = await refused(['--admin-port', `${port}`, '--state-dir', temporary()]);
  other.close();
  assert.is(code, 1);
  assert.is(what, `oo: 127.0.0.1 port ${port} is in use by another program (EADDRINUSE).`);
  assert.match(hint, '--admin-port');
});

refusal('one port for both', async () => {
  const port = `${await freePort()}`;
  const { code, what, hint } = await refused(['--http-port', port, '--admin-port', port, '--state-dir', temporary()]);
  assert.is(code, 2);
  assert.is(what, `oo: port ${port} is to be both the HTTP and the admin port.`);
  assert.is(hint, 'Give --admin-port another one.');
});

refusal('a port that this user may not bind', async () => {
  const stateDir = forNobody();
  const { code, what, hint } = await refused(['--http-port', '81', '--state-dir', stateDir], { through: asNobody });
  assert.is(code, 1);
  assert.is(what, 'oo: no right to bind port 81 (EACCES).');
  assert.match(hint, /^Run: sudo setcap cap_net_bind_service=\+ep \/.*\/oo, or choose a port over 1023/);
});

refusal("an address that is not this machine's", async () => {
  const { code, what, hint } = await refused(['--http-host', '192.0.2.1', '--state-dir', temporary()]);
  assert.is(code, 1);
  assert.is(what, 'oo: 192.0.2.1 is not an address of this machine (EADDRNOTAVAIL).');
  assert.match(hint, '--http-host');
});

refusal('a state directory that it may not write', async () => {
  const stateDir = temporary();
  chmodSync(stateDir, 0o555);
  const { code, what, hint } = await refused(['--state-dir', stateDir], { through: asNobody });
  assert.is(code, 1);
  assert.is(what, `oo: The state directory ${stateDir} can't be used: this user has no right to it.`);
  assert.match(hint, '--state-dir');
});

refusal('a state directory that is a file', async () => {
  const path = join(temporary(), 'file');
  writeFileSync(path, '');
  const { code, what } = await refused(['--state-dir', path]);
  assert.is(code, 1);
  assert.is(what, `oo: The state directory ${path} can't be used: it is a file.`);
});

refusal('an access log that it may not write', async () => {
  const dir = temporary();
  const { code, what, hint } = await refused(['--state-dir', join(dir, 'state'), '--access-log', dir]);
  assert.is(code, 1);
  assert.match(what, /^oo: The access log can't be written: EISDIR/);
  assert.match(hint, '--access-log');
});

refusal('a database file that is none', async () => {
  const stateDir = temporary();
  const garbage = 'this is no database '.repeat(500);
  writeFileSync(join(stateDir, 'oo.db'), garbage);
  const { code, what, hint } = await refused(['--state-dir', stateDir]);
  assert.is(code, 1);
  assert.is(what, `oo: The database ${stateDir}/oo.db: it is not an SQLite database, or it is encrypted.`);
  assert.match(hint, 'backup');
  assert.is(readFileSync(join(stateDir, 'oo.db'), 'utf8'), garbage, 'it is left as it was');
});

refusal('a database file whose pages are damaged', async () => {
  const stateDir = temporary();
  const path = join(stateDir, 'oo.db');
  const routes = Array.from({ length: 2_000 }, (_, i) => ({ id: `h${i}.example.com`, target: 'http://127.0.0.1:9' }));
  const input = JSON.stringify(routes);
  const saved = await run(['route', 'save', '-', '--offline', '--state-dir', stateDir], { input });
  assert.is(saved.code, 0, saved.err);
  const size = readFileSync(path).length;
  assert.ok(size > 100_000, `${size} bytes`);
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(size - 4_096, 0x5a), 0, size - 4_096, 4_096);
  const { code, what } = await refused(['--state-dir', stateDir]);
  assert.is(code, 1);
  assert.is(what, `oo: The database ${path}: its contents are damaged.`);
});

refusal('a database that another program made', async () => {
  const stateDir = temporary();
  const { default: Database } = await import('libsql');
  const db = new Database(join(stateDir, 'oo.db'));
  db.exec('CREATE TABLE routes (name TEXT); PRAGMA user_version = 7');
  db.close();
  const { code } = await refused(['--state-dir', stateDir]);
  assert.is(code, 1);
});

refusal('a directory in the place of the database', async () => {
  const stateDir = temporary();
  mkdirSync(join(stateDir, 'oo.db'));
  const { code, what } = await refused(['--state-dir', stateDir]);
  assert.is(code, 1);
  assert.is(what, `oo: The database ${stateDir}/oo.db: it cannot be opened.`);
});

refusal('a database server that does not answer', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { code, what, hint } = await refused(['--state-dir', temporary(), '--db', url]);
  assert.is(code, 1);
  assert.is(what, `oo: The database ${url}: the database server does not answer.`);
  assert.match(hint, 'Check the URL');
});

refusal('a state directory that another server has; that one goes on', async () => {
  await withServer(async (server) => {
    const { code, what, hint } = await refused(['--state-dir', server.stateDir]);
    assert.is(code, 1);
    assert.is(what, `oo: The state directory ${server.stateDir} is held by a running oo, pid ${server.pid}.`);
    assert.match(hint, 'Stop that one first');
    assert.is((await server.ok('routes', 'ls', '-q')).out, '');
    assert.is((await get(server.port)).status, 404);
  });
});

refusal('a database file that another server has, by another name', async () => {
  await withServer(async (server) => {
    const { code, what } = await refused(['--state-dir', temporary(), '--db', `file:${server.stateDir}/oo.db`]);
    assert.is(code, 1);
    assert.is(what, `oo: The database ${server.stateDir}/oo.db is held by a running oo, pid ${server.pid}.`);
  });
});

refusal('leaves nothing running: neither workers nor a port', async () => {
  const port = await freePort();
  const adminPort = await freePort();
  const other = await occupy(adminPort, '127.0.0.1');
  const args = [
    'serve',
    '--test-mode',
    '--http-port',
    `${port}`,
    '--admin-port',
    `${adminPort}`,
    '--state-dir',
    temporary(),
  ];
  const program = start([...args, '--workers', '4']);
  let seen = program.tree();
  const watch = setInterval(() => (seen = [...new Set([...seen, ...program.tree()])]), 2);
  const { code } = await program.ended;
  clearInterval(watch);
  other.close();
  assert.is(code, 1);
  assert.ok(seen.length > 1, 'workers were seen');
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(seen.filter(lives), []);
  assert.ok(await isFree(port));
});

function forNobody(): string {
  const dir = temporary();
  if (asNobody.length > 0) chownSync(dir, 65_534, 65_534);
  return dir;
}

refusal.run();
