/**
 * Copies a scanner's cuts to `out` with one more pair in its place.
 * @param start 0 with `end` 0: there is nothing to add
 * @returns the numbers in `out`
 */
export function withCut(out: Int32Array, cuts: Int32Array, cutCount: number, start: number, end: number): number {
  let to = 0;
  let pending = end > 0;
  for (let i = 0; i < cutCount; i += 2) {
    if (pending && start < cuts[i]) {
      out[to++] = start;
      out[to++] = end;
      pending = false;
    }
    out[to++] = cuts[i];
    out[to++] = cuts[i + 1];
  }
  if (pending) {
    out[to++] = start;
    out[to++] = end;
  }
  return to;
}
