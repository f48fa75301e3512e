import { keptFields, responsePlan } from '../core/headers.ts';
import type { CompiledRoute } from '../core/types.ts';
import { type Fields, hasField, headersOf, initOf, setField } from './fields.ts';
import { nodeSend } from './node-client.ts';
import { joinWebSocket, type Upgrade } from './websocket.ts';

const isBun = 'Bun' in globalThis;
const isDeno = 'Deno' in globalThis;
const isWorkerd = 'WebSocketPair' in globalThis;

// Bun leaves a coded body as it is, if told so, and Deno one that it asked not to be coded. The others decode it for whoever reads it, and still
// keep Content-Encoding and the old Content-Length.
/** Whether the runtime's fetch takes codings off the bodies that it fetches with `Accept-Encoding: identity`. */
export const decodes = !(isBun || isDeno);
/** What every fetch is told beside its request. */
export const fetchExtras: object = { duplex: 'half', decompress: false, ...denoClient() };
// Their servers say by null that a request has no body, and their fetch leaves codings to us.
const knowsEmpty = isBun || isWorkerd;
/** So long may a request that may have no body say nothing, ms. */
export const emptyMs = 20;
const decodable = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd']);

const connectCodes =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ConnectionRefused|FailedToOpenSocket|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;
// Deno's only in words; and ports that fetch never connects to, by its standard.
const connectWords = /client error \(Connect\)|^bad port$/;
// The same: Deno's, undici's, and Bun's are codes.
const badWords = /parsed$|does not match the HTTP|content-length header/;

export type Body = ReadableStream<Uint8Array<ArrayBuffer>>;
export type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

/** One request to an upstream. */
export interface SendInit {
  readonly method: string;
  /** Host is sent where the runtime lets it. Sending may change them. */
  readonly fields: Fields;
  readonly body: Body | null;
  readonly signal: AbortSignal;
  /** For a WebSocket: whose. */
  readonly upgrade?: Upgrade | null;
}

/** What is used of a response; bytes are all of its body. */
export interface Answered extends Pick<Response, 'status' | 'statusText' | 'headers'> {
  readonly body: Body | Uint8Array<ArrayBuffer> | null;
}

/**
 * Sends one request, and gives the response as the client gets it. Rejects where there is none.
 * @param url with the target as it is to be sent
 */
export type Send = (url: string, init: SendInit) => Promise<Response>;

/**
 * How requests are sent. On Node it is by node:http, which changes nothing; everywhere else by the runtime's fetch, told to change as little as it can.
 * @param given used in its place
 */
export function senderOf(given: typeof fetch | undefined): Send {
  const byNode = given === undefined ? nodeSend() : undefined;
  return async (url, init) => {
    const { method, fields, body, signal, upgrade } = init;
    if (byNode !== undefined) {
      const answer = await byNode(url, init);
      return answer.status === 101 ? (answer as Response) : toClient(answer, method, false);
    }
    if (upgrade && given === undefined && !isWorkerd)
      return joinWebSocket(url, { headers: headersOf(fields), signal }, upgrade);
    if (upgrade && isWorkerd) setField(fields, 'upgrade', 'websocket');
    const sent = isDeno && body !== null && !hasField(fields, 'content-length') ? await unlessEmpty(body) : body;
    // Bun decodes nothing, and workerd passes on a body that nobody reads as it came.
    if (!knowsEmpty) setField(fields, 'accept-encoding', 'identity');
    const headers = given === undefined ? initOf(fields) : headersOf(fields);
    const told = { method, headers, body: sent, redirect: 'manual' as const, signal, ...fetchExtras };
    const response = await (given ?? fetch)(url, told);
    // A Worker's WebSocket is its runtime's to join.
    return upgrade && isWorkerd && response.status === 101
      ? response
      : toClient(response, method, decodes && !isWorkerd);
  };
}

/** A response as the client gets it. @param decoded whether the runtime has taken codings off that it knows */
export function toClient(response: Answered, method: string, decoded = !isWorkerd): Response {
  const { status, statusText } = response;
  const isUncoded = decoded && isDecoded(response.headers.get('content-encoding'));
  const fields = keptFields(response.headers, responsePlan).filter(([name]) => {
    // No runtime gives trailers on, and some servers refuse to announce them.
    if (name === 'transfer-encoding' || name === 'trailer') return false;
    return !isUncoded || (name !== 'content-encoding' && name !== 'content-length');
  });
  const { body } = response;
  const bodiless = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  try {
    // What @hono/node-server has in the place of Response takes any. Where nobody has asked for another protocol, 101 is none.
    if (status < 200 || status > 599) throw new RangeError(`the upstream answered with the status ${status}`);
    if (bodiless) drop(body);
    return new Response(bodiless ? null : body, { status, statusText, headers: initOf(fields) });
  } catch (error) {
    drop(body);
    throw error;
  }
}

