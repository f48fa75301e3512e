import type { FailureCode } from '../core/failure.ts';
import type { FieldPlan } from '../core/types.ts';
import { ascii, BAD, COLON, COMMA, CR, DONE, HTAB, LF, MORE, NAME, SP, sameWord, TOKEN, VALUE } from './bytes.ts';
import { CODING_CHUNKED, CODING_UNKNOWN, readCoding, readLength } from './framing.ts';
import { insertCut } from './lines.ts';
import * as names from './names.ts';
import { type HeadLimits, type Known, NameTable, slotOf } from './names.ts';

/** The most options, beyond those known, of all Connection fields of a message. */
const MAX_OPTIONS = 32;

const CLOSE = ascii('close');
const KEEP_ALIVE = ascii('keep-alive');
const UPGRADE = ascii('upgrade');
const H2C = ascii('h2c');

/**
 * What both scanners share: the field lines, their framing and their connection options, and the registers that a scan sets.
 * Registers are indexes into the scanned buffer; they hold until the next scan. A range that is absent is 0,0.
 * Nothing is allocated per scan, and the first fault in the order of the bytes wins, however the bytes were split.
 */
export abstract class HeadScanner {
  /** After BAD: why. */
  fault: FailureCode = 'OO_BAD_REQUEST';
  /** The index after the empty line. */
  end = 0;
  /** HTTP/1.x: 0 or 1. */
  minor = 1;
  /** -1: no Content-Length. */
  contentLength = -1;
  chunked = false;
  /** Does the sender keep the connection? HTTP/1.1 without close; HTTP/1.0 with keep-alive. */
  keepAlive = true;
  /** The value of Upgrade where it may take place; else 0,0. */
  upgradeStart = 0;
  upgradeEnd = 0;
  /** The whole Transfer-Encoding line, CRLF included: to be left out towards HTTP/1.0. */
  codingLineStart = 0;
  codingLineEnd = 0;
  /** Pairs [start,end) of whole lines, CRLF included, that are not to be forwarded; ascending, apart from each other. */
  cuts: Int32Array;
  /** Numbers in `cuts`: two a pair. */
  cutCount = 0;
  /** Triples: index in the plan's `capture`, start and end of the value without the white space around it. */
  captures: Int32Array;
  /** Numbers in `captures`: three a triple. */
  captureCount = 0;

  protected readonly limits: HeadLimits;
  /** A line found only at the end of the head to be one to cut: its start, or -1. */
  protected lateCut = -1;
  protected sawUpgradeOption = false;
  /** The start of the Content-Length line, where there is one. */
  protected lengthLine = 0;
  private readonly keepUnderscores: boolean;
  private readonly table: NameTable;
  private spareCuts: Int32Array;
  private readonly options = new Int32Array(MAX_OPTIONS * 2);
  private optionCount = 0;
  private sawClose = false;
  private sawKeepAlive = false;
  private upgradeLines = 0;
  private full = false;

  constructor(known: readonly Known[], plan: FieldPlan, limits: HeadLimits) {
    this.table = new NameTable(known, plan);
    this.limits = limits;
    this.keepUnderscores = plan.keepUnderscores;
    this.cuts = new Int32Array(limits.maxFields * 2);
    this.spareCuts = new Int32Array(limits.maxFields * 2);
    this.captures = new Int32Array(limits.maxFields * 3);
  }

  /** Adds a whole line that is not cut yet to `cuts`, in order: Host where it is replaced, Transfer-Encoding towards HTTP/1.0. */
  cutAlso(start: number, end: number): void {
    this.cutCount = insertCut(this.cuts, this.cutCount, start, end);
  }

  /** Handles a field of a kind that only one of the scanners knows; [start,end) is its value, [line,next) its line. */
  protected abstract onField(
    kind: number,
    buf: Uint8Array,
    line: number,
    next: number,
    start: number,
    end: number,
  ): number;

  /** Sets `fault` and says BAD. */
  protected refuse(fault: FailureCode): number {
    this.fault = fault;
    return BAD;
  }

  /** Says what it means that the bytes ran out: MORE, or BAD if no more are allowed. */
  protected starve(): number {
    return this.full ? this.refuse('OO_HEAD_TOO_LARGE') : MORE;
  }

  /** Clears the registers. @returns where the scan of [start,end) has to stop */
  protected begin(start: number, end: number): number {
    this.contentLength = -1;
    this.chunked = false;
    this.upgradeStart = 0;
    this.upgradeEnd = 0;
    this.codingLineStart = 0;
    this.codingLineEnd = 0;
    this.cutCount = 0;
    this.captureCount = 0;
    this.lateCut = -1;
    this.sawUpgradeOption = false;
    this.optionCount = 0;
    this.sawClose = false;
    this.sawKeepAlive = false;
    this.upgradeLines = 0;
    const most = start + this.limits.maxHeadBytes;
    this.full = end >= most;
    return this.full ? most : end;
  }

