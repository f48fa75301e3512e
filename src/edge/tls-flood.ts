/*
 * What a client sends for the sake of TLS alone (attack 44). A key update costs it next to nothing and us a hundred times as much;
 * OpenSSL takes them without end, answers each, and keeps the answers until they leave. Nobody is told of it. But such bytes bring no data.
 */

/** Bytes that are taken for granted: a hello of the largest kind, the end of a handshake, a thousand key updates. */
const grantedBytes = 64 * 1024;
/** A record of TLS 1.2 with a single byte of data has 29 more: whoever types into a tunnel sends such. */
const mostPerByte = 32;

/**
 * Whether a connection is flooded.
 * @param encrypted bytes that its client has sent so far
 * @param plain what of them was data
 * @param waiting encrypted bytes for the client that have not left
 * @param written data in them that was written, at least
 */
export function isTlsFlood(encrypted: number, plain: number, waiting: number, written: number): boolean {
  return encrypted > grantedBytes + mostPerByte * plain || waiting > grantedBytes + 2 * written;
}