function drop(body: Answered['body']): void {
  if (body !== null && 'cancel' in body) void body.cancel().catch(() => {});
}

/** Whether the runtime has taken these codings off. One that it does not know leaves the body as it came. */
export function isDecoded(encoding: string | null): boolean {
  return (encoding ?? '-').split(',').every((coding) => decodable.has(coding.trim().toLowerCase()));
}

/** Deno keeps the Host that it is given only in a client of its own; and over HTTP/2 there is none. */
function denoClient(): { client?: unknown } {
  const { Deno } = globalThis as { Deno?: { createHttpClient?: (options: object) => unknown } };
  const client = Deno?.createHttpClient?.({ allowHost: true, http2: false });
  return client === undefined ? {} : { client };
}

/**
 * To Deno each request with a method other than GET and HEAD has a body, and one without a length would be sent in chunks. So wait for its
 * first bytes, or its end; but not for long: they may come only after the response has begun.
 */
async function unlessEmpty(body: Body): Promise<Body | null> {
  const reader = body.getReader();
  const first = firstOf(reader);
  const early = await within(first, emptyMs);
  if (early?.done) return null;
  let next: typeof first | undefined = first;
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        const { done, value } = await (next ?? reader.read());
        next = undefined;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** What it comes to, if that is soon enough. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function firstOf(reader: Reader) {
  for (;;) {
    const piece = await reader.read();
    if (piece.done || piece.value.byteLength > 0) return piece;
  }
}

const standardMethods = /^(?:get|head|post|put|delete|options)$/i;
const bodilessMethods = new Set(['GET', 'HEAD']);

/** The body to send; null for none. Some runtimes give even a request with the length 0 one. */
export function bodyOf(request: Request): Body | null {
  // Asking for a body may cost more than all that is done with it.
  if (bodilessMethods.has(request.method) || request.headers.get('content-length') === '0') return null;
  return request.body;
}

/** Whether a request has a body that fetch can't send: of GET and HEAD. To leave it out would change what they mean. */
export function isUnsendable({ method, headers }: Request): boolean {
  if (!bodilessMethods.has(method)) return false;
  return Number(headers.get('content-length') ?? 0) !== 0 || headers.has('transfer-encoding');
}

/** Methods that are not forwarded, and those that fetch would send in upper case: to servers they are others. */
export function isRefusedMethod(method: string): boolean {
  return (
    method === 'CONNECT' ||
    method === 'TRACE' ||
    method === 'TRACK' ||
    (/[a-z]/.test(method) && standardMethods.test(method))
  );
}

/** The request's body, cut with an error where it is longer than the route allows. */
export function bodyLimit(request: Request, route: CompiledRoute): { body: Body | null; exceeded(): boolean } {
  const most = route.route.maxBodyBytes;
  const body = bodyOf(request);
  if (most === undefined || body === null) return { body, exceeded: () => false };
  let bytes = 0;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > most) controller.error(new RangeError(`the request body is over ${most} bytes`));
      else controller.enqueue(chunk);
    },
  });
  return { body: body.pipeThrough(count), exceeded: () => bytes > most };
}

/**
 * workerd takes a body of ours that fails for one that ends, and the upstream for the whole of it: there it never ends, and the request is taken back.
 * @param stop takes it back
 */
export function cutNotEnded(body: Body, stop: AbortController): Body {
  if (!isWorkerd) return body;
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        stop.abort(error);
        await new Promise(() => {});
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

interface Told {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly syscall?: string;
}

/** Runtimes differ in how they say that they could not connect: by a code, in the error or its cause, or in words. */
export function classify(
  error: unknown,
): 'OO_CONNECT_FAILED' | 'OO_CONNECT_TIMEOUT' | 'OO_UPSTREAM_CLOSED' | 'OO_BAD_RESPONSE' {
  const { code, message, syscall, cause } = error as Told & { cause?: Told };
  const known = String(cause?.code ?? code ?? '');
  const words = String(cause?.message ?? message);
  if (known === 'UND_ERR_CONNECT_TIMEOUT') return 'OO_CONNECT_TIMEOUT';
  // The same code of a connection that was there: the request may have arrived.
  const isOpen = /^(?:read|write)/.test(cause?.syscall ?? syscall ?? '');
  if ((connectCodes.test(known) && !isOpen) || connectWords.test(words)) return 'OO_CONNECT_FAILED';
  const isBad = /^HPE_|^(?:Invalid(?:ContentLength|HTTPResponse)|Malformed_HTTP)/.test(known) || badWords.test(words);
  return isBad || error instanceof RangeError ? 'OO_BAD_RESPONSE' : 'OO_UPSTREAM_CLOSED';
}
