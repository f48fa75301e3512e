import { writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import type { Pebble } from './pebble.ts';
import { temporary } from './temporary.ts';

export type Resource =
  | 'directory'
  | 'newNonce'
  | 'newAccount'
  | 'newOrder'
  | 'account'
  | 'order'
  | 'authorization'
  | 'challenge'
  | 'finalize'
  | 'certificate'
  | 'renewalInfo'
  | 'other';

export interface FrontRequest {
  readonly method: string;
  readonly path: string;
  readonly resource: Resource;
  readonly headers: IncomingHttpHeaders;
  /** What the JWS carries, parsed; undefined: none (GET, HEAD, POST-as-GET). */
  readonly payload: Record<string, unknown> | undefined;
  /** The JWS's protected header, parsed. */
  readonly protected: Record<string, unknown> | undefined;
}

export interface FrontAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object goes as JSON (a problem document where the status is 400 or more), a string as it is. */
  readonly body?: unknown;
  /** Answer only after so long. */
  readonly delayMs?: number;
  /** Break the connection in place of an answer. */
  readonly reset?: true;
}

/** What the front does beside passing on; all of it may be changed at any time. */
export interface FrontSettings {
  /** ARI: undefined: the CA has none. @param certId as it was asked for; undefined answers 404 */
  renewal?: (certId: string) => RenewalInfo | undefined;
  profiles?: Readonly<Record<string, string>>;
  caaIdentities?: readonly string[];
  /** More fields of the directory, or other values for those that are there. */
  directory?: Readonly<Record<string, unknown>>;
  /** Keeps every request waiting for so long. */
  slowMs?: number;
  /** Answers in pebble's place; undefined: pebble does. */
  fault?: (request: FrontRequest) => FrontAnswer | undefined;
  /** Changes what pebble has answered: gets its JSON (or text), gives what the client gets, or a promise of it; undefined: as it is. */
  change?: (request: FrontRequest, body: unknown, headers: Readonly<Record<string, string>>) => unknown;
}

export interface RenewalInfo {
  readonly start: Date | string;
  readonly end: Date | string;
  readonly explanationUrl?: string;
  /** Seconds, or a date. */
  readonly retryAfter?: string;
}

/** A TLS front of pebble, with a URL, a certificate and a will of its own. */
export interface AcmeFront {
  readonly directory: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  readonly caFile: string;
  readonly settings: FrontSettings;
  /** All that was asked, in order. */
  readonly requests: readonly FrontRequest[];
  /** The payloads of all newOrder requests: `identifiers`, `replaces`, `profile`. */
  orders(): Record<string, unknown>[];
  close(): void;
}

/** @param detail of the problem @returns an ACME problem as a fault */
export function problem(
  status: number,
  type: string,
  detail: string,
  headers: Record<string, string> = {},
): FrontAnswer {
  return { status, headers, body: { type: `urn:ietf:params:acme:error:${type}`, detail, status } };
}

/** The paths that pebble 2.4 has. */
const resources: readonly [start: string, resource: Resource][] = [
  ['/dir', 'directory'],
  ['/nonce-plz', 'newNonce'],
  ['/sign-me-up', 'newAccount'],
  ['/order-plz', 'newOrder'],
  ['/my-account/', 'account'],
  ['/my-order/', 'order'],
  ['/authZ/', 'authorization'],
  ['/chalZ/', 'challenge'],
  ['/finalize-order/', 'finalize'],
  ['/certZ/', 'certificate'],
  ['/renewal-info/', 'renewalInfo'],
];

