import { keptFields, responsePlan } from '../core/headers.ts';
import type { CompiledRoute } from '../core/types.ts';

// Bun leaves a coded body as it is, if told so; the others decode it, and still keep Content-Encoding and the old Content-Length.
/** Whether the runtime takes codings off the bodies that it fetches. */
export const decodes = !('Bun' in globalThis);
/** What every fetch is told beside its request. */
export const fetchExtras: object = { duplex: 'half', decompress: false };
const decodable = new Set(['gzip', 'x-gzip', 'deflate', 'br', 'zstd']);

const connectCodes =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ConnectionRefused|FailedToOpenSocket|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;
// Deno's only in words; and ports that fetch never connects to, by its standard.
const connectWords = /client error \(Connect\)|^bad port$/;

/** A fetched response as the client gets it. */
export function toClient(response: Response, method: string): Response {
  const headers = keptFields(response.headers, responsePlan);
  headers.delete('transfer-encoding');
  if (decodes && isDecoded(headers.get('content-encoding'))) {
    headers.delete('content-encoding');
    headers.delete('content-length');
  }
  const { status, statusText } = response;
  const bodiless = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  return new Response(bodiless ? null : response.body, { status, statusText, headers });
}

/** Whether the runtime has taken these codings off. One that it does not know leaves the body as it came. */
export function isDecoded(encoding: string | null): boolean {
  return (encoding ?? '-').split(',').every((coding) => decodable.has(coding.trim().toLowerCase()));
}

/** The request's body, cut with an error where it is longer than the route allows. */
export function bodyLimit(
  request: Request,
  route: CompiledRoute,
): { body: ReadableStream | null; exceeded(): boolean } {
  const most = route.route.maxBodyBytes;
  if (most === undefined || request.body === null) return { body: request.body, exceeded: () => false };
  let bytes = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > most) controller.error(new RangeError(`the request body is over ${most} bytes`));
      else controller.enqueue(chunk);
    },
  });
  return { body: request.body.pipeThrough(count), exceeded: () => bytes > most };
}

/** Runtimes differ in how they say that they could not connect: by a code, in the error or its cause, or in words. */
export function classify(
  error: unknown,
): 'OO_CONNECT_FAILED' | 'OO_CONNECT_TIMEOUT' | 'OO_UPSTREAM_CLOSED' | 'OO_BAD_RESPONSE' {
  const { code, message, cause } = error as {
    code?: unknown;
    message?: unknown;
    cause?: { code?: unknown; message?: unknown };
  };
  const known = String(cause?.code ?? code ?? '');
  if (known === 'UND_ERR_CONNECT_TIMEOUT') return 'OO_CONNECT_TIMEOUT';
  if (connectCodes.test(known) || connectWords.test(String(cause?.message ?? message))) return 'OO_CONNECT_FAILED';
  return known.startsWith('HPE_') || error instanceof RangeError ? 'OO_BAD_RESPONSE' : 'OO_UPSTREAM_CLOSED';
}
