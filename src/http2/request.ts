import type { FailureCode } from '../core/failure.ts';
import { newBytes } from './block.ts';
import { ascii, CR, copy, LF, readLength, SLASH, same, sameRanges, sameWord } from './bytes.ts';
import { type RequestLimits, RequestRegisters } from './request-registers.ts';
import * as rules from './rules.ts';
import { isMethod, isScheme, METHODS, scanTarget } from './target.ts';

/** What `finish` says. REFUSED: `fault` is the answer. MALFORMED: the stream is reset with PROTOCOL_ERROR. */
export const DONE = 0;
export const REFUSED = 1;
export const MALFORMED = 2;

/** Is buf[start,end) a host with an optional port? The edge gives http1's, so that both wires take the same. */
export type AuthorityCheck = (buf: Uint8Array, start: number, end: number) => boolean;

/** The most cookie crumbs (RFC 9113 §8.2.3); each counts its 32 bytes besides. */
export const MAX_CRUMBS = 512;
const MAX_METHOD_BYTES = 32;
/** Beside method and target: `HTTP/1.1`, `host: `, an authority of at most 262 bytes, and what is between. */
const LINE_ROOM = 1024;

const VERSION = ascii(' HTTP/1.1\r\n');
const HOST_NAME = ascii('host: ');
const COOKIE_NAME = ascii('cookie: ');
const CHUNKED = ascii('transfer-encoding: chunked\r\n');
const NO_LENGTH = ascii('content-length: 0\r\n');
const TRAILERS = ascii('trailers');
const CONTINUE = ascii('100-continue');
const HTTPS = ascii('https');
const WEBSOCKET = ascii('websocket');
const GET = ascii('GET');

/**
 * The head of an HTTP/2 request, made into the head of the HTTP/1.1 request that goes to an upstream: `bytes[methodStart,end)`, less
 * `cuts`. A body without a length has got `transfer-encoding: chunked`; cookie crumbs have become one line; an extended CONNECT has
 * become the GET of an upgrade, which still needs a Sec-WebSocket-Key.
 */
export class RequestHead extends RequestRegisters {
  private readonly isAuthority: AuthorityCheck;
  /** Where field lines start; the request line is put before it when it is known. */
  private readonly linesAt: number;
  private readonly crumbs: Uint8Array;
  private crumbsEnd = 0;
  private crumbCount = 0;
  private fields = 0;
  private inFields = false;
  private tooLong = false;
  private expectLine = -1;
  private expectEnd = 0;
  private expectRefused = false;
  private hostStart = -1;
  private hostEnd = 0;
  /** Where the value of each pseudo-header field stands, by kind; -1 where it is absent. */
  private readonly starts = new Int32Array(rules.LAST_PSEUDO + 1);
  private readonly ends = new Int32Array(rules.LAST_PSEUDO + 1);

  /** @param allocate makes the buffer: see `FieldBlock` */
  constructor(limits: RequestLimits, isAuthority: AuthorityCheck, allocate = newBytes) {
    // Pseudo-header fields first, then the room in which the request line is made of them, then the lines.
    super(limits, 2 * (limits.maxTargetBytes + LINE_ROOM), allocate);
    this.linesAt = 2 * (limits.maxTargetBytes + LINE_ROOM);
    this.isAuthority = isAuthority;
    this.crumbs = new Uint8Array(limits.maxListBytes + 2 * MAX_CRUMBS);
  }

  override begin(): void {
    super.begin();
    this.starts.fill(-1);
    this.inFields = false;
    this.tooLong = false;
    this.fields = 0;
    this.crumbsEnd = 0;
    this.crumbCount = 0;
    this.expectLine = -1;
    this.expectRefused = false;
    this.hostStart = -1;
  }

  override onField(kind: number, line: number, nameEnd: number, lineEnd: number): number {
    if (!this.inFields) {
      const pseudo = kind & rules.KIND;
      if (pseudo >= rules.METHOD && pseudo <= rules.LAST_PSEUDO) return this.onPseudo(kind, line, nameEnd, lineEnd);
      this.inFields = true;
      this.bytes.copyWithin(this.linesAt, line, lineEnd);
      nameEnd += this.linesAt - line;
      lineEnd += this.linesAt - line;
      line = this.linesAt;
    }
    if ((kind & ~rules.NO_TRAILER) !== rules.PLAIN) return this.onSpecial(kind, line, nameEnd, lineEnd);
    return this.keep(line, lineEnd);
  }

