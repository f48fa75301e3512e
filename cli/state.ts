import { accessSync, constants, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CliError, usageError } from './failure.ts';

/** The longest path that a unix socket's address holds, bytes. */
const maxSocketPath = 107;

/**
 * Where a server keeps its state: the flag or variable that was given, else `$XDG_STATE_HOME/oo`, else `~/.local/state/oo`.
 * @param given `--state-dir`, OO_STATE_DIR or OB_FOLDER (commonSettings.stateDir)
 * @returns an absolute path
 * @throws CliError, exit code 2, if there is nothing to go by
 */
export function resolveStateDir(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  if (given) return resolve(given);
  // The XDG specification: a path that is not absolute is to be ignored.
  if (environment.XDG_STATE_HOME?.startsWith('/')) return join(environment.XDG_STATE_HOME, 'oo');
  const home = environment.HOME || homeOf();
  if (home) return resolve(home, '.local/state/oo');
  throw usageError('There is no state directory: HOME is not set.', 'Name one with --state-dir DIR or OO_STATE_DIR.');
}

function homeOf(): string | undefined {
  try {
    const home = homedir();
    return home === '/' || home === '/nonexistent' ? undefined : home;
  } catch {
    return undefined;
  }
}

/**
 * Makes the state directory (mode 0700) if it is missing, and looks whether it can be written to.
 * @throws CliError
 */
export function makeStateDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unusable(dir, cause as NodeJS.ErrnoException);
  }
}

function unusable(dir: string, cause: NodeJS.ErrnoException): CliError {
  const whys: Record<string, string> = {
    EACCES: 'this user has no right to it',
    EPERM: 'this user has no right to it',
    EROFS: 'the file system is read-only',
    EEXIST: 'it is a file',
    ENOTDIR: 'a part of its path is a file',
    ENOSPC: 'the disk is full',
  };
  const why = whys[cause.code ?? ''] ?? cause.message;
  const hint = 'Name another with --state-dir DIR or OO_STATE_DIR, or mend its owner and mode.';
  return new CliError(`The state directory ${dir} can't be used: ${why}.`, { hint, cause });
}

/** The database file that a server has unless `--db` names another. */
export function databasePath(dir: string): string {
  return join(dir, 'oo.db');
}

/** The lock that one server, or one `--offline` command, holds on the state directory (db/lock.ts). */
export function lockPath(dir: string): string {
  return join(dir, 'oo.lock');
}

/** Whether a process holds the state directory's lock, by its note (db/lock.ts): a server that has no socket is about to have one, or is ending. */
export function isStarting(dir: string): boolean {
  try {
    process.kill(Number(readFileSync(`${lockPath(dir)}.pid`, 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const opened = new Map<string, string>();

/**
 * The path by which to listen on or connect to the server's socket, `oo.sock` in the state directory. Where that is longer
 * than a socket's address can be, the same file by way of `/proc/self/fd` (Linux): the directory then stays open.
 * @throws CliError where neither will do; ENOENT errors of the directory as CliError too
 */
export function socketPath(dir: string): string {
  const path = join(dir, 'oo.sock');
  if (Buffer.byteLength(path) <= maxSocketPath) return path;
  const known = opened.get(dir);
  if (known) return known;
  if (process.platform !== 'linux') {
    throw usageError(
      `The state directory's path is too long for a socket: ${dir}`,
      'Name a shorter one with --state-dir.',
    );
  }
  try {
    const short = `/proc/self/fd/${openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY)}/oo.sock`;
    opened.set(dir, short);
    return short;
  } catch (cause) {
    throw unusable(dir, cause as NodeJS.ErrnoException);
  }
}

/**
 * Where the main process answers the service port's built-in paths: a socket in the state directory, or, where that path is too long for one, in a
 * directory of its own among the system's temporary files.
 */
export function builtInSocketPath(dir: string): string {
  const path = join(dir, 'built-in.sock');
  return Buffer.byteLength(path) <= maxSocketPath ? path : join(mkdtempSync(join(tmpdir(), 'oo-')), 'built-in.sock');
}

/** Takes away the socket that a killed server left. Only for who holds the lock. Returns where to listen. */
export function clearSocket(dir: string): string {
  rmSync(join(dir, 'oo.sock'), { force: true });
  return socketPath(dir);
}
