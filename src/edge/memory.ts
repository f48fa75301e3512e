/**
 * Buffers that many sockets share.
 *
 * A client socket's next read lands in the buffer that its last `onread` callback left in `nextBuffer.value`. Idle clients all
 * leave the one `landing` buffer there, so ten thousand of them cost no buffer at all. The price is a rule: no write may
 * refer to `landing`, since a write that the kernel does not take at once would see the next client's bytes.
 */
export const landing: Buffer = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * What the client socket whose callback runs now reads into next, or undefined for what it read into last (which saves
 * Node the change). Set it before the callback returns.
 */
export const nextBuffer: { value: Buffer | undefined } = { value: landing };

const slabBytes = 256 * 1024;
let slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
let slabUsed = 0;

/**
 * Room for bytes that are about to be written to a socket. Call `keepRoom` if the write is still pending afterwards:
 * until then the same room is handed out again.
 */
export function room(bytes: number): Buffer {
  if (bytes > slabBytes) return Buffer.allocUnsafeSlow(bytes);
  if (slabUsed + bytes > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    slabUsed = 0;
  }
  return slab.subarray(slabUsed, slabUsed + bytes);
}

/** Keeps what the last `room` gave out from being handed out again, because a pending write refers to it. */
export function keepRoom(bytes: number): void {
  slabUsed = Math.min(slabBytes, slabUsed + bytes);
}

export const bigBytes = 256 * 1024;
const spareBig: Buffer[] = [];
const maxSpareBig = 32;

/** A buffer for a large body; give it back with `returnBig` once no write refers to it. */
export function takeBig(): Buffer {
  return spareBig.pop() ?? Buffer.allocUnsafeSlow(bigBytes);
}

export function returnBig(buffer: Buffer): void {
  if (spareBig.length < maxSpareBig) spareBig.push(buffer);
}

/** Views of a read buffer: answers of one shape follow one another there, so the last one mostly fits again. */
export class LastView {
  private last: Buffer = Buffer.alloc(0);
  private buffer: Buffer = this.last;
  private from = 0;
  private to = 0;

  of(buffer: Buffer, from: number, to: number): Buffer {
    if (from !== this.from || to !== this.to || buffer !== this.buffer) {
      this.last = buffer.subarray(from, to);
      this.from = from;
      this.to = to;
      this.buffer = buffer;
    }
    return this.last;
  }
}
