import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import type tls from 'node:tls';
import { type Frame, framesOf, settings, settingsAck } from '../http2/wire.ts';
import { closeLater } from './cleanup.ts';
import { until } from './wait.ts';

const prefaceBytes = 24;
const HEADERS = 1;
const SETTINGS = 4;

/** What a raw HTTP/2 origin does. It sends nothing by itself but, unless `silent`, its SETTINGS and the answer to ours. */
export interface RawScript {
  /** Its first frame, or whatever it says instead. */
  readonly greeting?: Buffer;
  /** It sends neither SETTINGS nor the answer to ours. */
  readonly silent?: boolean;
  /** It leaves its side open after the client has ended its own. */
  readonly halfOpen?: boolean;
  readonly connected?: (connection: RawConnection) => void;
  readonly frame?: (frame: Frame, connection: RawConnection) => void;
  /** A request's HEADERS came on stream `id`. */
  readonly request?: (id: number, connection: RawConnection) => void;
}

/** One connection that a raw origin accepted, and the frames that came over it. */
export class RawConnection {
  readonly socket: net.Socket;
  readonly index: number;
  readonly frames: Frame[] = [];
  ended: '' | 'end' | 'reset' = '';
  private rest: Buffer = Buffer.alloc(0);
  private prefaced = false;

  constructor(socket: net.Socket, index: number, script: RawScript) {
    this.socket = socket;
    this.index = index;
    socket.setNoDelay(true);
    socket.on('error', () => {
      this.ended ||= 'reset';
    });
    socket.on('end', () => {
      this.ended ||= 'end';
      if (!script.halfOpen) socket.end();
    });
    socket.on('close', () => {
      this.ended ||= 'end';
    });
    if (!script.silent) this.send(script.greeting ?? settings());
    else if (script.greeting !== undefined) this.send(script.greeting);
    script.connected?.(this);
    socket.on('data', (chunk: Buffer) => this.take(chunk, script));
  }

  private take(chunk: Buffer, script: RawScript): void {
    this.rest = Buffer.concat([this.rest, chunk]);
    if (!this.prefaced) {
      if (this.rest.length < prefaceBytes) return;
      this.prefaced = true;
      this.rest = this.rest.subarray(prefaceBytes);
    }
    while (this.rest.length >= 9) {
      const end = 9 + this.rest.readUIntBE(0, 3);
      if (this.rest.length < end) return;
      const [frame] = framesOf(Buffer.from(this.rest.subarray(0, end)));
      this.rest = this.rest.subarray(end);
      this.frames.push(frame);
      if (frame.type === SETTINGS && (frame.flags & 1) === 0 && !script.silent) this.send(settingsAck);
      script.frame?.(frame, this);
      if (frame.type === HEADERS) script.request?.(frame.id, this);
    }
  }

  send(...parts: Uint8Array[]): this {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
    return this;
  }

  /** Frames of a type that came, on any stream or on one. */
  of(type: number, id?: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type && (id === undefined || frame.id === id));
  }

  /** The payload of all DATA on a stream. */
  body(id: number): string {
    return Buffer.concat(this.of(0, id).map(({ payload }) => payload)).toString('latin1');
  }
}

/** A server that speaks as much HTTP/2 as its script says. */
export class RawHttp2Origin {
  readonly server: net.Server;
  readonly connections: RawConnection[] = [];

  constructor(server: net.Server, script: RawScript) {
    this.server = server;
    closeLater(this);
    server.on('connection', (socket: net.Socket) => {
      this.connections.push(new RawConnection(socket, this.connections.length, script));
    });
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  get target(): string {
    return `h2c://127.0.0.1:${this.port}`;
  }

  get frames(): Frame[] {
    return this.connections.flatMap((connection) => connection.frames);
  }

  /** Waits for so many frames of a type to have come, over all connections. */
  async got(type: number, count: number, ms?: number): Promise<void> {
    const seen = () => this.frames.filter((frame) => frame.type === type).length;
    await until(() => seen() >= count, `${count} frames of type ${type} at the origin`, ms);
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy();
    this.server.close();
  }
}

export async function startRaw(script: RawScript = {}): Promise<RawHttp2Origin> {
  const server = net.createServer({ allowHalfOpen: true });
  const origin = new RawHttp2Origin(server, script);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return origin;
}

/** Node's own HTTP/2 server, which shares no code with src/http2. */
export interface NodeOrigin {
  readonly port: number;
  readonly server: http2.Http2Server;
  /** Sessions that were opened. */
  readonly sessions: http2.ServerHttp2Session[];
  close(): void;
}

type OnStream = (
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  session: http2.ServerHttp2Session,
) => void;

/** Starts it, without TLS or, with a certificate, with it. */
export async function startNode(
  onStream: OnStream,
  options: http2.ServerOptions | (http2.SecureServerOptions & tls.TlsOptions) = {},
): Promise<NodeOrigin> {
  const isSecure = 'cert' in options;
  const server = isSecure ? http2.createSecureServer(options) : http2.createServer(options);
  const sessions: http2.ServerHttp2Session[] = [];
  const sockets = new Set<net.Socket>();
  server.on(isSecure ? 'secureConnection' : 'connection', (socket: net.Socket) => sockets.add(socket));
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    onStream(stream as http2.ServerHttp2Stream, headers, stream.session as http2.ServerHttp2Session);
  });
  server.on('sessionError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    for (const session of sessions) session.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  const { port } = server.address() as net.AddressInfo;
  return closeLater({ port, server: server as http2.Http2Server, sessions, close });
}

/** Answers with what it got: method, path and body; fields that it got are in `x-got`. */
export const echo: OnStream = (stream, headers) => {
  const parts: Buffer[] = [];
  let trailers = '';
  stream.on('trailers', (fields: http2.IncomingHttpHeaders) => {
    trailers = JSON.stringify({ ...fields });
  });
  stream.on('data', (chunk: Buffer) => parts.push(chunk));
  stream.on('end', () => {
    if (stream.destroyed) return;
    const body = `${headers[':method']} ${headers[':path']} ${Buffer.concat(parts).toString('latin1')}${trailers}`;
    stream.respond({ ':status': 200, 'x-got': JSON.stringify(headers) });
    stream.end(Buffer.from(body, 'latin1'));
  });
};
