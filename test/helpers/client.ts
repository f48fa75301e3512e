import type net from 'node:net';
import { closeLater } from './cleanup.ts';
import { connectFront } from './front.ts';
import { type Message, readMessage } from './message.ts';
import { until } from './wait.ts';

/** A TCP client that sends what it is told, byte for byte, and keeps all that comes back. */
export class RawClient {
  readonly socket: net.Socket;
  /** How the other side ended it, as far as it has: '' still open, 'end' FIN, 'reset' RST. */
  ended: '' | 'end' | 'reset' = '';
  /** Bytes that came in all. */
  total = 0;
  private parts: Buffer[] = [];

  constructor(port: number, options: Partial<net.TcpNetConnectOpts> = {}) {
    this.socket = connectFront({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true, ...options });
    this.socket.on('data', (chunk: Buffer) => {
      this.total += chunk.length;
      this.parts.push(chunk);
    });
    this.socket.on('end', () => {
      this.ended ||= 'end';
    });
    this.socket.on('error', () => {
      this.ended ||= 'reset';
    });
  }

  send(data: string | Uint8Array): this {
    this.socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
    return this;
  }

  /** What came and was not taken by `response`. */
  get bytes(): Buffer {
    if (this.parts.length !== 1) this.parts = [Buffer.concat(this.parts)];
    return this.parts[0];
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  /** Takes the next response, interim ones too; fails if it is not there in time, or never will be. */
  async response(options: { head?: boolean; ms?: number } = {}): Promise<Message> {
    let found: ReturnType<typeof readMessage>;
    let seen = -1;
    const look = () => {
      if (this.total === seen && this.ended === '') return false;
      seen = this.total;
      found = readMessage(this.bytes, options.head, this.ended === 'end');
      if (found === undefined && this.ended !== '')
        throw new Error(`no whole response before the ${this.ended}: ${JSON.stringify(this.text.slice(0, 500))}`);
      return found !== undefined;
    };
    await until(look, 'a response', options.ms).catch((error: Error) => {
      throw new Error(`${error.message}; got ${JSON.stringify(this.text.slice(0, 500))}`);
    });
    const { message, end } = found!;
    this.parts = [Buffer.from(this.bytes.subarray(end))];
    return message;
  }

  /** Waits for the other side to end the connection. @returns how */
  async gone(ms?: number): Promise<'end' | 'reset'> {
    await until(() => this.ended !== '', 'the end of the connection', ms);
    return this.ended as 'end' | 'reset';
  }

  /** Waits for `text` to have come. */
  async has(text: string, ms?: number): Promise<void> {
    await until(() => this.bytes.includes(text, 0, 'latin1'), `${JSON.stringify(text)} at the client`, ms);
  }

  close(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** Opens a connection; `cleanUp` closes it at the latest. */
export function connect(port: number, options: Partial<net.TcpNetConnectOpts> = {}): RawClient {
  return closeLater(new RawClient(port, options));
}

/** Sends a request on a connection of its own, and takes the response. */
export async function ask(port: number, request: string | Uint8Array): Promise<Message> {
  const client = connect(port).send(request);
  try {
    return await client.response({ head: request.toString().startsWith('HEAD ') });
  } finally {
    client.close();
  }
}
