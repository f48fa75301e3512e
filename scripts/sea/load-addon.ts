/**
 * Stands in for `@neon-rs/load` inside the executable (scripts/sea/bundle.ts aliases it): hands libsql its native
 * addon out of the executable's assets.
 *
 * dlopen needs a file on a mount that allows execution, so the addon is written to the first place that works:
 * the temporary directory, /dev/shm, the state directory ($OO_STATE_DIR), the user's runtime directory and home.
 * The file has no name (O_TMPFILE) wherever the file system can do that: nothing is left behind by any kind of exit.
 */
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset } from 'node:sea';
import { ADDON_ASSET } from './addon-asset.ts';

// Node does not export O_TMPFILE. This is Linux's __O_TMPFILE, the same on x64 and arm64; O_DIRECTORY differs.
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** What libsql calls; the directory that it passes is not used. */
export function load(): unknown {
  return loadBytes(new Uint8Array(getRawAsset(ADDON_ASSET)));
}

/**
 * Loads an addon from its bytes.
 * @throws Error that lists every place tried and why it failed
 */
export function loadBytes(bytes: Uint8Array): unknown {
  const failures: string[] = [];
  for (const directory of directories()) {
    for (const write of [writeUnnamed, writeNamed]) {
      try {
        return write(directory, bytes);
      } catch (error) {
        failures.push(`${directory}: ${(error as Error).message}`);
      }
    }
  }
  throw new Error(
    `cannot load the database library: no directory allows a program file.\n  ${failures.join('\n  ')}\n` +
      'Set TMPDIR to a directory that is writable and not mounted noexec.',
  );
}

/** Only asked for outside LIBSQL_JS_DEV mode; kept because libsql imports it. */
export function currentTarget(): string {
  return `${process.platform}-${process.arch}-gnu`;
}

function directories(): Set<string> {
  const { OO_STATE_DIR, XDG_RUNTIME_DIR } = process.env;
  return new Set([tmpdir(), '/tmp', '/dev/shm', OO_STATE_DIR, XDG_RUNTIME_DIR, home()].filter((d) => d !== undefined));
}

function home(): string | undefined {
  try {
    return homedir();
  } catch {
    // No HOME, and a user id that the system's user list does not know.
    return undefined;
  }
}

function writeUnnamed(directory: string, bytes: Uint8Array): unknown {
  return writeAndOpen(directory, O_TMPFILE | constants.O_RDWR, bytes, (fd) => `/proc/self/fd/${fd}`);
}

/** For file systems without O_TMPFILE (some overlays) and for roots without /proc. */
function writeNamed(directory: string, bytes: Uint8Array): unknown {
  // O_EXCL refuses a name that somebody else put there. (node:crypto for a random one would cost 7 ms of start-up.)
  const path = join(directory, `.oo-${process.pid}-${process.hrtime.bigint()}.node`);
  try {
    return writeAndOpen(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, bytes, () => path);
  } finally {
    // Mapped pages outlive the name.
    try {
      unlinkSync(path);
    } catch {
      // It was never made.
    }
  }
}

function writeAndOpen(path: string, flags: number, bytes: Uint8Array, name: (fd: number) => string): unknown {
  const fd = openSync(path, flags, 0o700);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    const module = { exports: {} };
    process.dlopen(module, name(fd));
    return module.exports;
  } finally {
    closeSync(fd);
  }
}
