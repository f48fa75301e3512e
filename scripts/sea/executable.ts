import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ADDON_ASSET } from './addon-asset.ts';

/** What an executable is made of. */
export interface Parts {
  /** The bundle, CommonJS. */
  readonly code: string;
  /** Path of the Node binary that becomes the executable. */
  readonly node: string;
  /** Path of libsql's native addon. */
  readonly addon: string;
}

const RESOURCE = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
/** Blobs are padded with zeros to a multiple of this, so that one template fits most builds. */
const PAD_BYTES = 2 * 1024 * 1024;
const TEMPLATE = 'template-';

/** How the blob is made; part of what decides whether a build is up to date. */
export const SEA_OPTIONS = {
  disableExperimentalSEAWarning: true,
  useCodeCache: true,
  // NODE_OPTIONS in somebody's shell is meant for their own programs; `--require` of a tracer would end oo. What handlers may use is said by --node-options.
  execArgvExtension: 'cli',
};

/**
 * Makes the executable.
 *
 * Injecting a resource rewrites the whole of Node's ELF file, which takes seconds. So that is done once for a blob of
 * zeros with a marker, and the result is kept in `cache` as a template; a build copies it and overwrites the marker.
 * @param out the executable's path; replaced in one step, so one that runs goes on running
 * @param work an empty directory on the same file system as `out`
 * @param cache where the template is kept
 */
export function makeExecutable(root: string, parts: Parts, out: string, work: string, cache: string): void {
  const blob = makeBlob(parts, work);
  const size = Math.ceil(blob.length / PAD_BYTES) * PAD_BYTES;
  const marker = createHash('sha256')
    .update(`${fileStamp(parts.node)} ${size}`)
    .digest();
  const template = join(cache, TEMPLATE + marker.toString('hex').slice(0, 16));
  if (!existsSync(template)) makeTemplate(root, parts.node, marker, size, template, work);
  const bytes = readFileSync(template);
  const at = bytes.indexOf(marker);
  if (at < 0 || bytes.indexOf(marker, at + 1) >= 0)
    throw new Error(`${template} is damaged: remove it and build again`);
  bytes.fill(0, at, at + marker.length);
  blob.copy(bytes, at);
  const made = join(work, basename(out));
  writeFileSync(made, bytes, { mode: 0o755 });
  renameSync(made, out);
}

/** Changes when the file does. */
export function fileStamp(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${path} ${size} ${mtimeMs}`;
}

/** The blob must be made by the very Node that will run it: the code cache is tied to its version. */
function makeBlob(parts: Parts, work: string): Buffer {
  const main = join(work, 'oo.cjs');
  const output = join(work, 'oo.blob');
  const config = join(work, 'sea.json');
  writeFileSync(main, parts.code);
  writeFileSync(config, JSON.stringify({ ...SEA_OPTIONS, main, output, assets: { [ADDON_ASSET]: parts.addon } }));
  run(parts.node, ['--experimental-sea-config', config]);
  return readFileSync(output);
}

function makeTemplate(root: string, node: string, marker: Buffer, size: number, template: string, work: string): void {
  const made = join(work, 'template');
  const blank = join(work, 'blank');
  copyFileSync(node, made);
  // Symbols and debug tables: 18 MB. Without binutils the executable is larger and otherwise the same.
  if (spawnSync('strip', [made], { stdio: 'ignore' }).status !== 0) {
    copyFileSync(node, made);
    console.error('build: strip (binutils) is not installed, so the executable is 18 MB larger');
  }
  writeFileSync(blank, Buffer.concat([marker, Buffer.alloc(size - marker.length)]));
  const postject = join(root, 'node_modules/postject/dist/cli.js');
  run(node, [postject, made, RESOURCE, blank, '--sentinel-fuse', FUSE]);
  const cache = dirname(template);
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) if (name.startsWith(TEMPLATE)) rmSync(join(cache, name), { force: true });
  renameSync(made, template);
}

function run(command: string, args: string[]): void {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`${command} ${args.join(' ')} failed (${status})\n${stdout}${stderr}`, { cause: error });
}
