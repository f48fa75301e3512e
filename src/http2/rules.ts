import type { FieldPlan } from '../core/types.ts';
import type { TrailerFilter } from '../http1/trailers.ts';
import { ascii, COLON, HTAB, NAME, SP, VALUE } from './bytes.ts';
import { NameIndex } from './names.ts';
import { STATIC_COUNT, STATIC_NAMES } from './static-table.ts';

/*
 * What a field is: a number that a name has once and for all, so an entry of the dynamic table keeps it and a field that is sent by its
 * index costs no look at its name. KIND is one of the constants below.
 */
export const KIND = 63;
/** The name is no field name of HTTP/2, or one that no message may hold (RFC 9113 §8.2). */
export const BAD_NAME = 64;
/** It is dropped where it stands in trailers. */
export const NO_TRAILER = 128;
/** The value holds what no value may hold (RFC 9113 §8.2.1). */
export const BAD_VALUE = 256;
const CAPTURE_SHIFT = 9;

/** Sent on. */
export const PLAIN = 0;
// Pseudo-header fields.
export const METHOD = 1;
export const SCHEME = 2;
export const AUTHORITY = 3;
export const PATH = 4;
export const PROTOCOL = 5;
export const STATUS = 6;
export const LAST_PSEUDO = STATUS;
/** Ends here. */
export const DROP = 7;
/** Ends here, and its value is for the caller. */
export const CAPTURE = 8;
export const CONTENT_LENGTH = 9;
export const COOKIE = 10;
export const HOST = 11;
export const TE = 12;
export const ACCEPT = 13;
export const EXPECT = 14;
export const WEBSOCKET_KEY = 15;

const LOOKED_AT: readonly number[] = [COOKIE, ACCEPT, EXPECT, WEBSOCKET_KEY];

type Known = readonly (readonly [name: string, kind: number])[];

/** RFC 9113 §8.2.2: fields of one connection, which HTTP/2 has not. */
const CONNECTION_SPECIFIC: Known = [
  ['connection', BAD_NAME],
  ['proxy-connection', BAD_NAME],
  ['keep-alive', BAD_NAME],
  ['transfer-encoding', BAD_NAME],
  ['upgrade', BAD_NAME],
];

const OF_REQUESTS: Known = [
  ...CONNECTION_SPECIFIC,
  [':method', METHOD],
  [':scheme', SCHEME],
  [':authority', AUTHORITY],
  [':path', PATH],
  ['content-length', CONTENT_LENGTH],
  ['cookie', COOKIE],
  ['host', HOST],
  ['te', TE],
  ['accept', ACCEPT],
  ['expect', EXPECT],
  ['sec-websocket-key', WEBSOCKET_KEY],
];

const OF_RESPONSES: Known = [
  ...CONNECTION_SPECIFIC,
  [':status', STATUS],
  ['content-length', CONTENT_LENGTH],
  ['te', DROP],
];

/** Says of fields what they are. Made once for a role and a plan, and read by any number of connections. */
export class FieldRules {
  /** The kinds of the static table's names, by index. */
  readonly staticKinds = new Int32Array(STATIC_COUNT + 1);
  private readonly index: NameIndex;
  private readonly kinds: Int32Array;
  private readonly prefixes: readonly Uint8Array[];
  private readonly prefixStarts = new Uint8Array(256);
  private readonly hyphenated: ReadonlySet<string>;
  private readonly keepUnderscores: boolean;
  private readonly isTrailerRefused: TrailerFilter;