  private keep(line: number, lineEnd: number): number {
    if (++this.fields <= this.limits.maxFields) return lineEnd;
    this.over = true;
    return line;
  }

  private onPseudo(kind: number, line: number, nameEnd: number, lineEnd: number): number {
    const pseudo = kind & rules.KIND;
    if (this.starts[pseudo] >= 0) return this.refuse('a pseudo-header field twice', line);
    if ((kind & rules.BAD_VALUE) !== 0) return this.refuse('a character that no value may hold', line);
    this.starts[pseudo] = nameEnd + 2;
    this.ends[pseudo] = lineEnd - 2;
    if (lineEnd <= this.linesAt / 2) return lineEnd;
    this.tooLong = true;
    return line;
  }

  private onSpecial(kind: number, line: number, nameEnd: number, lineEnd: number): number {
    if ((kind & rules.BAD_NAME) !== 0) return this.refuse('a field name that HTTP/2 does not allow', line);
    if ((kind & rules.BAD_VALUE) !== 0) return this.refuse('a character that no value may hold', line);
    const start = nameEnd + 2;
    const end = lineEnd - 2;
    switch (kind & rules.KIND) {
      case rules.DROP:
        return line;
      case rules.CAPTURE:
        return this.capture(rules.captureOf(kind), line, start, end);
      case rules.CONTENT_LENGTH:
        return this.onLength(line, start, end);
      case rules.COOKIE:
        return this.onCrumb(line, start, end);
      case rules.HOST:
        return this.onHost(line, start, end);
      case rules.TE:
        // RFC 9113 §8.2.2.
        if (!sameWord(this.bytes, start, end, TRAILERS)) return this.refuse('TE is not trailers', line);
        this.trailersWelcome = true;
        return line;
      case rules.ACCEPT:
        if (this.acceptEnd === 0) {
          this.acceptStart = start;
          this.acceptEnd = end;
        }
        return this.keep(line, lineEnd);
      case rules.EXPECT:
        if (this.expectLine >= 0 || !sameWord(this.bytes, start, end, CONTINUE)) this.expectRefused = true;
        this.expectLine = line;
        this.expectEnd = lineEnd;
        return this.keep(line, lineEnd);
      case rules.WEBSOCKET_KEY:
        // RFC 8441 §5: not used there; the upgrade that is made of it gets one of its own.
        return this.starts[rules.PROTOCOL] >= 0 ? line : this.keep(line, lineEnd);
      default:
        return this.refuse('a pseudo-header field after others', line);
    }
  }

  private capture(index: number, line: number, start: number, end: number): number {
    const kept = this.keep(line, end + 2);
    if (kept === line) return line;
    const n = this.captureCount;
    this.captures[n] = index;
    this.captures[n + 1] = start;
    this.captures[n + 2] = end;
    this.captureCount = n + 3;
    this.cutAlso(line, kept);
    return kept;
  }

  /** RFC 9113 §8.3.1: :authority takes its place. Before that the two must say the same (attack 37). */
  private onHost(line: number, start: number, end: number): number {
    if (this.hostStart >= 0) return this.refuse('Host twice', line);
    this.hostStart = start;
    this.hostEnd = end;
    const authority = this.starts[rules.AUTHORITY];
    if (authority < 0) return this.keep(line, end + 2);
    const isSame = sameRanges(this.bytes, authority, this.ends[rules.AUTHORITY], start, end);
    return isSame ? line : this.refuse('Host is not :authority', line);
  }

  private onLength(line: number, start: number, end: number): number {
    const length = readLength(this.bytes, start, end);
    if (length < 0 || this.contentLength >= 0) return this.refuse('Content-Length is not one number', line);
    this.contentLength = length;
    return this.keep(line, end + 2);
  }

  /** RFC 9113 §8.2.3: crumbs are one field for whoever does not speak HTTP/2. */
  private onCrumb(line: number, start: number, end: number): number {
    if (++this.crumbCount > MAX_CRUMBS) {
      this.over = true;
      return line;
    }
    const { crumbs } = this;
    if (this.crumbCount > 1) {
      crumbs[this.crumbsEnd++] = 59;
      crumbs[this.crumbsEnd++] = 32;
    }
    this.crumbsEnd = copy(crumbs, this.crumbsEnd, this.bytes, start, end);
    return line;
  }

