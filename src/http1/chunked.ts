import { COLON, CR, HEX, LF, SEMICOLON, TOKEN, VALUE } from './bytes.ts';
import { isTrailerRefused, type TrailerFilter } from './trailers.ts';

export const MORE_BODY = -1;
export const BAD_BODY = -2;

/** 16^13 is exact in a double. */
const MAX_SIZE_DIGITS = 13;
/** Extensions are dropped; so many bytes of them are put up with, in one chunk and in a body. */
const MAX_EXTENSION_BYTES = 256;
const MAX_EXTENSIONS_BYTES = 16_384;
/** The trailer section, and its fields. */
const MAX_TRAILER_BYTES = 8_192;
const MAX_TRAILERS = 64;
/** From so many bytes on `copyWithin` beats a loop. */
const MOVE_FROM = 24;

const SIZE_FIRST = 0;
const SIZE = 1;
const EXT_START = 2;
const EXT_NAME = 3;
const EXT_VALUE = 4;
const EXT_TOKEN = 5;
const EXT_QUOTED = 6;
const EXT_ESCAPED = 7;
const EXT_UNQUOTED = 8;
const SIZE_LF = 9;
const DATA = 10;
const DATA_CR = 11;
const DATA_LF = 12;
const TRAILER_FIRST = 13;
const TRAILER_NAME = 14;
const TRAILER_VALUE = 15;
const TRAILER_LF = 16;
const LAST_LF = 17;
const OVER = 18;

const QUOTE = 34;
const EQUALS = 61;
const BACKSLASH = 92;
const END = Uint8Array.of(CR, LF);

/**
 * Follows a chunked body (RFC 9112 §7.1) through the buffers that it comes in, strictly: no white space, no bare CR or LF.
 * What must be forwarded is made one range of each buffer, in place. Chunk extensions are dropped. The trailer section is held back
 * until it is whole, and only its harmless fields go on, in `tail`.
 */
export class ChunkedBody {
  /** After `feed`: the range of the buffer to forward; empty if from === to. */
  from = 0;
  to = 0;
  /** Bytes of payload so far. */
  payload = 0;
  /** Set when the body ended with trailers: the kept ones and the last CRLF. Framed, they are to be sent after [from,to). */
  tail: Uint8Array | null = null;

  private decode: boolean;
  private readonly refused: TrailerFilter;
  private state = SIZE_FIRST;
  private left = 0;
  private digits = 0;
  private extension = 0;
  private extensions = 0;
  private trailers = 0;
  private trailerBytes = 0;
  private held: Uint8Array | null = null;
  private heldEnd = 0;
  private heldLine = 0;
  private dropping = false;

  /**
   * @param decode strip the framing, or pass it through
   * @param refused which trailers are dropped
   */
  constructor(decode: boolean, refused: TrailerFilter = isTrailerRefused) {
    this.decode = decode;
    this.refused = refused;
  }

  /** Makes it ready for another body. */
  reset(decode: boolean): void {
    this.decode = decode;
    this.payload = 0;
    this.tail = null;
    this.state = SIZE_FIRST;
    this.left = 0;
    this.digits = 0;
    this.extension = 0;
    this.extensions = 0;
    this.trailers = 0;
    this.trailerBytes = 0;
    this.held = null;
    this.heldEnd = 0;
    this.heldLine = 0;
  }

