const contentType = Buffer.from('\ncontent-type:');
const grpc = 'application/grpc';

/**
 * Whether a request is gRPC's own protocol, which nothing but HTTP/2 carries; gRPC-Web is not.
 * @param buffer its HTTP/1.1 head is buffer[start,end), with field names in lower case
 */
export function isGrpc(buffer: Buffer, start: number, end: number): boolean {
  const at = buffer.subarray(start, end).indexOf(contentType);
  if (at < 0) return false;
  const from = start + at + contentType.length;
  const value = buffer.toString('latin1', from, Math.min(end, from + grpc.length + 16)).trimStart();
  return /^application\/grpc(?:[+;\s]|$)/i.test(value);
}
