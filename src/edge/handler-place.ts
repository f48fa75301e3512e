import { createHash, randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HandlerSettings } from './settings.ts';

/** A socket's address has room for 107 bytes; the longest name in the directory takes 37. */
const maxDirectoryBytes = 107 - 40;

/** The directory in the state directory that all those of one start of oo are in. */
export const handlersDirectory = 'handlers';

/**
 * Where handlers listen that one start of oo runs, and the name of the field by which they and its workers know each other. Nothing is made there yet.
 * @param stateDir where its path is too long for sockets, it is one of the system's temporary files, with a name that nobody can guess
 */
export function handlerSettings(stateDir: string): HandlerSettings {
  const directory = join(stateDir, handlersDirectory, randomBytes(4).toString('hex'));
  const isShort = Buffer.byteLength(directory) <= maxDirectoryBytes;
  return {
    directory: isShort ? directory : join(tmpdir(), `oo-${randomBytes(8).toString('hex')}`),
    field: `x-oo-${randomBytes(16).toString('hex')}`,
  };
}

/** What tells one version of one route's handler from all others. */
export function handlerKey(routeId: string, version: string): string {
  return createHash('sha256').update(`${version} ${routeId}`).digest('hex').slice(0, 24);
}

/** Where the handler of that key listens. */
export function handlerSocket(directory: string, key: string): string {
  return join(directory, `${key}.sock`);
}
