import type { FieldPlan } from '../core/types.ts';
import { ascii, sameHyphenated, sameWord, TOKEN } from './bytes.ts';

/** The most that a head may have. Over it: OO_HEAD_TOO_LARGE, OO_TARGET_TOO_LONG. */
export interface HeadLimits {
  /** From the first byte to the empty line, both included. */
  readonly maxHeadBytes: number;
  readonly maxFields: number;
  readonly maxTargetBytes: number;
}

/** What a scanner does with a field that it knows, beside cutting or capturing. */
export const PLAIN = 0;
export const HOST = 1;
export const CONNECTION = 2;
export const CONTENT_LENGTH = 3;
export const TRANSFER_ENCODING = 4;
export const UPGRADE = 5;
export const EXPECT = 6;
export const ACCEPT = 7;
export const KEEP_ALIVE = 8;

/** A field that a scanner knows by itself: its kind, and whether its line is cut. */
export type Known = readonly [name: string, kind: number, cut: boolean];

const SLOTS = 512;
const never = ['host', 'content-length', 'transfer-encoding'];

/** Where a name's chain starts. Length, first and last letter tell nearly all field names apart. */
export function slotOf(length: number, first: number, last: number): number {
  return (length * 29 + first * 7 + last * 3) & (SLOTS - 1);
}

/**
 * The names that a scanner knows, to be found without a string. Built once, read per field.
 * Its constructor throws a TypeError for a plan that names what is no field name in lower case, or that would cut the framing or Host.
 * Where the plan keeps underscores, a name is still cut if, written with hyphens, it is one that is known here: CGI-like upstreams
 * read `X_Forwarded_For` as `X-Forwarded-For`.
 */
export class NameTable {
  readonly heads = new Int16Array(SLOTS).fill(-1);
  readonly next: Int16Array;
  readonly names: readonly Uint8Array[];
  readonly kinds: Uint8Array;
  readonly cut: Uint8Array;
  /** The index in `plan.capture`, or -1. */
  readonly captures: Int16Array;
  readonly prefixes: readonly Uint8Array[];
  /** 1 for the first bytes, in either case, of the prefixes. */
  readonly prefixStarts = new Uint8Array(256);

  constructor(known: readonly Known[], plan: FieldPlan) {
    const entries = new Map<string, { kind: number; cut: boolean; capture: number }>();
    for (const [name, kind, cut] of known) entries.set(name, { kind, cut, capture: -1 });
    const add = (name: string, capture: number, list: string) => {
      const entry = entries.get(checked(name, list));
      if (entry) {
        entry.cut = true;
        if (entry.capture < 0) entry.capture = capture;
      } else entries.set(name, { kind: PLAIN, cut: true, capture });
    };
    for (const name of plan.drop) add(name, -1, 'drop');
    plan.capture.forEach((name, i) => {
      add(name, i, 'capture');
    });
    const names = [...entries.keys()];
    this.names = names.map(ascii);
    this.next = new Int16Array(names.length).fill(-1);
    this.kinds = Uint8Array.from(entries.values(), (e) => e.kind);
    this.cut = Uint8Array.from(entries.values(), (e) => (e.cut ? 1 : 0));
    this.captures = Int16Array.from(entries.values(), (e) => e.capture);
    this.names.forEach((name, i) => {
      const slot = slotOf(name.length, name[0], name[name.length - 1]);
      this.next[i] = this.heads[slot];
      this.heads[slot] = i;
    });
    this.prefixes = plan.dropPrefixes.map((prefix) => ascii(checked(prefix, 'dropPrefixes')));
    for (let c = 0; c < 256; c++) {
      if (TOKEN[c] !== 0 && this.prefixes.some((prefix) => prefix[0] === TOKEN[c])) this.prefixStarts[c] = 1;
    }
  }

  /** The entry of the name at [start,end), or -1. The range holds token bytes only, at least one. */
  find(buf: Uint8Array, start: number, end: number): number {
    const length = end - start;
    let entry = this.heads[slotOf(length, TOKEN[buf[start]], TOKEN[buf[end - 1]])];
    while (entry >= 0) {
      const name = this.names[entry];
      if (name.length === length && sameWord(buf, start, name)) return entry;
      entry = this.next[entry];
    }
    return -1;
  }

  /** Does the name at [start,end) begin with one of the plan's prefixes? */
  hasPrefix(buf: Uint8Array, start: number, end: number): boolean {
    if (this.prefixStarts[buf[start]] === 0) return false;
    for (let i = 0; i < this.prefixes.length; i++) {
      const prefix = this.prefixes[i];
      if (prefix.length <= end - start && sameWord(buf, start, prefix)) return true;
    }
    return false;
  }

  /** Is the name at [start,end), its underscores read as hyphens, one that this table knows? */
  knowsHyphenated(buf: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    for (const name of this.names) if (name.length === length && sameHyphenated(buf, start, name)) return true;
    for (const prefix of this.prefixes) if (prefix.length <= length && sameHyphenated(buf, start, prefix)) return true;
    return false;
  }
}

function checked(name: string, list: string): string {
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) {
    throw new TypeError(`field plan, ${list}: ${JSON.stringify(name)} is not a field name in lower case`);
  }
  if (never.includes(name)) throw new TypeError(`field plan, ${list}: ${name} frames or routes the message and stays`);
  return name;
}
