import { insertCut } from '../http1/lines.ts';
import type { RequestRegisters } from './request-head.ts';

/** What an exchange of HTTP/2 reads of a head beside the registers. */
export type Http2Head = RequestRegisters & {
  readonly bytes: Uint8Array;
  readonly trailersWelcome: boolean;
  /** A field of it came never to be indexed (RFC 7541 §7.1.3). */
  readonly neverIndexed: boolean;
};

/** Bytes before the head, so that no range in it starts at 0, which means that it is absent. */
const lead = 1;

/**
 * The head of a request that waits, copied out of the one that all requests share. HTTP/1.1's is scanned again instead; HTTP/2's can't be: its
 * compression has moved on.
 */
export class KeptHead implements Http2Head {
  readonly bytes: Buffer;
  readonly methodStart: number;
  readonly methodEnd: number;
  readonly method: number;
  readonly idempotent: boolean;
  readonly targetStart: number;
  readonly targetEnd: number;
  readonly form: number;
  readonly pathStart: number;
  readonly pathEnd: number;
  readonly plainPath: boolean;
  readonly absoluteTls: boolean;
  readonly authorityStart: number;
  readonly authorityEnd: number;
  readonly hostLineStart: number;
  readonly hostLineEnd: number;
  readonly expectContinue: boolean;
  readonly acceptStart: number;
  readonly acceptEnd: number;
  readonly end: number;
  readonly minor: number;
  readonly contentLength: number;
  readonly chunked: boolean;
  readonly upgradeStart: number;
  readonly upgradeEnd: number;
  readonly cuts: Int32Array;
  cutCount: number;
  readonly captures: Int32Array;
  readonly captureCount: number;
  readonly trailersWelcome: boolean;
  readonly neverIndexed: boolean;

  constructor(head: Http2Head) {
    const { methodStart, end, upgradeStart, upgradeEnd } = head;
    const back = methodStart - lead;
    // What is upgraded to stands outside of the head.
    const bytes = Buffer.allocUnsafe(end - back + upgradeEnd - upgradeStart);
    bytes.set(head.bytes.subarray(methodStart, end), lead);
    bytes.set(head.bytes.subarray(upgradeStart, upgradeEnd), end - back);
    const moved = (at: number) => (at === 0 ? 0 : at - back);
    this.bytes = bytes;
    this.methodStart = lead;
    this.methodEnd = moved(head.methodEnd);
    this.method = head.method;
    this.idempotent = head.idempotent;
    this.targetStart = moved(head.targetStart);
    this.targetEnd = moved(head.targetEnd);
    this.form = head.form;
    this.pathStart = moved(head.pathStart);
    this.pathEnd = moved(head.pathEnd);
    this.plainPath = head.plainPath;
    this.absoluteTls = head.absoluteTls;
    this.authorityStart = moved(head.authorityStart);
    this.authorityEnd = moved(head.authorityEnd);
    this.hostLineStart = moved(head.hostLineStart);
    this.hostLineEnd = moved(head.hostLineEnd);
    this.expectContinue = head.expectContinue;
    this.acceptStart = moved(head.acceptStart);
    this.acceptEnd = moved(head.acceptEnd);
    this.end = moved(end);
    this.minor = head.minor;
    this.contentLength = head.contentLength;
    this.chunked = head.chunked;
    this.upgradeStart = upgradeEnd === 0 ? 0 : this.end;
    this.upgradeEnd = upgradeEnd === 0 ? 0 : bytes.length;
    // One more may be cut: Host's line.
    this.cuts = new Int32Array(head.cutCount + 2);
    for (let i = 0; i < head.cutCount; i++) this.cuts[i] = moved(head.cuts[i]);
    this.cutCount = head.cutCount;
    this.captures = head.captures.slice(0, head.captureCount);
    for (let i = 0; i < head.captureCount; i += 3) {
      this.captures[i + 1] = moved(this.captures[i + 1]);
      this.captures[i + 2] = moved(this.captures[i + 2]);
    }
    this.captureCount = head.captureCount;
    this.trailersWelcome = head.trailersWelcome;
    this.neverIndexed = head.neverIndexed;
  }

  /** As http1's scanner does. */
  cutAlso(start: number, end: number): void {
    this.cutCount = insertCut(this.cuts, this.cutCount, start, end);
  }
}
