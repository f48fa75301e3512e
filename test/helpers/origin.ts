import net from 'node:net';
import type tls from 'node:tls';
import { closeLater } from './cleanup.ts';
import { type Message, readMessage } from './message.ts';
import { until } from './wait.ts';

/** What an origin does; each is given the connection that it happened on. */
export interface Script {
  /** A connection was accepted. */
  readonly connected?: (connection: OriginConnection) => void;
  /** Bytes came; `connection.bytes` has all so far. */
  readonly data?: (connection: OriginConnection, chunk: Buffer) => void;
  /** A whole request came. A string that it returns is sent. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a script need not return anything
  readonly request?: (request: Message, connection: OriginConnection) => string | Buffer | void;
}

/** One connection that an origin accepted: every byte that came over it. */
export class OriginConnection {
  readonly socket: net.Socket;
  /** How many were accepted before it. */
  readonly index: number;
  /** Whole requests so far. */
  readonly requests: Message[] = [];
  ended: '' | 'end' | 'reset' = '';
  /** Set to stop recording: for large bodies. */
  record = true;
  total = 0;
  private parts: Buffer[] = [];
  private taken = 0;

  constructor(socket: net.Socket, index: number, script: Script) {
    this.socket = socket;
    this.index = index;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.total += chunk.length;
      if (this.record) this.parts.push(chunk);
      script.data?.(this, chunk);
      if (script.request !== undefined) this.takeRequests(script.request);
    });
    socket.on('end', () => {
      this.ended ||= 'end';
    });
    socket.on('error', () => {
      this.ended ||= 'reset';
    });
    socket.on('close', () => {
      this.ended ||= 'end';
    });
    script.connected?.(this);
  }

  get bytes(): Buffer {
    if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)];
    return this.parts[0];
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  send(data: string | Uint8Array): this {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
    return this;
  }

  private takeRequests(onRequest: NonNullable<Script['request']>): void {
    for (;;) {
      const found = readMessage(this.bytes.subarray(this.taken));
      if (found === undefined) return;
      this.taken += found.end;
      this.requests.push(found.message);
      const answer = onRequest(found.message, this);
      if (answer) this.send(answer);
    }
  }
}

/** A server that speaks no HTTP of its own: it records every byte, and answers by script. */
export class Origin {
  readonly server: net.Server;
  readonly connections: OriginConnection[] = [];

  constructor(server: net.Server, event: 'connection' | 'secureConnection', script: Script) {
    this.server = server;
    closeLater(this);
    server.on(event, (socket: net.Socket | tls.TLSSocket) => {
      this.connections.push(new OriginConnection(socket, this.connections.length, script));
    });
  }

  get port(): number {
    return (this.server.address() as net.AddressInfo).port;
  }

  get target(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** All bytes that came, over all connections. */
  get text(): string {
    return this.connections.map((connection) => connection.text).join('');
  }

  get requests(): Message[] {
    return this.connections.flatMap((connection) => connection.requests);
  }

  get open(): number {
    return this.connections.filter(({ socket }) => !socket.destroyed && !socket.readableEnded).length;
  }

  /** Waits until so many whole requests came. */
  async got(count: number, ms?: number): Promise<void> {
    await until(() => this.requests.length >= count, `${count} requests at the origin`, ms);
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy();
    this.server.close();
  }
}

/** Starts an origin on a free port of 127.0.0.1. */
export async function startOrigin(script: Script | NonNullable<Script['request']> = {}): Promise<Origin> {
  const does = typeof script === 'function' ? { request: script } : script;
  // The last byte sent need not be the last one read: half-open, as a real server may be.
  const server = net.createServer({ allowHalfOpen: true });
  const origin = new Origin(server, 'connection', does);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return origin;
}

/** A response with a length. */
export function reply(body: string | Buffer, fields = '', status = '200 OK'): string {
  const text = body.toString('latin1');
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${text.length}\r\n\r\n${text}`;
}
