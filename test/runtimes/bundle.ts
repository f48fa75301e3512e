import { join } from 'node:path';
import { build } from 'esbuild';
import { makeCode } from '../../scripts/package/code.ts';

const root = join(import.meta.dirname, '../..');

/**
 * Bundles the server of a runtime with the package's code, made as it is shipped, and with hono: neither of the runtimes looks for packages.
 * @param token part of the paths by which the server is told what to do
 * @returns the file, in `dir`
 */
export async function bundleServer(name: string, token: string, dir: string): Promise<string> {
  const outfile = join(dir, 'server.mjs');
  const shipped = join(dir, 'package');
  await makeCode(root, shipped);
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
    nodePaths: [join(root, 'node_modules')],
    external: ['node:*', 'cloudflare:*'],
    define: { CONTRACT_TOKEN: JSON.stringify(token) },
    plugins: [
      {
        name: 'the package as it is shipped',
        setup: ({ onResolve }) =>
          void onResolve({ filter: /\/src\/index\.ts$/ }, () => ({ path: join(shipped, 'index.js') })),
      },
    ],
    logLevel: 'error',
  });
  return outfile;
}
