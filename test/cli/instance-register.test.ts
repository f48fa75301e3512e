import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { registryApps, serveApp } from '../helpers/registry-server.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';

const register = suite('cli: oo instance register');
register.after.each(cleanUp);

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const service = fileURLToPath(new URL('fixtures/listens.ts', import.meta.url));
const patienceMs = 20_000;

/** Starts `oo instance register …` as a process. */
function oo(args: readonly string[], env: Record<string, string>) {
  const child: ChildProcess = spawn(process.execPath, [main, 'instance', 'register', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    said.err += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  closeLater({ close: () => void child.kill('SIGKILL') });
  return {
    said,
    says: (text: string) =>
      until(() => (said.out + said.err).includes(text), `${text} in ${JSON.stringify(said)}`, patienceMs),
    kill: (signal: NodeJS.Signals) => void child.kill(signal),
    ended: () => within(ended, `the end of ${JSON.stringify(said)}`, patienceMs),
  };
}

async function started() {
  const dir = temporary();
  const apps = await registryApps();
  let local = await serveApp(apps.admin, { dir });
  const stop = () => local.stop();
  closeLater({ close: () => void stop().catch(() => {}) });
  return {
    ...{ ...apps, dir, env: { OO_STATE_DIR: dir } },
    urls: () => apps.registry.list().map(({ url }) => url),
    stopServer: stop,
    /** Another one in its place, with this registry or an empty one. */
    async startServer(admin = apps.admin) {
      local = await serveApp(admin, { dir });
    },
  };
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

register('registers, keeps the heartbeat, deregisters at a signal and ends with 0', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { env, registry, urls } = await started();
    const one = oo(['--slug', 'user-svc', '--url', '127.0.0.1:3999', '--ttl', '5s'], env);
    await one.says('registered http://127.0.0.1:3999 of user-svc as inst_');
    await one.says(', with a heartbeat every 1.7s\n');
    const [{ ttlMs, lastHeartbeat }] = registry.list();
    assert.is(ttlMs, 5_000);
    await until(() => registry.list()[0].lastHeartbeat > lastHeartbeat, 'a heartbeat', patienceMs);
    one.kill(signal);
    assert.is(await one.ended(), 0);
    assert.equal(urls(), []);
    assert.match(one.said.err, /\noo: deregistered inst_/);
    assert.is(one.said.out, '');
    assert.is(one.said.err.split('\n').length, 3, one.said.err);
  }
});

register("outlives the server's restart: says so once, and is there again", async () => {
  const { env, stopServer, startServer, dir, urls } = await started();
  const one = oo(['--slug', 'user-svc', '--url', '127.0.0.1:3999', '--ttl', '5s'], env);
  await one.says('registered');
  await stopServer();
  await one.says(`No server is running on the state directory ${dir}. Trying again until it works.`);
  await sleep(1_000);
  await startServer();
  await one.says('the server answers again, and knows http://127.0.0.1:3999 of user-svc');
  await stopServer();
  await until(() => one.said.err.split('Trying again').length === 3, 'a second interruption', patienceMs);
  const other = await registryApps();
  await startServer(other.admin);
  await one.says('registered http://127.0.0.1:3999 of user-svc anew');
  assert.is(other.registry.list().length, 1);
  assert.is(urls().length, 1);
  one.kill('SIGTERM');
  assert.is(await one.ended(), 0);
  assert.is(other.registry.list().length, 0);
});

register('a server that is not there yet is waited for; a signal ends that, too', async () => {
  const { env, stopServer, startServer, urls } = await started();
  await stopServer();
  const one = oo(['--slug', 'a', '--url', '127.0.0.1:3999'], env);
  const other = oo(['--slug', 'b', '--url', '127.0.0.1:3998'], env);
  await one.says('Trying again until it works');
  await other.says('Trying again until it works');
  other.kill('SIGTERM');
  assert.is(await other.ended(), 0);
  await startServer();
  await one.says('registered http://127.0.0.1:3999 of a');
  assert.equal(urls(), ['http://127.0.0.1:3999']);
});

register('a server that goes away for good does not hold up the end', async () => {
  const { env, stopServer } = await started();
  const one = oo(['--slug', 'a', '--url', '127.0.0.1:3999', '--ttl', '5s'], env);
  await one.says('registered');
  await stopServer();
  one.kill('SIGTERM');
  assert.is(await one.ended(), 0);
  assert.match(one.said.err, /it could not be deregistered, and expires by itself: No server is running/);
});

register(
  'a command: registered when it listens; deregistered before it gets the signal; ends with its code',
  async () => {
    const { env, urls } = await started();
    const port = await freePort();
    const flags = ['--slug', 'a', '--url', `http://127.0.0.1:${port}`, '--drain', '300ms'];
    const one = oo([...flags, '--', process.execPath, service, String(port), '700', '7', '0'], env);
    await one.says('runs');
    assert.equal(urls(), []);
    await one.says('listens');
    await one.says('registered');
    assert.equal(urls(), [`http://127.0.0.1:${port}`]);
    one.kill('SIGTERM');
    await until(() => urls().length === 0, 'deregistered', patienceMs);
    assert.is(one.said.out.includes('SIGTERM'), false, 'the command has no signal yet');
    assert.is(await (await fetch(`http://127.0.0.1:${port}`)).text(), 'here');
    assert.is(await one.ended(), 7);
    assert.is(one.said.out, 'runs\nlistens\nSIGTERM\n');
  },
);

register(
  'a command that ends by itself is deregistered, and its code is kept; one that a signal ends is 128 and more',
  async () => {
    const { env, urls } = await started();
    const port = await freePort();
    const flags = ['--slug', 'a', '--url', `http://127.0.0.1:${port}`];
    const one = oo([...flags, '--', process.execPath, service, String(port), '0', '3', '2500'], env);
    await one.says('registered');
    assert.is(await one.ended(), 3);
    assert.equal(urls(), []);
    const other = oo([...flags, '--drain=0ms', '--', process.execPath, service, String(port), '0', '-1', '0'], env);
    await other.says('registered');
    other.kill('SIGINT');
    assert.is(await other.ended(), 130);
    assert.equal(urls(), []);
  },
);

register('a second signal hurries: the command gets the first at once', async () => {
  const { env } = await started();
  const port = await freePort();
  const flags = ['--slug', 'a', '--url', `http://127.0.0.1:${port}`, '--drain', '1h'];
  const one = oo([...flags, '--', process.execPath, service, String(port), '0', '0', '0'], env);
  await one.says('registered');
  one.kill('SIGTERM');
  await one.says('deregistered');
  one.kill('SIGINT');
  assert.is(await one.ended(), 0);
  assert.is(one.said.out, 'runs\nlistens\nSIGTERM\n');
});

register('a command that never listens is stopped; one that ends before, or is not there, is no instance', async () => {
  const { env, published } = await started();
  const port = await freePort();
  const flags = ['--slug', 'a', '--url', `http://127.0.0.1:${port}`, '--start-timeout', '1500ms'];
  const late = oo([...flags, '--', process.execPath, service, '0', '0', '5', '0'], env);
  assert.is(await late.ended(), 1);
  assert.match(late.said.err, `oo: 127.0.0.1:${port} accepted no connection within 1.5 s; the command was stopped.`);
  assert.match(late.said.out, /SIGTERM/);
  const early = oo([...flags, '--start-timeout=1m', '--', process.execPath, '-e', 'process.exit(4)'], env);
  assert.is(await early.ended(), 2, 'the flag is given twice');
  const flagsOnce = flags.slice(0, 4);
  const ended = oo([...flagsOnce, '--', process.execPath, '-e', 'process.exit(4)'], env);
  assert.is(await ended.ended(), 4);
  assert.match(ended.said.err, 'the command ended before');
  const none = oo([...flagsOnce, '--', join(temporary(), 'none')], env);
  assert.is(await none.ended(), 1);
  assert.match(none.said.err, /can't be started: there is no such program\.\n {4}Give the command after --\./);
  const signalled = oo([...flagsOnce, '--', process.execPath, service, '0', '0', '9', '0'], env);
  await signalled.says('runs');
  signalled.kill('SIGTERM');
  assert.is(await signalled.ended(), 9);
  assert.equal(published, []);
});

register("over HTTP with a service's token, which says the slug; a refusal ends it, and the command too", async () => {
  const { tokens, open, registry, dir, urls } = await started();
  const { token } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc' });
  const server = await serveApp(open, { port: 0 });
  closeLater({ close: () => void server.stop() });
  const env = { OO_STATE_DIR: join(dir, 'none'), OO_URL: `http://127.0.0.1:${server.port}`, OO_TOKEN: token };
  const one = oo(['--url', 'http://127.0.0.1:3999'], env);
  await one.says('registered http://127.0.0.1:3999 of user-svc');
  assert.is(registry.list()[0].slug, 'user-svc');
  one.kill('SIGTERM');
  assert.is(await one.ended(), 0);
  assert.equal(urls(), []);

  const wrong = { ...env, OO_TOKEN: `oo_${'x'.repeat(43)}` };
  const refused = oo(['--url', 'http://127.0.0.1:3999'], wrong);
  assert.is(await refused.ended(), 4);
  assert.match(refused.said.err, /^oo: There is no such token\.\n {4}Send/);
  const port = await freePort();
  const flags = ['--url', `http://127.0.0.1:${port}`];
  const beside = oo([...flags, '--', process.execPath, service, String(port), '0', '0', '0'], wrong);
  assert.is(await beside.ended(), 4);
  assert.match(beside.said.out, /SIGTERM\n$/);
  assert.match(beside.said.err, 'There is no such token.');
});

register('a token that is removed while it runs ends nothing', async () => {
  const { tokens, open, dir } = await started();
  const { token, id } = await tokens.create({ scopes: ['instances:read', 'instance:write'], slug: 'user-svc' });
  const server = await serveApp(open, { port: 0 });
  closeLater({ close: () => void server.stop() });
  const env = { OO_STATE_DIR: join(dir, 'none'), OO_URL: `http://127.0.0.1:${server.port}`, OO_TOKEN: token };
  const one = oo(['--url', 'http://127.0.0.1:3999', '--ttl', '5s'], env);
  await one.says('registered');
  await tokens.remove(id);
  await one.says('There is no such token. Trying again until it works.');
  one.kill('SIGTERM');
  assert.is(await one.ended(), 0);
  assert.match(one.said.err, /it could not be deregistered/);
});

register.run();
