import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';

/** The machine, as `oo doctor` sees it: replaced by tests. */
export interface DoctorHost {
  /** Whether something can listen there: undefined, or the system's code such as EADDRINUSE. */
  bind(port: number, host: string | undefined): Promise<string | undefined>;
  /** Of a directory; undefined: there is none. */
  directory(path: string): { readonly mode: number; readonly writable: boolean } | undefined;
  /** Most open files of this user's processes; undefined: not known. */
  openFiles(): number | undefined;
  /** How far this clock is ahead of a server's, ms; undefined: nobody could be asked. */
  clockAhead(url: string): Promise<number | undefined>;
  readonly executable: string;
}

/** Nobody is waited for longer, ms. */
const patienceMs = 5_000;

/** This machine. */
export function thisMachine(): DoctorHost {
  return { bind, directory, openFiles, clockAhead, executable: process.execPath };
}

function bind(port: number, host: string | undefined): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function directory(path: string) {
  if (!existsSync(path)) return undefined;
  const { mode } = statSync(path);
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return { mode: mode & 0o777, writable: true };
  } catch {
    return { mode: mode & 0o777, writable: false };
  }
}

function openFiles(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}

/** By the Date of an answer, whole seconds: half of the way there and back is not counted. */
function clockAhead(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const begun = Date.now();
    const outgoing = request(url, { method: 'HEAD', timeout: patienceMs, agent: false }, (response) => {
      response.resume();
      const date = Date.parse(response.headers.date ?? '');
      const middle = (begun + Date.now()) / 2;
      resolve(Number.isNaN(date) ? undefined : Math.round(middle - date - 500));
    });
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => resolve(undefined));
    outgoing.end();
  });
}
