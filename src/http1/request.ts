import type { FieldPlan } from '../core/types.ts';
import { ascii, BAD, COLON, CR, DONE, LF, QUESTION, SEMICOLON, SLASH, SP, sameBytes, sameWord } from './bytes.ts';
import { HeadScanner, isTabbed } from './fields.ts';
import { isAuthority } from './host.ts';
import type { HeadLimits, Known } from './names.ts';
import * as names from './names.ts';

export const METHOD_OTHER = 0;
export const METHOD_GET = 1;
export const METHOD_HEAD = 2;
export const METHOD_POST = 3;
export const METHOD_PUT = 4;
export const METHOD_DELETE = 5;
export const METHOD_OPTIONS = 6;
export const METHOD_PATCH = 7;
/** Never seen after DONE: refused with OO_METHOD_REFUSED. */
const METHOD_REFUSED = 8;

/** `/path?query` */
export const FORM_ORIGIN = 0;
/** `http://host/path?query` */
export const FORM_ABSOLUTE = 1;
/** `*`, of OPTIONS only */
export const FORM_ASTERISK = 2;

const MAX_METHOD_BYTES = 32;

/** 1 for the bytes of a method. Upper case, `-` and `_`: a `get` that one hop takes for GET and another does not is no method. */
const METHOD_BYTE = new Uint8Array(256);
for (let c = 65; c <= 90; c++) METHOD_BYTE[c] = 1;
METHOD_BYTE[45] = METHOD_BYTE[95] = 1;

/** The bytes of a target: 0 for none (also `#`), 1 plain, 2 `/`, 3 `%`, `;`, `\`: readers differ over them in a path; 4 `?`. */
const TARGET = new Uint8Array(256);
for (let c = 33; c < 127; c++) TARGET[c] = 1;
TARGET[35] = 0;
TARGET[SLASH] = 2;
TARGET[37] = TARGET[SEMICOLON] = TARGET[92] = 3;
TARGET[QUESTION] = 4;

const METHODS: readonly (readonly [Uint8Array, number])[] = [
  [ascii('GET'), METHOD_GET],
  [ascii('POST'), METHOD_POST],
  [ascii('HEAD'), METHOD_HEAD],
  [ascii('PUT'), METHOD_PUT],
  [ascii('PATCH'), METHOD_PATCH],
  [ascii('DELETE'), METHOD_DELETE],
  [ascii('OPTIONS'), METHOD_OPTIONS],
  [ascii('CONNECT'), METHOD_REFUSED],
  [ascii('TRACE'), METHOD_REFUSED],
];
const HTTP = ascii('HTTP/');
const SCHEME = ascii('http');
const CONTINUE = ascii('100-continue');

/**
 * The fields that a request's scanner knows. Trailer stays: it announces trailers, and those of chunked bodies are passed on.
 */
const KNOWN: readonly Known[] = [
  ['host', names.HOST, false],
  ['connection', names.CONNECTION, true],
  ['content-length', names.CONTENT_LENGTH, false],
  ['transfer-encoding', names.TRANSFER_ENCODING, false],
  ['upgrade', names.UPGRADE, true],
  ['expect', names.EXPECT, false],
  ['accept', names.ACCEPT, false],
  ['keep-alive', names.PLAIN, true],
  ['proxy-connection', names.PLAIN, true],
  ['proxy-authorization', names.PLAIN, true],
  ['te', names.PLAIN, true],
  ['http2-settings', names.PLAIN, true],
];

/** Scans request heads. One serves any number of connections, one head at a time. Source: RFC 9112, read strictly. */
export class RequestScanner extends HeadScanner {
  /** Where the request line starts: after the CRLF that may stand before it (RFC 9112 §2.2). */
  methodStart = 0;
  methodEnd = 0;
  /** One of the METHOD constants. */
  method = METHOD_OTHER;
  /** RFC 9110 §9.2.2. False for methods that oo does not know. */
  idempotent = false;
  /** The request-target as sent. */
  targetStart = 0;
  targetEnd = 0;
  /** One of the FORM constants. */
  form = FORM_ORIGIN;
  /** The path without its query; empty (start is end) in an absolute-form without one, and for `*`. */
  pathStart = 0;
  pathEnd = 0;
  /** No `%`, `;`, `\`, `//` or `/.` in the path: it has one reading only. */
  plainPath = true;
  /** Was the absolute-form's scheme https? */
  absoluteTls = false;
  /** The target's authority if it has one, else Host's value; 0,0 with HTTP/1.0 without Host. */
  authorityStart = 0;
  authorityEnd = 0;
  /** The whole Host line, CRLF included, so that it can be replaced. */
  hostLineStart = 0;
  hostLineEnd = 0;
  /** HTTP/1.1 with a body and `Expect: 100-continue`. Otherwise the line is cut. */
  expectContinue = false;
  /** The value of the first Accept. */
  acceptStart = 0;
  acceptEnd = 0;

