import { DONE } from '../http1/scan.ts';
import type { Downstream, ResponseRegisters, Upstream } from './downstream.ts';
import type { Rewrite } from './rewrite.ts';

/** An exchange, as what stands between it and its upstream sees it. */
export interface Encodable extends Downstream {
  up: Upstream | null;
  /** What the route's options make of the response's head; null: nothing, or not yet. */
  readonly responseRewrite: Rewrite | null;
  /** They have been at it. */
  rewritten: boolean;
}

/**
 * Gives an exchange a response's head that was written anew, with the first bytes of its body behind it, in one buffer that is nobody else's: both
 * leave in one write.
 * @param up the upstream, as the exchange knows it
 */
export function sendWithHead(
  exchange: Encodable,
  up: Upstream,
  head: Buffer,
  parts: readonly Buffer[],
  neverIndexed: boolean,
  closeDelimited = false,
): void {
  const all = parts.length === 0 ? head : Buffer.concat([head, ...parts]);
  if (!giveHead(exchange, up, all, head.length, neverIndexed, closeDelimited)) {
    up.destroy();
    return exchange.onUpstreamFailed(up, 'OO_BAD_RESPONSE', true);
  }
  // It may have been refused.
  if (exchange.up === up) exchange.onBody(all, head.length, all.length);
}

/**
 * Only the head: it can be taken back until the body's first bytes follow, which must be at once.
 * @returns false if it is found wrong, which only one can be that the route's options have made so
 */
export function giveHead(
  exchange: Encodable,
  up: Upstream,
  buffer: Buffer,
  headEnd: number,
  neverIndexed: boolean,
  closeDelimited: boolean,
): boolean {
  const scanner = up.instance.edge.responseScanner;
  if (scanner.scan(buffer, 0, headEnd) !== DONE) return false;
  const registers: ResponseRegisters = neverIndexed
    ? Object.assign(Object.create(scanner) as ResponseRegisters, { neverIndexed: true })
    : scanner;
  exchange.onResponse(buffer, 0, registers, closeDelimited);
  return true;
}
