import { openSync, writeSync } from 'node:fs';

/** What may wait for a reader of standard output or error that is slow or stands still, bytes; past it lines are left out. */
const maxWaitingBytes = 4 * 1024 * 1024;
const flushMs = 250;
const flushLines = 512;

/** Writes a line to standard error, with the time. */
export function logError(line: string): void {
  if (process.stderr.writableLength > maxWaitingBytes) return;
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}

/**
 * Opens the access log. Lines are gathered and written a few times a second, and at the process's end.
 * @param where 'off', '-' for standard output, or a file that is appended to, which processes may share
 * @returns takes one line, without its end; null for 'off'
 */
export function openAccessLog(where: string): ((line: string) => void) | null {
  if (where === 'off') return null;
  const write = where === '-' ? standardOutput() : file(where);
  let lines: string[] = [];
  const flush = () => {
    if (lines.length > 0) write(`${lines.join('\n')}\n`, lines.length);
    lines = [];
  };
  setInterval(flush, flushMs).unref();
  process.on('exit', flush);
  return (line) => {
    if (lines.push(line) >= flushLines) flush();
  };
}

type Write = (text: string, lines: number) => void;

function standardOutput(): Write {
  let leftOut = 0;
  return (text, lines) => {
    if (process.stdout.writableLength > maxWaitingBytes) {
      leftOut += lines;
      return;
    }
    if (leftOut > 0) logError(`access log: ${leftOut} lines are left out: standard output was not read`);
    leftOut = 0;
    process.stdout.write(text);
  };
}

/** In one synchronous write, which the lines of other processes don't come into, and which the process's end can wait for. */
function file(path: string): Write {
  let fd: number | undefined;
  let failing = false;
  return (text) => {
    try {
      fd ??= openSync(path, 'a');
      writeSync(fd, text);
      failing = false;
    } catch (error) {
      if (!failing) logError(`access log ${path}: ${(error as Error).message}`);
      failing = true;
    }
  };
}
