import type { Rewrite } from './rewrite.ts';

/** What a response's head gets from us: lines with their CRLFs, '' for none. */
export interface ResponseLines {
  /** Strict-Transport-Security as the route says it. */
  readonly hsts: string;
  /** Set-Cookie, beside those of the upstream. */
  readonly cookie: string;
  /** What the route's options make of the upstream's own lines; null: nothing. */
  readonly rewrite: Rewrite | null;
}

/** Most heads get none. */
export const noLines: ResponseLines = Object.freeze({ hsts: '', cookie: '', rewrite: null });

/**
 * A response head with lines of ours. An upstream's own Strict-Transport-Security is taken out where the route says it (RFC 6797 §6.1 knows one
 * field).
 * @param buffer the head is buffer[from,to), its empty line included
 */
export function withLines(buffer: Buffer, from: number, to: number, { hsts, cookie, rewrite }: ResponseLines): Buffer {
  const own = buffer.toString('latin1', from, to - 2);
  const head = rewrite === null ? own : rewrite.response(own);
  const kept = hsts === '' ? head : head.replace(/^strict-transport-security:[^\n]*\n/gim, '');
  return Buffer.from(`${kept}${hsts}${cookie}\r\n`, 'latin1');
}
