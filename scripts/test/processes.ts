import { readdirSync, readFileSync } from 'node:fs';

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/**
 * Lists the living processes that a test file started: those in its process group, and those elsewhere (detached,
 * in groups of their own) that inherited the variable.
 * @param group process group id
 * @param variable `NAME=value` as it stands in their environment
 */
export function processesOf(group: number, variable: string): Leftover[] {
  const found: Leftover[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      // "pid (command) state ppid pgrp …"; the command may hold spaces and brackets.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' || state === 'X') continue;
      if (Number(pgrp) !== group && !readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(variable))
        continue;
      found.push({ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() });
    } catch {
      // It has ended, or is another user's.
    }
  }
  return found;
}

/** Ends all of them at once, by id. */
export function killAll(processes: readonly Leftover[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}