  /**
   * Scans field lines from `p` to the empty line, in one pass. This loop is the hottest of the product: a profile asked for its length.
   * @param lim where the bytes end
   */
  protected scanFields(buf: Uint8Array, p: number, lim: number): number {
    const table = this.table;
    const heads = table.heads;
    let left = this.limits.maxFields;
    for (;;) {
      if (p >= lim) return this.starve();
      const line = p;
      let seen = 0;
      let k = 0;
      while (p < lim) {
        k = NAME[buf[p]];
        if (k === 0) break;
        seen |= k;
        p++;
      }
      if (left === 0 && p > line) return this.refuse('OO_HEAD_TOO_LARGE');
      if (p >= lim) return this.starve();
      if (p === line) {
        // Not a name: the empty line, or a fold, a stray LF, a colon without a name, a control byte.
        if (buf[p] !== CR) return this.refuse('OO_BAD_HEADER');
        if (p + 1 >= lim) return this.starve();
        if (buf[p + 1] !== LF) return this.refuse('OO_BAD_HEADER');
        this.end = p + 2;
        return DONE;
      }
      left--;
      if (buf[p] !== COLON) return this.refuse('OO_BAD_HEADER');
      const colon = p++;
      while (p < lim && (buf[p] === SP || buf[p] === HTAB)) p++;
      const start = p;
      while (p < lim && VALUE[buf[p]] === 1) p++;
      if (p >= lim) return this.starve();
      if (buf[p] !== CR) return this.refuse('OO_BAD_HEADER');
      let end = p;
      if (p + 1 >= lim) return this.starve();
      if (buf[p + 1] !== LF) return this.refuse('OO_BAD_HEADER');
      p += 2;
      let entry = heads[slotOf(colon - line, TOKEN[buf[line]], TOKEN[buf[colon - 1]])];
      if (entry >= 0) entry = table.find(buf, line, colon);
      if (entry >= 0) {
        while (end > start && (buf[end - 1] === SP || buf[end - 1] === HTAB)) end--;
        if (table.cut[entry] === 1) this.cut(line, p);
        if (table.captures[entry] >= 0) this.capture(table.captures[entry], start, end);
        const kind = table.kinds[entry];
        if (kind !== names.PLAIN && this.onKind(kind, buf, line, p, start, end) === BAD) return BAD;
      } else if (table.prefixStarts[buf[line]] === 1 && table.hasPrefix(buf, line, colon)) this.cut(line, p);
      else if (seen === 3 && (!this.keepUnderscores || table.knowsHyphenated(buf, line, colon))) this.cut(line, p);
    }
  }

  /** Settles what only the whole head tells. `fields` is where the first field line starts. */
  protected settle(buf: Uint8Array, fields: number): void {
    this.keepAlive = !this.sawClose && (this.minor === 1 || this.sawKeepAlive);
    if (this.optionCount > 0 || this.lateCut >= 0) this.recut(buf, fields);
  }

  /** Takes the Upgrade back: it can't take place. */
  protected noUpgrade(): void {
    this.upgradeStart = 0;
    this.upgradeEnd = 0;
  }

  protected cut(start: number, end: number): void {
    const cuts = this.cuts;
    const n = this.cutCount;
    if (n > 0 && cuts[n - 1] === start) {
      cuts[n - 1] = end;
      return;
    }
    cuts[n] = start;
    cuts[n + 1] = end;
    this.cutCount = n + 2;
  }

  private capture(index: number, start: number, end: number): void {
    const n = this.captureCount;
    this.captures[n] = index;
    this.captures[n + 1] = start;
    this.captures[n + 2] = end;
    this.captureCount = n + 3;
  }

  private onKind(kind: number, buf: Uint8Array, line: number, next: number, start: number, end: number): number {
    switch (kind) {
      case names.CONNECTION:
        return this.onConnection(buf, start, end);
      case names.CONTENT_LENGTH: {
        // A second line, equal or not, is refused as `5,5` is: whoever repairs it may repair it otherwise than the next hop.
        const length = readLength(buf, start, end);
        if (length < 0 || this.contentLength >= 0 || this.chunked || isTabbed(buf, start, end)) {
          return this.refuse('OO_BAD_FRAMING');
        }
        this.contentLength = length;
        this.lengthLine = line;
        return DONE;
      }
      case names.TRANSFER_ENCODING: {
        const coding = readCoding(buf, start, end);
        // RFC 9112 §6.1: with Content-Length it is an attempt to smuggle; in HTTP/1.0 the framing is faulty.
        if (this.chunked || this.contentLength >= 0 || this.minor === 0) return this.refuse('OO_BAD_FRAMING');
        // llhttp, for one, does not know `chunked` with a tab behind it; a space there serves nobody either.
        if (end !== next - 2 || isTabbed(buf, start, end)) return this.refuse('OO_BAD_FRAMING');
        if (coding === CODING_UNKNOWN) return this.refuse('OO_CODING_UNSUPPORTED');
        if (coding !== CODING_CHUNKED) return this.refuse('OO_BAD_FRAMING');
        this.chunked = true;
        this.codingLineStart = line;
        this.codingLineEnd = next;
        return DONE;
      }
      case names.UPGRADE:
        // An offer over several lines is no range; Upgrade may always be ignored (RFC 9110 §7.8).
        if (++this.upgradeLines === 1 && isOffer(buf, start, end)) {
          this.upgradeStart = start;
          this.upgradeEnd = end;
        } else this.noUpgrade();
        return DONE;
      default:
        return this.onField(kind, buf, line, next, start, end);
    }
  }

