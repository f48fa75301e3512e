import { createHash } from 'node:crypto';
import { sleep } from './wait.ts';

/** 100 MB of which no four bytes repeat nearby: what came is known by its hash. */
export const largeBytes = 100_000_000;
const partBytes = 500_000;
const part = Buffer.alloc(partBytes);
for (let at = 0; at < partBytes; at += 4) part.writeUInt32LE((at * 2_654_435_761) % 2 ** 32, at);

/** SHA-1 of the large body, hex. */
export function largeHash(): string {
  const hash = createHash('sha1');
  for (let sent = 0; sent < largeBytes; sent += partBytes) hash.update(part);
  return hash.digest('hex');
}

interface Writable {
  readonly destroyed: boolean;
  write(part: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Sends the large body at the pace of its reader. @param chunked each part as a chunk of HTTP/1.1, without the last one */
export async function sendLarge(to: Writable, chunked = false): Promise<void> {
  const framed = chunked
    ? Buffer.concat([Buffer.from(`${partBytes.toString(16)}\r\n`), part, Buffer.from('\r\n')])
    : part;
  for (let sent = 0; sent < largeBytes && !to.destroyed; sent += partBytes)
    if (!to.write(framed)) await new Promise<void>((resolve) => to.once('drain', () => resolve()));
}

/** Reads in bursts of so many bytes, and stops in between. */
export function readInBursts(from: NodeJS.ReadableStream, bytes: number, onChunk: (chunk: Buffer) => void): void {
  let since = 0;
  from.on('data', (chunk: Buffer) => {
    onChunk(chunk);
    since += chunk.length;
    if (since < bytes) return;
    since = 0;
    from.pause();
    setTimeout(() => from.resume(), 20);
  });
}

/** How much larger this process is at the most while `work` runs than before, in bytes. */
export async function growthOf(work: Promise<unknown>): Promise<number> {
  global.gc?.();
  const { rss } = process.memoryUsage();
  let most = rss;
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  while (!over) {
    most = Math.max(most, process.memoryUsage().rss);
    await sleep(10);
  }
  await ended;
  return most - rss;
}

/** Bytes that no other seed has anywhere: each run of 16 names its seed and its place. */
export function seededBody(seed: string, size: number): Buffer {
  const body = Buffer.alloc(size);
  const name = seed.slice(0, 8).padEnd(8, '.');
  for (let at = 0; at < size; at += 16) body.write(`${name}${String(at).padStart(8, '0')}`, at, 'latin1');
  return body;
}

export const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
