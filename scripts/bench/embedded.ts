import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { type Load, load, measure, type Round } from './load.ts';
import { freePort, listens, PROXY_CORE, start, versionOf } from './process.ts';
import { type Contender, LOAD_HOST } from './proxy.ts';
import { type Measured, measuredSection } from './report.ts';
import type { Upstream } from './upstream.ts';

/** How a program passes requests on: the word that its server takes, and its name in the table. */
const WAYS = {
  bare: 'a bare fetch',
  hono: 'hono/proxy',
  oo: 'createProxy',
  mounted: 'createProxy in a Hono app',
} as const;

const root = resolve(import.meta.dirname, '../..');
const npm = join(root, 'test/runtimes/node_modules');

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
}

/** Those that are installed: Node always, the others by `npm test`. */
function runtimes(): Runtime[] {
  const all: Runtime[] = [
    { name: 'Node', command: [process.execPath] },
    { name: 'Bun', command: [join(npm, '@oven/bun-linux-x64/bin/bun')] },
    { name: 'Deno', command: [join(npm, '@deno/linux-x64-glibc/deno'), 'run', '--allow-all', '--quiet'] },
  ];
  return all.filter(({ command }) => existsSync(command[0]));
}

/**
 * What the embedded handler costs, on each runtime, beside a bare `fetch` and `hono/proxy` in the same server.
 * @param takeTurns as in bench.ts
 * @returns the report's sections, one a runtime
 */
export async function measureEmbedded(
  upstream: Upstream,
  dir: string,
  takeTurns: (
    what: Load,
    proxies: readonly Contender[],
    once: (proxy: Contender, seconds: number) => Promise<Round>,
  ) => Promise<Map<string, Round[]>>,
): Promise<string> {
  const program = join(dir, 'embedded.mjs');
  await build({
    ...{ entryPoints: [join(import.meta.dirname, 'embedded/server.ts')], outfile: program, absWorkingDir: root },
    ...{ bundle: true, format: 'esm', platform: 'node', target: 'es2022', minify: true, logLevel: 'error' },
  });
  const all: Measured[] = [];
  for (const { name, command } of runtimes()) {
    const version = versionOf([command[0], '--version']) ?? '';
    const contenders: Contender[] = [];
    for (const [way, title] of Object.entries(WAYS)) {
      const port = await freePort();
      const started = start([...command, program, `${port}`, `${upstream.port}`, way], PROXY_CORE);
      await listens(started, port);
      contenders.push({ name: title, version, port, tlsPort: 0, program: started, threadsEnd: name !== 'Node' });
    }
    const what = load('embedded', `Embedded in ${name} (${version}): small GET`, { host: LOAD_HOST });
    const rounds = await takeTurns(what, contenders, (proxy, s) => measure(proxy, what, upstream, s, dir));
    for (const contender of contenders) await contender.program.stop();
    all.push({ what, base: WAYS.bare, rounds });
  }
  return all.map(measuredSection).join('\n');
}
