import http2 from 'node:http2';
import type net from 'node:net';
import type { Scheme } from '../../src/core/types.ts';
import { createSharedBufferServer } from '../../src/edge/accept.ts';
import type { ClientSocket } from '../../src/edge/client.ts';
import type { Edge } from '../../src/edge/edge.ts';
import type { Served } from '../../src/edge/edge-client.ts';
import { Http2Client } from '../../src/edge/http2-client.ts';
import { preface, settings } from '../http2/wire.ts';
import { closeLater } from './cleanup.ts';
import { connect, type RawClient } from './client.ts';
import { front } from './front.ts';
import { type Pair, withPair } from './proxy.ts';

/**
 * Opens a listener for HTTP/2, or takes the front's, where that is one of TLS. With prior knowledge, on a free port of 127.0.0.1,
 * it does what a TLS listener does after its handshake.
 * @returns the port
 */
export async function listenHttp2(edge: Edge, scheme: Scheme = 'http', served: Served = null): Promise<number> {
  if (front.tls && scheme === 'http') {
    front.protocol = 'h2';
    return edge.httpsPort;
  }
  const server = createSharedBufferServer(
    function (this: net.Socket, n, buffer) {
      (this as ClientSocket).owner.read(buffer, n);
      return true;
    },
    (socket, peer, localPort) => {
      new Http2Client(edge, socket, peer, localPort, scheme, served);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closeLater({ close: () => server.close() });
  return (server.address() as net.AddressInfo).port;
}

/** A pair with a listener for HTTP/2, and a session of Node's client to that. */
export interface Http2Pair extends Pair {
  readonly h2: number;
  readonly session: http2.ClientHttp2Session;
}

/** Runs `test` with an origin that does as `script` says, behind an edge that speaks HTTP/2; ends both afterwards. */
export function withSession(
  script: Parameters<typeof withPair>[0],
  test: (session: http2.ClientHttp2Session, pair: Http2Pair) => Promise<void>,
  options: Parameters<typeof withPair>[2] & { scheme?: Scheme; served?: Served } = {},
): Promise<void> {
  return withPair(
    script,
    async (pair) => {
      const h2 = await listenHttp2(pair.edge, options.scheme, options.served);
      const session = connectHttp2(h2);
      await test(session, { ...pair, h2, session });
    },
    options,
  );
}

/** A client that sends frames as it is told; its preface and settings have left. */
export function rawHttp2(port: number, ...sent: Parameters<typeof settings>): RawClient {
  return connect(port)
    .send(preface)
    .send(settings(...sent));
}

/** What a request was answered with. */
export interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly body: Buffer;
  readonly trailers: http2.IncomingHttpHeaders;
  /** Interim responses before it. */
  readonly interims: http2.IncomingHttpHeaders[];
}

/** A connection of Node's HTTP/2 client; `cleanUp` ends it at the latest. */
export function connectHttp2(port: number, options: http2.ClientSessionOptions = {}): http2.ClientHttp2Session {
  const secure = { servername: front.name, rejectUnauthorized: false };
  const session = front.tls
    ? http2.connect(`https://127.0.0.1:${port}`, { ...secure, ...options })
    : http2.connect(`http://127.0.0.1:${port}`, options);
  session.on('error', () => {});
  closeLater({ close: () => session.destroy() });
  return session;
}

/** Sends a request, and takes its whole answer. Rejects where the stream is reset. */
export async function request(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
  trailers?: http2.OutgoingHttpHeaders,
): Promise<Answer> {
  return await answerOf(send(session, headers, body, trailers));
}

/** Sends a request; nobody waits for its answer. */
export function send(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
  trailers?: http2.OutgoingHttpHeaders,
): http2.ClientHttp2Stream {
  const stream = session.request({ ':authority': 'app.test', ...headers }, {
    endStream: body === undefined && trailers === undefined,
    waitForTrailers: trailers !== undefined,
  } as http2.ClientSessionRequestOptions);
  stream.on('error', () => {});
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (body !== undefined || trailers !== undefined) stream.end(body);
  return stream;
}

/** The answer to a request that is under way. */
export function answerOf(stream: http2.ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let headers: Answer['headers'] = {};
    let sentTrailers: http2.IncomingHttpHeaders = {};
    const interims: http2.IncomingHttpHeaders[] = [];
    const parts: Buffer[] = [];
    stream.on('headers', (interim) => interims.push(interim));
    stream.on('response', (head) => {
      headers = head;
    });
    stream.on('trailers', (fields) => {
      sentTrailers = fields;
    });
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      if (stream.rstCode !== 0 && stream.rstCode !== undefined) reject(new Error(`reset with ${stream.rstCode}`));
      const status = Number(headers[':status'] ?? 0);
      resolve({ status, headers, body: Buffer.concat(parts), trailers: sentTrailers, interims });
    });
  });
}
