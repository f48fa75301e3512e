import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

export interface Bundle {
  /** The one CommonJS file that the executable runs. */
  readonly code: string;
  /** Source map of `code`; to read minified stack traces, not shipped. */
  readonly map: string;
  /** esbuild's metafile as JSON: what is in the bundle and how large. */
  readonly meta: string;
  readonly version: string;
}

/**
 * Bundles an entry with all its packages for the single executable.
 * CommonJS, because that is all Node 24's executables run: no top-level await. A dynamic `import()` stays lazy:
 * the module's body runs at the first call.
 * @throws esbuild's BuildFailure, which esbuild has already printed
 */
export async function bundle(root: string, entry: string): Promise<Bundle> {
  const version = buildVersion(root);
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: join(root, 'dist/oo.cjs'),
    write: false,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    // Keeps positions in minified stack traces readable.
    lineLimit: 200,
    sourcemap: 'external',
    metafile: true,
    logLevel: 'warning',
    // import() of a builtin does not work in an executable with a code cache; require does.
    supported: { 'dynamic-import': false },
    alias: { '@neon-rs/load': join(root, 'scripts/sea/load-addon.ts') },
    define: {
      // Makes libsql take its addon from @neon-rs/load instead of a computed package name.
      'process.env.LIBSQL_JS_DEV': '"1"',
      // In the executable these are its own path: enough for createRequire, and nothing else lies beside it.
      'import.meta.url': '__filename',
      'import.meta.filename': '__filename',
      'import.meta.dirname': '__dirname',
      OO_BUILD_VERSION: JSON.stringify(version),
    },
  });
  const text = (end: string) => result.outputFiles.find((file) => file.path.endsWith(end))!.text;
  return { code: text('.cjs'), map: text('.map'), meta: JSON.stringify(result.metafile), version };
}

/** `0.1.0 (abc1234)`, `0.1.0 (abc1234, changed)` for a work tree with changes, `0.1.0` outside a git clone. */
export function buildVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const commit = git(root, 'rev-parse', '--short=7', 'HEAD');
  if (!commit) return version;
  return `${version} (${commit}${git(root, 'status', '--porcelain', '--untracked-files=no') ? ', changed' : ''})`;
}

function git(root: string, ...args: string[]): string {
  const run = spawnSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return run.status === 0 ? run.stdout.trim() : '';
}
