import type { FailureCode } from '../core/failure.ts';
import type { FieldPlan } from '../core/types.ts';
import { ascii, BAD, CR, DONE, HEX, LF, SP, sameWord, VALUE } from './bytes.ts';
import { HeadScanner } from './fields.ts';
import type { HeadLimits, Known } from './names.ts';
import * as names from './names.ts';

const HTTP = ascii('HTTP/1.');
const TIMEOUT = ascii('timeout=');
/** The most seconds that an upstream's Keep-Alive may promise: a day. */
const MAX_TIMEOUT = 86_400;

/**
 * The fields that a response's scanner knows. Proxy-Authenticate and Proxy-Authentication-Info are cut: they speak to the next hop's
 * proxy credentials (RFC 9110 §11.7), and a gateway has none. Trailer stays, as in requests.
 */
const KNOWN: readonly Known[] = [
  ['connection', names.CONNECTION, true],
  ['content-length', names.CONTENT_LENGTH, false],
  ['transfer-encoding', names.TRANSFER_ENCODING, false],
  ['upgrade', names.UPGRADE, true],
  ['keep-alive', names.KEEP_ALIVE, true],
  ['proxy-connection', names.PLAIN, true],
  ['proxy-authenticate', names.PLAIN, true],
  ['proxy-authentication-info', names.PLAIN, true],
  ['te', names.PLAIN, true],
];

/** Scans response heads. One serves any number of connections, one head at a time; `fault` is always OO_BAD_RESPONSE. */
export class ResponseScanner extends HeadScanner {
  /** 100 to 599. */
  status = 0;
  /** Seconds that the upstream keeps an idle connection (`Keep-Alive: timeout=5`), at most a day; -1 where it does not say. */
  keepAliveTimeout = -1;

  constructor(plan: FieldPlan, limits: HeadLimits) {
    super(KNOWN, plan, limits);
    this.fault = 'OO_BAD_RESPONSE';
  }

  /**
   * Scans the head of a response in buf[start,end), from the start each time.
   * @returns MORE, DONE (the registers are set), BAD (more bytes won't mend it)
   */
  scan(buf: Uint8Array, start: number, end: number): number {
    const lim = this.begin(start, end);
    this.keepAliveTimeout = -1;
    const p = this.scanStatus(buf, start, lim);
    if (p <= 0) return p === 0 ? this.starve() : BAD;
    const result = this.scanFields(buf, p, lim);
    return result === DONE ? this.finish(buf, p) : result;
  }

  protected override refuse(_fault: FailureCode): number {
    return BAD;
  }

  /** @returns the index of the first field line, 0 for "bytes are missing", -1 for "refused" */
  private scanStatus(buf: Uint8Array, start: number, lim: number): number {
    let p = start;
    for (let i = 0; i < 7; i++, p++) {
      if (p >= lim) return 0;
      if (buf[p] !== HTTP[i]) return -1;
    }
    if (p >= lim) return 0;
    this.minor = buf[p++] - 48;
    if (this.minor !== 0 && this.minor !== 1) return -1;
    if (p >= lim) return 0;
    if (buf[p++] !== SP) return -1;
    let status = 0;
    for (let i = 0; i < 3; i++, p++) {
      if (p >= lim) return 0;
      const digit = HEX[buf[p]];
      if (digit > 9 || (i === 0 && (digit < 1 || digit > 5))) return -1;
      status = status * 10 + digit;
    }
    this.status = status;
    if (p >= lim) return 0;
    if (buf[p] === SP) while (p < lim && VALUE[buf[p]] === 1) p++;
    if (p >= lim) return 0;
    if (buf[p] !== CR) return -1;
    if (p + 1 >= lim) return 0;
    return buf[p + 1] === LF ? p + 2 : -1;
  }

  protected override onField(
    kind: number,
    buf: Uint8Array,
    _line: number,
    _next: number,
    start: number,
    end: number,
  ): number {
    if (kind === names.KEEP_ALIVE) this.keepAliveTimeout = readTimeout(buf, start, end);
    return DONE;
  }

  private finish(buf: Uint8Array, fields: number): number {
    const status = this.status;
    if (status < 200 || status === 204) {
      // RFC 9112 §6.1, RFC 9110 §8.6: neither may be here. `Content-Length: 0` is seen in the wild and says what is true: it is cut.
      if (this.chunked || this.contentLength > 0) return BAD;
      if (this.contentLength === 0) this.lateCut = this.lengthLine;
      this.contentLength = -1;
    }
    if (this.upgradeEnd !== 0 && (status !== 101 || this.minor === 0 || !this.sawUpgradeOption)) this.noUpgrade();
    this.settle(buf, fields);
    return DONE;
  }
}

function readTimeout(buf: Uint8Array, start: number, end: number): number {
  for (let p = start; p + TIMEOUT.length < end; p++) {
    if (!sameTimeout(buf, p) || (p > start && buf[p - 1] !== SP && buf[p - 1] !== 44)) continue;
    let seconds = -1;
    for (let i = p + TIMEOUT.length; i < end && HEX[buf[i]] <= 9; i++) {
      seconds = Math.min(Math.max(seconds, 0) * 10 + HEX[buf[i]], MAX_TIMEOUT);
    }
    return seconds;
  }
  return -1;
}

const NAME_PART = TIMEOUT.subarray(0, 7);
function sameTimeout(buf: Uint8Array, p: number): boolean {
  return buf[p + 7] === 61 && sameWord(buf, p, NAME_PART);
}
