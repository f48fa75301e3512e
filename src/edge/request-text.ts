import type { RequestRegisters } from './request-head.ts';

/** The path of the scanned request as sent; '/' for an absolute target without one. */
export function pathText(buffer: Buffer, scanner: RequestRegisters): string {
  return scanner.pathStart === scanner.pathEnd ? '/' : buffer.toString('latin1', scanner.pathStart, scanner.pathEnd);
}

/** Method, host, target and protocol of the scanned request, as JSON members for the access log. */
export function describe(buffer: Buffer, scanner: RequestRegisters, protocol: string): string {
  const method = buffer.toString('latin1', scanner.methodStart, scanner.methodEnd);
  const host = buffer.toString('latin1', scanner.authorityStart, scanner.authorityEnd);
  const target = buffer.toString('latin1', scanner.targetStart, scanner.targetEnd);
  return `"method":${JSON.stringify(method)},"host":${JSON.stringify(host)},"target":${JSON.stringify(target)},"protocol":"${protocol}"`;
}

/** The value of Accept in a request head that was sent; '' if it has none. Only failures ask: the hot path keeps no string. */
export function acceptText(head: Buffer): string {
  return /^accept:[ \t]*([^\r\n]*)/im.exec(head.toString('latin1'))?.[1] ?? '';
}
