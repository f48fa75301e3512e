import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

export interface Size {
  /** Minified, bytes. */
  readonly minified: number;
  /** The same, as gzip -9 makes it. */
  readonly gzip: number;
  /** Modules that the bundle leaves to the runtime. */
  readonly external: readonly string[];
}

/** What is measured, and said in docs/package.md. */
export interface Limit {
  readonly names: string;
  readonly from: string;
  /** Packages that are not counted. */
  readonly without: readonly string[];
  /** It must stay below, gzip. */
  readonly gzipBytes?: number;
}

export const limits: readonly Limit[] = [
  { names: 'createProxy', from: '@oo/proxy', without: ['hono'], gzipBytes: 30_000 },
  { names: 'createProxy, routeOptions', from: '@oo/proxy', without: ['hono'] },
  { names: 'openStore', from: '@oo/proxy/store', without: ['@libsql/client'] },
];

/**
 * What a program that imports these names costs, once a bundler for browsers and Workers has dropped the rest.
 * @param from what is imported: the package's name where it is installed, or a path
 * @param directory where the program would be
 * @param external packages that are not counted
 * @throws esbuild's BuildFailure: something of the package cannot be had without Node, say
 */
export async function sizeOf(
  names: string,
  from: string,
  directory: string,
  external: readonly string[],
): Promise<Size> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: `export { ${names} } from ${JSON.stringify(from)};`, resolveDir: directory },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    // As wrangler has it.
    conditions: ['workerd', 'worker', 'browser'],
    target: 'es2022',
    minify: true,
    external: external.flatMap((name) => [name, `${name}/*`]),
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const [output] = Object.values(metafile.outputs);
  const externals = output.imports.filter((one) => one.external).map((one) => one.path);
  const code = outputFiles[0].contents;
  return { minified: code.length, gzip: gzipSync(code, { level: 9 }).length, external: [...new Set(externals)] };
}
