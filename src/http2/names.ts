import { ascii, LOWER, sameWord } from './bytes.ts';

const SLOTS = 512;

/** Where a name's chain starts. Length, first and last letter tell nearly all field names apart. */
function slotOf(length: number, first: number, last: number): number {
  return (length * 29 + LOWER[first] * 7 + LOWER[last] * 3) & (SLOTS - 1);
}

/** Finds names among bytes, in any case, without making a string. Built once, read per field. */
export class NameIndex {
  private readonly heads = new Int16Array(SLOTS).fill(-1);
  private readonly next: Int16Array;
  private readonly words: readonly Uint8Array[];

  /** @param names in lower case; of equal ones the first counts; '' is never found */
  constructor(names: readonly string[]) {
    this.words = names.map(ascii);
    this.next = new Int16Array(names.length).fill(-1);
    for (let i = names.length - 1; i >= 0; i--) {
      const word = this.words[i];
      if (word.length === 0) continue;
      const slot = slotOf(word.length, word[0], word[word.length - 1]);
      this.next[i] = this.heads[slot];
      this.heads[slot] = i;
    }
  }

  /** The place in the list of the name that is buf[start,end), or -1. */
  find(buf: Uint8Array, start: number, end: number): number {
    if (end === start) return -1;
    let i = this.heads[slotOf(end - start, buf[start], buf[end - 1])];
    while (i >= 0 && !sameWord(buf, start, end, this.words[i])) i = this.next[i];
    return i;
  }
}
