// time limit: 60 s
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { defaultEdgeSettings } from '../../src/edge/settings.ts';
import { readSettings } from '../../src/embed/settings.ts';
import { startChild } from '../helpers/child.ts';
import { temporary } from '../helpers/temporary.ts';
import { until, within } from '../helpers/wait.ts';
import { get } from './kit.ts';

const page = suite('docs/embed.md');
const text = readFileSync('docs/embed.md', 'utf8');
const here = pathToFileURL('src/node.ts').href;

page('its example runs, serves, and ends at SIGTERM', async () => {
  const storage = join(temporary(), 'certificates');
  const [, source] = /```js\n(import [\s\S]*?)```/.exec(text)!;
  const file = join(temporary(), 'example.mjs');
  writeFileSync(file, source.replace('@oo/proxy/node', here).replace("'./certificates'", JSON.stringify(storage)));
  const child = startChild(file, []);
  await until(() => child.lines().length > 0, 'its first line', 20_000);
  const [, https, http] = /https:\/\/app\.localhost:(\d+)\/, and http:\/\/app\.localhost:(\d+)\//.exec(
    child.lines()[0],
  )!;
  const { status, headers } = await get({ port: Number(http), headers: { host: `app.localhost:${http}` } });
  assert.equal([status, headers.location], [301, `https://app.localhost:${https}/`]);
  // The root as it is kept.
  const root = join(storage, 'certificates%2Flocal_ca');
  await until(() => existsSync(root), 'the local CA', 20_000);
  const { chain } = JSON.parse(readFileSync(root, 'utf8'));
  const secure = { port: Number(https), ca: chain, servername: 'app.localhost', headers: { host: 'app.localhost' } };
  assert.is((await get(secure)).text, 'hello\n');
  child.process.kill('SIGTERM');
  assert.is(await within(child.ended, 'the end', 20_000), 0);
});

page('names every limit with its default', () => {
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const shown = rows.join('\n').replaceAll(',', '');
  for (const [name, value] of Object.entries(defaultEdgeSettings)) {
    try {
      readSettings({ routes: [], [name]: value });
    } catch {
      continue;
    }
    if (typeof value !== 'number') continue;
    const told = new RegExp(`\`${name}\` ([\\d]+(?: KiB| h)?)`).exec(shown)?.[1];
    const units: Record<string, number> = { KiB: 1024, h: 3_600_000 };
    const [number, unit = ''] = told?.split(' ') ?? [];
    assert.is(Number(number) * (units[unit] ?? 1), value, name);
  }
});

page('a Node that is too old says what it needs, in place of an error of its loader', () => {
  const old = '/usr/bin/node';
  const version = existsSync(old) ? execFileSync(old, ['-p', 'process.versions.node'], { encoding: 'utf8' }) : '99';
  if (Number(version.split('.')[0]) >= 22) return;
  const outfile = join(temporary(), 'edge.mjs');
  buildSync({
    ...{ entryPoints: ['src/node.ts'], outfile, bundle: true, platform: 'node', format: 'esm', packages: 'external' },
    footer: { js: 'createEdge({ routes: [] });' },
  });
  const { stderr } = spawnSync(old, [outfile], { encoding: 'utf8', timeout: 20_000 });
  assert.match(stderr, `createEdge needs Node 22 or newer, and this is Node ${version.trim()}`);
});

page.run();
