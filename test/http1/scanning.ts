import type { FieldPlan } from '../../src/core/types.ts';
import { BAD_BODY, ChunkedBody, MORE_BODY } from '../../src/http1/chunked.ts';
import { copyKept, leaveOut } from '../../src/http1/lines.ts';
import { BAD, DONE, type HeadLimits, MORE, RequestScanner, ResponseScanner } from '../../src/http1/scan.ts';

export const plan: FieldPlan = {
  drop: ['x-real-ip', 'forwarded'],
  dropPrefixes: ['x-forwarded-', 'x-oo-'],
  capture: ['x-forwarded-for', 'x-forwarded-proto'],
  keepUnderscores: false,
};
export const limits: HeadLimits = { maxHeadBytes: 8192, maxFields: 64, maxTargetBytes: 2048 };

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** `GET / HTTP/1.1`, a Host, and these lines, each without its CRLF. */
export const get = (...lines: string[]): string =>
  `GET / HTTP/1.1\r\nHost: a.test\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
export const post = (...lines: string[]): string => get(...lines).replace('GET', 'POST');
/** `HTTP/1.1 200 OK` and these lines. */
export const answer = (...lines: string[]): string =>
  `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

/** Puts `text` in the middle of a larger buffer, so that an index counted from 0, or a look past the end, shows. */
export function placed(text: string): { buf: Buffer; start: number; end: number } {
  const buf = bytes(`\r\n\r\n!${text}\r\n\r\nX`);
  return { buf, start: 5, end: buf.length - 5 };
}

export type Scan<S> = S & { readonly buf: Buffer; readonly result: number; str(start: number, end: number): string };

function scanWith<S extends RequestScanner | ResponseScanner>(scanner: S, text: string): Scan<S> {
  const { buf, start, end } = placed(text);
  const result = scanner.scan(buf, start, end);
  return Object.assign(scanner, { buf, result, str: (a: number, b: number) => buf.toString('latin1', a, b) });
}

export const request = (text: string, p = plan, l = limits): Scan<RequestScanner> =>
  scanWith(new RequestScanner(p, l), text);
export const response = (text: string, p = plan, l = limits): Scan<ResponseScanner> =>
  scanWith(new ResponseScanner(p, l), text);

/** 'MORE', 'DONE', or the fault. */
export function verdict(scan: Scan<RequestScanner | ResponseScanner>): string {
  return scan.result === MORE ? 'MORE' : scan.result === DONE ? 'DONE' : scan.result === BAD ? scan.fault : '?';
}

/** The head as it would be forwarded; both ways of leaving lines out must agree. */
export function kept(scan: Scan<RequestScanner | ResponseScanner>): string {
  const start = 'methodStart' in scan ? scan.methodStart : 5;
  const { buf, end, cuts, cutCount } = scan;
  const out = new Uint8Array(end - start + 3);
  const to = copyKept(out, 3, buf, start, end, cuts, cutCount);
  const moved = Buffer.from(buf);
  const from = leaveOut(moved, start, end, cuts, cutCount);
  const one = Buffer.from(out).toString('latin1', 3, to);
  const other = moved.toString('latin1', from, end);
  if (one !== other) throw new Error(`copyKept and leaveOut differ: ${JSON.stringify([one, other])}`);
  return one;
}

export interface Fed {
  /** 'MORE', 'BAD', or the number of bytes that the body took. */
  readonly result: 'MORE' | 'BAD' | number;
  readonly forwarded: string;
  readonly payload: number;
  /** What was held back in `tail`. Framed, it is a part of `forwarded`, too. */
  readonly tail: string | null;
}

/** Feeds a body in the given pieces; each stands in its own buffer, with other bytes around it that must stay. */
export function feed(pieces: readonly string[], decode = false, body = new ChunkedBody(decode)): Fed {
  let forwarded = '';
  let taken = 0;
  for (const piece of pieces) {
    const { buf, start, end } = placed(piece);
    const next = body.feed(buf, start, end);
    const done = next >= 0 ? next : end;
    if (
      buf.toString('latin1', 0, start) !== '\r\n\r\n!' ||
      buf.toString('latin1', done) !== placed(piece).buf.toString('latin1', done)
    ) {
      throw new Error('bytes outside the body were changed');
    }
    if (body.from < start || body.to > done || body.from > body.to) throw new Error('the range lies outside the body');
    forwarded += buf.toString('latin1', body.from, body.to);
    if (next === BAD_BODY) return { result: 'BAD', forwarded, payload: body.payload, tail: null };
    if (next !== MORE_BODY) {
      const tail = body.tail === null ? null : Buffer.from(body.tail).toString('latin1');
      if (!decode) forwarded += tail ?? '';
      return { result: taken + next - start, forwarded, payload: body.payload, tail };
    }
    taken += piece.length;
  }
  return { result: 'MORE', forwarded, payload: body.payload, tail: null };
}

/** A generator of numbers below n, from a seed (mulberry32). */
export function random(seed: number): (n: number) => number {
  let a = seed >>> 0;
  return (n) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}
