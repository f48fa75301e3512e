import { relative } from 'node:path';
import { build } from 'esbuild';
import { entries } from './entries.ts';

/**
 * Makes one file an entry, and chunks of what entries share or load later. Not minified, so that a stack trace can be
 * read; who deploys it bundles it anyway. Packages stay imports.
 * @param out an empty directory
 * @throws esbuild's BuildFailure, which esbuild has already printed
 */
export async function makeCode(root: string, out: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: entries(root),
    outdir: relative(root, out),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    // Nothing is taken for granted of the runtime: src/index.ts must run in all of them.
    platform: 'neutral',
    packages: 'external',
    target: 'es2022',
    legalComments: 'none',
    logLevel: 'warning',
  });
}
