import type net from 'node:net';
import tls from 'node:tls';
import type { OnChunk } from './accept.ts';

/** How a handshake is to be answered. */
export interface Answer {
  readonly context: tls.SecureContext;
  /** ALPN's wire form: each name behind its length. */
  readonly protocols: Buffer;
}

/** What is told of it. */
export interface SecureEvents {
  /** The handshake is done; bytes may follow at once. */
  readonly onSecure: (this: tls.TLSSocket) => void;
  /** The handshake has failed, or the client has left before it was done. The socket is destroyed. */
  readonly onFailed: (this: tls.TLSSocket) => void;
  readonly onChunk: OnChunk;
}

/**
 * Begins TLS, as the server, on an accepted connection that `hello` has been read from.
 * @param raw nobody else listens to it any more, or writes to it
 * @param hello the client's first bytes; may be overwritten once this returns
 * @returns the socket. Its `resetAndDestroy` cuts the connection without TLS's word of a proper end, so that what is cut can't
 *   be taken for whole.
 */
export type Begin = (raw: net.Socket, hello: Buffer, answer: Answer, events: SecureEvents) => tls.TLSSocket;

/** By Node's public API: the default. Each chunk has a buffer of its own. */
export const streamBegin: Begin = (raw, hello, { context, protocols }, { onSecure, onFailed, onChunk }) => {
  raw.pause();
  raw.unshift(Buffer.from(hello));
  // A paused one stops reading with the next chunk: bytes that trickle in would put off the end of a client that takes none.
  const options = { isServer: true, secureContext: context, ALPNProtocols: protocols, highWaterMark: 1 };
  const socket = new tls.TLSSocket(raw, options);
  socket.resetAndDestroy = () => {
    raw.resetAndDestroy();
    return socket.destroy();
  };
  socket.on('close', onFailed);
  // What OpenSSL finds wrong once the handshake is done is told by this event only, and Node leaves the connection open then.
  socket.on('_tlsError', () => socket.destroy());
  socket.once('secure', () => {
    socket.off('close', onFailed);
    onSecure.call(socket);
    if (!socket.destroyed) socket.on('data', (chunk: Buffer) => onChunk.call(socket, chunk.length, chunk));
  });
  return socket;
};

/** What the data path begins TLS with. */
export const secure: { begin: Begin } = { begin: streamBegin };