  private constructor(known: Known, plan: FieldPlan, isTrailerRefused: TrailerFilter) {
    const kinds = new Map<string, number>(plan.drop.map((name) => [name, DROP]));
    plan.capture.forEach((name, i) => {
      kinds.set(name, CAPTURE | (i << CAPTURE_SHIFT));
    });
    // The plan may end a field that is only looked at; what frames and routes the message it can't.
    for (const [name, kind] of known) if (!kinds.has(name) || !LOOKED_AT.includes(kind)) kinds.set(name, kind);
    const names = [...kinds.keys()];
    this.index = new NameIndex(names);
    this.kinds = Int32Array.from(kinds.values());
    this.prefixes = plan.dropPrefixes.map(ascii);
    for (const prefix of this.prefixes) this.prefixStarts[prefix[0]] = 1;
    this.hyphenated = new Set(names);
    this.keepUnderscores = plan.keepUnderscores;
    this.isTrailerRefused = isTrailerRefused;
    for (let i = 1; i <= STATIC_COUNT; i++) {
      const name = ascii(STATIC_NAMES[i]);
      this.staticKinds[i] = this.kindOf(name, 0, name.length);
    }
  }

  /**
   * The rules of a server, for what requests hold.
   * @param plan what is not sent on
   * @param extendedConnect whether `:protocol` is known (RFC 8441 §4)
   */
  static ofRequests(plan: FieldPlan, isTrailerRefused: TrailerFilter, extendedConnect = true): FieldRules {
    const known: Known = extendedConnect ? [...OF_REQUESTS, [':protocol', PROTOCOL]] : OF_REQUESTS;
    return new FieldRules(known, plan, isTrailerRefused);
  }

  /** The rules of a client. Everything valid is sent on: whoever reads the head that comes of it has a plan of its own. */
  static ofResponses(isTrailerRefused: TrailerFilter): FieldRules {
    const plan = { drop: [], dropPrefixes: [], capture: [], keepUnderscores: true };
    return new FieldRules(OF_RESPONSES, plan, isTrailerRefused);
  }

  /** What the field is whose name is buf[start,end). */
  kindOf(buf: Uint8Array, start: number, end: number): number {
    const first = buf[start];
    if (first === COLON) {
      const pseudo = this.index.find(buf, start, end);
      // RFC 9113 §8.3: others than those defined are malformed; `find` takes any case, names have none.
      return pseudo < 0 || hasUpperCase(buf, start, end) ? BAD_NAME : this.kinds[pseudo] | NO_TRAILER;
    }
    let seen = 0;
    for (let p = start; p < end; p++) {
      const k = NAME[buf[p]];
      if (k === 0) return BAD_NAME;
      seen |= k;
    }
    if (end === start) return BAD_NAME;
    const trailer = this.isTrailerRefused(buf, start, end) ? NO_TRAILER : 0;
    const known = this.index.find(buf, start, end);
    if (known >= 0) return this.kinds[known] | trailer;
    if (this.prefixStarts[first] === 1 && this.hasPrefix(buf, start, end)) return DROP | trailer;
    if (seen === 3 && (!this.keepUnderscores || this.knowsHyphenated(buf, start, end))) return DROP | trailer;
    return PLAIN | trailer;
  }

  private hasPrefix(buf: Uint8Array, start: number, end: number): boolean {
    for (const prefix of this.prefixes) {
      let i = 0;
      while (i < prefix.length && start + i < end && buf[start + i] === prefix[i]) i++;
      if (i === prefix.length) return true;
    }
    return false;
  }

  /** CGI-like upstreams read `x_real_ip` as `x-real-ip`: it goes where that goes. Rare enough for a string. */
  private knowsHyphenated(buf: Uint8Array, start: number, end: number): boolean {
    const name = String.fromCharCode(...buf.subarray(start, end)).replaceAll('_', '-');
    return this.hyphenated.has(name) || this.prefixes.some((p) => name.startsWith(String.fromCharCode(...p)));
  }
}

/** Which of the plan's `capture` a field of kind CAPTURE is. */
export function captureOf(kind: number): number {
  return kind >> CAPTURE_SHIFT;
}

function hasUpperCase(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (buf[p] >= 65 && buf[p] <= 90) return true;
  return false;
}

/** RFC 9113 §8.2.1: no NUL, CR, LF, no white space around; and, for HTTP/1.1's sake, no other control character. */
export function isValue(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (VALUE[buf[p]] === 0) return false;
  if (start === end) return true;
  const first = buf[start];
  const last = buf[end - 1];
  return first !== SP && first !== HTAB && last !== SP && last !== HTAB;
}
