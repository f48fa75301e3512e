import { readFileSync } from 'node:fs';

/** Resident memory of the processes together, bytes; pages that they share are counted once for each. */
export function residentBytes(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    try {
      kib += Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    } catch {
      // It has ended.
    }
  }
  return kib * 1024;
}

export interface MemoryWatch {
  readonly before: number;
  /** @returns the most there was at once, bytes */
  stop(): number;
}

/** Looks at the processes' memory every 20 ms. */
export function watchMemory(pids: () => readonly number[]): MemoryWatch {
  const before = residentBytes(pids());
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(pids()));
  }, 20);
  return {
    before,
    stop() {
      clearInterval(timer);
      return Math.max(peak, residentBytes(pids()));
    },
  };
}

export function showMiB(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
