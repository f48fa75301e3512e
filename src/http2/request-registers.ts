import type { FailureCode } from '../core/failure.ts';
import type { RequestScanner } from '../http1/scan.ts';
import { type BlockLimits, FieldBlock } from './block.ts';

/** The most that a request's head may have; cookie crumbs count apart, since browsers send each cookie as a field. */
export interface RequestLimits extends BlockLimits {
  readonly maxTargetBytes: number;
}

type Registers = Pick<
  RequestScanner,
  | ('methodStart' | 'methodEnd' | 'method' | 'idempotent' | 'targetStart' | 'targetEnd' | 'form')
  | ('pathStart' | 'pathEnd' | 'plainPath' | 'absoluteTls' | 'authorityStart' | 'authorityEnd')
  | ('hostLineStart' | 'hostLineEnd' | 'expectContinue' | 'acceptStart' | 'acceptEnd' | 'end' | 'minor')
  | ('contentLength' | 'chunked' | 'keepAlive' | 'upgradeStart' | 'upgradeEnd' | 'codingLineStart' | 'codingLineEnd')
  | ('cuts' | 'cutCount' | 'cutAlso' | 'captures' | 'captureCount' | 'fault')
>;

/**
 * What a request's head has come to: the registers of http1's scanner, by the same names, as far as an exchange reads them. The ranges
 * lie in `bytes`; one that is absent is 0,0.
 */
export abstract class RequestRegisters extends FieldBlock implements Registers {
  methodStart = 0;
  methodEnd = 0;
  /** One of http1's METHOD constants. */
  method = 0;
  idempotent = false;
  targetStart = 0;
  targetEnd = 0;
  /** One of http1's FORM constants: origin or asterisk. */
  form = 0;
  pathStart = 0;
  pathEnd = 0;
  plainPath = true;
  /** Was `:scheme` https? */
  absoluteTls = false;
  authorityStart = 0;
  authorityEnd = 0;
  hostLineStart = 0;
  hostLineEnd = 0;
  expectContinue = false;
  acceptStart = 0;
  acceptEnd = 0;
  /** The index after the empty line. */
  end = 0;
  readonly minor = 1;
  /** -1: no Content-Length. */
  contentLength = -1;
  /** A body comes whose length nobody knows: its line is in the head. */
  chunked = false;
  readonly keepAlive = true;
  /** An extended CONNECT's protocol (RFC 8441 §4), `websocket`. It is no line of the head. */
  upgradeStart = 0;
  upgradeEnd = 0;
  codingLineStart = 0;
  codingLineEnd = 0;
  /** Lines that are in the head and are not to be forwarded: those captured, and those that only its end told to drop. */
  readonly cuts: Int32Array;
  cutCount = 0;
  readonly captures: Int32Array;
  captureCount = 0;
  /** `TE: trailers` was sent, which gRPC needs at each hop. */
  trailersWelcome = false;
  /** After REFUSED: the answer. */
  fault: FailureCode = 'OO_BAD_REQUEST';
  protected readonly maxTargetBytes: number;

  /** @param head bytes before the lines */
  constructor(limits: RequestLimits, head: number, allocate: (bytes: number) => Uint8Array) {
    super(limits, head, allocate);
    this.maxTargetBytes = limits.maxTargetBytes;
    this.cuts = new Int32Array(limits.maxFields * 2);
    this.captures = new Int32Array(limits.maxFields * 3);
  }

  override begin(): void {
    super.begin();
    this.contentLength = -1;
    this.chunked = false;
    this.expectContinue = false;
    this.acceptStart = 0;
    this.acceptEnd = 0;
    this.cutCount = 0;
    this.captureCount = 0;
    this.trailersWelcome = false;
    this.upgradeStart = 0;
    this.upgradeEnd = 0;
    this.hostLineStart = 0;
    this.hostLineEnd = 0;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    this.codingLineStart = 0;
    this.codingLineEnd = 0;
  }

  /** Adds a line that is not to be forwarded after all: as http1's scanner does. */
  cutAlso(start: number, end: number): void {
    const { cuts } = this;
    let i = this.cutCount;
    for (; i > 0 && cuts[i - 2] > start; i -= 2) {
      cuts[i] = cuts[i - 2];
      cuts[i + 1] = cuts[i - 1];
    }
    cuts[i] = start;
    cuts[i + 1] = end;
    this.cutCount += 2;
  }
}
