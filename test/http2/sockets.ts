import { once } from 'node:events';
import net from 'node:net';
import type { FailureCode } from '../../src/core/failure.ts';
import { ClientConnection, type ClientHandler, type RequestKind } from '../../src/http2/client.ts';
import { type ConnectionOptions, defaultOptions } from '../../src/http2/options.ts';
import { giveOutput } from '../../src/http2/output.ts';
import type { RequestHead } from '../../src/http2/request.ts';
import type { ResponseHead } from '../../src/http2/response.ts';
import { ServerConnection, type ServerHandler } from '../../src/http2/server.ts';
import { ClientStream, ServerStream } from '../../src/http2/stream.ts';
import type { Trailers } from '../../src/http2/trailers.ts';
import { requestParts, responseParts, text } from './peers.ts';
import { bytes } from './wire.ts';

/** What both sockets do: one write a turn, and no reading while it is pending. */
class Wiring {
  readonly socket: net.Socket;
  /** The most that waited for the socket at a time. */
  largestWrite = 0;
  failed = '';
  drained = false;
  connection!: ServerConnection<EchoStream> | ClientConnection<TestRequest>;
  private scheduled = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.connection.close());
    socket.on('data', (chunk) => {
      this.connection.receive(chunk, 0, chunk.length, performance.now());
      // Whatever was not copied is lost now.
      chunk.fill(0xee);
    });
  }

  onOutput(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    const out = this.connection.takeOutput();
    if (this.socket.destroyed) return;
    if (out === null) return void this.socket.end();
    this.largestWrite = Math.max(this.largestWrite, out.length);
    const written = () => {
      giveOutput(out);
      this.socket.resume();
      this.connection.resume();
    };
    this.connection.blocked = true;
    this.socket.pause();
    this.socket.write(Buffer.from(out.bytes.buffer, 0, out.length), written);
    if (this.failed !== '' || this.drained) this.socket.end();
  }

  onFail(code: number, reason: string): void {
    this.failed = `${code} ${reason}`;
  }
  onGoaway(): void {}
  onDrained(): void {
    this.drained = true;
    // What has not left yet leaves first.
    this.onOutput();
  }
}

/** Answers by path: `/bytes/N`, `/echo`, `/trailers`, `/early`, `/hints`, `/refuse`, and else with the HTTP/1.1 head that it got. */
export class EchoStream extends ServerStream {
  readonly wiring: ServerWiring;
  private path = '';
  private rest: Buffer = Buffer.alloc(0);
  private at = 0;
  private ending = false;
  private trailers: Buffer | null = null;

  constructor(wiring: ServerWiring) {
    super();
    this.wiring = wiring;
  }

  private head(lines: string, ended = false): void {
    const head = bytes(`HTTP/1.1 ${lines}\r\n\r\n`);
    this.wiring.connection.sendResponse(this, head, 0, head.length, undefined, 0, ended);
  }

  override onRequest(head: RequestHead, fault: FailureCode | null, ended: boolean): void {
    if (fault !== null) return this.head('400 Bad\r\nx-fault: yes', true);
    this.path = text(head.bytes, head.targetStart, head.targetEnd);
    const said = text(head.bytes, head.methodStart, head.end);
    this.wiring.heads.push(said);
    const sized = /^\/bytes\/(\d+)$/.exec(this.path);
    if (sized) {
      this.head(`200 OK\r\ncontent-length: ${sized[1]}`);
      this.rest = Buffer.alloc(Number(sized[1]), 'abcdefghijklmnopqrstuvwxyz');
      this.ending = true;
    } else if (this.path === '/echo' || this.path === '/trailers') this.head('200 OK\r\nx-echo: yes');
    else if (this.path === '/early') {
      this.head('413 Too Large', true);
      this.wiring.connection.reset(this, 0);
    } else if (this.path === '/refuse') this.wiring.connection.reset(this, 7);
    else {
      if (this.path === '/hints') this.head('103 Early Hints\r\nlink: </a>');
      this.head('200 OK\r\ncontent-type: text/plain');
      this.rest = bytes(said);
      this.ending = true;
    }
    if (ended) this.ending = true;
    this.onWritable();
  }

  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    if (this.path !== '/echo' && this.path !== '/trailers') {
      this.wiring.connection.consume(this, to - from);
      return;
    }
    // Echoed at once as far as it goes; what is left holds the client back.
    this.rest = Buffer.concat([this.rest.subarray(this.at), Buffer.from(buf.buffer, buf.byteOffset + from, to - from)]);
    this.at = 0;
    this.wiring.largestHeld = Math.max(this.wiring.largestHeld, this.rest.length);
    if (ended) this.ending = true;
    this.onWritable();
  }

  override onTrailers(trailers: Trailers): void {
    this.trailers = Buffer.from(trailers.bytes.subarray(0, trailers.end));
    this.ending = true;
    this.onWritable();
  }

  override onWritable(): void {
    if (this.waiting) return;
    const { connection } = this.wiring;
    const taken = connection.sendData(this, this.rest, this.at, this.rest.length);
    const echoed = taken - this.at;
    this.at = taken;
    if (this.path === '/echo' || this.path === '/trailers') connection.consume(this, echoed);
    if (taken < this.rest.length || !this.ending) return;
    const lines = this.trailers ?? (this.path === '/trailers' ? bytes('grpc-status: 0\r\nx-t: u\r\n\r\n') : null);
    if (lines === null) connection.endStream(this);
    else connection.sendTrailers(this, lines, 0, lines.length, 0);
  }

  override onAbort(code: number): void {
    this.wiring.aborts.push(code);
  }
}

