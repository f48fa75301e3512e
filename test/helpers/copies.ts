import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { closeLater } from './cleanup.ts';
import { connectFront } from './front.ts';

/** One copy of an upstream that says its name, and can be killed and started again at its port. */
export class Copy {
  readonly name: string;
  port = 0;
  /** Requests that it has been sent, each as `METHOD /path host`. */
  readonly seen: string[] = [];
  delayMs = 0;
  status = 200;
  /** Cuts each connection at its request. */
  cuts = false;
  private server: http.Server | null = null;

  constructor(name: string) {
    this.name = name;
    closeLater({ close: () => this.kill() });
  }

  get target(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get served(): number {
    return this.seen.length;
  }

  async start(host = '127.0.0.1'): Promise<this> {
    const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.seen.push(`${request.method} ${request.url} ${request.headers.host}`);
      if (this.cuts) return void request.socket.resetAndDestroy();
      const answer = () => {
        response.statusCode = this.status;
        response.setHeader('Content-Length', this.name.length);
        response.end(this.name);
      };
      request.resume();
      if (this.delayMs === 0) answer();
      else setTimeout(answer, this.delayMs);
    });
    this.server = server;
    server.listen({ port: this.port, host, backlog: 1024 });
    await once(server, 'listening');
    this.port = (server.address() as net.AddressInfo).port;
    return this;
  }

  /** Ends it as if its machine had been turned off: with all of its connections. */
  kill(): void {
    this.server?.closeAllConnections();
    this.server?.close();
    this.server = null;
  }
}

/** Starts so many copies, named `0`, `1`, … */
export function startCopies(count: number): Promise<Copy[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => new Copy(String(i)).start()));
}

export interface Answer {
  /** 0: the connection ended before. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
  readonly ms: number;
}

/** A client that keeps its connection, one request at a time. */
export class KeepClient {
  private readonly port: number;
  private socket: net.Socket | null = null;
  private text = '';
  private bodiless = false;
  private done: ((answer: Answer) => void) | null = null;
  private startedAt = 0;

  constructor(port: number) {
    this.port = port;
    closeLater(this);
  }

  ask(path: string, fields = '', method = 'GET', host = 'app.test'): Promise<Answer> {
    this.socket ??= this.connect();
    this.text = '';
    this.bodiless = method === 'HEAD';
    this.startedAt = performance.now();
    this.socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`);
    return new Promise((resolve) => {
      this.done = resolve;
    });
  }

  close(): void {
    this.socket?.destroy();
  }

  private connect(): net.Socket {
    const socket = connectFront({ port: this.port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      this.take();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.socket = null;
      this.settle({ status: 0, head: this.text, body: '', ms: performance.now() - this.startedAt });
    });
    return socket;
  }

  private take(): void {
    const end = this.text.indexOf('\r\n\r\n') + 4;
    if (end < 4) return;
    const head = this.text.slice(0, end);
    const length = this.bodiless ? 0 : Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (this.text.length < end + length) return;
    const status = Number(head.slice(9, 12));
    this.settle({ status, head, body: this.text.slice(end), ms: performance.now() - this.startedAt });
  }

  private settle(answer: Answer): void {
    const { done } = this;
    this.done = null;
    done?.(answer);
  }
}

export interface LoadOptions {
  /** Requests at one time. Default 16. */
  readonly clients?: number;
  /** Default `/`. */
  readonly path?: (i: number) => string;
  readonly fields?: (i: number) => string;
}

/** Sends so many requests. @returns their answers, in the order in which they were sent */
export async function load(port: number, count: number, options: LoadOptions = {}): Promise<Answer[]> {
  const { clients = 16, path = () => '/', fields = () => '' } = options;
  const answers: Answer[] = new Array(count);
  let next = 0;
  const run = async () => {
    const client = new KeepClient(port);
    for (let i = next++; i < count; i = next++) answers[i] = await client.ask(path(i), fields(i));
  };
  await Promise.all(Array.from({ length: Math.min(clients, count) }, run));
  return answers;
}

/** How many answers each name gave; what is no 200 is counted by its status. */
export function countNames(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, body } of answers) {
    const name = status === 200 ? body : `status ${status}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