  private onConnection(buf: Uint8Array, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const c = buf[p];
      if (c === SP || c === HTAB || c === COMMA) {
        p++;
        continue;
      }
      const from = p;
      while (p < end && TOKEN[buf[p]] !== 0) p++;
      if (p === from || !this.onOption(buf, from, p)) return this.refuse('OO_BAD_HEADER');
      while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
      if (p < end && buf[p] !== COMMA) return this.refuse('OO_BAD_HEADER');
    }
    return DONE;
  }

  private onOption(buf: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (length === 5 && sameWord(buf, start, CLOSE)) this.sawClose = true;
    else if (length === 10 && sameWord(buf, start, KEEP_ALIVE)) this.sawKeepAlive = true;
    else if (length === 7 && sameWord(buf, start, UPGRADE)) this.sawUpgradeOption = true;
    else {
      const entry = this.table.find(buf, start, end);
      // What is cut anyway need not be looked for; what frames or routes the message can't be named away.
      if (entry >= 0 && (this.table.cut[entry] === 1 || staysNamed(this.table.kinds[entry]))) return true;
      if (this.optionCount === MAX_OPTIONS * 2) return false;
      this.options[this.optionCount++] = start;
      this.options[this.optionCount++] = end;
    }
    return true;
  }

  /** Writes `cuts` anew, with the lines that Connection names and the late one: it may name fields before it. */
  private recut(buf: Uint8Array, fields: number): void {
    const old = this.cuts;
    const oldCount = this.cutCount;
    this.cuts = this.spareCuts;
    this.spareCuts = old;
    this.cutCount = 0;
    let i = 0;
    for (let line = fields; buf[line] !== CR; ) {
      if (i < oldCount && old[i] === line) {
        this.cut(line, old[i + 1]);
        line = old[i + 1];
        i += 2;
        continue;
      }
      let colon = line;
      while (buf[colon] !== COLON) colon++;
      let next = colon;
      while (buf[next] !== LF) next++;
      next++;
      if (line === this.lateCut || this.isNamed(buf, line, colon)) this.cut(line, next);
      line = next;
    }
  }

  private isNamed(buf: Uint8Array, start: number, end: number): boolean {
    for (let i = 0; i < this.optionCount; i += 2) {
      const option = this.options[i];
      if (this.options[i + 1] - option !== end - start) continue;
      let same = 0;
      while (start + same < end && TOKEN[buf[start + same]] === TOKEN[buf[option + same]]) same++;
      if (start + same === end) return true;
    }
    return false;
  }
}

/** Is there a tab in the white space around the value? Allowed (RFC 9110 §5.6.3), but where it matters readers differ over it. */
export function isTabbed(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start - 1; buf[p] !== COLON; p--) if (buf[p] === HTAB) return true;
  for (let p = end; buf[p] !== CR; p++) if (buf[p] === HTAB) return true;
  return false;
}

function staysNamed(kind: number): boolean {
  return (
    kind === names.HOST || kind === names.CONTENT_LENGTH || kind === names.TRANSFER_ENCODING || kind === names.EXPECT
  );
}

/** Is [start,end) a list of protocols (RFC 9110 §7.8), at least one, none of them h2c? */
function isOffer(buf: Uint8Array, start: number, end: number): boolean {
  let p = start;
  for (;;) {
    const from = p;
    while (p < end && TOKEN[buf[p]] !== 0) p++;
    if (p === from || (p - from === 3 && sameWord(buf, from, H2C))) return false;
    if (p < end && buf[p] === 47) {
      const version = ++p;
      while (p < end && TOKEN[buf[p]] !== 0) p++;
      if (p === version) return false;
    }
    while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
    if (p === end) return true;
    if (buf[p++] !== COMMA) return false;
    while (p < end && (buf[p] === SP || buf[p] === HTAB)) p++;
  }
}