  /**
   * Judges the whole head, and makes the HTTP/1.1 one of it.
   * @param ended no body and no trailers follow
   * @returns DONE, REFUSED or MALFORMED; only after DONE the registers hold
   */
  finish(ended: boolean): number {
    if (this.malformed !== '') return MALFORMED;
    if (this.over) return this.deny('OO_HEAD_TOO_LARGE');
    if (this.ends[rules.PATH] - this.starts[rules.PATH] > this.maxTargetBytes && this.starts[rules.PATH] >= 0)
      return this.deny('OO_TARGET_TOO_LONG');
    if (this.tooLong) return this.deny('OO_HEAD_TOO_LARGE');
    this.checkPseudo(ended);
    if (this.malformed !== '') return MALFORMED;
    if (!this.inFields) this.at = this.linesAt;
    const result = this.readMethod();
    if (result !== DONE || this.readAuthority() !== DONE || this.readTarget() !== DONE) return REFUSED;
    if (this.expectRefused) return this.deny('OO_EXPECTATION_REFUSED');
    this.writeLines(ended);
    this.writeRequestLine();
    return DONE;
  }

  private deny(fault: FailureCode): number {
    this.fault = fault;
    return REFUSED;
  }

  /** What RFC 9113 §8.3.1 and §8.5, and RFC 8441 §4, demand of the pseudo-header fields together. */
  private checkPseudo(ended: boolean): void {
    const { bytes, starts, ends } = this;
    const path = starts[rules.PATH];
    const method = starts[rules.METHOD];
    const extended = starts[rules.PROTOCOL] >= 0;
    const authority = starts[rules.AUTHORITY];
    const connect = method >= 0 && same(bytes, method, ends[rules.METHOD], METHODS.connect);
    if (method < 0 || method === ends[rules.METHOD]) this.refuse(':method is missing', 0);
    else if (extended && !connect) this.refuse(':protocol without CONNECT', 0);
    else if (connect && !extended) {
      if (path >= 0 || starts[rules.SCHEME] >= 0) this.refuse('CONNECT with :scheme or :path', 0);
      else if (authority < 0) this.refuse('CONNECT without :authority', 0);
    } else if (starts[rules.SCHEME] < 0) this.refuse(':scheme is missing', 0);
    else if (path < 0 || path === ends[rules.PATH]) this.refuse(':path is missing', 0);
    else if (bytes[path] !== SLASH && !isAsterisk(bytes, path, ends[rules.PATH], method, ends[rules.METHOD]))
      this.refuse(':path does not begin with a slash', 0);
    else if (extended && (authority < 0 || ended || this.contentLength >= 0)) this.refuse('not an extended CONNECT', 0);
    if (ended && this.contentLength > 0) this.refuse('Content-Length, and no body', 0);
  }

  private readMethod(): number {
    const { bytes } = this;
    const start = this.starts[rules.METHOD];
    const end = this.ends[rules.METHOD];
    if (end - start > MAX_METHOD_BYTES || !isMethod(bytes, start, end)) return this.deny('OO_BAD_REQUEST');
    this.method = METHODS.find(bytes, start, end);
    this.idempotent = METHODS.isIdempotent(this.method);
    if (this.starts[rules.PROTOCOL] < 0) return this.method < 0 ? this.deny('OO_METHOD_REFUSED') : DONE;
    // RFC 8441 §4: the rest of the world is asked for an upgrade.
    this.upgradeStart = this.starts[rules.PROTOCOL];
    this.upgradeEnd = this.ends[rules.PROTOCOL];
    this.method = METHODS.find(GET, 0, GET.length);
    this.idempotent = true;
    return sameWord(bytes, this.upgradeStart, this.upgradeEnd, WEBSOCKET) ? DONE : this.deny('OO_METHOD_REFUSED');
  }

  private readAuthority(): number {
    const named = this.starts[rules.AUTHORITY] >= 0;
    const start = named ? this.starts[rules.AUTHORITY] : this.hostStart;
    const end = named ? this.ends[rules.AUTHORITY] : this.hostEnd;
    return start >= 0 && this.isAuthority(this.bytes, start, end) ? DONE : this.deny('OO_BAD_HOST');
  }

