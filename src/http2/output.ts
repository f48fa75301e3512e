const FIRST_BYTES = 16 * 1024;
/** Larger ones are not kept for the next turn. */
const MAX_KEPT_BYTES = 256 * 1024;
const MAX_SPARE = 32;

/** Frames that wait to be written: one buffer, which grows. */
export class Output {
  bytes: Uint8Array;
  /** How many of them are filled. */
  length = 0;

  /** @param bytes the first size */
  constructor(bytes: number = FIRST_BYTES) {
    this.bytes = new Uint8Array(bytes);
  }

  /** Makes sure that `bytes` more fit. @returns where they go; whoever writes them sets `length` */
  reserve(bytes: number): number {
    const need = this.length + bytes;
    if (need > this.bytes.length) {
      const grown = new Uint8Array(Math.max(need, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    return this.length;
  }
}

const spare: Output[] = [];

/** An empty output. Idle connections hold none: give it back with `giveOutput` once its bytes are written. */
export function takeOutput(): Output {
  return spare.pop() ?? new Output();
}

/** Takes an output back. No write may refer to its bytes any more. */
export function giveOutput(output: Output): void {
  output.length = 0;
  if (output.bytes.length <= MAX_KEPT_BYTES && spare.length < MAX_SPARE) spare.push(output);
}
