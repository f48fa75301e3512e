import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '../..');
const source = join(root, 'src/index.ts');
const built = join(root, 'dist/package/index.js');

/** The built package in place of its sources, as far as there is one: what is tested is what is shipped. */
const shipped: Plugin = {
  name: 'the built package',
  setup({ onResolve }) {
    onResolve({ filter: /\/src\/index\.ts$/ }, () => ({ path: existsSync(built) ? built : source }));
  },
};

/**
 * Bundles the server of a runtime, with hono in it: neither of the runtimes looks for packages.
 * @param token part of the paths by which the server is told what to do
 * @returns the file, in `dir`
 */
export async function bundleServer(name: string, token: string, dir: string): Promise<string> {
  const outfile = join(dir, 'server.mjs');
  await build({
    absWorkingDir: root,
    entryPoints: [join(import.meta.dirname, `servers/${name}.ts`)],
    outfile,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    platform: name === 'node' ? 'node' : 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    external: ['node:*', 'cloudflare:*'],
    define: { CONTRACT_TOKEN: JSON.stringify(token) },
    plugins: [shipped],
    logLevel: 'error',
  });
  return outfile;
}