export class ServerWiring extends Wiring implements ServerHandler<EchoStream> {
  readonly heads: string[] = [];
  readonly aborts: number[] = [];
  readonly malformed: string[] = [];
  largestHeld = 0;
  override readonly connection: ServerConnection<EchoStream>;

  constructor(socket: net.Socket, options: Partial<ConnectionOptions>) {
    super(socket);
    this.connection = new ServerConnection(this, requestParts(), { ...defaultOptions, ...options }, performance.now());
    this.connection.start();
  }

  createStream(): EchoStream {
    return new EchoStream(this);
  }
  onMalformed(reason: string): void {
    this.malformed.push(reason);
  }
}

export interface Listening {
  readonly port: number;
  readonly connections: ServerWiring[];
  close(): Promise<void>;
}

/** A server of ours on a loopback port. */
export async function listen(options: Partial<ConnectionOptions> = {}): Promise<Listening> {
  const connections: ServerWiring[] = [];
  const server = net.createServer((socket) => connections.push(new ServerWiring(socket, options)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    connections,
    async close() {
      for (const { socket } of connections) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A request of ours, and all that comes back. */
export class TestRequest extends ClientStream {
  readonly interims: string[] = [];
  response = '';
  readonly chunks: Buffer[] = [];
  length = 0;
  trailers = '';
  /** Settles when the response is complete, or with the error code. */
  readonly done: Promise<number>;
  private settle!: (code: number) => void;
  private readonly wiring: ClientWiring;
  private readonly body: Buffer;
  private readonly bodyTrailers: Buffer | null;
  private at = 0;
  /** Bytes are consumed as they come. */
  taking = true;

  constructor(wiring: ClientWiring, body: Buffer, bodyTrailers: Buffer | null) {
    super();
    this.wiring = wiring;
    this.body = body;
    this.bodyTrailers = bodyTrailers;
    this.done = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  override onInterim(head: ResponseHead): void {
    this.interims.push(text(head.bytes, 0, head.end));
  }
  override onResponse(head: ResponseHead, ended: boolean): void {
    this.response = text(head.bytes, 0, head.end);
    if (ended) this.settle(-1);
  }
  override onData(buf: Uint8Array, from: number, to: number, ended: boolean): void {
    this.chunks.push(Buffer.from(buf.subarray(from, to)));
    this.length += to - from;
    if (this.taking) this.wiring.connection.consume(this, to - from);
    if (ended) this.settle(-1);
  }
  override onTrailers(trailers: Trailers): void {
    this.trailers = text(trailers.bytes, 0, trailers.end);
    this.settle(-1);
  }
  override onWritable(): void {
    this.at = this.wiring.connection.sendData(this, this.body, this.at, this.body.length);
    if (this.at < this.body.length) return;
    if (this.bodyTrailers === null) this.wiring.connection.endStream(this);
    else this.wiring.connection.sendTrailers(this, this.bodyTrailers, 0, this.bodyTrailers.length, 0);
  }
  override onAbort(code: number): void {
    this.settle(code);
  }
}

export class ClientWiring extends Wiring implements ClientHandler {
  override readonly connection: ClientConnection<TestRequest>;
  private readonly queue: (() => void)[] = [];

  constructor(port: number, options: Partial<ConnectionOptions> = {}) {
    super(net.connect({ port, host: '127.0.0.1' }));
    this.connection = new ClientConnection(this, responseParts(), { ...defaultOptions, ...options }, performance.now());
    this.connection.start();
  }

  onRoom(): void {
    while (this.queue.length > 0 && this.connection.canOpen()) this.queue.shift()!();
  }

  /** Sends a request, as soon as the server allows one more. @param head without its empty line */
  request(
    head: string,
    body: Buffer | null = null,
    bodyTrailers: string | null = null,
    kind: Partial<RequestKind> = {},
  ) {
    const request = new TestRequest(this, body ?? Buffer.alloc(0), bodyTrailers === null ? null : bytes(bodyTrailers));
    const buf = bytes(`${head}\r\n\r\n`);
    const ended = body === null && bodyTrailers === null;
    const open = () => {
      const all = { tls: false, trailersWelcome: false, ended, bodiless: head.startsWith('HEAD'), ...kind };
      this.connection.sendRequest(request, buf, 0, buf.length, all);
      if (!ended) request.onWritable();
    };
    this.queue.push(open);
    this.onRoom();
    return request;
  }

  close(): void {
    this.socket.destroy();
  }
}
