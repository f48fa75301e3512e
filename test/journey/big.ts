import type { Readable, Writable } from 'node:stream';
import { crc32 } from 'node:zlib';

const blockBytes = 1024 * 1024;
const stampEvery = 64 * 1024;

/** What one end saw of a large body. */
export interface Sum {
  bytes: number;
  crc: number;
}

/** A megabyte in which no two places look alike, with its number in it: a block that is lost, cut or moved shows. */
function fill(block: Buffer, index: number): void {
  for (let at = 0; at < blockBytes; at += stampEvery) block.writeDoubleBE(index * blockBytes + at, at);
}

/** Writes `bytes` to the stream as fast as it takes them, and ends it. `sum` grows as they are handed over. */
export async function send(to: Writable, bytes: number, sum: Sum): Promise<void> {
  // A buffer is filled again only when the stream has let go of it.
  const blocks = Array.from({ length: 2 }, () => {
    const block = Buffer.alloc(blockBytes);
    for (let i = 0; i < blockBytes; i += 4) block.writeInt32LE((i * 2654435761) | 0, i);
    return { block, free: Promise.resolve() };
  });
  for (let index = 0; sum.bytes < bytes; index++) {
    const turn = blocks[index % 2];
    await turn.free;
    fill(turn.block, index);
    const part = turn.block.subarray(0, Math.min(blockBytes, bytes - sum.bytes));
    sum.crc = crc32(part, sum.crc);
    turn.free = new Promise((resolve, reject) => to.write(part, (error) => (error ? reject(error) : resolve())));
    sum.bytes += part.length;
  }
  to.end();
}

/** Reads the stream to its end. `sum` grows meanwhile. */
export async function receive(from: Readable, sum: Sum): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    from.on('data', (chunk: Buffer) => {
      sum.bytes += chunk.length;
      sum.crc = crc32(chunk, sum.crc);
    });
    from.on('end', resolve);
    from.on('error', reject);
    from.on('close', () => reject(new Error('closed before its end')));
  });
}