  private expectLine = -1;

  constructor(plan: FieldPlan, limits: HeadLimits) {
    super(KNOWN, plan, limits);
  }

  /**
   * Scans the head of a request in buf[start,end), from the start each time.
   * @returns MORE, DONE (the registers are set), BAD (`fault` is set; more bytes won't mend it)
   */
  scan(buf: Uint8Array, start: number, end: number): number {
    const lim = this.begin(start, end);
    this.hostLineStart = 0;
    this.hostLineEnd = 0;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.acceptStart = 0;
    this.acceptEnd = 0;
    this.expectLine = -1;
    this.method = METHOD_OTHER;
    this.absoluteTls = false;
    this.minor = 1;
    let p = start;
    if (p < lim && buf[p] === CR) {
      if (++p < lim && buf[p++] !== LF) return this.refuse('OO_BAD_REQUEST');
    }
    p = this.scanMethod(buf, p, lim);
    if (p > 0) p = this.scanTarget(buf, p, lim);
    if (p > 0) p = this.scanVersion(buf, p, lim);
    if (p <= 0) return p === 0 ? this.starve() : BAD;
    if (this.form !== FORM_ORIGIN && this.readTarget(buf) === BAD) return BAD;
    const result = this.scanFields(buf, p, lim);
    return result === DONE ? this.finish(buf, p) : result;
  }

  /** Methods below return the index to go on from, 0 for "bytes are missing", -1 for "refused". */
  private stop(fault: Parameters<HeadScanner['refuse']>[0]): number {
    this.refuse(fault);
    return -1;
  }

  private scanMethod(buf: Uint8Array, start: number, lim: number): number {
    let p = start;
    this.methodStart = start;
    const most = start + MAX_METHOD_BYTES;
    while (p < lim && METHOD_BYTE[buf[p]] === 1) if (++p > most) return this.stop('OO_BAD_REQUEST');
    if (p >= lim) return 0;
    if (buf[p] !== SP || p === start) return this.stop('OO_BAD_REQUEST');
    this.methodEnd = p;
    for (let i = 0; i < METHODS.length; i++) {
      const word = METHODS[i][0];
      if (word.length === p - start && sameBytes(buf, start, word)) {
        this.method = METHODS[i][1];
        break;
      }
    }
    if (this.method === METHOD_REFUSED) return this.stop('OO_METHOD_REFUSED');
    this.idempotent =
      this.method === METHOD_GET ||
      this.method === METHOD_HEAD ||
      this.method === METHOD_OPTIONS ||
      this.method === METHOD_PUT ||
      this.method === METHOD_DELETE;
    return p + 1;
  }

  private scanTarget(buf: Uint8Array, start: number, lim: number): number {
    const most = start + this.limits.maxTargetBytes;
    const stop = Math.min(most, lim);
    let p = start;
    let plain = true;
    this.targetStart = start;
    this.pathStart = start;
    this.form = FORM_ORIGIN;
    if (p < stop && buf[p] !== SLASH) this.form = FORM_ABSOLUTE;
    for (; p < stop; p++) {
      const k = TARGET[buf[p]];
      if (k === 1) continue;
      if (k === 0 || k === 4) break;
      if (k === 3) plain = false;
      else if (p + 1 < stop && (buf[p + 1] === SLASH || buf[p + 1] === 46)) plain = false;
    }
    this.pathEnd = p;
    while (p < stop && TARGET[buf[p]] !== 0) p++;
    if (p >= lim) return 0;
    const c = buf[p];
    if (TARGET[c] !== 0) return this.stop('OO_TARGET_TOO_LONG');
    this.targetEnd = p;
    this.plainPath = plain;
    if (c === SP && p > start) return p + 1;
    // `GET /path` and no version: HTTP/0.9.
    if (c !== CR || p === start) return this.stop('OO_BAD_REQUEST');
    if (p + 1 >= lim) return 0;
    return this.stop(buf[p + 1] === LF ? 'OO_VERSION_UNSUPPORTED' : 'OO_BAD_REQUEST');
  }

