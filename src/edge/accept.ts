import net from 'node:net';
import { landing, nextBuffer } from './memory.ts';

/** Called for each chunk; `this` is the socket. Everything it is given may be overwritten once it returns. */
export type OnChunk = (this: net.Socket, bytes: number, buffer: Buffer) => boolean;

/** What an accepted connection is, before it is read. */
export type OnAccept = (socket: net.Socket, peer: string, localPort: number) => void;

type WithHandle = net.Socket & { _handle?: unknown };

/** Whether accepted sockets give their handles away; a Node where they have none is read by its public way. For tests. */
export const accepting = { handles: true };

/**
 * A TCP server whose sockets read into shared buffers. Node's own server offers `onread` only for outgoing sockets, so
 * each accepted one hands its handle to a socket made with it; this file alone knows of that handle.
 * @param unix it listens on a unix socket, where peers have no address: it is ''
 */
export function createSharedBufferServer(onChunk: OnChunk, onAccept: OnAccept, unix = false): net.Server {
  const onread = { buffer: () => nextBuffer.value as Buffer, callback: onChunk };
  return net.createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, (accepted) => {
    const peer = unix ? '' : accepted.remoteAddress;
    const localPort = accepted.localPort ?? 0;
    const handle = (accepted as WithHandle)._handle;
    // A client that left before it was accepted has no address any more.
    if (peer === undefined || handle === null) return void accepted.destroy();
    if (handle === undefined || !accepting.handles) return acceptStream(accepted, peer, localPort, onChunk, onAccept);
    (accepted as WithHandle)._handle = null;
    // The new socket asks for its first buffer at once; the value there is the last reader's.
    nextBuffer.value = landing;
    const options = { handle, onread, allowHalfOpen: true } as unknown as net.SocketConstructorOpts;
    const socket = new net.Socket(options);
    onAccept(socket, peer, localPort);
    socket.resume();
  });
}

/** Each chunk has a buffer of its own. */
function acceptStream(socket: net.Socket, peer: string, localPort: number, onChunk: OnChunk, onAccept: OnAccept): void {
  onAccept(socket, peer, localPort);
  socket.on('data', (chunk: Buffer) => void onChunk.call(socket, chunk.length, chunk));
  socket.resume();
}
