import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:http';
import net from 'node:net';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp, closeLater } from '../helpers/cleanup.ts';
import { needRoot } from '../helpers/sandbox.ts';
import { temporary } from '../helpers/temporary.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { executable, freePort, get, killAll, lives, run, type ServeOptions, tree, withServer } from './oo.ts';
import { startUpstream } from './upstream.ts';

const hardship = suite('hardship');
hardship.after.each(cleanUp);

hardship('who reads the log leaves: it goes on serving, and ends as it should', async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const stateDir = temporary();
  const ports = ['--http-port', `${port}`, '--admin-port', `${adminPort}`, '--workers', '2'];
  const child = spawn(executable, ['serve', '--test-mode', ...ports, '--state-dir', stateDir, '--access-log', '-'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const pid = child.pid ?? -1;
  const ended = new Promise((resolve) => child.on('exit', resolve));
  try {
    let said = '';
    child.stderr.on('data', (text) => (said += text));
    await until(() => said.includes('Database: '), 'the greeting', 10_000);
    child.stdout.destroy();
    child.stderr.destroy();
    const saved = await run(['route', 'save', '--id', 'localhost', '--target', '127.0.0.1:1', '--state-dir', stateDir]);
    assert.is(saved.code, 0, saved.err);
    const before = tree(pid);
    // Each is a line of the error log and one of the access log.
    for (let i = 0; i < 10; i++) assert.is((await get(port)).status, 502);
    await sleep(400);
    assert.equal(tree(pid), before, 'no process has ended');
    killAll(before.slice(1, 2));
    await until(() => tree(pid).length === 3 && !lives(before[1]), 'another worker', 10_000);
    // A connection that the kernel had given to the killed worker is reset: the next one is not.
    const { status } = await get(port).catch(() => get(port));
    assert.is(status, 502);
    child.kill('SIGTERM');
    assert.is(await within(ended, 'the end'), 0);
  } finally {
    killAll(tree(pid));
  }
});

hardship('who reads the access log stands still: lines are left out, not kept, and it goes on serving', async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const ports = ['--http-port', `${port}`, '--admin-port', `${adminPort}`, '--workers', '1'];
  const child = spawn(executable, ['serve', '--test-mode', ...ports, '--state-dir', temporary(), '--access-log', '-'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  closeLater({ close: () => killAll(tree(child.pid ?? -1)) });
  let said = '';
  child.stderr.on('data', (text) => (said += text));
  await until(() => said.includes('Database: '), 'the greeting', 10_000);
  const agent = new Agent({ keepAlive: true });
  // Some 12 MB of lines.
  const path = `/${'x'.repeat(6_000)}`;
  for (let i = 0; i < 20; i++) {
    const pages = await Promise.all(Array.from({ length: 100 }, () => get(port, path, { agent })));
    assert.ok(pages.every(({ status }) => status === 404));
    await sleep(20);
  }
  agent.destroy();
  child.stdout.resume();
  const word = /access log: \d+ lines are left out: standard output was not read/;
  // Word comes with the next lines that are written.
  for (let tries = 0; !word.test(said); tries++) {
    assert.ok(tries < 30, said);
    await get(port);
    await sleep(300);
  }
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGTERM');
  assert.is(await within(ended, 'the end'), 0);
});

hardship('oo routes ls | head -1 ends well', async () => {
  await withServer(async (server) => {
    const routes = Array.from({ length: 20_000 }, (_, i) => `- id: h${i}.example.com\n  target: 127.0.0.1:9\n`);
    const saved = await run(['route', 'save', '-', '--state-dir', server.stateDir], { input: routes.join('') });
    assert.is(saved.code, 0, saved.err);
    const line = `${executable} routes ls --state-dir ${server.stateDir} | head -1`;
    const { code, out, err } = await run(['-o', 'pipefail', '-c', line], { program: '/bin/bash' });
    assert.match(out, /^ROUTE ID +TARGET\n$/);
    assert.equal([code, err], [0, '']);
  });
});

hardship('more clients than file descriptors: those it has are served, and all when some leave', async () => {
  const app = await startUpstream('app');
  const options: ServeOptions = { through: ['/usr/bin/prlimit', '--nofile=150'], flags: ['--workers', '1'] };
  await withServer(async (server) => {
    await server.ok('route', 'save', '--id', 'localhost', '--target', app.target);
    const sockets: net.Socket[] = [];
    let open = 0;
    for (let i = 0; i < 400; i++) {
      const socket = net.connect(server.port, '127.0.0.1', () => open++);
      socket.on('error', () => {}).on('close', () => open--);
      sockets.push(socket);
    }
    await sleep(500);
    const [worker] = server.workers();
    const cpu = cpuTicks(worker);
    await sleep(500);
    const busy = (cpuTicks(worker) - cpu) / 50;
    assert.ok(busy < 0.5, `it is busy for ${busy} of its time with what it can't accept`);
    for (const socket of sockets) socket.destroy();
    await until(() => open <= 0, 'their end');
    await sleep(100);
    assert.equal(server.workers(), [worker]);
    const pages = await Promise.all(Array.from({ length: 30 }, () => get(server.port)));
    assert.ok(pages.every(({ text }) => text === 'app'));
    await server.ok('route', 'save', '--id', 'other.localhost', '--target', app.target);
  }, options);
  app.close();
});

/** CPU time of a process so far, in hundredths of a second. */
function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

hardship('a full disk: the save says so, traffic goes on, and it works again when there is room', async () => {
  needRoot();
  const app = await startUpstream('app');
  const stateDir = temporary();
  // A file system of its own, which nobody else sees.
  const mount = `mount -t tmpfs -o size=1m,mode=700 none ${stateDir} && exec "$0" "$@"`;
  const through = ['/usr/bin/unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', mount];
  await withServer(
    async (server) => {
      const inside = (program: string, ...args: string[]) =>
        run(['-t', `${server.pid}`, '-m', program, ...args], { program: '/usr/bin/nsenter' });
      const save = (id: string) =>
        inside(executable, 'route', 'save', '--id', id, '--target', app.target, '--state-dir', stateDir);
      assert.is((await save('localhost')).code, 0);
      await inside('/bin/dd', 'if=/dev/zero', `of=${stateDir}/filler`, 'bs=4096');
      // What the log has room for already may still be taken.
      let refused = await save('full-0.localhost');
      for (let i = 1; refused.code === 0 && i < 20; i++) refused = await save(`full-${i}.localhost`);
      assert.is(refused.code, 1);
      assert.match(refused.err, `oo: The database ${stateDir}/oo.db: the disk is full.\n`);
      assert.match(refused.err, /Free some space, then try again\. Traffic goes on/);
      assert.is((await get(server.port)).text, 'app');
      await inside('/bin/rm', `${stateDir}/filler`);
      const saved = await save('again.localhost');
      assert.is(saved.code, 0, saved.err);
      assert.is((await get(server.port, '/', { host: 'again.localhost' })).text, 'app');
      const listed = await inside(executable, 'routes', 'ls', '-q', '--state-dir', stateDir);
      assert.match(listed.out, 'again.localhost\n');
    },
    { stateDir, through },
  );
  app.close();
});

hardship.run();