  private scanVersion(buf: Uint8Array, p: number, lim: number): number {
    for (let i = 0; i < 5; i++) {
      if (p + i >= lim) return 0;
      if (buf[p + i] !== HTTP[i]) return this.stop('OO_BAD_REQUEST');
    }
    p += 5;
    for (let i = 0; i < 3; i++) {
      if (p + i >= lim) return 0;
      const digit = buf[p + i] - 48;
      if (i === 1 ? digit !== -2 : digit < 0 || digit > 9) return this.stop('OO_BAD_REQUEST');
    }
    if (buf[p] !== 49 || buf[p + 2] > 49) return this.stop('OO_VERSION_UNSUPPORTED');
    this.minor = buf[p + 2] - 48;
    p += 3;
    if (p >= lim) return 0;
    if (buf[p] !== CR) return this.stop('OO_BAD_REQUEST');
    if (p + 1 >= lim) return 0;
    if (buf[p + 1] !== LF) return this.stop('OO_BAD_REQUEST');
    return p + 2;
  }

  /** Reads a target that is not in origin-form. The authority-form is CONNECT's, which is refused. */
  private readTarget(buf: Uint8Array): number {
    const start = this.targetStart;
    const end = this.targetEnd;
    if (end - start === 1 && buf[start] === 42) {
      this.form = FORM_ASTERISK;
      this.pathStart = start;
      this.pathEnd = start;
      return this.method === METHOD_OPTIONS ? DONE : this.refuse('OO_BAD_REQUEST');
    }
    if (end - start < 8 || !sameWord(buf, start, SCHEME)) return this.refuse('OO_BAD_REQUEST');
    let p = start + 4;
    this.absoluteTls = (buf[p] | 32) === 115;
    if (this.absoluteTls) p++;
    if (buf[p] !== COLON || buf[p + 1] !== SLASH || buf[p + 2] !== SLASH) return this.refuse('OO_BAD_REQUEST');
    p += 3;
    this.authorityStart = p;
    while (p < end && buf[p] !== SLASH && buf[p] !== QUESTION) p++;
    this.authorityEnd = p;
    if (!isAuthority(buf, this.authorityStart, p)) return this.refuse('OO_BAD_HOST');
    this.readPath(buf, p, end);
    return DONE;
  }

  private readPath(buf: Uint8Array, start: number, end: number): void {
    let p = start;
    this.plainPath = true;
    this.pathStart = start;
    for (; p < end && buf[p] !== QUESTION; p++) {
      const k = TARGET[buf[p]];
      if (k === 3) this.plainPath = false;
      else if (k === 2 && p + 1 < end && (buf[p + 1] === SLASH || buf[p + 1] === 46)) this.plainPath = false;
    }
    this.pathEnd = p;
  }

  protected override onField(
    kind: number,
    buf: Uint8Array,
    line: number,
    next: number,
    start: number,
    end: number,
  ): number {
    switch (kind) {
      case names.HOST:
        if (this.hostLineEnd !== 0 || !isAuthority(buf, start, end) || isTabbed(buf, start, end))
          return this.refuse('OO_BAD_HOST');
        this.hostLineStart = line;
        this.hostLineEnd = next;
        if (this.form !== FORM_ABSOLUTE) {
          this.authorityStart = start;
          this.authorityEnd = end;
        }
        return DONE;
      case names.EXPECT:
        // Twice, or anything else than 100-continue, can't be met (RFC 9110 §10.1.1).
        if (
          this.expectLine >= 0 ||
          end - start !== CONTINUE.length ||
          !sameWord(buf, start, CONTINUE) ||
          isTabbed(buf, start, end)
        ) {
          return this.refuse('OO_EXPECTATION_REFUSED');
        }
        this.expectLine = line;
        return DONE;
      case names.ACCEPT:
        if (this.acceptEnd === 0) {
          this.acceptStart = start;
          this.acceptEnd = end;
        }
        return DONE;
      default:
        return DONE;
    }
  }

  private finish(buf: Uint8Array, fields: number): number {
    if (this.minor === 1 && this.hostLineEnd === 0) return this.refuse('OO_BAD_HOST');
    const body = this.chunked || this.contentLength > 0;
    this.expectContinue = this.expectLine >= 0 && this.minor === 1 && body;
    // An HTTP/1.0 client's expectation is ignored, and one without a body means nothing: neither goes on.
    if (!this.expectContinue) this.lateCut = this.expectLine;
    if (this.upgradeEnd !== 0 && (this.minor === 0 || body || !this.sawUpgradeOption)) this.noUpgrade();
    this.settle(buf, fields);
    return DONE;
  }
}
