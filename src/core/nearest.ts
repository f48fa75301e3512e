/** The one of some words that was most likely meant, if any comes close. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length < 2) return undefined;
  const most = Math.ceil(word.length / 3);
  let best: string | undefined;
  let least = most + 1;
  for (const one of known) {
    // Among 100,000 routes few have about this length.
    if (Math.abs(one.length - word.length) >= least) continue;
    const off = distance(word, one);
    if (off >= least) continue;
    least = off;
    best = one;
  }
  return best;
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
