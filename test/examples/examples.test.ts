import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { cleanUp } from '../helpers/cleanup.ts';
import { packPackage, root, runChecked } from '../helpers/npm-package.ts';
import { sleep, until, within } from '../helpers/wait.ts';
import { freePort, type Program, start } from '../journey/oo.ts';
import { programs } from '../runtimes/runtime.ts';
import { writeWorkerd } from '../runtimes/workerd.ts';

/*
 * Each file of examples/ runs as it stands, beside a package as `npm pack` packs it.
 */

const project = mkdtempSync(join(tmpdir(), 'examples-'));
const { tarball } = await packPackage(project);
const npm = join(project, 'node_modules');
mkdirSync(join(npm, '@oo/proxy'), { recursive: true });
mkdirSync(join(npm, '@hono'));
runChecked('tar', ['-xzf', tarball, '-C', join(npm, '@oo/proxy'), '--strip-components=1'], project);
for (const name of ['hono', '@hono/node-server']) symlinkSync(join(root, 'node_modules', name), join(npm, name));
cpSync(join(root, 'examples'), project, { recursive: true });
writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'example', type: 'module' }));

const examples = suite('examples');
let shop: Server;
let target = '';
const asked: string[] = [];
const tested = new Set<string>();

examples.before(async () => {
  shop = createServer(({ url = '', headers }, response) => {
    asked.push(`${url} for ${headers['x-forwarded-host']}`);
    response.end(`shop ${url}`);
  });
  await new Promise<void>((resolve) => shop.listen(0, '127.0.0.1', resolve));
  target = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
});
examples.before.each(() => void asked.splice(0));
examples.after.each(cleanUp);
examples.after(() => {
  shop.close();
  shop.closeAllConnections();
});

/** Starts an example as the comment at its top says, and waits until it answers. @returns its address */
async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const port = await freePort();
  tested.add(args.find((arg) => /\.\w+$/.test(arg)) ?? '');
  const ports = { PORT: `${port}`, NODE_OPTIONS: '', DENO_DIR: join(project, 'deno') };
  const running = start(args, { program, cwd: project, env: { ...ports, ...env } });
  await answers(running, `http://127.0.0.1:${port}`);
  return `http://127.0.0.1:${port}`;
}

async function answers(running: Program, url: string): Promise<void> {
  let state = 'waiting';
  const look = async () => {
    while (state === 'waiting') {
      const response = await fetch(url).catch(() => undefined);
      if (response !== undefined) state = 'answered';
      else if (running.hasEnded()) state = 'ended';
      else await sleep(20);
    }
  };
  void look();
  await until(() => state !== 'waiting', `an answer of ${url}; it said: ${running.err()}`, 20_000);
  assert.is(state, 'answered', running.out() + running.err());
}

const get = (url: string) => within(fetch(url, { redirect: 'manual' }), `an answer of ${url}`, 10_000);
const text = async (url: string) => (await get(url)).text();

examples('a Worker', async () => {
  tested.add('worker.mjs');
  const bundled = join(project, 'worker.bundle.mjs');
  await build({
    ...{ entryPoints: [join(project, 'worker.mjs')], outfile: bundled, absWorkingDir: project, bundle: true },
    ...{ format: 'esm', platform: 'neutral', mainFields: ['module', 'main'], conditions: ['workerd', 'import'] },
    ...{ target: 'es2022', logLevel: 'error' },
  });
  const port = await freePort();
  const config = writeWorkerd(bundled, project, { bindings: { SHOP: target }, port });
  const running = start(['serve', config], { program: programs.workerd, cwd: project });
  const url = `http://127.0.0.1:${port}`;
  await answers(running, url);
  assert.is(await text(`${url}/a?b`), 'shop /a?b');
  const who = JSON.parse(await text(`${url}/who`));
  assert.is(who.url, `${url}/who`);
});

examples('a Deno server', async () => {
  const args = ['run', '--no-remote', '--node-modules-dir=manual', '-NE', 'deno.ts'];
  const url = await run(programs.deno, args, { SHOP: `http://127.0.0.1:1,${target}` });
  for (let i = 0; i < 6; i++) assert.is(await text(`${url}/${i}`), `shop /${i}`, 'the dead one is not noticed');
});

examples('a Bun server', async () => {
  const url = await run(programs.bun, ['bun.ts'], { SHOP: target });
  assert.is(await text(`${url}/a`), 'shop /a');
  assert.is((await get(`${url}/old`)).headers.get('location'), '/new');
  const response = await get(`${url}/api/items`);
  assert.is(response.headers.get('access-control-allow-origin'), '*');
  assert.is(await response.text(), 'shop /items');
});

examples('a Hono app that mounts the proxy', async () => {
  const url = await run(process.execPath, ['hono.mjs'], { LEGACY: target });
  assert.is(await text(`${url}/new`), 'answered here\n');
  assert.is(await text(`${url}/old`), 'shop /old');
  assert.is(asked.at(-1), `/old for ${new URL(url).host}`);
  assert.is(JSON.parse(await text(`${url}/stats`)).routes['*'].requests, 2, 'the first one asked whether it listens');
});

examples('the edge in a Node program', async () => {
  const url = await run(process.execPath, ['edge.mjs'], { SHOP: target });
  assert.is(await text(`${url}/a`), 'shop /a');
});

examples('a test without a network', () => {
  tested.add('routes.test.mjs');
  runChecked(process.execPath, ['--test', 'routes.test.mjs'], project);
});

examples('there is a test for each', () => {
  assert.equal([...tested].sort(), readdirSync(join(root, 'examples')).sort());
});

examples.run();
