import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Load, measure } from './load.ts';
import { LOAD_CORE, start, tree } from './process.ts';
import type { Contender } from './proxy.ts';
import { sleep } from './stats.ts';
import type { Upstream } from './upstream.ts';

/** Requests over HTTP/2 that are traced: small ones, and large ones. */
const [TRACED, TRACED_LARGE] = [10_000, 500];

/** Calls of one kind for each request, and the share of them that failed (EAGAIN, mostly). */
export interface Syscall {
  readonly name: string;
  readonly perRequest: number;
  readonly failed: number;
}

/** Counts the proxy's system calls under load with strace; calls rarer than one in 1,000 requests are left out. */
export async function countSyscalls(proxy: Contender, what: Load, upstream: Upstream, dir: string): Promise<Syscall[]> {
  const file = join(dir, 'strace.txt');
  const pids = tree(proxy.program.pid).flatMap((pid) => ['-p', `${pid}`]);
  const strace = start(['strace', '-c', '-f', '-q', '-o', file, ...pids], LOAD_CORE);
  await sleep(500);
  // With a time set, h2load never ends where the handshakes take longer than that, as they do under strace.
  const few = Math.max(what.answerBytes, what.uploadBytes) > 2048 ? TRACED_LARGE : TRACED;
  const { requests } = await measure(proxy, { ...what, requests: few }, upstream, 2, dir);
  process.kill(strace.pid, 'SIGINT');
  for (let i = 0; i < 100 && !strace.hasEnded(); i++) await sleep(20);
  await strace.stop();
  const calls: Syscall[] = [];
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, count, errors, name] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s*(\w+)$/.exec(line) ?? [];
    if (!name || name === 'total' || Number(count) / requests < 0.001) continue;
    calls.push({ name, perRequest: Number(count) / requests, failed: Number(errors ?? 0) / Number(count) });
  }
  return calls.sort((a, b) => b.perRequest - a.perRequest);
}
