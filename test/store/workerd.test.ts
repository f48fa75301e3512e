import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openStore } from '../../src/store.ts';
import { startHrana } from '../helpers/hrana.ts';
import { closeOrigins, origin } from '../helpers/portable.ts';
import { temporary, until } from '../helpers/temporary.ts';
import { programs } from '../runtimes/runtime.ts';
import { writeWorkerd } from '../runtimes/workerd.ts';

const root = join(import.meta.dirname, '../..');
const token = 'a-token';

/** Bundles a Worker as its users' tools do. */
function bundle(entry: string, outfile: string) {
  return build({
    ...{ absWorkingDir: root, entryPoints: [entry], outfile, bundle: true, format: 'esm', metafile: true },
    ...{ platform: 'neutral', mainFields: ['module', 'main'], conditions: ['workerd', 'import'] },
    ...{ external: ['cloudflare:*', 'node:*'], logLevel: 'error' },
  });
}

/** Serves a bundled Worker. @returns its address */
async function serve(dir: string, url: string): Promise<{ address: string; stop: () => Promise<unknown> }> {
  const config = writeWorkerd(join(dir, 'worker.js'), dir, { bindings: { DB_URL: url, DB_TOKEN: token } });
  const child = spawn(programs.workerd, ['serve', '--control-fd=1', config], { stdio: ['ignore', 'pipe', 'pipe'] });
  process.on('exit', () => child.kill('SIGKILL'));
  const closed = new Promise((resolve) => child.on('close', resolve));
  let out = '';
  let err = '';
  child.stdout.on('data', (part) => {
    out += part;
  });
  child.stderr.on('data', (part) => {
    err += part;
  });
  const portOf = () => /"port":(\d+)/.exec(out)?.[1];
  await until(() => portOf() !== undefined || child.exitCode !== null, 30_000);
  assert.ok(portOf(), err);
  const stop = () => {
    child.kill('SIGKILL');
    return closed;
  };
  return { address: `http://127.0.0.1:${portOf()}`, stop };
}

async function textOf(address: string, path: string): Promise<[number, string]> {
  const response = await fetch(address + path, { signal: AbortSignal.timeout(20_000) });
  return [response.status, await response.text()];
}

const workers = suite('store: on Workers');

workers('nothing of Node, and no native code, is in what a Worker gets', async () => {
  const { metafile } = await bundle(join(root, 'src/store-web.ts'), join(temporary(), 'store.js'));
  const [output] = Object.values(metafile.outputs);
  assert.equal(output.imports, []);
  const inputs = Object.keys(metafile.inputs);
  assert.equal(
    inputs.filter((path) => /node_modules\/(libsql|ws|@neon-rs|detect-libc)\/|sqlite3\.js$/.test(path)),
    [],
  );
  assert.ok(inputs.includes('db/remote.ts'));
});

workers('a Worker serves the routes of the database, and those that come later', async () => {
  const dir = temporary();
  const [one, two] = [await origin(), await origin()];
  const server = await startHrana(join(dir, 'shared.db'), token);
  const writer = await openStore({ url: server.url, authToken: token });
  await bundle(join(import.meta.dirname, 'programs/worker.mjs'), join(dir, 'worker.js'));
  const { address, stop } = await serve(dir, server.url);

  server.mood('refuse');
  assert.equal(await textOf(address, '/'), [500, 'OO_STORE_UNREACHABLE']);
  server.mood('lose');
  assert.equal(await textOf(address, '/'), [500, 'OO_STORE_UNREACHABLE']);
  server.mood('answer');
  assert.is((await textOf(address, '/'))[0], 404, 'no route yet');
  await writer.save([{ id: '*', target: `http://${one.address}` }]);
  await until(async () => (await textOf(address, '/x'))[0] === 200);
  assert.is(one.got.at(-1)?.url, '/x');
  await writer.save([{ id: '*', target: `http://${two.address}` }]);
  await until(async () => (await textOf(address, '/y'))[0] === 200 && two.got.length > 0);
  server.mood('refuse');
  assert.is((await textOf(address, '/z'))[0], 200, 'while the database is away, the routes stay');
  server.mood('answer');

  assert.match((await textOf(address, '/watch'))[1], /TypeError: watch has no timer on Workers.* use pull/);
  assert.equal(await textOf(address, '/file'), [200, 'OO_STORE_UNOPENABLE']);
  const saved = { revision: 3, created: ['saved.test'], updated: [], unchanged: [] };
  assert.equal(JSON.parse((await textOf(address, '/save'))[1]), [saved, 'from a Worker']);
  assert.is((await writer.routes()).length, 2);
  await stop();
  writer.close();
  await server.close();
});

workers.after(closeOrigins);
workers.run();
