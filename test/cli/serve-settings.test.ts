import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { temporary } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { freePort, get, type Program, run, start } from '../journey/oo.ts';
import { startUpstream } from '../journey/upstream.ts';

const settings = suite('settings of oo serve');
settings.after.each(cleanUp);

/** Starts `oo serve` with nothing but these flags and variables, and waits for its greeting. */
async function greeted(args: string[], env: NodeJS.ProcessEnv, cwd?: string): Promise<Program & { greeting: string }> {
  const program = start(['serve', ...args], { env: { OO_TEST_MODE: 'true', ...env }, cwd });
  await until(() => program.hasEnded() || program.err().includes('Database: '), 'the greeting', 10_000);
  return { ...program, greeting: program.err() };
}

settings('a flag comes before OO_, which comes before OB_', async () => {
  const [flag, oo, ob, admin, obAdmin] = await Promise.all(Array.from({ length: 5 }, freePort));
  const [flagDir, ooDir, obDir] = [temporary(), temporary(), temporary()];
  const seed = {
    OB_EDGE_PROXY: 'true',
    OB_EDGE_PROXY_TEST_MODE: 'true',
    OB_EDGE_PROXY_HTTP_PORT: `${ob}`,
    OB_SELF_URL: `http://127.0.0.1:${obAdmin}`,
    OB_FOLDER: obDir,
  };
  const ours = { OO_HTTP_PORT: `${oo}`, OO_STATE_DIR: ooDir, OO_ADMIN_PORT: `${admin}` };
  const cases: [args: string[], env: NodeJS.ProcessEnv, http: number, admin: number, dir: string][] = [
    [[], seed, ob, obAdmin, obDir],
    [[], { ...seed, ...ours }, oo, admin, ooDir],
    [['--http-port', `${flag}`, '--state-dir', flagDir], { ...seed, ...ours }, flag, admin, flagDir],
    [[], { ...seed, OO_HTTP_PORT: '', OO_STATE_DIR: '' }, ob, obAdmin, obDir],
  ];
  for (const [args, env, http, adminPort, dir] of cases) {
    const program = await greeted(args, env);
    assert.match(program.greeting, `oo listens on port ${http} (HTTP, all addresses) and 127.0.0.1:${adminPort} (`);
    assert.match(program.greeting, `Database: ${dir}/oo.db\n`);
    assert.is((await get(http)).status, 404);
    assert.is((await program.stop()).code, 0);
  }
});

settings('the state directory without any setting: XDG_STATE_HOME, else below HOME', async () => {
  const home = temporary();
  const args = ['--http-port', '0', '--admin-port', '0'];
  const cases: [env: NodeJS.ProcessEnv, dir: string][] = [
    [{ HOME: home }, join(home, '.local/state/oo')],
    [{ HOME: home, XDG_STATE_HOME: join(home, 'xdg') }, join(home, 'xdg/oo')],
    [{ HOME: home, XDG_STATE_HOME: 'not/absolute' }, join(home, '.local/state/oo')],
  ];
  for (const [env, dir] of cases) {
    const program = await greeted(args, env);
    assert.match(program.greeting, `Database: ${dir}/oo.db\n`);
    // The CLI finds it by the same rule.
    const listed = await run(['routes', 'ls'], { env });
    assert.is(listed.code, 0, listed.err);
    await program.stop();
  }
});

settings(
  'port 0 takes free ports and says which; a relative state directory is from where it was started',
  async () => {
    const cwd = temporary();
    const program = await greeted(['--http-port', '0', '--admin-port', '0', '--state-dir', 'here'], {}, cwd);
    const [, http, admin] = /^oo listens on port (\d+) .* 127\.0\.0\.1:(\d+) /.exec(program.greeting) ?? [];
    assert.is((await get(Number(http))).status, 404);
    assert.is.not((await get(Number(admin))).status, 0);
    assert.ok(existsSync(join(cwd, 'here/oo.db')));
    await program.stop();
  },
);

settings('--http-host and --admin-host bind one address', async () => {
  const port = await freePort();
  const adminPort = await freePort();
  const ports = ['--http-port', `${port}`, '--admin-port', `${adminPort}`, '--state-dir', temporary()];
  const program = await greeted([...ports, '--http-host', '127.0.0.2', '--admin-host', '127.0.0.3'], {});
  assert.match(program.greeting, `port ${port} (HTTP, 127.0.0.2) and 127.0.0.3:${adminPort}`);
  const refused = await get(port).catch((error: NodeJS.ErrnoException) => error.code);
  assert.is(refused, 'ECONNREFUSED');
  await program.stop();
});

settings('--access-log writes one line of JSON a request', async () => {
  const stateDir = temporary();
  const port = await freePort();
  const log = join(stateDir, 'access.log');
  const app = await startUpstream('hello');
  const ports = ['--http-port', `${port}`, '--admin-port', '0', '--state-dir', stateDir];
  const program = await greeted([...ports, '--access-log', log], {});
  const save = ['route', 'save', '--id', 'localhost', '--target', app.target, '--state-dir', stateDir];
  assert.is((await run(save)).code, 0);
  await get(port, '/a?b=c');
  await get(port, '/none', { host: 'nobody.example' });
  assert.is((await within(program.stop(), 'the end')).code, 0);
  app.close();
  const lines = readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(lines.map(({ method, host, target, status }) => [method, host, target, status]).sort(), [
    ['GET', 'localhost', '/a?b=c', 200],
    ['GET', 'nobody.example', '/none', 404],
  ]);
});

const bad: [what: string, args: string[], env: NodeJS.ProcessEnv, said: string][] = [
  ['a port that is none', ['--http-port', '70000'], {}, "--http-port is '70000'; expected a port from 0 to 65535"],
  ['a word for a port', [], { OO_HTTP_PORT: 'http' }, "OO_HTTP_PORT is 'http'; expected a port"],
  [
    "a bad value in the seed's variable",
    [],
    { OB_EDGE_PROXY_TEST_MODE: 'maybe' },
    "OB_EDGE_PROXY_TEST_MODE is 'maybe'",
  ],
  ['no workers', ['--workers', '0'], {}, "--workers is '0'; expected a whole number from 1 to 1024"],
  ['a time without a unit', ['--drain-timeout', '30'], {}, "--drain-timeout is '30'; expected a time such as"],
  ['a size', ['--max-head', '1TB'], {}, "--max-head is '1TB'; expected a size such as"],
  ['a network', ['--trusted-proxies', '10.0.0.0/33'], {}, "--trusted-proxies is '10.0.0.0/33'; expected addresses"],
  ['a host name to bind', ['--http-host', 'example.com'], {}, "--http-host is 'example.com'; expected an IPv4"],
  ['a database of another kind', ['--db', 'postgres://x'], {}, "--db is 'postgres://x'; expected a libSQL database"],
  ['a flag that is mistyped', ['--http-prot', '80'], {}, 'oo serve has no flag --http-prot.'],
  ['a flag without its value', ['--http-port'], {}, '--http-port'],
  ['a flag given twice', ['--http-port', '1', '--http-port', '2'], {}, '--http-port is given more than once.'],
  ['a word too many', ['now'], {}, 'now'],
];
for (const [what, args, env, said] of bad) {
  settings(`${what}: exit code 2, and what was expected`, async () => {
    const dir = join(temporary(), 'state');
    const ran = await run(['serve', '--state-dir', dir, ...args], { env }, 5_000);
    assert.is(ran.code, 2, ran.err);
    assert.match(ran.err, said);
    assert.is(ran.out, '');
    assert.is(existsSync(dir), false, 'nothing was made');
  });
}

settings.run();
