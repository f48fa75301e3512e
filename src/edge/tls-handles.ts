import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { direct, streamWrite } from './direct-write.ts';
import { landing } from './memory.ts';
import { TlsLine } from './tls-line.ts';
import { type Accept, type Answer, type Arrival, type ArrivalOwner, arrivals } from './tls-socket.ts';
import { openByCallback, tickets } from './tls-tickets.ts';

/*
 * TLS on the handles of accepted connections, by the private interfaces that Node's own sockets use. By the public ones a
 * handshake makes two streams and twenty listeners, each chunk that is read has a buffer of its own, and each write is pending
 * until the turn ends.
 */

interface Address {
  address?: string;
  port?: number;
}

interface ReadableHandle {
  onread: (this: this) => void;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
}

/** An accepted connection. */
export interface TcpHandle extends ReadableHandle {
  /** Who is told of it; also what keeps that from being collected, as long as the connection is open. */
  owner: HandleArrival | TlsLine;
  /** Bytes that the kernel has not taken. */
  readonly writeQueueSize: number;
  readonly bytesRead: number;
  setNoDelay(on: boolean): number;
  getpeername(into: Address): number;
  getsockname(into: Address): number;
  close(done?: () => void): void;
  reset(done?: () => void): number;
}

interface Listener {
  onconnection: (error: number, tcp: TcpHandle | undefined) => void;
}

/** A request to a handle; the handle tells of its end by `oncomplete`. */
export interface HandleRequest {
  line: TlsLine;
  oncomplete: (this: this, status: number) => void;
}

/** TLS on top of a `TcpHandle`. */
export interface TlsHandle extends ReadableHandle {
  line: TlsLine;
  /** Decrypted ones. */
  readonly bytesRead: number;
  /** Encrypted bytes that have not left. */
  readonly writeQueueSize: number;
  onhandshakestart: (this: TlsHandle) => void;
  onhandshakedone: (this: TlsHandle) => void;
  onerror: (this: TlsHandle) => void;
  setALPNProtocols(protocols: Buffer): void;
  getALPNNegotiatedProtocol(): string | false;
  receive(bytes: Buffer): void;
  writeBuffer(request: HandleRequest, view: Buffer): number;
  shutdown(request: HandleRequest): number;
  destroySSL(): void;
}

/** What comes from Node's inside. */
export interface Handles {
  readonly WriteWrap: new () => HandleRequest;
  readonly ShutdownWrap: new () => HandleRequest;
  readonly wrap: (tcp: TcpHandle, context: unknown, isServer: boolean, isBusy: boolean) => TlsHandle;
  /** Bytes of the read that `onread` is told of, or an error below 0. */
  readonly state: Int32Array;
  readonly readIndex: number;
  /** The error that is none. */
  readonly endOfStream: number;
}

let handles: Handles;

class HandleArrival implements Arrival {
  readonly peer: string;
  readonly localAddress: string;
  readonly localPort: number;
  owner!: ArrivalOwner;
  private readonly tcp: TcpHandle;
  /** Once TLS has begun. */
  private line: TlsLine | null = null;
  /** Once it is refused. */
  private socket: net.Socket | null = null;
  private gone = false;
  private readonly onGone = () => this.owner.onGone();

  constructor(tcp: TcpHandle) {
    const far: Address = {};
    const near: Address = {};
    tcp.getpeername(far);
    tcp.getsockname(near);
    this.tcp = tcp;
    this.peer = far.address ?? '';
    this.localAddress = near.address ?? '';
    this.localPort = near.port ?? 0;
  }

  start(owner: ArrivalOwner): void {
    const { tcp } = this;
    this.owner = owner;
    tcp.owner = this;
    tcp.setNoDelay(true);
    tcp.onread = onHello;
    tcp.useUserBuffer(landing);
    tcp.readStart();
  }

  pause(): void {
    this.tcp.readStop();
  }

  /** `n` bytes of the hello have come, or an end. */
  received(n: number): void {
    if (this.gone || n === 0) return;
    if (n > 0) this.owner.onBytes(landing.subarray(0, n));
    else this.owner.onGone();
  }

