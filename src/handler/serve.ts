import { renameSync } from 'node:fs';
import http, { type IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { failures } from '../core/failure.ts';
import type { Handler } from '../core/handler-types.ts';
import { sendAnswer, sendFailure } from './answer.ts';
import { webBody } from './body.ts';
import { headersOf, rawFields } from './fields.ts';
import { describeError } from './load.ts';
import { Leftovers, sendNext, tunnels } from './next.ts';
import { OwnTime } from './own-time.ts';
import { type HandlerTicket, readTicket } from './protocol.ts';

/** More than an edge lets through. */
const maxHeadBytes = 256 * 1024;
/** Longer than a worker keeps an idle connection: it is the worker who closes. */
const keepAliveMs = 120_000;
const backlog = 4_096;

export interface ServeOptions {
  readonly handler: Handler;
  readonly routeId: string;
  readonly file: string;
  readonly timeoutMs: number;
  readonly socketPath: string;
  readonly directory: string;
  /** The name of our field. */
  readonly field: string;
  readonly log: (line: string) => void;
}

/** Runs a handler behind a unix socket. */
export class HandlerServer {
  private readonly options: ServeOptions;
  private readonly server: http.Server;
  /** Exchanges, tunnels, and what handlers have given to `waitUntil`. */
  private busy = 0;
  private onIdle: () => void = () => {};

  constructor(options: ServeOptions) {
    this.options = options;
    const limits = { maxHeaderSize: maxHeadBytes, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: keepAliveMs };
    this.server = http.createServer({ ...limits, noDelay: true });
    this.server.on('request', (request, response) => void this.serve(request, response, null));
    this.server.on('checkContinue', (request, response) => void this.serve(request, response, null));
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  /** @throws the system's error */
  async listen(): Promise<void> {
    const { server } = this;
    const { socketPath } = this.options;
    // Node takes away the path that it has listened on, when it ends: by then it may be its successor's.
    const own = `${socketPath}.${process.pid}`;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: own, backlog }, resolve);
    });
    renameSync(own, socketPath);
  }

  /** Takes no new connections; resolves when nothing is under way. */
  async drain(): Promise<void> {
    this.server.close();
    this.server.closeIdleConnections();
    if (this.busy === 0) return;
    await new Promise<void>((resolve) => {
      this.onIdle = resolve;
    });
  }

  private enter(): void {
    this.busy++;
  }

  private leave(): void {
    if (--this.busy === 0) this.onIdle();
  }

  private upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {});
    const response = new ServerResponse(request);
    response.assignSocket(socket as never);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.end());
    void this.serve(request, response, { socket, head });
  }

  private async serve(
    incoming: IncomingMessage,
    response: ServerResponse,
    upgrade: { readonly socket: Duplex; readonly head: Buffer } | null,
  ): Promise<void> {
    const value = incoming.headers[this.options.field];
    const ticket = typeof value === 'string' ? readTicket(value) : undefined;
    // It is not from a worker.
    if (ticket === undefined) return void response.destroy();
    this.enter();
    try {
      await this.answer(incoming, response, upgrade, ticket);
    } finally {
      this.leave();
    }
  }

  private async answer(
    incoming: IncomingMessage,
    response: ServerResponse,
    upgrade: { readonly socket: Duplex; readonly head: Buffer } | null,
    ticket: HandlerTicket,
  ): Promise<void> {
    const { options } = this;
    const leaving = new AbortController();
    const gone = () => leaving.abort(new DOMException('The client has left.', 'AbortError'));
    response.once('close', () => {
      if (!response.writableFinished) gone();
    });
    const fail = (code: 'OO_HANDLER_FAILED' | 'OO_HANDLER_TIMEOUT', why: string) => {
      if (response.destroyed) return;
      this.report(code, ticket, response.headersSent ? `${why}; the response was cut` : why);
      if (response.headersSent) response.destroy();
      else sendFailure(response, code, incoming.headers.accept ?? '', ticket.requestId);
    };
    let over: () => void = () => {};
    const late = new Promise<'late'>((resolve) => {
      over = () => resolve('late');
    });
    const time = new OwnTime(options.timeoutMs, over);
    const leftovers = new Leftovers();
    const waits: Promise<unknown>[] = [];
    try {
      const answer = this.run(incoming, response, upgrade !== null, ticket, leaving.signal, time, leftovers, waits);
      const first = await Promise.race([answer, late]);
      time.end();
      if (first === 'late') {
        // Whatever it still does is for nobody.
        answer.then((unused) => discard(unused)).catch(() => {});
        fail('OO_HANDLER_TIMEOUT', `no answer within ${options.timeoutMs} ms of its own time`);
        return leaving.abort(new DOMException('The handler has taken too long.', 'TimeoutError'));
      }
      if (response.destroyed) return discard(first);
      const tunnel = tunnels.get(first);
      if (tunnel !== undefined && upgrade !== null) return await this.join(first, tunnel, upgrade, response);
      if (first.status < 200) throw new TypeError(`a Response with status ${first.status} that next did not give`);
      await sendAnswer(response, first, incoming.method as string, options.field);
    } catch (error) {
      time.end();
      if (leaving.signal.aborted) return void response.destroy();
      fail('OO_HANDLER_FAILED', describeError(error, options.file));
    } finally {
      void settled(waits).then(() => leftovers.drop());
    }
  }

  private async run(
    incoming: IncomingMessage,
    response: ServerResponse,
    upgrading: boolean,
    ticket: HandlerTicket,
    signal: AbortSignal,
    time: OwnTime,
    leftovers: Leftovers,
    waits: Promise<unknown>[],
  ): Promise<Response> {
    const { handler, routeId, field, directory } = this.options;
    let expecting = incoming.headers.expect !== undefined;
    const letBodyCome = () => {
      if (expecting && !response.headersSent) response.writeContinue();
      expecting = false;
    };
    const request = requestOf(incoming, ticket, field, signal, letBodyCome);
    const step = {
      ...{ incoming, original: request, originalUrl: request.url, signal, letBodyCome, leftovers },
      hasUnseenBody: request.body === null && hasBody(incoming),
      socketPath: join(directory, ticket.worker),
      field: [field, incoming.headers[field] as string] as const,
      upgrade: upgrading ? (incoming.headers.upgrade ?? '') : '',
    };
    const next = async (given: Request = request) => {
      if (!(given instanceof Request)) throw new TypeError('next takes a Request, or nothing');
      time.stop();
      try {
        return await sendNext(step, given);
      } finally {
        time.goOn();
      }
    };
    const waitUntil = (promise: Promise<unknown>) => {
      waits.push(this.wait(promise));
    };
    const { clientIp, requestId } = ticket;
    const answer = await handler(request, next, { route: routeId, requestId, clientIp, env: {}, waitUntil });
    if (!(answer instanceof Response)) throw new TypeError(`it returned ${kindOf(answer)}; expected a Response`);
    if (answer.type === 'error') throw new TypeError('it returned Response.error()');
    if (answer.bodyUsed) throw new TypeError('it returned a Response whose body has been used already');
    return answer;
  }

  private wait(promise: Promise<unknown>): Promise<unknown> {
    this.enter();
    return Promise.resolve(promise)
      .catch((error) => this.options.log(`waitUntil: ${describeError(error, this.options.file)}`))
      .finally(() => this.leave());
  }

  /** Lets both sides of a tunnel talk; resolves when they have ended. */
  private join(
    answer: Response,
    far: { readonly socket: Duplex; readonly head: Buffer; readonly raw: string },
    near: { readonly socket: Duplex; readonly head: Buffer },
    response: ServerResponse,
  ): Promise<void> {
    response.detachSocket(near.socket as never);
    const raw = [...rawFields(answer.headers, this.options.field), 'connection', 'upgrade', 'upgrade', far.raw];
    const lines = Array.from({ length: raw.length / 2 }, (_, i) => `${raw[2 * i]}: ${raw[2 * i + 1]}\r\n`);
    near.socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1');
    if (far.head.length > 0) near.socket.write(far.head);
    if (near.head.length > 0) far.socket.write(near.head);
    return new Promise((resolve) => {
      let open = 2;
      const closed = () => {
        near.socket.destroy();
        far.socket.destroy();
        if (--open === 0) resolve();
      };
      for (const [from, to] of [
        [near.socket, far.socket],
        [far.socket, near.socket],
      ]) {
        from.pipe(to);
        from.once('close', closed);
      }
    });
  }

  private report(code: 'OO_HANDLER_FAILED' | 'OO_HANDLER_TIMEOUT', ticket: HandlerTicket, why: string): void {
    const { routeId, log } = this.options;
    const client = ticket.clientIp === '' ? '' : ` client=${ticket.clientIp}`;
    log(`${failures[code].status} ${code} route=${routeId}${client} request=${ticket.requestId}: ${why}`);
  }
}

