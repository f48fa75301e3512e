import net from 'node:net';
import tls from 'node:tls';
import type { Instance } from './instance.ts';

/** What a connection to an instance hears of its socket. */
export interface SocketOwner {
  /** Bytes have arrived in buffer[0,n). */
  read(buffer: Buffer, n: number): void;
  /** It is open, and, with TLS, its certificate is proven. */
  onConnected(): void;
  /** The upstream has ended its side. */
  onEnded(): void;
  onError(error: NodeJS.ErrnoException): void;
  onClosed(): void;
  /** `socket.setTimeout` was armed, and the time is over. */
  onStalled(): void;
}

type OwnedSocket = net.Socket & { owner: SocketOwner };

/**
 * Opens a connection to an instance. Over TLS, its certificate is verified for the target's own name, whatever the client asked for.
 * @param protocol what is asked for by ALPN
 * @param buffer what is read into; a function is asked after each read, and undefined means what it said before
 */
export function connectTo(
  { target, address, insecureSkipVerify, edge }: Instance,
  protocol: 'h2' | 'http/1.1',
  owner: SocketOwner,
  buffer: Buffer | (() => Buffer | undefined),
): net.Socket {
  const onread = { buffer: buffer as Buffer, callback: onChunk };
  const { lookup } = edge.pools;
  const options =
    target.socketPath === undefined
      ? { host: address || target.hostname, port: target.port, noDelay: true, allowHalfOpen: true, onread, lookup }
      : { path: target.socketPath, allowHalfOpen: true, onread };
  const socket = target.tls
    ? tls.connect({
        ...options,
        servername: net.isIP(target.hostname) ? '' : target.hostname,
        rejectUnauthorized: !insecureSkipVerify,
        ALPNProtocols: [protocol],
      })
    : net.connect(options);
  (socket as OwnedSocket).owner = owner;
  socket.on(target.tls ? 'secureConnect' : 'connect', onConnect);
  socket.on('end', onEnd);
  socket.on('error', onError);
  socket.on('close', onClose);
  socket.on('timeout', onTimeout);
  return socket;
}

function onChunk(this: net.Socket, n: number, buffer: Buffer): boolean {
  (this as OwnedSocket).owner.read(buffer, n);
  return true;
}

function onConnect(this: net.Socket): void {
  (this as OwnedSocket).owner.onConnected();
}

function onEnd(this: net.Socket): void {
  (this as OwnedSocket).owner.onEnded();
}

function onError(this: net.Socket, error: NodeJS.ErrnoException): void {
  (this as OwnedSocket).owner.onError(error);
}

function onClose(this: net.Socket): void {
  (this as OwnedSocket).owner.onClosed();
}

function onTimeout(this: net.Socket): void {
  (this as OwnedSocket).owner.onStalled();
}

/** What went wrong on a socket, in one line. OpenSSL's own errors are cut down to what they say of the matter. */
export function causeOf(error: NodeJS.ErrnoException): string {
  const reason = /:SSL routines:[^:]*:([^:]+):/.exec(error.message)?.[1];
  return reason === undefined ? error.message || error.code || 'error' : `TLS: ${reason}`;
}

/** Whether a TLS server has refused what was asked for by ALPN (RFC 7301 §3.2). */
export function isProtocolRefused(error: NodeJS.ErrnoException): boolean {
  return causeOf(error).endsWith('alert no application protocol');
}
