import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CliError } from './failure.ts';
import { printable } from './output.ts';

/**
 * Writes a file (mode 0600) that is there whole, on the disk, or not at all.
 * @param force one that is there is replaced
 * @param onBytes told how many there are so far
 * @returns their number
 * @throws CliError, or what `chunks` throws
 */
export async function writeBackup(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  force: boolean,
  onBytes: (bytes: number) => void,
): Promise<number> {
  refuseReplacement(path, force);
  const part = `${path}.${process.pid}.part`;
  let bytes = 0;
  let file: number;
  try {
    file = openSync(part, 'wx', 0o600);
  } catch (error) {
    throw unwritable(path, error);
  }
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) at += written(path, () => writeSync(file, chunk, at));
      bytes += chunk.length;
      onBytes(bytes);
    }
    written(path, () => fsyncSync(file));
    refuseReplacement(path, force);
    written(path, () => renameSync(part, path));
    syncDirectory(dirname(resolve(path)));
    return bytes;
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

function refuseReplacement(path: string, force: boolean): void {
  if (!existsSync(path)) return;
  const what = printable(path);
  if (statSync(path).isDirectory())
    throw new CliError(`${what} is a directory.`, { hint: 'Name a file, or - for standard output.', exitCode: 2 });
  if (!force) throw new CliError(`${what} is there already.`, { hint: 'Name another file, or replace it: --force.' });
}

function written<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, cause: unknown): CliError {
  const hint = 'Name a file in a directory that this user may write to.';
  return new CliError(`${printable(path)} can't be written: ${(cause as Error).message}.`, { hint, cause });
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