  /**
   * Takes buf[start,end), and rewrites it in place, only leftwards, where something is left out. Bytes after the body stay untouched.
   * @returns the index after the body's last byte, MORE_BODY, or BAD_BODY: then nothing more may be forwarded and both sides be closed
   */
  feed(buf: Uint8Array, start: number, end: number): number {
    const framing = !this.decode;
    let state = this.state;
    let left = this.left;
    let p = start;
    // Where the bytes that are kept began; -1 while bytes are left out.
    let run = -1;
    this.from = start;
    this.to = start;
    if (state === DATA) run = start;
    else if (framing && (state < EXT_START || (state >= SIZE_LF && state <= TRAILER_FIRST) || state === LAST_LF))
      run = start;
    // From the first trailer on nothing of the buffer is kept.
    if (this.trailers > 0) run = -1;
    while (p < end) {
      switch (state) {
        case SIZE_FIRST:
        case SIZE: {
          const c = buf[p];
          const digit = HEX[c];
          if (digit !== 255) {
            if (++this.digits > MAX_SIZE_DIGITS) return this.refuse();
            left = left * 16 + digit;
            state = SIZE;
          } else if (state === SIZE_FIRST) return this.refuse();
          else if (c === CR) state = SIZE_LF;
          else if (c === SEMICOLON) {
            if (run >= 0) this.keep(buf, run, p);
            run = -1;
            this.extension = 1;
            if (++this.extensions > MAX_EXTENSIONS_BYTES) return this.refuse();
            state = EXT_START;
          } else return this.refuse();
          p++;
          break;
        }
        case SIZE_LF:
          if (buf[p++] !== LF) return this.refuse();
          this.digits = 0;
          state = left === 0 ? TRAILER_FIRST : DATA;
          if (run < 0 && state === DATA) run = p;
          break;
        case DATA: {
          const n = Math.min(left, end - p);
          p += n;
          left -= n;
          this.payload += n;
          if (left > 0) break;
          state = DATA_CR;
          if (!framing) {
            this.keep(buf, run, p);
            run = -1;
          }
          break;
        }
        case DATA_CR:
          if (buf[p++] !== CR) return this.refuse();
          state = DATA_LF;
          break;
        case DATA_LF:
          if (buf[p++] !== LF) return this.refuse();
          state = SIZE_FIRST;
          break;
        case TRAILER_FIRST:
          if (buf[p] === CR) state = LAST_LF;
          else {
            if (++this.trailers > MAX_TRAILERS) return this.refuse();
            if (run >= 0) this.keep(buf, run, p);
            run = -1;
            if (this.held === null) this.held = new Uint8Array(MAX_TRAILER_BYTES + END.length);
            this.heldLine = this.heldEnd;
            state = TRAILER_NAME;
            break;
          }
          p++;
          break;
        case LAST_LF:
          if (buf[p++] !== LF) return this.refuse();
          if (run >= 0) this.keep(buf, run, p);
          if (this.held !== null) {
            this.held.set(END, this.heldEnd);
            this.tail = this.held.subarray(0, this.heldEnd + END.length);
          }
          this.state = OVER;
          return p;
        case TRAILER_NAME:
        case TRAILER_VALUE:
        case TRAILER_LF:
          state = this.hold(buf[p++], state);
          if (state === OVER) return this.refuse();
          break;
        case OVER:
          return this.refuse();
        default: {
          // In an extension. RFC 9112 §7.1.1 lets "bad" white space stand around it; nobody sends it, so it is refused.
          const c = buf[p];
          state = this.extend(c, state);
          if (state === OVER) return this.refuse();
          if (state === SIZE_LF && framing) run = p;
          p++;
        }
      }
    }
    if (run >= 0) this.keep(buf, run, end);
    this.state = state;
    this.left = left;
    return MORE_BODY;
  }

  private refuse(): number {
    this.state = OVER;
    this.to = this.from;
    return BAD_BODY;
  }

  /** Adds buf[start,end) to what is forwarded. Each byte moves once a feed at most, so the time stays linear. */
  private keep(buf: Uint8Array, start: number, end: number): void {
    const to = this.to;
    if (to === this.from) this.from = start;
    else if (to !== start) {
      const length = end - start;
      if (length >= MOVE_FROM) buf.copyWithin(to, start, end);
      else for (let i = 0; i < length; i++) buf[to + i] = buf[start + i];
      this.to = to + length;
      return;
    }
    this.to = end;
  }

  /** `;name`, `;name=token` or `;name="quoted"`. @returns the next state, OVER for a fault */
  private extend(c: number, state: number): number {
    if (c === CR && (state === EXT_NAME || state === EXT_TOKEN || state === EXT_UNQUOTED)) return SIZE_LF;
    if (++this.extension > MAX_EXTENSION_BYTES || ++this.extensions > MAX_EXTENSIONS_BYTES) return OVER;
    switch (state) {
      case EXT_START:
        return TOKEN[c] !== 0 ? EXT_NAME : OVER;
      case EXT_NAME:
        if (c === EQUALS) return EXT_VALUE;
        return TOKEN[c] !== 0 ? EXT_NAME : c === SEMICOLON ? EXT_START : OVER;
      case EXT_VALUE:
        return TOKEN[c] !== 0 ? EXT_TOKEN : c === QUOTE ? EXT_QUOTED : OVER;
      case EXT_TOKEN:
        return TOKEN[c] !== 0 ? EXT_TOKEN : c === SEMICOLON ? EXT_START : OVER;
      case EXT_QUOTED:
        if (c === QUOTE) return EXT_UNQUOTED;
        return VALUE[c] === 0 ? OVER : c === BACKSLASH ? EXT_ESCAPED : EXT_QUOTED;
      case EXT_ESCAPED:
        return VALUE[c] === 0 ? OVER : EXT_QUOTED;
      default:
        return c === SEMICOLON ? EXT_START : OVER;
    }
  }

  /** One byte of a trailer line. @returns the next state, OVER for a fault */
  private hold(c: number, state: number): number {
    const held = this.held!;
    if (++this.trailerBytes > MAX_TRAILER_BYTES) return OVER;
    held[this.heldEnd++] = c;
    if (state === TRAILER_NAME) {
      if (TOKEN[c] !== 0) return TRAILER_NAME;
      const nameEnd = this.heldEnd - 1;
      if (c !== COLON || nameEnd === this.heldLine) return OVER;
      this.dropping = this.refused(held, this.heldLine, nameEnd);
      return TRAILER_VALUE;
    }
    if (state === TRAILER_VALUE) return VALUE[c] === 1 ? TRAILER_VALUE : c === CR ? TRAILER_LF : OVER;
    if (c !== LF) return OVER;
    if (this.dropping) this.heldEnd = this.heldLine;
    return TRAILER_FIRST;
  }
}
