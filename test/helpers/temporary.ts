import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];

/** A new empty directory; removed when the process exits. */
export function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'oo-test-'));
  made.push(dir);
  return dir;
}

process.on('exit', () => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

/** Waits until something holds; fails loudly when it does not within `limitMs`. */
export async function until(holds: () => boolean | Promise<boolean>, limitMs = 5_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
