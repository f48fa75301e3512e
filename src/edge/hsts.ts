/**
 * A response head with Strict-Transport-Security as the route says it: an upstream's own is taken out (RFC 6797 §6.1 knows one field).
 * @param buffer the head is buffer[from,to), its empty line included
 * @param line with its CRLF
 */
export function withHsts(buffer: Buffer, from: number, to: number, line: string): Buffer {
  const kept = buffer.toString('latin1', from, to - 2).replace(/^strict-transport-security:[^\n]*\n/gim, '');
  return Buffer.from(`${kept}${line}\r\n`, 'latin1');
}