/** Resolves when all of them are over, those as well that come meanwhile. */
async function settled(waits: readonly Promise<unknown>[]): Promise<void> {
  for (let i = 0; i < waits.length; i++) await waits[i];
}

function requestOf(
  incoming: IncomingMessage,
  { scheme }: HandlerTicket,
  field: string,
  signal: AbortSignal,
  letBodyCome: () => void,
): Request {
  const method = incoming.method as string;
  const headers = headersOf(incoming.rawHeaders, field);
  const url = urlOf(scheme, incoming);
  if (!hasBody(incoming) || method === 'GET' || method === 'HEAD') return new Request(url, { method, headers, signal });
  const body = webBody(incoming, letBodyCome);
  return new Request(url, { method, headers, signal, body, duplex: 'half' } as RequestInit);
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

function urlOf(scheme: string, { url = '/', headers }: IncomingMessage): string {
  const origin = `${scheme}://${headers.host ?? 'localhost'}`;
  // An absolute target has come as a path by now; `//x` is a path, too.
  return url.startsWith('/') ? `${origin}${url}` : url;
}

function discard(response: Response): void {
  const tunnel = tunnels.get(response);
  tunnel?.socket.destroy();
  void response.body?.cancel().catch(() => {});
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `a ${typeof value}`;
}
