import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { entries, readManifest } from './entries.ts';

/**
 * What a bundler shall be able to leave out as a whole gets chunks of its own: within one file, it keeps whatever it can't prove
 * to be without effect. Each by the name of a file that is thrown away.
 */
const apart = { 'apart/proxy': 'src/proxy/proxy.ts', 'apart/options': 'src/proxy/route-options.ts' };

/** An import for what a module does, which ours do not, so a bundler would warn of it. esbuild writes them to keep the order. */
const BARE_IMPORT = /^import "\.[^"\n]*";\n/gm;

/**
 * Makes one file an entry, and chunks of what entries share or load later. Not minified, so that a stack trace can be
 * read; who deploys it bundles it anyway. What package.json names stays an import, other packages go in.
 * @param out an empty directory
 * @returns the files that went into it, from root
 * @throws esbuild's BuildFailure, which esbuild has already printed
 */
export async function makeCode(root: string, out: string): Promise<string[]> {
  const manifest = readManifest(root);
  const { dependencies, peerDependencies } = manifest;
  const packages = Object.keys({ ...dependencies, ...peerDependencies });
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { ...entries(manifest), ...apart },
    outdir: relative(root, out),
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    // Nothing is taken for granted of the runtime: src/index.ts must run in all of them.
    platform: 'neutral',
    external: ['node:*', ...packages.flatMap((name) => [name, `${name}/*`])],
    target: 'es2022',
    // notices.ts has them all in one file.
    legalComments: 'none',
    write: false,
    metafile: true,
    logLevel: 'warning',
  });
  for (const { path, text } of outputFiles) {
    if (path.startsWith(join(out, 'apart'))) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text.replaceAll(BARE_IMPORT, ''));
  }
  return Object.keys(metafile.inputs);
}
