import { createHash, randomBytes } from 'node:crypto';

/** RFC 6455 §1.3. */
const salt = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A Sec-WebSocket-Key: over HTTP/2 clients send none (RFC 8441 §5), and HTTP/1.1 needs one. */
export function webSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** The Sec-WebSocket-Accept that answers a key. */
export function webSocketAccept(key: string): string {
  return createHash('sha1')
    .update(key + salt)
    .digest('base64');
}

/**
 * Looks whether the response head buffer[start,end) accepts the WebSocket that the key was sent for.
 * @returns the range of the line that does, its CRLF included; undefined if none does, or several claim to
 */
export function findAccept(buffer: Buffer, start: number, end: number, key: string): [number, number] | undefined {
  const head = buffer.toString('latin1', start, end);
  const said = [...head.matchAll(/^sec-websocket-accept:[ \t]*([^\r\n]*?)[ \t]*\r\n/gim)];
  if (said.length !== 1 || said[0][1] !== webSocketAccept(key)) return undefined;
  const at = start + said[0].index;
  return [at, at + said[0][0].length];
}
