import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { readInBursts } from '../helpers/bodies.ts';
import { closeLater } from '../helpers/cleanup.ts';
import type { Subject } from './runtime.ts';

export interface HttpOrigin {
  readonly target: string;
  readonly sockets: ReadonlySet<Socket>;
}

/** An origin on node:http, for bodies that are too long to be kept; `cleanUp` closes it. */
export async function httpOrigin(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpOrigin> {
  const sockets = new Set<Socket>();
  const server = createServer(handle);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closeLater({
    close() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
    },
  });
  return { target: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

/** A request that is begun, its body still to be sent. Errors go to `failed`. */
export function begin({ port }: Subject, method: string, headers: Record<string, string> = {}) {
  const asked = request({
    ...{ host: '127.0.0.1', port, method, path: '/', agent: false },
    headers: { host: 'app.test', ...headers },
  });
  closeLater({ close: () => void asked.destroy() });
  const failed = new Promise<Error>((resolve) => asked.on('error', resolve));
  const answered = new Promise<IncomingMessage>((resolve) => asked.on('response', resolve));
  const response = Promise.race([answered, failed.then((error) => Promise.reject(error))]);
  // Not every check waits for it.
  response.catch(() => {});
  return { asked, response, failed };
}

export interface Digest {
  /** So many bytes have come. */
  bytes(): number;
  /** SHA-1 and length of all; rejects where it is cut. */
  readonly whole: Promise<{ readonly bytes: number; readonly hash: string }>;
}

/** Reads all that comes, pausing again and again. */
export function digest(from: Readable): Digest {
  const hash = createHash('sha1');
  let bytes = 0;
  readInBursts(from, 4_000_000, (chunk) => {
    hash.update(chunk);
    bytes += chunk.length;
  });
  const whole = new Promise<{ bytes: number; hash: string }>((resolve, reject) => {
    from.on('error', reject).on('end', () => resolve({ bytes, hash: hash.digest('hex') }));
  });
  whole.catch(() => {});
  return { bytes: () => bytes, whole };
}

/** How much has left a socket. */
export function sentBy(socket: Socket | null | undefined): number {
  return socket ? socket.bytesWritten - socket.writableLength : 0;
}