  begin(hello: Buffer, { context, protocols }: Answer): void {
    const { tcp } = this;
    const tls = handles.wrap(tcp, context.context, true, false);
    const line = new TlsLine(handles, tcp, tls);
    this.line = line;
    line.on('end', this.onGone).on('close', this.onGone);
    tls.onhandshakestart = noop;
    tls.onhandshakedone = () => this.secured(line, tls);
    tls.onerror = onFault;
    tls.setALPNProtocols(protocols);
    tls.receive(hello);
    if (!line.destroyed) tls.readStart();
  }

  private secured(line: TlsLine, tls: TlsHandle): void {
    // A client that begins another is cut, as by nginx. Were it told no, with a warning, it could have us write those without end.
    tls.onhandshakestart = onFault;
    tls.onhandshakedone = noop;
    this.tcp.owner = line;
    line.on('end', noop).on('close', noop);
    this.owner.onSecure(line as unknown as net.Socket, tls.getALPNNegotiatedProtocol() || '');
  }

  refuse(word: Buffer): void {
    // The socket starts it again itself.
    this.tcp.readStop();
    const onread = { buffer: landing, callback: () => true };
    const options = { handle: this.tcp, allowHalfOpen: true, onread } as unknown as net.SocketConstructorOpts;
    const socket = new net.Socket(options);
    this.socket = socket;
    for (const event of ['end', 'error', 'close']) socket.on(event, this.onGone);
    socket.resume();
    socket.end(word);
  }

  destroy(): void {
    if (this.gone) return;
    this.gone = true;
    if (this.line !== null) this.line.destroy();
    else if (this.socket !== null) this.socket.destroy();
    else this.tcp.close();
  }
}

const noop = (): void => {};

function onHello(this: TcpHandle): void {
  (this.owner as HandleArrival).received(handles.state[handles.readIndex]);
}

/** OpenSSL has found something wrong, and an alert has left if there is one for it; or the client has done what it may not. */
function onFault(this: TlsHandle): void {
  this.line.destroy();
}

const acceptHandles: Accept = (server, onArrival) => {
  server.once('listening', () => {
    const { _handle: listener } = server as unknown as { _handle: Listener };
    listener.onconnection = (error, tcp) => {
      if (tcp === undefined) server.emit('error', new Error(`accept: ${getSystemErrorName(error)}`));
      else onArrival(new HandleArrival(tcp));
    };
  });
};

/**
 * Lets TLS connections work on their handles. Only for the executable, which brings the Node that this is tested with.
 * @returns false where this Node has no such interfaces; nothing changes then
 */
export function useTlsHandles(): boolean {
  const found = findHandles();
  if (found === undefined) return false;
  handles = found;
  arrivals.accept = acceptHandles;
  tickets.open = openByCallback;
  direct.tls = (socket, view) =>
    (socket as unknown) instanceof TlsLine ? (socket as unknown as TlsLine).writeNow(view) : streamWrite(socket, view);
  return true;
}

function findHandles(): Handles | undefined {
  try {
    const { binding } = process as unknown as { binding(name: string): Record<string, unknown> };
    const stream = binding.call(process, 'stream_wrap');
    const tls = binding.call(process, 'tls_wrap') as { wrap?: unknown; TLSWrap?: { prototype: object } };
    const { UV_EOF: endOfStream } = binding.call(process, 'uv');
    const { WriteWrap, ShutdownWrap, streamBaseState: state, kReadBytesOrError: readIndex } = stream;
    const names = ['receive', 'writeBuffer', 'shutdown', 'setALPNProtocols', 'useUserBuffer', 'destroySSL', 'onread'];
    const isKnown =
      [WriteWrap, ShutdownWrap, tls.wrap].every((each) => typeof each === 'function') &&
      [readIndex, endOfStream].every(Number.isInteger) &&
      state instanceof Int32Array &&
      names.every((name) => tls.TLSWrap !== undefined && name in tls.TLSWrap.prototype);
    return isKnown
      ? ({ WriteWrap, ShutdownWrap, wrap: tls.wrap, state, readIndex, endOfStream } as Handles)
      : undefined;
  } catch {
    return undefined;
  }
}
