import tls from 'node:tls';
import type { OnChunk } from './accept.ts';
import { direct, type StreamHandle, streamBinding, streamWrite, type WriteRequest } from './direct-write.ts';
import { landing } from './memory.ts';
import { type Answer, type Begin, secure } from './tls-socket.ts';

/*
 * TLS on the handle of an accepted socket, by the private interfaces that Node's own TLS sockets use. By the public ones each
 * chunk that is read has a buffer of its own and passes through a stream, and each write is pending until the turn ends.
 */

interface TcpHandle {
  readonly writeQueueSize: number;
  reset(done: () => void): number;
}

interface TlsHandle extends StreamHandle {
  readonly writeQueueSize: number;
  receive(bytes: Buffer): void;
  close(done: () => void): void;
  reset?(done: () => void): number;
}

type Callback = (error?: Error | null) => void;

/** What Node's sockets have and its types lack. */
interface Inner {
  _handle: TlsHandle | null;
  _tlsOptions: { tcp: TcpHandle };
  connecting: boolean;
  resetAndClosing: boolean;
  _releaseControl(): boolean;
  _unrefTimer(): void;
  _wrapHandle(wrap: null, handle: TcpHandle, busy: boolean): TlsHandle;
  _writeGeneric(many: boolean, data: unknown, encoding: string, done: Callback): void;
  _final(done: Callback): void;
}

const inner = (socket: tls.TLSSocket) => socket as unknown as Inner;
const parent = inner(tls.TLSSocket.prototype);
const tlsSocket = tls.TLSSocket as unknown as new (socket: undefined, options: object) => tls.TLSSocket;

let WriteWrap: new () => WriteRequest;

type DirectRequest = WriteRequest & { socket: HandleSocket };

/** The server's side of a TLS connection, on a TCP handle that it takes over. */
class HandleSocket extends tlsSocket {
  private readonly tcp: TcpHandle;
  /** A direct write is under way: OpenSSL's stream takes one at a time. */
  private writing: boolean;
  /** What Node's stream wants to do after it. */
  private held: (() => void) | null;
  /** Bytes that the kernel had not taken when the time-out was last looked at. */
  private waiting: number;

  constructor(tcp: TcpHandle, { context, protocols }: Answer, onChunk: OnChunk) {
    super(undefined, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: protocols,
      allowHalfOpen: true,
      // Always the buffer that all clients share: what is decrypted already comes even to a paused socket, and may not
      // land on what is still being written.
      onread: { buffer: landing, callback: onChunk },
      tcp,
    });
    this.tcp = tcp;
    this.writing = false;
    this.held = null;
    this.waiting = 0;
    // A socket without another below it is taken for one that is yet to connect.
    inner(this).connecting = false;
  }

  /** Called while the socket is made: Node would make a new handle. */
  _wrapHandle(): TlsHandle {
    return parent._wrapHandle.call(this, null, inner(this)._tlsOptions.tcp, false);
  }

  /** See `Write`. Encryption copies the bytes: they may be overwritten even if they are pending, unless they wait behind others. */
  writeDirect(view: Buffer): boolean {
    const handle = inner(this)._handle;
    if (handle === null || this.writing || this.writableLength !== 0) return streamWrite(this, view);
    const request = new WriteWrap() as DirectRequest;
    request.socket = this;
    request.oncomplete = onWritten;
    this.writing = true;
    if (handle.writeBuffer(request, view) !== 0) {
      this.writing = false;
      // It recurs in the stream's way, which tells the socket's listeners of it.
      return streamWrite(this, view);
    }
    this.waiting = this.tcp.writeQueueSize;
    return this.waiting === 0;
  }

  onDirectWritten(): void {
    this.writing = false;
    const { held } = this;
    this.held = null;
    held?.();
  }

  _writeGeneric(many: boolean, data: unknown, encoding: string, done: Callback): void {
    if (this.writing) this.held = () => this._writeGeneric(many, data, encoding, done);
    // Asks only when what was before it has left. Not told at once: a chain of such writes would all be done in one turn.
    else if (!many && (data as Buffer).length === 0) setImmediate(done);
    else parent._writeGeneric.call(this, many, data, encoding, done);
  }

  override _final(done: Callback): void {
    if (!this.writing) return parent._final.call(this, done);
    this.held = () => parent._final.call(this, done);
  }

  /** Time is up only if the kernel has taken nothing since. */
  _onTimeout(): void {
    const now = this.tcp.writeQueueSize;
    if (now === 0 || now === this.waiting) return void this.emit('timeout');
    this.waiting = now;
    inner(this)._unrefTimer();
  }

  override resetAndDestroy(): this {
    const handle = inner(this)._handle;
    if (handle === null) return this.destroy();
    const { tcp } = this;
    handle.reset = (done) => {
      if (tcp.reset(done) !== 0) handle.close(done);
      return 0;
    };
    inner(this).resetAndClosing = true;
    return this.destroy();
  }
}

function onWritten(this: DirectRequest, status: number): void {
  if (status < 0) this.socket.destroy();
  else this.socket.onDirectWritten();
}

const handleBegin: Begin = (raw, hello, answer, { onSecure, onFailed, onChunk }) => {
  const bare = raw as unknown as { _handle: TcpHandle | null };
  const tcp = bare._handle!;
  bare._handle = null;
  const socket = new HandleSocket(tcp, answer, onChunk);
  socket.on('close', onFailed);
  socket.once('secure', () => {
    socket.off('close', onFailed);
    // From now on OpenSSL's errors are told as the socket's.
    inner(socket)._releaseControl();
    onSecure.call(socket);
  });
  inner(socket)._handle!.receive(hello);
  return socket;
};

/**
 * Lets TLS connections work on their handles. Only for the executable, which brings the Node that this is tested with.
 * @returns false where this Node has no such interface; nothing changes then
 */
export function useTlsHandles(): boolean {
  const binding = streamBinding();
  if (binding === undefined || !isKnown()) return false;
  WriteWrap = binding.WriteWrap;
  secure.begin = handleBegin;
  direct.tls = (socket, view) =>
    socket instanceof HandleSocket ? socket.writeDirect(view) : streamWrite(socket, view);
  return true;
}

function isKnown(): boolean {
  const names = ['_wrapHandle', '_writeGeneric', '_final', '_releaseControl', '_unrefTimer'] as const;
  return names.every((name) => typeof parent[name] === 'function');
}
