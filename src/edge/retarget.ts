import type { Target } from '../core/types.ts';

const space = 32;
const hostLine = '\r\nHost: ';

/** Most bytes that `retargetHead` can need for a head of `length`. */
export function retargetBound(length: number, to: Target): number {
  return length + to.basePath.length + to.authority.length;
}

/**
 * Writes the head of a request again that was written for another target of its pool: with this one's path before the request's own, and,
 * where Host is the target's, with this one's.
 * @param head as it was sent: an HTTP/1.1 head
 * @param hostIsTarget its Host was the target's; then it is its first field
 * @returns how many bytes of `out` were written
 */
export function retargetHead(out: Buffer, head: Buffer, from: Target, to: Target, hostIsTarget: boolean): number {
  if (from.basePath === to.basePath && (!hostIsTarget || from.authority === to.authority)) return head.copy(out);
  const path = head.indexOf(space) + 1;
  let at = head.copy(out, 0, 0, path);
  at += out.write(to.basePath, at, 'latin1');
  let rest = path + from.basePath.length;
  if (hostIsTarget) {
    const host = head.indexOf(hostLine, rest, 'latin1') + hostLine.length;
    at += head.copy(out, at, rest, host);
    at += out.write(to.authority, at, 'latin1');
    rest = host + from.authority.length;
  }
  return at + head.copy(out, at, rest);
}