  private readTarget(): number {
    const { bytes } = this;
    const start = this.starts[rules.PATH];
    const end = this.ends[rules.PATH];
    const scheme = this.starts[rules.SCHEME];
    if (!isScheme(bytes, scheme, this.ends[rules.SCHEME])) return this.deny('OO_BAD_REQUEST');
    this.absoluteTls = sameWord(bytes, scheme, this.ends[rules.SCHEME], HTTPS);
    const pathEnd = scanTarget(bytes, start, end);
    if (pathEnd === 0) return this.deny('OO_BAD_REQUEST');
    this.form = bytes[start] === SLASH ? 0 : 2;
    this.plainPath = pathEnd > 0;
    this.pathEnd = this.form === 0 ? Math.abs(pathEnd) : start;
    return DONE;
  }

  /** What only the end of the head tells: the cookie line, and how the body is framed. */
  private writeLines(ended: boolean): void {
    const { bytes } = this;
    if (this.crumbCount > 0) {
      this.at = copy(bytes, this.at, COOKIE_NAME, 0, COOKIE_NAME.length);
      this.at = this.endLine(copy(bytes, this.at, this.crumbs, 0, this.crumbsEnd));
    }
    const bodied = !ended && this.upgradeEnd === 0;
    if (bodied && this.contentLength < 0) {
      this.chunked = true;
      this.codingLineStart = this.at;
      this.at = this.codingLineEnd = copy(bytes, this.at, CHUNKED, 0, CHUNKED.length);
    } else if (ended && this.contentLength < 0 && METHODS.hasBody(this.method)) {
      // RFC 9110 §8.6: whoever has no body to a method that means one says so.
      this.contentLength = 0;
      this.at = copy(bytes, this.at, NO_LENGTH, 0, NO_LENGTH.length);
    }
    this.expectContinue = this.expectLine >= 0 && (this.chunked || this.contentLength > 0);
    if (this.expectLine >= 0 && !this.expectContinue) this.cutAlso(this.expectLine, this.expectEnd);
    this.end = this.endLine(this.at);
  }

  private endLine(at: number): number {
    this.bytes[at] = CR;
    this.bytes[at + 1] = LF;
    return at + 2;
  }

  /** Makes the request line, and Host where it was `:authority`, right before the first line. */
  private writeRequestLine(): void {
    const { bytes, starts, ends } = this;
    const path = starts[rules.PATH];
    const authority = starts[rules.AUTHORITY];
    const upgrade = this.upgradeEnd !== 0;
    const methodLength = upgrade ? GET.length : ends[rules.METHOD] - starts[rules.METHOD];
    const hostLength = authority < 0 ? 0 : HOST_NAME.length + ends[rules.AUTHORITY] - authority + 2;
    let at = this.linesAt - hostLength - VERSION.length - (ends[rules.PATH] - path) - 1 - methodLength;
    this.methodStart = at;
    at = upgrade
      ? copy(bytes, at, GET, 0, GET.length)
      : copy(bytes, at, bytes, starts[rules.METHOD], ends[rules.METHOD]);
    this.methodEnd = at;
    bytes[at++] = 32;
    this.targetStart = this.pathStart = at;
    this.pathEnd += at - path;
    at = this.targetEnd = copy(bytes, at, bytes, path, ends[rules.PATH]);
    at = copy(bytes, at, VERSION, 0, VERSION.length);
    if (authority < 0) return this.placeHost();
    this.hostLineStart = at;
    this.authorityStart = copy(bytes, at, HOST_NAME, 0, HOST_NAME.length);
    this.authorityEnd = copy(bytes, this.authorityStart, bytes, authority, ends[rules.AUTHORITY]);
    this.hostLineEnd = this.endLine(this.authorityEnd);
  }

  private placeHost(): void {
    this.hostLineStart = this.hostStart - HOST_NAME.length;
    this.hostLineEnd = this.hostEnd + 2;
    this.authorityStart = this.hostStart;
    this.authorityEnd = this.hostEnd;
  }
}

/** `*`, which only OPTIONS may ask (RFC 9113 §8.3.1). */
function isAsterisk(buf: Uint8Array, path: number, pathEnd: number, method: number, methodEnd: number): boolean {
  return pathEnd - path === 1 && buf[path] === 42 && same(buf, method, methodEnd, METHODS.options);
}
