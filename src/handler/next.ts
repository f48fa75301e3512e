import http, { type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { dropMessage, lookAt, messageBehind, webBody, writeBody } from './body.ts';
import { headersOf, rawFields, withoutTrailer } from './fields.ts';

/** Idle connections to workers are closed before those would do it. */
const idleMs = 10_000;
const maxHeadBytes = 256 * 1024;
const agent = new http.Agent({ keepAlive: true, timeout: idleMs, maxFreeSockets: 256 });
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** Where `next` goes, and what for. */
export interface NextStep {
  /** The worker's socket. */
  readonly socketPath: string;
  /** Our field, as it came. */
  readonly field: readonly [name: string, value: string];
  /** As it came. */
  readonly incoming: IncomingMessage;
  /** Made of that. */
  readonly original: Request;
  /** Its URL as it was made: where that stays, the target goes on as the client has written it. */
  readonly originalUrl: string;
  /** The request has a body that a Request of its method can't have. */
  readonly hasUnseenBody: boolean;
  /** It lets go when the client leaves. */
  readonly signal: AbortSignal;
  /** The client waits for leave to send its body. */
  readonly letBodyCome: () => void;
  /** What the client wants to switch to; '' for nothing. */
  readonly upgrade: string;
  readonly leftovers: Leftovers;
}

/** What `next` has brought for one request, and may never be read. */
export class Leftovers {
  private readonly messages = new Set<IncomingMessage>();
  private readonly sockets = new Set<Duplex>();
  private isOver = false;

  addMessage(message: IncomingMessage): void {
    if (this.isOver) return dropMessage(message);
    this.messages.add(message);
    message.once('close', () => this.messages.delete(message));
  }

  /** The far side of a tunnel. */
  addSocket(socket: Duplex): void {
    if (this.isOver) return void socket.destroy();
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  }

  /** The request is over: nobody reads what is left. */
  drop(): void {
    this.isOver = true;
    for (const message of this.messages) dropMessage(message);
    for (const socket of this.sockets) socket.destroy();
  }
}

/** The other side of a tunnel that stands, by the Response that says so. */
export const tunnels = new WeakMap<
  Response,
  { readonly socket: Duplex; readonly head: Buffer; readonly raw: string }
>();

/** Sends the request on its way, by the worker that it came from. @throws TypeError */
export async function sendNext(step: NextStep, given: Request): Promise<Response> {
  if (given.bodyUsed) throw new TypeError("next: the request's body has been used already");
  const raw = [...rawFields(given.headers, step.field[0]), ...step.field];
  if (!given.headers.has('host')) raw.push('host', new URL(given.url).host);
  if (step.upgrade !== '') raw.push('connection', 'upgrade', 'upgrade', step.upgrade);
  const { method } = given;
  const path = given.url === step.originalUrl ? (step.incoming.url as string) : pathOf(given.url);
  const start = (...framing: string[]) => {
    const { socketPath, signal } = step;
    const isChunked = framing[0] === 'transfer-encoding';
    const headers = [...(isChunked ? raw : withoutTrailer(raw)), ...framing];
    return http.request({ socketPath, agent, method, path, headers, signal, maxHeaderSize: maxHeadBytes });
  };
  // A Request of GET can't have one, and yet there are clients that send it.
  const isUnseen = given.body === null && given === step.original && step.hasUnseenBody;
  if (given.body === null && !isUnseen) {
    const request = start(...(bodiless.has(method) ? [] : ['content-length', '0']));
    request.end();
    return answered(request, step, method, undefined).catch((error) => {
      // The worker has just closed the idle connection: another one will do.
      if (!request.reusedSocket || !isReset(error) || !bodiless.has(method)) throw error;
      const again = start();
      again.end();
      return answered(again, step, method, undefined);
    });
  }
  return withBody(step, given, isUnseen, start);
}

function isReset({ cause }: TypeError): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNRESET';
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

type Start = (...framing: string[]) => http.ClientRequest;

async function withBody(step: NextStep, given: Request, isUnseen: boolean, start: Start): Promise<Response> {
  const { incoming } = step;
  const length = incoming.headers['content-length'];
  if (isUnseen || messageBehind(given.body) === incoming) {
    step.letBodyCome();
    const request = start(...(length === undefined ? chunked : ['content-length', length]));
    sendAsItCame(incoming, request);
    return answered(request, step, given.method, undefined);
  }
  const look = await lookAt(given.body as ReadableStream<Uint8Array>);
  // What still comes from the client is as long as that has said, as long as nobody says otherwise.
  const kept = length !== undefined && given.headers.get('content-length') === length && !incoming.readableEnded;
  const framing = look.done ? ['content-length', String(look.bytes)] : kept ? ['content-length', length] : chunked;
  const request = start(...framing);
  const sent = writeBody(look, request).then((bytes) => {
    if (!look.done && kept && bytes !== Number(length))
      throw new TypeError(`the body has ${bytes} bytes, and content-length says ${length}`);
    request.end();
  });
  return answered(request, step, given.method, sent);
}

const chunked = ['transfer-encoding', 'chunked'];

/** The body as the client sends it, with its trailers; who breaks off breaks off. */
function sendAsItCame(from: IncomingMessage, to: http.ClientRequest): void {
  from.pipe(to, { end: false });
  from.once('end', () => {
    if (from.rawTrailers.length > 0) to.addTrailers(pairs(from.rawTrailers));
    to.end();
  });
  from.once('error', (error) => to.destroy(error));
  from.once('close', () => {
    if (!from.complete) to.destroy();
  });
}

/** Names and values in turn, as Node's `addTrailers` takes them. */
export function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i], raw[2 * i + 1]]);
}

function answered(
  request: http.ClientRequest,
  { field, signal, leftovers }: NextStep,
  method: string,
  sent: Promise<void> | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      request.destroy();
      const message = signal.aborted ? 'next: the client has left' : `next: ${cause.message}`;
      reject(signal.aborted ? signal.reason : new TypeError(message, { cause }));
    };
    sent?.catch(fail);
    request.on('error', fail);
    request.on('upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      const response = new Response(null, { headers: headersOf(incoming.rawHeaders, field[0]) });
      // The Response of Node can't say 101 by itself.
      Object.defineProperty(response, 'status', { value: 101 });
      Object.defineProperty(response, 'ok', { value: false });
      tunnels.set(response, { socket, head, raw: incoming.headers.upgrade ?? '' });
      socket.on('error', () => {});
      leftovers.addSocket(socket);
      resolve(response);
    });
    request.on('response', (incoming) => {
      try {
        resolve(responseOf(incoming, method, field[0]));
        leftovers.addMessage(incoming);
      } catch (error) {
        incoming.destroy();
        fail(error as Error);
      }
    });
  });
}

function responseOf(incoming: IncomingMessage, method: string, ours: string): Response {
  const status = incoming.statusCode as number;
  const headers = headersOf(incoming.rawHeaders, ours);
  const isBodiless = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  if (isBodiless) incoming.resume();
  const body = isBodiless ? null : webBody(incoming);
  // Without a listener a cut would end the process; whoever reads hears of it.
  incoming.on('error', () => {});
  return new Response(body, { status, statusText: incoming.statusMessage ?? '', headers });
}
