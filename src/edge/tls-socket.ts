import type net from 'node:net';
import tls from 'node:tls';
import { isTlsFlood } from './tls-flood.ts';

/** How a handshake is to be answered. */
export interface Answer {
  readonly context: tls.SecureContext;
  /** ALPN's wire form: each name behind its length. */
  readonly protocols: Buffer;
}

/** A connection to a TLS listener, until its handshake is done. */
export interface Arrival {
  readonly peer: string;
  readonly localAddress: string;
  readonly localPort: number;
  /** Begins to read. */
  start(owner: ArrivalOwner): void;
  /** Reads no more until `begin` or `refuse`. */
  pause(): void;
  /** Begins TLS. @param hello all bytes so far; may be overwritten once this returns */
  begin(hello: Buffer, answer: Answer): void;
  /** Sends a last word in the clear, and ends; what still comes is thrown away until `destroy`. */
  refuse(word: Buffer): void;
  destroy(): void;
}

/** Who is told of an arrival. */
export interface ArrivalOwner {
  /** Bytes before TLS has begun; they may be overwritten once this returns. */
  onBytes(chunk: Buffer): void;
  /**
   * The handshake is done. What the client sends goes to `socket.owner`, which is to be set before this returns. The socket's
   * `resetAndDestroy` cuts the connection without TLS's word of a proper end, so that what is cut is not taken for whole.
   * @param protocol by ALPN; '' if none was agreed on
   */
  onSecure(socket: net.Socket, protocol: string): void;
  /** The handshake has failed, or the client has left. */
  onGone(): void;
}

/** The socket of a client, and who takes what it has read; see `EdgeClient`. */
export type OwnedSocket = net.Socket & {
  owner: { read(buffer: Buffer, n: number): void };
  /** With TLS: whether the client sends much for the sake of TLS alone. */
  isFlooded?(): boolean;
};

/** Has `onArrival` called for each connection to a server. */
export type Accept = (server: net.Server, onArrival: (arrival: Arrival) => void) => void;

/** How arrivals are had: by Node's public API, unless the executable has set another way. */
export const arrivals: { accept: Accept } = { accept: acceptStreams };

/** The default. Each chunk has a buffer of its own. */
export function acceptStreams(server: net.Server, onArrival: (arrival: Arrival) => void): void {
  server.on('connection', (raw) => onArrival(new StreamArrival(raw)));
}

class StreamArrival implements Arrival {
  readonly peer: string;
  readonly localAddress: string;
  readonly localPort: number;
  private socket: net.Socket;
  private owner!: ArrivalOwner;
  private readonly onData = (chunk: Buffer) => this.owner.onBytes(chunk);
  private readonly onGone = () => this.owner.onGone();

  constructor(raw: net.Socket) {
    this.socket = raw;
    this.peer = raw.remoteAddress ?? '';
    this.localAddress = raw.localAddress ?? '';
    this.localPort = raw.localPort ?? 0;
  }

  start(owner: ArrivalOwner): void {
    this.owner = owner;
    this.socket.on('data', this.onData);
    for (const event of ['end', 'error', 'close']) this.socket.on(event, this.onGone);
  }

  pause(): void {
    this.socket.pause();
  }

  begin(hello: Buffer, { context, protocols }: Answer): void {
    const raw = this.socket;
    raw.off('data', this.onData);
    for (const event of ['end', 'error', 'close']) raw.off(event, this.onGone);
    raw.pause();
    raw.unshift(Buffer.from(hello));
    // A paused one stops reading with the next chunk: bytes that trickle in would put off the end of a client that takes none.
    const options = { isServer: true, secureContext: context, ALPNProtocols: protocols, highWaterMark: 1 };
    const socket = new tls.TLSSocket(raw, options);
    this.socket = socket;
    socket.disableRenegotiation();
    socket.resetAndDestroy = () => {
      raw.resetAndDestroy();
      return socket.destroy();
    };
    (socket as unknown as OwnedSocket).isFlooded = () => isTlsFlood(raw.bytesRead, socket.bytesRead, 0, 0);
    for (const event of ['end', 'close']) socket.on(event, this.onGone);
    // What OpenSSL finds wrong once the handshake is done is told by this event only, and Node leaves the connection open.
    socket.on('_tlsError', () => socket.destroy());
    socket.once('secure', () => {
      for (const event of ['end', 'close']) socket.off(event, this.onGone);
      this.owner.onSecure(socket, socket.alpnProtocol || '');
      const { owner } = socket as unknown as OwnedSocket;
      if (!socket.destroyed) socket.on('data', (chunk: Buffer) => owner.read(chunk, chunk.length));
    });
  }

  refuse(word: Buffer): void {
    this.socket.off('data', this.onData);
    this.socket.resume();
    this.socket.end(word);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
