const headBytes = 4 * 1024;
const mostSpare = 64;
const spare: Buffer[] = [];

/** A buffer for a request's head; give it back with `giveHead`. */
export function takeHead(bytes: number): Buffer {
  return bytes > headBytes ? Buffer.allocUnsafeSlow(bytes) : (spare.pop() ?? Buffer.allocUnsafeSlow(headBytes));
}

/** Takes it back: nobody reads it any more. */
export function giveHead(head: Buffer): void {
  if (head.length === headBytes && spare.length < mostSpare) spare.push(head);
}