/** Starts one on a free loopback port. It does not keep the process up. */
export async function startAcmeFront(pebble: Pebble, settings: FrontSettings = {}): Promise<AcmeFront> {
  const own = makeCertificate('DNS:localhost', 'IP:127.0.0.1');
  const caFile = join(temporary(), 'front-ca.pem');
  writeFileSync(caFile, own.cert);
  const agent = new Agent({ ca: pebble.ca, keepAlive: true });
  const requests: FrontRequest[] = [];
  const server = createServer(own, (incoming, outgoing) => {
    serve(incoming, outgoing).catch((error) => {
      outgoing.writeHead(502).end(`front: ${error.message}`);
    });
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    socket.unref();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await text(incoming);
    const asked = readRequest(incoming, body);
    requests.push(asked);
    const fault = settings.fault?.(asked) ?? (asked.resource === 'renewalInfo' ? renewalInfo(asked.path) : undefined);
    const delayMs = (settings.slowMs ?? 0) + (fault?.delayMs ?? 0);
    if (delayMs > 0) await sleep(delayMs, undefined, { ref: false });
    if (fault?.reset) {
      incoming.socket.destroy();
      return;
    }
    const answer = fault ?? (await pass(asked, body));
    const isObject = typeof answer.body === 'object' && answer.body !== null;
    const type = answer.status >= 400 ? 'application/problem+json' : 'application/json';
    outgoing.writeHead(answer.status, { ...(isObject ? { 'content-type': type } : {}), ...answer.headers });
    outgoing.end(isObject ? JSON.stringify(answer.body) : ((answer.body as string | undefined) ?? ''));
  }

  function renewalInfo(path: string): FrontAnswer {
    const info = settings.renewal?.(path.slice('/renewal-info/'.length));
    if (info === undefined) return problem(404, 'malformed', 'certificate not found');
    const time = (value: Date | string) => (typeof value === 'string' ? value : value.toISOString());
    return {
      status: 200,
      headers: info.retryAfter === undefined ? {} : { 'retry-after': info.retryAfter },
      body: {
        suggestedWindow: { start: time(info.start), end: time(info.end) },
        ...(info.explanationUrl === undefined ? {} : { explanationURL: info.explanationUrl }),
      },
    };
  }

  async function pass(asked: FrontRequest, body: string): Promise<FrontAnswer> {
    const answer = await toPebble(asked, body);
    const { 'content-type': type = '', 'content-length': _, ...headers } = answer.headers as Record<string, string>;
    const parsed = type.includes('json') && answer.body !== '' ? JSON.parse(answer.body) : answer.body;
    const added = asked.resource === 'directory' ? withExtras(parsed) : parsed;
    const changed = (await settings.change?.(asked, added, headers)) ?? added;
    return { status: answer.status, headers: { ...headers, 'content-type': type }, body: changed };
  }

  function toPebble({ method, path }: FrontRequest, body: string) {
    return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
      // Pebble makes its URLs of this Host, and so they lead here.
      const headers = { host: new URL(base).host, 'content-type': 'application/jose+json', 'user-agent': 'front' };
      const options = {
        host: '127.0.0.1',
        port: pebble.apiPort,
        servername: 'localhost',
        method,
        path,
        headers,
        agent,
      };
      const sent = request(options, (answer) => {
        text(answer).then(
          (whole) => resolve({ status: answer.statusCode!, headers: answer.headers, body: whole }),
          reject,
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  function withExtras(directory: Record<string, unknown>): Record<string, unknown> {
    const { profiles, caaIdentities } = settings;
    return {
      ...directory,
      ...(settings.renewal === undefined ? {} : { renewalInfo: `${base}/renewal-info` }),
      meta: {
        ...(directory.meta as object),
        ...(profiles === undefined ? {} : { profiles }),
        ...(caaIdentities === undefined ? {} : { caaIdentities }),
      },
      ...settings.directory,
    };
  }

  return {
    directory: `${base}/dir`,
    ca: own.cert,
    caFile,
    settings,
    requests,
    orders: () => requests.filter(({ resource }) => resource === 'newOrder').map(({ payload }) => payload ?? {}),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      agent.destroy();
    },
  };
}

function readRequest({ method = '', url = '', headers }: IncomingMessage, body: string): FrontRequest {
  const resource = resources.find(([start]) => url.startsWith(start))?.[1] ?? 'other';
  let jws: { payload?: string; protected?: string } = {};
  try {
    jws = JSON.parse(body);
  } catch {
    // GET and HEAD have none.
  }
  const decode = (part = '') => {
    const json = Buffer.from(part, 'base64url').toString();
    return json === '' ? undefined : (JSON.parse(json) as Record<string, unknown>);
  };
  return { method, path: url, resource, headers, payload: decode(jws.payload), protected: decode(jws.protected) };
}
