import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { temporary } from '../helpers/temporary.ts';

const root = join(import.meta.dirname, '../..');
const installed = join(root, 'test/runtimes/node_modules');
const program = join(import.meta.dirname, 'programs/store.ts');
const token = 'a-token';
const longestMs = 60_000;

/** How each one runs a TypeScript file with the packages of node_modules. */
const runtimes: readonly [name: string, command: readonly string[]][] = [
  ['Node', [process.execPath]],
  ['Bun', [join(installed, '@oven/bun-linux-x64/bin/bun'), 'run', '--no-install']],
  [
    'Deno',
    [
      join(installed, '@deno/linux-x64-glibc/deno'),
      ...['run', '--no-check', '--no-lock', '--no-remote', '--node-modules-dir=manual'],
      ...['--allow-read', '--allow-write', '--allow-env', '--allow-sys', '--allow-ffi', '--allow-net=127.0.0.1'],
    ],
  ],
];

/** A server that ends its connection within each answer. */
async function startCut() {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{');
    setTimeout(() => response.destroy(), 50);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

const stores = suite('store: on Node, Bun and Deno');

for (const [name, [command, ...args]] of runtimes) {
  stores(`${name}: a file, a database server, watches; and it ends`, async () => {
    assert.ok(existsSync(command), `${command} is missing: npm ci in test/runtimes`);
    const dir = temporary();
    const server = await startHrana(join(dir, 'shared.db'), token);
    const cut = await startCut();
    const other = await openStore({ url: server.url, authToken: token });
    await other.save([{ id: 'a.test', target: 'http://127.0.0.1:1' }]);
    const child = spawn(command, [...args, program, join(dir, 'own.db'), server.url, token, cut.url], {
      cwd: root,
      env: { ...process.env, DENO_DIR: join(dir, 'deno'), DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: longestMs,
      killSignal: 'SIGKILL',
    });
    let out = '';
    let err = '';
    child.stderr.on('data', (part) => {
      err += part;
    });
    child.stdout.on('data', (part) => {
      const wasReady = out.includes('"ready"');
      out += part;
      if (!wasReady && out.includes('"ready"')) void other.save([{ id: 'c.test', target: 'http://127.0.0.1:1' }]);
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.is(
      out,
      `${[
        '"saved" 1 ["a.test"]',
        '"conflict" {"conflict":1}',
        '"refused" "TypeError"',
        '"locked" "OO_STORE_LOCKED"',
        '"beside" ["a.test"]',
        '"read only" "OO_STORE_READONLY"',
        '"watched" ["a.test","b.test"]',
        '"anew" ["a.test","b.test"]',
        '"remote" ["a.test"]',
        '"token" "OO_STORE_REFUSED"',
        '"away" "OO_STORE_UNREACHABLE"',
        '"cut" "OO_STORE_UNREACHABLE"',
        '"ready"',
        '"changed" ["a.test","c.test"]',
      ].join('\n')}\n`,
      err,
    );
    assert.is(code, 0, err);
    other.close();
    cut.close();
    await server.close();
  });
}

stores.run();
